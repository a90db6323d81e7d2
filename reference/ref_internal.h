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
enum { REF_E5M2_MANT = 2, REF_E5M2_BIAS = 15, REF_E5M2_MAX = 0x7b, REF_E5M2_INF = 0x7c, REF_E5M2_NAN = 0x7f };
enum { REF_E3M2_MANT = 2, REF_E3M2_BIAS = 3, REF_E2M3_MANT = 3, REF_E2M3_BIAS = 1, REF_FP6_MAX = 0x1f };
enum { REF_E8M0_ONE = 127, REF_E8M0_MAX = 0xfe, REF_E8M0_NAN = 0xff };

#define REF_F32_INF 0x7f800000u
#define REF_F32_NAN 0x7fc00000u
#define REF_FLT_MAX 0x1.fffffep127f
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

// What a tensor of type t holds of an fp32 result: one more rounding.
static inline float ref_as(qp_dtype t, float f) {
    return ref_float(ref_to_f32(t, ref_from_f32(t, ref_image(f))));
}

static inline bool ref_is_torch(qp_engine e) {
    return e == QP_ENGINE_TORCH_CPU || e == QP_ENGINE_TORCH_CUDA;
}

// tensor / number: torch on CUDA multiplies by the fp32 reciprocal of the number (numerics 0).
static inline float ref_over(qp_engine e, float a, float number) {
    if (e != QP_ENGINE_TORCH_CUDA) return a / number;
    const float reciprocal = 1.0f / number;
    return a * reciprocal;
}

// number / tensor: torch spells it as a reciprocal and a product, rounded to the tensor's type each (numerics
// 0).
static inline float ref_number_over(qp_dtype t, float number, float a) {
    const float reciprocal = ref_as(t, 1.0f / a);
    return ref_as(t, reciprocal * number);
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

// Code of a magnitude by the table of numerics 4.1: how many bounds a has passed; a tie goes to the even
// code. Inf passes all of them, NaN none.
static inline uint32_t ref_e2m1_chain(float a) {
    uint32_t code = a > 0.25f ? 1 : 0;
    code += a >= 0.75f ? 1 : 0;
    code += a > 1.25f ? 1 : 0;
    code += a >= 1.75f ? 1 : 0;
    code += a > 2.5f ? 1 : 0;
    code += a >= 3.5f ? 1 : 0;
    code += a > 5.0f ? 1 : 0;
    return code;
}

enum { REF_RUN = 16 };
// The fp32 images of n <= REF_RUN elements from first, zeros behind them.
void ref_load_run(qp_dtype t, const void *base, int64_t first, int64_t n, uint32_t out[REF_RUN]);

// Integer nearest to f, ties to even; keeps the sign of zero, NaN and Inf.
float ref_rint(float f);
// E4M3 and E2M1 values as floats.
float ref_e4m3_value(uint8_t code);
static inline float ref_e2m1_magnitude(uint32_t code) { // 0..7 -> 0 .. 6
    static const float values[8] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
    return values[code & 7];
}

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
// How many amax the first n_rows rows have.
int64_t ref_grain_count(const ref_grain *g, int64_t n_rows);
// Is row the first that meets the amax of its segments (so that an amax is counted once)?
bool ref_grain_starts(const ref_grain *g, int64_t row);

// ---- NVFP4 block scales (numerics 4.3-4.5), per tensor constants first
// --------------------------------------------------

typedef struct ref_nv {
    qp_engine engine; // who divides by numbers
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
// Its two halves: what E4M3 encodes, and all that follows from it.
float ref_nv_fake_quotient(const ref_nv *nv, float block_amax);
ref_nv_scale ref_nv_fake_scale_at(const ref_nv *nv, float quotient);
// The answer to x whose magnitude over the scale is q.
float ref_nv_answer(float x, float q, float scale);
// What |x| is divided by; static: 1 where the scale is Inf or NaN. (A static scale of 0 answers +0.)
float ref_nv_divisor(const ref_nv *nv, float scale);
ref_nv_scale ref_nv_pack_scale(const ref_nv *nv, float block_amax);
// max |x| of n elements from first; NaN elements ignored (Triton) or winning (torch).
float ref_block_amax(qp_dtype dtype, const void *x, int64_t first, int64_t n, bool nan_wins);

// ---- MX: elements of a small type, a power of two per block (numerics 5.0-5.3)
// -----------------------------------------------

typedef struct ref_mx {
    qp_format format;
    float max;                       // largest magnitude of the element type
    uint8_t (*encode)(uint32_t f32); // RNE, saturating; floats with the sign of the image, INT8 a magnitude
    uint32_t (*decode)(uint8_t code);
    uint8_t sign; // the sign bit of a code; 0: two's complement
    int mant, bias;
    uint32_t max_code;
} ref_mx;

typedef struct ref_mx_scale {
    float ratio; // amax / max, from which byte is rounded up
    uint8_t byte;
    float scale, unscale; // 2^-k, 2^k
} ref_mx_scale;

const ref_mx *ref_mx_of(qp_format format);
// The rule of 5.0; flush: subnormal floats become zeros of their sign.
ref_mx_scale ref_mx_scale_of(const ref_mx *mx, float amax, bool flush);
// What follows from the quotient amax / max.
ref_mx_scale ref_mx_scale_at(float ratio, bool flush);
// The block maximum that the rule takes, and the answer to x, both of flushed values where flush says so.
float ref_mx_amax(const ref_spec *s, const void *x, int64_t first, int64_t n, bool flush);
uint32_t ref_mx_answer(const ref_mx *mx, const ref_mx_scale *s, float x, bool flush, qp_coverage *cov);
// The same for NVFP4 in that extension (4.7): lu is amax/6, inverse 6/global_amax.
typedef struct ref_ext_scale {
    float scale, unscale;
    float quotient; // what E4M3 encodes
    uint8_t code;
} ref_ext_scale;
bool ref_ext_is_plain(float global_amax, float block_amax); // one of them 0, Inf or NaN: the scale is 1
ref_ext_scale ref_ext_scale_at(float lu, float inverse);
uint32_t ref_ext_answer(const ref_ext_scale *s, float x, qp_coverage *cov);
// The code of a magnitude with a sign.
uint8_t ref_mx_signed(const ref_mx *mx, uint8_t code, bool negative);
// Does the byte of ratio change right above it?
bool ref_mx_ratio_is_tie(float ratio);
void ref_cover_mx(qp_coverage *cov, const ref_mx *mx, uint32_t quotient, uint8_t code);
void ref_cover_mx_scale(qp_coverage *cov, uint8_t byte, bool tie, bool zero_block);

static inline float ref_flush(float f) {
    const uint32_t image = ref_image(f);
    return ref_abs(image) < 0x00800000u ? ref_float(image & 0x80000000u) : f;
}

// ---- the ops per format family, as engines.c lists them
// ----------------------------------------------------------------------------------------------

typedef void ref_fakequant_fn(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, void *y,
                              uint32_t *block_scale, qp_coverage *cov);
typedef void ref_quant_fn(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, uint8_t *codes,
                          void *scales, void *values, qp_coverage *cov);
typedef void ref_dequant_fn(const ref_spec *s, qp_dtype out, int64_t n_rows, const uint8_t *codes,
                            const void *scales, uint32_t weight_scale_2, void *values);

ref_fakequant_fn ref_fakequant_int, ref_fakequant_fp8, ref_fakequant_nvfp4;
ref_quant_fn ref_quant_nvfp4, ref_quant_real, ref_quant_int4, ref_quant_awq;
ref_dequant_fn ref_dequant_nvfp4, ref_dequant_real, ref_dequant_int4, ref_dequant_awq, ref_dequant_nf4;
// dialects of others: shapes and checkpoints 2.3, 2.4
ref_quant_fn ref_quant_ct, ref_quant_ct_nvfp4, ref_quant_deepseek;
ref_dequant_fn ref_dequant_ct, ref_dequant_ct_nvfp4, ref_dequant_deepseek;
uint32_t ref_ct_global_scale(const ref_spec *s);

ref_fakequant_fn ref_fakequant_mx, ref_fakequant_nvfp4_mx_ext;
ref_quant_fn ref_quant_mx;
ref_dequant_fn ref_dequant_mx;

// ---- packing
// --------------------------------------------------------------------------------------------------------------

// Column col of a row of nibbles.
void ref_put_nibble(uint8_t *row, int64_t col, uint8_t nibble, bool even_high);
uint8_t ref_get_nibble(const uint8_t *row, int64_t col, bool even_high);

// ---- coverage: NULL means nobody asked
// ------------------------------------------------------------------------------------

void ref_cover_input(qp_coverage *cov, uint32_t x);
// t: before rounding; level: the answer; lo, hi: the lowest and highest level; mask: the bits of a code.
void ref_cover_int(qp_coverage *cov, float t, float level, float lo, float hi, uint8_t mask);
void ref_cover_e4m3(qp_coverage *cov, uint32_t quotient, uint8_t code);
void ref_cover_e2m1(qp_coverage *cov, uint32_t quotient, uint8_t nibble);
void ref_cover_scale(qp_coverage *cov, uint32_t quotient, uint8_t code, bool zero_block);

#endif
