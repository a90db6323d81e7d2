// SPDX-License-Identifier: Apache-2.0
// Chunked arena over aligned_alloc. Big requests get a chunk of their own, so that waste stays below one
// chunk.
#include "core/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 64, CHUNK = 1 << 16, HUGE_PAGE = 2 << 20 };

typedef struct chunk {
    struct chunk *next;
    size_t used, size; // bytes after the header
} chunk;

struct qp_arena {
    chunk *head;
    size_t used;
};

static const size_t header = (sizeof(chunk) + ALIGN - 1) / ALIGN * ALIGN;

qp_arena *qp_arena_new(void) {
    return calloc(1, sizeof(qp_arena));
}

static void free_chunks(chunk *c) {
    while (c != NULL) {
        chunk *next = c->next;
        free(c);
        c = next;
    }
}

void qp_arena_free(qp_arena *a) {
    if (a == NULL) return;
    free_chunks(a->head);
    free(a);
}

void qp_arena_reset(qp_arena *a) {
    free_chunks(a->head);
    a->head = NULL;
    a->used = 0;
}

size_t qp_arena_used(const qp_arena *a) {
    return a->used;
}

// Slices of whole layers: with huge pages their first touch costs a fraction of the faults.
static chunk *take_chunk(size_t n_bytes) {
    if (n_bytes < 2 * (size_t)HUGE_PAGE) return aligned_alloc(ALIGN, n_bytes);
    size_t whole = (n_bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    chunk *c = aligned_alloc(HUGE_PAGE, whole);
    if (c != NULL) (void)madvise(c, whole, MADV_HUGEPAGE); // only a wish
    return c;
}

qp_status qp_arena_get(qp_arena *a, size_t n_bytes, void *out_ptr, qp_err *err) {
    void **out = out_ptr;
    if (n_bytes > SIZE_MAX / 2) QP_FAIL(QP_NOMEM, "arena: a request of %zu bytes", n_bytes);
    size_t need = (n_bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (need == 0) need = ALIGN;
    chunk *c = a->head;
    if (c == NULL || c->size - c->used < need) {
        size_t size = need > CHUNK / 4 ? need : CHUNK;
        c = take_chunk(header + size);
        if (c == NULL) QP_FAIL(QP_NOMEM, "arena: no memory for %zu bytes (%zu in use)", need, a->used);
        c->used = 0;
        c->size = size;
        bool own_chunk = size == need && a->head != NULL;
        if (own_chunk) {
            c->next = a->head->next;
            a->head->next = c;
        } else {
            c->next = a->head;
            a->head = c;
        }
    }
    *out = memset((char *)c + header + c->used, 0, need);
    c->used += need;
    a->used += need;
    return QP_OK;
}

qp_status qp_arena_strdup(qp_arena *a, const char *text, const char **out, qp_err *err) {
    char *copy;
    size_t n = strlen(text) + 1;
    QP_TRY(qp_arena_get(a, n, &copy, err));
    memcpy(copy, text, n);
    *out = copy;
    return QP_OK;
}

qp_status qp_arena_printf(qp_arena *a, const char **out, qp_err *err, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) QP_FAIL(QP_BROKEN, "bad format %s", fmt);
    char *text;
    QP_TRY(qp_arena_get(a, (size_t)n + 1, &text, err));
    va_start(ap, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, ap);
    va_end(ap);
    *out = text;
    return QP_OK;
}
