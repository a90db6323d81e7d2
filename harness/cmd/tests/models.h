// SPDX-License-Identifier: Apache-2.0
// Every model and recipe of cases/ at hand for the tests that hold both sides against each other. For tests
// only.
#ifndef CMD_TESTS_MODELS_H
#define CMD_TESTS_MODELS_H

#include <check.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "model/model.h"
#include "qp/ref.h"

// A ck_assert that passes still costs a system call: what is asked a million times is an if with
// ck_abort_msg.
enum { MAX_NAMES = 64 };

typedef struct names {
    const char *name[MAX_NAMES];
    int n;
} names;

static inline int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Every *.yaml of a folder without its ending, sorted.
static inline names yaml_of(const char *folder, qp_arena *a) {
    names all = {0};
    DIR *d = opendir(folder);
    ck_assert_msg(d != NULL, "%s is not here: tests run from the repository root", folder);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        size_t n = strlen(e->d_name);
        if (n < 6 || strcmp(e->d_name + n - 5, ".yaml") != 0) continue;
        ck_assert_int_lt(all.n, MAX_NAMES);
        ck_assert(qp_arena_printf(a, &all.name[all.n++], NULL, "%.*s", (int)n - 5, e->d_name) == QP_OK);
    }
    closedir(d);
    qsort(all.name, (size_t)all.n, sizeof all.name[0], compare_names);
    return all;
}

static inline qp_model load(const char *name, qp_names naming, qp_arena *a) {
    qp_err err = {0};
    qp_model m;
    ck_assert_msg(qp_model_load(name, "cases", "all", naming, a, &m, &err) == QP_OK, "%s: %s", name, err.msg);
    return m;
}

static inline qp_recipe load_recipe(const char *name, qp_arena *a) {
    qp_err err = {0};
    qp_recipe r;
    ck_assert_msg(qp_recipe_load(name, "cases", a, &r, &err) == QP_OK, "%s: %s", name, err.msg);
    return r;
}

// The first layer of every kind; of its routed experts, where few is set, the first two and the last. What
// was left out differs in its numbers alone.
static inline qp_model one_layer_of_each(const qp_model *m, bool few, qp_arena *a) {
    qp_err *err = NULL;
    qp_model small = *m;
    qp_module *kept;
    ck_assert(QP_NEW(a, kept, m->n_modules) == QP_OK);
    small.modules = kept;
    small.n_modules = 0;
    for (int i = 0; i < m->n_modules; i++) {
        const qp_module *mod = &m->modules[i];
        int first = i;
        for (int k = 0; k < i && first == i; k++)
            if (strcmp(m->modules[k].layer_kind, mod->layer_kind) == 0) first = k;
        bool expert = !few || mod->expert < 2 || mod->expert == mod->n_experts - 1;
        if (mod->layer == m->modules[first].layer && expert) kept[small.n_modules++] = *mod;
    }
    return small;
}

static const char *const four_recipes[] QP_UNUSED = {"fp8", "int8", "nvfp4-static", "nvfp4-dynamic"};

#endif
