// SPDX-License-Identifier: Apache-2.0
// NVIDIA's host conversion functions as a witness, a batch at a time: in are fp32 images, out the bytes or
// halves they give. Defined in witness.cpp where the toolkit's headers are (QP_HAVE_WITNESS).
#ifndef REF_TESTS_WITNESS_H
#define REF_TESTS_WITNESS_H

#include "qp/base.h"

QP_BEGIN_C

void witness_e4m3(const uint32_t *in, uint16_t *out, int64_t n);       // SATFINITE
void witness_e4m3_nosat(const uint32_t *in, uint16_t *out, int64_t n); // NOSAT
void witness_e2m1(const uint32_t *in, uint16_t *out, int64_t n);       // nearest even, saturating
void witness_e5m2(const uint32_t *in, uint16_t *out, int64_t n);
void witness_e5m2_nosat(const uint32_t *in, uint16_t *out, int64_t n);
void witness_e3m2(const uint32_t *in, uint16_t *out, int64_t n); // saturating, as the header always is
void witness_e2m3(const uint32_t *in, uint16_t *out, int64_t n);
void witness_e8m0_down(const uint32_t *in, uint16_t *out, int64_t n); // toward zero, SATFINITE
void witness_e8m0_down_nosat(const uint32_t *in, uint16_t *out, int64_t n);
void witness_e8m0_up(const uint32_t *in, uint16_t *out, int64_t n); // toward +Inf, SATFINITE
void witness_e8m0_up_nosat(const uint32_t *in, uint16_t *out, int64_t n);
void witness_bf16(const uint32_t *in, uint16_t *out, int64_t n);
void witness_fp16(const uint32_t *in, uint16_t *out, int64_t n);
uint32_t witness_e4m3_decode(uint8_t code);
uint32_t witness_e2m1_decode(uint8_t nibble);
uint32_t witness_e5m2_decode(uint8_t code);
uint32_t witness_e3m2_decode(uint8_t code);
uint32_t witness_e2m3_decode(uint8_t code);
uint32_t witness_e8m0_decode(uint8_t code);
uint32_t witness_bf16_decode(uint16_t half);
uint32_t witness_fp16_decode(uint16_t half);

QP_END_C
#endif
