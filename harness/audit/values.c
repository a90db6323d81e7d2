// SPDX-License-Identifier: Apache-2.0
// One streaming pass over what the rules on values look at: every scale, every FP4 code (magnitudes per
// block), every E4M3 code (NaN). Integer codes hold no forbidden value and are read only behind a zero scale;
// plain weights are not read. Windows of whole rows, in the order of the files, over all threads; counts
// merge commutatively, so the answer does not depend on who did what. Memory: a window record per 4 MiB.
#include "audit/values.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { WINDOW_BYTES = 4 << 20 };

typedef struct window {
    uint32_t module;
    uint32_t kind;   // row of `kinds`
    uint64_t at, n;  // units
    uint64_t offset; // of its first byte in the file
    uint32_t file;
} window;

// ---- what is scanned, and how -------------------------------------------------------------------

static size_t scale_unit(const qp_ck_module *m) {
    const qp_ck_tensor *t = m->part[QP_CK_SCALE];
    return qp_scan_is_scale_type(t->dtype) ? (size_t)qp_st_dtypes[t->dtype].bits / 8 : 0;
}

static void scan_scales(const qp_ck_module *m, const uint8_t *data, uint64_t at, uint64_t n, qp_ck_stats *s) {
    (void)data;
    qp_scan_scales(m, at, n, s);
}

static bool is_fp4(const qp_ck_module *m) {
    return m->scheme->element == QP_ELEM_E2M1 && m->scheme->group_size > 1;
}

static size_t row_unit(const qp_ck_module *m) { // a row of pairs
    const qp_ck_pack pack = m->scheme->pack;
    return is_fp4(m) && (pack == QP_CK_PAIRS || pack == QP_CK_BLOCKS) ? (size_t)(m->in + 1) / 2 : 0;
}

static void scan_rows(const qp_ck_module *m, const uint8_t *data, uint64_t at, uint64_t n, qp_ck_stats *s) {
    (void)at;
    const size_t row = row_unit(m), block = (size_t)m->scheme->group_size / 2, whole = row / block;
    if (row % block == 0) {
        qp_scan_fp4(data, block, n * whole, s);
        return;
    }
    for (uint64_t i = 0; i < n; i++, data += row) {
        qp_scan_fp4(data, block, whole, s);
        qp_scan_fp4(data + whole * block, row % block, 1, s);
    }
}

static size_t band_unit(const qp_ck_module *m) { // the pairs of one group, all columns
    const bool fits = is_fp4(m) && m->scheme->pack == QP_CK_IN_PAIRS && m->in % m->scheme->group_size == 0;
    return fits ? (size_t)m->scheme->group_size / 2 * (size_t)m->out : 0;
}

static void scan_bands(const qp_ck_module *m, const uint8_t *data, uint64_t at, uint64_t n, qp_ck_stats *s) {
    (void)at;
    for (uint64_t i = 0; i < n; i++, data += band_unit(m))
        qp_scan_fp4_columns(data, (size_t)m->scheme->group_size / 2, (size_t)m->out, s);
}

static size_t e4m3_unit(const qp_ck_module *m) {
    return m->part[QP_CK_WEIGHT]->dtype == QP_ST_F8_E4M3;
}

static void scan_e4m3(const qp_ck_module *m, const uint8_t *data, uint64_t at, uint64_t n, qp_ck_stats *s) {
    (void)m;
    qp_scan_e4m3(data, at, (size_t)n, s);
}

static const struct kind {
    qp_ck_role role;
    size_t (*unit)(const qp_ck_module *m); // bytes; 0: not this kind
    void (*scan)(const qp_ck_module *m, const uint8_t *data, uint64_t at, uint64_t n, qp_ck_stats *s);
} kinds[] = {
    {QP_CK_SCALE, scale_unit, scan_scales},
    {QP_CK_WEIGHT, row_unit, scan_rows},
    {QP_CK_WEIGHT, band_unit, scan_bands},
    {QP_CK_WEIGHT, e4m3_unit, scan_e4m3},
};

// ---- the plan -----------------------------------------------------------------------------------

typedef struct plan {
    const qp_audit_options *o;
    const qp_audit *u;
    qp_ck_stats *stats; // of u, writable
    window *windows;
    uint64_t n, n_bytes;
    int ahead; // windows asked for before their turn
    atomic_uint_fast64_t done_bytes;
    pthread_mutex_t lock; // of stats
    struct timespec told;
} plan;

static size_t unit_of(const qp_ck_module *m, const struct kind *k) {
    const qp_ck_tensor *t = m->part[k->role];
    if (m->scheme == NULL || !m->sound || t == NULL) return 0;
    const size_t unit = k->unit(m);
    return unit > 0 && t->n_bytes % unit == 0 ? unit : 0;
}

// NULL list: only counts.
static uint64_t cut(const qp_audit *u, uint32_t module, uint32_t kind, window *list) {
    const qp_ck_module *m = &u->modules.list[module];
    const qp_ck_tensor *t = m->part[kinds[kind].role];
    const size_t unit = unit_of(m, &kinds[kind]);
    if (unit == 0 || t->n_bytes == 0) return 0;
    const uint64_t units = t->n_bytes / unit, per = unit < WINDOW_BYTES ? WINDOW_BYTES / unit : 1;
    const uint64_t n = (units + per - 1) / per;
    for (uint64_t i = 0; list != NULL && i < n; i++)
        list[i] = (window){.module = module,
                           .kind = kind,
                           .at = i * per,
                           .n = i + 1 < n ? per : units - i * per,
                           .offset = t->entry->begin + i * per * unit,
                           .file = t->file};
    return n;
}

static int by_place(const void *a, const void *b) {
    const window *x = a, *y = b;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static qp_status make_plan(plan *p, qp_arena *a, qp_err *err) {
    const qp_ck_modules *m = &p->u->modules;
    uint64_t at = 0;
    for (uint32_t i = 0; i < m->n; i++)
        for (uint32_t k = 0; k < QP_COUNT(kinds); k++) p->n += cut(p->u, i, k, NULL);
    QP_TRY(QP_NEW(a, p->windows, p->n));
    for (uint32_t i = 0; i < m->n; i++)
        for (uint32_t k = 0; k < QP_COUNT(kinds); k++) at += cut(p->u, i, k, p->windows + at);
    for (uint64_t i = 0; i < p->n; i++) {
        const window *w = &p->windows[i];
        p->n_bytes += w->n * unit_of(&m->list[w->module], &kinds[w->kind]);
        p->stats[w->module].scanned = true;
    }
    qsort(p->windows, p->n, sizeof *p->windows, by_place);
    return QP_OK;
}

// ---- one window ---------------------------------------------------------------------------------

typedef struct span {
    const uint8_t *data;
    size_t n_bytes;
} span;

static span span_of(const plan *p, const window *w) {
    const qp_ck_module *m = &p->u->modules.list[w->module];
    const size_t unit = unit_of(m, &kinds[w->kind]);
    return (span){m->part[kinds[w->kind].role]->data + w->at * unit, (size_t)w->n * unit};
}

static int advise(span s, int advice) { // whole pages around it
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)s.data / page * page;
    return madvise((void *)from, (uintptr_t)s.data + s.n_bytes - from, advice) == 0 ? 0 : errno;
}

// Pages in at once rather than fault by fault. A file cut short since it was mapped is an error here, not a
// SIGBUS later. Kernels before 5.14 know no MADV_POPULATE_READ; memory of tests need not be a mapping.
static qp_status page_in(const plan *p, const window *w, span s, qp_err *err) {
#ifdef MADV_POPULATE_READ
    if (advise(s, MADV_POPULATE_READ) == EFAULT)
        QP_FAIL(QP_IO, "%s: bytes at %llu cannot be read: the file changed while it was mapped",
                p->u->ckpt.files[w->file].path, (unsigned long long)w->offset);
#endif
    (void)p;
    (void)w;
    (void)s;
    return QP_OK;
}

// Asks the kernel to fetch a window before its turn, unless its ends are in the page cache already: walking
// cached pages for nothing costs a tenth of the pass.
static void fetch_ahead(const plan *p, uint64_t item) {
    if (item >= p->n) return;
    const span s = span_of(p, &p->windows[item]);
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t first = (uintptr_t)s.data / page * page,
                    last = ((uintptr_t)s.data + s.n_bytes - 1) / page * page;
    unsigned char in_first = 0, in_last = 0;
    if (mincore((void *)first, 1, &in_first) == 0 && mincore((void *)last, 1, &in_last) == 0 &&
        (in_first & in_last & 1))
        return;
    (void)advise(s, MADV_WILLNEED);
}

static void tell(plan *p) {
    struct timespec now;
    if (p->o->progress == NULL) return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const int64_t ms = (now.tv_sec - p->told.tv_sec) * 1000 + (now.tv_nsec - p->told.tv_nsec) / 1000000;
    if (ms < 100) return;
    p->told = now;
    p->o->progress(p->o->progress_ctx, "values", atomic_load(&p->done_bytes), p->n_bytes);
}

static qp_status scan_window(void *ctx, int thread, uint64_t item, qp_err *err) {
    plan *p = ctx;
    const window *w = &p->windows[item];
    const span s = span_of(p, w);
    const bool mapped = p->u->ckpt.n_files > 0 && s.n_bytes >= 65536; // small ones: faults are cheaper
    qp_ck_stats part = qp_stats_none;
    if (mapped) fetch_ahead(p, item + (uint64_t)p->ahead);
    if (mapped) QP_TRY(page_in(p, w, s, err));
    kinds[w->kind].scan(&p->u->modules.list[w->module], s.data, w->at, w->n, &part);
    if (mapped) (void)advise(s, MADV_DONTNEED); // resident memory stays small; the page cache keeps it
    pthread_mutex_lock(&p->lock);
    qp_stats_merge(&p->stats[w->module], &part);
    pthread_mutex_unlock(&p->lock);
    atomic_fetch_add(&p->done_bytes, s.n_bytes);
    if (thread == 0) tell(p);
    return QP_OK;
}

// ---- the pass -----------------------------------------------------------------------------------

static qp_status scan_all(const qp_audit_options *o, qp_audit *u, qp_arena *a, qp_err *err) {
    plan p = {.o = o, .u = u, .lock = PTHREAD_MUTEX_INITIALIZER};
    const uint32_t n = u->modules.n;
    QP_TRY(QP_NEW(a, u->stats, n));
    for (uint32_t i = 0; i < n; i++) u->stats[i] = qp_stats_none;
    p.stats = u->stats;
    p.ahead = 2 * qp_work_threads(o->threads);
    clock_gettime(CLOCK_MONOTONIC, &p.told);
    QP_TRY(make_plan(&p, a, err));
    const qp_status status = qp_work_run(p.n, o->threads, scan_window, &p, err);
    pthread_mutex_destroy(&p.lock);
    if (status == QP_OK && o->progress != NULL) o->progress(o->progress_ctx, "values", p.n_bytes, p.n_bytes);
    return status;
}

qp_status qp_pass_values(const qp_audit_options *o, qp_audit *u, qp_arena *a, qp_ck_findings *f,
                         qp_err *err) {
    QP_TRY(scan_all(o, u, a, err));
    for (uint32_t i = 0; i < u->modules.n; i++) {
        const double implied = qp_implied_max(&u->modules.list[i], &u->stats[i], false);
        u->stats[i].implied_max = qp_image_of((float)implied);
    }
    QP_TRY(qp_rules_scales(u, a, f, err));
    QP_TRY(qp_rules_block_stats(u, a, f, err));
    return qp_rules_reciprocal(u, a, f, err);
}
