// SPDX-License-Identifier: Apache-2.0
// The unsharded truth of weights: every enabled weight is made once, chunk by chunk on all cores, measured by
// the reference and dropped. What stays is one image per tensor, per row and, where calibrated, per block.
#include <stdlib.h>
#include <string.h>

#include "oracle/truth.h"

enum { CHUNK_ELEMS = 1 << 20 };

typedef struct chunk {
    int module;
    int64_t row0, n_rows;
} chunk;

// Chunks hold whole rows, at least one.
static qp_status cut_chunks(const qp_oracle *o, qp_arena *a, chunk **out, int64_t *n_out, qp_err *err) {
    int64_t n = 0;
    *out = NULL;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) QP_TRY(QP_NEW(a, *out, n + 1));
        n = 0;
        for (int i = 0; i < o->n; i++) {
            const qp_module *m = o->mods[i].module;
            if (!o->mods[i].weight.enabled || m->in <= 0) continue;
            int64_t rows = CHUNK_ELEMS / m->in > 0 ? CHUNK_ELEMS / m->in : 1;
            for (int64_t r = 0; r < m->out; r += rows, n++)
                if (pass == 1) (*out)[n] = (chunk){i, r, m->out - r < rows ? m->out - r : rows};
        }
    }
    *n_out = n;
    return QP_OK;
}

static qp_status reserve(qp_oracle *o, qp_err *err) {
    for (int i = 0; i < o->n; i++) {
        module_truth *t = &o->mods[i];
        if (!t->weight.enabled) continue;
        QP_TRY(QP_NEW(o->arena, t->row_amax, t->module->out));
        if (!oracle_has_block_amax(&t->weight)) continue;
        size_t n_bytes = (size_t)(t->module->out * oracle_blocks(t->module->in)) * qp_dtype_bytes(t->dtype);
        QP_TRY(qp_arena_get(o->arena, n_bytes, &t->block_amax, err));
    }
    return QP_OK;
}

// Rows of one chunk; images is room for its block amax.
static void measure_rows(module_truth *t, const chunk *c, const void *weight, uint32_t *images) {
    const qp_module *m = t->module;
    if (t->block_amax == NULL) {
        ref_amax(QP_GRAIN_AXIS0, t->dtype, c->n_rows, m->in, 0, 0, weight, t->row_amax + c->row0);
        return;
    }
    int64_t nb = oracle_blocks(m->in);
    ref_amax(QP_GRAIN_BLOCK, t->dtype, c->n_rows, m->in, 1, ORACLE_BLOCK, weight, images);
    for (int64_t r = 0; r < c->n_rows; r++) {
        uint32_t max = 0;
        for (int64_t b = 0; b < nb; b++) {
            uint32_t image = images[r * nb + b];
            max = ref_max_image(max, image);
            ref_store_f32(t->dtype, t->block_amax, (c->row0 + r) * nb + b, image);
        }
        t->row_amax[c->row0 + r] = max;
    }
}

static qp_status measure_chunk(qp_oracle *o, const chunk *c, qp_err *err) {
    module_truth *t = &o->mods[c->module];
    const qp_module *m = t->module;
    qp_status status = QP_OK;
    uint32_t *images = malloc(sizeof *images * (size_t)(c->n_rows * oracle_blocks(m->in) + 1));
    void *weight = malloc((size_t)(c->n_rows * m->in) * qp_dtype_bytes(t->dtype) + 1);
    if (images == NULL || weight == NULL)
        QP_FAIL_GOTO(status, out, QP_NOMEM, "out of memory for rows of %s", m->fqn);
    QP_TRY_GOTO(status, qp_weights_slice(o->spec.weights, m, c->row0, c->n_rows, 0, m->in, weight, err), out);
    measure_rows(t, c, weight, images);
out:
    free(images);
    free(weight);
    return status;
}

qp_status oracle_measure_weights(qp_oracle *o, qp_err *err) {
    chunk *chunks;
    int64_t n;
    QP_TRY(reserve(o, err));
    QP_TRY(cut_chunks(o, o->arena, &chunks, &n, err));
    qp_status status = QP_OK;
    qp_err first = {0};
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t i = 0; i < n; i++) {
        qp_err one = {0};
        qp_status s = measure_chunk(o, &chunks[i], &one);
        if (s == QP_OK) continue;
#pragma omp critical(oracle_first_failure)
        if (status == QP_OK) {
            status = s;
            first = one;
        }
    }
    if (status != QP_OK) QP_FAIL(status, "%s", first.msg);
    for (int i = 0; i < o->n; i++)
        for (int64_t r = 0; o->mods[i].weight.enabled && r < o->mods[i].module->out; r++)
            o->mods[i].tensor_amax = ref_max_image(o->mods[i].tensor_amax, o->mods[i].row_amax[r]);
    return QP_OK;
}

static qp_status find_hits(qp_oracle *o, qp_err *err) {
    if (o->spec.recipe->shared != QP_SHARED_LIST)
        return QP_OK; // the reference knows the default patterns itself
    const char **names;
    QP_TRY(QP_NEW(o->arena, names, o->n + 1));
    for (int i = 0; i < o->n; i++) names[i] = o->mods[i].module->fqn;
    return qp_pattern_hits(names, o->n, o->spec.recipe->patterns, o->spec.recipe->n_patterns, o->arena,
                           &o->hits, err);
}

qp_status oracle_measure_groups(qp_oracle *o, qp_err *err) {
    qp_module *mods;
    bool *enabled;
    int *group_of;
    QP_TRY(find_hits(o, err));
    QP_TRY(QP_NEW(o->arena, mods, o->n + 1));
    QP_TRY(QP_NEW(o->arena, enabled, o->n + 1));
    QP_TRY(QP_NEW(o->arena, group_of, o->n + 1));
    for (int i = 0; i < o->n; i++) {
        mods[i] = *o->mods[i].module;
        enabled[i] = o->mods[i].weight.enabled;
    }
    ref_groups(mods, enabled, o->hits, o->n, group_of);
    for (int i = 0; i < o->n; i++) {
        o->mods[i].group = group_of[i];
        int first = group_of[i] >= 0 ? group_of[i] : i;
        o->mods[first].group_amax = ref_max_image(o->mods[first].group_amax, o->mods[i].tensor_amax);
    }
    for (int i = 0; i < o->n; i++)
        if (group_of[i] >= 0) o->mods[i].group_amax = o->mods[group_of[i]].group_amax;
    return QP_OK;
}
