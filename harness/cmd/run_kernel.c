// SPDX-License-Identifier: Apache-2.0
// Kernel cases (quant grouped amax ste): generate, calibrate by the reference, run every op on the subject
// under guard, compare. On simt every launch runs in forward, reverse and shuffled thread order.
#include <stdio.h>
#include <string.h>

#include "cmd/kernel_data.h"
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
    bool has_y, has_pack; // ops that ran
    uint64_t orders[3];
    int n_orders;
    uint64_t flip; // --inject flip:ELEMENT, UINT64_MAX = none
} running;

// ---- what the answer must be
// ---------------------------------------------------------------------------------------------

typedef struct wanted { // one array per output of an op; an op has one to three
    void *a, *b, *c;
} wanted;

enum { MAX_PARTS = 64, PART_ELEMS = 1 << 14 };

// Rows are independent in every format but the two-dimensional blocks.
static int parts_of(const running *run, const qp_kernel_tensor *t) {
    if (qp_format_get(run->k.format)->grain == QP_GRAIN_BLOCK2D) return 1;
    int64_t n = t->rows * t->cols / PART_ELEMS + 1; // small tensors are not worth waking threads for
    if (n > MAX_PARTS) n = MAX_PARTS;
    return (int)(t->rows < n ? t->rows : n);
}

static void want_part(const running *run, qp_op op, const qp_kernel_tensor *t, const wanted *w, int64_t row0,
                      int64_t n, qp_coverage *cov) {
    ref_spec s = qp_kernel_spec(&run->k, t);
    size_t size = qp_dtype_bytes(run->k.dtype), at = (size_t)(row0 * t->cols) * size;
    const char *x = (const char *)t->x + at;
    size_t code_pitch = (size_t)(t->cols + 1) / 2;
    switch (op) {
    case QP_OP_FAKEQUANT:
        ref_fakequant(&s, row0, n, x, (char *)w->a + at, NULL, cov);
        break;
    case QP_OP_BACKWARD:
        ref_backward(&s, run->k.bwd, row0, n, x, (const char *)t->grad + at, (char *)w->a + at);
        break;
    case QP_OP_QUANT:
        ref_quant(&s, row0, n, x, (uint8_t *)w->a + (size_t)row0 * code_pitch, (uint8_t *)w->b + row0 * t->nb,
                  NULL, cov);
        break;
    case QP_OP_DEQUANT:
        ref_dequant(&s, run->k.dtype, n, t->codes + (size_t)row0 * code_pitch, t->scales + row0 * t->nb,
                    t->weight_scale_2, (char *)w->a + at);
        break;
    default:
        break;
    }
}

static void want_amax(const running *run, const qp_kernel_tensor *t, uint32_t *out) {
    const qp_format_row *f = qp_format_get(run->k.format);
    int64_t block_rows = f->block_rows > 0 ? f->block_rows : 1,
            block_cols = f->block_cols > 0 ? f->block_cols : 16;
    if (t->rows > 0 && t->cols > 0)
        ref_amax(qp_kernel_grain(&run->k), run->k.dtype, t->rows, t->cols, block_rows, block_cols, t->x, out);
}

static qp_status want(running *run, qp_op op, const qp_kernel_tensor *t, qp_arena *a, wanted *w,
                      qp_err *err) {
    size_t bytes = (size_t)(t->rows * t->cols) * qp_dtype_bytes(run->k.dtype);
    *w = (wanted){0};
    if (op == QP_OP_AMAX) bytes = sizeof(uint32_t) * (size_t)(t->rows * t->nb + 1);
    if (op == QP_OP_QUANT) bytes = (size_t)(t->rows * ((t->cols + 1) / 2));
    QP_TRY(qp_arena_get(a, bytes, &w->a, err));
    if (op == QP_OP_AMAX) {
        want_amax(run, t, w->a);
        return QP_OK;
    }
    if (op == QP_OP_QUANT) {
        QP_TRY(qp_arena_get(a, (size_t)(t->rows * t->nb), &w->b, err));
        QP_TRY(qp_arena_get(a, sizeof(uint32_t), &w->c, err));
        ref_spec s = qp_kernel_spec(&run->k, t);
        *(uint32_t *)w->c = ref_weight_scale_2(&s);
    }
    qp_coverage cov[MAX_PARTS];
    memset(cov, 0, sizeof cov);
    int n_parts = parts_of(run, t);
#pragma omp parallel for schedule(dynamic, 1) if (n_parts > 1)
    for (int p = 0; p < n_parts; p++) {
        int64_t begin = t->rows * p / n_parts, end = t->rows * (p + 1) / n_parts;
        want_part(run, op, t, w, begin, end - begin, &cov[p]);
    }
    // Coverage counts every element once: by fake-quant where that runs, else by pack. The scale bytes of
    // both are set bits.
    for (int p = 0; p < n_parts; p++) {
        if (op == QP_OP_QUANT && run->has_y) {
            for (int i = 0; i < 4; i++) {
                run->coverage.codes[i] |= cov[p].codes[i]; // pack keeps the sign of zero, fake-quant does not
                run->coverage.scale_bytes[i] |= cov[p].scale_bytes[i];
            }
            run->coverage.n_scale_ties += cov[p].n_scale_ties;
        } else if (op == QP_OP_FAKEQUANT || op == QP_OP_QUANT) {
            qp_coverage_merge(&run->coverage, &cov[p]);
        }
    }
    return QP_OK;
}

// ---- what the subject answers
// --------------------------------------------------------------------------------------------

static qp_status make_outputs(running *run, qp_op op, qp_err *err) {
    for (int i = 0; i < run->k.n_tensors; i++) {
        qp_kernel_tensor *t = &run->k.tensors[i];
        size_t bytes = (size_t)(t->rows * t->cols) * qp_dtype_bytes(run->k.dtype);
        switch (op) {
        case QP_OP_AMAX:
            QP_TRY(QP_NEW(run->arena, t->amax_out, t->rows * t->nb + 1));
            break;
        case QP_OP_FAKEQUANT:
            QP_TRY(qp_arena_get(run->arena, bytes, &t->y, err));
            break;
        case QP_OP_BACKWARD:
            QP_TRY(qp_arena_get(run->arena, bytes, &t->g, err));
            break;
        case QP_OP_DEQUANT:
            QP_TRY(qp_arena_get(run->arena, bytes, &t->values, err));
            break;
        default:
            QP_TRY(QP_NEW(run->arena, t->codes, t->rows * ((t->cols + 1) / 2)));
            QP_TRY(QP_NEW(run->arena, t->scales, t->rows * t->nb));
        }
    }
    return QP_OK;
}

static qp_ktensor launch_tensor(const running *run, qp_op op, qp_kernel_tensor *t) {
    qp_ktensor kt = {.rows = t->rows, .cols = t->cols, .ld = t->ld, .x = t->pitched, .grad = t->grad};
    bool global_only = run->k.format == QP_NVFP4;
    kt.amax = global_only ? NULL : (const float *)t->amax;
    kt.global_amax = qp_format_get(run->k.format)->has_global ? (const float *)&t->global_amax : NULL;
    kt.amax_out = (float *)t->amax_out;
    kt.codes = t->codes;
    kt.scales = t->scales;
    kt.weight_scale_2 = (float *)&t->weight_scale_2;
    kt.y = op == QP_OP_FAKEQUANT ? t->y : op == QP_OP_BACKWARD ? t->g : t->values;
    return kt;
}

// Flips the lowest bit of element number run->flip, counted over all tensors of the launch.
static void inject(const running *run, qp_op op) {
    uint64_t left = run->flip;
    for (int i = 0; i < run->k.n_tensors && run->flip != UINT64_MAX; i++) {
        const qp_kernel_tensor *t = &run->k.tensors[i];
        qp_grain grain = qp_kernel_grain(&run->k);
        uint64_t n = (uint64_t)(t->rows * t->cols), size = qp_dtype_bytes(run->k.dtype);
        if (op == QP_OP_AMAX) {
            n = grain == QP_GRAIN_TENSOR ? 1
                                         : (uint64_t)(grain == QP_GRAIN_AXIS0 ? t->rows : t->rows * t->nb);
            size = sizeof(uint32_t);
        }
        if (left >= n) {
            left -= n;
            continue;
        }
        if (op == QP_OP_QUANT) {
            uint64_t row = left / (uint64_t)t->cols, col = left % (uint64_t)t->cols;
            t->codes[row * (uint64_t)((t->cols + 1) / 2) + col / 2] ^= (uint8_t)(col % 2 == 0 ? 1 : 16);
        } else {
            uint8_t *out = op == QP_OP_AMAX        ? (uint8_t *)t->amax_out
                           : op == QP_OP_FAKEQUANT ? t->y
                           : op == QP_OP_BACKWARD  ? t->g
                                                   : t->values;
            out[left * size] ^= 1;
        }
        return;
    }
}

static qp_status launch(running *run, qp_op op, int order, qp_err *err) {
    qp_ktensor *tensors;
    QP_TRY(QP_NEW(run->arena, tensors, run->k.n_tensors));
    for (int i = 0; i < run->k.n_tensors; i++) tensors[i] = launch_tensor(run, op, &run->k.tensors[i]);
    qp_launch l = {.op = op,
                   .format = run->k.format,
                   .engine = run->k.engine,
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
    inject(run, op);
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

static qp_status compare_amax(running *run, const qp_kernel_tensor *t, const wanted *w, bool first,
                              qp_err *err) {
    qp_grain grain = qp_kernel_grain(&run->k);
    int64_t rows = grain == QP_GRAIN_TENSOR ? 1 : t->rows, cols = grain == QP_GRAIN_BLOCK ? t->nb : 1;
    return compare(run, t, "amax", QP_FP32, rows, cols, t->amax_out, w->a, first, err);
}

static qp_status compare_tensor(running *run, qp_op op, const qp_kernel_tensor *t, const wanted *w,
                                bool first, qp_err *err) {
    qp_dtype dt = run->k.dtype;
    switch (op) {
    case QP_OP_AMAX:
        return compare_amax(run, t, w, first, err);
    case QP_OP_FAKEQUANT:
        return compare(run, t, "y", dt, t->rows, t->cols, t->y, w->a, first, err);
    case QP_OP_BACKWARD:
        return compare(run, t, "grad", dt, t->rows, t->cols, t->g, w->a, first, err);
    case QP_OP_DEQUANT:
        return compare(run, t, "dequant", dt, t->rows, t->cols, t->values, w->a, first, err);
    default:
        QP_TRY(
            compare(run, t, "weight_packed", QP_U8, t->rows, (t->cols + 1) / 2, t->codes, w->a, first, err));
        QP_TRY(compare(run, t, "weight_scale", QP_E4M3, t->rows, t->nb, t->scales, w->b, first, err));
        return compare(run, t, "weight_scale_2", QP_FP32, 1, 1, &t->weight_scale_2, w->c, first, err);
    }
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

// The answer of one op is asked of the reference once and compared after every thread order. DEQUANT takes
// the codes that the subject itself packed, so a wrong pack is not counted again here.
static qp_status run_op(running *run, qp_op op, qp_arena *scratch, qp_err *err) {
    wanted *must;
    QP_TRY(QP_NEW(scratch, must, run->k.n_tensors));
    QP_TRY(make_outputs(run, op, err));
    for (int i = 0; i < run->k.n_tensors; i++)
        QP_TRY(want(run, op, &run->k.tensors[i], scratch, &must[i], err));
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
    run->has_y = run->has_y || op == QP_OP_FAKEQUANT;
    run->has_pack = run->has_pack || op == QP_OP_QUANT;
    if (op == QP_OP_DEQUANT && run->has_y) pack_classes(run);
    return QP_OK;
}

static int ops_of(const running *run, qp_op ops[QP_OP_COUNT]) {
    const char *kind = run->c->kind->name;
    int n = 0;
    bool whole = strcmp(kind, "quant") == 0 || strcmp(kind, "grouped") == 0;
    if (whole || strcmp(kind, "amax") == 0) ops[n++] = QP_OP_AMAX;
    if (whole) ops[n++] = QP_OP_FAKEQUANT;
    if (whole || strcmp(kind, "ste") == 0) ops[n++] = QP_OP_BACKWARD;
    if (whole && qp_format_get(run->k.format)->has_global) {
        ops[n++] = QP_OP_QUANT;
        ops[n++] = QP_OP_DEQUANT;
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

static qp_status run_ops(running *run, qp_err *err) {
    qp_op ops[QP_OP_COUNT];
    int n = ops_of(run, ops), n_run = 0;
    qp_text missing = {.arena = run->arena};
    for (int i = 0; i < n; i++) {
        qp_err own = {0};
        const char *why = ref_unsupported(ops[i], run->k.format, run->k.engine);
        qp_status s = QP_OK;
        if (why == NULL)
            s = qp_subject_offers(run->env->s.subject, ops[i], run->k.format, run->k.engine, run->k.dtype,
                                  &own);
        if (ops[i] == QP_OP_DEQUANT && !run->has_pack && why == NULL && s == QP_OK)
            why = "needs what quant packs, which did not run";
        if (why != NULL || s != QP_OK) {
            QP_TRY(qp_text_add(&missing, err, "%s%s: %s", missing.n > 0 ? "; " : "not run: ",
                               qp_op_name(ops[i]), why != NULL ? why : own.msg));
            continue;
        }
        qp_arena *scratch = qp_arena_new();
        if (scratch == NULL) QP_FAIL(QP_NOMEM, "%s: out of memory", run->c->line);
        s = run_op(run, ops[i], scratch, err);
        qp_arena_free(scratch);
        QP_TRY(s);
        n_run++;
    }
    run->result->notes = missing.s;
    if (n_run == 0)
        qp_say(run->result, run->arena, QP_SKIP, QP_WHY_NOT_BUILT, "%s",
               missing.s != NULL ? missing.s : "no op of this kind");
    return QP_OK;
}

qp_status qp_run_kernel(qp_run_env *e, const qp_case *c, qp_arena *a, qp_case_result *r, qp_err *err) {
    running run = {.env = e, .c = c, .arena = a, .result = r, .flip = UINT64_MAX};
    qp_err own = {0};
    if (e->s.inject != NULL && !qp_parse_u64(e->s.inject + strlen("flip:"), &run.flip))
        QP_FAIL(QP_USAGE, "inject: wanted flip:ELEMENT, got '%s'", e->s.inject);
    qp_status s = qp_kernel_data(c, a, &run.k, &own);
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
                     .n_coverage = run.has_y || run.has_pack,
                     .has_edge_key = run.k.has_edge};
    qp_tally_whole(&run.tally, &ev, "coverage-floor");
    return qp_tally_close(&run.tally, r, a, err);
}
