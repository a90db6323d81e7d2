// SPDX-License-Identifier: Apache-2.0
// NVIDIA's host conversions (cuda_fp8.h, cuda_fp6.h, cuda_fp4.h) for the oracles, a batch at a time. From
// double: one rounding. No arithmetic of ours.
#include <cuda_fp4.h>
#include <cuda_fp6.h>
#include <cuda_fp8.h>

#include <cstdint>

enum Format { E4M3, E4M3_NOSAT, E5M2, E5M2_NOSAT, E3M2, E2M3, E2M1 };

static uint8_t encode_one(int format, double v) {
    switch (format) {
    case E4M3:
        return __nv_cvt_double_to_fp8(v, __NV_SATFINITE, __NV_E4M3);
    case E4M3_NOSAT:
        return __nv_cvt_double_to_fp8(v, __NV_NOSAT, __NV_E4M3);
    case E5M2:
        return __nv_cvt_double_to_fp8(v, __NV_SATFINITE, __NV_E5M2);
    case E5M2_NOSAT:
        return __nv_cvt_double_to_fp8(v, __NV_NOSAT, __NV_E5M2);
    case E3M2:
        return __nv_cvt_double_to_fp6(v, __NV_E3M2, cudaRoundNearest) & 0x3f;
    case E2M3:
        return __nv_cvt_double_to_fp6(v, __NV_E2M3, cudaRoundNearest) & 0x3f;
    default:
        return __nv_cvt_double_to_fp4(v, __NV_E2M1, cudaRoundNearest) & 0x0f;
    }
}

static __half_raw decode_one(int format, uint8_t code) {
    switch (format) {
    case E4M3:
    case E4M3_NOSAT:
        return __nv_cvt_fp8_to_halfraw(code, __NV_E4M3);
    case E5M2:
    case E5M2_NOSAT:
        return __nv_cvt_fp8_to_halfraw(code, __NV_E5M2);
    case E3M2:
        return __nv_cvt_fp6_to_halfraw(code, __NV_E3M2);
    case E2M3:
        return __nv_cvt_fp6_to_halfraw(code, __NV_E2M3);
    default:
        return __nv_cvt_fp4_to_halfraw(code, __NV_E2M1);
    }
}

extern "C" void nv_encode(int format, const double *in, uint8_t *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = encode_one(format, in[i]);
}

extern "C" void nv_decode(int format, const uint8_t *in, float *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = __half2float(__half(decode_one(format, in[i])));
}

extern "C" void nv_e8m0_up(const float *in, uint8_t *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = __nv_cvt_float_to_e8m0(in[i], __NV_SATFINITE, cudaRoundPosInf);
}
