// SPDX-License-Identifier: Apache-2.0
// The units of a tensor and their order: neighbouring values of a type are one apart, +0 and -0 are one
// value.
#include "audit/compare_tensor.h"

#include <string.h>

static int64_t sign_magnitude(uint64_t bits, int n_bits) {
    const uint64_t sign = 1ull << (n_bits - 1);
    const int64_t magnitude = (int64_t)(bits & (sign - 1));
    return bits & sign ? -magnitude : magnitude;
}

static int64_t order_f32(uint64_t bits) {
    return sign_magnitude(bits, 32);
}

static int64_t order_f16(uint64_t bits) { // BF16 too
    return sign_magnitude(bits, 16);
}

static int64_t order_f8(uint64_t bits) {
    return sign_magnitude(bits, 8);
}

static int64_t order_f4(uint64_t bits) {
    return sign_magnitude(bits, 4);
}

static int64_t order_i8(uint64_t bits) {
    return (int8_t)bits;
}

static int64_t order_i4(uint64_t bits) { // two's complement
    return bits & 8 ? (int64_t)bits - 16 : (int64_t)bits;
}

static int64_t order_plain(uint64_t bits) { // unsigned, offset codes, exponents
    return (int64_t)bits;
}

static int64_t order_i32(uint64_t bits) {
    return (int32_t)bits;
}

static const qp_cmp_number of_type[QP_ST_DTYPES] = {
    [QP_ST_BOOL] = {"step", 8, order_plain},
    [QP_ST_U8] = {"step", 8, order_plain},
    [QP_ST_I8] = {"step", 8, order_i8},
    [QP_ST_F8_E5M2] = {"ulp", 8, order_f8},
    [QP_ST_F8_E4M3] = {"ulp", 8, order_f8},
    [QP_ST_F8_E8M0] = {"step", 8, order_plain},
    [QP_ST_F8_E4M3FNUZ] = {"ulp", 8, order_f8},
    [QP_ST_F8_E5M2FNUZ] = {"ulp", 8, order_f8},
    [QP_ST_I16] = {"step", 16, NULL},
    [QP_ST_U16] = {"step", 16, order_plain},
    [QP_ST_F16] = {"ulp", 16, order_f16},
    [QP_ST_BF16] = {"ulp", 16, order_f16},
    [QP_ST_I32] = {"step", 32, order_i32},
    [QP_ST_U32] = {"step", 32, order_plain},
    [QP_ST_F32] = {"ulp", 32, order_f32},
    [QP_ST_C64] = {"byte", 64, NULL},
    [QP_ST_F64] = {"byte", 64, NULL},
    [QP_ST_I64] = {"byte", 64, NULL},
    [QP_ST_U64] = {"byte", 64, NULL},
    [QP_ST_F4] = {"byte", 8, NULL},      // two in a byte, an order of nibbles that safetensors does not say
    [QP_ST_F6_E2M3] = {"byte", 8, NULL}, // a stream of six bits
    [QP_ST_F6_E3M2] = {"byte", 8, NULL},
};
static const qp_cmp_number nibble_e2m1 = {"code", 4, order_f4}, nibble_i4 = {"code", 4, order_i4},
                           nibble_offset = {"code", 4, order_plain}, code_i8 = {"code", 8, order_i8},
                           code_f8 = {"code", 8, order_f8}, code_byte = {"byte", 8, NULL};

const qp_cmp_number *qp_cmp_number_of(int st_type, const qp_ck_scheme *s) {
    if (s == NULL) return &of_type[st_type];
    if (s->pack == QP_CK_BYTES) return st_type == QP_ST_I8 ? &code_i8 : &code_f8;
    if (s->bits != 4) return &code_byte; // streams of 3, 6 ... bits
    if (s->element == QP_ELEM_E2M1) return &nibble_e2m1;
    return s->pack == QP_CK_ROW_PAIRS ? &nibble_i4 : &nibble_offset;
}

uint64_t qp_cmp_unit(const qp_cmp_number *k, const qp_ck_tensor *t, uint64_t i) {
    uint64_t bits = 0;
    if (k->bits == 4) return t->data[i / 2] >> (i % 2 * 4) & 15;
    memcpy(&bits, t->data + i * (uint64_t)k->bits / 8, (size_t)k->bits / 8); // little-endian, as the file
    return bits;
}
