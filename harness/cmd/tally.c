// SPDX-License-Identifier: Apache-2.0
// Runs the checks of the table over evidence and adds up what they say.
#include "cmd/tally.h"

#include <string.h>

enum { PIECE_BYTES = 1 << 18, MAX_PIECES = 16 };

qp_status qp_tally_new(qp_arena *a, const char *off, qp_tally *out, qp_err *err) {
    *out = (qp_tally){.off = off};
    return QP_NEW(a, out->sum, qp_n_checks);
}

static bool is_on(const qp_tally *t, int check) {
    const size_t n = strlen(qp_checks[check].name);
    for (const char *word = t->off; word != NULL && *word != '\0'; word += strspn(word, " ")) {
        size_t length = strcspn(word, " ");
        if (length == n && memcmp(word, qp_checks[check].name, n) == 0) return false;
        word += length;
    }
    return true;
}

bool qp_tally_wants(const qp_tally *t, const char *stage, const char *field) {
    for (int k = 0; k < qp_n_checks; k++)
        if (is_on(t, k) && qp_check_wants(&qp_checks[k], stage, field)) return true;
    return false;
}

static void count_stage(qp_tally *t, const char *stage, int64_t n_judged, int64_t n_diff) {
    int at = 0;
    while (at < t->n_stages && strcmp(t->stages[at].stage, stage) != 0) at++;
    if (at == QP_MAX_STAGES) return;
    if (at == t->n_stages) t->stages[t->n_stages++] = (qp_stage_count){.stage = stage};
    t->stages[at].n_judged += n_judged;
    t->stages[at].n_diff += n_diff;
}

void qp_tally_state(qp_tally *t, const qp_compare *c) {
    for (int k = 0; k < qp_n_checks; k++) {
        if (!is_on(t, k) || !qp_check_wants(&qp_checks[k], c->got->stage, c->got->field)) continue;
        qp_finding f = qp_checks[k].state(c);
        qp_finding_merge(&t->sum[k], &f);
        count_stage(t, c->got->stage, f.n_judged, f.n_diff);
    }
}

qp_status qp_tally_state_parallel(qp_tally *t, const qp_compare *c, qp_err *err) {
    const qp_state *st = c->got;
    size_t pitch = (size_t)st->cols * qp_dtype_bytes(st->dtype);
    int64_t most = (int64_t)(pitch * (size_t)st->n_rows_held / PIECE_BYTES);
    if (most > MAX_PIECES) most = MAX_PIECES;
    int64_t piece = most > 1 ? (st->n_rows_held + most - 1) / most : st->n_rows_held;
    int n = piece > 0 ? (int)((st->n_rows_held + piece - 1) / piece) : 0;
    if (st->data == NULL || c->want == NULL || n < 2) {
        qp_tally_state(t, c);
        return QP_OK;
    }
    qp_status status = QP_OK;
    qp_arena *a = qp_arena_new();
    qp_tally *parts;
    int64_t *rows;
    if (a == NULL) QP_FAIL(QP_NOMEM, "judging %s %s: out of memory", st->fqn, st->field);
    QP_TRY_GOTO(status, QP_NEW(a, parts, n), out);
    QP_TRY_GOTO(status, QP_NEW(a, rows, st->n_rows_held), out);
    for (int i = 0; i < n; i++) QP_TRY_GOTO(status, qp_tally_new(a, t->off, &parts[i], err), out);
    for (int64_t r = 0; r < st->n_rows_held; r++) rows[r] = st->row_ids != NULL ? st->row_ids[r] : r;
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < n; i++) {
        int64_t begin = i * piece, left = st->n_rows_held - begin;
        qp_state part = *st;
        part.row_ids = rows + begin;
        part.n_rows_held = left < piece ? left : piece;
        part.data = (const char *)st->data + (size_t)begin * pitch;
        qp_compare one = {&part, (const char *)c->want + (size_t)begin * pitch, c->repro};
        qp_tally_state(&parts[i], &one);
    }
    for (int i = 0; i < n; i++) qp_tally_merge(t, &parts[i]);
out:
    qp_arena_free(a);
    return status;
}

void qp_tally_guard(qp_tally *t, const qp_guard_ev *g) {
    for (int k = 0; k < qp_n_checks; k++) {
        if (!is_on(t, k) || qp_checks[k].guard == NULL) continue;
        qp_finding f = qp_checks[k].guard(g);
        qp_finding_merge(&t->sum[k], &f);
    }
}

// Every law has its check: the one of its name.
void qp_tally_law(qp_tally *t, const qp_law_ev *ev) {
    for (int k = 0; k < qp_n_checks; k++) {
        if (!is_on(t, k) || qp_checks[k].law == NULL) continue;
        if (strcmp(qp_checks[k].name, qp_law_get(ev->law)->name) != 0) continue;
        qp_finding f = qp_checks[k].law(ev);
        qp_finding_merge(&t->sum[k], &f);
    }
}

void qp_tally_whole(qp_tally *t, const qp_case_ev *ev, const char *only) {
    for (int k = 0; k < qp_n_checks; k++) {
        if (!is_on(t, k) || qp_checks[k].whole == NULL) continue;
        if (only != NULL && strcmp(only, qp_checks[k].name) != 0) continue;
        qp_finding f = qp_checks[k].whole(ev);
        qp_finding_merge(&t->sum[k], &f);
    }
}

void qp_tally_merge(qp_tally *into, const qp_tally *from) {
    for (int k = 0; k < qp_n_checks; k++)
        if (from->sum[k].check != NULL) qp_finding_merge(&into->sum[k], &from->sum[k]);
    for (int s = 0; s < from->n_stages; s++)
        count_stage(into, from->stages[s].stage, from->stages[s].n_judged, from->stages[s].n_diff);
}

qp_status qp_tally_close(const qp_tally *t, qp_case_result *r, qp_arena *a, qp_err *err) {
    for (int k = 0; k < qp_n_checks; k++)
        if (t->sum[k].check != NULL) qp_result_add(r, &t->sum[k], a, err);
    qp_stage_count *stages;
    QP_TRY(QP_NEW(a, stages, t->n_stages + 1));
    memcpy(stages, t->stages, sizeof *stages * (size_t)t->n_stages);
    r->stages = stages;
    r->n_stages = t->n_stages;
    return QP_OK;
}
