// SPDX-License-Identifier: Apache-2.0
// replay: all recorded files are equal, known bugs differ exactly where they are listed, and whatever is
// changed in a record is found.
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "core/file.h"

static char folder[512];

static void set_up(void) {
    const char *build = getenv("QP_BUILD");
    snprintf(folder, sizeof folder, "%s/tmp/replay-%d", build ? build : "build", (int)getpid());
    ck_assert(qp_dir_make(folder, NULL) == QP_OK);
}
static void tear_down(void) {
    qp_dir_remove(folder, NULL);
}

typedef struct outcome {
    qp_status status;
    int exit_code;
    char *text; // stdout and stderr
    char message[QP_ERR_MSG];
} outcome;

// Both streams go to one file while the command runs.
static outcome replay(int n, const char *const *files) {
    outcome o = {.exit_code = -1};
    char log[600], *argv[16] = {(char *)"replay"};
    qp_err err = {0};
    qp_arena *a = qp_arena_new();
    size_t size;
    snprintf(log, sizeof log, "%s/log", folder);
    for (int i = 0; i < n; i++) argv[i + 1] = (char *)files[i];
    fflush(NULL);
    const int out = dup(1), errors = dup(2);
    ck_assert(freopen(log, "w", stdout) != NULL && dup2(1, 2) >= 0);
    o.status = qp_cmd_replay(n + 1, argv, &o.exit_code, &err);
    fflush(NULL);
    dup2(out, 1);
    dup2(errors, 2);
    close(out);
    close(errors);
    ck_assert(qp_file_read(log, a, &o.text, &size, NULL) == QP_OK);
    o.text = strdup(o.text);
    memcpy(o.message, err.msg, sizeof o.message);
    qp_arena_free(a);
    return o;
}

static outcome replay_file(const char *file) {
    return replay(1, &file);
}

// ---- the files as they are
// -----------------------------------------------------------------------------------------------------

static const struct {
    const char *file;
    int records, skipped;
} good[] = {{"cases/pipeline/nvfp4-static-single.json", 10, 0},
            {"cases/pipeline/nvfp4-static-ranks.json", 11, 0},
            {"cases/pipeline/fused-experts.json", 7, 0},
            {"cases/pipeline/other-formats.json", 17, 2}};

START_TEST(every_record_of_release_0_47_0_is_reproduced) {
    char totals[128];
    const outcome o = replay_file(good[_i].file);
    ck_assert_int_eq(o.status, QP_OK);
    ck_assert_msg(o.exit_code == 0, "%s", o.text);
    snprintf(totals, sizeof totals, "1 files, %d records: %d replayed, 0 not readable", good[_i].records,
             good[_i].records - good[_i].skipped);
    ck_assert_msg(strstr(o.text, totals), "%s", o.text);
    ck_assert_msg(strstr(o.text, " 0 unexplained differences in 0 records"), "%s", o.text);
    if (good[_i].skipped)
        ck_assert(strstr(o.text, "recipe int4-block16 (1)") && strstr(o.text, "recipe fp8-block2d-16 (1)"));
    free(o.text);
}
END_TEST

START_TEST(known_bugs_differ_exactly_where_they_are_listed) {
    static const char *const files[] = {"cases/pipeline/known-bug-0.44.0.json",
                                        "cases/pipeline/known-bug-0.45.0.json"};
    const outcome o = replay(2, files);
    int n = 0;
    ck_assert_msg(o.exit_code == 0, "%s", o.text);
    for (const char *p = o.text; (p = strstr(p, "exactly these")); p++) n++;
    ck_assert_int_eq(n, 10);
    ck_assert(strstr(o.text, "NOT these") == NULL);
    free(o.text);
}
END_TEST

// ---- changed records
// -----------------------------------------------------------------------------------------------------------

static json_t *load(const char *file) {
    json_t *doc = json_load_file(file, 0, NULL);
    ck_assert_msg(doc != NULL, "%s", file);
    return doc;
}

static outcome replay_json(json_t *doc) {
    char path[600];
    snprintf(path, sizeof path, "%s/changed.json", folder);
    ck_assert(json_dump_file(doc, path, 0) == 0);
    json_decref(doc);
    return replay_file(path);
}

static json_t *record(json_t *doc, const char *name) {
    size_t i;
    json_t *r;
    json_array_foreach(json_object_get(doc, "records"), i, r) {
        if (strcmp(json_string_value(json_object_get(r, "name")), name) == 0) return r;
    }
    ck_abort_msg("no record %s", name);
    return NULL;
}

static json_t *rank_of(json_t *r, size_t rank) {
    return json_array_get(json_object_get(r, "ranks"), rank);
}
static json_t *quantizer(json_t *r, size_t rank, size_t i) {
    return json_array_get(json_object_get(rank_of(r, rank), "quantizers"), i);
}

// Flips the last hex digit of a text.
static void flip(json_t *object, const char *field) {
    char *text = strdup(json_string_value(json_object_get(object, field)));
    const size_t n = strlen(text);
    text[n - 1] = text[n - 1] == '0' ? '1' : '0';
    json_object_set_new(object, field, json_string(text));
    free(text);
}

typedef void (*change_fn)(json_t *r);
static void amax_changed(json_t *r) {
    flip(quantizer(r, 1, 4), "amax");
}
static void global_changed(json_t *r) {
    flip(quantizer(r, 2, 0), "global_amax");
}
static void hash_changed(json_t *r) {
    flip(quantizer(r, 0, 0), "weight_hash");
}
static void dtype_changed(json_t *r) {
    json_object_set_new(quantizer(r, 3, 1), "amax_dtype", json_string("bfloat16"));
}
static void shape_changed(json_t *r) {
    json_array_set_new(json_object_get(quantizer(r, 0, 2), "amax_shape"), 0, json_integer(31));
}
static void class_changed(json_t *r) {
    json_object_set_new(quantizer(r, 0, 2), "class", json_string("TensorQuantizer"));
}
static void group_changed(json_t *r) {
    json_array_remove(json_object_get(rank_of(r, 1), "groups"), 0);
}
static void collective_changed(json_t *r) {
    json_array_set_new(json_object_get(rank_of(r, 2), "collectives"), 2,
                       json_string("all_gather_object:tp:True"));
}
static void quantizer_dropped(json_t *r) {
    json_array_remove(json_object_get(rank_of(r, 0), "quantizers"), 3);
}
static void seed_changed(json_t *r) {
    json_object_set_new(json_object_get(r, "model"), "seed", json_integer(52));
}
static void invariant_changed(json_t *r) {
    flip(json_object_get(r, "invariant_global_amax"), "layer.self_attn.o_proj");
}
static void patterns_changed(json_t *r) {
    json_object_set_new(r, "shared_patterns", json_array());
}

static const struct {
    change_fn change;
    const char *words[3];
} changes[] = {
    {amax_changed, {"rank 1 layer.experts.0.w1", " amax", "got"}},
    {global_changed, {"rank 2 layer.self_attn.q_proj", "global_amax", "want"}},
    {hash_changed, {"rank 0 layer.self_attn.q_proj", "weight_hash", NULL}},
    {dtype_changed, {"rank 3 layer.self_attn.k_proj", "amax_dtype", "got  float32"}},
    {shape_changed, {"rank 0 layer.self_attn.v_proj", "amax_shape", "want [31,1]"}},
    {class_changed, {"rank 0 layer.self_attn.v_proj", "class", "want TensorQuantizer"}},
    {group_changed, {"rank 1 - - groups", "got", NULL}},
    {collective_changed, {"rank 2 - - collectives", NULL, NULL}},
    {quantizer_dropped, {"rank 0 layer.self_attn.o_proj", "not there", NULL}},
    {seed_changed, {"weight_hash", "and ", " more"}},
    {invariant_changed, {"layer.self_attn.o_proj", "invariant_global_amax", NULL}},
    {patterns_changed, {"groups", "collectives", NULL}},
};

START_TEST(a_changed_field_is_found_with_its_place) {
    json_t *doc = load("cases/pipeline/nvfp4-static-ranks.json"), *r = record(doc, "moe-tp2ep2");
    json_t *only = json_pack("[O]", r);
    changes[_i].change(r);
    json_object_set_new(doc, "records", only);
    const outcome o = replay_json(doc);
    ck_assert_msg(o.exit_code == 1, "exit %d: %s", o.exit_code, o.text);
    for (int w = 0; w < 3 && changes[_i].words[w]; w++)
        ck_assert_msg(strstr(o.text, changes[_i].words[w]), "no '%s' in %s", changes[_i].words[w], o.text);
    free(o.text);
}
END_TEST

START_TEST(a_known_bug_with_one_place_too_many_or_too_few_is_a_difference) {
    json_t *doc = load("cases/pipeline/known-bug-0.45.0.json");
    json_t *fields = json_object_get(record(doc, "moe-tp1ep2"), "known_bug_fields");
    if (_i == 0)
        json_array_remove(fields, 2);
    else
        json_array_append_new(fields,
                              json_pack("{s:i,s:s,s:s,s:s}", "rank", 1, "fqn", "layer.self_attn.q_proj",
                                        "quantizer", "weight_quantizer", "field", "amax"));
    const outcome o = replay_json(doc);
    ck_assert_msg(o.exit_code == 1, "%s", o.text);
    ck_assert_msg(strstr(o.text, "NOT these") &&
                      strstr(o.text, _i ? "layer.self_attn.q_proj" : "layer.experts.0.w1"),
                  "%s", o.text);
    free(o.text);
}
END_TEST

// ---- bad input
// -----------------------------------------------------------------------------------------------------------------

static void model_gone(json_t *r) {
    json_object_del(r, "model");
}
static void hidden_text(json_t *r) {
    json_object_set_new(json_object_get(r, "model"), "hidden", json_string("64"));
}
static void hidden_huge(json_t *r) {
    json_object_set_new(json_object_get(r, "model"), "hidden", json_integer(INT64_MAX));
}
static void experts_huge(json_t *r) {
    json_object_set_new(json_object_get(r, "model"), "experts", json_integer(1 << 20));
}
static void heads_of_nothing(json_t *r) {
    json_object_set_new(json_object_get(r, "model"), "heads", json_integer(1000));
}
static void kind_unknown(json_t *r) {
    json_object_set_new(json_object_get(r, "model"), "kind", json_string("gpt2"));
}
static void recipe_unknown(json_t *r) {
    json_object_set_new(r, "recipe", json_string("nvfp5"));
}
static void layout_zero(json_t *r) {
    json_object_set_new(json_object_get(r, "layout"), "tp", json_integer(0));
}
static void pattern_bad(json_t *r) {
    json_object_set_new(r, "shared_patterns", json_pack("[s]", "(q_proj"));
}
static void groups_text(json_t *r) {
    json_object_set_new(rank_of(r, 0), "groups", json_string("none"));
}

static const struct {
    change_fn change;
    const char *words[2];
} faults[] = {
    {model_gone, {"record hf-llama-qk-only: model: an object wanted, got nothing", NULL}},
    {hidden_text, {"record hf-llama-qk-only: hidden: an integer wanted, got a text", NULL}},
    {hidden_huge,
     {"record hf-llama-qk-only: hidden: at most 16777216 wanted, got 9223372036854775807", NULL}},
    {experts_huge, {"record hf-llama-qk-only: model:", "linears are too many"}},
    {heads_of_nothing, {"record hf-llama-qk-only: model.heads: kv_heads <= heads <= hidden wanted", NULL}},
    {kind_unknown, {"record hf-llama-qk-only: model.kind:", "gpt2"}},
    {recipe_unknown, {"record hf-llama-qk-only: recipe:", "nvfp5"}},
    {layout_zero, {"record hf-llama-qk-only: tp: at least 1 wanted, got 0", NULL}},
    {pattern_bad, {"record hf-llama-qk-only", "(q_proj"}},
    {groups_text, {"record hf-llama-qk-only: groups: an array wanted, got a text", NULL}},
};

START_TEST(a_bad_record_is_named_and_the_others_still_run) {
    json_t *doc = load("cases/pipeline/nvfp4-static-single.json");
    faults[_i].change(record(doc, "hf-llama-qk-only"));
    const outcome o = replay_json(doc);
    ck_assert_int_eq(o.status, QP_OK);
    ck_assert_msg(o.exit_code == 2, "exit %d: %s", o.exit_code, o.text);
    ck_assert_msg(strstr(o.text, "10 records: 9 replayed, 1 not readable"), "%s", o.text);
    ck_assert_msg(strstr(o.text, "changed.json"), "%s", o.text);
    for (int w = 0; w < 2 && faults[_i].words[w]; w++)
        ck_assert_msg(strstr(o.text, faults[_i].words[w]), "no '%s' in %s", faults[_i].words[w], o.text);
    free(o.text);
}
END_TEST

START_TEST(a_file_that_is_no_record_file_is_refused) {
    char path[600];
    snprintf(path, sizeof path, "%s/bad.json", folder);
    ck_assert(qp_file_write_atomic(path, "{\"format\": \"other\", ", 20, NULL) == QP_OK);
    outcome o = replay_file(path);
    ck_assert_int_eq(o.exit_code, 2);
    ck_assert_msg(strstr(o.text, "bad.json:1:"), "%s", o.text);
    free(o.text);
    ck_assert(qp_file_write_atomic(path, "{\"format\": \"other\"}", 19, NULL) == QP_OK);
    o = replay_file(path);
    ck_assert_int_eq(o.exit_code, 2);
    ck_assert_msg(strstr(o.text, "quantproof-pipeline-golden-1 wanted, got other"), "%s", o.text);
    free(o.text);
    o = replay(0, NULL);
    ck_assert_int_eq(o.status, QP_USAGE);
    free(o.text);
}
END_TEST

START_TEST(nothing_but_skipped_records_is_not_green) {
    json_t *doc = load("cases/pipeline/other-formats.json");
    json_object_set_new(doc, "records", json_pack("[O]", record(doc, "hf-llama-int4-block16")));
    const outcome o = replay_json(doc);
    ck_assert_msg(o.exit_code == 6, "%s", o.text);
    free(o.text);
}
END_TEST

int main(void) {
    Suite *s = suite_create("replay");
    TCase *t = tcase_create("replay");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, every_record_of_release_0_47_0_is_reproduced, 0, QP_COUNT(good));
    tcase_add_test(t, known_bugs_differ_exactly_where_they_are_listed);
    tcase_add_loop_test(t, a_changed_field_is_found_with_its_place, 0, QP_COUNT(changes));
    tcase_add_loop_test(t, a_known_bug_with_one_place_too_many_or_too_few_is_a_difference, 0, 2);
    tcase_add_loop_test(t, a_bad_record_is_named_and_the_others_still_run, 0, QP_COUNT(faults));
    tcase_add_test(t, a_file_that_is_no_record_file_is_refused);
    tcase_add_test(t, nothing_but_skipped_records_is_not_green);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
