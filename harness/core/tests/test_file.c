// SPDX-License-Identifier: Apache-2.0
// Files that appear whole or not at all, also on a full disk; folders made and removed.
#include "core/file.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static qp_arena *arena;
static qp_err err;
static char folder[512];

static void set_up(void) {
    const char *build = getenv("QP_BUILD");
    memset(&err, 0, sizeof err);
    arena = qp_arena_new();
    snprintf(folder, sizeof folder, "%s/tmp/core-file-%ld", build != NULL ? build : "build", (long)getpid());
    ck_assert_msg(qp_dir_make(folder, &err) == QP_OK, "%s", err.msg);
}

static void tear_down(void) {
    ck_assert_msg(qp_dir_remove(folder, &err) == QP_OK, "%s", err.msg);
    qp_arena_free(arena);
}

static const char *in_folder(const char *name) {
    const char *path = NULL;
    ck_assert_int_eq(qp_arena_printf(arena, &path, &err, "%s/%s", folder, name), QP_OK);
    return path;
}

static int files_in(const char *path) {
    int n = 0;
    DIR *d = opendir(path);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void expect_content(const char *path, const char *want) {
    char *text;
    size_t n;
    qp_err e = {0};
    ck_assert_msg(qp_file_read(path, arena, &text, &n, &e) == QP_OK, "%s", e.msg);
    ck_assert_uint_eq(n, strlen(want));
    ck_assert_str_eq(text, want);
}

START_TEST(what_was_written_is_read_back) {
    const char *path = in_folder("a");
    char all[256], *text;
    size_t n;
    for (int i = 0; i < 256; i++) all[i] = (char)i;
    ck_assert_int_eq(qp_file_write_atomic(path, all, sizeof all, &err), QP_OK);
    ck_assert_int_eq(qp_file_read(path, arena, &text, &n, &err), QP_OK);
    ck_assert_uint_eq(n, 256);
    ck_assert_int_eq(memcmp(text, all, 256), 0);
    ck_assert_int_eq(text[256], 0);
    ck_assert_int_eq(qp_file_write_atomic(path, "", 0, &err), QP_OK);
    expect_content(path, "");
    ck_assert_int_eq(files_in(folder), 1);
}
END_TEST

START_TEST(a_pipe_is_read_to_its_end) {
    const char *path = in_folder("fifo");
    char *text;
    size_t n;
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    if (fork() == 0) {
        int fd = open(path, O_WRONLY);
        char piece[10000];
        memset(piece, 'p', sizeof piece);
        for (int i = 0; i < 7; i++)
            if (write(fd, piece, sizeof piece) != (ssize_t)sizeof piece) _exit(1);
        _exit(0);
    }
    ck_assert_int_eq(qp_file_read(path, arena, &text, &n, &err), QP_OK);
    ck_assert_uint_eq(n, 70000);
    ck_assert_int_eq(text[69999], 'p');
}
END_TEST

START_TEST(an_error_names_the_path_and_what_the_system_said) {
    char *text;
    size_t n;
    ck_assert_int_eq(qp_file_read(in_folder("missing"), arena, &text, &n, &err), QP_IO);
    ck_assert_ptr_nonnull(strstr(err.msg, "missing"));
    ck_assert_ptr_nonnull(strstr(err.msg, strerror(ENOENT)));
    qp_err_clear(&err);
    ck_assert_int_eq(qp_file_read(folder, arena, &text, &n, &err), QP_IO);
    ck_assert_ptr_nonnull(strstr(err.msg, "folder"));
    qp_err_clear(&err);
    ck_assert_int_eq(qp_file_write_atomic(in_folder("no/such/folder"), "x", 1, &err), QP_IO);
    ck_assert_ptr_nonnull(strstr(err.msg, "no/such/folder"));
    qp_err_clear(&err);
    char longest[2000];
    memset(longest, 'n', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    ck_assert_int_eq(qp_file_write_atomic(longest, "x", 1, &err), QP_USAGE);
}
END_TEST

START_TEST(a_file_has_its_name_only_after_the_commit) {
    const char *path = in_folder("late");
    qp_atomic_file f;
    ck_assert_int_eq(qp_atomic_open(&f, path, &err), QP_OK);
    ck_assert_int_eq(qp_atomic_write(&f, "one ", 4, &err), QP_OK);
    ck_assert_int_eq(qp_atomic_write(&f, "two", 3, &err), QP_OK);
    ck_assert(!qp_file_exists(path));
    ck_assert_int_eq(qp_atomic_commit(&f, &err), QP_OK);
    expect_content(path, "one two");
    qp_atomic_abort(&f);
    expect_content(path, "one two");
    ck_assert_int_eq(files_in(folder), 1);
}
END_TEST

START_TEST(an_abort_leaves_the_old_file_and_no_temporary) {
    const char *path = in_folder("kept");
    qp_atomic_file f, g;
    ck_assert_int_eq(qp_file_write_atomic(path, "old", 3, &err), QP_OK);
    ck_assert_int_eq(qp_atomic_open(&f, path, &err), QP_OK);
    ck_assert_int_eq(qp_atomic_open(&g, path, &err), QP_OK); // two writers of one name have two temporaries
    ck_assert_str_ne(f.temp, g.temp);
    ck_assert_int_eq(qp_atomic_write(&f, "new", 3, &err), QP_OK);
    qp_atomic_abort(&f);
    qp_atomic_abort(&g);
    qp_atomic_abort(&g);
    expect_content(path, "old");
    ck_assert_int_eq(files_in(folder), 1);
}
END_TEST

START_TEST(a_write_to_a_full_device_says_so) {
    qp_atomic_file f = {.fd = open("/dev/full", O_WRONLY), .path = "full-device"};
    ck_assert_int_ge(f.fd, 0);
    ck_assert_int_eq(qp_atomic_write(&f, "x", 1, &err), QP_IO);
    ck_assert_ptr_nonnull(strstr(err.msg, "full-device"));
    ck_assert_ptr_nonnull(strstr(err.msg, strerror(ENOSPC)));
    qp_atomic_abort(&f);
}
END_TEST

// Short writes until the limit, then the failure: the path a disk takes that fills up.
START_TEST(a_write_that_hits_a_limit_halfway_leaves_the_old_file_and_no_temporary) {
    const char *path = in_folder("limited");
    static char big[1 << 16];
    struct rlimit limit = {10000, 10000};
    memset(big, 'b', sizeof big);
    ck_assert_int_eq(qp_file_write_atomic(path, "old", 3, &err), QP_OK);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(qp_file_write_atomic(path, big, sizeof big, &err), QP_IO);
    ck_assert_ptr_nonnull(strstr(err.msg, "limited"));
    ck_assert_ptr_nonnull(strstr(err.msg, "55536 of 65536 bytes left"));
    ck_assert_ptr_nonnull(strstr(err.msg, strerror(EFBIG)));
    expect_content(path, "old");
    ck_assert_int_eq(files_in(folder), 1);
}
END_TEST

static bool mount_small_disk(const char *path) {
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    (void)mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    return mount("tmpfs", path, "tmpfs", 0, "size=65536") == 0;
}

START_TEST(a_full_disk_leaves_the_old_file_and_no_temporary) {
    const char *disk = in_folder("disk"), *path = in_folder("disk/file");
    static char big[1 << 20];
    ck_assert_int_eq(qp_dir_make(disk, &err), QP_OK);
    if (!mount_small_disk(disk)) {
        printf("SKIP a_full_disk_leaves_the_old_file_and_no_temporary: mounting a small disk is not allowed "
               "here\n");
        return;
    }
    ck_assert_int_eq(qp_file_write_atomic(path, "old", 3, &err), QP_OK);
    ck_assert_int_eq(qp_file_write_atomic(path, big, sizeof big, &err), QP_IO);
    ck_assert_ptr_nonnull(strstr(err.msg, "disk/file"));
    ck_assert_ptr_nonnull(strstr(err.msg, strerror(ENOSPC)));
    expect_content(path, "old");
    ck_assert_int_eq(files_in(disk), 1);
    qp_err_clear(&err);
    ck_assert_msg(qp_file_write_atomic(path, "new", 3, &err) == QP_OK, "the space was not given back: %s",
                  err.msg);
    expect_content(path, "new");
    ck_assert_int_eq(umount(disk), 0);
}
END_TEST

START_TEST(folders_are_made_with_their_parents_and_removed_with_their_content) {
    const char *deep = in_folder("x/y//z/"), *link = in_folder("x/link"), *outside = in_folder("outside");
    ck_assert_int_eq(qp_dir_make(deep, &err), QP_OK);
    ck_assert_int_eq(qp_dir_make(deep, &err), QP_OK);
    ck_assert_int_eq(qp_dir_make(outside, &err), QP_OK);
    ck_assert_int_eq(qp_file_write_atomic(in_folder("outside/precious"), "1", 1, &err), QP_OK);
    ck_assert_int_eq(qp_file_write_atomic(in_folder("x/y/f"), "1", 1, &err), QP_OK);
    char *target = realpath(outside, NULL);
    ck_assert_int_eq(symlink(target, link), 0);
    free(target);
    ck_assert_int_eq(qp_dir_remove(in_folder("x/"), &err), QP_OK);
    ck_assert(!qp_file_exists(in_folder("x")));
    expect_content(in_folder("outside/precious"), "1");
    ck_assert_int_eq(qp_dir_remove(in_folder("never-there"), &err), QP_OK);
    ck_assert_int_eq(qp_dir_make(in_folder("outside/precious/below"), &err), QP_IO);
}
END_TEST

START_TEST(the_root_and_the_nameless_are_never_removed) {
    static const char *const bad[] = {"", "/", "//", ".", "..", "./", "../", "a/.."};
    for (int i = 0; i < QP_COUNT(bad); i++) {
        qp_err_clear(&err);
        ck_assert_msg(qp_dir_remove(bad[i], &err) == QP_USAGE, "'%s' was taken", bad[i]);
    }
}
END_TEST

START_TEST(the_hash_is_xxh3) {
    ck_assert_uint_eq(qp_hash64("", 0, 0), 0x2d06800538d394c2u); // published value of XXH3_64bits("")
    ck_assert_uint_ne(qp_hash64("a", 1, 0), qp_hash64("a", 1, 1));
}
END_TEST

int main(void) {
    Suite *s = suite_create("file");
    TCase *t = tcase_create("file");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, what_was_written_is_read_back);
    tcase_add_test(t, a_pipe_is_read_to_its_end);
    tcase_add_test(t, an_error_names_the_path_and_what_the_system_said);
    tcase_add_test(t, a_file_has_its_name_only_after_the_commit);
    tcase_add_test(t, an_abort_leaves_the_old_file_and_no_temporary);
    tcase_add_test(t, a_write_to_a_full_device_says_so);
    tcase_add_test(t, a_write_that_hits_a_limit_halfway_leaves_the_old_file_and_no_temporary);
    tcase_add_test(t, a_full_disk_leaves_the_old_file_and_no_temporary);
    tcase_add_test(t, folders_are_made_with_their_parents_and_removed_with_their_content);
    tcase_add_test(t, the_root_and_the_nameless_are_never_removed);
    tcase_add_test(t, the_hash_is_xxh3);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
