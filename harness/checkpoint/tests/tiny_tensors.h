// SPDX-License-Identifier: Apache-2.0
// A checkpoint of a few tensors and configs, written byte by byte for one test, and split into modules.
#ifndef CHECKPOINT_TESTS_TINY_TENSORS_H
#define CHECKPOINT_TESTS_TINY_TENSORS_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/scheme.h"
#include "core/file.h"

enum { TINY_TENSORS = 256, TINY_DIMS = 5, TINY_DATA = 1 << 22 };

typedef struct tiny_tensor {
    char name[192];
    qp_st_type type;
    int64_t dims[TINY_DIMS];
    int n_dims;
    int64_t numbers[2]; // of an I64 tensor
} tiny_tensor;

typedef struct tiny {
    tiny_tensor list[TINY_TENSORS];
    int n;
    const char *config, *hf_quant; // JSON texts; NULL: no such file
    char folder[64];
    qp_arena *arena;
    qp_ckpt ckpt;
    qp_ck_findings findings;
    qp_ck_claims *claims;
    qp_ck_modules modules;
} tiny;

static inline tiny *tiny_new(void) {
    tiny *t = calloc(1, sizeof *t);
    ck_assert_ptr_nonnull(t);
    return t;
}

static inline tiny_tensor *tiny_add(tiny *t, const char *name, qp_st_type type, int n_dims,
                                    const int64_t *dims) {
    tiny_tensor *x = &t->list[t->n++];
    ck_assert_int_le(t->n, TINY_TENSORS);
    ck_assert_int_lt(snprintf(x->name, sizeof x->name, "%s", name), (int)sizeof x->name);
    x->type = type;
    x->n_dims = n_dims;
    for (int i = 0; i < n_dims; i++) x->dims[i] = dims[i];
    return x;
}

#define TINY_ADD(t, name, type, ...)                                                                         \
    tiny_add((t), (name), (type), (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                 \
             (int64_t[]){__VA_ARGS__})

static inline tiny_tensor *tiny_find(tiny *t, const char *name) {
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->list[i].name, name) == 0) return &t->list[i];
    ck_abort_msg("no tensor %s", name);
    return NULL;
}

static inline void tiny_drop(tiny *t, const char *name) {
    tiny_tensor *gone = tiny_find(t, name); // found before the last one is out of reach: it may be that one
    *gone = t->list[--t->n];
}

static inline size_t tiny_bytes(const tiny_tensor *x) {
    size_t bits = (size_t)qp_st_dtypes[x->type].bits;
    for (int i = 0; i < x->n_dims; i++) bits *= (size_t)x->dims[i];
    return bits / 8;
}

static inline void tiny_file(const tiny *t, const char *name, const void *bytes, size_t n) {
    char path[128];
    qp_err err = {0};
    snprintf(path, sizeof path, "%s/%s", t->folder, name);
    ck_assert_msg(qp_file_write_atomic(path, bytes, n, &err) == QP_OK, "%s", err.msg);
}

static inline void tiny_write(tiny *t) {
    static uint8_t file[TINY_DATA];
    char *head = malloc(TINY_DATA);
    size_t n = 0, at = 0;
    n += (size_t)snprintf(head + n, TINY_DATA - n, "{");
    for (int i = 0; i < t->n; i++) {
        const tiny_tensor *x = &t->list[i];
        n += (size_t)snprintf(head + n, TINY_DATA - n, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[",
                              i > 0 ? "," : "", x->name, qp_st_dtypes[x->type].name);
        for (int d = 0; d < x->n_dims; d++)
            n += (size_t)snprintf(head + n, TINY_DATA - n, "%s%lld", d > 0 ? "," : "", (long long)x->dims[d]);
        n += (size_t)snprintf(head + n, TINY_DATA - n, "],\"data_offsets\":[%zu,%zu]}", at,
                              at + tiny_bytes(x));
        at += tiny_bytes(x);
    }
    n += (size_t)snprintf(head + n, TINY_DATA - n, "}");
    while (n % 8 != 0) head[n++] = ' ';
    ck_assert_uint_lt(8 + n + at, sizeof file);
    const uint64_t length = n;
    memset(file, 0, sizeof file);
    memcpy(file, &length, 8);
    memcpy(file + 8, head, n);
    free(head);
    for (int i = 0, from = (int)(8 + n); i < t->n; i++) {
        const tiny_tensor *x = &t->list[i];
        if (x->type == QP_ST_I64 && tiny_bytes(x) <= sizeof x->numbers)
            memcpy(file + from, x->numbers, tiny_bytes(x));
        from += (int)tiny_bytes(x);
    }
    tiny_file(t, "model.safetensors", file, 8 + n + at);
    if (t->config != NULL) tiny_file(t, "config.json", t->config, strlen(t->config));
    if (t->hf_quant != NULL) tiny_file(t, "hf_quant_config.json", t->hf_quant, strlen(t->hf_quant));
}

// Everything up to the modules.
static inline void tiny_read(tiny *t) {
    qp_err err = {0};
    snprintf(t->folder, sizeof t->folder, "/tmp/tiny-ckpt-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(t->folder));
    tiny_write(t);
    t->arena = qp_arena_new();
    qp_ck_findings_init(&t->findings, t->arena);
    ck_assert_msg(qp_ck_open(t->folder, false, t->arena, &t->findings, &t->ckpt, &err) == QP_OK, "%s",
                  err.msg);
    ck_assert_msg(qp_ck_claims_read(&t->ckpt, t->arena, &t->findings, &t->claims, &err) == QP_OK, "%s",
                  err.msg);
    ck_assert_msg(qp_ck_modules_build(&t->ckpt, t->claims, t->arena, &t->modules, &err) == QP_OK, "%s",
                  err.msg);
}

static inline void tiny_close(tiny *t) {
    qp_ck_close(&t->ckpt);
    ck_assert(qp_dir_remove(t->folder, NULL) == QP_OK);
    qp_arena_free(t->arena);
    memset(&t->ckpt, 0, sizeof t->ckpt);
}

#endif
