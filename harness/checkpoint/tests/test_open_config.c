// SPDX-License-Identifier: Apache-2.0
// Configs as they lie in the wild: read as Python reads them, or named with the place.
#include <fcntl.h>

#include "checkpoint/tests/open_files.h"

static opened o;

static void setup(void) {
    files_make(&o);
    put_shard(&o, "model.safetensors", "a b", 0);
    put_text(&o, "config.json", "{}");
}

static void teardown(void) {
    files_drop(&o);
}

static const struct {
    const char *text;
    size_t n;
    const char *says; // NULL: it is read
} configs[] = {
#define TEXT(t) t, sizeof(t) - 1
    {TEXT("{\"time_step_limit\":[0.0,Infinity],\"x\":-Infinity,\"y\":NaN}"), NULL},
    {TEXT("{\"t\":\"say \\\"NaN\\\"\",\"y\":NaN}"), NULL},
    {TEXT("{\"t\":\"\\\\\",\"y\":NaN}"), NULL},
    {TEXT("{\"a\":\"x\\u0000y\"}"), NULL},
    {TEXT("{\"a\":1,\"a\":2}"), NULL},
    {TEXT(""), "bad JSON"},
    {TEXT("{"), "line 1 column 1: bad JSON"},
    {TEXT("{}\n x"), "line 2 column 2: bad JSON"},
    {TEXT("[]"), "an object was wanted"},
    {TEXT("null"), "bad JSON"},
    {TEXT("{\"a\":\"\xff\"}"), "bad JSON"},
    {TEXT("{\"a\":\"\xed\xa0\x80\"}"), "bad JSON"},
    {TEXT("\xef\xbb\xbf{}"), "bad JSON"},
    {TEXT("{\"a\":\"x\0y\"}"), "bad JSON"},
    {TEXT("{\"a\\u0000b\":1}"), "bad JSON"},
    {TEXT("{\"a\":-NaN}"), "bad JSON"},
    {TEXT("{\"a\":Infinit}"), "bad JSON"},
#undef TEXT
};

START_TEST(configs_are_read_as_python_reads_them_or_named_with_their_place) {
    put_bytes(&o, "config.json", configs[_i].text, configs[_i].n);
    open_it(&o, "");
    opens(&o, 2);
    ck_assert_ptr_nonnull(o.ckpt.config.path);
    ck_assert_msg((o.ckpt.config.root != NULL) == (configs[_i].says == NULL), "%s", configs[_i].text);
    if (configs[_i].says != NULL) finds(&o, QP_CK_FILE_FORMAT, "config.json", configs[_i].says);
    finds_only(&o, configs[_i].says != NULL);
}
END_TEST

START_TEST(words_that_are_no_json_stay_where_they_are_text) {
    put_text(&o, "config.json", "{\"q\":\"\\\"\",\"a\":\"NaN Infinity\",\"b\":NaN,\"c\":\"-Infinity\"}");
    open_it(&o, "");
    const json_t *root = o.ckpt.config.root;
    ck_assert_ptr_nonnull(root);
    ck_assert_str_eq(json_string_value(json_object_get(root, "a")), "NaN Infinity");
    ck_assert_str_eq(json_string_value(json_object_get(root, "c")), "-Infinity");
    ck_assert(!json_is_string(json_object_get(root, "b")));
}
END_TEST

START_TEST(a_repeated_key_has_its_last_value) {
    put_text(&o, "config.json", "{\"a\":1,\"a\":2}");
    open_it(&o, "");
    ck_assert_int_eq((int)json_integer_value(json_object_get(o.ckpt.config.root, "a")), 2);
}
END_TEST

START_TEST(a_config_of_a_gigabyte_is_refused_unread) {
    const int fd = open(file_path(&o, "config.json"), O_WRONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)1 << 30), 0); // a hole
    close(fd);
    const size_t before = qp_arena_used(o.arena);
    open_it(&o, "");
    opens(&o, 2);
    finds(&o, QP_CK_FILE_FORMAT, "config.json", "the file has 1073741824");
    ck_assert_uint_lt(qp_arena_used(o.arena) - before, 1u << 16);
}
END_TEST

int main(void) {
    Suite *s = suite_create("open_config");
    TCase *c = tcase_create("open_config");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, configs_are_read_as_python_reads_them_or_named_with_their_place, 0,
                        QP_COUNT(configs));
    tcase_add_test(c, words_that_are_no_json_stay_where_they_are_text);
    tcase_add_test(c, a_repeated_key_has_its_last_value);
    tcase_add_test(c, a_config_of_a_gigabyte_is_refused_unread);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed > 0;
}
