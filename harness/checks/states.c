// SPDX-License-Identifier: Apache-2.0
// The checks that hold one state of one rank against the reference, bit for bit. What differs between them is
// which stage and field they look at (table.c), so that a finding carries the name of what is broken.
#include "checks/list.h"

qp_finding check_shard_map(const qp_compare *c) {
    return compare_state(c, "shard-map");
}

qp_finding check_amax_exact(const qp_compare *c) {
    return compare_state(c, "amax-exact");
}

qp_finding check_input_amax(const qp_compare *c) {
    return compare_state(c, "input-amax");
}

qp_finding check_global_amax(const qp_compare *c) {
    return compare_state(c, "global-amax");
}

qp_finding check_bits_forward(const qp_compare *c) {
    return compare_state(c, "bits-forward");
}

qp_finding check_bits_backward(const qp_compare *c) {
    return compare_state(c, "bits-backward");
}

qp_finding check_pack_bits(const qp_compare *c) {
    return compare_state(c, "pack-bits");
}

qp_finding check_dequant_bits(const qp_compare *c) {
    return compare_state(c, "dequant-bits");
}

qp_finding check_ckpt_same(const qp_compare *c) {
    return compare_state(c, "ckpt-same");
}

qp_finding check_ckpt_other(const qp_compare *c) {
    return compare_state(c, "ckpt-other");
}

qp_finding check_ckpt_back(const qp_compare *c) {
    return compare_state(c, "ckpt-back");
}

// Is the state there exactly when it should be?
static qp_finding check_presence(const qp_compare *c, const char *check, const char *noun) {
    qp_finding f = finding_new(check);
    bool there = c->got->data != NULL, due = c->want != NULL;
    if (!there && !due) return f;
    f.n_judged = 1;
    if (there == due) return f;
    f.n_diff = 1;
    finding_where(c->got, f.where, sizeof f.where);
    if (due)
        finding_fail(&f, QP_FAILED, QP_WHY_MISSING, "%s is missing: %s", noun, f.where);
    else
        finding_fail(&f, QP_FAILED, QP_WHY_UNEXPECTED, "%s should not be there: %s", noun, f.where);
    return f;
}

qp_finding check_quantizers_complete(const qp_compare *c) {
    return check_presence(c, "quantizers-complete", "state");
}

qp_finding check_ckpt_keys(const qp_compare *c) {
    return check_presence(c, "ckpt-keys", "loaded state");
}
