// SPDX-License-Identifier: Apache-2.0
// Two claims about digests: ranks that hold the same part hold the same bits (I4), and the parts of any
// layout add up to what one rank alone holds (I6). Stage calibrate is left out of both: its amax are
// rank-local by definition, until the sync.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "checks/list.h"

static bool same_state(const qp_digest *a, const qp_digest *b) {
    return strcmp(a->stage, b->stage) == 0 && strcmp(a->fqn, b->fqn) == 0 && strcmp(a->field, b->field) == 0;
}

static bool same_part(const qp_digest *a, const qp_digest *b) {
    return a->global_row == b->global_row && a->col0 == b->col0 && a->n_rows == b->n_rows &&
           a->n_cols == b->n_cols;
}

static bool is_local_stage(const qp_digest *d) {
    return strcmp(d->stage, "calibrate") == 0;
}

qp_finding check_replica_equal(const qp_case_ev *ev) {
    qp_finding f = finding_new("replica-equal");
    for (int64_t i = 1; i < ev->n_digests; i++) {
        const qp_digest *a = &ev->digests[i - 1], *b = &ev->digests[i];
        if (is_local_stage(a) || !same_part(a, b) || !same_state(a, b)) continue;
        f.n_judged++;
        if (a->sum == b->sum) continue;
        if (f.n_diff++ > 0) continue;
        snprintf(f.where, sizeof f.where, "%s %s %s ranks %d and %d row %" PRId64, a->stage, a->fqn, a->field,
                 a->rank, b->rank, a->global_row);
        snprintf(f.want, sizeof f.want, "%08" PRIx32, a->sample);
        snprintf(f.got, sizeof f.got, "%08" PRIx32, b->sample);
        finding_fail(&f, QP_FAILED, QP_WHY_DIFFERENT,
                     "two ranks hold the same part of one state with different bits: %s", f.where);
    }
    return f;
}

// A part of the digests with one key: of a state, or of a row of a state. Replicas count once.
typedef struct total {
    uint64_t sum;
    int64_t n_elems, row_end, col_end;
    uint32_t sample;
} total;

static int64_t at_least_one(int64_t n) {
    return n > 0 ? n : 1;
}

static int64_t end_of(const qp_digest *d, int64_t n, int64_t i, bool by_row) {
    int64_t end = i + 1;
    while (end < n && same_state(&d[i], &d[end]) && (!by_row || d[i].global_row == d[end].global_row)) end++;
    return end;
}

static total total_of(const qp_digest *d, int64_t begin, int64_t end) {
    total t = {.sample = d[begin].sample};
    for (int64_t i = begin; i < end; i++) {
        if (i > begin && same_part(&d[i - 1], &d[i])) continue;
        int64_t n_rows = at_least_one(d[i].n_rows), n_cols = at_least_one(d[i].n_cols);
        t.sum += d[i].sum;
        t.n_elems += n_rows * n_cols;
        if (d[i].global_row + n_rows > t.row_end) t.row_end = d[i].global_row + n_rows;
        if (d[i].col0 + n_cols > t.col_end) t.col_end = d[i].col0 + n_cols;
    }
    return t;
}

// Do both hold every element of one and the same tensor? Samples of rows do not.
static bool both_whole(total a, total b) {
    return a.row_end == b.row_end && a.col_end == b.col_end && a.n_elems == a.row_end * a.col_end &&
           b.n_elems == a.n_elems;
}

static int compare_state_key(const qp_digest *a, const qp_digest *b) {
    int c = strcmp(a->stage, b->stage);
    if (c == 0) c = strcmp(a->fqn, b->fqn);
    return c != 0 ? c : strcmp(a->field, b->field);
}

static void judge(qp_finding *f, const qp_digest *d, total got, total want) {
    f->n_judged++;
    if (got.sum == want.sum) return;
    if (f->n_diff++ > 0) return;
    snprintf(f->where, sizeof f->where, "%s %s %s from row %" PRId64, d->stage, d->fqn, d->field,
             d->global_row);
    snprintf(f->want, sizeof f->want, "digest %016" PRIx64 " (%08" PRIx32 "...)", want.sum, want.sample);
    snprintf(f->got, sizeof f->got, "digest %016" PRIx64 " (%08" PRIx32 "...)", got.sum, got.sample);
    finding_fail(f, QP_FAILED, QP_WHY_DIFFERENT, "this layout does not hold what one rank alone holds: %s",
                 f->where);
}

// Where both sides hold the whole state the totals decide and rows only say where; else the rows that both
// hold in full decide.
static void judge_state(qp_finding *f, const qp_digest *got, int64_t n_got, const qp_digest *want,
                        int64_t n_want) {
    total g = total_of(got, 0, n_got), w = total_of(want, 0, n_want);
    bool whole = both_whole(g, w);
    if (whole && g.sum == w.sum) {
        f->n_judged++;
        return;
    }
    int64_t before = f->n_diff;
    for (int64_t i = 0, j = 0; i < n_got && j < n_want;) {
        int64_t i_end = end_of(got, n_got, i, true), j_end = end_of(want, n_want, j, true);
        if (got[i].global_row == want[j].global_row) {
            total tg = total_of(got, i, i_end), tw = total_of(want, j, j_end);
            if (tg.n_elems == tw.n_elems && tg.row_end == tw.row_end) judge(f, &got[i], tg, tw);
        }
        int64_t row_i = got[i].global_row, row_j = want[j].global_row;
        if (row_i <= row_j) i = i_end;
        if (row_j <= row_i) j = j_end;
    }
    if (whole && f->n_diff == before) judge(f, got, g, w);
}

qp_finding check_layout_invariance(const qp_case_ev *ev) {
    qp_finding f = finding_new("layout-invariance");
    if (ev->base_digests == NULL) return f;
    for (int64_t i = 0, j = 0; i < ev->n_digests && j < ev->n_base_digests;) {
        int64_t i_end = end_of(ev->digests, ev->n_digests, i, false);
        int64_t j_end = end_of(ev->base_digests, ev->n_base_digests, j, false);
        int c = compare_state_key(&ev->digests[i], &ev->base_digests[j]);
        if (c == 0 && !is_local_stage(&ev->digests[i]))
            judge_state(&f, ev->digests + i, i_end - i, ev->base_digests + j, j_end - j);
        if (c <= 0) i = i_end;
        if (c >= 0) j = j_end;
    }
    if (f.n_judged == 0)
        finding_fail(&f, QP_SUSPECT, QP_WHY_NOTHING_JUDGED,
                     "no state is held by both this layout and the one-rank run");
    return f;
}
