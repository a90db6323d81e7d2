// SPDX-License-Identifier: Apache-2.0
// Sharded checkpoints: index and files must agree, and the hash does not see how the tensors are cut into
// files.
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
    snprintf(folder, sizeof folder, "%s/tmp/set-%ld", build != NULL ? build : "build", (long)getpid());
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

static const uint16_t data[6] = {0x3f80, 0x4000, 0x8000, 0x7fc0, 0x0001, 0xbf80};
static const qp_st_tensor tensors[3] = {
    {.name = "a", .dtype = QP_BF16, .n_dims = 2, .dims = {2, 2}, .data = data, .n_bytes = 8},
    {.name = "b", .dtype = QP_BF16, .n_dims = 1, .dims = {1}, .data = data + 4, .n_bytes = 2},
    {.name = "c", .dtype = QP_FP16, .n_dims = 1, .dims = {1}, .data = data + 5, .n_bytes = 2},
};

static void write_text(const char *name, const char *text) {
    ck_assert_int_eq(qp_file_write_atomic(in_folder(name), text, strlen(text), &err), QP_OK);
}

static void write_two_shards(void) {
    ck_assert_int_eq(qp_st_write(in_folder("s1.safetensors"), &tensors[2], 1, NULL, 0, &err), QP_OK);
    ck_assert_int_eq(qp_st_write(in_folder("s2.safetensors"), tensors, 2, NULL, 0, &err), QP_OK);
}

static const char good_index[] = "{\"metadata\":{\"total_size\":12},\"weight_map\":{\"a\":\"s2.safetensors\","
                                 "\"b\":\"s2.safetensors\",\"c\":\"s1.safetensors\"}}";

static uint64_t hash_of(const char *path) {
    qp_st_set s;
    ck_assert_msg(qp_st_set_open(path, arena, &s, &err) == QP_OK, "%s", err.msg);
    uint64_t h = qp_st_set_hash(&s);
    qp_st_set_close(&s);
    return h;
}

START_TEST(a_sharded_folder_is_one_set) {
    qp_st_set s;
    const char *file = NULL;
    write_two_shards();
    write_text("model.safetensors.index.json", good_index);
    ck_assert_msg(qp_st_set_open(folder, arena, &s, &err) == QP_OK, "%s", err.msg);
    ck_assert_int_eq(s.n_files, 2);
    const qp_st_tensor *b = qp_st_set_find(&s, "b", &file);
    ck_assert_ptr_nonnull(b);
    ck_assert_int_eq(memcmp(b->data, data + 4, 2), 0);
    ck_assert_ptr_nonnull(strstr(file, "s2.safetensors"));
    ck_assert_ptr_null(qp_st_set_find(&s, "d", &file));
    qp_st_set_close(&s);
}
END_TEST

START_TEST(the_hash_sees_content_and_not_sharding) {
    write_two_shards();
    write_text("model.safetensors.index.json", good_index);
    uint64_t sharded = hash_of(folder);
    qp_st_tensor t[3] = {tensors[2], tensors[0], tensors[1]};
    const char *single = in_folder("one/model.safetensors");
    ck_assert_int_eq(qp_dir_make(in_folder("one"), &err), QP_OK);
    ck_assert_int_eq(qp_st_write(single, t, 3, NULL, 0, &err), QP_OK);
    ck_assert_uint_eq(hash_of(in_folder("one")), sharded);
    ck_assert_uint_eq(hash_of(single), sharded);
    for (int change = 0; change < 4; change++) {
        qp_st_tensor u[3] = {t[0], t[1], t[2]};
        if (change == 0) u[1].data = data + 1;               // bytes
        if (change == 1) u[1].dims[0] = 4, u[1].dims[1] = 1; // shape
        if (change == 2) u[1].dtype = QP_FP16;               // type
        if (change == 3) u[1].name = "A";                    // name
        ck_assert_int_eq(qp_st_write(single, u, 3, NULL, 0, &err), QP_OK);
        ck_assert_msg(hash_of(single) != sharded, "change %d was not seen", change);
    }
    ck_assert_int_eq(qp_st_write(single, t, 2, NULL, 0, &err), QP_OK);
    ck_assert_uint_ne(hash_of(single), sharded);
}
END_TEST

static const struct {
    const char *index, *says;
} bad[] = {
    {"{", "bad JSON"},
    {"{}", "weight_map: an object"},
    {"{\"weight_map\":{\"a\":7}}", "weight_map.a: a file name"},
    {"{\"weight_map\":{\"a\":\"../s2.safetensors\"}}",
     "a plain file name was wanted, got '../s2.safetensors'"},
    {"{\"weight_map\":{\"a\":\"sub/s2.safetensors\"}}",
     "a plain file name was wanted, got 'sub/s2.safetensors'"},
    {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n", "a Git LFS pointer"},
    {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "a plain file name"},
    {"{\"weight_map\":{\"a\":\"\"}}", "a plain file name"},
    {"{\"weight_map\":{\"a\":\"s3.safetensors\"}}", "s3.safetensors: missing"},
    {"{\"weight_map\":{\"a\":\"s2.safetensors\"}}", "tensor b is not in"},
    {"{\"weight_map\":{\"a\":\"s2.safetensors\",\"b\":\"s1.safetensors\",\"c\":\"s1.safetensors\"}}",
     "says s1.safetensors"},
    {"{\"weight_map\":{\"a\":\"s2.safetensors\",\"b\":\"s2.safetensors\",\"c\":\"s1.safetensors\",\"d\":\"s1."
     "safetensors\"}}",
     "tensor d: missing from s1.safetensors"},
    {"{\"weight_map\":{\"a\":\"s2.safetensors\",\"b\":\"s2.safetensors\",\"c\":\"dup.safetensors\",\"b2\":"
     "\"s1.safetensors\"}}",
     "is also in"},
};

START_TEST(an_index_that_lies_is_refused) {
    qp_st_set s;
    write_two_shards();
    ck_assert_int_eq(qp_st_write(in_folder("dup.safetensors"), &tensors[1], 2, NULL, 0, &err), QP_OK);
    write_text("model.safetensors.index.json", bad[_i].index);
    ck_assert_msg(qp_st_set_open(folder, arena, &s, &err) == QP_CORRUPT, "%s was taken", bad[_i].index);
    ck_assert_msg(strstr(err.msg, bad[_i].says) != NULL, "wanted '%s', got '%s'", bad[_i].says, err.msg);
    ck_assert_int_eq(s.n_files, 0);
}
END_TEST

START_TEST(a_truncated_shard_is_refused_by_its_name) {
    qp_st_set s;
    char *text;
    size_t n;
    write_two_shards();
    write_text("model.safetensors.index.json", good_index);
    ck_assert_int_eq(qp_file_read(in_folder("s2.safetensors"), arena, &text, &n, &err), QP_OK);
    ck_assert_int_eq(qp_file_write_atomic(in_folder("s2.safetensors"), text, n - 1, &err), QP_OK);
    ck_assert_int_eq(qp_st_set_open(folder, arena, &s, &err), QP_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.msg, "s2.safetensors"));
}
END_TEST

START_TEST(a_folder_without_a_model_is_refused) {
    qp_st_set s;
    ck_assert_int_eq(qp_st_set_open(folder, arena, &s, &err), QP_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.msg, "model.safetensors"));
    qp_err_clear(&err);
    ck_assert_int_eq(qp_st_set_open(in_folder("nowhere"), arena, &s, &err), QP_IO);
}
END_TEST

int main(void) {
    Suite *s = suite_create("set");
    TCase *t = tcase_create("set");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, a_sharded_folder_is_one_set);
    tcase_add_test(t, the_hash_sees_content_and_not_sharding);
    tcase_add_loop_test(t, an_index_that_lies_is_refused, 0, QP_COUNT(bad));
    tcase_add_test(t, a_truncated_shard_is_refused_by_its_name);
    tcase_add_test(t, a_folder_without_a_model_is_refused);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
