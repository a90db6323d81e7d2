// SPDX-License-Identifier: Apache-2.0
// The case line: canonical spelling, expansion, dependent defaults, and every refusal of
// cases/bad/case-lines.txt.
#include "core/file.h"
#include "core/text.h"
#include "plan/case.h"
#include "qp/format.h"

#include <check.h>
#include <string.h>

static qp_arena *arena;

static void setup(void) {
    arena = qp_arena_new();
    ck_assert_ptr_nonnull(arena);
}

static void teardown(void) {
    qp_arena_free(arena);
}

static qp_case_list parse(const char *line) {
    qp_case_list list = {0};
    qp_err err = {0};
    qp_status s = qp_case_parse(line, "test", arena, &list, &err);
    ck_assert_msg(s == QP_OK, "%s: %s", line, err.msg);
    return list;
}

static const qp_case *one(const char *line) {
    qp_case_list list = parse(line);
    ck_assert_int_eq(list.n, 1);
    return &list.cases[0];
}

START_TEST(the_canonical_line_has_given_keys_in_table_order_and_drops_defaults) {
    const qp_case *c =
        one("  pipeline\ttp=2 recipe=nvfp4-static   ep=1 model=m seed=0x10 rows=all layers=moe:1 # why");
    ck_assert_str_eq(c->line, "pipeline model=m layers=moe:1 recipe=nvfp4-static tp=2 seed=16");
    ck_assert_uint_eq(strlen(c->id), 12);
    ck_assert_str_eq(c->origin, "test");
    ck_assert_str_eq(c->id,
                     one("pipeline model=m layers=moe:1 recipe=nvfp4-static tp=02 etp=2 dp=1 seed=16")->id);
    ck_assert_str_ne(c->id, one("pipeline model=m layers=moe:1 recipe=nvfp4-static tp=2 seed=17")->id);
}
END_TEST

START_TEST(a_canonical_line_parses_to_itself) {
    qp_case_list list = parse("pipeline model=a,b recipe=r,s tp=1,2 ep=1,4 layers=moe:1,attn:2 "
                              "max_on=expert:03,member:up sync=modelopt-0.47");
    ck_assert_int_eq(list.n, 32);
    for (int i = 0; i < list.n; i++) {
        const qp_case *again = one(list.cases[i].line);
        ck_assert_str_eq(again->line, list.cases[i].line);
        ck_assert_str_eq(again->id, list.cases[i].id);
    }
}
END_TEST

START_TEST(commas_multiply_out_with_the_first_key_slowest_but_not_in_list_keys) {
    qp_case_list list = parse("pipeline model=m recipe=r layers=moe:1,attn:1 tp=1,2 ep=1,4,8");
    static const char *const want[] = {"pipeline model=m layers=moe:1,attn:1 recipe=r",
                                       "pipeline model=m layers=moe:1,attn:1 recipe=r ep=4",
                                       "pipeline model=m layers=moe:1,attn:1 recipe=r ep=8",
                                       "pipeline model=m layers=moe:1,attn:1 recipe=r tp=2",
                                       "pipeline model=m layers=moe:1,attn:1 recipe=r tp=2 ep=4",
                                       "pipeline model=m layers=moe:1,attn:1 recipe=r tp=2 ep=8"};
    ck_assert_int_eq(list.n, QP_COUNT(want));
    for (int i = 0; i < list.n; i++) ck_assert_str_eq(list.cases[i].line, want[i]);
}
END_TEST

START_TEST(etp_defaults_to_tp_and_dp_to_ep_in_every_expanded_case) {
    qp_case_list list = parse("pipeline model=m recipe=r tp=1,2,4 ep=1,8");
    for (int i = 0; i < list.n; i++) {
        qp_layout l;
        ck_assert(qp_case_layout(&list.cases[i], &l));
        ck_assert_int_eq(l.etp, l.tp);
        ck_assert_int_eq(l.dp, l.ep);
        ck_assert_int_eq(l.tp, 1 << (i / 2));
        ck_assert_int_eq(l.ep, i % 2 == 0 ? 1 : 8);
    }
    list = parse("pipeline model=m recipe=r tp=2,4 etp=2");
    ck_assert_str_eq(list.cases[0].line, "pipeline model=m recipe=r tp=2");
    ck_assert_str_eq(list.cases[1].line, "pipeline model=m recipe=r tp=4 etp=2");
    ck_assert(!qp_case_given(&list.cases[0], "etp"));
    ck_assert(qp_case_given(&list.cases[1], "etp"));
}
END_TEST

START_TEST(values_of_a_case_have_their_defaults) {
    const qp_case *c = one("pipeline model=m recipe=r");
    ck_assert_str_eq(qp_case_text(c, "layers"), "all");
    ck_assert_str_eq(qp_case_text(c, "sync"), "invariant");
    ck_assert_str_eq(qp_case_text(c, "load"), "auto");
    ck_assert_str_eq(qp_case_text(c, "expect"), "pass");
    ck_assert_int_eq(qp_case_int(c, "tokens"), 64);
    ck_assert_int_eq(qp_case_int(c, "rows"), 0);
    ck_assert_uint_eq(qp_case_u64(c, "seed"), 1);
    ck_assert(!qp_case_has(c, "max_on"));
    ck_assert(qp_case_has(c, "weights"));
    ck_assert(!qp_case_has(c, "fmt"));
    ck_assert_uint_eq(qp_case_u64(one("pipeline model=m recipe=r seed=18446744073709551615"), "seed"),
                      UINT64_MAX);
    ck_assert_int_eq(qp_case_int(one("pipeline model=m recipe=r rows=32"), "rows"), 32);
}
END_TEST

START_TEST(kernel_cases_normalize_edges_hex_and_shapes) {
    const qp_case *c = one("ste fmt=fp8-e4m3 edge=nan,amax+ulp,amax bwd=clip shape=0004x64");
    ck_assert_str_eq(c->line, "ste fmt=fp8-e4m3 shape=4x64 edge=nan,amax,amax+ulp");
    c = one("quant fmt=nvfp4 in=fp32 hex=3F800000,BF800000");
    ck_assert_str_eq(c->line, "quant fmt=nvfp4 in=fp32 hex=3f800000,bf800000");
    int64_t dims[3];
    int n = 0;
    c = one("grouped fmt=int8-axis0 shape=32x5120x8192 bwd=clip ragged=1");
    ck_assert(qp_case_shape(c, "shape", dims, &n));
    ck_assert_int_eq(n, 3);
    ck_assert(dims[0] == 32 && dims[1] == 5120 && dims[2] == 8192);
    ck_assert_int_eq(qp_case_int(c, "ragged"), 1);
    ck_assert_str_eq(one("quant fmt=nvfp4 hex=@cases/hard/x.txt")->line,
                     "quant fmt=nvfp4 hex=@cases/hard/x.txt");
}
END_TEST

START_TEST(an_empty_line_or_a_comment_is_no_case) {
    ck_assert_int_eq(parse("").n, 0);
    ck_assert_int_eq(parse("   \t ").n, 0);
    ck_assert_int_eq(parse("# quant fmt=nope").n, 0);
}
END_TEST

START_TEST(every_bad_line_is_refused_with_its_column_and_leaves_the_list_alone) {
    char *text = NULL;
    size_t n_bytes = 0;
    qp_err io = {0};
    ck_assert_msg(qp_file_read("cases/bad/case-lines.txt", arena, &text, &n_bytes, &io) == QP_OK, "%s",
                  io.msg);
    int judged = 0;
    for (char *line = text; line < text + n_bytes;) {
        char *stop = strchr(line, '\n');
        ck_assert_ptr_nonnull(stop);
        *stop = '\0';
        char *arrow = strstr(line, " ==> ");
        if (line[0] != '#') {
            ck_assert_msg(arrow != NULL, "no ==> in %s", line);
            *arrow = '\0';
            qp_case_list list = {0};
            qp_err err = {0};
            ck_assert_msg(qp_case_parse(line, "bad", arena, &list, &err) == QP_USAGE, "not refused: %s",
                          line);
            ck_assert_int_eq(list.n, 0);
            const char *want = NULL;
            ck_assert(qp_arena_printf(arena, &want, NULL, "bad:%s", arrow + 5) == QP_OK);
            ck_assert_msg(strncmp(err.msg, want, strlen(want)) == 0, "%s\n wanted %s\n    got %s", line, want,
                          err.msg);
            judged++;
        }
        line = stop + 1;
    }
    ck_assert_int_ge(judged, 60);
}
END_TEST

START_TEST(a_control_character_is_refused_with_its_column) {
    qp_case_list list = {0};
    qp_err err = {0};
    ck_assert(qp_case_parse("quant fmt=nv\x01p4", "bad", arena, &list, &err) == QP_USAGE);
    ck_assert_str_eq(err.msg, "bad:13: control character 0x01 in a case line");
}
END_TEST

START_TEST(a_line_of_too_many_cases_is_refused) {
    qp_text line = {.arena = arena};
    ck_assert(qp_text_add(&line, NULL, "pipeline model=m recipe=r seed=0") == QP_OK);
    for (int i = 1; i < 400; i++) ck_assert(qp_text_add(&line, NULL, ",%d", i) == QP_OK);
    ck_assert_int_eq(parse(line.s).n, 400);
    ck_assert(qp_text_add(&line, NULL, " tokens=0") == QP_OK);
    for (int i = 1; i < 400; i++) ck_assert(qp_text_add(&line, NULL, ",%d", i) == QP_OK);
    qp_case_list list = {0};
    qp_err err = {0};
    ck_assert(qp_case_parse(line.s, "bad", arena, &list, &err) == QP_USAGE);
    ck_assert_ptr_nonnull(strstr(err.msg, "more than 100000 cases in one line"));
    ck_assert_int_eq(list.n, 0);
}
END_TEST

// Counted before the first value is looked at: otherwise each of them would be compared with all before it.
START_TEST(a_list_of_too_many_values_is_refused_unread) {
    qp_text line = {.arena = arena};
    ck_assert(qp_text_add(&line, NULL, "quant fmt=int8 seed=?") == QP_OK);
    for (int i = 0; i < 100000; i++) ck_assert(qp_text_add_bytes(&line, ",1", 2, NULL) == QP_OK);
    qp_case_list list = {0};
    qp_err err = {0};
    ck_assert(qp_case_parse(line.s, "bad", arena, &list, &err) == QP_USAGE);
    ck_assert_str_eq(err.msg, "bad:21: more than 100000 cases in one line");
}
END_TEST

START_TEST(the_format_words_are_the_formats_of_the_contract) {
    const qp_case *c = one("quant fmt=int8");
    const qp_key *fmt = NULL;
    for (int k = 0; k < c->kind->n_keys; k++)
        if (strcmp(c->kind->keys[k].name, "fmt") == 0) fmt = &c->kind->keys[k];
    ck_assert_ptr_nonnull(fmt);
    int n = 0;
    for (; fmt->words[n] != NULL; n++) ck_assert_str_eq(fmt->words[n], qp_format_get((qp_format)n)->name);
    ck_assert_int_eq(n, QP_FORMAT_COUNT);
}
END_TEST

START_TEST(every_key_has_a_doc_and_every_default_is_a_good_value) {
    for (int i = 0; i < qp_n_kinds; i++) {
        for (int k = 0; k < qp_kinds[i].n_keys; k++) {
            const qp_key *key = &qp_kinds[i].keys[k];
            ck_assert_msg(key->doc != NULL && key->doc[0] != '\0', "%s", key->name);
            for (int j = 0; j < k; j++) ck_assert_str_ne(key->name, qp_kinds[i].keys[j].name);
        }
    }
    // A default that is spelled out gives the same case as one that is left out.
    ck_assert_str_eq(one("pipeline model=m recipe=r layers=all names=hf tp=1 cp=1 pp=1 ep=1 etp=1 dp=1 "
                         "sync=invariant tokens=64 "
                         "rows=all weights=generated load=auto seed=1 expect=pass")
                         ->line,
                     "pipeline model=m recipe=r");
    ck_assert_str_eq(one("quant fmt=int8 in=bf16 shape=64x256 seed=1 dist=gauss:0.02 engine=auto "
                         "narrow_range=0 misalign=0 order=0")
                         ->line,
                     "quant fmt=int8");
}
END_TEST

START_TEST(layout_words_name_their_degrees) {
    qp_layout l;
    ck_assert(qp_layout_word("tp4ep2", &l));
    ck_assert(l.tp == 4 && l.ep == 2 && l.etp == 0 && l.dp == 0);
    qp_layout_fill(&l);
    ck_assert(l.cp == 1 && l.pp == 1 && l.etp == 4 && l.dp == 2);
    ck_assert(qp_layout_word("etp2tp4dp8pp2cp1ep16", &l));
    ck_assert(l.etp == 2 && l.tp == 4 && l.dp == 8 && l.pp == 2 && l.cp == 1 && l.ep == 16);
    static const char *const bad[] = {"",     "tp",  "4tp",    "tp0", "tp2tp2", "tp2 ep2",
                                      "tp-1", "xp2", "tp4097", "TP2", "tp2x"};
    for (int i = 0; i < QP_COUNT(bad); i++)
        ck_assert_msg(!qp_layout_word(bad[i], &l), "'%s' is no layout", bad[i]);
}
END_TEST

int main(void) {
    Suite *s = suite_create("case");
    TCase *t = tcase_create("case");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_canonical_line_has_given_keys_in_table_order_and_drops_defaults);
    tcase_add_test(t, a_canonical_line_parses_to_itself);
    tcase_add_test(t, commas_multiply_out_with_the_first_key_slowest_but_not_in_list_keys);
    tcase_add_test(t, etp_defaults_to_tp_and_dp_to_ep_in_every_expanded_case);
    tcase_add_test(t, values_of_a_case_have_their_defaults);
    tcase_add_test(t, kernel_cases_normalize_edges_hex_and_shapes);
    tcase_add_test(t, an_empty_line_or_a_comment_is_no_case);
    tcase_add_test(t, every_bad_line_is_refused_with_its_column_and_leaves_the_list_alone);
    tcase_add_test(t, a_control_character_is_refused_with_its_column);
    tcase_add_test(t, a_line_of_too_many_cases_is_refused);
    tcase_add_test(t, a_list_of_too_many_values_is_refused_unread);
    tcase_add_test(t, the_format_words_are_the_formats_of_the_contract);
    tcase_add_test(t, every_key_has_a_doc_and_every_default_is_a_good_value);
    tcase_add_test(t, layout_words_name_their_degrees);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
