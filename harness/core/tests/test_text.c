// SPDX-License-Identifier: Apache-2.0
// Texts, parsers, nearest spelling, wildcards; arena and error trail beside them.
#include "core/text.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(the_first_failure_is_kept_and_every_caller_adds_its_place) {
    qp_err err = {0};
    ck_assert_int_eq(qp_err_set(&err, QP_IO, "a.c", 1, "first %d", 7), QP_IO);
    ck_assert_int_eq(qp_err_set(&err, QP_USAGE, "b.c", 2, "second"), QP_USAGE);
    qp_err_trail(&err, "c.c", 3);
    ck_assert_int_eq(err.code, QP_IO);
    ck_assert_str_eq(err.msg, "first 7");
    ck_assert_int_eq(err.n_trail, 2);
    ck_assert_str_eq(err.trail[1].file, "c.c");
    qp_err_prefix(&err, "file %s", "x.yaml");
    ck_assert_str_eq(err.msg, "file x.yaml: first 7");
    qp_err_clear(&err);
    ck_assert_int_eq(err.code, QP_OK);
    for (int i = 0; i < 2 * QP_ERR_TRAIL; i++) qp_err_trail(&err, "d.c", i);
    ck_assert_int_eq(err.n_trail, QP_ERR_TRAIL);
}
END_TEST

START_TEST(a_message_longer_than_its_room_is_cut_and_not_overrun) {
    qp_err err = {0};
    char word[2 * QP_ERR_MSG];
    memset(word, 'w', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    qp_err_set(&err, QP_IO, "a.c", 1, "%s", word);
    ck_assert_uint_eq(strlen(err.msg), QP_ERR_MSG - 1);
    qp_err_prefix(&err, "%s", word);
    ck_assert_uint_lt(strlen(err.msg), QP_ERR_MSG);
}
END_TEST

START_TEST(every_status_has_a_name_of_its_own) {
    for (int a = 0; a < QP_STATUS_COUNT; a++) {
        ck_assert_str_ne(qp_status_name((qp_status)a), "?");
        for (int b = 0; b < a; b++)
            ck_assert_str_ne(qp_status_name((qp_status)a), qp_status_name((qp_status)b));
    }
}
END_TEST

static bool holds_only(const unsigned char *p, size_t n, unsigned char want) {
    for (size_t k = 0; k < n; k++)
        if (p[k] != want) return false;
    return true;
}

START_TEST(arena_memory_is_zeroed_aligned_and_never_shared) {
    qp_err err = {0};
    qp_arena *a = qp_arena_new();
    ck_assert_ptr_nonnull(a);
    enum { N = 200 };
    unsigned char *p[N];
    size_t size[N];
    for (int i = 0; i < N; i++) {
        size[i] = (size_t)(i * i * 7 % 40000);
        ck_assert_int_eq(qp_arena_get(a, size[i], &p[i], &err), QP_OK);
        ck_assert_uint_eq((uintptr_t)p[i] % 64, 0);
        ck_assert(holds_only(p[i], size[i], 0));
        memset(p[i], i + 1, size[i]);
    }
    for (int i = 0; i < N; i++) ck_assert(holds_only(p[i], size[i], (unsigned char)(i + 1)));
    ck_assert_uint_gt(qp_arena_used(a), 0);
    qp_arena_reset(a);
    ck_assert_uint_eq(qp_arena_used(a), 0);
    ck_assert_int_eq(qp_arena_get(a, SIZE_MAX - 8, &p[0], &err), QP_NOMEM);
    qp_arena_free(a);
}
END_TEST

START_TEST(a_text_grows_and_stays_terminated) {
    qp_err err = {0};
    qp_arena *a = qp_arena_new();
    qp_text t = {.arena = a};
    for (int i = 0; i < 1000; i++) ck_assert_int_eq(qp_text_add(&t, &err, "%03d,", i), QP_OK);
    ck_assert_uint_eq(t.n, 4000);
    ck_assert_uint_eq(strlen(t.s), 4000);
    ck_assert_int_eq(strncmp(t.s + 4 * 777, "777,778,", 8), 0);
    ck_assert_int_eq(qp_text_add_bytes(&t, "a\0b", 3, &err), QP_OK);
    ck_assert_int_eq(memcmp(t.s + 4000, "a\0b", 4), 0);
    qp_text empty = {.arena = a};
    ck_assert_int_eq(qp_text_add_bytes(&empty, NULL, 0, &err), QP_OK);
    ck_assert_str_eq(empty.s, "");
    qp_arena_free(a);
}
END_TEST

START_TEST(a_number_is_the_whole_word_or_nothing) {
    int64_t i = 5;
    uint64_t u = 5;
    ck_assert(qp_parse_i64("-9223372036854775808", &i) && i == INT64_MIN);
    ck_assert(qp_parse_i64("9223372036854775807", &i) && i == INT64_MAX);
    ck_assert(qp_parse_i64("+12", &i) && i == 12);
    const char *const bad[] = {
        "", "-", "+", "1 ", " 1", "1x", "--1", "9223372036854775808", "-9223372036854775809", "0x10", "1e3"};
    for (int k = 0; k < QP_COUNT(bad); k++)
        ck_assert_msg(!qp_parse_i64(bad[k], &i), "'%s' was taken", bad[k]);
    ck_assert(qp_parse_u64("18446744073709551615", &u) && u == UINT64_MAX);
    ck_assert(qp_parse_u64("0xffffffffFFFFFFFF", &u) && u == UINT64_MAX);
    ck_assert(!qp_parse_u64("18446744073709551616", &u) && !qp_parse_u64("0x10000000000000000", &u));
    ck_assert(!qp_parse_u64("-1", &u) && !qp_parse_u64("0x", &u) && !qp_parse_u64("", &u));
    ck_assert(qp_parse_hex("3f8f", 4, &u) && u == 0x3f8f);
    ck_assert(qp_parse_hex("ffffffffffffffff", 16, &u) && u == UINT64_MAX);
    ck_assert(!qp_parse_hex("3f8", 4, &u) && !qp_parse_hex("3f8f0", 4, &u) && !qp_parse_hex("3f8g", 4, &u));
    ck_assert(!qp_parse_hex("", 0, &u) && !qp_parse_hex("-f8f", 4, &u));
}
END_TEST

START_TEST(a_size_takes_binary_units_and_refuses_overflow) {
    uint64_t u;
    ck_assert(qp_parse_size("1024", &u) && u == 1024);
    ck_assert(qp_parse_size("64M", &u) && u == 64u << 20);
    ck_assert(qp_parse_size("2G", &u) && u == 2ull << 30);
    ck_assert(qp_parse_size("3K", &u) && u == 3072);
    ck_assert(qp_parse_size("1T", &u) && u == 1ull << 40);
    const char *const bad[] = {"", "M", "1X", "1MM", "-1M", "1.5G", "99999999999T", " 1M", "1m"};
    for (int k = 0; k < QP_COUNT(bad); k++)
        ck_assert_msg(!qp_parse_size(bad[k], &u), "'%s' was taken", bad[k]);
}
END_TEST

START_TEST(the_nearest_spelling_is_near_or_nobody) {
    static const char *const words[] = {"recipe", "rows", "seed", "tokens", "layers"};
    ck_assert_int_eq(qp_edit_distance("kitten", "sitting"), 3);
    ck_assert_int_eq(qp_edit_distance("", "abc"), 3);
    ck_assert_int_eq(qp_edit_distance("same", "same"), 0);
    ck_assert_int_eq(qp_edit_distance("cdua", "cuda"), 1);
    ck_assert_int_eq(qp_edit_distance("abcd", "badc"), 2);
    ck_assert_str_eq(qp_nearest("recipie", words, QP_COUNT(words)), "recipe");
    ck_assert_str_eq(qp_nearest("sede", words, QP_COUNT(words)), "seed");
    ck_assert_str_eq(qp_nearest("row", words, QP_COUNT(words)), "rows");
    ck_assert_ptr_null(qp_nearest("temperature", words, QP_COUNT(words)));
    ck_assert_ptr_null(qp_nearest("x", words, 0));
    char longest[1000];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    ck_assert_int_eq(qp_edit_distance(longest, "a"), 254);
}
END_TEST

START_TEST(a_wildcard_covers_the_whole_name) {
    static const struct {
        const char *pattern, *name;
        bool match;
    } rows[] = {
        {"*", "", true},
        {"*", "abc", true},
        {"", "", true},
        {"", "a", false},
        {"*weight_quantizer", "layers.0.q.weight_quantizer", true},
        {"*weight_quantizer", "layers.0.q.weight_quantizer.x", false},
        {"*.experts.*.up_proj", "m.experts.12.up_proj", true},
        {"*.experts.*.up_proj", "m.experts.12.gate_up_proj", false},
        {"*lm_head*", "lm_head.weight", true},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"?", "", false},
        {"*a*b*c", "xxaxxbxxbxxc", true},
        {"*a*b*c", "xxaxxcxxb", false},
        {"ab*ba", "aba", false},
        {"A*", "abc", false},
    };
    for (int i = 0; i < QP_COUNT(rows); i++)
        ck_assert_msg(qp_wildcard(rows[i].pattern, rows[i].name) == rows[i].match, "%s on %s",
                      rows[i].pattern, rows[i].name);
}
END_TEST

START_TEST(a_wildcard_of_many_stars_ends_soon) {
    char name[20001];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    ck_assert(!qp_wildcard("*a*a*a*a*a*a*a*a*a*a*b", name));
}
END_TEST

int main(void) {
    Suite *s = suite_create("text");
    TCase *t = tcase_create("text");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, the_first_failure_is_kept_and_every_caller_adds_its_place);
    tcase_add_test(t, a_message_longer_than_its_room_is_cut_and_not_overrun);
    tcase_add_test(t, every_status_has_a_name_of_its_own);
    tcase_add_test(t, arena_memory_is_zeroed_aligned_and_never_shared);
    tcase_add_test(t, a_text_grows_and_stays_terminated);
    tcase_add_test(t, a_number_is_the_whole_word_or_nothing);
    tcase_add_test(t, a_size_takes_binary_units_and_refuses_overflow);
    tcase_add_test(t, the_nearest_spelling_is_near_or_nobody);
    tcase_add_test(t, a_wildcard_covers_the_whole_name);
    tcase_add_test(t, a_wildcard_of_many_stars_ends_soon);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
