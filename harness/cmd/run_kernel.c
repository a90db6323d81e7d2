// SPDX-License-Identifier: Apache-2.0
// Kernel cases (quant grouped amax ste): generate, calibrate by the reference, run every op on the subject
// under guard, compare. On simt every launch runs in forward, reverse and shuffled thread order.
#include <stdio.h>
#include <string.h>

#include "cmd/hex_data.h"
#include "cmd/kernel_ambiguous.h"
#include "cmd/kernel_data.h"
#include "cmd/kernel_laws.h"
#include "cmd/kernel_ops.h"
#include "cmd/kernel_pack.h"
#include "cmd/run_env.h"
#include "core/text.h"

typedef struct running {
    qp_run_env *env;
    const qp_case *c;
    qp_arena *arena;
    qp_case_result *result;
    qp_kernel_case k;
    qp_tally tally;
    qp_coverage coverage;
    bool has[QP_OP_COUNT]; // ops that ran
    uint64_t orders[3];
    int n_orders;
    uint64_t flip;       // --inject flip:ELEMENT, UINT64_MAX = none
    int64_t n_ambiguous; // blocks, approximate engines only
} running;

// ---- what the answer must be
// ---------------------------------------------------------------------------------------------

// Coverage counts every element once: by fake-quant where that runs, else by pack. The codes and scale bytes
// of both are set bits.
static void add_coverage(running *run, qp_op op, const qp_coverage *cov) {
    if (op == QP_OP_QUANT && run->has[QP_OP_FAKEQUANT]) {
        for (int i = 0; i < 4; i++) {
            run->coverage.codes[i] |= cov->codes[i]; // pack keeps the sign of zero, fake-quant may not
            run->coverage.scale_bytes[i] |= cov->scale_bytes[i];
        }
        run->coverage.n_scale_ties += cov->n_scale_ties;
    } else if (op == QP_OP_FAKEQUANT || op == QP_OP_QUANT) {
        qp_coverage_merge(&run->coverage, cov);
    }
}

static qp_status want(running *run, qp_op op, qp_arena *a, qp_kernel_want *must, qp_err *err) {
    qp_coverage cov = {0};
    for (int i = 0; i < run->k.n_tensors; i++)
        QP_TRY(qp_kernel_wanted(&run->k, op, &run->k.tensors[i], a, &must[i], &cov, err));
    add_coverage(run, op, &cov);
    return QP_OK;
}

// ---- what the subject answers
// --------------------------------------------------------------------------------------------

static qp_status launch(running *run, qp_op op, int order, qp_err *err) {
    qp_ktensor *tensors;
    QP_TRY(QP_NEW(run->arena, tensors, run->k.n_tensors));
    for (int i = 0; i < run->k.n_tensors; i++)
        tensors[i] = qp_kernel_launched(&run->k, op, &run->k.tensors[i]);
    qp_launch l = {.op = op,
                   .format = run->k.format,
                   .engine = run->k.engines[op],
                   .dtype = run->k.dtype,
                   .narrow_range = run->k.narrow_range,
                   .bwd = run->k.bwd,
                   .n_tensors = run->k.n_tensors,
                   .tensors = tensors,
                   .order_seed = run->orders[order]};
    qp_run_options o = {.guard = true,
                        .repeat = order == 0,
                        .order_seed = run->orders[order],
                        .misalign = (int)((size_t)run->k.misalign * qp_dtype_bytes(run->k.dtype))};
    qp_guard_ev guard = {0};
    QP_TRY(qp_subject_run(run->env->s.subject, &l, &o, &guard, err));
    qp_tally_guard(&run->tally, &guard);
    if (run->flip != UINT64_MAX) qp_kernel_flip(&run->k, op, run->flip);
    return QP_OK;
}

// ---- the two together
// ----------------------------------------------------------------------------------------------------

static qp_status keep_digests(running *run, const qp_state *st, qp_err *err) {
    int64_t *rows, n = 0;
    qp_digest *d;
    QP_TRY(QP_NEW(run->env->last, rows, st->n_rows_held + 1));
    for (int64_t r = 0; r < st->n_rows_held; r++) rows[r] = r;
    QP_TRY(qp_digest_state(st, rows, 0, run->env->last, &d, &n, err));
    return qp_env_add_digests(run->env, d, n, err);
}

static qp_status compare(running *run, const qp_kernel_tensor *t, const char *field, qp_dtype dtype,
                         int64_t rows, int64_t cols, const void *got, const void *must, bool first,
                         qp_err *err) {
    const char *name;
    if (rows == 0 || cols == 0) return QP_OK;
    QP_TRY(qp_arena_strdup(run->env->last, t->name, &name, err));
    qp_state st = {.stage = "kernel",
                   .fqn = name,
                   .field = field,
                   .rank = -1,
                   .format = run->k.format,
                   .dtype = dtype,
                   .rows = rows,
                   .cols = cols,
                   .n_rows_held = rows,
                   .data = got};
    qp_compare c = {&st, must, run->c->line};
    if (first) QP_TRY(keep_digests(run, &st, err));
    return qp_tally_state_parallel(&run->tally, &c, err);
}

static qp_device_kind device_kind(const running *run) {
    return run->env->s.device != NULL ? run->env->s.device->kind : QP_DEVICE_CPU;
}

static qp_status compare_tensor(running *run, qp_op op, qp_kernel_tensor *t, const qp_kernel_want *w,
                                bool first, qp_err *err) {
    qp_kernel_field fields[QP_KERNEL_FIELDS];
    if (op == QP_OP_FAKEQUANT)
        run->n_ambiguous += qp_kernel_accept(&run->k, device_kind(run), t, w->parts[0]);
    int n = qp_kernel_fields(&run->k, t, op, fields);
    for (int i = 0; i < n; i++)
        QP_TRY(compare(run, t, fields[i].name, fields[i].dtype, fields[i].rows, fields[i].cols,
                       *fields[i].got, w->parts[i], first, err));
    return QP_OK;
}

static void pack_classes(running *run) {
    for (int i = 0; i < run->k.n_tensors; i++) {
        int64_t counts[REF_SCALE_CLASS_COUNT];
        qp_kernel_tensor *t = &run->k.tensors[i];
        if (t->rows == 0 || t->cols == 0) continue;
        qp_kernel_pack_classes(&run->k, t, counts);
        qp_state st = {.stage = "kernel",
                       .fqn = t->name,
                       .field = QP_FIELD_PACK_CLASSES,
                       .rank = -1,
                       .format = run->k.format,
                       .dtype = QP_I64,
                       .rows = 1,
                       .cols = REF_SCALE_CLASS_COUNT,
                       .n_rows_held = 1,
                       .data = counts};
        qp_compare c = {&st, NULL, run->c->line};
        qp_tally_state(&run->tally, &c);
    }
}

// The answer of one op is asked of the reference once and compared after every thread order.
static qp_status run_op(running *run, qp_op op, qp_arena *scratch, qp_err *err) {
    qp_kernel_want *must;
    QP_TRY(QP_NEW(scratch, must, run->k.n_tensors));
    QP_TRY(qp_kernel_outputs(&run->k, op, run->arena, err));
    QP_TRY(want(run, op, scratch, must, err));
    for (int order = 0; order < run->n_orders; order++) {
        qp_err own = {0};
        qp_status s = launch(run, op, order, &own);
        if (s != QP_OK) {
            qp_say_status(run->result, run->arena, s, qp_op_name(op), own.msg);
            return QP_OK;
        }
        for (int i = 0; i < run->k.n_tensors; i++)
            QP_TRY(compare_tensor(run, op, &run->k.tensors[i], &must[i], order == 0, err));
    }
    run->has[op] = true;
    bool two_spellings = op == QP_OP_DEQUANT && qp_format_get(run->k.format)->has_global;
    if (two_spellings && run->has[QP_OP_FAKEQUANT]) pack_classes(run);
    return QP_OK;
}

// The ops of the kind; with several, those that exist under no engine are no ops of the format.
static int ops_of(const running *run, qp_op ops[QP_OP_COUNT]) {
    static const struct {
        const char *kind;
        unsigned ops;
    } rows[] = {{"quant", (1u << QP_OP_COUNT) - 1},
                {"grouped", (1u << QP_OP_COUNT) - 1},
                {"amax", 1u << QP_OP_AMAX},
                {"ste", 1u << QP_OP_BACKWARD}};
    int n = 0;
    for (int i = 0; i < QP_COUNT(rows); i++) {
        if (strcmp(rows[i].kind, run->c->kind->name) != 0) continue;
        bool one = (rows[i].ops & (rows[i].ops - 1)) == 0;
        for (int op = 0; op < QP_OP_COUNT; op++)
            if ((rows[i].ops >> op & 1) && (one || ref_engines((qp_op)op, run->k.format) != 0))
                ops[n++] = (qp_op)op;
    }
    return n;
}

static void choose_orders(running *run) {
    bool simt = run->env->s.device != NULL && run->env->s.device->kind == QP_DEVICE_SIMT;
    run->n_orders = simt && !qp_case_given(run->c, "order") ? 3 : 1;
    run->orders[0] = simt ? qp_case_u64(run->c, "order") : 0;
    run->orders[1] = 1;
    run->orders[2] = 20260901;
}

static qp_status not_run(const running *run, qp_op op, qp_text *missing, bool *runs, qp_err *err) {
    qp_err own = {0};
    const char *why = ref_unsupported(op, run->k.format, run->k.engines[op]);
    qp_status s = QP_OK;
    if (why == NULL)
        s = qp_subject_offers(run->env->s.subject, op, run->k.format, run->k.engines[op], run->k.dtype, &own);
    if (op == QP_OP_DEQUANT && !run->has[QP_OP_QUANT] && why == NULL && s == QP_OK)
        why = "needs what quant packs, which did not run";
    *runs = why == NULL && s == QP_OK;
    if (*runs) return QP_OK;
    return qp_text_add(missing, err, "%s%s: %s", missing->n > 0 ? "; " : "not run: ", qp_op_name(op),
                       why != NULL ? why : own.msg);
}

// "engine ieee: fakequant backward; engine torch-cpu: quant dequant", then what did not run and why.
static qp_status note_engines(running *run, const qp_text *missing, qp_err *err) {
    qp_text t = {.arena = run->arena};
    for (int e = 0; e < QP_ENGINE_COUNT; e++) {
        bool any = false;
        for (int op = 0; op < QP_OP_COUNT; op++) {
            if (!run->has[op] || op == QP_OP_AMAX || (int)run->k.engines[op] != e) continue;
            if (!any)
                QP_TRY(
                    qp_text_add(&t, err, "%sengine %s:", t.n > 0 ? "; " : "", qp_engine_name((qp_engine)e)));
            QP_TRY(qp_text_add(&t, err, " %s", qp_op_name((qp_op)op)));
            any = true;
        }
    }
    if (run->n_ambiguous > 0)
        QP_TRY(qp_text_add(&t, err, "; %lld blocks differ from eval's answer within the ambiguity set",
                           (long long)run->n_ambiguous));
    if (missing->n > 0) QP_TRY(qp_text_add(&t, err, "%s%s", t.n > 0 ? "; " : "", missing->s));
    run->result->notes = t.s;
    return QP_OK;
}

static qp_status in_scratch(running *run, qp_op op, qp_err *err) {
    qp_arena *scratch = qp_arena_new();
    if (scratch == NULL) QP_FAIL(QP_NOMEM, "%s: out of memory", run->c->line);
    qp_status s = run_op(run, op, scratch, err);
    qp_arena_free(scratch);
    return s;
}

// Asked again for a law: unguarded, since the case's own launches were under guard, and in forward order.
static qp_status ask_subject(void *user, qp_kernel_case *k, qp_op op, qp_err *err) {
    qp_arena *a = qp_arena_new();
    qp_ktensor *tensors;
    if (a == NULL) QP_FAIL(QP_NOMEM, "a launch: out of memory");
    qp_status status = QP_NEW(a, tensors, k->n_tensors);
    if (status == QP_OK) {
        for (int i = 0; i < k->n_tensors; i++) tensors[i] = qp_kernel_launched(k, op, &k->tensors[i]);
        const qp_launch l = {.op = op,
                             .format = k->format,
                             .engine = k->engines[op],
                             .dtype = k->dtype,
                             .narrow_range = k->narrow_range,
                             .n_tensors = k->n_tensors,
                             .tensors = tensors};
        const qp_run_options plain = {0};
        status = qp_subject_run(user, &l, &plain, NULL, err);
    }
    qp_arena_free(a);
    return status;
}

static qp_status run_laws(running *run, qp_err *err) {
    qp_err own = {0};
    const qp_law_asked who = {ask_subject, run->env->s.subject, false};
    qp_status s = qp_kernel_laws(&run->k, run->has, &who, &run->tally, &own);
    if (s == QP_NOMEM || s == QP_BROKEN) QP_FAIL(s, "laws: %s", own.msg);
    qp_say_status(run->result, run->arena, s, "laws", own.msg);
    return QP_OK;
}

static qp_status run_ops(running *run, qp_err *err) {
    qp_op ops[QP_OP_COUNT];
    int n = ops_of(run, ops), n_run = 0;
    qp_text missing = {.arena = run->arena};
    for (int i = 0; i < n; i++) {
        bool runs;
        QP_TRY(not_run(run, ops[i], &missing, &runs, err));
        if (!runs) continue;
        QP_TRY(in_scratch(run, ops[i], err));
        n_run++;
    }
    QP_TRY(run_laws(run, err));
    QP_TRY(note_engines(run, &missing, err));
    if (n_run == 0)
        qp_say(run->result, run->arena, QP_SKIP, QP_WHY_NOT_BUILT, "%s",
               missing.s != NULL ? missing.s : "no op of this kind");
    return QP_OK;
}

// Would this case be below its floor without its edge=?
static qp_status owe_floor(const running *run, qp_case_ev ev, qp_err *err) {
    if (!ev.has_edge_key) return QP_OK;
    ev.has_edge_key = false;
    for (int i = 0; i < qp_n_checks; i++) {
        if (strcmp(qp_checks[i].name, "coverage-floor") != 0) continue;
        qp_finding f = qp_checks[i].whole(&ev);
        if (f.verdict == QP_SUSPECT)
            QP_TRY(qp_arena_strdup(run->arena, f.text, &run->result->owes_floor, err));
    }
    return QP_OK;
}

qp_status qp_run_kernel(qp_run_env *e, const qp_case *c, qp_arena *a, qp_case_result *r, qp_err *err) {
    running run = {.env = e, .c = c, .arena = a, .result = r, .flip = UINT64_MAX};
    qp_err own = {0};
    if (e->s.inject != NULL && !qp_parse_u64(e->s.inject + strlen("flip:"), &run.flip))
        QP_FAIL(QP_USAGE, "inject: wanted flip:ELEMENT, got '%s'", e->s.inject);
    qp_status s = qp_kernel_data(c, a, &run.k, &own);
    if (s == QP_IO && qp_hex_is_missing(qp_case_text(c, "hex"))) {
        qp_say(r, a, QP_SUSPECT, QP_WHY_COVERAGE, "mined set missing: %s", own.msg);
        return QP_OK;
    }
    if (s != QP_OK) {
        qp_say_status(r, a, s, "inputs", own.msg);
        return QP_OK;
    }
    r->is_kernel = true;
    r->format = run.k.format;
    r->dtype = run.k.dtype;
    r->rows_fraction = 1;
    choose_orders(&run);
    QP_TRY(qp_tally_new(a, e->s.switched_off, &run.tally, err));
    QP_TRY(run_ops(&run, err));
    r->coverage = run.coverage;
    r->peak_bytes = (int64_t)qp_arena_used(a);
    qp_case_ev ev = {.repro = c->line,
                     .coverage = &run.coverage,
                     .coverage_format = &run.k.format,
                     .n_coverage = run.has[QP_OP_FAKEQUANT] || run.has[QP_OP_QUANT],
                     .has_edge_key = run.k.has_edge};
    qp_tally_whole(&run.tally, &ev, "coverage-floor");
    QP_TRY(owe_floor(&run, ev, err));
    return qp_tally_close(&run.tally, r, a, err);
}
