// SPDX-License-Identifier: Apache-2.0
// One launch under guard. Every buffer lies between zones of at least 256 bytes; outputs are poisoned before
// the run, zones and inputs looked at after it. An element counts as unwritten only when it holds the poison
// of two runs with different poison, so a second run follows when it was asked for or when the first left
// such elements. Zone bytes differ between the runs too, so a kernel that reads outside its inputs gives two
// different answers.
#include "subject/run.h"

#include <string.h>

enum { ZONE = 256, PIECE = 1 << 20 }; // bytes; PIECE: compared at a time when the memory is not the host's
static const uint8_t zone_byte[2] = {0xC3, 0x3C}, poison_byte[2] = {0xA5, 0x5A};

typedef struct plan {
    qp_subject *s;
    qp_device *dev;
    const qp_run_options *options;
    qp_launch launch; // with the device's pointers
    slot *slots;
    int n_slots;
    uint8_t *memory;
    size_t n_bytes;
    uint8_t *bounce;              // PIECE bytes of host memory, NULL when the device's memory is the host's
    bool input_changed, zone_hit; // seen in the first run: the second does not count it again
    bool suspect;                 // the first run left its poison somewhere
    const slot *culprit;          // of the first thing seen
    qp_guard_ev *ev;
} plan;

// ---- set-up
// ----------------------------------------------------------------------------------------------------------

static qp_status collect_slots(plan *p, const qp_launch *launch, qp_arena *a, qp_err *err) {
    QP_TRY(QP_NEW(a, p->slots, (int64_t)launch->n_tensors * MAX_SLOTS));
    for (int i = 0; i < launch->n_tensors; i++) {
        int n = 0;
        QP_TRY(slots_of(launch, i, p->slots + p->n_slots, &n, err));
        p->n_slots += n;
    }
    return QP_OK;
}

// Places: [zone][shift][data][zone to a multiple of 256], one after the other in one piece of memory.
static qp_status place_slots(plan *p, qp_arena *a, qp_err *err) {
    size_t shift = (size_t)p->options->misalign, at = 0;
    if (p->options->misalign < 0 || shift > 63)
        QP_FAIL(QP_BROKEN, "misalign=%d, 0 to 63 wanted", p->options->misalign);
    for (int i = 0; i < p->n_slots; i++) {
        slot *s = &p->slots[i];
        s->before = ZONE + (s->may_shift ? shift : 0);
        s->after = ZONE + (ZONE - (s->before + s->n_bytes) % ZONE) % ZONE;
        if (s->n_bytes > SIZE_MAX / 4 - at)
            QP_FAIL(QP_NOMEM, "%s, tensor %d: %zu bytes", s->field, s->tensor, s->n_bytes);
        at += s->before + s->n_bytes + s->after;
    }
    void *memory;
    p->n_bytes = at;
    QP_TRY(p->dev->alloc(p->dev, at, &memory, err));
    p->memory = memory;
    if (p->dev->kind == QP_DEVICE_CUDA) QP_TRY(qp_arena_get(a, PIECE, &p->bounce, err));
    uint8_t *place = p->memory;
    for (int i = 0; i < p->n_slots; i++) {
        slot *s = &p->slots[i];
        s->at = place + s->before;
        place = s->at + s->n_bytes + s->after;
    }
    return QP_OK;
}

// The launch as the kernel sees it: fields that its op does not use are NULL.
static qp_status make_table(plan *p, const qp_launch *launch, qp_arena *a, qp_err *err) {
    qp_ktensor *table;
    QP_TRY(QP_NEW(a, table, launch->n_tensors));
    for (int i = 0; i < launch->n_tensors; i++) {
        table[i].rows = launch->tensors[i].rows;
        table[i].cols = launch->tensors[i].cols;
        table[i].ld = launch->tensors[i].ld;
    }
    for (int i = 0; i < p->n_slots; i++) {
        const slot *s = &p->slots[i];
        void *pointer = s->at;
        memcpy((char *)&table[s->tensor] + s->offset, &pointer, sizeof pointer);
    }
    p->launch = *launch;
    p->launch.tensors = table;
    p->launch.order_seed = p->options->order_seed;
    return QP_OK;
}

// ---- before a run
// ----------------------------------------------------------------------------------------------------

static qp_status prepare(plan *p, int round, qp_err *err) {
    qp_device *d = p->dev;
    bool watched = p->ev != NULL;
    for (int i = 0; i < p->n_slots; i++) {
        const slot *s = &p->slots[i];
        if (watched) {
            QP_TRY(d->fill(d, s->at - s->before, zone_byte[round], s->before, err));
            QP_TRY(d->fill(d, s->at + s->n_bytes, zone_byte[round], s->after, err));
        }
        if (s->is_output && watched) QP_TRY(d->fill(d, s->at, poison_byte[round], s->n_bytes, err));
        if (!s->is_output && (round == 0 || p->input_changed))
            QP_TRY(d->put(d, s->at, s->host, s->n_bytes, err));
    }
    return QP_OK;
}

// ---- after a run
// -----------------------------------------------------------------------------------------------------

static void blame(plan *p, const slot *s) {
    if (p->culprit == NULL) p->culprit = s;
}

// n bytes of device memory as the host can read them, at most PIECE when there is a bounce buffer.
static qp_status peek(plan *p, const uint8_t *at, size_t n, const uint8_t **out, qp_err *err) {
    *out = p->bounce == NULL ? at : p->bounce;
    return p->bounce == NULL ? QP_OK : p->dev->get(p->dev, p->bounce, at, n, err);
}

static qp_status check_zone(plan *p, const slot *s, int round, bool behind, qp_err *err) {
    size_t n = behind ? s->after : s->before;
    const uint8_t *seen;
    QP_TRY(peek(p, behind ? s->at + s->n_bytes : s->at - s->before, n, &seen, err));
    int64_t hit = 0, first = 0;
    for (size_t i = 0; i < n; i++) {
        if (seen[i] == zone_byte[round]) continue;
        if (hit++ == 0) first = behind ? (int64_t)i : (int64_t)i - (int64_t)n;
    }
    if (hit > 0 && p->ev->guard_bytes_hit == 0) p->ev->first_hit_offset = first;
    if (hit > 0) blame(p, s);
    p->ev->guard_bytes_hit += hit;
    return QP_OK;
}

static qp_status check_input(plan *p, const slot *s, qp_err *err) {
    for (size_t done = 0; done < s->n_bytes;) {
        size_t n = s->n_bytes - done < PIECE ? s->n_bytes - done : PIECE;
        const uint8_t *seen, *want = (const uint8_t *)s->host + done;
        QP_TRY(peek(p, s->at + done, n, &seen, err));
        if (memcmp(seen, want, n) != 0) {
            blame(p, s);
            for (size_t i = 0; i < n; i++) p->ev->input_bytes_changed += seen[i] != want[i];
        }
        done += n;
    }
    return QP_OK;
}

static bool is_poison(const uint8_t *e, size_t n_bytes, uint8_t poison) {
    for (size_t i = 0; i < n_bytes; i++)
        if (e[i] != poison) return false;
    return true;
}

// Cheap look for anything that could be unwritten: one comparison per two bytes (one for byte elements), no
// branch.
static bool holds_poison(const uint8_t *bytes, size_t n_bytes, size_t elem_bytes) {
    const uint16_t pair = (uint16_t)(poison_byte[0] << 8 | poison_byte[0]);
    if (elem_bytes == 1) return n_bytes > 0 && memchr(bytes, poison_byte[0], n_bytes) != NULL;
    size_t n = n_bytes / 2, hits = 0;
#pragma omp simd reduction(+ : hits)
    for (size_t i = 0; i < n; i++) {
        uint16_t v;
        memcpy(&v, bytes + 2 * i, sizeof v);
        hits += v == pair;
    }
    return hits > 0;
}

// The second answer against the first, which the caller's memory holds.
static void compare_piece(plan *p, const slot *s, size_t begin, const uint8_t *second, size_t n) {
    const uint8_t *first = (const uint8_t *)s->host + begin;
    for (size_t i = 0; i < n; i += s->elem_bytes) {
        bool unwritten = is_poison(first + i, s->elem_bytes, poison_byte[0]) &&
                         is_poison(second + i, s->elem_bytes, poison_byte[1]);
        if (unwritten) {
            blame(p, s);
            if (p->ev->unwritten++ == 0) p->ev->first_unwritten = (int64_t)((begin + i) / s->elem_bytes);
            continue;
        }
        for (size_t b = i; b < i + s->elem_bytes; b++) {
            if (first[b] == second[b]) continue;
            blame(p, s);
            if (p->ev->repeat_diff++ == 0) p->ev->first_repeat_diff = (int64_t)(begin + b);
        }
    }
}

static qp_status compare_output(plan *p, const slot *s, qp_err *err) {
    for (size_t done = 0; done < s->n_bytes;) {
        size_t n = s->n_bytes - done < PIECE ? s->n_bytes - done : PIECE;
        const uint8_t *second;
        QP_TRY(peek(p, s->at + done, n, &second, err));
        if (p->suspect || memcmp(second, (const uint8_t *)s->host + done, n) != 0)
            compare_piece(p, s, done, second, n);
        done += n;
    }
    return QP_OK;
}

static qp_status collect(plan *p, int round, qp_err *err) {
    for (int i = 0; i < p->n_slots; i++) {
        const slot *s = &p->slots[i];
        if (p->ev != NULL && !p->zone_hit) {
            QP_TRY(check_zone(p, s, round, false, err));
            QP_TRY(check_zone(p, s, round, true, err));
        }
        if (!s->is_output && p->ev != NULL && !p->input_changed) QP_TRY(check_input(p, s, err));
        if (s->is_output && round == 1) QP_TRY(compare_output(p, s, err));
        if (s->is_output && round == 0) {
            QP_TRY(p->dev->get(p->dev, s->host, s->at, s->n_bytes, err));
            if (p->ev != NULL && !p->suspect) p->suspect = holds_poison(s->host, s->n_bytes, s->elem_bytes);
        }
    }
    if (p->ev != NULL) p->zone_hit = p->ev->guard_bytes_hit > 0;
    if (p->ev != NULL) p->input_changed = p->ev->input_bytes_changed > 0;
    return QP_OK;
}

// ---- the run
// ---------------------------------------------------------------------------------------------------------

// What a simt kernel says about itself is evidence, not a failure of the harness.
static qp_status launch_once(plan *p, const qp_launch *launch, qp_err *err) {
    static const char simt[] = "simt: ";
    qp_err own = {0};
    const char *what = "";
    qp_status status = subject_launch(p->s, launch, &what, &own);
    if (p->ev != NULL) p->ev->what = what;
    if (status == QP_OK) status = p->dev->wait(p->dev, &own);
    if (status == QP_OK) return QP_OK;
    if (status == QP_CORRUPT && p->ev != NULL && strncmp(own.msg, simt, strlen(simt)) == 0) {
        if (p->ev->simt_finding == NULL) p->ev->simt_finding = subject_text(p->s, "%s", own.msg);
        if (p->ev->simt_finding == NULL) QP_FAIL(QP_NOMEM, "%s: no memory for its finding", what);
        return QP_OK;
    }
    QP_FAIL(status, "%s%s%s", what, what[0] != '\0' ? ": " : "", own.msg);
}

static qp_status run_rounds(plan *p, qp_err *err) {
    for (int round = 0; round < 2; round++) {
        bool again = p->ev != NULL && (p->options->repeat || p->suspect);
        if (round == 1 && !again) break;
        QP_TRY(prepare(p, round, err));
        QP_TRY(launch_once(p, &p->launch, err));
        QP_TRY(collect(p, round, err));
    }
    if (p->culprit != NULL && p->ev != NULL) {
        const char *text =
            subject_text(p->s, "%s: tensor %d, %s", p->ev->what, p->culprit->tensor, p->culprit->field);
        if (text != NULL) p->ev->what = text;
    }
    return QP_OK;
}

qp_status qp_subject_run(qp_subject *s, const qp_launch *launch, const qp_run_options *options,
                         qp_guard_ev *guard, qp_err *err) {
    bool watched = options->guard || options->repeat;
    plan p = {.s = s, .dev = s->dev, .options = options, .ev = watched ? guard : NULL};
    if (watched && guard == NULL) QP_FAIL(QP_BROKEN, "a guarded run wants a place for its evidence");
    if (guard != NULL) *guard = (qp_guard_ev){.what = ""};
    if (!watched && options->misalign == 0 && s->dev->kind != QP_DEVICE_CUDA) {
        qp_launch direct = *launch; // the caller's memory is the device's
        direct.order_seed = options->order_seed;
        return launch_once(&p, &direct, err);
    }
    qp_status status = QP_OK;
    qp_arena *a = qp_arena_new();
    if (a == NULL) QP_FAIL(QP_NOMEM, "no memory for the tables of a run");
    QP_TRY_GOTO(status, collect_slots(&p, launch, a, err), out);
    QP_TRY_GOTO(status, place_slots(&p, a, err), out);
    QP_TRY_GOTO(status, make_table(&p, launch, a, err), out);
    QP_TRY_GOTO(status, run_rounds(&p, err), out);
out:
    if (p.memory != NULL) p.dev->release(p.dev, p.memory);
    qp_arena_free(a);
    return status;
}
