// SPDX-License-Identifier: Apache-2.0
// The rules of the MX formats with their hex, on cpu and simt: the power of two of a block, ties and ends of
// every element, zeros and NaN; fake-quant, pack under ieee, and torch's real tensors (numerics 5.0-5.3).
#include "tests/kit.h"

enum { N = 32 };

typedef struct answer {
    uint32_t y[N];
    uint8_t codes[N], scale;
} answer;

#define DEVICE_OR_RETURN(name)                                                                               \
    qp_device_kind d = (qp_device_kind)_i;                                                                   \
    if (d == QP_DEVICE_SIMT && kit_no_simt(name)) return

// One fp32 block; missing elements are zeros. Codes of MXFP4 come back one a byte.
static answer ask(qp_device_kind d, qp_op op, qp_format f, qp_engine e, const uint32_t *x, int n) {
    answer a;
    uint8_t packed[N];
    float xs[N] = {0};
    memset(&a, 0xee, sizeof a);
    memcpy(xs, x, (size_t)n * 4);
    qp_ktensor t = {.rows = 1, .cols = N, .ld = N, .x = xs, .y = a.y, .codes = packed, .scales = &a.scale};
    qp_launch l = {.op = op, .format = f, .engine = e, .dtype = QP_FP32, .n_tensors = 1, .tensors = &t};
    qp_err err = {0};
    qp_kernel_fn fn = kit_kernel(d, op, f);
    ck_assert(fn != NULL);
    ck_assert_msg(fn(&l, &err) == QP_OK, "%s", err.msg);
    for (int i = 0; i < N; i++)
        a.codes[i] = f != QP_MXFP4 ? packed[i] : (uint8_t)(packed[i / 2] >> (i % 2 ? 4 : 0) & 15);
    return a;
}

static uint8_t scale_of(qp_device_kind d, qp_format f, qp_engine e, uint32_t amax) {
    return ask(d, QP_OP_QUANT, f, e, &amax, 1).scale;
}

static void values_are(qp_device_kind d, qp_format f, const uint32_t *x, const uint32_t *want, int n) {
    answer a = ask(d, QP_OP_FAKEQUANT, f, QP_ENGINE_IEEE, x, n);
    for (int i = 0; i < n; i++)
        ck_assert_msg(a.y[i] == want[i], "%s element %d, x %08x: %08x, want %08x", qp_format_get(f)->name, i,
                      (unsigned)x[i], (unsigned)a.y[i], (unsigned)want[i]);
}

static void codes_are(qp_device_kind d, qp_format f, qp_engine e, const uint32_t *x, const uint8_t *want,
                      int n) {
    answer a = ask(d, QP_OP_QUANT, f, e, x, n);
    for (int i = 0; i < n; i++)
        ck_assert_msg(a.codes[i] == want[i], "%s %s element %d, x %08x: %02x, want %02x",
                      qp_format_get(f)->name, qp_engine_name(e), i, (unsigned)x[i], a.codes[i], want[i]);
}

START_TEST(trap_14_the_exponent_is_a_ceiling_and_torch_takes_that_of_a_rounded_log2) {
    DEVICE_OR_RETURN("trap_14_the_exponent_is_a_ceiling_and_torch_takes_that_of_a_rounded_log2");
    ck_assert_uint_eq(scale_of(d, QP_MXFP4, QP_ENGINE_IEEE, 0x3bc00001), 0x76);
    ck_assert_uint_eq(scale_of(d, QP_MXFP4, QP_ENGINE_TORCH_CPU, 0x3bc00001), 0x75);
    ck_assert_uint_eq(scale_of(d, QP_MXFP4, QP_ENGINE_IEEE, 0x40d00000), 0x80); // 6.5: the floor rule has 7f
    ck_assert_uint_eq(scale_of(d, QP_MXFP4, QP_ENGINE_TORCH_CPU, 0x40d00000), 0x80);
    // d = 6 * 2^k * (1 + n * 2^-23): how many n still belong to k depends on the size of k (numerics 5.0).
    static const struct {
        int k, n;
    } last[] = {{0, 0},   {-4, 0},  {4, 1},    {-8, 1},  {8, 2},    {-16, 2},  {16, 5},
                {-32, 5}, {32, 11}, {-64, 11}, {64, 22}, {-65, 22}, {-120, 22}};
    for (int i = 0; i < QP_COUNT(last); i++) {
        float d0 = kit_float((uint32_t)(last[i].k + 127) << 23);
        // The amax whose sixth is the wanted d: 6 d rounds to a number that divides back to d.
        for (int over = 0; over < 2; over++) {
            float want = kit_float(kit_bits(d0) + (uint32_t)(last[i].n + over)), amax = 6.0f * want;
            ck_assert(amax / 6.0f == want);
            ck_assert_msg(scale_of(d, QP_MXFP4, QP_ENGINE_TORCH_CPU, kit_bits(amax)) ==
                              last[i].k + 127 + over,
                          "2^%d, %d steps above", last[i].k, last[i].n + over);
        }
    }
}
END_TEST

START_TEST(each_format_fits_its_largest_number_and_one_step_more_doubles_the_scale) {
    DEVICE_OR_RETURN("each_format_fits_its_largest_number_and_one_step_more_doubles_the_scale");
    static const struct {
        qp_format f;
        float largest;
    } rows[] = {{QP_MXFP4, 6.0f},        {QP_MXFP6_E3M2, 28.0f},    {QP_MXFP6_E2M3, 7.5f},
                {QP_MXFP8_E4M3, 448.0f}, {QP_MXFP8_E5M2, 57344.0f}, {QP_MXINT8, 127.0f}};
    for (int i = 0; i < QP_COUNT(rows); i++) {
        uint32_t u = kit_bits(rows[i].largest);
        ck_assert_uint_eq(scale_of(d, rows[i].f, QP_ENGINE_IEEE, u), 0x7f);
        ck_assert_uint_eq(scale_of(d, rows[i].f, QP_ENGINE_IEEE, u | 0x80000000u), 0x7f);
        // The quotient of the next float up rounds above 1 as well, but for 7.5 and 127, whose next but one
        // does; two steps are enough for all.
        ck_assert_uint_eq(scale_of(d, rows[i].f, QP_ENGINE_IEEE, u + 2), 0x80);
        ck_assert_uint_eq(scale_of(d, rows[i].f, QP_ENGINE_IEEE, 0), 0x7f); // a block of zeros has scale 1
        ck_assert_uint_eq(scale_of(d, rows[i].f, QP_ENGINE_IEEE, 1), 0x00); // nothing below 2^-127
        ck_assert_uint_eq(scale_of(d, rows[i].f, QP_ENGINE_IEEE, 0x7fc00000), 0x7f); // a NaN is passed over
        ck_assert_uint_eq(scale_of(d, rows[i].f, QP_ENGINE_IEEE, 0x7f800000),        // Inf counts as FLT_MAX
                          scale_of(d, rows[i].f, QP_ENGINE_IEEE, 0x7f7fffff));
    }
    ck_assert_uint_eq(scale_of(d, QP_MXFP4, QP_ENGINE_IEEE, 0x7f800000), 0xfd);
    // 2^-127 and 2^-126: amax / 6 = 0x00400000 stays at byte 0, one step more is byte 1.
    ck_assert_uint_eq(scale_of(d, QP_MXFP4, QP_ENGINE_IEEE, kit_bits(6.0f * kit_float(0x00400000))), 0);
    ck_assert_uint_eq(scale_of(d, QP_MXFP4, QP_ENGINE_IEEE, kit_bits(6.0f * kit_float(0x00400001))), 1);
}
END_TEST

START_TEST(ties_go_to_even_in_every_element) {
    DEVICE_OR_RETURN("ties_go_to_even_in_every_element");
    // The first element sets the scale 1.
    static const float fp4[][2] = {{6, 6},     {.25f, 0}, {.75f, 1},   {1.25f, 1},
                                   {1.75f, 2}, {2.5f, 2}, {-3.5f, -4}, {5, 4}};
    static const float e3m2[][2] = {{28, 28},         {.03125f, 0}, {.09375f, .125f}, {.15625f, .125f},
                                    {.1875f, .1875f}, {22, 24},     {-26, -24},       {.28125f, .25f}};
    static const float e2m3[][2] = {{7.5f, 7.5f}, {.0625f, 0}, {.1875f, .25f}, {.3125f, .25f},
                                    {-7.25f, -7}, {.9375f, 1}, {4.25f, 4},     {4.75f, 5}};
    static const float e4m3[][2] = {{448, 448}, {0x1p-10f, 0}, {0x1.8p-9f, 0x1p-8f}, {17, 16},
                                    {19, 20},   {-17, -16},    {0x1.ep-7f, 0x1p-6f}, {432, 448}};
    static const float e5m2[][2] = {{57344, 57344}, {0x1p-17f, 0},    {0x1.8p-16f, 0x1p-15f}, {9, 8},
                                    {11, 12},       {-53248, -49152}, {0x1.cp-15f, 0x1p-14f}, {5, 5}};
    static const float int8[][2] = {{127, 127},  {.5f, 0},     {1.5f, 2},     {2.5f, 2},
                                    {-2.5f, -2}, {-127, -127}, {126.5f, 126}, {-.75f, -1}};
    static const struct {
        qp_format f;
        const float (*pairs)[2];
    } rows[] = {{QP_MXFP4, fp4},       {QP_MXFP6_E3M2, e3m2}, {QP_MXFP6_E2M3, e2m3},
                {QP_MXFP8_E4M3, e4m3}, {QP_MXFP8_E5M2, e5m2}, {QP_MXINT8, int8}};
    for (int r = 0; r < QP_COUNT(rows); r++) {
        uint32_t x[8], want[8];
        for (int i = 0; i < 8; i++) {
            x[i] = kit_bits(rows[r].pairs[i][0]);
            want[i] = kit_bits(rows[r].pairs[i][1]);
        }
        values_are(d, rows[r].f, x, want, 8);
    }
}
END_TEST

START_TEST(zeros_are_negative_and_a_nan_is_the_largest_number_or_stays) {
    DEVICE_OR_RETURN("zeros_are_negative_and_a_nan_is_the_largest_number_or_stays");
    static const uint32_t x[] = {0x3f800000, 0, 0x80000000, 0x7fc00000, 0xffc00000, 0x00000001, 0x80000001};
    static const struct {
        qp_format f;
        uint32_t one, nan;
    } rows[] = {// 1 is 4 * 2^-2, 16 * 2^-4 ...: always exact
                {QP_MXFP4, 0x3f800000, 0xbfc00000},      {QP_MXFP6_E3M2, 0x3f800000, 0xbfe00000},
                {QP_MXFP6_E2M3, 0x3f800000, 0xbff00000}, {QP_MXFP8_E4M3, 0x3f800000, 0x7fc00000},
                {QP_MXFP8_E5M2, 0x3f800000, 0x7fc00000}, {QP_MXINT8, 0x3f800000, 0x80000000}};
    for (int r = 0; r < QP_COUNT(rows); r++) {
        const uint32_t want[] = {rows[r].one, 0x80000000, 0x80000000, rows[r].nan,
                                 rows[r].nan, 0x00000000, 0x80000000};
        values_are(d, rows[r].f, x, want, QP_COUNT(want));
    }
    const uint32_t zeros[N] = {0};
    answer a = ask(d, QP_OP_FAKEQUANT, QP_MXFP4, QP_ENGINE_IEEE, zeros, N); // trap 15
    for (int i = 0; i < N; i++) ck_assert_uint_eq(a.y[i], 0x80000000);
}
END_TEST

START_TEST(a_packed_code_has_the_sign_of_fake_quant_and_the_form_of_its_element) {
    DEVICE_OR_RETURN("a_packed_code_has_the_sign_of_fake_quant_and_the_form_of_its_element");
    static const uint32_t fp4[] = {0x40c00000, 0xc0c00000, 0, 0x80000000, 0x3f400000, 0x7fc00000};
    static const uint8_t fp4_codes[] = {0x7, 0xf, 0x8, 0x8, 0x2, 0xf};
    codes_are(d, QP_MXFP4, QP_ENGINE_IEEE, fp4, fp4_codes, QP_COUNT(fp4));
    static const uint32_t e3m2[] = {0x41e00000, 0xc1e00000, 0x80000000, 0x3d800000, 0x7fc00000};
    static const uint8_t e3m2_codes[] = {0x1f, 0x3f, 0x20, 0x01, 0x3f};
    codes_are(d, QP_MXFP6_E3M2, QP_ENGINE_IEEE, e3m2, e3m2_codes, QP_COUNT(e3m2));
    static const uint32_t e2m3[] = {0x40f00000, 0xc0f00000, 0x3e000000, 0x3f800000};
    static const uint8_t e2m3_codes[] = {0x1f, 0x3f, 0x01, 0x08};
    codes_are(d, QP_MXFP6_E2M3, QP_ENGINE_IEEE, e2m3, e2m3_codes, QP_COUNT(e2m3));
    static const uint32_t e4m3[] = {0x43e00000, 0xc3e00000, 0x3b000000, 0x7fc00000, 0x7f800000};
    static const uint8_t e4m3_codes[] = {0x7e, 0xfe, 0x01, 0xff};
    codes_are(d, QP_MXFP8_E4M3, QP_ENGINE_IEEE, e4m3, e4m3_codes, 4);
    static const uint32_t e5m2[] = {0x47600000, 0xc7600000, 0x37800000, 0x7fc00000};
    static const uint8_t e5m2_codes[] = {0x7b, 0xfb, 0x01, 0xff};
    codes_are(d, QP_MXFP8_E5M2, QP_ENGINE_IEEE, e5m2, e5m2_codes, QP_COUNT(e5m2));
    static const uint32_t int8[] = {0x42fe0000, 0xc2fe0000, 0x80000000, 0xbf800000, 0x7fc00000};
    static const uint8_t int8_codes[] = {0x7f, 0x81, 0x00, 0xff, 0x00};
    codes_are(d, QP_MXINT8, QP_ENGINE_IEEE, int8, int8_codes, QP_COUNT(int8));
}
END_TEST

START_TEST(trap_9_torch_mxfp4_ties_go_down_and_every_zero_is_nibble_8) {
    DEVICE_OR_RETURN("trap_9_torch_mxfp4_ties_go_down_and_every_zero_is_nibble_8");
    for (int e = QP_ENGINE_TORCH_CPU; e <= QP_ENGINE_TORCH_CUDA;
         e += QP_ENGINE_TORCH_CUDA - QP_ENGINE_TORCH_CPU) {
        static const uint32_t x[] = {0x40c00000, 0x3f400000, 0x3fe00000, 0x40600000, 0xbf400000,
                                     0x3e800000, 0x40a00000, 0x00000000, 0x80000000, 0xc0c00000};
        static const uint8_t want[] = {0x7, 0x1, 0x3, 0x5, 0x9, 0x0, 0x6, 0x8, 0x8, 0xf};
        codes_are(d, QP_MXFP4, (qp_engine)e, x, want, QP_COUNT(x));
        // Inf or NaN in a block: byte 0 and nibbles 8 (numerics 5.1); a block of zeros: byte 0.
        const uint32_t inf[] = {0x3f800000, 0x7f800000}, nan[] = {0x3f800000, 0x7fc00000}, zero = 0;
        static const uint8_t eights[] = {8, 8};
        codes_are(d, QP_MXFP4, (qp_engine)e, inf, eights, 2);
        codes_are(d, QP_MXFP4, (qp_engine)e, nan, eights, 2);
        ck_assert_uint_eq(ask(d, QP_OP_QUANT, QP_MXFP4, (qp_engine)e, inf, 2).scale, 0);
        ck_assert_uint_eq(ask(d, QP_OP_QUANT, QP_MXFP4, (qp_engine)e, nan, 2).scale, 0);
        ck_assert_uint_eq(ask(d, QP_OP_QUANT, QP_MXFP4, (qp_engine)e, &zero, 1).scale, 0);
    }
}
END_TEST

START_TEST(torch_mxfp8_holds_its_exponent_and_saturates) {
    DEVICE_OR_RETURN("torch_mxfp8_holds_its_exponent_and_saturates");
    const uint32_t inf[] = {0x3f800000, 0x7f800000, 0xff800000}, nan[] = {0x3f800000, 0x7fc00000, 0xbf800000};
    answer a = ask(d, QP_OP_QUANT, QP_MXFP8_E4M3, QP_ENGINE_TORCH_CPU, inf, 3);
    ck_assert(a.scale == 254 && a.codes[0] == 0x00 && a.codes[1] == 0x7e && a.codes[2] == 0xfe);
    a = ask(d, QP_OP_QUANT, QP_MXFP8_E4M3, QP_ENGINE_TORCH_CPU, nan, 3);
    ck_assert(a.scale == 0 && a.codes[0] == 0x7e && a.codes[1] == 0x7f && a.codes[2] == 0xfe);
    const uint32_t zero = 0x80000000;
    a = ask(d, QP_OP_QUANT, QP_MXFP8_E4M3, QP_ENGINE_TORCH_CPU, &zero, 1);
    ck_assert(a.scale == 0 && a.codes[0] == 0x80 && a.codes[1] == 0x00);
}
END_TEST

static void value_is(qp_device_kind d, qp_format f, qp_engine e, uint8_t code, uint8_t scale, uint32_t want) {
    uint8_t codes[1] = {code}, scales[1] = {scale};
    uint32_t y = 0;
    qp_ktensor t = {.rows = 1, .cols = 1, .ld = 1, .y = &y, .codes = codes, .scales = scales};
    qp_launch l = {
        .op = QP_OP_DEQUANT, .format = f, .engine = e, .dtype = QP_FP32, .n_tensors = 1, .tensors = &t};
    ck_assert_int_eq(kit_kernel(d, QP_OP_DEQUANT, f)(&l, NULL), QP_OK);
    ck_assert_msg(y == want, "%s %s code %02x scale %02x: %08x, want %08x", qp_format_get(f)->name,
                  qp_engine_name(e), code, scale, (unsigned)y, (unsigned)want);
}

START_TEST(values_are_code_times_a_power_of_two_at_both_ends) {
    DEVICE_OR_RETURN("values_are_code_times_a_power_of_two_at_both_ends");
    value_is(d, QP_MXFP4, QP_ENGINE_IEEE, 0x07, 0x80, 0x41400000);
    value_is(d, QP_MXFP4, QP_ENGINE_IEEE, 0x08, 0x80, 0x80000000); // unlike NVFP4's table
    value_is(d, QP_MXFP4, QP_ENGINE_TORCH_CPU, 0x08, 0x80, 0x80000000);
    value_is(d, QP_MXFP4, QP_ENGINE_IEEE, 0x02, 0x00, 0x00400000); // 1 * 2^-127
    value_is(d, QP_MXFP4, QP_ENGINE_IEEE, 0x02, 0xff, 0x7fc00000);
    value_is(d, QP_MXFP4, QP_ENGINE_TORCH_CPU, 0x02, 0xff, 0x7f800000);
    value_is(d, QP_MXFP6_E3M2, QP_ENGINE_IEEE, 0x3f, 0x7f, 0xc1e00000);
    value_is(d, QP_MXFP6_E3M2, QP_ENGINE_IEEE, 0x01, 0x7f, 0x3d800000);
    value_is(d, QP_MXFP6_E2M3, QP_ENGINE_IEEE, 0x1f, 0x7f, 0x40f00000);
    value_is(d, QP_MXFP8_E4M3, QP_ENGINE_TORCH_CUDA, 0x01, 0x7f, 0x3b000000);
    value_is(d, QP_MXFP8_E4M3, QP_ENGINE_IEEE, 0x7f, 0x7f, 0x7fc00000);
    value_is(d, QP_MXFP8_E5M2, QP_ENGINE_IEEE, 0x7b, 0x7f, 0x47600000);
    value_is(d, QP_MXFP8_E5M2, QP_ENGINE_IEEE, 0x7c, 0x7f, 0x7f800000);
    value_is(d, QP_MXINT8, QP_ENGINE_IEEE, 0x81, 0x7e, 0xc27e0000);
    value_is(d, QP_MXINT8, QP_ENGINE_IEEE, 0x80, 0x7f, 0xc3000000);
}
END_TEST

START_TEST(the_gradient_of_an_mx_format_always_passes) {
    DEVICE_OR_RETURN("the_gradient_of_an_mx_format_always_passes");
    uint16_t g[3] = {0x7fc1, 0x8000, 0x4000}, y[3] = {0};
    qp_ktensor t = {.rows = 1, .cols = 3, .ld = 3, .grad = g, .y = y};
    for (int f = QP_MXFP4; f <= QP_MXINT8; f++)
        for (int b = QP_BWD_PASS; b <= QP_BWD_CLIP; b++) {
            memset(y, 0, sizeof y);
            qp_launch l = {.op = QP_OP_BACKWARD,
                           .format = (qp_format)f,
                           .dtype = QP_BF16,
                           .bwd = (qp_bwd)b,
                           .n_tensors = 1,
                           .tensors = &t};
            ck_assert_int_eq(kit_kernel(d, QP_OP_BACKWARD, (qp_format)f)(&l, NULL), QP_OK);
            ck_assert_mem_eq(y, g, sizeof g);
        }
}
END_TEST

int main(void) {
    Suite *s = suite_create("kernel rules, MX");
    TCase *c = tcase_create("mx");
    tcase_set_timeout(c, 60);
    const int from = QP_DEVICE_CPU, to = QP_DEVICE_SIMT + 1;
    tcase_add_loop_test(c, trap_14_the_exponent_is_a_ceiling_and_torch_takes_that_of_a_rounded_log2, from,
                        to);
    tcase_add_loop_test(c, each_format_fits_its_largest_number_and_one_step_more_doubles_the_scale, from, to);
    tcase_add_loop_test(c, ties_go_to_even_in_every_element, from, to);
    tcase_add_loop_test(c, zeros_are_negative_and_a_nan_is_the_largest_number_or_stays, from, to);
    tcase_add_loop_test(c, a_packed_code_has_the_sign_of_fake_quant_and_the_form_of_its_element, from, to);
    tcase_add_loop_test(c, trap_9_torch_mxfp4_ties_go_down_and_every_zero_is_nibble_8, from, to);
    tcase_add_loop_test(c, torch_mxfp8_holds_its_exponent_and_saturates, from, to);
    tcase_add_loop_test(c, values_are_code_times_a_power_of_two_at_both_ends, from, to);
    tcase_add_loop_test(c, the_gradient_of_an_mx_format_always_passes, from, to);
    suite_add_tcase(s, c);
    return kit_main(s);
}
