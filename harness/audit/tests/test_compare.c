// SPDX-License-Identifier: Apache-2.0
// compare: one planted pair for every class, named with its first element; dialects meet by meaning.
#include "audit/compare.h"
#include "core/file.h"
#include "qp/ref.h"
#include "qp/refcalib.h"
#include "tensor/safetensors.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OUT = 128, IN = 64, GROUPS = IN / 16, NORM = 64 };

static const char root[] = "/tmp/quantproof-compare-XXXXXX";
static char made[64];
static qp_arena *arena;
static qp_err err;
static qp_cmp result;

// ---- one small checkpoint
// ----------------------------------------------------------------------------------------------

typedef struct small {
    uint8_t codes[OUT * IN / 2], scales[OUT * 8];
    uint32_t global, input;
    uint16_t norm[NORM];
    qp_st_tensor tensors[8];
    int n;
    const char *config;
} small;

static small left, right;

static const char modelopt[] = "{\"quantization_config\": {\"quant_method\": \"modelopt\", \"quant_algo\": "
                               "\"NVFP4\", \"ignore\": [], \"config_groups\": {\"group_0\": {\"weights\": "
                               "{\"num_bits\": 4, \"type\": \"float\", \"group_size\": 16}}}}}";
static const char ct[] =
    "{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"format\": "
    "\"nvfp4-pack-quantized\", \"ignore\": [], \"config_groups\": {\"group_0\": {\"targets\": [\"Linear\"], "
    "\"weights\": {\"num_bits\": 4, \"type\": \"float\", \"strategy\": \"tensor_group\", \"group_size\": 16, "
    "\"symmetric\": true, \"dynamic\": false}, \"input_activations\": {\"num_bits\": 4, \"type\": \"float\", "
    "\"strategy\": \"tensor_group\", \"group_size\": 16, \"symmetric\": true, \"dynamic\": \"local\"}}}}}";

#define LINEAR "model.layers.0.mlp.down_proj"

static void put(small *s, const char *name, qp_dtype t, int n_dims, int64_t d0, int64_t d1,
                const void *data) {
    qp_st_tensor *x = &s->tensors[s->n++];
    *x = (qp_st_tensor){.name = name, .dtype = t, .n_dims = n_dims, .dims = {d0, d1}, .data = data};
    x->n_bytes = qp_dtype_bytes(t) * (size_t)(n_dims > 0 ? d0 : 1) * (size_t)(n_dims > 1 ? d1 : 1);
}

static qp_st_tensor *tensor(small *s, const char *name) {
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->tensors[i].name, name) == 0) return &s->tensors[i];
    ck_abort_msg("no tensor %s", name);
    return NULL;
}

static void fill(small *s, bool compressed) {
    memset(s, 0, sizeof *s);
    for (int i = 0; i < OUT * IN / 2; i++) s->codes[i] = (uint8_t)(i * 37 + i / 51);
    for (int i = 0; i < OUT * GROUPS; i++) s->scales[i] = (uint8_t)(0x40 + i * 11 % 0x3f);
    for (int i = 0; i < NORM; i++) s->norm[i] = (uint16_t)(0x3f80 + i);
    s->global = compressed ? ref_div(0x3f800000, 0x3a83126f) : 0x3a83126f; // 1/0.001, 0.001
    s->input = compressed ? ref_div(0x3f800000, 0x3b03126f) : 0x3b03126f;
    put(s, compressed ? LINEAR ".weight_packed" : LINEAR ".weight", QP_U8, 2, OUT, IN / 2, s->codes);
    put(s, LINEAR ".weight_scale", QP_E4M3, 2, OUT, GROUPS, s->scales);
    put(s, compressed ? LINEAR ".weight_global_scale" : LINEAR ".weight_scale_2", QP_FP32, compressed, 1, 0,
        &s->global);
    put(s, compressed ? LINEAR ".input_global_scale" : LINEAR ".input_scale", QP_FP32, compressed, 1, 0,
        &s->input);
    put(s, "model.norm.weight", QP_BF16, 1, NORM, 0, s->norm);
    s->config = compressed ? ct : modelopt;
}

static const char *save(const small *s, const char *name) {
    static char folders[2][128], path[256];
    char *folder = folders[name[0] == 'b'];
    snprintf(folder, sizeof folders[0], "%s/%s", made, name);
    ck_assert_int_eq(qp_dir_make(folder, &err), QP_OK);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    ck_assert_msg(qp_st_write(path, s->tensors, s->n, NULL, 0, &err) == QP_OK, "%s", err.msg);
    snprintf(path, sizeof path, "%s/config.json", folder);
    ck_assert_int_eq(qp_file_write_atomic(path, s->config, strlen(s->config), &err), QP_OK);
    return folder;
}

static void compare(const char *map) {
    const qp_cmp_options o = {.a = save(&left, "a"), .b = save(&right, "b"), .map = map};
    ck_assert_msg(qp_compare_run(&o, arena, &result, &err) == QP_OK, "%s", err.msg);
}

static const qp_cmp_row *row(const char *name) {
    for (uint64_t i = 0; i < result.n_rows; i++) {
        const qp_cmp_row *r = &result.rows[i];
        if (strcmp(r->a != NULL ? r->a : r->b, name) == 0) return r;
    }
    ck_abort_msg("no row %s", name);
    return NULL;
}

// The one row that is not equal.
static const qp_cmp_row *only(const char *name, qp_cmp_class class) {
    compare(NULL);
    const qp_cmp_row *r = row(name);
    ck_assert_str_eq(qp_cmp_class_name(r->class), qp_cmp_class_name(class));
    ck_assert_uint_eq(result.n_equal, result.n_rows - 1);
    return r;
}

static void set_up(void) {
    memset(&err, 0, sizeof err);
    snprintf(made, sizeof made, "%s", root);
    ck_assert_ptr_nonnull(mkdtemp(made));
    arena = qp_arena_new();
    fill(&left, false);
    fill(&right, false);
}

static void tear_down(void) {
    qp_compare_close(&result);
    ck_assert_int_eq(qp_dir_remove(made, &err), QP_OK);
    qp_arena_free(arena);
}

// ---- classes
// -----------------------------------------------------------------------------------------------------------

START_TEST(equal_bytes_are_equal) {
    compare(NULL);
    ck_assert_uint_eq(result.n_rows, 5);
    ck_assert_uint_eq(result.n_equal, 5);
    ck_assert_uint_eq(result.n_different + result.n_meaning, 0);
}
END_TEST

START_TEST(one_code_is_named_with_its_place_and_distance) {
    right.codes[3 * IN / 2 + 5] = (uint8_t)(left.codes[3 * IN / 2 + 5] ^ 0x80); // the sign of the high half
    const qp_cmp_row *r = only(LINEAR ".weight", QP_CMP_CODES);
    ck_assert_uint_eq(r->n_differ, 1);
    ck_assert_uint_eq(r->n_elems, OUT * IN);
    ck_assert_int_eq(r->first[0], 3);
    ck_assert_int_eq(r->first[1], 5);
    ck_assert_ptr_nonnull(strstr(r->a_bits, "high half"));
    ck_assert_uint_eq(r->max_code_distance, 2u * (left.codes[3 * IN / 2 + 5] >> 4 & 7));
}
END_TEST

START_TEST(swapped_nibbles_are_a_class_of_their_own) {
    for (int i = 0; i < OUT * IN / 2; i++)
        right.codes[i] = (uint8_t)(left.codes[i] << 4 | left.codes[i] >> 4);
    only(LINEAR ".weight", QP_CMP_NIBBLES);
}
END_TEST

START_TEST(one_block_scale_a_step_off_is_one_ulp) {
    right.scales[7 * GROUPS + 2]++;
    const qp_cmp_row *r = only(LINEAR ".weight_scale", QP_CMP_SCALES);
    ck_assert_uint_eq(r->n_differ, 1);
    ck_assert_uint_eq(r->max_ulp, 1);
    ck_assert_int_eq(r->first[0], 7);
    ck_assert_int_eq(r->first[1], 2);
}
END_TEST

START_TEST(tiles_that_keep_the_size_are_swizzled) {
    ref_swizzle(OUT, GROUPS, left.scales, right.scales);
    only(LINEAR ".weight_scale", QP_CMP_SWIZZLED);
}
END_TEST

START_TEST(tiles_with_padding_are_swizzled) {
    put(&left, "short.weight_scale", QP_E4M3, 2, 96, GROUPS, left.scales);
    put(&right, "short.weight_scale", QP_E4M3, 2, 128, GROUPS, right.scales);
    put(&left, "short.weight", QP_U8, 2, 96, IN / 2, left.codes);
    put(&right, "short.weight", QP_U8, 2, 96, IN / 2, left.codes);
    static uint8_t tiles[OUT * GROUPS];
    ref_swizzle(96, GROUPS, left.scales, tiles);
    tensor(&right, "short.weight_scale")->data = tiles;
    compare(NULL);
    const qp_cmp_row *r = row("short.weight_scale");
    ck_assert_str_eq(qp_cmp_class_name(r->class), "swizzled");
}
END_TEST

START_TEST(zeros_around_a_matrix_are_padding) {
    static uint8_t wide[OUT * 8];
    for (int r = 0; r < OUT; r++) memcpy(wide + r * 8, left.scales + r * GROUPS, GROUPS);
    put(&left, "other", QP_E4M3, 2, OUT, GROUPS, left.scales);
    put(&right, "other", QP_E4M3, 2, OUT, 8, wide);
    only("other", QP_CMP_PADDED);
    wide[OUT * 8 - 1] = 1;
    only("other", QP_CMP_SHAPE);
}
END_TEST

START_TEST(a_transposed_matrix_is_seen_under_either_shape) {
    static uint8_t turned[OUT * GROUPS];
    for (int r = 0; r < OUT; r++)
        for (int c = 0; c < GROUPS; c++) turned[c * OUT + r] = left.scales[r * GROUPS + c];
    put(&left, "other", QP_E4M3, 2, OUT, GROUPS, left.scales);
    put(&right, "other", QP_E4M3, 2, GROUPS, OUT, turned);
    only("other", QP_CMP_TRANSPOSED);
    tensor(&right, "other")->dims[0] = OUT;
    tensor(&right, "other")->dims[1] = GROUPS;
    only("other", QP_CMP_TRANSPOSED);
    turned[9] ^= 1;
    only("other", QP_CMP_VALUES);
}
END_TEST

START_TEST(only_the_global_scale_differs) {
    right.global++;
    const qp_cmp_row *r = only(LINEAR ".weight_scale_2", QP_CMP_GLOBAL);
    ck_assert_uint_eq(r->max_ulp, 1);
    ck_assert_str_eq(r->a_bits, "3a83126f");
    ck_assert_str_eq(r->b_bits, "3a831270");
}
END_TEST

START_TEST(an_inverted_global_scale_is_a_reciprocal) {
    right.global = ref_div(0x3f800000, left.global);
    only(LINEAR ".weight_scale_2", QP_CMP_RECIPROCAL);
    right.global += 8; // too far for a reciprocal
    only(LINEAR ".weight_scale_2", QP_CMP_GLOBAL);
}
END_TEST

START_TEST(values_that_are_not_quantized_count_ulps) {
    right.norm[5] += 3;
    const qp_cmp_row *r = only("model.norm.weight", QP_CMP_VALUES);
    ck_assert_uint_eq(r->max_ulp, 3);
    ck_assert_int_eq(r->first[0], 5);
    right.norm[5] = 0x8000;
    left.norm[5] = 0; // +0 and -0 are other bytes, no ulp apart
    ck_assert_uint_eq(only("model.norm.weight", QP_CMP_VALUES)->max_ulp, 0);
}
END_TEST

START_TEST(the_same_numbers_in_another_type_are_the_same_meaning) {
    static uint32_t wide[NORM];
    for (int i = 0; i < NORM; i++) wide[i] = (uint32_t)left.norm[i] << 16;
    tensor(&right, "model.norm.weight")->dtype = QP_FP32;
    tensor(&right, "model.norm.weight")->data = wide;
    tensor(&right, "model.norm.weight")->n_bytes = sizeof wide;
    only("model.norm.weight", QP_CMP_MEANING);
    wide[3]++;
    only("model.norm.weight", QP_CMP_SHAPE);
}
END_TEST

START_TEST(tensors_on_one_side_are_different) {
    left.n--;
    compare(NULL);
    ck_assert_int_eq(row("model.norm.weight")->class, QP_CMP_ONE_SIDE);
    ck_assert_ptr_null(row("model.norm.weight")->a);
    ck_assert_uint_eq(result.n_different, 1);
}
END_TEST

START_TEST(a_map_joins_other_names) {
    char map[128];
    static const char text[] = "# theirs\nmodel.norm.weight backbone.norm_f.weight # one\n\n";
    tensor(&right, "model.norm.weight")->name = "backbone.norm_f.weight";
    compare(NULL);
    ck_assert_uint_eq(result.n_one_side, 2);
    snprintf(map, sizeof map, "%s/map", made);
    ck_assert_int_eq(qp_file_write_atomic(map, text, strlen(text), &err), QP_OK);
    compare(map);
    ck_assert_uint_eq(result.n_equal, 5);
    ck_assert_int_eq(qp_file_write_atomic(map, "one\n", 4, &err), QP_OK);
    const qp_cmp_options o = {.a = save(&left, "a"), .b = save(&right, "b"), .map = map};
    ck_assert_int_eq(qp_compare_run(&o, arena, &result, &err), QP_USAGE);
    ck_assert_ptr_nonnull(strstr(err.msg, "map:1: 'NAME_A NAME_B' wanted, got 1 words"));
}
END_TEST

// ---- across dialects
// -----------------------------------------------------------------------------------------------------

START_TEST(both_directions_of_a_global_scale_mean_the_same) {
    fill(&right, true);
    compare(NULL);
    ck_assert_uint_eq(result.n_different, 0);
    ck_assert_int_eq(row(LINEAR ".weight")->class, QP_CMP_EQUAL);
    ck_assert_int_eq(row(LINEAR ".weight_scale_2")->class, QP_CMP_MEANING);
    ck_assert_str_eq(row(LINEAR ".weight_scale_2")->b, LINEAR ".weight_global_scale");
    ck_assert_uint_le(row(LINEAR)->max_ulp, 1); // 1/x is rounded once
    right.global += 8;
    compare(NULL);
    ck_assert_int_eq(row(LINEAR ".weight_scale_2")->class, QP_CMP_GLOBAL);
    ck_assert_ptr_nonnull(
        strstr(row(LINEAR ".weight_scale_2")->detail, "1/A is 999.999953, B is 1000.00043"));
    ck_assert_int_eq(row(LINEAR)->class, QP_CMP_VALUES); // what both mean, element by element
    ck_assert_uint_gt(row(LINEAR)->n_differ, OUT * IN / 2);
}
END_TEST

static float value(int r, int c) {
    const uint8_t nibble = left.codes[r * IN / 2 + c / 2] >> (c % 2 * 4) & 15;
    const uint32_t code = ref_e2m1_decode(nibble), scale = ref_e4m3_decode(left.scales[r * GROUPS + c / 16]);
    float x, s, g;
    memcpy(&x, &code, 4);
    memcpy(&s, &scale, 4);
    memcpy(&g, &left.global, 4);
    return (float)((double)x * (double)s * (double)g);
}

START_TEST(codes_and_the_values_they_stand_for_mean_the_same) {
    static float values[OUT * IN];
    for (int r = 0; r < OUT; r++)
        for (int c = 0; c < IN; c++) values[r * IN + c] = value(r, c);
    right.n = 0;
    right.config = "{}";
    put(&right, LINEAR ".weight", QP_FP32, 2, OUT, IN, values);
    compare(NULL);
    ck_assert_int_eq(row(LINEAR)->class, QP_CMP_MEANING);
    ck_assert_uint_eq(row(LINEAR)->n_elems, OUT * IN);
    int flipped = 0; // some packages read the code of -0 as 0
    for (int i = 0; i < OUT * IN; i++)
        if (values[i] == 0) values[i] = -values[i], flipped++;
    ck_assert_int_gt(flipped, 0);
    compare(NULL);
    ck_assert_int_eq(row(LINEAR)->class, QP_CMP_MEANING);
    values[9 * IN + 4] += 1.0f;
    compare(NULL);
    ck_assert_int_eq(row(LINEAR)->class, QP_CMP_VALUES);
    ck_assert_int_eq(row(LINEAR)->first[0], 9);
    ck_assert_int_eq(row(LINEAR)->first[1], 4);
    ck_assert_uint_eq(row(LINEAR)->n_differ, 1);
}
END_TEST

START_TEST(an_unreadable_side_is_an_error) {
    const qp_cmp_options o = {.a = save(&left, "a"), .b = "/nonexistent"};
    ck_assert_int_eq(qp_compare_run(&o, arena, &result, &err), QP_IO);
    ck_assert_ptr_nonnull(strstr(err.msg, "/nonexistent"));
}
END_TEST

int main(void) {
    Suite *s = suite_create("compare");
    TCase *t = tcase_create("compare");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, equal_bytes_are_equal);
    tcase_add_test(t, one_code_is_named_with_its_place_and_distance);
    tcase_add_test(t, swapped_nibbles_are_a_class_of_their_own);
    tcase_add_test(t, one_block_scale_a_step_off_is_one_ulp);
    tcase_add_test(t, tiles_that_keep_the_size_are_swizzled);
    tcase_add_test(t, tiles_with_padding_are_swizzled);
    tcase_add_test(t, zeros_around_a_matrix_are_padding);
    tcase_add_test(t, a_transposed_matrix_is_seen_under_either_shape);
    tcase_add_test(t, only_the_global_scale_differs);
    tcase_add_test(t, an_inverted_global_scale_is_a_reciprocal);
    tcase_add_test(t, values_that_are_not_quantized_count_ulps);
    tcase_add_test(t, the_same_numbers_in_another_type_are_the_same_meaning);
    tcase_add_test(t, tensors_on_one_side_are_different);
    tcase_add_test(t, a_map_joins_other_names);
    tcase_add_test(t, both_directions_of_a_global_scale_mean_the_same);
    tcase_add_test(t, codes_and_the_values_they_stand_for_mean_the_same);
    tcase_add_test(t, an_unreadable_side_is_an_error);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
