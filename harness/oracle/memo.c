// SPDX-License-Identifier: Apache-2.0
// The reference's packed answer for a slice is asked for again and again: for codes, scales and decoded
// values, after pack and after every load, on every layout that cuts the module the same way. It is kept, up
// to a bound, and never computed in another way.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "oracle/truth.h"

static const size_t memo_bytes_max = (size_t)3 << 30;

typedef struct entry {
    struct entry *next;
    int64_t n_rows, cols, col0;
    uint64_t rows; // 64-bit hash of the numbers of the full rows, in order: equal hashes count as equal rows
    uint32_t global_amax;
    packed_answer answer;
} entry;

struct pack_memo {
    pthread_mutex_t lock;
    size_t bytes;
    int n;
    entry *heads[]; // [n] by module
};

qp_status pack_memo_new(int n_modules, pack_memo **out, qp_err *err) {
    pack_memo *m = calloc(1, sizeof *m + sizeof(entry *) * (size_t)n_modules);
    if (m == NULL) QP_FAIL(QP_NOMEM, "out of memory for the answers of %d modules", n_modules);
    pthread_mutex_init(&m->lock, NULL);
    m->n = n_modules;
    *out = m;
    return QP_OK;
}

void pack_memo_free(pack_memo *m) {
    if (m == NULL) return;
    for (int i = 0; i < m->n; i++)
        for (entry *e = m->heads[i], *next; e != NULL; e = next) {
            next = e->next;
            free(e);
        }
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static const entry *find(const entry *e, const entry *key) {
    while (e != NULL && (e->n_rows != key->n_rows || e->cols != key->cols || e->col0 != key->col0 ||
                         e->rows != key->rows || e->global_amax != key->global_amax))
        e = e->next;
    return e;
}

static qp_status compute(const view *v, qp_arena *a, uint8_t *codes, uint8_t *scales, packed_answer *out,
                         qp_err *err) {
    ref_spec s;
    QP_TRY(view_spec(v, a, &s, err));
    void *x = malloc((size_t)(v->n_held * v->cols) * qp_dtype_bytes(v->t->dtype) + 1);
    if (x == NULL) QP_FAIL(QP_NOMEM, "out of memory for rows of %s", v->t->module->fqn);
    qp_status status = QP_OK;
    *out = (packed_answer){.codes = codes, .scales = scales, .weight_scale_2 = ref_weight_scale_2(&s)};
    QP_TRY_GOTO(status, view_weight(v, x, err), out);
    ref_quant(&s, 0, v->n_held, x, codes, scales, NULL, &out->coverage);
out:
    free(x);
    return status;
}

qp_status view_packed(const view *v, qp_arena *a, packed_answer *out, qp_err *err) {
    pack_memo *m = v->o->memo;
    const int module = (int)(v->t - v->o->mods);
    entry key = {.n_rows = v->n_held, .cols = v->cols, .col0 = v->col0, .global_amax = v->t->tensor_amax};
    key.rows = qp_hash64(v->global_row, sizeof *v->global_row * (size_t)v->n_held, 0);
    if (oracle_has_block_amax(&v->t->weight))
        QP_TRY(oracle_global_amax(v->o, v->t, v->st->layout, v->st->rank, &key.global_amax, err));
    const size_t n_codes = (size_t)(v->n_held * ((v->cols + 1) / 2)),
                 n_scales = (size_t)(v->n_held * oracle_blocks(v->cols));
    const size_t n_bytes = sizeof(entry) + n_codes + n_scales;
    pthread_mutex_lock(&m->lock);
    const entry *known = find(m->heads[module], &key);
    const bool keep = known == NULL && m->bytes + n_bytes <= memo_bytes_max;
    if (keep) m->bytes += n_bytes;
    pthread_mutex_unlock(&m->lock);
    if (known != NULL) {
        *out = known->answer; // entries are never changed once they are in the list
        return QP_OK;
    }
    entry *e = keep ? malloc(n_bytes) : NULL;
    qp_status status = QP_OK;
    if (!keep) QP_TRY(qp_arena_get(a, n_bytes, &e, err));
    if (e != NULL) {
        *e = key;
        uint8_t *codes = (uint8_t *)(e + 1);
        status = compute(v, a, codes, codes + n_codes, &e->answer, err);
        if (status == QP_OK) *out = e->answer;
    } else
        status = qp_err_set(err, QP_NOMEM, __FILE__, __LINE__, "out of memory for the codes of %s",
                            v->t->module->fqn);
    if (!keep) return status;
    pthread_mutex_lock(&m->lock);
    if (status == QP_OK) {
        e->next = m->heads[module];
        m->heads[module] = e;
    } else {
        m->bytes -= n_bytes;
        free(e);
    }
    pthread_mutex_unlock(&m->lock);
    return status;
}
