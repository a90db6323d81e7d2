// SPDX-License-Identifier: Apache-2.0
// Shared groups: every recorded group of the pipeline records again, and the names that must stay out
// (pipeline spec B).
#include <check.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

enum { MAX_NAMES = 4096 };

// ---- records
// ----------------------------------------------------------------------------------------------------------

static const char *text(const json_t *o, const char *key) {
    return json_string_value(json_object_get(o, key));
}

// Weight quantizers of a rank: their modules in order, without the experts of fused parameters (members of no
// group).
static int weight_names(const json_t *rank, const char **names) {
    size_t i;
    json_t *q;
    int n = 0;
    json_array_foreach(json_object_get(rank, "quantizers"), i, q) {
        if (strcmp(text(q, "quantizer"), "weight_quantizer") != 0) continue;
        ck_assert_int_lt(n, MAX_NAMES);
        names[n++] = text(q, "fqn");
    }
    return n;
}

static bool same_members(const qp_group *g, const char *const *names, const json_t *members) {
    if (g->n_members != (int)json_array_size(members)) return false;
    for (int i = 0; i < g->n_members; i++)
        if (strcmp(names[g->members[i]], json_string_value(json_array_get(members, (size_t)i))) != 0)
            return false;
    return true;
}

static int check_rank(const json_t *record, const json_t *rank, qp_arena *a) {
    static const char *names[MAX_NAMES];
    static bool enabled[MAX_NAMES];
    int n = weight_names(rank, names);
    for (int i = 0; i < n; i++) enabled[i] = true;
    const char *const *patterns = qp_default_patterns;
    const char *own[16];
    int n_patterns = 3;
    const json_t *shared = json_object_get(record, "shared_patterns");
    if (json_is_array(shared)) {
        n_patterns = (int)json_array_size(shared);
        ck_assert_int_le(n_patterns, QP_COUNT(own));
        for (int i = 0; i < n_patterns; i++) own[i] = json_string_value(json_array_get(shared, (size_t)i));
        patterns = own;
    }
    qp_group_list list;
    qp_err err = {0};
    ck_assert_msg(qp_groups_find(names, enabled, n, patterns, n_patterns, a, &list, &err) == QP_OK, "%s",
                  err.msg);
    const json_t *want = json_object_get(rank, "groups");
    ck_assert_msg(list.n == (int)json_array_size(want), "%s: %d groups, recorded %zu", text(record, "name"),
                  list.n, json_array_size(want));
    size_t i;
    json_t *w;
    json_array_foreach(want, i, w) {
        bool found = false;
        for (int g = 0; g < list.n && !found; g++)
            found = same_members(&list.groups[g], names, json_object_get(w, "members")) &&
                    strcmp(list.groups[g].parent, text(w, "parent")) == 0;
        ck_assert_msg(found, "%s: group of %s at %s not found", text(record, "name"),
                      json_string_value(json_array_get(json_object_get(w, "members"), 0)), text(w, "parent"));
    }
    return list.n;
}

START_TEST(every_recorded_group_is_found_with_its_members_and_parent) {
    static const char *const files[] = {"nvfp4-static-single", "nvfp4-static-ranks", "fused-experts",
                                        "other-formats"};
    qp_arena *a = qp_arena_new();
    int groups = 0, records = 0;
    for (int f = 0; f < QP_COUNT(files); f++) {
        char path[128];
        snprintf(path, sizeof path, "cases/pipeline/%s.json", files[f]);
        json_error_t error;
        json_t *root = json_load_file(path, 0, &error);
        ck_assert_msg(root != NULL, "%s: %s", path, error.text);
        size_t i, k;
        json_t *record, *rank;
        json_array_foreach(json_object_get(root, "records"), i, record) {
            records++;
            json_array_foreach(json_object_get(record, "ranks"), k, rank) groups +=
                check_rank(record, rank, a);
        }
        json_decref(root);
        qp_arena_reset(a);
    }
    ck_assert_int_eq(records, 45);
    ck_assert_int_eq(groups, 262); // over all ranks
    qp_arena_free(a);
}
END_TEST

// ---- by hand
// --------------------------------------------------------------------------------------------------------------

// Groups of a list of names ("!name": its weight quantizer is disabled) as text: "parent: members; ...".
static const char *grouped(const char *const *given, const char *const *patterns, int n_patterns, char *buf,
                           size_t n_buf) {
    qp_arena *a = qp_arena_new();
    const char *names[64];
    bool enabled[64];
    int n = 0;
    for (; given[n] != NULL; n++) {
        enabled[n] = given[n][0] != '!';
        names[n] = given[n] + !enabled[n];
    }
    qp_group_list list;
    qp_err err = {0};
    ck_assert_msg(qp_groups_find(names, enabled, n, patterns, n_patterns, a, &list, &err) == QP_OK, "%s",
                  err.msg);
    size_t at = 0;
    buf[0] = 0;
    for (int g = 0; g < list.n; g++) {
        at += (size_t)snprintf(buf + at, n_buf - at, "%s%s:", g > 0 ? "; " : "", list.groups[g].parent);
        for (int i = 0; i < list.groups[g].n_members; i++)
            at += (size_t)snprintf(buf + at, n_buf - at, " %s", names[list.groups[g].members[i]]);
    }
    qp_arena_free(a);
    return buf;
}

#define DEFAULTS qp_default_patterns, 3
#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

START_TEST(names_that_only_look_like_members_stay_out) {
    char buf[1024];
    ck_assert_str_eq(grouped(NAMES("q_proj", "k_proj"), DEFAULTS, buf, sizeof buf), ": q_proj k_proj");
    ck_assert_str_eq(grouped(NAMES("a.xq_proj", "a.q_proj_extra", "a.q_proj.base_layer", "a.q_proj"),
                             DEFAULTS, buf, sizeof buf),
                     "");
    ck_assert_str_eq(grouped(NAMES("m.shared_expert.gate_proj", "m.shared_expert.up_proj",
                                   "m.shared_expert_gate", "m.gate", "m.gate_up_proj", "m.down_proj"),
                             DEFAULTS, buf, sizeof buf),
                     "m.shared_expert: m.shared_expert.gate_proj m.shared_expert.up_proj");
    ck_assert_str_eq(
        grouped(NAMES("e.0.w1", "e.0.w2", "e.0.w3", "e.1.w1", "e.1.w3"), DEFAULTS, buf, sizeof buf),
        "e.0: e.0.w1 e.0.w3; e.1: e.1.w1 e.1.w3");
    ck_assert_str_eq(grouped(NAMES("a.gate_proj", "b.up_proj"), DEFAULTS, buf, sizeof buf), "");
    ck_assert_str_eq(
        grouped(NAMES("a.q_proj", "a.k_proj", "!a.v_proj", "a.o_proj"), DEFAULTS, buf, sizeof buf),
        "a: a.q_proj a.k_proj");
    ck_assert_str_eq(
        grouped(NAMES("l.linear_qkv", "l.linear_fc1", "l.qkv_proj", "l.wqkv"), DEFAULTS, buf, sizeof buf),
        "");
    // nested blocks are two groups; an empty prefix is not an unset one
    ck_assert_str_eq(
        grouped(NAMES("a.q_proj", "a.k_proj", "a.a.q_proj", "a.a.k_proj"), DEFAULTS, buf, sizeof buf),
        "a: a.q_proj a.k_proj; a.a: a.a.q_proj a.a.k_proj");
    ck_assert_str_eq(grouped(NAMES("q_proj", ".k_proj"), DEFAULTS, buf, sizeof buf), "");
    ck_assert_str_eq(grouped(NAMES("x.q_proj"), DEFAULTS, buf, sizeof buf), "");
}
END_TEST

START_TEST(the_first_pattern_wins_and_captures_separate) {
    char buf[1024];
    static const char *const two[] = {"(.*)\\.k", "(.*)\\.(?:q|k|v)"};
    ck_assert_str_eq(grouped(NAMES("a.q", "a.k", "a.v", "b.k"), two, 2, buf, sizeof buf), "a: a.q a.v");
    static const char *const across[] = {"(?:(.*)\\.)?(?:experts|local_experts)\\.\\d+\\.(?:w1|w3)"};
    ck_assert_str_eq(grouped(NAMES("layer.experts.0.w1", "layer.experts.0.w3", "layer.experts.1.w1"), across,
                             1, buf, sizeof buf),
                     "layer: layer.experts.0.w1 layer.experts.0.w3 layer.experts.1.w1");
    static const char *const by_name[] = {"(?P<p>.*)\\.(?P<i>\\d+)\\.(?:a|b)"};
    ck_assert_str_eq(grouped(NAMES("x.0.a", "x.0.b", "x.1.a", "x.1.b"), by_name, 1, buf, sizeof buf),
                     "x.0: x.0.a x.0.b; x.1: x.1.a x.1.b");
    static const char *const all[] = {
        ".*\\.(?:q|k)"}; // no captures: one group, its parent climbs past the list of layers
    ck_assert_str_eq(grouped(NAMES("model.layers.0.q", "model.layers.1.k"), all, 1, buf, sizeof buf),
                     "model: model.layers.0.q model.layers.1.k");
    ck_assert_str_eq(grouped(NAMES("0.q", "1.k"), all, 1, buf, sizeof buf), ": 0.q 1.k");
    ck_assert_str_eq(grouped(NAMES("x.0.1.q", "x.1.1.q"), all, 1, buf, sizeof buf), ": x.0.1.q x.1.1.q");
    ck_assert_str_eq(grouped(NAMES("a.q", "a.k"), NULL, 0, buf, sizeof buf),
                     ""); // an empty list groups nothing
}
END_TEST

START_TEST(hits_carry_pattern_and_captures_with_unset_told_apart) {
    qp_arena *a = qp_arena_new();
    static const char *const names[] = {"q_proj", "a.b.up_proj", ".w1", "o_proj"};
    qp_pattern_hit *hits;
    ck_assert(qp_pattern_hits(names, 4, DEFAULTS, a, &hits, NULL) == QP_OK);
    ck_assert_int_eq(hits[0].pattern, 0);
    ck_assert_str_eq(hits[0].captures, "\x1e");
    ck_assert_int_eq(hits[1].pattern, 1);
    ck_assert_str_eq(hits[1].captures, "a.b");
    ck_assert_int_eq(hits[2].pattern, 2);
    ck_assert_str_eq(hits[2].captures, "");
    ck_assert_int_eq(hits[3].pattern, -1);
    static const char *const optional[] = {"(x)?(y)?(z)?w"};
    static const char *const words[] = {"yw", "w", "xzw"};
    ck_assert(qp_pattern_hits(words, 3, optional, 1, a, &hits, NULL) == QP_OK);
    ck_assert_str_eq(hits[0].captures, "\x1e\x1fy\x1f\x1e");
    ck_assert_str_eq(hits[1].captures, "\x1e\x1f\x1e\x1f\x1e");
    ck_assert_str_eq(hits[2].captures, "x\x1f\x1e\x1fz");
    qp_arena_free(a);
}
END_TEST

START_TEST(a_bad_pattern_is_named_with_its_offset) {
    qp_arena *a = qp_arena_new();
    static const char *const names[] = {"a"}, *const bad[] = {"(a", "a"};
    qp_group_list list;
    qp_err err = {0};
    ck_assert_int_eq(qp_groups_find(names, &(bool){true}, 1, bad, 2, a, &list, &err), QP_USAGE);
    ck_assert_msg(strstr(err.msg, "'(a'") != NULL && strstr(err.msg, "offset 2") != NULL, "%s", err.msg);
    qp_arena_free(a);
}
END_TEST

START_TEST(a_pattern_that_explodes_is_an_error_and_not_a_hang) {
    qp_arena *a = qp_arena_new();
    static const char *const names[] = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"},
                             *const bad[] = {"(?:a?a?a?a?)*(?:a*a*)*c|(a+)+$"};
    qp_pattern_hit *hits;
    qp_err err = {0};
    ck_assert_int_eq(qp_pattern_hits(names, 1, bad, 1, a, &hits, &err), QP_USAGE);
    ck_assert_msg(strstr(err.msg, "PCRE2 error") != NULL, "%s", err.msg);
    qp_arena_free(a);
}
END_TEST

START_TEST(a_whole_model_groups_by_closed_form) {
    qp_arena *a = qp_arena_new();
    static const struct {
        const char *model;
        int groups;
    } want[] = {{"llama-3.1-8b", 32 * 2},
                {"mixtral-8x7b", 32 * (1 + 8)},
                {"qwen3-30b-a3b", 48 * (1 + 128)},
                {"nemotron-3-nano-30b-a3b", 6},
                {"tiny-moe", 1 + 8 + 1}};
    for (int i = 0; i < QP_COUNT(want); i++) {
        qp_model m;
        qp_err err = {0};
        ck_assert_msg(qp_model_load(want[i].model, "cases", "all", QP_NAMES_HF, a, &m, &err) == QP_OK, "%s",
                      err.msg);
        const char **names;
        bool *enabled;
        ck_assert(qp_arena_get(a, sizeof *names * (size_t)m.n_modules, &names, NULL) == QP_OK);
        ck_assert(qp_arena_get(a, (size_t)m.n_modules, &enabled, NULL) == QP_OK);
        for (int k = 0; k < m.n_modules; k++) {
            names[k] = m.modules[k].fqn;
            enabled[k] = m.modules[k].quantizable;
        }
        qp_group_list list;
        ck_assert(qp_groups_find(names, enabled, m.n_modules, DEFAULTS, a, &list, NULL) == QP_OK);
        ck_assert_msg(list.n == want[i].groups, "%s: %d groups, wanted %d", want[i].model, list.n,
                      want[i].groups);
        qp_arena_reset(a);
    }
    qp_arena_free(a);
}
END_TEST

int main(void) {
    Suite *s = suite_create("groups");
    TCase *t = tcase_create("groups");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, every_recorded_group_is_found_with_its_members_and_parent);
    tcase_add_test(t, names_that_only_look_like_members_stay_out);
    tcase_add_test(t, the_first_pattern_wins_and_captures_separate);
    tcase_add_test(t, hits_carry_pattern_and_captures_with_unset_told_apart);
    tcase_add_test(t, a_bad_pattern_is_named_with_its_offset);
    tcase_add_test(t, a_pattern_that_explodes_is_an_error_and_not_a_hang);
    tcase_add_test(t, a_whole_model_groups_by_closed_form);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
