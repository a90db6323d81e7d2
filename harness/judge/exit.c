// SPDX-License-Identifier: Apache-2.0
// The exit code of a run (architecture, section 5): a table of rows, the first that matches wins.
#include "judge/judge.h"

static bool broken(const qp_run_totals *t) {
    return t->n_broken > 0;
}

static bool crashed(const qp_run_totals *t) {
    return t->n_crashed > 0 || t->device_unmet;
}

static bool failed(const qp_run_totals *t) {
    return t->n_fail > 0;
}

static bool misused(const qp_run_totals *t) {
    return t->n_bad_lines > 0 || t->n_refused > 0;
}

static bool slower(const qp_run_totals *t) {
    return t->n_perf_regressions > 0;
}

static bool suspect(const qp_run_totals *t) {
    return t->n_suspect > 0;
}

static bool without_device(const qp_run_totals *t) {
    return t->n_device_skips > 0;
}

// A tier without a minimum still wants one judged case. Only verdicts about the subject count as judged,
// skips do not.
static bool too_little(const qp_run_totals *t) {
    int judged = t->n_pass + t->n_suspect + t->n_fail;
    return t->n_selected == 0 || judged < (t->min_judged > 0 ? t->min_judged : 1);
}

static bool always(const qp_run_totals *t) {
    (void)t;
    return true;
}

int qp_exit_code(const qp_run_totals *t, const char **name) {
    static const struct {
        int code;
        const char *name;
        bool (*matches)(const qp_run_totals *t);
    } rows[] = {
        {99, "broken", broken},
        {5, "crashed", crashed},
        {1, "failed", failed},
        {2, "usage", misused},
        {3, "slower", slower},
        {4, "suspect", suspect},
        {77, "no-device", without_device},
        {6, "nothing-judged", too_little},
        {0, "green", always},
    };
    int i = 0;
    while (!rows[i].matches(t)) i++;
    if (name != NULL) *name = rows[i].name;
    return rows[i].code;
}
