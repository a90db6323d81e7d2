// SPDX-License-Identifier: Apache-2.0
// What the files of reference/ share: float <-> image, the rounding of small floats, the grain of a spec,
// coverage marks. Every float expression below and in the .c files is one IEEE binary32 operation per
// statement, as the spec names it.
#ifndef REF_INTERNAL_H
#define REF_INTERNAL_H

#include <string.h>

#include "qp/ref.h"

enum { REF_E4M3_MANT = 3, REF_E4M3_BIAS = 7, REF_E4M3_MAX = 0x7e, REF_E4M3_NAN = 0x7f };
enum { REF_E2M1_MANT = 1, REF_E2M1_BIAS = 1, REF_E2M1_MAX = 7 };

#define REF_F32_INF 0x7f800000u
#define REF_F32_NAN 0x7fc00000u
#define REF_TWO_POW_M24 0x1p-24f // the tiny-amax threshold of numerics 1.2, 1.3, 2.3

static inline float ref_float(uint32_t image) {
    float f;
    memcpy(&f, &image, sizeof f);
    return f;
}

static inline uint32_t ref_image(float f) {
    uint32_t image;
    memcpy(&image, &f, sizeof image);
    return image;
}

static inline uint32_t ref_abs(uint32_t image) {
    return image & 0x7fffffffu;
}

static inline bool ref_is_nan(uint32_t image) {
    return ref_abs(image) > REF_F32_INF;
}

static inline bool ref_is_inf(uint32_t image) {
    return ref_abs(image) == REF_F32_INF;
}

// NaN payload and sign are not portable (numerics 0): every NaN answer is the one canonical NaN.
static inline uint32_t ref_canonical(float f) {
    uint32_t image = ref_image(f);
    return ref_is_nan(image) ? REF_F32_NAN : image;
}

// |x| as an integer of units 2^-drop of the target's last place: code = m >> drop before rounding.
typedef struct ref_fixed {
    uint32_t m;
    int drop;
} ref_fixed;

static inline ref_fixed ref_split(uint32_t abs_image, int mant_bits, int bias) {
    const int first_normal = 128 - bias; // fp32 exponent field of the target's smallest normal
    int e = (int)(abs_image >> 23);
    ref_fixed f = {abs_image & 0x7fffffu, 23 - mant_bits};
    if (e == 0)
        e = 1;
    else
        f.m |= 0x800000u;
    if (e >= first_normal)
        f.m += (uint32_t)(e - first_normal) << 23;
    else
        f.drop += first_normal - e;
    return f;
}

enum { REF_DROP_ALL = 25 }; // m < 2^24 is then below half of the last place

// Magnitude code of a finite |x| in a float type of mant_bits and bias: RNE, no upper bound (the caller
// saturates).
static inline uint32_t ref_round_magnitude(uint32_t abs_image, int mant_bits, int bias) {
    const ref_fixed f = ref_split(abs_image, mant_bits, bias);
    if (f.drop >= REF_DROP_ALL) return 0;
    const uint32_t code = f.m >> f.drop, rest = f.m & ((1u << f.drop) - 1), half = 1u << (f.drop - 1);
    return code + (rest + (code & 1) > half); // a tie goes up when the code is odd
}

// Does a finite |x| lie exactly between two neighbouring codes that are both <= max_code?
static inline bool ref_magnitude_is_tie(uint32_t abs_image, int mant_bits, int bias, uint32_t max_code) {
    const ref_fixed f = ref_split(abs_image, mant_bits, bias);
    if (f.drop >= REF_DROP_ALL) return false;
    const uint32_t code = f.m >> f.drop, rest = f.m & ((1u << f.drop) - 1), half = 1u << (f.drop - 1);
    return rest == half && code + 1 <= max_code;
}

// Integer nearest to f, ties to even; keeps the sign of zero, NaN and Inf.
float ref_rint(float f);
// E4M3 and E2M1 values as floats.
float ref_e4m3_value(uint8_t code);
float ref_e2m1_magnitude(uint32_t code); // 0..7 -> 0 .. 6

// ---- the grain of a spec: which amax belongs to which element
// ---------------------------------------------------------

typedef struct ref_grain {
    qp_grain kind;
    int64_t width;  // columns that share an amax
    int64_t height; // rows that share an amax (block2d)
    int64_t n_segs; // segments of that width in a row
} ref_grain;

ref_grain ref_grain_of(qp_grain kind, int64_t cols, int64_t block_rows, int64_t block_cols);
ref_grain ref_grain_of_spec(const ref_spec *s);
// Index into spec->amax of (row, segment).
int64_t ref_amax_index(const ref_grain *g, int64_t row, int64_t seg);
// Is row the first that meets the amax of its segments (so that an amax is counted once)?
bool ref_grain_starts(const ref_grain *g, int64_t row);

// ---- NVFP4 block scales (numerics 4.3-4.5), per tensor constants first
// --------------------------------------------------

typedef struct ref_nv {
    bool dynamic;
    bool nan_sign;      // pack: keep the sign of a NaN block scale
    float six_g, g;     // fake, dynamic: fl(6*g) and g
    float sc, inv_sc;   // fake, static: the scale that quantizes block scales, and its reciprocal
    bool tiny_a;        // fake, static: the amax of block scales is at most 2^-24, so 1 takes its place
    float m;            // pack, static: 448 or 256
    float ga_sixth;     // pack, static: fl(ga/6)
    float ws2, six_ws2; // pack
} ref_nv;

typedef struct ref_nv_scale {
    float quotient; // what E4M3 encodes; pack: before the clamp
    uint8_t code;   // E4M3
    float scale;    // fp32 block scale
    bool special; // fake: a tiny-value rule replaced the scale or the amax; pack: a quotient of zero became 1
} ref_nv_scale;

ref_nv ref_nv_of(const ref_spec *s);
ref_nv_scale ref_nv_fake_scale(const ref_nv *nv, float block_amax);
ref_nv_scale ref_nv_pack_scale(const ref_nv *nv, float block_amax);
// max |x| of n elements from first; NaN elements ignored (Triton) or winning (torch).
float ref_block_amax(qp_dtype dtype, const void *x, int64_t first, int64_t n, bool nan_wins);

// ---- the ops per format family, as engines.c lists them
// ----------------------------------------------------------------------------------------------

typedef void ref_fakequant_fn(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, void *y,
                              uint32_t *block_scale, qp_coverage *cov);
typedef void ref_quant_fn(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, uint8_t *codes,
                          void *scales, void *values, qp_coverage *cov);
typedef void ref_dequant_fn(const ref_spec *s, qp_dtype out, int64_t n_rows, const uint8_t *codes,
                            const void *scales, uint32_t weight_scale_2, void *values);

ref_fakequant_fn ref_fakequant_int8, ref_fakequant_fp8, ref_fakequant_nvfp4;
ref_quant_fn ref_quant_nvfp4;
ref_dequant_fn ref_dequant_nvfp4;

// ---- coverage: NULL means nobody asked
// ------------------------------------------------------------------------------------

void ref_cover_input(qp_coverage *cov, uint32_t x);
void ref_cover_e4m3(qp_coverage *cov, uint32_t quotient, uint8_t code);
void ref_cover_e2m1(qp_coverage *cov, uint32_t quotient, uint8_t nibble);
void ref_cover_scale(qp_coverage *cov, uint32_t quotient, uint8_t code, bool zero_block);

#endif
