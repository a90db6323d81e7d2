// SPDX-License-Identifier: Apache-2.0
// SEL, the part of the command line that list and run share: where cases come from and which of them are
// taken.
#ifndef PLAN_SELECT_H
#define PLAN_SELECT_H

#include "plan/case.h"

enum { QP_SELECT_MAX = 64 }; // of each repeatable option

typedef struct qp_selection {
    const char *suites[QP_SELECT_MAX]; // files data_dir/suites/NAME.cases
    int n_suites;
    const char *files[QP_SELECT_MAX]; // --cases FILE
    int n_files;
    const char *match[QP_SELECT_MAX]; // PCRE2, searched in the canonical line; one of them must be found
    int n_match;
    const char *skip[QP_SELECT_MAX]; // --not: none of them may be found
    int n_skip;
    const char *formats[QP_SELECT_MAX]; // fmt of a kernel case, or the format of an enabled quantizer of a
                                        // pipeline case's recipe
    int n_formats;
    const char *models[QP_SELECT_MAX]; // with * and ?; takes pipeline cases only
    int n_models;
    const char *layouts[QP_SELECT_MAX]; // tp4ep2: the named degrees must be these, the others may be any
    int n_layouts;
    const char **lines; // 'CASE' on the command line
    int n_lines, cap_lines;
    int64_t shard, n_shards; // --shard K/N, 1-based; 0 = all
} qp_selection;

typedef struct qp_selected {
    qp_case_list list; // what is taken, in order
    qp_bad_list bad;   // lines that do not parse
    int n_cases;       // before the filters
    int n_repeated;    // cases that stood there before (same id), dropped
} qp_selected;

// One selection option or 'CASE' word at argv[*i]: taken, with *i on its last word. *taken false: not ours.
// Both --match X and
// --match=X. A word KEY=VALUE without spaces after a CASE word belongs to that CASE (so a line need not be
// quoted).
qp_status qp_select_option(qp_selection *s, int argc, char **argv, int *i, bool *taken, qp_arena *a,
                           qp_err *err);
extern const char *const qp_select_options[]; // names, for the nearest spelling
extern const int qp_n_select_options;
extern const char qp_select_help[];

// No suite, file or line given: suite premerge. Unknown suite, format, bad regex: QP_USAGE with the nearest
// name.
qp_status qp_select(const qp_selection *s, const char *data_dir, qp_arena *a, qp_selected *out, qp_err *err);

#endif
