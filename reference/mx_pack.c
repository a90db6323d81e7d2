// SPDX-License-Identifier: Apache-2.0
// MX real quantization: an E8M0 byte per block, a code per element, dequantized values.
//
// ieee                 the scale, codes and signs of fake-quant (mx.c): dequantized, they are its answer, but
//                      for the sign of zeros in INT8
// torch-cpu, -cuda     mxfp4: numerics 5.1, ties go down, zero is nibble 8; mxfp8-e4m3: 5.2
// compressed-tensors   mxfp4, mxfp6-e2m3, mxfp8-e4m3: floor(log2 amax) and a carry (shapes spec, 2.3)
#include "ref_internal.h"

// What a block is divided by, and the byte that says so.
typedef struct block_scale {
    uint8_t byte;
    float divisor; // 2^k; not the value of byte where a block has no scale (Inf, NaN)
    bool tie;      // a step more of amax, and the byte is another
} block_scale;

typedef block_scale scale_fn(const ref_spec *s, const ref_mx *mx, float amax);
typedef uint8_t encode_fn(const ref_mx *mx, float x, float z); // z = x / 2^k

static float power(uint8_t byte) {
    return ref_float(ref_e8m0_decode(byte));
}

static block_scale ieee_scale(const ref_spec *s, const ref_mx *mx, float amax) {
    (void)s;
    const bool inf = ref_is_inf(ref_image(amax));
    const ref_mx_scale scale = ref_mx_scale_of(mx, inf ? REF_FLT_MAX : amax, false);
    return (block_scale){scale.byte, scale.unscale, ref_mx_ratio_is_tie(scale.ratio)};
}

static uint8_t exponent_byte(int k) {
    return (uint8_t)(k < -127 ? 0 : k > 127 ? REF_E8M0_MAX : k + 127);
}

// 5.1: nothing guards Inf and NaN, which leave the block without a scale; the byte is that of x86, where a
// float that fits no integer becomes 0.
static block_scale torch_fp4_scale(const ref_spec *s, const ref_mx *mx, float amax) {
    const float d = ref_over(s->engine, amax, mx->max);
    if (ref_abs(ref_image(d)) >= REF_F32_INF) return (block_scale){0, d, false};
    const uint8_t byte = exponent_byte(ref_ceil_log2f(ref_image(d)));
    return (block_scale){byte, power(byte), ref_mx_ratio_is_tie(d)};
}

// 5.2: NaN is not above zero and takes the lowest exponent, Inf the highest.
static block_scale torch_fp8_scale(const ref_spec *s, const ref_mx *mx, float amax) {
    const float d = ref_over(s->engine, amax, mx->max);
    const uint8_t byte = d > 0.0f ? exponent_byte(ref_ceil_log2f(ref_image(d))) : 0;
    return (block_scale){byte, power(byte), ref_mx_ratio_is_tie(d)};
}

// amax is rounded to a power of two in its own type: up from the mantissa 1.75 on (FP6: 1.9375), else down. A
// type that cannot hold 2^k gets 1 in its place. A power that overflows leaves the block without a scale, and
// its byte is the one of x86.
static block_scale ct_scale(const ref_spec *s, const ref_mx *mx, float amax) {
    const int mant = s->dtype == QP_BF16 ? 7 : s->dtype == QP_FP16 ? 10 : 23;
    const bool fp6 = mx->format == QP_MXFP6_E2M3;
    const uint32_t fraction = (1u << mant) - 1, carry = 1u << (mant - (fp6 ? 4 : 2));
    const uint32_t bits = ref_from_f32(s->dtype, ref_image(amax));
    const uint32_t rounded = ref_to_f32(s->dtype, (bits + carry) & ~fraction);
    if (rounded >= REF_F32_INF) return (block_scale){REF_E8M0_ONE, ref_float(REF_F32_INF), false};
    const int offset = mx->format == QP_MXFP8_E4M3 ? 8 : 2; // floor(log2 of the largest element)
    const int field = (int)(rounded >> 23) - offset;
    uint8_t byte = (uint8_t)(field > 0 ? field : 0);
    if (ref_as(s->dtype, power(byte)) == 0.0f) byte = REF_E8M0_ONE;
    return (block_scale){byte, power(byte), (bits & fraction) + carry == fraction + 1};
}

static uint8_t as_fakequant(const ref_mx *mx, float x, float z) {
    return ref_mx_signed(mx, mx->encode(ref_abs(ref_image(z))), !(x > 0.0f));
}

static uint8_t nearest_even(const ref_mx *mx, float x, float z) {
    (void)x;
    return mx->encode(ref_image(z));
}

// The zero point of a symmetric scheme is added as a zero: -0 becomes +0, a negative value that rounds to
// zero keeps its sign.
static uint8_t nearest_even_of_sum(const ref_mx *mx, float x, float z) {
    (void)x;
    return mx->encode(ref_image(z + 0.0f));
}

// 5.1: how many bounds lie strictly below |z|, so that every tie goes down; the sign bit is clear only above
// zero. NaN passes no bound.
static uint8_t fp4_ties_down(const ref_mx *mx, float x, float z) {
    (void)x;
    static const float bounds[] = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f};
    const float a = ref_float(ref_abs(ref_image(z)));
    uint8_t code = 0;
    for (int i = 0; i < QP_COUNT(bounds); i++) code = (uint8_t)(code + (a > bounds[i]));
    return z > 0.0f ? code : code | mx->sign;
}

// The sign is that of the quotient, by comparison: -0 has none, a negative value that rounds to zero keeps
// it.
static uint8_t fp4_sign_by_comparison(const ref_mx *mx, float x, float z) {
    (void)x;
    const uint8_t magnitude = mx->encode(ref_abs(ref_image(z)));
    return z < 0.0f ? magnitude | mx->sign : magnitude;
}

// ---- which rule
// ------------------------------------------------------------------------------------------------------------

typedef struct pack_rule {
    scale_fn *scale;
    encode_fn *encode;
    bool nan_wins;    // in the maximum of the block
    bool ff_is_2_128; // dequantize: byte ff is Inf, not NaN
    bool rounds;      // the quotient to the type of x: what becomes zero there has no sign to compare
} pack_rule;

static const pack_rule ieee = {ieee_scale, as_fakequant, false, false, false},
                       torch_fp4 = {torch_fp4_scale, fp4_ties_down, true, true, false},
                       torch_fp8 = {torch_fp8_scale, nearest_even, true, true, false},
                       ct_fp4 = {ct_scale, fp4_sign_by_comparison, true, true, true},
                       ct_fp6 = {ct_scale, nearest_even, true, true, true},
                       ct_fp8 = {ct_scale, nearest_even_of_sum, true, true, true};

static const pack_rule *rule_of(const ref_spec *s) {
    const bool fp4 = s->format == QP_MXFP4;
    if (ref_is_torch(s->engine)) return fp4 ? &torch_fp4 : &torch_fp8;
    if (s->engine == QP_ENGINE_COMPRESSED_TENSORS)
        return fp4 ? &ct_fp4 : s->format == QP_MXFP6_E2M3 ? &ct_fp6 : &ct_fp8;
    return &ieee;
}

static float multiplier(const pack_rule *rule, uint8_t byte) {
    return byte == REF_E8M0_NAN && rule->ff_is_2_128 ? ref_float(REF_F32_INF) : power(byte);
}

// ---- a tensor
// --------------------------------------------------------------------------------------------------------------

static void put_code(const ref_mx *mx, uint8_t *row, int64_t col, uint8_t code) {
    if (mx->format == QP_MXFP4)
        ref_put_nibble(row, col, code, false);
    else
        row[col] = code;
}

static int64_t row_bytes(const ref_spec *s) {
    return s->format == QP_MXFP4 ? (s->cols + 1) / 2 : s->cols;
}

void ref_quant_mx(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, uint8_t *codes,
                  void *scales, void *values, qp_coverage *cov) {
    (void)row0; // nothing here belongs to the whole tensor
    const ref_mx *mx = ref_mx_of(s->format);
    const pack_rule *rule = rule_of(s);
    const ref_grain g = ref_grain_of_spec(s);
    for (int64_t r = 0; r < n_rows; r++) {
        uint8_t *row = codes + r * row_bytes(s);
        for (int64_t seg = 0; seg < g.n_segs; seg++) {
            const int64_t col0 = seg * g.width, end = col0 + g.width, col1 = end < s->cols ? end : s->cols;
            const float amax = ref_block_amax(s->dtype, x, r * s->cols + col0, col1 - col0, rule->nan_wins);
            const block_scale scale = rule->scale(s, mx, amax);
            const float back = multiplier(rule, scale.byte);
            ((uint8_t *)scales)[r * g.n_segs + seg] = scale.byte;
            ref_cover_mx_scale(cov, scale.byte, scale.tie, amax == 0.0f);
            for (int64_t c = col0; c < col1; c++) {
                const uint32_t in = ref_load_f32(s->dtype, x, r * s->cols + c);
                const float quotient = ref_float(in) / scale.divisor;
                const float z = rule->rounds ? ref_as(s->dtype, quotient) : quotient;
                const uint8_t code = rule->encode(mx, ref_float(in), z);
                const float value = ref_float(mx->decode(code)) * back;
                ref_cover_input(cov, in);
                ref_cover_mx(cov, mx, ref_image(z), code);
                put_code(mx, row, c, code);
                if (values != NULL) ref_store_f32(s->dtype, values, r * s->cols + c, ref_image(value));
            }
            // An odd row of nibbles ends in one of padding, which is quantized like any zero.
            if (mx->format == QP_MXFP4 && col1 == s->cols && col1 % 2 == 1)
                put_code(mx, row, col1, rule->encode(mx, 0.0f, 0.0f / scale.divisor));
        }
    }
}

void ref_dequant_mx(const ref_spec *s, qp_dtype out, int64_t n_rows, const uint8_t *codes, const void *scales,
                    uint32_t weight_scale_2, void *values) {
    (void)weight_scale_2; // one level of scales
    const ref_mx *mx = ref_mx_of(s->format);
    const pack_rule *rule = rule_of(s);
    const ref_grain g = ref_grain_of_spec(s);
    const uint8_t *bytes = scales;
    for (int64_t r = 0; r < n_rows; r++) {
        const uint8_t *row = codes + r * row_bytes(s);
        for (int64_t c = 0; c < s->cols; c++) {
            const uint8_t code = mx->format == QP_MXFP4 ? ref_get_nibble(row, c, false) : row[c];
            const float back = multiplier(rule, bytes[ref_amax_index(&g, r, c / g.width)]);
            const float value = ref_float(mx->decode(code)) * back;
            ref_store_f32(out, values, r * s->cols + c, ref_image(value));
        }
    }
}
