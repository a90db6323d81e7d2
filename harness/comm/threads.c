// SPDX-License-Identifier: Apache-2.0
// comm/threads: one thread per rank, one lock per world. The last rank of a group to arrive compares, moves
// the bytes of all and wakes the others; nobody spins. Every way of not arriving (mismatch, early return,
// failure, circle of waits, deadline) ends the world with a named error. A rank function that loops without a
// collective or qp_comm_check is beyond its reach.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "comm/transport.h"
#include "model/model.h"

#ifdef _OPENMP // the thread sanitizer build has no OpenMP, and omp_set_num_threads acts on the calling thread
               // alone
#include <omp.h>
static void one_worker(void) {
    omp_set_num_threads(1);
}
#else
static void one_worker(void) {
}
#endif

enum { RANK_STACK_BYTES = 2 << 20 };

typedef struct meeting { // one group; guarded by the world's lock
    uint32_t id;
    int n, n_arrived;
    uint64_t generation;
    const qp_collective **arrived; // [n] by index in the group, NULL = not here yet
    int first_rank;                // who came first to the present collective
    int first_index;
    pthread_cond_t wake;
} meeting;

typedef struct world world;
typedef struct seat { // one rank
    qp_comm comm;
    world *w;
    meeting *meetings[QP_GROUP_KINDS];
    qp_arena *arena;
    pthread_t thread;
    bool started, finished;
    meeting *waits_at;              // NULL = not waiting
    const qp_collective *waits_for; // valid while waits_at is set
    qp_status status;
    qp_err err;
} seat;

struct world {
    pthread_mutex_t lock;
    qp_layout layout;
    int n_ranks, n_waiting, n_finished;
    seat *seats;
    meeting *all;
    int n_meetings;
    struct timespec deadline;
    bool has_deadline;
    double timeout_s;
    qp_rank_fn fn;
    void *user;
    bool failed;
    int failed_rank;
    qp_err failure;
};

// The first failure of the world stays; everyone who waits is woken.
static void fail_world(world *w, int rank, const qp_err *why) {
    if (w->failed) return;
    w->failed = true;
    w->failed_rank = rank;
    w->failure = *why;
    for (int i = 0; i < w->n_meetings; i++) pthread_cond_broadcast(&w->all[i].wake);
}

static void describe(char *buf, size_t n, int rank, const qp_collective *k) {
    snprintf(buf, n, "rank %d: %s over %s, %lld x %s (%s)", rank, k->name, qp_group_kind_name(k->group),
             (long long)k->count, k->dtype, k->tag);
}

static void list_missing(const world *w, const meeting *m, const qp_group_view *v, char *buf, size_t n) {
    size_t used = 0;
    buf[0] = 0;
    for (int i = 0; i < m->n && used < n; i++)
        if (!m->arrived[i])
            used += (size_t)snprintf(buf + used, n - used, "%s%d%s", used ? ", " : "", v->ranks[i],
                                     w->seats[v->ranks[i]].finished ? " (returned)" : "");
}

static qp_status released(const world *w, int rank, qp_err *err) {
    if (w->failure.code == QP_TIMEOUT && w->failed_rank == rank) QP_FAIL(QP_TIMEOUT, "%s", w->failure.msg);
    QP_FAIL(QP_PEER, "rank %d: released because rank %d failed: %s", rank, w->failed_rank, w->failure.msg);
}

static bool past_deadline(const world *w) {
    struct timespec now;
    if (!w->has_deadline) return false;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > w->deadline.tv_sec ||
           (now.tv_sec == w->deadline.tv_sec && now.tv_nsec >= w->deadline.tv_nsec);
}

static bool same_collective(const qp_collective *a, const qp_collective *b) {
    return a->op == b->op && a->count == b->count && a->root == b->root && !strcmp(a->name, b->name) &&
           !strcmp(a->dtype, b->dtype);
}

static void reduce_max(meeting *m) {
    int keeper = -1;
    for (int i = 0; i < m->n && keeper < 0; i++)
        if (m->arrived[i]->deliver) keeper = i;
    if (keeper < 0) return;
    uint32_t *sum = m->arrived[keeper]->out;
    const int64_t count = m->arrived[keeper]->count;
    for (int i = 0; i < m->n; i++) {
        if (i == keeper) continue;
        const uint32_t *in = m->arrived[i]->in;
        for (int64_t j = 0; j < count; j++)
            if (in[j] > sum[j]) sum[j] = in[j];
    }
    for (int i = 0; i < m->n; i++)
        if (i != keeper && m->arrived[i]->deliver)
            memcpy(m->arrived[i]->out, sum, sizeof *sum * (size_t)count);
}

static void move_bytes(meeting *m) {
    const qp_collective *first = m->arrived[0];
    const size_t n_bytes = (size_t)first->count;
    switch (first->op) {
    case QP_EX_MAX:
        reduce_max(m);
        return;
    case QP_EX_BARRIER:
        return;
    case QP_EX_GATHER:
        for (int i = 0; i < m->n; i++)
            for (int j = 0; j < m->n && m->arrived[i]->deliver; j++)
                memcpy((char *)m->arrived[i]->out + n_bytes * (size_t)j, m->arrived[j]->in, n_bytes);
        return;
    case QP_EX_BROADCAST:
        for (int i = 0; i < m->n; i++)
            if (i != first->root && m->arrived[i]->deliver)
                memcpy(m->arrived[i]->out, m->arrived[first->root]->in, n_bytes);
        return;
    }
}

static void complete(world *w, meeting *m, const qp_group_view *v) {
    move_bytes(m);
    for (int i = 0; i < m->n; i++) {
        m->arrived[i] = NULL;
        if (w->seats[v->ranks[i]].waits_at == m) {
            w->seats[v->ranks[i]].waits_at = NULL;
            w->n_waiting--;
        }
    }
    m->n_arrived = 0;
    m->generation++;
    pthread_cond_broadcast(&m->wake);
}

// Names one rank that can never come: it has returned.
static void fail_absent(world *w, int absent, int waiting, const qp_collective *k) {
    char what[512];
    qp_err why = {0};
    describe(what, sizeof what, waiting, k);
    qp_err_set(&why, QP_COLLECTIVE, __FILE__, __LINE__,
               "rank %d never arrived at the collective of %s: it has returned", absent, what);
    fail_world(w, absent, &why);
}

// Every rank that still runs is waiting and no group is complete: nobody will ever move again.
static void fail_circle(world *w) {
    qp_err why = {0};
    char text[QP_ERR_MSG - 128];
    size_t used = 0;
    int shown = 0, who = -1;
    text[0] = 0;
    for (int r = 0; r < w->n_ranks && shown < 4 && used < sizeof text; r++) {
        char what[256];
        if (!w->seats[r].waits_at) continue;
        describe(what, sizeof what, r, w->seats[r].waits_for);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", shown++ ? "; " : "", what);
        if (who < 0) who = r;
    }
    qp_err_set(&why, QP_COLLECTIVE, __FILE__, __LINE__, "ranks wait for each other in different groups: %s",
               text);
    fail_world(w, who, &why);
}

static qp_status mismatch(world *w, seat *s, const meeting *m, const qp_collective *k, qp_err *err) {
    char mine[256], theirs[256];
    qp_err why = {0};
    describe(mine, sizeof mine, s->comm.rank, k);
    describe(theirs, sizeof theirs, m->first_rank, m->arrived[m->first_index]);
    qp_err_set(&why, QP_COLLECTIVE, __FILE__, __LINE__, "ranks issued different collectives: %s; %s", theirs,
               mine);
    fail_world(w, s->comm.rank, &why);
    QP_FAIL(QP_COLLECTIVE, "%s", why.msg);
}

static void time_out(world *w, seat *s, const meeting *m, const qp_collective *k) {
    char what[256], missing[256];
    qp_err why = {0};
    describe(what, sizeof what, s->comm.rank, k);
    list_missing(w, m, &s->comm.groups[k->group], missing, sizeof missing);
    qp_err_set(&why, QP_TIMEOUT, __FILE__, __LINE__,
               "the limit of %g s passed at the collective of %s; not arrived: rank %s", w->timeout_s, what,
               missing);
    fail_world(w, s->comm.rank, &why);
}

static qp_status wait_for_peers(world *w, seat *s, meeting *m, const qp_collective *k, qp_err *err) {
    const uint64_t generation = m->generation;
    const qp_group_view *v = &s->comm.groups[k->group];
    s->waits_at = m;
    s->waits_for = k;
    w->n_waiting++;
    for (int i = 0; i < m->n && !w->failed; i++)
        if (!m->arrived[i] && w->seats[v->ranks[i]].finished) fail_absent(w, v->ranks[i], s->comm.rank, k);
    if (!w->failed && w->n_waiting + w->n_finished == w->n_ranks) fail_circle(w);
    while (m->generation == generation && !w->failed) {
        const int rc = w->has_deadline ? pthread_cond_timedwait(&m->wake, &w->lock, &w->deadline)
                                       : pthread_cond_wait(&m->wake, &w->lock);
        if (rc == ETIMEDOUT && m->generation == generation && !w->failed) time_out(w, s, m, k);
    }
    if (m->generation != generation) return QP_OK;
    s->waits_at = NULL;
    w->n_waiting--;
    return released(w, s->comm.rank, err);
}

static qp_status exchange(qp_comm *c, const qp_collective *k, qp_err *err) {
    seat *s = c->impl;
    world *w = s->w;
    meeting *m = s->meetings[k->group];
    qp_status status = QP_OK;
    pthread_mutex_lock(&w->lock);
    if (w->failed) {
        status = released(w, c->rank, err);
    } else if (m->n_arrived > 0 && !same_collective(k, m->arrived[m->first_index])) {
        status = mismatch(w, s, m, k, err);
    } else {
        if (m->n_arrived == 0) {
            m->first_rank = c->rank;
            m->first_index = c->groups[k->group].index;
        }
        m->arrived[c->groups[k->group].index] = k;
        m->n_arrived++;
        if (m->n_arrived == m->n)
            complete(w, m, &c->groups[k->group]);
        else
            status = wait_for_peers(w, s, m, k, err);
    }
    pthread_mutex_unlock(&w->lock);
    return status;
}

static qp_status check(qp_comm *c, qp_err *err) {
    seat *s = c->impl;
    world *w = s->w;
    qp_status status = QP_OK;
    pthread_mutex_lock(&w->lock);
    if (!w->failed && past_deadline(w)) {
        qp_err why = {0};
        qp_err_set(&why, QP_TIMEOUT, __FILE__, __LINE__,
                   "the limit of %g s passed between two steps of rank %d", w->timeout_s, c->rank);
        fail_world(w, c->rank, &why);
    }
    if (w->failed) status = released(w, c->rank, err);
    pthread_mutex_unlock(&w->lock);
    return status;
}

// A rank that ends: its failure becomes the world's, or, if peers stand at a meeting it never came to, its
// absence does.
static void leave(world *w, seat *s) {
    pthread_mutex_lock(&w->lock);
    s->finished = true;
    w->n_finished++;
    if (s->status != QP_OK && s->status != QP_PEER) fail_world(w, s->comm.rank, &s->err);
    for (int g = 0; g < QP_GROUP_KINDS && !w->failed; g++) {
        const meeting *m = s->meetings[g];
        if (m->n_arrived > 0) fail_absent(w, s->comm.rank, m->first_rank, m->arrived[m->first_index]);
    }
    if (!w->failed && w->n_waiting > 0 && w->n_waiting + w->n_finished == w->n_ranks) fail_circle(w);
    pthread_mutex_unlock(&w->lock);
}

static void *run_rank(void *arg) {
    seat *s = arg;
    if (s->w->n_ranks > 1) one_worker();
    s->status = s->w->fn(&s->comm, s->w->user, &s->err);
    if (s->status != QP_OK && s->err.code == QP_OK)
        qp_err_set(&s->err, s->status, __FILE__, __LINE__, "rank %d failed with %s and gave no message",
                   s->comm.rank, qp_status_name(s->status));
    leave(s->w, s);
    return NULL;
}

static meeting *find_meeting(world *w, uint32_t id) {
    for (int i = 0; i < w->n_meetings; i++)
        if (w->all[i].id == id) return &w->all[i];
    return NULL;
}

static qp_status set_up(world *w, qp_arena *a, qp_err *err) {
    QP_TRY(QP_NEW(a, w->seats, w->n_ranks));
    QP_TRY(QP_NEW(a, w->all, w->n_ranks * QP_GROUP_KINDS));
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    qp_status status = QP_OK;
    for (int r = 0; r < w->n_ranks; r++) {
        seat *s = &w->seats[r];
        s->w = w;
        s->comm.rank = r;
        s->comm.impl = s;
        s->comm.exchange = exchange;
        s->comm.check = check;
        s->arena = qp_arena_new();
        if (!s->arena) QP_FAIL_GOTO(status, out, QP_NOMEM, "no memory for the arena of rank %d", r);
        s->comm.trace.arena = s->arena;
        QP_TRY_GOTO(status, qp_groups_of(&w->layout, r, a, s->comm.groups, err), out);
        for (int g = 0; g < QP_GROUP_KINDS; g++) {
            meeting *m = find_meeting(w, s->comm.groups[g].id);
            if (!m) {
                m = &w->all[w->n_meetings];
                m->id = s->comm.groups[g].id;
                m->n = s->comm.groups[g].n;
                QP_TRY_GOTO(status, QP_NEW(a, m->arrived, m->n), out);
                pthread_cond_init(&m->wake, &attr);
                w->n_meetings++;
            }
            s->meetings[g] = m;
        }
    }
out:
    pthread_condattr_destroy(&attr);
    return status;
}

static void start_all(world *w) {
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, RANK_STACK_BYTES);
    for (int r = 0; r < w->n_ranks; r++) {
        seat *s = &w->seats[r];
        const int rc = pthread_create(&s->thread, &attr, run_rank, s);
        s->started = rc == 0;
        if (rc == 0) continue;
        s->status = qp_err_set(&s->err, QP_NOMEM, __FILE__, __LINE__, "no thread for rank %d of %d: %s", r,
                               w->n_ranks, strerror(rc));
        leave(w, s);
    }
    pthread_attr_destroy(&attr);
}

static void set_deadline(world *w, double timeout_s) {
    w->timeout_s = timeout_s;
    w->has_deadline = timeout_s > 0;
    if (!w->has_deadline) return;
    clock_gettime(CLOCK_MONOTONIC, &w->deadline);
    const double whole = timeout_s < 1e9 ? timeout_s : 1e9;
    w->deadline.tv_sec += (time_t)whole;
    w->deadline.tv_nsec += (long)((whole - (double)(time_t)whole) * 1e9);
    if (w->deadline.tv_nsec >= 1000000000L) {
        w->deadline.tv_nsec -= 1000000000L;
        w->deadline.tv_sec++;
    }
}

static qp_status collect(const world *w, qp_arena *a, qp_world_result *out, qp_err *err) {
    out->n_ranks = w->n_ranks;
    out->first_failed = w->failed ? w->failed_rank : -1;
    QP_TRY(QP_NEW(a, out->traces, w->n_ranks));
    QP_TRY(QP_NEW(a, out->status, w->n_ranks));
    for (int r = 0; r < w->n_ranks; r++) {
        out->status[r] = w->seats[r].status;
        QP_TRY(qp_trace_collect(&w->seats[r].comm.trace, r, a, &out->traces[r], err));
    }
    return QP_OK;
}

qp_status qp_threads_run(const qp_layout *l, double timeout_s, qp_rank_fn fn, void *user, qp_arena *a,
                         qp_world_result *out, qp_err *err) {
    world *w;
    *out = (qp_world_result){.first_failed = -1};
    QP_TRY(QP_NEW(a, w, 1));
    w->layout = *l;
    w->n_ranks = qp_layout_ranks(l);
    w->fn = fn;
    w->user = user;
    pthread_mutex_init(&w->lock, NULL);
    qp_status status = set_up(w, a, err);
    if (status == QP_OK) {
        set_deadline(w, timeout_s);
        start_all(w);
        for (int r = 0; r < w->n_ranks; r++)
            if (w->seats[r].started) pthread_join(w->seats[r].thread, NULL);
        status = collect(w, a, out, err);
        if (status == QP_OK && w->failed) {
            status = w->failure.code;
            if (err && err->code == QP_OK) *err = w->failure;
            qp_err_trail(err, __FILE__, __LINE__);
        }
    }
    for (int i = 0; i < w->n_meetings; i++) pthread_cond_destroy(&w->all[i].wake);
    for (int r = 0; w->seats && r < w->n_ranks; r++) qp_arena_free(w->seats[r].arena);
    pthread_mutex_destroy(&w->lock);
    return status;
}
