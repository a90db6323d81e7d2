// SPDX-License-Identifier: Apache-2.0
// The accused and the law about shared groups: PCRE2 over whole names against plain suffixes, over every
// module of every model.
#include "cmd/tests/models.h"

// ---- shared groups --------------------------------------------------------------------------------------

typedef struct group_counts {
    int64_t modules, groups, members;
} group_counts;

// group_of[i] in the words of the law, from the list of the accused.
static void groups_of_accused(const char *const *fqns, const bool *enabled, int n, const qp_recipe *r,
                              qp_arena *a, int *group_of) {
    const char *const *patterns;
    int n_patterns;
    qp_err err = {0};
    qp_group_list list;
    qp_recipe_patterns(r, &patterns, &n_patterns);
    if (!(qp_groups_find(fqns, enabled, n, patterns, n_patterns, a, &list, &err) == QP_OK))
        ck_abort_msg("%s", err.msg);
    for (int i = 0; i < n; i++) group_of[i] = -1;
    for (int g = 0; g < list.n; g++)
        for (int k = 0; k < list.groups[g].n_members; k++)
            group_of[list.groups[g].members[k]] = list.groups[g].members[0];
}

static void compare_groups(const qp_model *m, const qp_recipe *r, bool with_hits, group_counts *counts) {
    qp_arena *a = qp_arena_new();
    qp_err *err = NULL;
    const char **fqns;
    bool *enabled;
    int *got, *want;
    ck_assert(QP_NEW(a, fqns, m->n_modules) == QP_OK && QP_NEW(a, enabled, m->n_modules) == QP_OK);
    ck_assert(QP_NEW(a, got, m->n_modules) == QP_OK && QP_NEW(a, want, m->n_modules) == QP_OK);
    for (int i = 0; i < m->n_modules; i++) {
        qp_qconfig c;
        qp_recipe_resolve(r, m->modules[i].fqn, "weight_quantizer", &c);
        fqns[i] = m->modules[i].fqn;
        enabled[i] = m->modules[i].quantizable && c.enabled;
    }
    groups_of_accused(fqns, enabled, m->n_modules, r, a, got);
    qp_pattern_hit *hits = NULL;
    if (with_hits) {
        const char *const *patterns;
        int n_patterns;
        qp_recipe_patterns(r, &patterns, &n_patterns);
        ck_assert(qp_pattern_hits(fqns, m->n_modules, patterns, n_patterns, a, &hits, NULL) == QP_OK);
    }
    // The law compares every name with every other: one layer at a time, which no group ever leaves.
    for (int begin = 0, end; begin < m->n_modules; begin = end) {
        for (end = begin + 1; end < m->n_modules && m->modules[end].layer == m->modules[begin].layer;) end++;
        ref_groups(m->modules + begin, enabled + begin, with_hits ? hits + begin : NULL, end - begin,
                   want + begin);
        for (int i = begin; i < end; i++) want[i] += want[i] >= 0 ? begin : 0;
    }
    for (int i = 0; i < m->n_modules; i++) {
        if (!(got[i] == want[i]))
            ck_abort_msg("%s %s: %s is in the group of %s by the law, got %s", m->name, r->name, fqns[i],
                         want[i] >= 0 ? fqns[want[i]] : "nobody", got[i] >= 0 ? fqns[got[i]] : "nobody");
        counts->groups += got[i] == i;
        counts->members += got[i] >= 0;
    }
    counts->modules += m->n_modules;
    qp_arena_free(a);
}

START_TEST(regular_expressions_and_plain_suffixes_find_the_same_groups_in_every_module) {
    qp_arena *a = qp_arena_new();
    names models = yaml_of("cases/models", a);
    group_counts n = {0};
    for (int i = 0; i < models.n; i++)
        for (int naming = QP_NAMES_HF; naming <= QP_NAMES_MEGATRON; naming++) {
            qp_model m = load(models.name[i], (qp_names)naming, a), small = one_layer_of_each(&m, false, a);
            for (int k = 0; k < QP_COUNT(four_recipes); k++) {
                qp_recipe r = load_recipe(four_recipes[k], a);
                ck_assert_int_ne(r.shared, QP_SHARED_LIST);
                int64_t before = n.groups;
                compare_groups(k == 2 ? &m : &small, &r, false, &n);
                if (!(naming == QP_NAMES_MEGATRON || n.groups > before))
                    ck_abort_msg("%s: no group at all", m.name);
            }
        }
    printf("groups compared: %" PRId64 " of %" PRId64 " modules, %" PRId64 " modules in all\n", n.groups,
           n.members, n.modules);
    ck_assert_int_ge(n.modules, 40000);
    ck_assert_int_ge(n.groups, 5000);
    ck_assert_int_ge(n.members, 2 * n.groups);
    qp_arena_free(a);
}
END_TEST

START_TEST(user_patterns_give_the_law_the_same_groups_as_data) {
    qp_arena *a = qp_arena_new();
    names models = yaml_of("cases/models", a), recipes = yaml_of("cases/recipes", a);
    group_counts n = {0};
    int n_lists = 0;
    for (int k = 0; k < recipes.n; k++) {
        qp_recipe r = load_recipe(recipes.name[k], a);
        n_lists += r.shared == QP_SHARED_LIST;
        for (int i = 0; i < models.n && r.shared == QP_SHARED_LIST; i++) {
            qp_model m = load(models.name[i], QP_NAMES_HF, a), small = one_layer_of_each(&m, false, a);
            compare_groups(&small, &r, true, &n);
        }
    }
    printf("user patterns: %d recipes, %" PRId64 " groups of %" PRId64 " modules\n", n_lists, n.groups,
           n.members);
    ck_assert_int_ge(n_lists, 3);
    ck_assert_int_ge(n.groups, 10);
    qp_arena_free(a);
}
END_TEST

int main(void) {
    Suite *s = suite_create("two_sides_groups");
    TCase *t = tcase_create("two_sides_groups");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, regular_expressions_and_plain_suffixes_find_the_same_groups_in_every_module);
    tcase_add_test(t, user_patterns_give_the_law_the_same_groups_as_data);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
