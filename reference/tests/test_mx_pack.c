// SPDX-License-Identifier: Apache-2.0
// MX real quantization: dequantized it is fake-quant (ieee), the torch tensors against a second computation
// (rounded log2, ties down) and their traps 9 and 14, the dialect of compressed-tensors, packing.
#include <float.h>

#include "tests/mx_kit.h"

enum { ROWS = 40, COLS = 77, NB = 3, PITCH = COLS };

static const qp_engine IEEE = QP_ENGINE_IEEE, TORCH = QP_ENGINE_TORCH_CPU, CUDA = QP_ENGINE_TORCH_CUDA,
                       CT = QP_ENGINE_COMPRESSED_TENSORS;

static void fill(const mx_kit *k, qp_dtype t, uint64_t seed, void *x) {
    for (int i = 0; i < ROWS * COLS; i++)
        ref_store_f32(
            t, x, i,
            mx_sample(k, seed * 1000 + (uint64_t)(i / COLS * NB + i % COLS / 32), (uint64_t)(i % COLS % 32)));
}

static ref_spec spec(qp_format f, qp_engine e, qp_dtype t) {
    return (ref_spec){.format = f, .engine = e, .dtype = t, .rows = ROWS, .cols = COLS};
}

static const mx_kit *kit_of(qp_format f) {
    for (int i = 0; i < QP_COUNT(mx_kits); i++)
        if (mx_kits[i].format == f) return &mx_kits[i];
    return NULL;
}

// ---- ieee
// ------------------------------------------------------------------------------------------------------------------

START_TEST(dequantized_ieee_codes_are_the_answer_of_fakequant) {
    static uint32_t x[ROWS * COLS], y[ROWS * COLS], values[ROWS * COLS], again[ROWS * COLS];
    static uint8_t codes[ROWS * PITCH], bytes[ROWS * NB];
    const mx_kit *k = &mx_kits[_i];
    for (qp_dtype t = QP_BF16; t <= QP_FP32; t++) {
        const ref_spec s = spec(k->format, IEEE, t);
        fill(k, t, 3, x);
        ref_fakequant(&s, 0, ROWS, x, y, NULL, NULL);
        ref_quant(&s, 0, ROWS, x, codes, bytes, values, NULL);
        ref_dequant(&s, t, ROWS, codes, bytes, 0, again);
        for (int i = 0; i < ROWS * COLS; i++) {
            const uint32_t in = ref_load_f32(t, x, i), want = ref_load_f32(t, y, i);
            const uint32_t value = ref_load_f32(t, values, i), back = ref_load_f32(t, again, i);
            // Two's complement has one zero.
            const bool zero = k->format == QP_MXINT8 && want == 0x80000000;
            must(value == (zero ? 0 : want), "values", qp_format_get(k->format)->name, in);
            must(back == value, "dequantized", qp_format_get(k->format)->name, in);
        }
    }
}
END_TEST

typedef struct real {
    qp_format format;
    qp_engine engine;
} real;

static const real reals[] = {{QP_MXFP4, QP_ENGINE_TORCH_CPU},
                             {QP_MXFP4, QP_ENGINE_TORCH_CUDA},
                             {QP_MXFP8_E4M3, QP_ENGINE_TORCH_CPU},
                             {QP_MXFP8_E4M3, QP_ENGINE_TORCH_CUDA},
                             {QP_MXFP4, QP_ENGINE_COMPRESSED_TENSORS},
                             {QP_MXFP6_E2M3, QP_ENGINE_COMPRESSED_TENSORS},
                             {QP_MXFP8_E4M3, QP_ENGINE_COMPRESSED_TENSORS}};

START_TEST(dequantize_gives_the_values_of_quantize) {
    static uint32_t x[ROWS * COLS], values[ROWS * COLS], again[ROWS * COLS];
    static uint8_t codes[ROWS * PITCH], bytes[ROWS * NB];
    for (qp_dtype t = QP_BF16; t <= QP_FP32; t++) {
        const ref_spec s = spec(reals[_i].format, reals[_i].engine, t);
        fill(kit_of(s.format), t, 5, x);
        ref_quant(&s, 0, ROWS, x, codes, bytes, values, NULL);
        ref_dequant(&s, t, ROWS, codes, bytes, 0, again);
        ck_assert_mem_eq(values, again, ROWS * COLS * qp_dtype_bytes(t));
    }
}
END_TEST

// ---- torch, a second computation
// -------------------------------------------------------------------------------------------

static int torch_byte(const mx_kit *k, const uint32_t *x, int n, bool cuda, bool *lost) {
    float amax = 0;
    for (int i = 0; i < n; i++) {
        const float a = (float)fabs(mx_double(x[i]));
        if (a > amax || isnan(a)) amax = a;
        if (isnan(a)) break;
    }
    const float reciprocal = 1.0f / (float)k->max;
    const float d = cuda ? amax * reciprocal : amax / (float)k->max;
    const bool fp4 = k->format == QP_MXFP4;
    *lost = fp4 && !(d <= FLT_MAX);
    if (*lost || !(d > 0)) return 0;
    if (isinf(d)) return 254;
    const int e = (int)ceil((float)log2(d));
    return e < -127 ? 0 : e + 127;
}

static int torch_code(const mx_kit *k, uint32_t x, int byte, bool lost) {
    const float z = (float)ldexp(mx_double(x), 127 - byte); // may become a zero
    if (k->format == QP_MXFP4) // the sign bit of zero is set; so is it where the scale is Inf or NaN
        return lost ? 8 : mx_nearest(k, fabs(z), -1) | (z > 0 ? 0 : 8);
    if (isnan(z)) return 0x7f;
    return (isinf(z) ? k->n - 1 : mx_nearest(k, fabs(z), 0)) | (x >> 31 ? 0x80 : 0);
}

START_TEST(torch_tensors_have_the_codes_of_the_search) {
    static uint32_t x[ROWS * COLS];
    static uint8_t codes[ROWS * PITCH], bytes[ROWS * NB];
    const mx_kit *k = kit_of(reals[_i].format);
    const bool fp4 = k->format == QP_MXFP4;
    int64_t n = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        const qp_dtype t = (qp_dtype)(seed % 3);
        const ref_spec s = spec(k->format, reals[_i].engine, t);
        fill(k, t, 100 + seed, x);
        ref_quant(&s, 0, ROWS, x, codes, bytes, NULL, NULL);
        for (int b = 0; b < ROWS * NB; b++) {
            uint32_t in[32];
            const int row = b / NB, c0 = b % NB * 32, m = COLS - c0 < 32 ? COLS - c0 : 32;
            bool lost;
            for (int i = 0; i < m; i++) in[i] = ref_load_f32(t, x, row * COLS + c0 + i);
            const int byte = torch_byte(k, in, m, reals[_i].engine == QP_ENGINE_TORCH_CUDA, &lost);
            must(bytes[b] == byte, "another scale", qp_format_get(k->format)->name, in[0]);
            for (int i = 0; i < m; i++) {
                const int at = c0 + i;
                const uint8_t *bits = codes + row * (fp4 ? (COLS + 1) / 2 : COLS);
                const int got = !fp4 ? bits[at] : at % 2 == 0 ? bits[at / 2] & 15 : bits[at / 2] >> 4;
                must(got == torch_code(k, in[i], byte, lost), "another code", qp_format_get(k->format)->name,
                     in[i]);
                n++;
            }
        }
    }
    printf("%s %s: %lld codes\n", qp_format_get(k->format)->name, qp_engine_name(reals[_i].engine),
           (long long)n);
}
END_TEST

// ---- by name
// ----------------------------------------------------------------------------------------------------------------

// The byte of a block with the values x (zeros behind them), and its codes.
static uint8_t one_block(qp_format f, qp_engine e, qp_dtype t, const uint32_t *x, int n, uint8_t *codes) {
    uint32_t in[32] = {0};
    uint8_t byte = 0xee;
    const ref_spec s = {.format = f, .engine = e, .dtype = t, .rows = 1, .cols = 32};
    for (int i = 0; i < 32; i++) ref_store_f32(t, in, i, i < n ? x[i] : 0);
    ref_quant(&s, 0, 1, in, codes, &byte, NULL, NULL);
    return byte;
}

static uint8_t byte_of(qp_format f, qp_engine e, uint32_t amax) {
    uint8_t codes[32];
    return one_block(f, e, QP_FP32, &amax, 1, codes);
}

static void codes_are(const uint8_t *codes, int n, const char *want, const char *what) {
    for (int i = 0; i < n; i++) {
        char got[3];
        snprintf(got, sizeof got, "%02x", codes[i]);
        ck_assert_msg(strncmp(got, want + 3 * i, 2) == 0, "%s: code byte %d: want %.2s, got %s", what, i,
                      want + 3 * i, got);
    }
}

START_TEST(trap_09_ties_go_down_in_the_real_mxfp4_tensor_and_zero_is_nibble_8) {
    // scale 1; .75 1.75 3.5 / .25 1.25 2.5 5, their negatives, zeros
    const uint32_t x[] = {0x40c00000, 0x3f400000, 0x3fe00000, 0x40600000, 0x3e800000, 0x3fa00000,
                          0x40200000, 0x40a00000, 0xbf400000, 0xbe800000, 0x80000000, 0x00000000};
    uint8_t codes[16];
    for (int e = 0; e < 2; e++) {
        ck_assert_uint_eq(one_block(QP_MXFP4, e ? CUDA : TORCH, QP_FP32, x, 12, codes), 0x7f);
        codes_are(codes, 7, "17 53 20 64 89 88 88", "torch");
    }
    ck_assert_uint_eq(one_block(QP_MXFP4, IEEE, QP_FP32, x, 12, codes), 0x7f);
    codes_are(codes, 7, "27 64 20 64 8a 88 88", "ieee"); // to even; zero has the sign of fake-quant
    ck_assert_uint_eq(one_block(QP_MXFP4, CT, QP_FP32, x, 12, codes), 0x7f);
    codes_are(codes, 7, "27 64 20 64 8a 00 00", "compressed-tensors"); // -0 has no sign there
}
END_TEST

START_TEST(trap_14_a_rounded_log2_takes_the_smaller_exponent) {
    ck_assert_uint_eq(byte_of(QP_MXFP4, IEEE, 0x3bc00001), 0x76);
    ck_assert_uint_eq(byte_of(QP_MXFP4, TORCH, 0x3bc00001), 0x75);
    ck_assert_uint_eq(byte_of(QP_MXFP4, CUDA, 0x3bc00001), 0x75);
    ck_assert_uint_eq(byte_of(QP_MXFP4, TORCH, 0x3bc00003), 0x75); // the quotient is 2 steps above 2^-10
    ck_assert_uint_eq(byte_of(QP_MXFP4, TORCH, 0x3bc00004), 0x76); // 3 steps
    ck_assert_uint_eq(byte_of(QP_MXFP4, TORCH, 0x40d00000), 0x80); // 6.5
    ck_assert_uint_eq(byte_of(QP_MXFP4, CT, 0x40d00000), 0x7f);    // floor: 6.5 saturates
    // 17 steps above 6 * 2^-64: after a division the quotient is 11 steps above 2^-64, after a product 12
    ck_assert_uint_eq(byte_of(QP_MXFP4, TORCH, 0x20c00011), 0x3f);
    ck_assert_uint_eq(byte_of(QP_MXFP4, CUDA, 0x20c00011), 0x40);
}
END_TEST

START_TEST(zero_blocks_have_the_scale_of_their_engine) {
    uint8_t codes[32];
    static const struct {
        qp_format format;
        qp_engine engine;
        qp_dtype dtype;
        uint8_t byte, code;
    } rows[] = {{QP_MXFP4, QP_ENGINE_IEEE, QP_BF16, 0x7f, 0x88},
                {QP_MXFP4, QP_ENGINE_TORCH_CPU, QP_BF16, 0x00, 0x88},
                {QP_MXFP8_E4M3, QP_ENGINE_IEEE, QP_FP32, 0x7f, 0x80},
                {QP_MXFP8_E4M3, QP_ENGINE_TORCH_CPU, QP_FP32, 0x00, 0x00},
                {QP_MXFP8_E4M3, QP_ENGINE_TORCH_CUDA, QP_FP16, 0x00, 0x00},
                {QP_MXFP6_E3M2, QP_ENGINE_IEEE, QP_FP16, 0x7f, 0x20},
                {QP_MXINT8, QP_ENGINE_IEEE, QP_BF16, 0x7f, 0x00},
                {QP_MXFP4, QP_ENGINE_COMPRESSED_TENSORS, QP_BF16, 0x00, 0x00},
                {QP_MXFP8_E4M3, QP_ENGINE_COMPRESSED_TENSORS, QP_FP16, 0x7f, 0x00}};
    for (int i = 0; i < QP_COUNT(rows); i++) {
        const uint8_t byte = one_block(rows[i].format, rows[i].engine, rows[i].dtype, NULL, 0, codes);
        ck_assert_msg(byte == rows[i].byte && codes[0] == rows[i].code, "row %d: %02x %02x", i, byte,
                      codes[0]);
    }
}
END_TEST

// As Model Optimizer 0.47.0 with torch 2.13.0 gives them on a CPU: 1, -2, the special, 1e-30, -1e-30, zeros.
START_TEST(inf_and_nan_of_the_torch_tensors_are_as_recorded) {
    static const struct {
        uint32_t special;
        uint8_t fp8_byte;
        const char *fp8_codes;
    } rows[] = {{0x7f800000, 0xfe, "00 80 7e 00 80 00"},
                {0xff800000, 0xfe, "00 80 fe 00 80 00"},
                {0x7fc00000, 0x00, "7e fe 7f 7e fe 00"}};
    for (int i = 0; i < QP_COUNT(rows); i++) {
        const uint32_t x[] = {0x3f800000, 0xc0000000, rows[i].special, 0x0da24260, 0x8da24260};
        uint8_t codes[32];
        ck_assert_uint_eq(one_block(QP_MXFP4, TORCH, QP_FP32, x, 5, codes), 0);
        codes_are(codes, 4, "88 88 88 88", "mxfp4");
        ck_assert_uint_eq(one_block(QP_MXFP8_E4M3, TORCH, QP_FP32, x, 5, codes), rows[i].fp8_byte);
        codes_are(codes, 6, rows[i].fp8_codes, "mxfp8");
    }
}
END_TEST

// As compressed-tensors 0.20.0 gives them: amax, -amax/64, -0, -1e-30, zeros; a carry from 1.75 on (FP6:
// 1.9375).
START_TEST(compressed_tensors_rounds_amax_down_to_a_power_and_carries_late) {
    static const struct {
        qp_format format;
        uint32_t amax;
        uint8_t byte;
        const char *codes;
    } rows[] = {{QP_MXFP4, 0x3f800000, 0x7d, "86 80"},
                {QP_MXFP4, 0x3fc00000, 0x7d, "87 80"},
                {QP_MXFP4, 0x3fdf0000, 0x7d, "87 80"},
                {QP_MXFP4, 0x3fe00000, 0x7e, "86 80"},
                {QP_MXFP6_E2M3, 0x3f800000, 0x7d, "18 20 20 20"},
                {QP_MXFP6_E2M3, 0x3ff70000, 0x7d, "1f 21 20 20"},
                {QP_MXFP6_E2M3, 0x3ff80000, 0x7e, "18 20 20 20"},
                {QP_MXFP8_E4M3, 0x3fdf0000, 0x77, "7e ce 00 80"},
                {QP_MXFP8_E4M3, 0x3fe00000, 0x78, "76 c6 00 80"},
                {QP_MXFP8_E4M3, 0x3ff80000, 0x78, "78 c8 00 80"}};
    for (int i = 0; i < QP_COUNT(rows); i++)
        for (qp_dtype t = QP_BF16; t <= QP_FP32; t++) {
            if (t == QP_FP16) continue; // 1e-30 is not one of its values
            const uint32_t x[] = {rows[i].amax, ref_mul(rows[i].amax, 0xbc800000), 0x80000000, 0x8da24260};
            uint8_t codes[32];
            const uint8_t byte = one_block(rows[i].format, CT, t, x, 4, codes);
            ck_assert_msg(byte == rows[i].byte, "row %d: %02x", i, byte);
            codes_are(codes, rows[i].format == QP_MXFP4 ? 2 : 4, rows[i].codes, "compressed-tensors");
        }
}
END_TEST

// The quotient is one of the type of x: -2^-24 over 2^7 is -0 in fp16, which has no sign in FP4 and FP8.
START_TEST(compressed_tensors_divides_in_the_type_of_x) {
    const uint32_t x[] = {0x44400000, 0xb3800000}; // 768, -2^-24
    uint8_t codes[32];
    ck_assert_uint_eq(one_block(QP_MXFP4, CT, QP_FP16, x, 2, codes), 0x86);
    ck_assert_uint_eq(codes[0], 0x07);
    one_block(QP_MXFP4, CT, QP_BF16, x, 2, codes);
    ck_assert_uint_eq(codes[0], 0x87);
    ck_assert_uint_eq(one_block(QP_MXFP8_E4M3, CT, QP_FP16, x, 2, codes), 0x80);
    ck_assert_uint_eq(codes[1], 0x00);
    one_block(QP_MXFP8_E4M3, CT, QP_BF16, x, 2, codes);
    ck_assert_uint_eq(codes[1], 0x80);
}
END_TEST

START_TEST(inf_has_the_code_of_the_largest_number_and_nan_that_of_its_type) {
    // 127 * 2^k of FLT_MAX is beyond fp32 in every format, so only codes can tell Inf from a saturated one
    static const uint8_t inf[] = {0x07, 0x1f, 0x1f, 0x7e, 0x7b, 0x7f},
                         minus_inf[] = {0x0f, 0x3f, 0x3f, 0xfe, 0xfb, 0x81},
                         nan[] = {0x0f, 0x3f, 0x3f, 0xff, 0xff, 0x00}; // "not above zero", so negative
    const uint32_t x[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000};
    uint8_t codes[32];
    one_block(mx_kits[_i].format, IEEE, QP_FP32, x, 4, codes);
    if (mx_kits[_i].format == QP_MXFP4) {
        ck_assert_uint_eq(codes[0], inf[_i] | minus_inf[_i] << 4);
        ck_assert_uint_eq(codes[1], nan[_i] | nan[_i] << 4);
        return;
    }
    ck_assert_uint_eq(codes[0], inf[_i]);
    ck_assert_uint_eq(codes[1], minus_inf[_i]);
    ck_assert_uint_eq(codes[2], nan[_i]);
    ck_assert_uint_eq(codes[3], nan[_i]);
}
END_TEST

START_TEST(an_odd_row_of_nibbles_ends_in_a_quantized_zero) {
    static const qp_engine engines[] = {QP_ENGINE_IEEE, QP_ENGINE_TORCH_CPU, QP_ENGINE_COMPRESSED_TENSORS};
    static const uint8_t pads[] = {0x80, 0x80, 0x00};
    const uint32_t x[6] = {0x3f800000, 0x3f800000, 0x40c00000, 0x3f000000, 0x3f800000, 0xc0c00000};
    for (int e = 0; e < 3; e++) {
        uint8_t codes[4], bytes[2];
        const ref_spec s = {.format = QP_MXFP4, .engine = engines[e], .dtype = QP_FP32, .rows = 2, .cols = 3};
        ref_quant(&s, 0, 2, x, codes, bytes, NULL, NULL);
        ck_assert_uint_eq(codes[0], 0x22);
        ck_assert_uint_eq(codes[1], pads[e] | 7);
        ck_assert_uint_eq(codes[2], 0x21);
        ck_assert_uint_eq(codes[3], pads[e] | 15);
    }
}
END_TEST

START_TEST(byte_ff_is_nan_under_ieee_and_a_power_beyond_fp32_elsewhere) {
    const uint8_t codes[2] = {0x72, 0x08}, byte = 0xff;
    uint32_t y[4];
    ref_spec s = {.format = QP_MXFP4, .engine = IEEE, .dtype = QP_FP32, .rows = 1, .cols = 4};
    ref_dequant(&s, QP_FP32, 1, codes, &byte, 0, y);
    for (int i = 0; i < 4; i++) ck_assert_uint_eq(y[i], 0x7fc00000);
    s.engine = TORCH;
    ref_dequant(&s, QP_FP32, 1, codes, &byte, 0, y);
    ck_assert(y[0] == 0x7f800000 && y[1] == 0x7f800000 && y[2] == 0x7fc00000 && y[3] == 0x7fc00000);
}
END_TEST

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    mx_kit_fill();
    Suite *s = suite_create("reference mx pack");
    TCase *t = tcase_create("mx pack");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, dequantized_ieee_codes_are_the_answer_of_fakequant, 0, QP_COUNT(mx_kits));
    tcase_add_loop_test(t, dequantize_gives_the_values_of_quantize, 0, QP_COUNT(reals));
    tcase_add_loop_test(t, torch_tensors_have_the_codes_of_the_search, 0, 4); // the torch rows
    tcase_add_test(t, trap_09_ties_go_down_in_the_real_mxfp4_tensor_and_zero_is_nibble_8);
    tcase_add_test(t, trap_14_a_rounded_log2_takes_the_smaller_exponent);
    tcase_add_test(t, zero_blocks_have_the_scale_of_their_engine);
    tcase_add_test(t, inf_and_nan_of_the_torch_tensors_are_as_recorded);
    tcase_add_test(t, compressed_tensors_rounds_amax_down_to_a_power_and_carries_late);
    tcase_add_test(t, compressed_tensors_divides_in_the_type_of_x);
    tcase_add_loop_test(t, inf_has_the_code_of_the_largest_number_and_nan_that_of_its_type, 0,
                        QP_COUNT(mx_kits));
    tcase_add_test(t, an_odd_row_of_nibbles_ends_in_a_quantized_zero);
    tcase_add_test(t, byte_ff_is_nan_under_ieee_and_a_power_beyond_fp32_elsewhere);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
