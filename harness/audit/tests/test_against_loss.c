// SPDX-License-Identifier: Apache-2.0
// The loss of stored NVFP4 scales against the MSE optimum, beside a search written here in doubles that knows
// nothing of the reference's.
#include <math.h>

#include "against_kit.h"

#define DOWN "model.layers.0.mlp.down_proj"
#define O_PROJ "model.layers.0.self_attn.o_proj"
enum { OUT = 32, IN = 256, BLOCKS = OUT * IN / 16, LARGE = 512 }; // OUT x IN: as many blocks as are looked at

static kit k;

static void setup(void) {
    kit_new(&k);
    k.config = KIT_MODELOPT("NVFP4", "16");
}

static void teardown(void) {
    kit_free(&k);
}

static void linear(const char *module, const uint16_t *w, int64_t out) {
    const ref_spec s = {
        .format = QP_NVFP4, .engine = QP_ENGINE_TORCH_CPU, .global_amax = kit_amax(w, out * IN)};
    kit_weight(&k, module, w, out, IN);
    kit_nvfp4(&k, module, w, out, IN, &s);
}

static double value(uint32_t image) {
    float f;
    memcpy(&f, &image, sizeof f);
    return f;
}

static double e4m3(int byte) { // positive
    return byte < 8 ? ldexp(byte, -9) : ldexp(8 + byte % 8, byte / 8 - 10);
}

// Of the nearest of the eight magnitudes under this scale.
static double block_loss(const uint16_t *w, double scale) {
    static const double levels[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    double sum = 0;
    for (int i = 0; i < 16; i++) {
        const double x = fabs(value((uint32_t)w[i] << 16));
        double least = INFINITY;
        for (int c = 0; c < QP_COUNT(levels); c++) least = fmin(least, fabs(x - levels[c] * scale));
        sum += least * least;
    }
    return sum;
}

static double ratio_of(const uint16_t *w, const uint8_t *scales, double global, int64_t n_blocks) {
    double stored = 0, best = 0;
    for (int64_t b = 0; b < n_blocks; b++) {
        double least = INFINITY;
        for (int byte = 1; byte <= 126; byte++)
            least = fmin(least, block_loss(w + 16 * b, e4m3(byte) * global));
        stored += block_loss(w + 16 * b, e4m3(scales[b]) * global);
        best += least;
    }
    return stored / best;
}

static double global_of(const char *name) {
    return value(*(uint32_t *)(void *)kit_data(&k, name));
}

// Scales of the reference are an ulp from the product of byte and global scale: 2^-23, and losses follow
// twice as fast.
static const double ULPS = 1e-5;

START_TEST(the_quotient_of_max_calibrated_scales_is_that_of_a_plain_search) {
    const uint16_t *w = kit_weights(&k, 1, OUT * IN);
    linear(DOWN, w, OUT);
    const double want =
        ratio_of(w, kit_data(&k, DOWN ".weight_scale"), global_of(DOWN ".weight_scale_2"), BLOCKS);
    const qp_against *g = kit_run(&k);
    ck_assert_uint_eq(g->judged, 1);
    ck_assert_double_gt(want, 1.02);
    ck_assert_double_eq_tol(kit_row(&k, DOWN)->loss_ratio, want, ULPS);
    ck_assert_double_eq(g->loss.mean, kit_row(&k, DOWN)->loss_ratio);
    ck_assert_uint_eq(g->loss.linears, 1);
}
END_TEST

START_TEST(scales_of_the_sweep_lose_exactly_the_least) {
    const uint16_t *w = kit_weights(&k, 2, OUT * IN);
    ref_spec s = {.format = QP_NVFP4_STATIC, .engine = QP_ENGINE_TORCH_CPU};
    ref_sweep_scales t;
    uint32_t best[BLOCKS];
    s.global_amax = kit_amax(w, OUT * IN);
    s.amax = best;
    ref_sweep_scales_of(QP_ENGINE_TORCH_CPU, s.global_amax, &t);
    for (int b = 0; b < BLOCKS; b++) best[b] = t.amax[ref_sweep(&t, QP_BF16, w + 16 * b, 16)];
    kit_weight(&k, DOWN, w, OUT, IN);
    kit_nvfp4(&k, DOWN, w, OUT, IN, &s);
    kit_run(&k);
    ck_assert_uint_eq(k.u.against.mismatched, 0);
    ck_assert_double_eq(kit_row(&k, DOWN)->loss_ratio, 1.0);
}
END_TEST

START_TEST(four_over_six_stands_between_the_two) {
    const uint16_t *w = kit_weights(&k, 3, OUT * IN);
    const uint32_t multipliers[2] = {REF_46_START, REF_46_STOP};
    uint32_t amax[BLOCKS], best[BLOCKS];
    int32_t index[BLOCKS];
    ref_spec s = {.format = QP_NVFP4_46,
                  .engine = QP_ENGINE_TRITON_INTERP,
                  .dtype = QP_BF16,
                  .rows = OUT,
                  .cols = IN,
                  .amax_dtype = QP_FP32,
                  .global_amax = kit_amax(w, OUT * IN),
                  .amax = amax};
    linear(O_PROJ, w, OUT);
    ref_amax(QP_GRAIN_BLOCK, QP_BF16, OUT, IN, 1, 16, w, amax);
    ref_mse(&s, 0, OUT, w, multipliers, 2, index, best, NULL);
    s.engine = QP_ENGINE_TORCH_CPU;
    s.amax = best;
    kit_weight(&k, DOWN, w, OUT, IN);
    kit_nvfp4(&k, DOWN, w, OUT, IN, &s);
    const double want =
        ratio_of(w, kit_data(&k, DOWN ".weight_scale"), global_of(DOWN ".weight_scale_2"), BLOCKS);
    const qp_against *g = kit_run(&k);
    const double max = kit_row(&k, O_PROJ)->loss_ratio, four_six = kit_row(&k, DOWN)->loss_ratio;
    ck_assert_uint_eq(g->mismatched, 0);
    ck_assert_double_eq_tol(four_six, want, ULPS);
    ck_assert_double_gt(four_six, 1.0);
    ck_assert_double_gt(max, four_six);
    ck_assert_double_eq(g->loss.worst, max);
    ck_assert_uint_eq(g->loss.linears, 2);
    ck_assert_double_eq_tol(g->loss.mean, (max + four_six) / 2, 1e-15);
    ck_assert_mem_eq(g->loss.worst_at->name, O_PROJ, strlen(O_PROJ));
}
END_TEST

START_TEST(a_global_scale_that_divides_has_the_same_quotient) {
    const uint16_t *w = kit_weights(&k, 4, OUT * IN);
    ref_spec s = {.format = QP_NVFP4,
                  .engine = QP_ENGINE_COMPRESSED_TENSORS,
                  .dtype = QP_BF16,
                  .rows = OUT,
                  .cols = IN,
                  .block_cols = 16,
                  .global_amax = kit_amax(w, OUT * IN)};
    uint8_t codes[OUT * IN / 2], scales[BLOCKS];
    uint32_t global = ref_weight_scale_2(&s);
    ref_quant(&s, 0, OUT, w, codes, scales, NULL, NULL);
    k.config = "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":"
               "\"nvfp4-pack-quantized\",\"quantization_status\":\"compressed\",\"ignore\":[],"
               "\"config_groups\":{\"group_0\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":4,"
               "\"type\":\"float\",\"strategy\":\"tensor_group\",\"group_size\":16}}}}}";
    kit_weight(&k, DOWN, w, OUT, IN);
    kit_quantized(&k, DOWN ".weight_packed", QP_U8, 2, (int64_t[]){OUT, IN / 2}, codes);
    kit_quantized(&k, DOWN ".weight_scale", QP_E4M3, 2, (int64_t[]){OUT, IN / 16}, scales);
    kit_quantized(&k, DOWN ".weight_global_scale", QP_FP32, 1, (int64_t[]){1}, &global);
    const qp_against *g = kit_run(&k);
    ck_assert_uint_eq(g->judged, 1);
    ck_assert_uint_eq(g->mismatched, 0);
    ck_assert_double_eq_tol(kit_row(&k, DOWN)->loss_ratio, ratio_of(w, scales, 1 / value(global), BLOCKS),
                            ULPS);
}
END_TEST

START_TEST(scales_of_an_unknown_search_have_a_quotient_though_they_are_not_judged) {
    const uint16_t *w = kit_weights(&k, 5, OUT * IN);
    uint32_t amax[BLOCKS];
    ref_spec s = {.format = QP_NVFP4_STATIC, .engine = QP_ENGINE_TORCH_CPU};
    s.global_amax = kit_amax(w, OUT * IN);
    ref_amax(QP_GRAIN_BLOCK, QP_BF16, OUT, IN, 1, 16, w, amax);
    for (int b = 0; b < BLOCKS; b += 3) amax[b] = ref_mul(amax[b], 0x3f000000); // clipped to a half
    s.amax = amax;
    kit_weight(&k, DOWN, w, OUT, IN);
    kit_nvfp4(&k, DOWN, w, OUT, IN, &s);
    const double want =
        ratio_of(w, kit_data(&k, DOWN ".weight_scale"), global_of(DOWN ".weight_scale_2"), BLOCKS);
    ck_assert_uint_eq(kit_run(&k)->underivable, 1);
    ck_assert_double_gt(want, 2);
    ck_assert_double_eq_tol(kit_row(&k, DOWN)->loss_ratio, want, want * ULPS);
}
END_TEST

// Odd segments carry the weight, even ones bad scales: a sample in equal strides would see even ones alone.
START_TEST(the_sample_of_a_large_linear_reaches_every_column) {
    uint16_t *w = kit_weights(&k, 6, LARGE * IN);
    for (int i = 0; i < LARGE * IN; i++)
        if (i / 16 % 2 == 1) w[i] = (uint16_t)((w[i] & 0x7fff) != 0 ? w[i] + 0x180 : w[i]); // times 8
    linear(DOWN, w, LARGE);
    uint8_t *scales = kit_data(&k, DOWN ".weight_scale");
    for (int b = 0; b < LARGE * IN / 16; b += 2) scales[b] += 12; // 2.7 times as large
    const double want = ratio_of(w, scales, global_of(DOWN ".weight_scale_2"), LARGE * IN / 16);
    ck_assert_double_lt(want, 1.6);
    kit_run(&k);
    const qp_against_row *r = kit_row(&k, DOWN);
    ck_assert_uint_gt(r->scales_differ, 0);
    ck_assert_double_eq_tol(r->loss_ratio, want, 0.1); // 512 of 8192 blocks
}
END_TEST

START_TEST(scale_bytes_that_are_no_positive_number_are_left_out) {
    uint16_t *w = kit_weights(&k, 7, OUT * IN);
    linear(DOWN, w, OUT);
    kit_run(&k);
    const double before = kit_row(&k, DOWN)->loss_ratio;
    uint8_t *scales = kit_data(&k, DOWN ".weight_scale");
    const uint8_t odd[] = {0x00, 0x7f, 0x80, 0xff, 0xb8};
    memcpy(scales, odd, sizeof odd);
    kit_run(&k);
    ck_assert_double_eq_tol(kit_row(&k, DOWN)->loss_ratio, before, 0.05);
    memset(scales, 0, BLOCKS);
    ck_assert_uint_eq(kit_run(&k)->loss.linears, 0);
    ck_assert_double_eq(kit_row(&k, DOWN)->loss_ratio, 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("against_loss");
    TCase *t = tcase_create("against_loss");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, the_quotient_of_max_calibrated_scales_is_that_of_a_plain_search);
    tcase_add_test(t, scales_of_the_sweep_lose_exactly_the_least);
    tcase_add_test(t, four_over_six_stands_between_the_two);
    tcase_add_test(t, a_global_scale_that_divides_has_the_same_quotient);
    tcase_add_test(t, scales_of_an_unknown_search_have_a_quotient_though_they_are_not_judged);
    tcase_add_test(t, the_sample_of_a_large_linear_reaches_every_column);
    tcase_add_test(t, scale_bytes_that_are_no_positive_number_are_left_out);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
