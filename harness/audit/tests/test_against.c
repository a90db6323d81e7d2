// SPDX-License-Identifier: Apache-2.0
// --against on checkpoints made here by the reference: what fits, and what each planted difference is called.
// (That the rules are those of the real packages shows on their files: reports/records/against.)
#include "against_kit.h"
#include "audit/derive.h"

#define DOWN "model.layers.0.mlp.down_proj"
#define GATE "model.layers.0.mlp.gate_proj"
#define UP "model.layers.0.mlp.up_proj"
enum { OUT = 128, IN = 256 };

static kit k;

static void setup(void) {
    kit_new(&k);
    k.config = KIT_MODELOPT("NVFP4", "16");
}

static void teardown(void) {
    kit_free(&k);
}

static ref_spec max_spec(uint32_t amax) {
    return (ref_spec){.format = QP_NVFP4, .engine = QP_ENGINE_TORCH_CPU, .global_amax = amax};
}

static const uint16_t *linear_of(const uint16_t *w) {
    const ref_spec s = max_spec(kit_amax(w, OUT * IN));
    kit_weight(&k, DOWN, w, OUT, IN);
    kit_nvfp4(&k, DOWN, w, OUT, IN, &s);
    return w;
}

static const uint16_t *one_linear(uint64_t seed) {
    return linear_of(kit_weights(&k, seed, OUT * IN));
}

START_TEST(a_sound_linear_fits_and_its_engine_is_named) {
    one_linear(1);
    const qp_against *g = kit_run(&k);
    ck_assert_uint_eq(g->judged, 1);
    ck_assert_uint_eq(g->mismatched, 0);
    ck_assert_str_eq(g->engine, "torch-cpu");
    const qp_against_row *r = kit_row(&k, DOWN);
    ck_assert_uint_eq(r->n_codes, OUT * IN);
    ck_assert_uint_eq(r->n_scales, OUT * IN / 16);
    ck_assert_str_eq(r->engine, "torch-cpu nvfp4 max");
    ck_assert_double_gt(r->distance, 0.02);
    ck_assert_double_lt(r->distance, 0.2);
    ck_assert_uint_eq(kit_errors(&k), 0);
}
END_TEST

START_TEST(one_flipped_code_is_one_code_with_its_place) {
    one_linear(2);
    kit_data(&k, DOWN ".weight")[5 * IN / 2 + 20] ^= 0x10; // row 5, column 41
    kit_run(&k);
    const qp_against_row *r = kit_row(&k, DOWN);
    ck_assert_uint_eq(r->codes_differ, 1);
    ck_assert_uint_eq(r->scales_differ, 0);
    ck_assert_str_eq(r->class, "one code");
    ck_assert_ptr_nonnull(strstr(kit_detail(&k, QP_CK_CODES_DIFFER, DOWN ".weight"), "[5, 41], block 2"));
    ck_assert_uint_eq(kit_errors(&k), 1);
}
END_TEST

START_TEST(one_scale_byte_off_by_one_is_no_difference_of_codes) {
    one_linear(3);
    kit_data(&k, DOWN ".weight_scale")[7 * IN / 16 + 3] += 1;
    kit_run(&k);
    const qp_against_row *r = kit_row(&k, DOWN);
    ck_assert_uint_eq(r->codes_differ, 0);
    ck_assert_uint_eq(r->scales_differ, 1);
    ck_assert_str_eq(r->class, "one scale, off by one");
    ck_assert_ptr_nonnull(strstr(kit_detail(&k, QP_CK_SCALES_DIFFER, DOWN ".weight_scale"), "[7, 3]"));
    ck_assert_uint_eq(kit_errors(&k), 1);
}
END_TEST

START_TEST(a_scale_byte_far_off_is_one_scale_byte) {
    one_linear(4);
    kit_data(&k, DOWN ".weight_scale")[0] ^= 0x20;
    kit_run(&k);
    ck_assert_str_eq(kit_row(&k, DOWN)->class, "one scale byte");
    ck_assert_uint_eq(kit_errors(&k), 1);
}
END_TEST

START_TEST(one_ulp_of_the_global_scale_is_said_in_ulp) {
    one_linear(5);
    uint32_t *global = (uint32_t *)(void *)kit_data(&k, DOWN ".weight_scale_2");
    *global += 1;
    kit_run(&k);
    const qp_against_row *r = kit_row(&k, DOWN);
    ck_assert_uint_eq(r->globals_differ, 1);
    ck_assert_uint_eq(r->codes_differ + r->scales_differ, 0);
    ck_assert_str_eq(r->class, "global scale");
    ck_assert_ptr_nonnull(strstr(kit_detail(&k, QP_CK_GLOBAL_DIFFERS, DOWN ".weight_scale_2"), "(1 ulp)"));
    ck_assert_uint_eq(kit_errors(&k), 1);
}
END_TEST

START_TEST(a_reciprocal_global_scale_is_called_so) {
    one_linear(6);
    uint32_t *global = (uint32_t *)(void *)kit_data(&k, DOWN ".weight_scale_2");
    *global = ref_div(0x3f800000, *global);
    kit_run(&k);
    ck_assert_ptr_nonnull(
        strstr(kit_detail(&k, QP_CK_GLOBAL_DIFFERS, DOWN ".weight_scale_2"), "the reciprocal"));
}
END_TEST

START_TEST(swapped_nibbles_are_a_nibble_swap) {
    one_linear(7);
    uint8_t *codes = kit_data(&k, DOWN ".weight");
    for (int i = 0; i < OUT * IN / 2; i++) codes[i] = (uint8_t)(codes[i] << 4 | codes[i] >> 4);
    kit_run(&k);
    ck_assert_str_eq(kit_row(&k, DOWN)->class, "nibble swap");
    ck_assert_uint_eq(kit_errors(&k), 1);
}
END_TEST

START_TEST(a_swizzle_that_keeps_sizes_is_found_in_the_scales) {
    one_linear(8);
    uint8_t *scales = kit_data(&k, DOWN ".weight_scale"), plain[OUT * IN / 16];
    memcpy(plain, scales, sizeof plain);
    ref_swizzle(OUT, IN / 16, plain, scales);
    kit_run(&k);
    const qp_against_row *r = kit_row(&k, DOWN);
    ck_assert_uint_eq(r->codes_differ, 0);
    ck_assert_str_eq(r->class, "swizzle: block scales in tiles of 128 x 4");
}
END_TEST

START_TEST(codes_made_with_the_unrounded_scale_are_called_so) {
    const uint16_t *w = one_linear(9);
    uint8_t *codes = kit_data(&k, DOWN ".weight");
    for (int b = 0; b < OUT * IN / 16; b++) {
        const uint32_t scale = ref_div(kit_amax(w + 16 * b, 16), 0x40c00000);
        for (int i = 0; i < 16; i++) {
            const uint32_t z = ref_div((uint32_t)w[16 * b + i] << 16, scale);
            const uint8_t code = (ref_e2m1_encode(z) & 7) | (z > 0x80000000 ? 8 : 0);
            uint8_t *byte = &codes[8 * b + i / 2];
            *byte = i % 2 == 0 ? (uint8_t)((*byte & 0xf0) | code) : (uint8_t)((*byte & 0x0f) | code << 4);
        }
    }
    kit_run(&k);
    const qp_against_row *r = kit_row(&k, DOWN);
    ck_assert_uint_eq(r->scales_differ, 0);
    ck_assert_uint_gt(r->codes_differ, 10);
    ck_assert_str_eq(r->class, "codes follow from block scales before they were rounded");
}
END_TEST

// The two spellings part at midpoints between E4M3 codes, which are many where 448 / amax is a power of two.
static int divide_twice(uint64_t seed) {
    const uint16_t largest = 0x3e60; // 0.21875 = 448 / 2048
    uint16_t *w = kit_weights(&k, seed, OUT * IN);
    k.n_quantized = k.n_original = 0;
    w[0] = largest;
    linear_of(w);
    uint8_t *scales = kit_data(&k, DOWN ".weight_scale");
    const uint32_t s2 = *(uint32_t *)(void *)kit_data(&k, DOWN ".weight_scale_2");
    int differ = 0;
    for (int b = 0; b < OUT * IN / 16; b++) {
        const uint32_t twice = ref_div(ref_div(kit_amax(w + 16 * b, 16), 0x40c00000), s2);
        const uint8_t code = ref_e4m3_encode(twice, true);
        differ += code != scales[b];
        scales[b] = code;
    }
    return differ;
}

START_TEST(two_divisions_in_the_scale_are_called_so) {
    int differ = 0;
    for (uint64_t seed = 100; seed < 120 && differ < 2; seed++) differ = divide_twice(seed);
    ck_assert_int_ge(differ, 2);
    kit_run(&k);
    const qp_against_row *r = kit_row(&k, DOWN);
    ck_assert_uint_eq(r->scales_differ, differ);
    ck_assert_str_eq(r->class, "block scales are amax / 6 / s2");
}
END_TEST

static void pair(uint32_t of_gate, uint32_t of_up, const uint16_t *gate, const uint16_t *up) {
    const ref_spec g = max_spec(of_gate), u = max_spec(of_up);
    kit_weight(&k, GATE, gate, OUT, IN);
    kit_weight(&k, UP, up, OUT, IN);
    kit_nvfp4(&k, GATE, gate, OUT, IN, &g);
    kit_nvfp4(&k, UP, up, OUT, IN, &u);
}

static const uint16_t *doubled(const uint16_t *w) {
    uint16_t *twice = kit_get(&k, sizeof *twice * OUT * IN);
    for (int i = 0; i < OUT * IN; i++) twice[i] = (uint16_t)((w[i] & 0x7fff) != 0 ? w[i] + 0x80 : w[i]);
    return twice;
}

START_TEST(the_global_scale_is_that_of_the_group) {
    const uint16_t *gate = kit_weights(&k, 11, OUT * IN), *up = doubled(kit_weights(&k, 12, OUT * IN));
    const uint32_t amax = ref_max_image(kit_amax(gate, OUT * IN), kit_amax(up, OUT * IN));
    pair(amax, amax, gate, up);
    const qp_against *g = kit_run(&k);
    ck_assert_uint_eq(g->judged, 2);
    ck_assert_uint_eq(g->mismatched, 0);
}
END_TEST

START_TEST(an_own_global_scale_in_a_group_is_called_so) {
    const uint16_t *gate = kit_weights(&k, 13, OUT * IN), *up = doubled(kit_weights(&k, 14, OUT * IN));
    pair(kit_amax(gate, OUT * IN), kit_amax(up, OUT * IN), gate, up);
    const qp_against *g = kit_run(&k);
    ck_assert_uint_eq(g->mismatched, 1);
    ck_assert_ptr_nonnull(strstr(kit_detail(&k, QP_CK_GLOBAL_DIFFERS, GATE ".weight_scale_2"),
                                 "the linear's own amax, not that of its group"));
    ck_assert_uint_eq(kit_errors(&k), 1);
}
END_TEST

START_TEST(four_over_six_and_the_sweep_are_named_and_their_near_ties_counted) {
    static const ref_spec kinds[] = {{.format = QP_NVFP4_46}, {.format = QP_NVFP4_STATIC}};
    static const char *const names[] = {"torch-cpu nvfp4 4/6", "torch-cpu nvfp4 mse sweep"};
    for (int kind = 0; kind < 2; kind++) {
        const uint16_t *w = kit_weights(&k, 20 + (uint64_t)kind, OUT * IN);
        const uint32_t multipliers[2] = {REF_46_START, REF_46_STOP};
        uint32_t amax[OUT * IN / 16], best[OUT * IN / 16];
        int32_t index[OUT * IN / 16];
        ref_sweep_scales t;
        ref_spec s = kinds[kind];
        k.n_quantized = k.n_original = 0;
        s.dtype = QP_BF16;
        s.rows = OUT;
        s.cols = IN;
        s.amax_dtype = QP_FP32;
        s.global_amax = kit_amax(w, OUT * IN);
        s.engine = QP_ENGINE_TRITON_INTERP;
        s.amax = amax;
        ref_amax(QP_GRAIN_BLOCK, QP_BF16, OUT, IN, 1, 16, w, amax);
        if (kind == 0) ref_mse(&s, 0, OUT, w, multipliers, 2, index, best, NULL);
        ref_sweep_scales_of(QP_ENGINE_TORCH_CPU, s.global_amax, &t);
        for (int b = 0; kind == 1 && b < OUT * IN / 16; b++)
            best[b] = t.amax[ref_sweep(&t, QP_BF16, w + 16 * b, 16)];
        s.engine = QP_ENGINE_TORCH_CPU;
        s.amax = best;
        kit_weight(&k, DOWN, w, OUT, IN);
        kit_nvfp4(&k, DOWN, w, OUT, IN, &s);
        const qp_against *g = kit_run(&k);
        ck_assert_uint_eq(g->mismatched, 0);
        ck_assert_str_eq(kit_row(&k, DOWN)->engine, names[kind]);
    }
}
END_TEST

START_TEST(scales_of_an_unknown_search_are_underivable_and_their_codes_still_fit) {
    const uint16_t *w = kit_weights(&k, 30, OUT * IN);
    uint32_t amax[OUT * IN / 16];
    ref_spec s = {.format = QP_NVFP4_STATIC, .engine = QP_ENGINE_TORCH_CPU};
    s.global_amax = kit_amax(w, OUT * IN);
    ref_amax(QP_GRAIN_BLOCK, QP_BF16, OUT, IN, 1, 16, w, amax);
    for (int b = 0; b < OUT * IN / 16; b += 3) amax[b] = ref_mul(amax[b], 0x3f000000); // clipped to a half
    s.amax = amax;
    kit_weight(&k, DOWN, w, OUT, IN);
    kit_nvfp4(&k, DOWN, w, OUT, IN, &s);
    const qp_against *g = kit_run(&k);
    ck_assert_uint_eq(g->judged, 0);
    ck_assert_uint_eq(g->underivable, 1);
    ck_assert_uint_eq(kit_errors(&k), 0);
    ck_assert_ptr_nonnull(strstr(kit_row(&k, DOWN)->skipped, "search"));
    ck_assert_double_gt(kit_row(&k, DOWN)->distance, 0.02);
}
END_TEST

START_TEST(weights_of_another_model_are_found) {
    one_linear(31);
    k.n_original = 0;
    kit_weight(&k, DOWN, kit_weights(&k, 32, OUT * IN), OUT, IN);
    const qp_against *g = kit_run(&k);
    ck_assert_uint_eq(g->mismatched, 1);
    ck_assert_uint_gt(kit_row(&k, DOWN)->codes_differ, OUT * IN / 4);
}
END_TEST

START_TEST(what_is_not_quantized_must_be_the_original) {
    uint16_t *norm = kit_weights(&k, 40, IN), *other = kit_weights(&k, 40, IN);
    one_linear(41);
    kit_original(&k, "model.norm.weight", 1, (int64_t[]){IN}, norm);
    kit_quantized(&k, "model.norm.weight", QP_BF16, 1, (int64_t[]){IN}, other);
    ck_assert_uint_eq(kit_run(&k)->plain_equal, 1);
    other[9] ^= 1;
    const qp_against *g = kit_run(&k);
    ck_assert_uint_eq(g->plain_different, 1);
    ck_assert_ptr_nonnull(strstr(kit_detail(&k, QP_CK_BYTES_DIFFER, "model.norm.weight"), "the first is 9"));
    ck_assert_uint_eq(kit_errors(&k), 1);
}
END_TEST

START_TEST(the_same_values_in_another_type_are_a_note) {
    uint16_t *norm = kit_weights(&k, 42, IN);
    uint32_t wide[IN];
    for (int i = 0; i < IN; i++) wide[i] = (uint32_t)norm[i] << 16;
    one_linear(43);
    kit_original(&k, "model.norm.weight", 1, (int64_t[]){IN}, norm);
    kit_quantized(&k, "model.norm.weight", QP_FP32, 1, (int64_t[]){IN}, wide);
    ck_assert_uint_eq(kit_run(&k)->plain_equal, 1);
    ck_assert_uint_eq(kit_errors(&k), 0);
    ck_assert_uint_eq(k.u.findings.counts[QP_CK_STATISTICS], 1);
    wide[3] ^= 1; // no longer the same value
    kit_run(&k);
    ck_assert_uint_eq(k.u.findings.counts[QP_CK_BYTES_DIFFER], 1);
}
END_TEST

START_TEST(bf16_that_fp16_rounds_is_a_note_and_what_overflows_is_not) {
    // BF16 3581 = 129/128 x 2^-20 = 16.125 steps of FP16's 2^-24; BF16 4780 = 65536 is too large for FP16
    uint16_t small[IN] = {0x3581}, half[IN] = {0x0010};
    one_linear(45);
    kit_original(&k, "model.norm.weight", 1, (int64_t[]){IN}, small);
    kit_quantized(&k, "model.norm.weight", QP_FP16, 1, (int64_t[]){IN}, half);
    ck_assert_uint_eq(kit_run(&k)->plain_equal, 1);
    ck_assert_uint_eq(kit_errors(&k), 0);
    half[0] = 0x0011; // a step beside
    kit_run(&k);
    ck_assert_uint_eq(k.u.findings.counts[QP_CK_BYTES_DIFFER], 1);
    small[0] = 0x4780, half[0] = 0x7c00;
    kit_run(&k);
    ck_assert_uint_eq(k.u.findings.counts[QP_CK_BYTES_DIFFER], 1);
}
END_TEST

START_TEST(a_zero_keeps_its_sign_in_blocks_of_gpt_oss) {
    // BF16 6 in every place but 0, +0, and 1, -0: scale 2^0, codes 7, 0 and 8. Other dialects write 8 for
    // both.
    const qp_ck_scheme s = {.dialect = QP_CK_GPT_OSS, .pack = QP_CK_BLOCKS, .group_size = 32};
    const qp_ck_module m = {.scheme = &s, .stack = 1, .out = 1, .in = 32};
    const qp_ag_view v = {.m = &m,
                          .family = QP_AG_MX,
                          .format = QP_MXFP4,
                          .tile_rows = 1,
                          .tile_cols = 32,
                          .scale_rows = 1,
                          .scale_cols = 1};
    const qp_ag_rule r = {.family = QP_AG_MX, .format = QP_FORMAT_NONE, .engine = QP_ENGINE_IEEE};
    uint16_t x[32];
    uint8_t codes[16];
    uint32_t scale;
    for (int i = 0; i < 32; i++) x[i] = i == 0 ? 0 : i == 1 ? 0x8000 : 0x40c0;
    const qp_ag_window w = {
        .view = &v, .rule = &r, .dtype = QP_BF16, .n_rows = 1, .x = x, .codes = codes, .scales = &scale};
    qp_ag_derive_mx(&w);
    ck_assert_uint_eq(scale, 127);
    ck_assert_uint_eq(codes[0], 0x80);
    ck_assert_uint_eq(codes[15], 0x77);
}
END_TEST

START_TEST(a_linear_without_an_original_is_unmatched_and_named) {
    one_linear(44);
    k.original[0].name = "model.layers.0.mlp.another.weight";
    const qp_against *g = kit_run(&k);
    ck_assert_uint_eq(g->unmatched, 1);
    ck_assert_uint_eq(g->judged, 0);
    ck_assert_uint_ge(k.u.findings.counts[QP_CK_STATISTICS], 1);
}
END_TEST

int main(void) {
    Suite *s = suite_create("against");
    TCase *t = tcase_create("against");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_sound_linear_fits_and_its_engine_is_named);
    tcase_add_test(t, one_flipped_code_is_one_code_with_its_place);
    tcase_add_test(t, one_scale_byte_off_by_one_is_no_difference_of_codes);
    tcase_add_test(t, a_scale_byte_far_off_is_one_scale_byte);
    tcase_add_test(t, one_ulp_of_the_global_scale_is_said_in_ulp);
    tcase_add_test(t, a_reciprocal_global_scale_is_called_so);
    tcase_add_test(t, swapped_nibbles_are_a_nibble_swap);
    tcase_add_test(t, a_swizzle_that_keeps_sizes_is_found_in_the_scales);
    tcase_add_test(t, codes_made_with_the_unrounded_scale_are_called_so);
    tcase_add_test(t, two_divisions_in_the_scale_are_called_so);
    tcase_add_test(t, the_global_scale_is_that_of_the_group);
    tcase_add_test(t, an_own_global_scale_in_a_group_is_called_so);
    tcase_add_test(t, four_over_six_and_the_sweep_are_named_and_their_near_ties_counted);
    tcase_add_test(t, scales_of_an_unknown_search_are_underivable_and_their_codes_still_fit);
    tcase_add_test(t, weights_of_another_model_are_found);
    tcase_add_test(t, what_is_not_quantized_must_be_the_original);
    tcase_add_test(t, the_same_values_in_another_type_are_a_note);
    tcase_add_test(t, a_zero_keeps_its_sign_in_blocks_of_gpt_oss);
    tcase_add_test(t, bf16_that_fp16_rounds_is_a_note_and_what_overflows_is_not);
    tcase_add_test(t, a_linear_without_an_original_is_unmatched_and_named);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
