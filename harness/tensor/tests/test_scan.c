// SPDX-License-Identifier: Apache-2.0
// The header scanner: the Python package's verdict on every row of scan_rows.h, strict's on top of it, and
// bounds on memory, nesting and messages.
#include "core/file.h"
#include "core/text.h"
#include "scan_rows.h"
#include "tensor/safetensors.h"
#include "tensor/st_scan.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static qp_arena *arena;
static qp_err err;
static char folder[512];
static uint8_t *file; // the last one made
static size_t n_file;

static void set_up(void) {
    const char *build = getenv("QP_BUILD");
    memset(&err, 0, sizeof err);
    arena = qp_arena_new();
    snprintf(folder, sizeof folder, "%s/tmp/scan-%ld", build != NULL ? build : "build", (long)getpid());
    ck_assert_msg(qp_dir_make(folder, &err) == QP_OK, "%s", err.msg);
}

static void tear_down(void) {
    qp_err e = {0};
    ck_assert_msg(qp_dir_remove(folder, &e) == QP_OK, "%s", e.msg);
    qp_arena_free(arena);
    free(file);
    file = NULL;
}

// On the heap at its exact size, so that a sanitizer sees one byte too many.
static void make(const void *header, size_t n_header, uint64_t length, size_t n_data) {
    free(file);
    n_file = 8 + n_header + n_data;
    file = calloc(1, n_file);
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)(length >> 8 * i);
    memcpy(file + 8, header, n_header);
}

static qp_status scan(bool strict, qp_st_scan *out) {
    qp_err_clear(&err);
    return qp_st_scan_bytes("some.safetensors", file, n_file, strict, arena, out, &err);
}

static qp_status scan_text(const char *header, size_t n_data, qp_st_scan *out) {
    make(header, strlen(header), strlen(header), n_data);
    return scan(false, out);
}

static uint64_t count_written(const qp_st_scan *s) {
    uint64_t n = 0;
    for (int i = 0; i < QP_ST_RULES; i++) n += qp_st_rules[i].written ? s->n_deviations[i] : 0;
    return n;
}

START_TEST(every_header_is_taken_as_the_python_package_takes_it) {
    const size_t n = rows[_i].n_header;
    const int want = rows[_i].python;
    qp_st_scan s;
    make(rows[_i].header, n, rows[_i].length == TRUE ? n : rows[_i].length, (size_t)rows[_i].n_data);
    qp_status got = scan(false, &s);
    ck_assert_msg(got == (want == REFUSE ? QP_CORRUPT : QP_OK), "%s: %s %s", rows[_i].header,
                  qp_status_name(got), err.msg);
    if (want == REFUSE) {
        ck_assert_msg(strncmp(err.msg, "some.safetensors: ", 18) == 0, "%s", err.msg);
        ck_assert_msg(strstr(err.msg, rows[_i].says) != NULL, "wanted '%s', got '%s'", rows[_i].says,
                      err.msg);
    } else {
        ck_assert_msg((count_written(&s) > 0) == (want == TOLERATE), "%s", rows[_i].header);
    }
}
END_TEST

START_TEST(strict_refuses_what_the_format_forbids_and_names_the_rule) {
    const size_t n = rows[_i].n_header;
    qp_st_scan s;
    char named[64];
    make(rows[_i].header, n, rows[_i].length == TRUE ? n : rows[_i].length, (size_t)rows[_i].n_data);
    ck_assert_msg(scan(true, &s) == (rows[_i].python == ACCEPT ? QP_OK : QP_CORRUPT), "%s: %s",
                  rows[_i].header, err.msg);
    if (rows[_i].python != TOLERATE) return;
    snprintf(named, sizeof named, ": %s: wanted: ", rows[_i].says);
    ck_assert_msg(strstr(err.msg, named) != NULL, "wanted '%s', got '%s'", named, err.msg);
}
END_TEST

START_TEST(every_written_rule_has_a_row_that_trips_it) {
    for (int r = 0; r < QP_ST_RULES; r++) {
        int n = 0;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            n += rows[i].python == TOLERATE && strcmp(rows[i].says, qp_st_rules[r].id) == 0;
        ck_assert_msg((n > 0) == qp_st_rules[r].written, "%s: %d rows", qp_st_rules[r].id, n);
    }
}
END_TEST

START_TEST(a_deviation_names_rule_tensor_and_byte) {
    qp_st_scan s;
    ck_assert_int_eq(
        scan_text("{\"a\\nb\":{\"dtype\":{\"U8\":null},\"shape\":[1],\"data_offsets\":[0,1],\"q\":7}}", 1,
                  &s),
        QP_OK);
    static const struct {
        qp_st_rule rule;
        uint64_t at;
        const char *name, *detail;
    } want[] = {
        {QP_ST_NAME_CONTROL, 9, "a\\u000ab", "byte 0x0a at place 1 of the name"},
        {QP_ST_DTYPE_OBJECT, 25, "a\\u000ab", "{\"U8\": null} instead of \"U8\""},
        {QP_ST_EXTRA_FIELD, 70, "a\\u000ab", "field \"q\""},
        {QP_ST_UNALIGNED, 0, "", "the data begins at byte 77"},
    };
    ck_assert_int_eq(s.n_kept, QP_COUNT(want));
    for (int i = 0; i < s.n_kept; i++) {
        ck_assert_int_eq(s.deviations[i].rule, want[i].rule);
        ck_assert_uint_eq(s.deviations[i].at, want[i].at);
        ck_assert_str_eq(s.deviations[i].name, want[i].name);
        ck_assert_str_eq(s.deviations[i].detail, want[i].detail);
    }
}
END_TEST

START_TEST(habits_are_noted_and_not_refused) {
    qp_st_scan s;
    ck_assert_int_eq(scan_text("{\"\":" ENTRY "}}", 1, &s), QP_OK);
    ck_assert_uint_eq(s.n_deviations[QP_ST_NAME_EMPTY], 1);
    ck_assert_uint_eq(s.n_deviations[QP_ST_UNALIGNED], 1);
    ck_assert_int_eq(scan(true, &s), QP_OK);
    ck_assert_int_eq(scan_text("{\"\x7f\":" ENTRY "}}   ", 1, &s), QP_OK);
    ck_assert_uint_eq(s.n_deviations[QP_ST_NAME_CONTROL], 1);
    ck_assert_int_eq(scan_text("{}      ", 0, &s), QP_OK);
    ck_assert_int_eq(s.n_kept, 0);
}
END_TEST

START_TEST(names_with_nul_are_other_names_and_are_found) {
    qp_st_scan s;
    ck_assert_int_eq(scan_text("{\"a\\u0000b\":" ENTRY
                               "},\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
                               2, &s),
                     QP_OK);
    ck_assert_uint_eq(s.n_tensors, 2);
    ck_assert_str_eq(qp_st_dtypes[qp_st_scan_find(&s, "a\0b", 3)->dtype].name, "U8");
    ck_assert_str_eq(qp_st_dtypes[qp_st_scan_find(&s, "a", 1)->dtype].name, "I8");
    ck_assert_ptr_null(qp_st_scan_find(&s, "a\0", 2));
    ck_assert_ptr_null(qp_st_scan_find(&s, "a\0c", 3));
    ck_assert_ptr_null(qp_st_scan_find(&s, "", 0));
}
END_TEST

START_TEST(escapes_mean_what_json_says) {
    static const char header[] =
        "{\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud83d\\ude00\xc3\xa9\":" ENTRY "}}";
    static const char name[] = "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9";
    qp_st_scan s;
    ck_assert_int_eq(scan_text(header, 1, &s), QP_OK);
    ck_assert_uint_eq(s.entries[0].n_name, sizeof name - 1);
    ck_assert_int_eq(memcmp(s.entries[0].name, name, sizeof name - 1), 0);
}
END_TEST

START_TEST(of_a_name_twice_the_last_entry_counts) {
    qp_st_scan s;
    uint64_t dims[3] = {0, 0, 99};
    ck_assert_int_eq(scan_text("{\"x\":" ENTRY
                               "},\"y\":{\"dtype\":\"I8\",\"shape\":[0,3],\"data_offsets\":[1,1]},"
                               "\"\\u0078\":{\"dtype\":\"BOOL\",\"shape\":[1, 1],\"data_offsets\":[0,1]}}",
                               1, &s),
                     QP_OK);
    ck_assert_uint_eq(s.n_entries, 3);
    ck_assert_uint_eq(s.n_tensors, 2);
    ck_assert(s.entries[0].replaced && !s.entries[1].replaced && !s.entries[2].replaced);
    const qp_st_entry *x = qp_st_scan_find(&s, "x", 1);
    ck_assert_ptr_eq(x, &s.entries[2]);
    ck_assert_str_eq(qp_st_dtypes[x->dtype].name, "BOOL");
    ck_assert_uint_eq(qp_st_entry_dims(x, dims, 3), 2);
    ck_assert(dims[0] == 1 && dims[1] == 1 && dims[2] == 99);
    ck_assert_uint_eq(qp_st_entry_dims(qp_st_scan_find(&s, "y", 1), dims, 1), 2);
    ck_assert(dims[0] == 0 && dims[1] == 1);
    ck_assert_ptr_eq(s.by_place[0], x);
}
END_TEST

START_TEST(metadata_is_read_by_key_and_the_last_value_counts) {
    qp_st_scan s;
    const char *value;
    size_t n;
    ck_assert_int_eq(scan_text("{\"__metadata__\":{\"format\" : "
                               "\"p\\u0074\",\"a\":\"\",\"z\":\"1\",\"\\u007a\"\n:\n\"\\u0000q\"}}",
                               0, &s),
                     QP_OK);
    ck_assert_uint_eq(s.n_meta, 4);
    ck_assert_int_eq(qp_st_scan_meta(&s, "format", arena, &value, &n, &err), QP_OK);
    ck_assert_str_eq(value, "pt");
    ck_assert_int_eq(qp_st_scan_meta(&s, "z", arena, &value, &n, &err), QP_OK);
    ck_assert_uint_eq(n, 2);
    ck_assert_int_eq(memcmp(value, "\0q", 3), 0);
    ck_assert_int_eq(qp_st_scan_meta(&s, "a", arena, &value, &n, &err), QP_OK);
    ck_assert_str_eq(value, "");
    ck_assert_int_eq(qp_st_scan_meta(&s, "forma", arena, &value, &n, &err), QP_OK);
    ck_assert_ptr_null(value);
}
END_TEST

START_TEST(every_dtype_has_its_size_in_bits) {
    static const struct {
        const char *name;
        int bytes_of_eight;
    } want[] = {{"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
                {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
                {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
                {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
                {"I64", 64},        {"U64", 64}};
    ck_assert_int_eq(QP_COUNT(want), QP_ST_DTYPES);
    for (int i = 0; i < QP_COUNT(want); i++) {
        for (int off = -1; off <= 1; off++) {
            char header[160];
            qp_st_scan s;
            int n = want[i].bytes_of_eight + off;
            snprintf(header, sizeof header,
                     "{\"x\":{\"dtype\":\"%s\",\"shape\":[2,4],\"data_offsets\":[0,%d]}}", want[i].name, n);
            ck_assert_msg(scan_text(header, (size_t)n, &s) == (off == 0 ? QP_OK : QP_CORRUPT), "%s", header);
        }
    }
}
END_TEST

// The header {"x":{...,"z":VALUE}} with VALUE of this many brackets; objects hold the key "a".
static qp_status scan_nested(int depth, bool objects) {
    const char *open = objects ? "{\"a\":" : "[", *close = objects ? "}" : "]";
    qp_text t = {.arena = arena};
    qp_st_scan s;
    ck_assert_int_eq(qp_text_add(&t, &err, "{\"x\":" ENTRY ",\"z\":"), QP_OK);
    for (int i = 0; i < depth; i++) ck_assert_int_eq(qp_text_add(&t, &err, "%s", open), QP_OK);
    if (objects) ck_assert_int_eq(qp_text_add(&t, &err, "1"), QP_OK);
    for (int i = 0; i < depth; i++) ck_assert_int_eq(qp_text_add(&t, &err, "%s", close), QP_OK);
    ck_assert_int_eq(qp_text_add(&t, &err, "}}"), QP_OK);
    return scan_text(t.s, 1, &s);
}

START_TEST(nesting_ends_at_127_levels) {
    for (int objects = 0; objects < 2; objects++) {
        ck_assert_int_eq(scan_nested(125, objects), QP_OK);
        ck_assert_int_eq(scan_nested(126, objects), QP_CORRUPT);
        ck_assert_ptr_nonnull(strstr(err.msg, "at most 127 levels"));
        ck_assert_int_eq(scan_nested(100000, objects), QP_CORRUPT);
    }
}
END_TEST

START_TEST(a_long_name_is_taken_and_cut_in_messages) {
    enum { LONG = 1000000 };
    char *header = malloc(LONG + 200);
    qp_st_scan s;
    static const char tail[] = "\":" ENTRY "}}";
    memcpy(header, "{\"", 2);
    for (int i = 0; i < LONG / 2; i++) memcpy(header + 2 + 2 * i, "\xc3\xa9", 2);
    memcpy(header + 2 + LONG, tail, sizeof tail);
    ck_assert_int_eq(scan_text(header, 1, &s), QP_OK);
    ck_assert_uint_eq(s.entries[0].n_name, LONG);
    ck_assert_int_eq(scan_text(header, 2, &s), QP_CORRUPT);
    ck_assert_msg(strstr(err.msg, "\xc3\xa9...)") != NULL && strlen(err.msg) < 300, "%s", err.msg);
    free(header);
}
END_TEST

// n entries of the shortest form with distinct names, ended by tail.
static void make_many(int n, const char *tail) {
    const size_t room = (size_t)n * 40 + 16;
    char *header = malloc(room), *p = header + 1;
    header[0] = '{';
    for (int i = 0; i < n; i++)
        p += snprintf(p, room - (size_t)(p - header), "%s\"%x\":[\"U8\",[0],[0,0]]", i > 0 ? "," : "",
                      i * 7919 % n);
    p += snprintf(p, room - (size_t)(p - header), "%s", tail);
    make(header, (size_t)(p - header), (uint64_t)(p - header), 0);
    free(header);
}

START_TEST(memory_is_64_bytes_per_entry_whatever_the_header_holds) {
    enum { N = 100003 };
    qp_st_scan s;
    make_many(N, "}");
    size_t before = qp_arena_used(arena);
    ck_assert_msg(scan(false, &s) == QP_OK, "%s", err.msg);
    ck_assert_uint_eq(s.n_tensors, N);
    ck_assert_uint_eq(s.n_deviations[QP_ST_ENTRY_LIST], N);
    ck_assert_int_eq(s.n_kept, QP_ST_KEPT + (s.n_header % 8 != 0));
    ck_assert_uint_le(qp_arena_used(arena) - before, 64 * N + 65536);
    ck_assert_ptr_nonnull(qp_st_scan_find(&s, "186a2", 5));
}
END_TEST

START_TEST(a_header_that_does_not_parse_costs_no_memory) {
    qp_st_scan s;
    make_many(100003, ",}");
    size_t before = qp_arena_used(arena);
    ck_assert_int_eq(scan(false, &s), QP_CORRUPT);
    ck_assert_uint_eq(qp_arena_used(arena), before);
}
END_TEST

START_TEST(a_character_is_not_completed_from_the_data) {
    qp_st_scan s;
    make("{}\xc3", 3, 3, 1);
    file[11] = 0xa9;
    ck_assert_int_eq(scan(false, &s), QP_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.msg, "byte 10: header: UTF-8 was wanted"));
}
END_TEST

START_TEST(a_cut_file_never_reads_past_its_end) {
    static const char header[] =
        "{\"__metadata__\":{\"a\":\"\\ud83d\\ude00\"},\"\\u0000\xc3\xa9\":{\"dtype\":\"F4\",\"shape\":[2],"
        "\"data_offsets\":[0,1],\"e\":-1.5e+3}} ";
    qp_st_scan s;
    ck_assert_int_eq(scan_text(header, 1, &s), QP_OK);
    for (size_t keep = 0; keep <= strlen(header); keep++) {
        make(header, keep, keep, 1);
        ck_assert_msg((scan(false, &s) == QP_OK) == (keep + 1 >= strlen(header)), "%zu bytes", keep);
    }
    for (size_t keep = 0; keep < 8; keep++) {
        n_file = keep;
        ck_assert_int_eq(scan(false, &s), QP_CORRUPT);
        ck_assert_ptr_nonnull(strstr(err.msg, "at least 8 bytes wanted"));
    }
}
END_TEST

static const char *in_folder(const char *name) {
    const char *path = NULL;
    ck_assert_int_eq(qp_arena_printf(arena, &path, &err, "%s/%s", folder, name), QP_OK);
    return path;
}

START_TEST(a_git_lfs_pointer_is_named_as_such) {
    static const char text[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n";
    qp_st_file f;
    ck_assert_int_eq(qp_file_write_atomic(in_folder("p"), text, sizeof text - 1, &err), QP_OK);
    ck_assert_int_eq(qp_st_open(in_folder("p"), arena, &f, &err), QP_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.msg, "/p: a Git LFS pointer"));
}
END_TEST

START_TEST(links_are_followed_and_loops_pipes_and_folders_refused) {
    qp_st_file f;
    scan_text("{}", 0, &(qp_st_scan){0});
    ck_assert_int_eq(qp_file_write_atomic(in_folder("blob"), file, n_file, &err), QP_OK);
    ck_assert_int_eq(symlink("blob", in_folder("model.safetensors")), 0);
    ck_assert_msg(qp_st_open(in_folder("model.safetensors"), arena, &f, &err) == QP_OK, "%s", err.msg);
    qp_st_close(&f);
    ck_assert_int_eq(symlink("loop", in_folder("loop")), 0);
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0600), 0);
    static const char *const refused[] = {"loop", "pipe", "."};
    for (int i = 0; i < QP_COUNT(refused); i++) {
        qp_err_clear(&err);
        ck_assert_int_eq(qp_st_open(in_folder(refused[i]), arena, &f, &err), QP_IO);
        ck_assert_ptr_nonnull(strstr(err.msg, refused[i]));
    }
}
END_TEST

START_TEST(a_file_that_is_cut_while_open_is_an_error_and_not_a_signal) {
    uint8_t got[64];
    char says[80];
    size_t n = 0;
    int fd = -1;
    scan_text(FILE_OF(U8, "[40]", "[0,40]"), 40, &(qp_st_scan){0});
    for (size_t i = 0; i < 40; i++) file[n_file - 40 + i] = (uint8_t)(i + 1);
    ck_assert_int_eq(qp_file_write_atomic(in_folder("w"), file, n_file, &err), QP_OK);
    ck_assert_int_eq(qp_st_open_fd(in_folder("w"), &fd, &n, &err), QP_OK);
    ck_assert_uint_eq(n, n_file);
    for (size_t i = 0; i < 40; i++) {
        ck_assert_int_eq(qp_st_read_window("w", fd, n - 40 + i, 40 - i, got, &err), QP_OK);
        ck_assert_mem_eq(got, file + n - 40 + i, 40 - i);
    }
    ck_assert_int_eq(qp_st_read_window("w", fd, n, 0, got, &err), QP_OK);
    ck_assert_int_eq(truncate(in_folder("w"), (off_t)n - 30), 0);
    ck_assert_int_eq(qp_st_read_window("w", fd, n - 40, 10, got, &err), QP_OK);
    ck_assert_int_eq(qp_st_read_window("w", fd, n - 40, 11, got, &err), QP_IO);
    snprintf(says, sizeof says, "w: byte %zu: the file ends here, 1 more bytes wanted", n - 30);
    ck_assert_msg(strstr(err.msg, says) != NULL, "wanted '%s', got '%s'", says, err.msg);
    qp_err_clear(&err);
    ck_assert_int_eq(qp_st_read_window("w", fd, n + 5, 1, got, &err), QP_IO);
    qp_err_clear(&err);
    ck_assert_int_eq(qp_st_read_window("w", fd, UINT64_MAX - 3, 1, got, &err), QP_IO); // no offset at all
    ck_assert_ptr_nonnull(strstr(err.msg, "w: byte 18446744073709551612: cannot read"));
    close(fd);
}
END_TEST

START_TEST(the_narrow_reader_says_what_it_cannot_hold) {
    static const struct {
        const char *header, *says;
        size_t n_data;
    } narrow[] = {
        {"{\"a\\u0000b\":" ENTRY "}}", "tensor a: a name without NUL was wanted", 1},
        {"{\"x\":{\"dtype\":{\"U8\":null},\"shape\":[1],\"data_offsets\":[0,1]}}", "dtype-object", 1},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[0,9223372036854775808],\"data_offsets\":[0,0]}}",
         "shape[1]: below 2^63", 0},
        {"{\"x\":{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[0,1]}}", "unknown dtype F4", 1},
    };
    for (int i = 0; i < QP_COUNT(narrow); i++) {
        qp_st_file f;
        qp_st_scan s;
        ck_assert_int_eq(scan_text(narrow[i].header, narrow[i].n_data, &s), QP_OK);
        ck_assert_int_eq(qp_file_write_atomic(in_folder("n"), file, n_file, &err), QP_OK);
        ck_assert_int_eq(qp_st_open(in_folder("n"), arena, &f, &err), QP_CORRUPT);
        ck_assert_msg(strstr(err.msg, narrow[i].says) != NULL, "wanted '%s', got '%s'", narrow[i].says,
                      err.msg);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("scan");
    TCase *t = tcase_create("scan");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, every_header_is_taken_as_the_python_package_takes_it, 0, QP_COUNT(rows));
    tcase_add_loop_test(t, strict_refuses_what_the_format_forbids_and_names_the_rule, 0, QP_COUNT(rows));
    tcase_add_test(t, every_written_rule_has_a_row_that_trips_it);
    tcase_add_test(t, a_deviation_names_rule_tensor_and_byte);
    tcase_add_test(t, habits_are_noted_and_not_refused);
    tcase_add_test(t, names_with_nul_are_other_names_and_are_found);
    tcase_add_test(t, escapes_mean_what_json_says);
    tcase_add_test(t, of_a_name_twice_the_last_entry_counts);
    tcase_add_test(t, metadata_is_read_by_key_and_the_last_value_counts);
    tcase_add_test(t, every_dtype_has_its_size_in_bits);
    tcase_add_test(t, nesting_ends_at_127_levels);
    tcase_add_test(t, a_long_name_is_taken_and_cut_in_messages);
    tcase_add_test(t, memory_is_64_bytes_per_entry_whatever_the_header_holds);
    tcase_add_test(t, a_header_that_does_not_parse_costs_no_memory);
    tcase_add_test(t, a_character_is_not_completed_from_the_data);
    tcase_add_test(t, a_cut_file_never_reads_past_its_end);
    tcase_add_test(t, a_git_lfs_pointer_is_named_as_such);
    tcase_add_test(t, links_are_followed_and_loops_pipes_and_folders_refused);
    tcase_add_test(t, a_file_that_is_cut_while_open_is_an_error_and_not_a_signal);
    tcase_add_test(t, the_narrow_reader_says_what_it_cannot_hold);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
