// SPDX-License-Identifier: Apache-2.0
// eval: floors of judged golden lines, answers, refusals with their column, what a wrong answer looks like.
#include "cmd/eval.h"
#include "core/file.h"
#include "core/text.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static qp_arena *arena;

static void setup(void) {
    arena = qp_arena_new();
    ck_assert_ptr_nonnull(arena);
}

static void teardown(void) {
    qp_arena_free(arena);
}

// ---- running a stream in memory
// --------------------------------------------------------------------------------------------

typedef struct outcome {
    char *out, *errors;
    eval_totals totals;
} outcome;

static outcome stream(const char *input, bool check, const eval_defaults *d) {
    static const eval_defaults none;
    outcome o = {0};
    size_t n_out = 0, n_errors = 0;
    qp_err err = {0};
    FILE *in = fmemopen((void *)(uintptr_t)input, strlen(input), "r");
    FILE *out = open_memstream(&o.out, &n_out), *errors = open_memstream(&o.errors, &n_errors);
    ck_assert(in != NULL && out != NULL && errors != NULL);
    eval_stream s = {in, out, errors, "t", check, d != NULL ? d : &none, arena, &o.totals};
    qp_status status = eval_run(&s, &err);
    ck_assert_msg(status == QP_OK, "%s", err.msg);
    fclose(in);
    fclose(out);
    fclose(errors);
    return o;
}

static void done(outcome *o) {
    free(o->out);
    free(o->errors);
}

static void answers(const char *input, const char *want) {
    outcome o = stream(input, false, NULL);
    ck_assert_msg(strcmp(o.out, want) == 0, "%s\n wanted %s\n    got %s\n%s", input, want, o.out, o.errors);
    done(&o);
}

// ---- golden files
// ------------------------------------------------------------------------------------------------------------

typedef struct golden {
    const char *file;
    int lines, equal; // equal: the floor of judged lines, all of them equal
} golden;

static const golden goldens[] = {
    {"int8", 180, 180},
    {"int8-axis0", 90, 90},
    {"fp8-e4m3", 255, 255},
    {"nvfp4-quant", 360, 360},
    {"backward", 180, 180},
    {"amax", 180, 180},
    {"promotion", 20, 20},
    {"special-amax", 18, 18},
    {"traps", 27, 22},
    {"nvfp4-fake-interp", 270, 270},
    {"codec", 4136, 0},
    {"export", 60, 0},
    {"fp8-int8-real", 162, 0},
    {"headroom", 36, 0},
    {"histogram", 50, 0},
    {"int4-block", 180, 0},
    {"mse", 48, 0},
    {"mx-real", 360, 0},
    {"nf4", 60, 0},
    {"sweep", 73, 0},
};

static outcome check_file(const char *path) {
    char *text = NULL;
    size_t n_bytes = 0;
    qp_err err = {0};
    ck_assert_msg(qp_file_read(path, arena, &text, &n_bytes, &err) == QP_OK, "%s", err.msg);
    return stream(text, true, NULL);
}

START_TEST(every_golden_file_is_judged_down_to_its_floor_and_nothing_differs) {
    for (int i = 0; i < QP_COUNT(goldens); i++) {
        const golden *g = &goldens[i];
        const char *path = NULL;
        ck_assert(qp_arena_printf(arena, &path, NULL, "cases/golden/%s.txt", g->file) == QP_OK);
        outcome o = check_file(path);
        ck_assert_msg(o.totals.different == 0, "%s: %s", g->file, o.out);
        ck_assert_msg(o.totals.refused == 0, "%s: %s", g->file, o.errors);
        ck_assert_msg(o.totals.lines == g->lines, "%s: %d lines", g->file, o.totals.lines);
        ck_assert_msg(o.totals.equal >= g->equal, "%s: %d judged, floor %d", g->file, o.totals.equal,
                      g->equal);
        ck_assert_int_eq(o.totals.equal + o.totals.skipped, o.totals.lines);
        done(&o);
    }
}
END_TEST

START_TEST(skipped_lines_are_counted_by_name) {
    outcome o = check_file("cases/golden/fp8-int8-real.txt");
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    ck_assert(eval_print_skips(&o.totals, out, NULL) == QP_OK);
    fclose(out);
    ck_assert_str_eq(
        text,
        "skipped: 36 quant fp8-e4m3 (torch-cpu), 36 quant int8 (torch-cpu), 36 quant fp8-axis0 (torch-cpu), "
        "36 quant int8-axis0 (torch-cpu), 18 quant fp8-block2d (torch-cpu)\n");
    free(text);
    done(&o);
}
END_TEST

START_TEST(an_old_release_differs_in_its_31_lines) {
    outcome o = check_file("cases/golden/releases/nvfp4-quant-0.44.txt");
    ck_assert_int_eq(o.totals.lines, 270);
    ck_assert_int_eq(o.totals.different, 31);
    ck_assert_int_eq(o.totals.equal, 239);
    done(&o);
}
END_TEST

// ---- a wrong answer
// ------------------------------------------------------------------------------------------------------------

START_TEST(one_flipped_answer_bit_is_named_with_line_element_want_and_got) {
    outcome o =
        stream("# a copy of a golden line, one bit of y[3] flipped\n"
               "op=fakequant fmt=int8 engine=torch-cpu in=bf16 unsigned=0 narrow_range=0 amax=3fe90000 "
               "x=bf3a,beeb,3f37,bf39,3fbf y=bf3b,beeb,3f37,bf36,3fbf\n",
               true, NULL);
    ck_assert_int_eq(o.totals.different, 1);
    ck_assert_int_eq(o.totals.equal, 0);
    ck_assert_str_eq(
        o.out, "t:2: y[3]: want bf36, got bf37 (1 of 5 differ)\n"
               "  paste: echo 'op=fakequant fmt=int8 engine=torch-cpu in=bf16 unsigned=0 narrow_range=0 "
               "amax=3fe90000 x=bf3a,beeb,3f37,bf39,3fbf' | quantproof eval\n");
    done(&o);
}
END_TEST

// Every judged golden line, one answer bit flipped: every one must be found.
START_TEST(no_golden_line_is_equal_with_a_flipped_bit_in_any_answer_key) {
    static const char *const keys[] = {
        " y=", " g=", " codes=", " scales=", " weight_scale_2=", " values=", " amax=", " block_scale="};
    static const char *const files[] = {
        "int8", "int8-axis0", "fp8-e4m3", "nvfp4-quant", "nvfp4-fake-interp", "backward", "amax"};
    int flipped = 0;
    for (int f = 0; f < QP_COUNT(files); f++) {
        const char *path = NULL;
        char *text = NULL;
        size_t n = 0;
        ck_assert(qp_arena_printf(arena, &path, NULL, "cases/golden/%s.txt", files[f]) == QP_OK);
        ck_assert(qp_file_read(path, arena, &text, &n, NULL) == QP_OK);
        int number = 0;
        for (char *line = text, *stop; (stop = strchr(line, '\n')) != NULL; line = stop + 1) {
            *stop = '\0';
            if (line[0] == '#' || number++ % 7 != 0) continue;
            for (int k = 0; k < QP_COUNT(keys); k++) {
                char *at = strstr(line, keys[k]);
                bool input = strcmp(keys[k], " amax=") == 0 && strcmp(files[f], "amax") != 0;
                if (at == NULL || input) continue;
                at += strlen(keys[k]);
                size_t item = strcspn(at, ", ");
                if (strncmp(at, "7f", 2) == 0 || strncmp(at, "ff", 2) == 0 || strncmp(at, "7e", 2) == 0)
                    continue; // maybe NaN
                char *digit = at + item - 1, old = *digit;
                *digit = old == '0'   ? '1'
                         : old == '1' ? '0'
                         : old == '8' ? '9'
                         : old == '9' ? '8'
                         : old == 'a' ? 'b'
                                      : 'a';
                outcome o = stream(line, true, NULL);
                ck_assert_msg(o.totals.different == 1, "%s: flipped%snot found: %s", files[f], keys[k], line);
                flipped++;
                *digit = old;
                done(&o);
            }
        }
    }
    ck_assert_int_ge(flipped, 200);
}
END_TEST

START_TEST(a_wrong_global_amax_of_one_member_is_found_and_the_paste_line_has_the_whole_group) {
    outcome o = stream(
        "op=promote fmt=nvfp4-static in=bf16 group=4 x=3f80 block_amax=3f800000 global_amax=40800000\n"
        "op=promote fmt=nvfp4-static in=bf16 group=4 x=4080 block_amax=40800000 global_amax=40000000\n"
        "op=promote fmt=nvfp4-static in=bf16 group=5 x=3f80 block_amax=3f800000 global_amax=3f800000\n",
        true, NULL);
    ck_assert_int_eq(o.totals.equal, 2);
    ck_assert_int_eq(o.totals.different, 1);
    ck_assert_str_eq(o.out, "t:2: global_amax[0]: want 40000000, got 40800000 (1 of 1 differ)\n"
                            "  paste: sed -n '1,2p' t | quantproof eval\n");
    done(&o);
}
END_TEST

START_TEST(nan_answers_compare_as_a_class_and_zeros_by_sign) {
    outcome o = stream("op=fakequant fmt=fp8-e4m3 in=bf16 amax=3f800000 x=7fc0,8000 y=ffff,8000\n"
                       "op=fakequant fmt=fp8-e4m3 in=bf16 amax=3f800000 x=7fc0,8000 y=7f80,8000\n"
                       "op=fakequant fmt=fp8-e4m3 in=bf16 amax=3f800000 x=7fc0,8000 y=7fc0,0000\n",
                       true, NULL);
    ck_assert_int_eq(o.totals.equal, 1);
    ck_assert_int_eq(o.totals.different, 2);
    ck_assert_ptr_nonnull(strstr(o.out, "t:2: y[0]: want 7f80, got 7fc0 (1 of 2 differ)"));
    ck_assert_ptr_nonnull(strstr(o.out, "t:3: y[1]: want 0000, got 8000 (1 of 2 differ)"));
    done(&o);
}
END_TEST

// ---- answers
// ---------------------------------------------------------------------------------------------------------------------

START_TEST(the_examples_of_the_product_page_answer_as_printed_there) {
    eval_defaults d = {.op = "fakequant"};
    static const char *const words[] = {"fmt=int8", "in=bf16", "amax=3f8f0000"};
    for (int i = 0; i < QP_COUNT(words); i++)
        ck_assert(eval_defaults_add(&d, words[i], arena, NULL) == QP_OK);
    ck_assert(eval_defaults_check(&d, arena, NULL) == QP_OK);
    outcome o = stream("3f8f 3f0f bf81\n", false, &d);
    ck_assert_str_eq(o.out, "y=3f8f,3f10,bf81\n");
    done(&o);
    answers("op=quant fmt=nvfp4 in=bf16 global_amax=40000000 3f33 3dd2 beb3 3f06 bf60 3d33 3fb3 be58 3e90 "
            "bf21 0000 3f45 bf90 3c66 "
            "befb 3e33\n",
            "codes=15,4b,0e,a7,d2,50,0e,1c scales=7a weight_scale_2=3a430c31 "
            "values=3f37,3df4,beb7,3ef4,bf74,0000,3fb7,be74,3e74,bf37,0000,3f37,bf74,0000,bef4,3df4\n");
}
END_TEST

START_TEST(a_key_of_the_line_overrides_the_command_line) {
    eval_defaults d = {.op = "fakequant"};
    ck_assert(eval_defaults_add(&d, "fmt=int8", arena, NULL) == QP_OK);
    ck_assert(eval_defaults_add(&d, "amax=3f8f0000", arena, NULL) == QP_OK);
    ck_assert(eval_defaults_add(&d, "in=bf16", arena, NULL) == QP_OK);
    outcome o = stream("3f8f amax=42000000\n3f8f # again\n\nop=amax x=bf8f\n", false, &d);
    ck_assert_str_eq(o.out, "y=3f81\ny=3f8f\namax=3f8f\n");
    done(&o);
}
END_TEST

START_TEST(defaults_from_the_data_are_the_maxima_of_the_data) {
    answers("op=fakequant fmt=int8 in=bf16 x=3f8f,3f0f,bf81\n", "y=3f8f,3f10,bf81\n");
    answers("op=fakequant fmt=int8-axis0 shape=2x1 x=3f800000,40000000\n", "y=3f800000,40000000\n");
    answers("op=amax in=bf16 shape=2x3 axis=0 x=3f80,c000,4000,0000,8000,ffc1\n", "amax=4000,7fc0\n");
    answers("op=amax in=bf16 shape=2x3 block=2 x=3f80,c000,4000,0000,8000,ffc1\n",
            "amax=4000,4000,0000,7fc0\n");
    answers("op=amax x=bf800000\n", "amax=3f800000\n");
    outcome given = stream("op=quant fmt=nvfp4 in=bf16 global_amax=40800000 x=3f80,c080\n", false, NULL);
    answers("op=quant fmt=nvfp4 in=bf16 x=3f80,c080\n", given.out);
    done(&given);
    given =
        stream("op=fakequant fmt=nvfp4-static in=bf16 global_amax=40800000 block_amax=40800000 x=3f80,c080\n",
               false, NULL);
    ck_assert_msg(strncmp(given.out, "block_scale=", 12) == 0 && strstr(given.out, " y=") != NULL, "%s",
                  given.out);
    answers("op=fakequant fmt=nvfp4-static in=bf16 x=3f80,c080\n", given.out);
    done(&given);
}
END_TEST

START_TEST(a_dequantized_answer_is_the_values_of_quant) {
    answers("op=dequant fmt=nvfp4 out=bf16 codes=15,4b,0e,a7,d2,50,0e,1c scales=7a weight_scale_2=3a430c31\n",
            "values=3f37,3df4,beb7,3ef4,bf74,0000,3fb7,be74,3e74,bf37,0000,3f37,bf74,0000,bef4,3df4\n");
}
END_TEST

START_TEST(engine_all_prints_every_engine_that_is_built) {
    answers("op=fakequant fmt=int8 in=fp32 amax=33800000 engine=all x=bf800000\n",
            "engine=ieee y=b3810204\nengine=torch-cpu y=80000000\n"
            "# skipped: fakequant int8 (torch-cuda) is not built yet\n");
}
END_TEST

START_TEST(members_of_a_group_share_their_global_amax_and_a_group_ends_with_another_line) {
    answers("op=promote fmt=nvfp4-static in=bf16 group=0 3f80\nop=promote fmt=nvfp4-static in=bf16 group=0 "
            "4080 # same\n"
            "op=promote fmt=nvfp4-static in=bf16 group=1 4000\nop=promote fmt=nvfp4-static in=bf16 3f80\n"
            "op=promote fmt=nvfp4-static in=bf16 group=2 4000\n\nop=promote fmt=nvfp4-static in=bf16 group=2 "
            "3f80\n",
            "block_amax=3f800000 global_amax=40800000\nblock_amax=40800000 global_amax=40800000\n"
            "block_amax=40000000 global_amax=40000000\nblock_amax=3f800000 global_amax=3f800000\n"
            "block_amax=40000000 global_amax=40000000\nblock_amax=3f800000 global_amax=3f800000\n");
}
END_TEST

START_TEST(a_refused_member_takes_its_group_with_it) {
    outcome o = stream(
        "op=promote fmt=nvfp4-static in=bf16 group=0 3f80\nop=promote fmt=nvfp4-static in=bf16 group=0 408\n"
        "op=promote fmt=nvfp4-static in=bf16 group=1 3f80\n",
        false, NULL);
    ck_assert_str_eq(o.out, "# refused: t:1:1: line 2, a member of the same group, is refused\n"
                            "# refused: t:2:45: x[0]: wanted 4 hex digits (bf16), got '408'\n"
                            "block_amax=3f800000 global_amax=3f800000\n");
    ck_assert_int_eq(o.totals.refused, 2);
    done(&o);
}
END_TEST

START_TEST(a_line_of_a_megabyte_is_answered) {
    qp_text line = {.arena = arena};
    enum { N = 200000 };
    ck_assert(qp_text_add(&line, NULL, "op=fakequant fmt=int8 in=bf16 amax=3f8f0000 x=3f0f") == QP_OK);
    for (int i = 1; i < N; i++) ck_assert(qp_text_add_bytes(&line, ",3f0f", 5, NULL) == QP_OK);
    outcome o = stream(line.s, false, NULL);
    ck_assert_uint_eq(strlen(o.out), 2 + 5 * (size_t)N);
    ck_assert(strncmp(o.out, "y=3f10,3f10,", 12) == 0);
    for (int i = 0; i < N; i++) ck_assert(strncmp(o.out + 2 + 5 * (size_t)i, "3f10", 4) == 0);
    done(&o);
}
END_TEST

// ---- refusals
// ----------------------------------------------------------------------------------------------------------------------

START_TEST(every_bad_line_is_refused_with_its_column_and_the_next_line_still_answers) {
    char *text = NULL;
    size_t n_bytes = 0;
    int judged = 0;
    ck_assert(qp_file_read("cases/bad/eval-lines.txt", arena, &text, &n_bytes, NULL) == QP_OK);
    for (char *line = text, *stop; (stop = strchr(line, '\n')) != NULL; line = stop + 1) {
        *stop = '\0';
        char *arrow = strstr(line, " ==> ");
        if (line[0] == '#') continue;
        ck_assert_msg(arrow != NULL, "no ==> in %s", line);
        *arrow = '\0';
        const char *input = NULL, *want = NULL;
        ck_assert(qp_arena_printf(arena, &input, NULL, "%s\nop=amax x=bf800000\n", line) == QP_OK);
        ck_assert(qp_arena_printf(arena, &want, NULL, "t:1:%s", arrow + 5) == QP_OK);
        outcome o = stream(input, false, NULL);
        ck_assert_msg(strncmp(o.errors, want, strlen(want)) == 0, "%s\n wanted %s\n    got %s", line, want,
                      o.errors);
        ck_assert_msg(strncmp(o.out, "# refused: ", 11) == 0 && strncmp(o.out + 11, want, strlen(want)) == 0,
                      "%s", o.out);
        ck_assert_msg(strstr(o.out, "\namax=3f800000\n") != NULL, "%s: no answer after it: %s", line, o.out);
        ck_assert_int_eq(o.totals.refused, 1);
        ck_assert_int_eq(o.totals.answered, 1);
        judged++;
        done(&o);
    }
    ck_assert_int_ge(judged, 60);
}
END_TEST

START_TEST(control_characters_are_refused_with_their_column) {
    outcome o = stream("op=amax x=bf80\x02"
                       "0000\n",
                       false, NULL);
    ck_assert_str_eq(o.errors, "t:1:15: control character 0x02\n");
    done(&o);
}
END_TEST

int main(void) {
    Suite *s = suite_create("eval");
    TCase *t = tcase_create("eval");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_golden_file_is_judged_down_to_its_floor_and_nothing_differs);
    tcase_add_test(t, skipped_lines_are_counted_by_name);
    tcase_add_test(t, an_old_release_differs_in_its_31_lines);
    tcase_add_test(t, one_flipped_answer_bit_is_named_with_line_element_want_and_got);
    tcase_add_test(t, no_golden_line_is_equal_with_a_flipped_bit_in_any_answer_key);
    tcase_add_test(t, a_wrong_global_amax_of_one_member_is_found_and_the_paste_line_has_the_whole_group);
    tcase_add_test(t, nan_answers_compare_as_a_class_and_zeros_by_sign);
    tcase_add_test(t, the_examples_of_the_product_page_answer_as_printed_there);
    tcase_add_test(t, a_key_of_the_line_overrides_the_command_line);
    tcase_add_test(t, defaults_from_the_data_are_the_maxima_of_the_data);
    tcase_add_test(t, a_dequantized_answer_is_the_values_of_quant);
    tcase_add_test(t, engine_all_prints_every_engine_that_is_built);
    tcase_add_test(t, members_of_a_group_share_their_global_amax_and_a_group_ends_with_another_line);
    tcase_add_test(t, a_refused_member_takes_its_group_with_it);
    tcase_add_test(t, a_line_of_a_megabyte_is_answered);
    tcase_add_test(t, every_bad_line_is_refused_with_its_column_and_the_next_line_still_answers);
    tcase_add_test(t, control_characters_are_refused_with_their_column);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
