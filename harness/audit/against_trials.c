// SPDX-License-Identifier: Apache-2.0
// Under which rules and with which global amax a linear is tried. The global scale is a number that the
// originals of a shared group give: what is stored tells rules apart before any code is derived.
#include "audit/against_pass.h"

typedef struct global_try {
    uint32_t amax;
    const char *is;
} global_try;

static uint32_t stored_global(const qp_ag_view *v) {
    return v->m->scheme->spread == QP_CK_ONE ? qp_ag_scale(v, 0, 0, 0) : qp_ag_global(v);
}

static void add(qp_ag_linear *l, const qp_ag_rule *r, uint32_t amax, bool differs, const char *is) {
    if (l->n_trials < QP_AG_TRIALS) l->trials[l->n_trials++] = (qp_ag_trial){r, amax, differs, is, 0};
}

// Scales of whole tensors differ within a group by design (FP8), or are shared where experts were fused.
static void trials_of_rule(qp_ag_linear *l, const qp_ag_rule *r, bool fitting) {
    const qp_ag_view *v = &l->view;
    const bool one = v->m->scheme->spread == QP_CK_ONE;
    const qp_dtype dtype = l->source[l->chosen_source].dtype;
    if (!qp_ag_needs_amax(v)) {
        if (fitting) add(l, r, 0, false, NULL);
        return;
    }
    const uint32_t stored = stored_global(v), wanted = one ? l->own_amax : l->group_amax;
    uint32_t behind = wanted;
    const bool follows = qp_ag_same_scale(v, qp_ag_derive_global(v, r, dtype, wanted), stored) &&
                         (one || qp_ag_derive_global(v, r, dtype, wanted) == stored);
    if (fitting) {
        if (follows)
            add(l, r, wanted, false, NULL);
        else if (one && qp_ag_derive_global(v, r, dtype, l->group_amax) == stored)
            add(l, r, l->group_amax, false, NULL);
        return;
    }
    if (follows || (one && qp_ag_derive_global(v, r, dtype, l->group_amax) == stored)) return;
    // the only scale of a tensor is compared as a scale, not as a global one
    if (!one && qp_ag_derive_global(v, r, dtype, l->own_amax) == stored)
        add(l, r, l->own_amax, true, "the linear's own amax, not that of its group");
    else if (!one && qp_ag_amax_behind(v, r, dtype, stored, &behind) && behind != wanted)
        add(l, r, behind, true, "another amax");
    add(l, r, wanted, !one, NULL);
}

void qp_ag_trials(qp_ag_linear *l) {
    l->n_trials = 0;
    for (int fitting = 1; fitting >= 0; fitting--)
        for (int i = 0; i < qp_ag_n_rules; i++)
            if (qp_ag_rule_fits(&qp_ag_rules[i], &l->view)) trials_of_rule(l, &qp_ag_rules[i], fitting == 1);
}
