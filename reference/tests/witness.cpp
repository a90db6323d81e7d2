// SPDX-License-Identifier: Apache-2.0
// The conversions of cuda_fp8.h, cuda_fp6.h, cuda_fp4.h, cuda_bf16.h and cuda_fp16.h, run on the host. No
// arithmetic of ours.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp4.h>
#include <cuda_fp6.h>
#include <cuda_fp8.h>

#include <cstring>

#include "witness.h"

static float as_float(uint32_t image) {
    float f;
    std::memcpy(&f, &image, sizeof f);
    return f;
}

static uint32_t as_image(float f) {
    uint32_t image;
    std::memcpy(&image, &f, sizeof image);
    return image;
}

template <typename T> static uint16_t as_half(T h) {
    uint16_t u;
    std::memcpy(&u, &h, sizeof u);
    return u;
}

extern "C" void witness_e4m3(const uint32_t *in, uint16_t *out, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        out[i] = __nv_cvt_float_to_fp8(as_float(in[i]), __NV_SATFINITE, __NV_E4M3);
}

extern "C" void witness_e4m3_nosat(const uint32_t *in, uint16_t *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = __nv_cvt_float_to_fp8(as_float(in[i]), __NV_NOSAT, __NV_E4M3);
}

extern "C" void witness_e2m1(const uint32_t *in, uint16_t *out, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        out[i] = __nv_cvt_float_to_fp4(as_float(in[i]), __NV_E2M1, cudaRoundNearest) & 15;
}

extern "C" void witness_e5m2(const uint32_t *in, uint16_t *out, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        out[i] = __nv_cvt_float_to_fp8(as_float(in[i]), __NV_SATFINITE, __NV_E5M2);
}

extern "C" void witness_e5m2_nosat(const uint32_t *in, uint16_t *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = __nv_cvt_float_to_fp8(as_float(in[i]), __NV_NOSAT, __NV_E5M2);
}

extern "C" void witness_e3m2(const uint32_t *in, uint16_t *out, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        out[i] = __nv_cvt_float_to_fp6(as_float(in[i]), __NV_E3M2, cudaRoundNearest) & 63;
}

extern "C" void witness_e2m3(const uint32_t *in, uint16_t *out, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        out[i] = __nv_cvt_float_to_fp6(as_float(in[i]), __NV_E2M3, cudaRoundNearest) & 63;
}

template <__nv_saturation_t SAT, cudaRoundMode MODE>
static void e8m0(const uint32_t *in, uint16_t *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = __nv_cvt_float_to_e8m0(as_float(in[i]), SAT, MODE);
}

extern "C" void witness_e8m0_down(const uint32_t *in, uint16_t *out, int64_t n) {
    e8m0<__NV_SATFINITE, cudaRoundZero>(in, out, n);
}

extern "C" void witness_e8m0_down_nosat(const uint32_t *in, uint16_t *out, int64_t n) {
    e8m0<__NV_NOSAT, cudaRoundZero>(in, out, n);
}

extern "C" void witness_e8m0_up(const uint32_t *in, uint16_t *out, int64_t n) {
    e8m0<__NV_SATFINITE, cudaRoundPosInf>(in, out, n);
}

extern "C" void witness_e8m0_up_nosat(const uint32_t *in, uint16_t *out, int64_t n) {
    e8m0<__NV_NOSAT, cudaRoundPosInf>(in, out, n);
}

extern "C" void witness_bf16(const uint32_t *in, uint16_t *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = as_half(__float2bfloat16_rn(as_float(in[i])));
}

extern "C" void witness_fp16(const uint32_t *in, uint16_t *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = as_half(__float2half_rn(as_float(in[i])));
}

extern "C" uint32_t witness_e4m3_decode(uint8_t code) {
    return as_image(__half2float(__half(__nv_cvt_fp8_to_halfraw(code, __NV_E4M3))));
}

extern "C" uint32_t witness_e2m1_decode(uint8_t nibble) {
    return as_image(__half2float(__half(__nv_cvt_fp4_to_halfraw(nibble, __NV_E2M1))));
}

extern "C" uint32_t witness_e5m2_decode(uint8_t code) {
    return as_image(__half2float(__half(__nv_cvt_fp8_to_halfraw(code, __NV_E5M2))));
}

extern "C" uint32_t witness_e3m2_decode(uint8_t code) {
    return as_image(__half2float(__half(__nv_cvt_fp6_to_halfraw(code, __NV_E3M2))));
}

extern "C" uint32_t witness_e2m3_decode(uint8_t code) {
    return as_image(__half2float(__half(__nv_cvt_fp6_to_halfraw(code, __NV_E2M3))));
}

extern "C" uint32_t witness_e8m0_decode(uint8_t code) {
    return as_image(__bfloat162float(__nv_bfloat16(__nv_cvt_e8m0_to_bf16raw(code))));
}

extern "C" uint32_t witness_bf16_decode(uint16_t half) {
    __nv_bfloat16_raw raw;
    raw.x = half;
    return as_image(__bfloat162float(__nv_bfloat16(raw)));
}

extern "C" uint32_t witness_fp16_decode(uint16_t half) {
    __half_raw raw;
    raw.x = half;
    return as_image(__half2float(__half(raw)));
}
