// SPDX-License-Identifier: Apache-2.0
// The sink of pipeline cases. Runs inside rank threads: a slot belongs to one rank and ranks do not meet here
// (but in a dump).
#include "cmd/sink.h"

#include <stdlib.h>
#include <string.h>

#include "core/file.h"

enum { PIECE_ELEMS = 1 << 17, BIG_STATE_ELEMS = 1 << 16 };

qp_status qp_case_sink_new(const char *repro, qp_oracle *oracle, int n_ranks, bool alone, const char *off,
                           qp_arena *a, qp_case_sink **out, qp_err *err) {
    QP_TRY(QP_NEW(a, *out, 1));
    **out = (qp_case_sink){.repro = repro, .oracle = oracle, .alone = alone};
    QP_TRY(QP_NEW(a, (*out)->ranks, n_ranks));
    for (int r = 0; r < n_ranks; r++) {
        qp_sink_rank *slot = &(*out)->ranks[r];
        (*out)->n_ranks = r + 1;
        slot->keep = qp_arena_new();
        slot->scratch = qp_arena_new();
        if (slot->keep == NULL || slot->scratch == NULL)
            QP_FAIL(QP_NOMEM, "evidence of %d ranks: out of memory", n_ranks);
        QP_TRY(qp_tally_new(slot->keep, off, &slot->tally, err));
    }
    return QP_OK;
}

void qp_case_sink_free(qp_case_sink *s) {
    for (int r = 0; s != NULL && r < s->n_ranks; r++) {
        qp_arena_free(s->ranks[r].keep);
        qp_arena_free(s->ranks[r].scratch);
        for (int i = 0; i < QP_MAX_PIECES; i++) qp_arena_free(s->ranks[r].pool[i]);
    }
}

// ---- what was shown
// --------------------------------------------------------------------------------------------------------

static uint64_t hash_of(const char *stage, const char *fqn, const char *field) {
    return qp_hash64(field, strlen(field), qp_hash64(fqn, strlen(fqn), qp_hash64(stage, strlen(stage), 0)));
}

static qp_status note_seen(qp_sink_rank *slot, const qp_state *st, qp_err *err) {
    if (slot->n_seen == slot->cap_seen) {
        int64_t cap = slot->cap_seen == 0 ? 256 : slot->cap_seen * 2;
        uint64_t *bigger;
        QP_TRY(QP_NEW(slot->keep, bigger, cap));
        if (slot->n_seen > 0) memcpy(bigger, slot->seen, sizeof *bigger * (size_t)slot->n_seen);
        slot->seen = bigger;
        slot->cap_seen = cap;
    }
    slot->seen[slot->n_seen++] = hash_of(st->stage, st->fqn, st->field);
    return QP_OK;
}

static int compare_u64(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void qp_case_sink_seal(qp_case_sink *s) {
    for (int r = 0; r < s->n_ranks; r++)
        if (s->ranks[r].n_seen > 1)
            qsort(s->ranks[r].seen, (size_t)s->ranks[r].n_seen, sizeof(uint64_t), compare_u64);
}

bool qp_case_sink_saw(const qp_case_sink *s, int rank, const char *stage, const char *fqn,
                      const char *field) {
    if (rank < 0 || rank >= s->n_ranks || s->ranks[rank].n_seen == 0) return false;
    uint64_t key = hash_of(stage, fqn, field);
    return bsearch(&key, s->ranks[rank].seen, (size_t)s->ranks[rank].n_seen, sizeof key, compare_u64) != NULL;
}

// ---- digests
// -----------------------------------------------------------------------------------------------------------------

// Names outlive the run: the module's own FQN, literals for stages and fields that the table of checks knows,
// copies otherwise.
static qp_status lasting(qp_sink_rank *slot, const char *name, const char **out, qp_err *err) {
    static const char *const known[] = {"shard",
                                        "calibrate",
                                        "sync",
                                        "group",
                                        "promote",
                                        "fakequant",
                                        "pack",
                                        "load-same",
                                        "load-other",
                                        "load-back",
                                        "weight",
                                        "weight_quantizer._amax",
                                        "weight_quantizer._global_amax",
                                        "input_quantizer._amax",
                                        "y",
                                        "grad",
                                        "weight_packed",
                                        "weight_scale",
                                        "weight_scale_2",
                                        "dequant"};
    for (int i = 0; i < QP_COUNT(known); i++)
        if (strcmp(known[i], name) == 0) {
            *out = known[i];
            return QP_OK;
        }
    return qp_arena_strdup(slot->keep, name, out, err);
}

// Digests are for layout invariance (sync to pack) and for doctor's count of changed states, which runs on
// small models. The big states of the other stages are held against the reference by their own checks;
// digesting them too would cost more than all the rest.
static bool needs_digest(const qp_state *st) {
    static const char *const judged[] = {"sync", "group", "promote", "fakequant", "pack"};
    if (st->data == NULL || st->module == NULL || st->layout == NULL) return false;
    for (int i = 0; i < QP_COUNT(judged); i++)
        if (strcmp(st->stage, judged[i]) == 0) return true;
    return st->n_rows_held * st->cols <= BIG_STATE_ELEMS;
}

static qp_status add_digests(qp_sink_rank *slot, const qp_state *st, qp_err *err) {
    if (!needs_digest(st)) return QP_OK;
    qp_state named = *st;
    int64_t *rows, n = 0;
    qp_digest *d;
    named.fqn = st->module->fqn;
    QP_TRY(lasting(slot, st->stage, &named.stage, err));
    QP_TRY(lasting(slot, st->field, &named.field, err));
    QP_TRY(QP_NEW(slot->scratch, rows, st->n_rows_held + 1));
    for (int64_t r = 0; r < st->n_rows_held; r++)
        rows[r] = ref_global_row(st->module, st->layout, st->rank, st->row_ids != NULL ? st->row_ids[r] : r);
    int64_t col0 = ref_global_col(st->module, st->layout, st->rank, 0);
    QP_TRY(qp_digest_state(&named, rows, col0 > 0 ? col0 : 0, slot->scratch, &d, &n, err));
    if (slot->n_digests + n > slot->cap_digests) {
        int64_t cap = slot->cap_digests * 2 + n + 256;
        qp_digest *bigger;
        QP_TRY(QP_NEW(slot->keep, bigger, cap));
        if (slot->n_digests > 0) memcpy(bigger, slot->digests, sizeof *bigger * (size_t)slot->n_digests);
        slot->digests = bigger;
        slot->cap_digests = cap;
    }
    if (n > 0) memcpy(slot->digests + slot->n_digests, d, sizeof *d * (size_t)n);
    slot->n_digests += n;
    return QP_OK;
}

// ---- judging
// -----------------------------------------------------------------------------------------------------------------

static qp_status judge(qp_case_sink *s, const qp_state *st, qp_arena *a, qp_tally *tally, qp_coverage *cov,
                       qp_err *err) {
    void *want = NULL;
    QP_TRY(qp_oracle_want(s->oracle, st, a, &want, cov, err));
    qp_compare c = {st, want, s->repro};
    qp_tally_state(tally, &c);
    if (strcmp(st->field, "dequant") == 0 && st->data != NULL &&
        qp_tally_wants(tally, st->stage, QP_FIELD_PACK_CLASSES)) {
        qp_state classes;
        QP_TRY(qp_oracle_pack_classes(s->oracle, st, a, &classes, err));
        qp_compare explained = {&classes, NULL, s->repro};
        qp_tally_state(tally, &explained);
    }
    return QP_OK;
}

// Every element counts once, by fake-quant. Pack adds which codes and scale bytes it reached (it keeps the
// sign of zero), the loads show the same again.
static void add_coverage(qp_sink_rank *slot, const qp_state *st, const qp_coverage *cov) {
    if ((unsigned)st->format >= QP_FORMAT_COUNT) return;
    qp_coverage *sum = &slot->coverage[st->format], bits = {0};
    if (strcmp(st->stage, "fakequant") == 0) qp_coverage_merge(sum, cov);
    if (strcmp(st->stage, "pack") != 0) return;
    memcpy(bits.codes, cov->codes, sizeof bits.codes);
    memcpy(bits.scale_bytes, cov->scale_bytes, sizeof bits.scale_bytes);
    qp_coverage_merge(sum, &bits);
}

typedef struct piece {
    qp_tally tally;
    qp_coverage coverage;
    qp_status status;
    qp_err err;
} piece;

// Rows in pieces, one OpenMP thread each: only where one rank has the machine for itself.
static qp_status judge_pieces(qp_case_sink *s, const qp_state *st, qp_sink_rank *slot, int64_t rows_each,
                              int n, qp_err *err) {
    qp_status status = QP_OK;
    piece *pieces;
    int64_t *rows;
    QP_TRY(QP_NEW(slot->scratch, pieces, n));
    QP_TRY(QP_NEW(slot->scratch, rows, st->n_rows_held));
    for (int64_t r = 0; r < st->n_rows_held; r++) rows[r] = st->row_ids != NULL ? st->row_ids[r] : r;
    size_t pitch = (size_t)st->cols * qp_dtype_bytes(st->dtype);
    for (int i = 0; i < n; i++) QP_TRY(qp_tally_new(slot->scratch, slot->tally.off, &pieces[i].tally, err));
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < n; i++) {
        piece *p = &pieces[i];
        int64_t begin = i * rows_each, left = st->n_rows_held - begin;
        qp_state part = *st;
        part.row_ids = rows + begin;
        part.n_rows_held = left < rows_each ? left : rows_each;
        part.data = (const char *)st->data + (size_t)begin * pitch;
        if (slot->pool[i] == NULL) slot->pool[i] = qp_arena_new();
        p->status = slot->pool[i] != NULL ? judge(s, &part, slot->pool[i], &p->tally, &p->coverage, &p->err)
                                          : QP_NOMEM;
        if (slot->pool[i] != NULL) qp_arena_reset(slot->pool[i]);
    }
    for (int i = 0; i < n; i++) {
        if (pieces[i].status != QP_OK && status == QP_OK) {
            status = pieces[i].status;
            qp_err_set(err, status, __FILE__, __LINE__, "%s", pieces[i].err.msg);
        }
        qp_tally_merge(&slot->tally, &pieces[i].tally);
        add_coverage(slot, st, &pieces[i].coverage);
    }
    return status;
}

static qp_status judge_state(qp_case_sink *s, const qp_state *st, qp_sink_rank *slot, qp_err *err) {
    int64_t n_elems = st->n_rows_held * st->cols, most = n_elems / PIECE_ELEMS;
    if (most > QP_MAX_PIECES) most = QP_MAX_PIECES;
    int64_t rows_each = most > 1 ? (st->n_rows_held + most - 1) / most : st->n_rows_held;
    int n = rows_each > 0 ? (int)((st->n_rows_held + rows_each - 1) / rows_each) : 0;
    if (s->alone && st->data != NULL && n > 1 && st->rows > 1)
        return judge_pieces(s, st, slot, rows_each, n, err);
    qp_coverage cov = {0};
    QP_TRY(judge(s, st, slot->scratch, &slot->tally, &cov, err));
    add_coverage(slot, st, &cov);
    return QP_OK;
}

static qp_status take_state(void *user, const qp_state *st, qp_err *err) {
    qp_case_sink *s = user;
    if (st->rank < 0 || st->rank >= s->n_ranks)
        QP_FAIL(QP_BROKEN, "evidence of rank %d, but the case has %d ranks", st->rank, s->n_ranks);
    qp_sink_rank *slot = &s->ranks[st->rank];
    qp_arena_reset(slot->scratch);
    QP_TRY(note_seen(slot, st, err));
    QP_TRY(add_digests(slot, st, err));
    if (s->dump != NULL) QP_TRY(qp_dump_state(s->dump, st, err));
    if (s->oracle == NULL || !qp_tally_wants(&slot->tally, st->stage, st->field)) return QP_OK;
    return judge_state(s, st, slot, err);
}

// ---- the rest of the evidence
// ------------------------------------------------------------------------------------------------

static qp_status copy_group(qp_sink_rank *slot, const qp_group_ev *ev, qp_err *err) {
    if (slot->n_groups == slot->cap_groups) {
        int cap = slot->cap_groups == 0 ? 64 : slot->cap_groups * 2;
        qp_group_ev *bigger;
        QP_TRY(QP_NEW(slot->keep, bigger, cap));
        if (slot->n_groups > 0) memcpy(bigger, slot->groups, sizeof *bigger * (size_t)slot->n_groups);
        slot->groups = bigger;
        slot->cap_groups = cap;
    }
    qp_group_ev *g = &slot->groups[slot->n_groups];
    const char **members;
    uint32_t *globals = NULL;
    *g = *ev;
    QP_TRY(qp_arena_strdup(slot->keep, ev->parent, &g->parent, err));
    QP_TRY(QP_NEW(slot->keep, members, ev->n_members + 1));
    for (int i = 0; i < ev->n_members; i++)
        QP_TRY(qp_arena_strdup(slot->keep, ev->members[i], &members[i], err));
    if (ev->member_global_amax != NULL) {
        QP_TRY(QP_NEW(slot->keep, globals, ev->n_members + 1));
        memcpy(globals, ev->member_global_amax, sizeof *globals * (size_t)ev->n_members);
    }
    g->members = members;
    g->member_global_amax = globals;
    slot->n_groups++;
    return QP_OK;
}

static qp_sink_rank *slot_of(qp_case_sink *s, int rank) {
    return rank >= 0 && rank < s->n_ranks ? &s->ranks[rank] : NULL;
}

static void take_group(void *user, const qp_group_ev *ev) {
    qp_sink_rank *slot = slot_of(user, ev->rank);
    if (slot == NULL) return;
    qp_status s = copy_group(slot, ev, NULL);
    if (s != QP_OK) slot->status = s;
}

static void take_guard(void *user, const qp_guard_ev *ev, int rank) {
    qp_sink_rank *slot = slot_of(user, rank);
    if (slot != NULL) qp_tally_guard(&slot->tally, ev);
}

static void take_note(void *user, int rank, const char *stage, const char *text) {
    qp_sink_rank *slot = slot_of(user, rank);
    if (slot == NULL) return;
    if (slot->n_notes++ == 0 &&
        qp_arena_printf(slot->keep, &slot->note, NULL, "rank %d %s: %s", rank, stage, text) != QP_OK)
        slot->status = QP_NOMEM;
}

qp_sink qp_case_sink_of(qp_case_sink *s) {
    return (qp_sink){
        .user = s, .state = take_state, .group = take_group, .guard = take_guard, .note = take_note};
}
