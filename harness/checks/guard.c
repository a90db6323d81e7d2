// SPDX-License-Identifier: Apache-2.0
// What running a launch under guard showed: memory outside the outputs, inputs, holes in outputs, a second
// run, simt findings.
#include <inttypes.h>
#include <stdio.h>

#include "checks/list.h"

static void place(qp_finding *f, const qp_guard_ev *g) {
    snprintf(f->where, sizeof f->where, "%s", g->what != NULL ? g->what : "launch");
    f->n_judged = 1;
}

qp_finding check_guard_zones(const qp_guard_ev *g) {
    qp_finding f = finding_new("guard-zones");
    place(&f, g);
    f.n_diff = g->guard_bytes_hit;
    if (g->guard_bytes_hit > 0)
        finding_fail(
            &f, QP_FAILED, QP_WHY_GUARD,
            "%s: %" PRId64 " bytes outside the output were written, the first at %" PRId64 " from its %s",
            f.where, g->guard_bytes_hit, g->first_hit_offset, g->first_hit_offset < 0 ? "begin" : "end");
    return f;
}

qp_finding check_inputs_unchanged(const qp_guard_ev *g) {
    qp_finding f = finding_new("inputs-unchanged");
    place(&f, g);
    f.n_diff = g->input_bytes_changed;
    if (g->input_bytes_changed > 0)
        finding_fail(&f, QP_FAILED, QP_WHY_GUARD, "%s: %" PRId64 " bytes of the inputs were changed", f.where,
                     g->input_bytes_changed);
    return f;
}

qp_finding check_output_complete(const qp_guard_ev *g) {
    qp_finding f = finding_new("output-complete");
    place(&f, g);
    f.n_diff = g->unwritten;
    if (g->unwritten > 0)
        finding_fail(&f, QP_FAILED, QP_WHY_GUARD,
                     "%s: %" PRId64 " output elements were never written, the first is number %" PRId64,
                     f.where, g->unwritten, g->first_unwritten);
    return f;
}

qp_finding check_repeat_identical(const qp_guard_ev *g) {
    qp_finding f = finding_new("repeat-identical");
    place(&f, g);
    f.n_diff = g->repeat_diff;
    if (g->repeat_diff > 0)
        finding_fail(&f, QP_FAILED, QP_WHY_DIFFERENT,
                     "%s: %" PRId64
                     " output bytes differ between two runs on the same input, the first at %" PRId64,
                     f.where, g->repeat_diff, g->first_repeat_diff);
    return f;
}

qp_finding check_simt_findings(const qp_guard_ev *g) {
    qp_finding f = finding_new("simt-findings");
    place(&f, g);
    if (g->simt_finding == NULL) return f;
    f.n_diff = 1;
    finding_fail(&f, QP_FAILED, QP_WHY_GUARD, "%s: %s", f.where, g->simt_finding);
    return f;
}
