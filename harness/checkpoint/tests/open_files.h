// SPDX-License-Identifier: Apache-2.0
// Folders with the files of a checkpoint, byte by byte, opened, and what was found. For tests only.
#ifndef CHECKPOINT_TESTS_OPEN_FILES_H
#define CHECKPOINT_TESTS_OPEN_FILES_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/ckpt.h"
#include "core/file.h"
#include "core/text.h"

typedef struct opened {
    qp_arena *arena;
    char folder[64];
    qp_ckpt ckpt;
    qp_ck_findings findings;
    qp_err err;
    qp_status status;
} opened;

static inline void files_make(opened *o) {
    memset(o, 0, sizeof *o);
    o->arena = qp_arena_new();
    memcpy(o->folder, "/tmp/qp-open-XXXXXX", 20);
    ck_assert_ptr_nonnull(mkdtemp(o->folder));
}

static inline void files_drop(opened *o) {
    qp_ck_close(&o->ckpt);
    ck_assert(qp_dir_remove(o->folder, NULL) == QP_OK);
    qp_arena_free(o->arena);
}

static inline const char *file_path(opened *o, const char *name) {
    const char *path = NULL;
    ck_assert(qp_arena_printf(o->arena, &path, NULL, "%s/%s", o->folder, name) == QP_OK);
    return path;
}

static inline void put_bytes(opened *o, const char *name, const void *bytes, size_t n) {
    qp_err err = {0};
    ck_assert_msg(qp_file_write_atomic(file_path(o, name), bytes, n, &err) == QP_OK, "%s", err.msg);
}

static inline void put_text(opened *o, const char *name, const char *text) {
    put_bytes(o, name, text, strlen(text));
}

// A shard with U8 tensors of 4 bytes, their names separated by spaces; more: bytes added at the end (below 0:
// taken away).
static inline void put_shard(opened *o, const char *name, const char *tensors, int more) {
    qp_text header = {.arena = o->arena}, file = {.arena = o->arena};
    int n = 0;
    ck_assert(qp_text_add(&header, NULL, "{") == QP_OK);
    for (const char *p = tensors; *p != '\0'; p += strspn(p, " "), n++) {
        const int len = (int)strcspn(p, " ");
        ck_assert(qp_text_add(&header, NULL,
                              "%s\"%.*s\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[%d,%d]}",
                              n > 0 ? "," : "", len, p, 4 * n, 4 * n + 4) == QP_OK);
        p += len;
    }
    ck_assert(qp_text_add(&header, NULL, "}") == QP_OK);
    while (header.n % 8 != 0) ck_assert(qp_text_add(&header, NULL, " ") == QP_OK);
    const uint64_t n_header = header.n;
    ck_assert(qp_text_add_bytes(&file, (const char *)&n_header, 8, NULL) == QP_OK);
    ck_assert(qp_text_add_bytes(&file, header.s, header.n, NULL) == QP_OK);
    for (int i = 0; i < 4 * n + more; i++) ck_assert(qp_text_add_bytes(&file, "x", 1, NULL) == QP_OK);
    put_bytes(o, name, file.s, file.n);
}

// Opens the folder, or the file `name` of it.
static inline void open_strictly(opened *o, const char *name, bool strict) {
    qp_ck_close(&o->ckpt);
    o->err = (qp_err){0};
    qp_ck_findings_init(&o->findings, o->arena);
    o->status = qp_ck_open(name[0] == '\0' ? o->folder : file_path(o, name), strict, o->arena, &o->findings,
                           &o->ckpt, &o->err);
}

static inline void open_it(opened *o, const char *name) {
    open_strictly(o, name, false);
}

static inline void opens(opened *o, uint32_t n_tensors) {
    ck_assert_msg(o->status == QP_OK, "%s", o->err.msg);
    ck_assert_uint_eq(o->ckpt.n_tensors, n_tensors);
}

static inline void refuses(opened *o, qp_status status, const char *says) {
    ck_assert_msg(o->status == status && strstr(o->err.msg, says) != NULL, "wanted %s '%s', got %s '%s'",
                  qp_status_name(status), says, qp_status_name(o->status), o->err.msg);
}

static inline int n_found(const opened *o, qp_ck_rule rule, const char *name, const char *says) {
    int n = 0;
    for (size_t i = 0; i < o->findings.n; i++) {
        const qp_ck_finding *x = &o->findings.list[i];
        n += x->rule == rule && strcmp(x->tensor, name) == 0 && strstr(x->detail, says) != NULL;
    }
    return n;
}

static inline void show_all(const opened *o) {
    for (size_t i = 0; i < o->findings.n; i++)
        printf("  %s: %s: %s\n", qp_ck_rules[o->findings.list[i].rule].id, o->findings.list[i].tensor,
               o->findings.list[i].detail);
    fflush(stdout);
}

static inline void finds(const opened *o, qp_ck_rule rule, const char *name, const char *says) {
    const int n = n_found(o, rule, name, says);
    if (n != 1) show_all(o);
    ck_assert_msg(n == 1, "wanted once: %s: %s: %s", qp_ck_rules[rule].id, name, says);
}

// Findings above note: so many and no more.
static inline void finds_only(const opened *o, int n) {
    int above = 0;
    for (size_t i = 0; i < o->findings.n; i++)
        above += qp_ck_rules[o->findings.list[i].rule].severity > QP_SEV_NOTE;
    if (above != n) show_all(o);
    ck_assert_int_eq(above, n);
}

#endif
