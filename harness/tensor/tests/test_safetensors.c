// SPDX-License-Identifier: Apache-2.0
// safetensors: what is written is read back, and every malformed file is refused by name, never read past its
// end.
#include "core/file.h"
#include "tensor/safetensors.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static qp_arena *arena;
static qp_err err;
static char folder[512];

static void set_up(void) {
    const char *build = getenv("QP_BUILD");
    memset(&err, 0, sizeof err);
    arena = qp_arena_new();
    snprintf(folder, sizeof folder, "%s/tmp/safetensors-%ld", build != NULL ? build : "build",
             (long)getpid());
    ck_assert_msg(qp_dir_make(folder, &err) == QP_OK, "%s", err.msg);
}

static void tear_down(void) {
    qp_err e = {0};
    ck_assert_msg(qp_dir_remove(folder, &e) == QP_OK, "%s", e.msg);
    qp_arena_free(arena);
}

static const char *in_folder(const char *name) {
    const char *path = NULL;
    ck_assert_int_eq(qp_arena_printf(arena, &path, &err, "%s/%s", folder, name), QP_OK);
    return path;
}

static const uint16_t three[6] = {0x3f80, 0x4000, 0x8000, 0x7fc0, 0x0001, 0xbf80};
static const uint8_t bytes5[5] = {1, 2, 3, 4, 5};
static const float one[1] = {1.0f};
static const qp_st_tensor sample[] = {
    {.name = "b.bytes", .dtype = QP_U8, .n_dims = 1, .dims = {5}, .data = bytes5, .n_bytes = 5},
    {.name = "a.weight", .dtype = QP_BF16, .n_dims = 2, .dims = {2, 3}, .data = three, .n_bytes = 12},
    {.name = "scalar \"q\" \\ \xc3\xa9", .dtype = QP_FP32, .n_dims = 0, .data = one, .n_bytes = 4},
    {.name = "empty", .dtype = QP_E4M3, .n_dims = 2, .dims = {0, 7}, .data = one, .n_bytes = 0},
};

static void expect_sample(const qp_st_tensor *t, const qp_st_tensor *want) {
    ck_assert_ptr_nonnull(t);
    ck_assert_int_eq(t->dtype, want->dtype);
    ck_assert_int_eq(t->n_dims, want->n_dims);
    for (int d = 0; d < t->n_dims; d++) ck_assert_int_eq(t->dims[d], want->dims[d]);
    ck_assert_uint_eq(t->n_bytes, want->n_bytes);
    ck_assert_int_eq(memcmp(t->data, want->data, t->n_bytes), 0);
}

START_TEST(what_was_written_is_read_back_in_order) {
    static const char *const meta[][2] = {{"format", "pt"}, {"who", "a \"test\""}};
    const char *path = in_folder("m.safetensors");
    qp_st_file f;
    ck_assert_msg(qp_st_write(path, sample, QP_COUNT(sample), meta, 2, &err) == QP_OK, "%s", err.msg);
    ck_assert_msg(qp_st_open(path, arena, &f, &err) == QP_OK, "%s", err.msg);
    ck_assert_int_eq(f.n_tensors, QP_COUNT(sample));
    for (int i = 0; i < QP_COUNT(sample); i++) {
        ck_assert_str_eq(f.tensors[i].name, sample[i].name);
        expect_sample(qp_st_find(&f, sample[i].name), &sample[i]);
    }
    ck_assert_ptr_null(qp_st_find(&f, "a.weigh"));
    qp_st_close(&f);
    qp_st_close(&f);
}
END_TEST

START_TEST(the_header_ends_at_a_multiple_of_eight_with_spaces) {
    const char *path = in_folder("m.safetensors");
    char *text;
    size_t n, header = 0;
    for (int k = 1; k <= QP_COUNT(sample); k++) {
        ck_assert_int_eq(qp_st_write(path, sample, k, NULL, 0, &err), QP_OK);
        ck_assert_int_eq(qp_file_read(path, arena, &text, &n, &err), QP_OK);
        memcpy(&header, text, 8);
        ck_assert_uint_eq(header % 8, 0);
        ck_assert_int_eq(text[8], '{');
        char last = text[8 + header - 1];
        ck_assert(last == ' ' || last == '}');
    }
}
END_TEST

START_TEST(an_empty_file_of_tensors_is_legal) {
    qp_st_file f;
    ck_assert_int_eq(qp_st_write(in_folder("none"), NULL, 0, NULL, 0, &err), QP_OK);
    ck_assert_msg(qp_st_open(in_folder("none"), arena, &f, &err) == QP_OK, "%s", err.msg);
    ck_assert_int_eq(f.n_tensors, 0);
    ck_assert_ptr_null(qp_st_find(&f, "x"));
    qp_st_close(&f);
}
END_TEST

START_TEST(the_writer_refuses_what_the_reader_would) {
    const char *path = in_folder("m.safetensors");
    qp_st_tensor t[2] = {sample[0], sample[0]};
    ck_assert_int_eq(qp_st_write(path, t, 2, NULL, 0, &err), QP_USAGE);
    ck_assert_ptr_nonnull(strstr(err.msg, "b.bytes"));
    qp_err_clear(&err);
    t[0].n_bytes = 4;
    ck_assert_int_eq(qp_st_write(path, t, 1, NULL, 0, &err), QP_BROKEN);
    ck_assert_ptr_nonnull(strstr(err.msg, "want 5 bytes, got 4"));
    qp_err_clear(&err);
    t[0] = sample[0];
    t[0].name = "\xff\xfe";
    ck_assert_int_eq(qp_st_write(path, t, 1, NULL, 0, &err), QP_USAGE);
    qp_err_clear(&err);
    t[0].name = "__metadata__";
    ck_assert_int_eq(qp_st_write(path, t, 1, NULL, 0, &err), QP_USAGE);
    ck_assert(!qp_file_exists(path));
}
END_TEST

// A file with this header text and n_data bytes behind it; length < 0: the true one.
static const char *raw_file(const char *header, int64_t length, int n_data) {
    const char *path = in_folder("raw.safetensors");
    qp_atomic_file f;
    uint64_t n = length < 0 ? strlen(header) : (uint64_t)length;
    char zeros[64] = {0};
    ck_assert_int_eq(qp_atomic_open(&f, path, &err), QP_OK);
    ck_assert_int_eq(qp_atomic_write(&f, &n, 8, &err), QP_OK);
    ck_assert_int_eq(qp_atomic_write(&f, header, strlen(header), &err), QP_OK);
    ck_assert_int_eq(qp_atomic_write(&f, zeros, (size_t)n_data, &err), QP_OK);
    ck_assert_int_eq(qp_atomic_commit(&f, &err), QP_OK);
    return path;
}

#define ENTRY(name, dtype, shape, begin, end)                                                                \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static const struct {
    const char *header;
    int64_t length;
    int n_data;
    const char *says; // NULL: legal
} files[] = {
    {"{" ENTRY("x", "U8", "[2]", 0, 2) "}", -1, 2, NULL},
    {" \t\r\n{" ENTRY("x", "U8", "[2]", 0, 2) "}  \n", -1, 2, NULL},
    {"{" ENTRY("y", "U8", "[2]", 2, 4) "," ENTRY("x", "U8", "[2]", 0, 2) "}", -1, 4, NULL},
    {"{\"__metadata__\":null," ENTRY("x", "U8", "[]", 0, 1) "}", -1, 1, NULL},
    {"{" ENTRY("x", "F32", "[0,1099511627776,1099511627776]", 0, 0) "}", -1, 0, NULL},
    {"{" ENTRY("a", "U8", "[0]", 2, 2) "," ENTRY("x", "U8", "[2]", 0, 2) "}", -1, 2, NULL},
    {"{\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"extra\":7}}", -1, 1, NULL},
    {"", 0, 0, "bad JSON"},
    {"{}", 100000001, 0, "header length: at most 100000000 wanted, got 100000001"},
    {"{}", INT64_MAX, 0, "header length: at most"},
    {"{}", 100, 0, "only 2 bytes follow"},
    {"[]", -1, 0, "JSON object was wanted"},
    {"{", -1, 0, "bad JSON"},
    {"\xef\xbb\xbf{}", -1, 0, "bad JSON"},
    {"{}x", -1, 0, "bad JSON"},
    {"{\"x\":7}", -1, 0, "tensor x: an object was wanted"},
    {"{\"x\":[\"U8\",[1],[0,1]]}", -1, 1, "tensor x: entry-list: wanted: an entry is an object"},
    {"{" ENTRY("x", "Q8", "[2]", 0, 2) "}", -1, 2, "tensor x: dtype: unknown dtype Q8"},
    {"{" ENTRY("x", "bf16", "[1]", 0, 2) "}", -1, 2, "unknown dtype bf16"},
    {"{" ENTRY("x", "F64", "[1]", 0, 8) "}", -1, 8, "unknown dtype F64"},
    {"{\"x\":{\"shape\":[1],\"data_offsets\":[0,1]}}", -1, 1, "dtype: a text was wanted"},
    {"{\"x\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", -1, 1, "shape: a list was wanted"},
    {"{\"x\":{\"dtype\":\"U8\",\"shape\":[1]}}", -1, 1, "data_offsets: two whole numbers"},
    {"{" ENTRY("x", "U8", "[-1]", 0, 1) "}", -1, 1, "shape[0]: a whole number"},
    {"{" ENTRY("x", "U8", "[2.0]", 0, 2) "}", -1, 2, "shape[0]: a whole number"},
    {"{" ENTRY("x", "U8", "[\"2\"]", 0, 2) "}", -1, 2, "shape[0]: a whole number"},
    {"{" ENTRY("x", "U8", "[1,1,1,1,1,1,1,1,1]", 0, 1) "}", -1, 1, "at most 8 dimensions"},
    {"{" ENTRY("x", "U8", "[4294967296,4294967296]", 0, 0) "}", -1, 0, "elements overflows"},
    {"{" ENTRY("x", "U8", "[1099511627776,1099511627776,0]", 0, 0) "}", -1, 0, "elements overflows"},
    {"{" ENTRY("x", "F32", "[4611686018427387904]", 0, 0) "}", -1, 0, "bytes overflows"},
    {"{" ENTRY("x", "U8", "[2]", 0, 18446744073709551616) "}", -1, 2, "data_offsets: two whole numbers"},
    {"{" ENTRY("x", "U8", "[2]", 0, -2) "}", -1, 2, "data_offsets: two whole numbers"},
    {"{" ENTRY("x", "U8", "[2]", 0, 2.0) "}", -1, 2, "data_offsets: two whole numbers"},
    {"{" ENTRY("x", "U8", "[2]", 2, 0) "}", -1, 2, "data_offsets [2, 0]"},
    {"{" ENTRY("x", "U8", "[3]", 0, 3) "}", -1, 2, "within the 2 bytes of data"},
    {"{" ENTRY("x", "BF16", "[2]", 0, 2) "}", -1, 2, "dtype BF16 want 4 bytes, data_offsets give 2"},
    {"{" ENTRY("x", "U8", "[0]", 0, 2) "}", -1, 2, "want 0 bytes, data_offsets give 2"},
    {"{" ENTRY("x", "U8", "[2]", 1, 3) "}", -1, 3,
     "tensor x: data_offsets begin at 1, wanted 0 (leaves a hole"},
    {"{" ENTRY("x", "U8", "[2]", 0, 2) "," ENTRY("y", "U8", "[1]", 3, 4) "}", -1, 4,
     "tensor y: data_offsets begin at 3"},
    {"{" ENTRY("x", "U8", "[2]", 0, 2) "," ENTRY("y", "U8", "[2]", 1, 3) "}", -1, 3,
     "begin at 1, wanted 2 (overlaps x)"},
    {"{" ENTRY("x", "U8", "[2]", 0, 2) "," ENTRY("y", "U8", "[2]", 0, 2) "}", -1, 2, "(overlaps"},
    {"{" ENTRY("x", "U8", "[2]", 0, 2) "}", -1, 5, "3 bytes after the last tensor (x)"},
    {"{}", -1, 1, "1 bytes after the last tensor"},
    {"{" ENTRY("x", "U8", "[1]", 0, 1) "," ENTRY("x", "U8", "[1]", 1, 2) "}", -1, 2, "(leaves a hole"},
    {"{" ENTRY("x", "U8", "[1]", 0, 1) "," ENTRY("\\u0078", "U8", "[1]", 0, 1) "}", -1, 1,
     "tensor x: name-twice: wanted: keys are not repeated"},
    {"{\"__metadata__\":7}", -1, 0, "__metadata__: an object"},
    {"{\"__metadata__\":{\"a\":null}}", -1, 0, "__metadata__.a: a text"},
};

START_TEST(a_malformed_file_is_refused_by_name) {
    const char *path = raw_file(files[_i].header, files[_i].length, files[_i].n_data);
    qp_st_file f;
    qp_status got = qp_st_open(path, arena, &f, &err);
    if (files[_i].says == NULL) {
        ck_assert_msg(got == QP_OK, "%s: %s", files[_i].header, err.msg);
        qp_st_close(&f);
        return;
    }
    ck_assert_msg(got == QP_CORRUPT, "%s: %s", files[_i].header, qp_status_name(got));
    ck_assert_msg(strstr(err.msg, files[_i].says) != NULL, "%s: wanted '%s', got '%s'", files[_i].header,
                  files[_i].says, err.msg);
    ck_assert_ptr_nonnull(strstr(err.msg, "raw.safetensors"));
    ck_assert_ptr_null(f.map);
}
END_TEST

START_TEST(every_truncation_of_a_good_file_is_refused) {
    const char *path = in_folder("m.safetensors"), *cut = in_folder("cut.safetensors");
    char *text;
    size_t n;
    qp_st_file f;
    ck_assert_int_eq(qp_st_write(path, sample, 2, NULL, 0, &err), QP_OK);
    ck_assert_int_eq(qp_file_read(path, arena, &text, &n, &err), QP_OK);
    for (size_t keep = 0; keep < n; keep++) {
        ck_assert_int_eq(qp_file_write_atomic(cut, text, keep, &err), QP_OK);
        qp_err e = {0};
        ck_assert_msg(qp_st_open(cut, arena, &f, &e) == QP_CORRUPT, "%zu of %zu bytes were taken", keep, n);
    }
}
END_TEST

START_TEST(deep_nesting_is_refused_and_does_not_overflow_the_stack) {
    enum { DEEP = 200000 };
    char *header = malloc(DEEP + 16);
    qp_st_file f;
    memcpy(header, "{\"x\":", 5);
    memset(header + 5, '[', DEEP);
    header[5 + DEEP] = '\0';
    ck_assert_int_eq(qp_st_open(raw_file(header, -1, 0), arena, &f, &err), QP_CORRUPT);
    free(header);
}
END_TEST

START_TEST(a_missing_file_is_an_io_error) {
    qp_st_file f;
    ck_assert_int_eq(qp_st_open(in_folder("nowhere"), arena, &f, &err), QP_IO);
    ck_assert_ptr_nonnull(strstr(err.msg, "nowhere"));
    qp_err_clear(&err);
    ck_assert_int_eq(qp_st_open(folder, arena, &f, &err), QP_IO);
}
END_TEST

START_TEST(many_tensors_are_found_by_name) {
    enum { N = 3000 };
    qp_st_tensor *t;
    qp_st_file f;
    ck_assert_int_eq(qp_arena_get(arena, sizeof *t * N, &t, &err), QP_OK);
    for (int i = 0; i < N; i++) {
        t[i] = (qp_st_tensor){.dtype = QP_I32, .n_dims = 1, .dims = {1}, .n_bytes = 4};
        int *value;
        ck_assert_int_eq(qp_arena_get(arena, 4, &value, &err), QP_OK);
        *value = i;
        t[i].data = value;
        ck_assert_int_eq(qp_arena_printf(arena, &t[i].name, &err, "layers.%d.w", i * 7919 % N), QP_OK);
    }
    ck_assert_int_eq(qp_st_write(in_folder("many"), t, N, NULL, 0, &err), QP_OK);
    ck_assert_int_eq(qp_st_open(in_folder("many"), arena, &f, &err), QP_OK);
    for (int i = 0; i < N; i++) {
        const qp_st_tensor *found = qp_st_find(&f, t[i].name);
        int value = -1;
        ck_assert_ptr_nonnull(found);
        memcpy(&value, found->data, 4);
        ck_assert_int_eq(value, i);
    }
    qp_st_close(&f);
}
END_TEST

int main(void) {
    Suite *s = suite_create("safetensors");
    TCase *t = tcase_create("safetensors");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, what_was_written_is_read_back_in_order);
    tcase_add_test(t, the_header_ends_at_a_multiple_of_eight_with_spaces);
    tcase_add_test(t, an_empty_file_of_tensors_is_legal);
    tcase_add_test(t, the_writer_refuses_what_the_reader_would);
    tcase_add_loop_test(t, a_malformed_file_is_refused_by_name, 0, QP_COUNT(files));
    tcase_add_test(t, every_truncation_of_a_good_file_is_refused);
    tcase_add_test(t, deep_nesting_is_refused_and_does_not_overflow_the_stack);
    tcase_add_test(t, a_missing_file_is_an_io_error);
    tcase_add_test(t, many_tensors_are_found_by_name);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
