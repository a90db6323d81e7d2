// SPDX-License-Identifier: Apache-2.0
// Sins of shared groups.
#include <string.h>

#include "mutants/list.h"

// E-04: an empty list of patterns is falsy, so the defaults come back.
static qp_status empty_is_default(qp_rank *r, qp_err *err) {
    QP_TRY(qp_step_choose_patterns(r, err));
    if (r->n_patterns > 0) return QP_OK;
    r->patterns = qp_default_patterns;
    r->n_patterns = QP_COUNT(qp_default_patterns);
    return QP_OK;
}

void mut_empty_list_is_default(qp_stage_table *t) {
    qp_stage_replace(t, "choose_patterns", empty_is_default);
}

// E-06: calibrated once with the defaults, then again with other patterns: what the first attach left is
// never detached.
static qp_status attach_twice(qp_rank *r, qp_err *err) {
    const char *const *patterns = r->patterns;
    const int n = r->n_patterns;
    QP_TRY(qp_step_clear_groups(r, err));
    r->patterns = qp_default_patterns;
    r->n_patterns = QP_COUNT(qp_default_patterns);
    QP_TRY(qp_step_find_groups(r, err));
    r->patterns = patterns;
    r->n_patterns = n;
    return QP_OK;
}

void mut_stale_group(qp_stage_table *t) {
    qp_stage_replace(t, "clear_groups", attach_twice);
}

// E-13: siblings are matched by prefix, so shared_expert_gate joins gate and up.
static const char *const prefix_patterns[] = {
    "(?:(.*)\\.)?(?:q_proj|k_proj|v_proj)",
    "(?:(.*?)\\.)?(?:shared_expert\\.)?(?:gate|up|shared_expert_gate).*", "(?:(.*)\\.)?(?:w1|w3)"};

static qp_status prefix_match(qp_rank *r, qp_err *err) {
    (void)err;
    r->patterns = prefix_patterns;
    r->n_patterns = QP_COUNT(prefix_patterns);
    return QP_OK;
}

void mut_prefix_match(qp_stage_table *t) {
    qp_stage_replace(t, "choose_patterns", prefix_match);
}
