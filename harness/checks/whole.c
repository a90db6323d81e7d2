// SPDX-License-Identifier: Apache-2.0
// Claims about a whole case: could its data have shown a bug, was the layout refused when due, did an
// injected error come back.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "checks/list.h"
#include "qp/status.h"

// Codes a format has for its elements; the bits of coverage outside them never appear.
static int n_codes(const qp_format_row *f) {
    static const int counts[] = {
        [QP_ELEM_INT8] = 256, [QP_ELEM_INT4] = 16, [QP_ELEM_E4M3] = 256, [QP_ELEM_E2M1] = 16,
        [QP_ELEM_E5M2] = 256, [QP_ELEM_E3M2] = 64, [QP_ELEM_E2M3] = 64,  [QP_ELEM_NF4] = 16,
    };
    return counts[f->element];
}

// Codes that say nothing: the zeros of a type, and beside zero blocks what their NaN quotients give (numerics
// 2.6, 4.1, 5.7).
typedef struct empty_codes {
    uint8_t zeros[2], nan;
} empty_codes;

static bool only_zero_codes(const qp_format_row *f, const qp_coverage *c) {
    static const empty_codes rows[] = {
        [QP_ELEM_INT8] = {{0, 0}, 0},    [QP_ELEM_INT4] = {{0, 0}, 0},    [QP_ELEM_E4M3] = {{0, 0x80}, 0x7f},
        [QP_ELEM_E2M1] = {{0, 8}, 7},    [QP_ELEM_E5M2] = {{0, 0x80}, 0}, [QP_ELEM_E3M2] = {{0, 0x20}, 0},
        [QP_ELEM_E2M3] = {{0, 0x20}, 0}, [QP_ELEM_NF4] = {{7, 7}, 0},
    };
    const empty_codes *e = &rows[f->element];
    const int empty[] = {e->zeros[0], e->zeros[1], c->n_zero_blocks > 0 ? e->nan : e->zeros[0]};
    uint64_t rest[4];
    memcpy(rest, c->codes, sizeof rest);
    for (int i = 0; i < QP_COUNT(empty); i++) rest[empty[i] / 64] &= ~((uint64_t)1 << empty[i] % 64);
    return qp_coverage_bits(rest) == 0;
}

// A case may be small or on purpose odd, so its own floor is low: an eighth of the codes once the data has
// room for them. What a whole run must reach is the judge's qp_floor_missed.
enum { ELEMS_PER_CODE = 64, CODES_PER_FLOOR = 8 };

qp_finding check_coverage_floor(const qp_case_ev *ev) {
    qp_finding f = finding_new("coverage-floor");
    for (int i = 0; i < ev->n_coverage; i++) {
        const qp_coverage *c = &ev->coverage[i];
        const qp_format_row *row = qp_format_get(ev->coverage_format[i]);
        if (row == NULL) continue;
        f.n_judged++;
        int hit = qp_coverage_bits(c->codes), floor = n_codes(row) / CODES_PER_FLOOR;
        if (c->n_elems == 0)
            finding_fail(&f, QP_SUSPECT, QP_WHY_NOTHING_JUDGED, "no element of %s was judged", row->name);
        else if (ev->has_edge_key)
            continue;
        else if (only_zero_codes(row, c))
            finding_fail(&f, QP_SUSPECT, QP_WHY_ALL_ZERO, "all %" PRIu64 " answers of %s are zero",
                         c->n_elems, row->name);
        else if (c->n_elems >= (uint64_t)ELEMS_PER_CODE * (uint64_t)n_codes(row) && hit < floor)
            finding_fail(&f, QP_SUSPECT, QP_WHY_COVERAGE,
                         "%" PRIu64 " elements of %s reach only %d codes, want at least %d", c->n_elems,
                         row->name, hit, floor);
    }
    return f;
}

qp_finding check_refusal(const qp_case_ev *ev) {
    qp_finding f = finding_new("refusal");
    qp_refusal got = ev->refusal_got, want = ev->refusal_want;
    f.n_judged = 1;
    f.n_diff = 1;
    snprintf(f.want, sizeof f.want, "%s", qp_refusal_name(want));
    snprintf(f.got, sizeof f.got, "%s", qp_refusal_name(got));
    snprintf(f.where, sizeof f.where, "layout");
    if (want != QP_REFUSE_NONE && got == QP_REFUSE_NONE)
        finding_fail(&f, QP_FAILED, QP_WHY_NOT_REFUSED,
                     "the layout was accepted; the reference refuses it (%s)", f.want);
    else if (want == QP_REFUSE_NONE && got != QP_REFUSE_NONE)
        finding_fail(&f, QP_FAILED, QP_WHY_DIFFERENT, "the layout was refused (%s); the reference accepts it",
                     f.got);
    else if (want != got)
        finding_fail(&f, QP_FAILED, QP_WHY_DIFFERENT,
                     "the layout was refused for another reason: want %s, got %s", f.want, f.got);
    else if (ev->refuse_expected && got == QP_REFUSE_NONE)
        finding_fail(&f, QP_FAILED, QP_WHY_NOT_REFUSED, "expect=refuse, but the layout is possible");
    else if (!ev->refuse_expected && got != QP_REFUSE_NONE) {
        finding_fail(&f, QP_FAILED, QP_WHY_REFUSED, "the layout is refused: %s", f.got);
        snprintf(f.want, sizeof f.want, "possible");
    } else
        f.n_diff = 0;
    return f;
}

qp_finding check_error_surfaced(const qp_case_ev *ev) {
    qp_finding f = finding_new("error-surfaced");
    if (ev->injected == QP_OK) return f;
    f.n_judged = 1;
    if (ev->surfaced == ev->injected) return f;
    f.n_diff = 1;
    snprintf(f.where, sizeof f.where, "injected failure");
    snprintf(f.want, sizeof f.want, "%s", qp_status_name(ev->injected));
    snprintf(f.got, sizeof f.got, "%s", qp_status_name(ev->surfaced));
    if (ev->surfaced == QP_OK)
        finding_fail(&f, QP_FAILED, QP_WHY_SWALLOWED,
                     "a collective failed (%s) and the run went on as if nothing happened", f.want);
    else
        finding_fail(&f, QP_FAILED, QP_WHY_DIFFERENT, "a collective failed with %s and the run reports %s",
                     f.want, f.got);
    return f;
}
