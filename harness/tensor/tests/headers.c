// SPDX-License-Identifier: Apache-2.0
// The header scanner for scripts/headers-oracle: not a test, but a program that speaks on pipes.
//   headers dump     the rows of scan_rows.h and some that are too long for a table, as records on stdout:
//                    what Python did ("accept", "tolerate", "refuse"), length and bytes of the file
//   headers judge    records of length and bytes on stdin; one line for each on stdout:
//                    DEFAULT STRICT TENSORS, verdicts "accept" or "refuse", tensors of the default in order
//                    of place as NAME:DTYPE:SHAPE:BYTES with ';' behind each, names in hex
// A record's length is 8 bytes, little-endian, as in the files themselves.
#include "core/text.h"
#include "scan_rows.h"
#include "tensor/st_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const verdicts[] = {[ACCEPT] = "accept", [TOLERATE] = "tolerate", [REFUSE] = "refuse"};

static void put_length(uint64_t n) {
    for (int i = 0; i < 8; i++) putchar((int)(n >> 8 * i & 0xff));
}

static void put_record(int python, const void *header, size_t n_header, uint64_t length, size_t n_data) {
    printf("%s\n", verdicts[python]);
    put_length(8 + n_header + n_data);
    put_length(length);
    fwrite(header, 1, n_header, stdout);
    for (size_t i = 0; i < n_data; i++) putchar(0);
}

static qp_status put_made(int python, const qp_text *t, size_t n_data) {
    put_record(python, t->s, t->n, t->n, n_data);
    return QP_OK;
}

// ---- headers too long for a table
// ----------------------------------------------------------------------------------------

static qp_status repeat(qp_text *t, int n, const char *what, qp_err *err) {
    for (int i = 0; i < n; i++) QP_TRY(qp_text_add_bytes(t, what, strlen(what), err));
    return QP_OK;
}

static qp_status put_nested(int python, int depth, const char *open, const char *inner, const char *close,
                            qp_arena *a, qp_err *err) {
    qp_text t = {.arena = a};
    QP_TRY(qp_text_add(&t, err, "{\"x\":" ENTRY ",\"z\":"));
    QP_TRY(repeat(&t, depth, open, err));
    QP_TRY(qp_text_add(&t, err, "%s", inner));
    QP_TRY(repeat(&t, depth, close, err));
    QP_TRY(qp_text_add(&t, err, "}}"));
    return put_made(python, &t, 1);
}

static qp_status put_long_name(int python, int n, size_t n_data, qp_arena *a, qp_err *err) {
    qp_text t = {.arena = a};
    QP_TRY(qp_text_add(&t, err, "{\""));
    QP_TRY(repeat(&t, n, "\303\251", err));
    QP_TRY(qp_text_add(&t, err, "\":" ENTRY "}}"));
    return put_made(python, &t, n_data);
}

static qp_status put_many_dims(int python, int n, const char *dim, qp_arena *a, qp_err *err) {
    qp_text t = {.arena = a};
    QP_TRY(qp_text_add(&t, err, "{\"x\":{\"dtype\":\"U8\",\"data_offsets\":[0,1],\"shape\":["));
    QP_TRY(repeat(&t, n, dim, err));
    QP_TRY(qp_text_add(&t, err, "1]}}"));
    return put_made(python, &t, 1);
}

static qp_status put_many_entries(int python, int n, const char *tail, qp_arena *a, qp_err *err) {
    qp_text t = {.arena = a};
    QP_TRY(qp_text_add(&t, err, "{"));
    for (int i = 0; i < n; i++)
        QP_TRY(qp_text_add(&t, err, "%s\"%x\":[\"U8\",[0],[0,0]]", i > 0 ? "," : "", i));
    QP_TRY(qp_text_add(&t, err, "%s", tail));
    return put_made(python, &t, 0);
}

static qp_status put_all(qp_arena *a, qp_err *err) {
    for (int i = 0; i < QP_COUNT(rows); i++)
        put_record(rows[i].python, rows[i].header, rows[i].n_header,
                   rows[i].length == TRUE ? rows[i].n_header : rows[i].length, (size_t)rows[i].n_data);
    QP_TRY(put_nested(TOLERATE, 125, "[", "", "]", a, err));
    QP_TRY(put_nested(REFUSE, 126, "[", "", "]", a, err));
    QP_TRY(put_nested(TOLERATE, 125, "{\"a\":", "1", "}", a, err));
    QP_TRY(put_nested(REFUSE, 126, "{\"a\":", "1", "}", a, err));
    QP_TRY(put_nested(REFUSE, 1000000, "[", "", "]", a, err));
    QP_TRY(put_long_name(ACCEPT, 500000, 1, a, err)); // 1 MB
    QP_TRY(put_long_name(REFUSE, 500000, 2, a, err));
    QP_TRY(put_many_dims(ACCEPT, 100, "1,", a, err));
    QP_TRY(put_many_dims(ACCEPT, 100000, "1,", a, err));
    QP_TRY(put_many_dims(REFUSE, 64, "2,", a, err));
    QP_TRY(put_many_entries(TOLERATE, 100000, "}", a, err));
    QP_TRY(put_many_entries(REFUSE, 100000, ",}", a, err));
    return put_many_entries(REFUSE, 100000, "", a, err);
}

// ---- verdicts on files of somebody else
// ----------------------------------------------------------------------------------

static bool get_length(uint64_t *out) {
    uint8_t b[8];
    if (fread(b, 1, sizeof b, stdin) != sizeof b) return false;
    *out = 0;
    for (int i = 0; i < 8; i++) *out |= (uint64_t)b[i] << 8 * i;
    return true;
}

static void put_tensor(const qp_st_entry *e, qp_arena *a) {
    uint64_t *dims = NULL;
    for (uint32_t i = 0; i < e->n_name; i++) printf("%02x", (unsigned)(uint8_t)e->name[i]);
    printf(":%s:", qp_st_dtypes[e->dtype].name);
    if (qp_arena_get(a, sizeof *dims * e->n_dims, &dims, NULL) != QP_OK) exit(2);
    qp_st_entry_dims(e, dims, e->n_dims);
    for (uint32_t i = 0; i < e->n_dims; i++) printf("%s%llu", i > 0 ? "," : "", (unsigned long long)dims[i]);
    printf(":%llu;", (unsigned long long)(e->end - e->begin));
}

// A copy at its exact size, so that a sanitizer sees one byte too many. False: the end of the input.
static bool judge(qp_arena *a) {
    uint64_t n;
    qp_st_scan s, strict;
    qp_err err = {0}, strict_err = {0};
    if (!get_length(&n)) return false;
    uint8_t *file = malloc(n > 0 ? n : 1);
    if (file == NULL || fread(file, 1, n, stdin) != n) exit(2);
    const qp_status sound = qp_st_scan_bytes("file", file, n, false, a, &s, &err);
    const qp_status narrow = qp_st_scan_bytes("file", file, n, true, a, &strict, &strict_err);
    printf("%s %s ", verdicts[sound == QP_OK ? ACCEPT : REFUSE], verdicts[narrow == QP_OK ? ACCEPT : REFUSE]);
    for (uint32_t i = 0; sound == QP_OK && i < s.n_tensors; i++) put_tensor(s.by_place[i], a);
    printf("\n");
    fflush(stdout);
    free(file);
    qp_arena_reset(a);
    return true;
}

int main(int argc, char **argv) {
    qp_err err = {0};
    qp_arena *a = qp_arena_new();
    qp_status status = QP_OK;
    if (a == NULL) return 2;
    if (argc == 2 && strcmp(argv[1], "dump") == 0)
        status = put_all(a, &err);
    else if (argc == 2 && strcmp(argv[1], "judge") == 0)
        while (judge(a)) continue;
    else
        status = qp_err_set(&err, QP_USAGE, __FILE__, __LINE__, "usage: headers dump | judge");
    qp_arena_free(a);
    if (status != QP_OK) fprintf(stderr, "headers: %s\n", err.msg);
    return status == QP_OK && fflush(stdout) == 0 ? 0 : 2;
}
