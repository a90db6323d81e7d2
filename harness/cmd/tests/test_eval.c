// SPDX-License-Identifier: Apache-2.0
// eval: answers, refusals with their column, what a wrong answer looks like.
#include "cmd/tests/eval_run.h"
#include "core/file.h"
#include "core/text.h"

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

static outcome stream(const char *input, bool check, const eval_defaults *d) {
    return eval_lines(input, check, d, arena);
}

static void answers(const char *input, const char *want) {
    outcome o = stream(input, false, NULL);
    ck_assert_msg(strcmp(o.out, want) == 0, "%s\n wanted %s\n    got %s\n%s", input, want, o.out, o.errors);
    done(&o);
}

// Of the words of a quant line, those that its dequant row has.
static void answers_by_keys(const char *words, const char *want) {
    qp_text line = {.arena = arena};
    const char *fmt = strstr(words, "fmt=") + 4;
    const eval_row *row = NULL;
    for (int r = 0; r < eval_n_rows && row == NULL; r++) {
        const char *at = eval_rows[r].formats;
        for (; strcmp(eval_rows[r].op, "dequant") == 0 && *at != '\0'; at += strspn(at, " ")) {
            size_t n = strcspn(at, " ");
            if (strcspn(fmt, " ") == n && strncmp(at, fmt, n) == 0) row = &eval_rows[r];
            at += n;
        }
    }
    ck_assert_msg(row != NULL, "no dequant of %s", words);
    ck_assert(qp_text_add(&line, NULL, "op=dequant") == QP_OK);
    for (const char *p = words; *p != '\0'; p += strspn(p, " ")) {
        size_t n = strcspn(p, " "), key = strcspn(p, "=");
        bool known = strncmp(p, "fmt=", 4) == 0 || strncmp(p, "engine=", 7) == 0;
        for (int k = 0; k < row->n_keys; k++)
            known = known || (strlen(row->keys[k].name) == key && strncmp(row->keys[k].name, p, key) == 0);
        if (known) ck_assert(qp_text_add(&line, NULL, " %.*s", (int)n, p) == QP_OK);
        p += n;
    }
    ck_assert(qp_text_add(&line, NULL, "\n") == QP_OK);
    answers(line.s, want);
}

START_TEST(a_line_without_answers_is_skipped_by_name) {
    outcome o =
        stream("op=amax x=bf800000\nop=amax x=bf800000 amax=3f800000\nop=amax x=3f800000\n", true, NULL);
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    ck_assert(eval_print_skips(&o.totals, out, NULL) == QP_OK);
    fclose(out);
    ck_assert_str_eq(text, "skipped: 2 line without answer keys\n");
    ck_assert_int_eq(o.totals.equal, 1);
    free(text);
    done(&o);
}
END_TEST

START_TEST(an_answer_that_is_not_built_has_a_name_for_the_summary) {
    static const eval_row row = {.op = "quant", .formats = "int8", .engines = 1u << QP_ENGINE_TORCH_CPU};
    eval_case c = {.row = &row, .fmt = "int8", .format = QP_INT8};
    const char *label = NULL;
    ck_assert(eval_not_built(&c, QP_ENGINE_TORCH_CPU, arena, &label, NULL) == QP_OK);
    ck_assert_str_eq(label, "quant int8 (torch-cpu)");
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

START_TEST(e4m3_bytes_have_one_nan) {
    const char *line = "op=quant fmt=fp8-e4m3 engine=torch-cpu in=fp32 x=00000000,00000000 ";
    const char *text = NULL;
    ck_assert(qp_arena_printf(arena, &text, NULL, "%scodes=7f,ff\n%scodes=7f,fe\n", line, line) == QP_OK);
    outcome o = stream(text, true, NULL);
    ck_assert_int_eq(o.totals.equal, 1);
    ck_assert_int_eq(o.totals.different, 1);
    done(&o);
    // INT8 has no NaN: 7f and ff are two levels
    o = stream("op=quant fmt=int8 engine=torch-cpu in=fp32 x=42fe0000 codes=ff\n", true, NULL);
    ck_assert_int_eq(o.totals.different, 1);
    done(&o);
}
END_TEST

START_TEST(the_scales_of_deepseek_fp8_are_fp32_beside_any_x) {
    answers("op=quant fmt=fp8-block2d engine=deepseek-fp8 in=bf16 shape=1x2 x=3f80,3c2d\n"
            "op=dequant fmt=fp8-block2d engine=deepseek-fp8 in=bf16 out=bf16 shape=1x2 codes=7e,49 "
            "scales=3b124925\n",
            "codes=7e,49 scales=3b124925 values=3f80,3c25\n"
            "values=3f80,3c25\n");
    // read once for all engines, in the type of in
    answers("op=dequant fmt=fp8-block2d engine=all in=bf16 out=fp32 shape=1x1 codes=38 scales=3b12\n",
            "engine=torch-cpu values=3b120000\nengine=torch-cuda values=3b120000\n"
            "engine=deepseek-fp8 values=3b120000\n");
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

// What quant packed, dequant opens again, in every format that has both.
START_TEST(dequant_of_what_quant_answered_gives_its_values) {
    static const char *const lines[] = {
        "fmt=int8 engine=torch-cpu in=bf16 x=3fba,bfdb,3f00",
        "fmt=int8-axis0 engine=torch-cpu in=fp16 shape=2x2 x=3fba,bfdb,3c00,4000",
        "fmt=fp8-e4m3 engine=torch-cpu in=bf16 x=3fba,bfdb,3f00",
        "fmt=fp8-axis0 engine=torch-cpu in=fp32 shape=2x1 x=3fba0000,bfdb0000",
        "fmt=fp8-block2d engine=torch-cpu in=bf16 shape=3x3 block=2x2 "
        "x=3fba,bfdb,3c00,4000,3f00,3f10,3f20,3f30,3f40",
        "fmt=int4-block engine=torch-cpu in=bf16 block=4 x=40e0,3f00,bfc0,40d0,3f80,bf80,3f00,3f40",
        "fmt=nvfp4-static engine=torch-cuda in=fp16 x=3c00,bc00,3800,b400",
        "fmt=nvfp4-46 in=fp32 x=3fba0000,bfdb0000",
        "fmt=nvfp4-w4a8 in=bf16 x=3fba,bfdb,3f00,3f10",
        "fmt=mxfp4 in=bf16 x=3fba,bfdb,3f00,3f10",
        "fmt=mxfp6-e3m2 in=bf16 x=3fba,bfdb,3f00,3f10",
        "fmt=mxfp6-e2m3 in=fp16 x=3fba,bfdb,3f00,3f10",
        "fmt=mxfp8-e4m3 engine=torch-cpu in=bf16 x=3fba,bfdb,3f00,3f10",
        "fmt=mxfp8-e5m2 in=fp32 x=3fba0000,bfdb0000",
        "fmt=mxint8 in=bf16 x=3fba,bfdb,3f00,3f10",
        "fmt=nf4 engine=torch-cpu in=bf16 block=2 scale_zero=3f80 x=3fba,bfdb,3f00,3f10",
    };
    for (int i = 0; i < QP_COUNT(lines); i++) {
        // out= is the type of x; what quant printed are the inputs of dequant, and its x and values stay
        // behind.
        const char *input = NULL, *in = strstr(lines[i], "in="), *x = strstr(lines[i], " x=");
        ck_assert(qp_arena_printf(arena, &input, NULL, "op=quant %s\n", lines[i]) == QP_OK);
        outcome o = stream(input, false, NULL);
        char *values = strstr(o.out, "values=");
        ck_assert_msg(values != NULL, "%s: %s%s", lines[i], o.out, o.errors);
        const char *want = NULL, *keys = NULL;
        ck_assert(qp_arena_strdup(arena, values, &want, NULL) == QP_OK);
        ck_assert(qp_arena_printf(arena, &keys, NULL, "%.*s out=%.4s %.*s", (int)(x - lines[i]), lines[i],
                                  in + 3, (int)(values - o.out), o.out) == QP_OK);
        answers_by_keys(keys, want);
        done(&o);
    }
}
END_TEST

START_TEST(engine_all_prints_every_engine_and_which_of_them_refuse) {
    answers("op=fakequant fmt=int8 in=fp32 amax=33800000 engine=all x=bf800000\n",
            "engine=ieee y=b3810204\nengine=torch-cpu y=80000000\nengine=torch-cuda y=80000000\n");
    answers("op=fakequant fmt=int8 amax=7fc00000 engine=all x=3f800000\n",
            "# engine=ieee refused: t:1:28: amax is NaN: INT under ieee refuses it (device assert)\n"
            "engine=torch-cpu y=7fc00000\nengine=torch-cuda y=7fc00000\n");
    answers("op=fakequant fmt=mxfp4 in=bf16 engine=all x=0040\n",
            "engine=ieee y=0040\nengine=mx-ext y=8000\n");
    answers("op=quant fmt=mxfp4 in=bf16 engine=all x=40d0,3f40\n",
            "engine=ieee codes=15 scales=80 values=40c0,3f80\nengine=torch-cpu codes=15 scales=80 "
            "values=40c0,3f80\nengine=torch-cuda codes=15 scales=80 values=40c0,3f80\n"
            "engine=compressed-tensors codes=27 scales=7f values=40c0,3f80\n");
    // A scale of another width under one engine: each prints its own.
    answers("op=quant fmt=fp8-block2d in=bf16 engine=all shape=1x2 block=1x2 x=3f81,3c2d\n",
            "engine=torch-cpu codes=7e,49 scales=3b13 values=3f81,3c25\n"
            "engine=torch-cuda codes=7e,49 scales=3b13 values=3f81,3c25\n"
            "engine=deepseek-fp8 codes=7e,49 scales=3b136db7 values=3f81,3c26\n");
    outcome o = stream("op=fakequant fmt=int8 amax=bf800000 engine=all x=3f800000\nop=amax x=bf800000\n",
                       false, NULL);
    ck_assert_int_eq(o.totals.refused, 1);
    ck_assert_int_eq(o.totals.answered, 1);
    ck_assert_ptr_nonnull(strstr(o.out, "\namax=3f800000\n"));
    done(&o);
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
    tcase_add_test(t, a_line_without_answers_is_skipped_by_name);
    tcase_add_test(t, an_answer_that_is_not_built_has_a_name_for_the_summary);
    tcase_add_test(t, one_flipped_answer_bit_is_named_with_line_element_want_and_got);
    tcase_add_test(t, a_wrong_global_amax_of_one_member_is_found_and_the_paste_line_has_the_whole_group);
    tcase_add_test(t, e4m3_bytes_have_one_nan);
    tcase_add_test(t, the_scales_of_deepseek_fp8_are_fp32_beside_any_x);
    tcase_add_test(t, nan_answers_compare_as_a_class_and_zeros_by_sign);
    tcase_add_test(t, the_examples_of_the_product_page_answer_as_printed_there);
    tcase_add_test(t, a_key_of_the_line_overrides_the_command_line);
    tcase_add_test(t, defaults_from_the_data_are_the_maxima_of_the_data);
    tcase_add_test(t, a_dequantized_answer_is_the_values_of_quant);
    tcase_add_test(t, dequant_of_what_quant_answered_gives_its_values);
    tcase_add_test(t, engine_all_prints_every_engine_and_which_of_them_refuse);
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
