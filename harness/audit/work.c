// SPDX-License-Identifier: Apache-2.0
// Work stealing: items in the order given, each taken by whichever thread is free (one atomic counter). The
// caller is thread 0, so that a progress callback can stay on one thread. Plain pthreads: clean under TSan.
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "audit/audit.h"

enum { THREADS_MAX = 256 };

typedef struct pool {
    qp_work_fn work;
    void *ctx;
    uint64_t n_items;
    atomic_uint_fast64_t next; // n_items and above: nothing left, or stopped by a failure
    pthread_mutex_t lock;      // of what follows
    uint64_t failed_item;      // the lowest one that failed
    qp_status status;
    qp_err err;
} pool;

typedef struct worker {
    pool *p;
    pthread_t id;
    int thread;
} worker;

static void keep_failure(pool *p, uint64_t item, qp_status status, const qp_err *err) {
    pthread_mutex_lock(&p->lock);
    if (p->status == QP_OK || item < p->failed_item) {
        p->status = status;
        p->failed_item = item;
        p->err = *err;
    }
    pthread_mutex_unlock(&p->lock);
}

static void *run_worker(void *arg) {
    const worker *w = arg;
    pool *p = w->p;
    for (uint64_t item; (item = atomic_fetch_add(&p->next, 1)) < p->n_items;) {
        qp_err err = {0};
        const qp_status status = p->work(p->ctx, w->thread, item, &err);
        if (status == QP_OK) continue;
        keep_failure(p, item, status, &err);
        atomic_store(&p->next, p->n_items);
    }
    return NULL;
}

int qp_work_threads(int asked) {
    if (asked > 0) return asked < THREADS_MAX ? asked : THREADS_MAX;
    cpu_set_t *set = CPU_ALLOC(4096); // machines beyond the 1024 of a cpu_set_t
    if (set == NULL) return 1;
    const size_t n_bytes = CPU_ALLOC_SIZE(4096);
    const int n = sched_getaffinity(0, n_bytes, set) == 0 ? CPU_COUNT_S(n_bytes, set) : 1;
    CPU_FREE(set);
    return n < 1 ? 1 : n < THREADS_MAX ? n : THREADS_MAX;
}

qp_status qp_work_run(uint64_t n_items, int threads, qp_work_fn work, void *ctx, qp_err *err) {
    pool p = {.work = work, .ctx = ctx, .n_items = n_items, .lock = PTHREAD_MUTEX_INITIALIZER};
    worker workers[THREADS_MAX];
    const int wanted = qp_work_threads(threads);
    const int n = n_items < (uint64_t)wanted ? (int)n_items : wanted;
    int started = 1; // the caller; a thread that cannot be started leaves its share to the others
    for (; started < n; started++) {
        workers[started] = (worker){.p = &p, .thread = started};
        if (pthread_create(&workers[started].id, NULL, run_worker, &workers[started]) != 0) break;
    }
    workers[0] = (worker){.p = &p};
    run_worker(&workers[0]);
    for (int i = 1; i < started; i++) pthread_join(workers[i].id, NULL);
    pthread_mutex_destroy(&p.lock);
    if (p.status != QP_OK && err != NULL && err->code == QP_OK) *err = p.err;
    return p.status;
}
