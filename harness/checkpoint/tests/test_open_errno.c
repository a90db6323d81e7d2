// SPDX-License-Identifier: Apache-2.0
// Opening while the system says no: call k of every function fails with every errno it may have, for every k
// until a run needs no k-th call. Linked with --wrap, as a test run by root sees no EACCES otherwise.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "checkpoint/tests/open_files.h"

typedef enum call { OPEN, FSTAT, STAT, LSTAT, MMAP, READ, OPENDIR, READDIR, ALLOC, CALLS } call;
static const char *const call_names[CALLS] = {"open", "fstat",   "stat",    "lstat",        "mmap",
                                              "read", "opendir", "readdir", "aligned_alloc"};

static struct { // the fault: call number k of one function, counted from 1; 0: none
    call which;
    int k, error, calls[CALLS];
    bool hit;
} fault;

static bool fails(call which) {
    fault.calls[which]++;
    if (fault.k == 0 || which != fault.which || fault.calls[which] != fault.k) return false;
    fault.hit = true;
    errno = fault.error;
    return true;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    const int mode = (flags & O_CREAT) != 0 ? va_arg(args, int) : 0;
    va_end(args);
    return fails(OPEN) ? -1 : __real_open(path, flags, mode);
}

int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st) {
    return fails(FSTAT) ? -1 : __real_fstat(fd, st);
}

int __real_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st) {
    return fails(STAT) ? -1 : __real_stat(path, st);
}

int __real_lstat(const char *path, struct stat *st);
int __wrap_lstat(const char *path, struct stat *st);
int __wrap_lstat(const char *path, struct stat *st) {
    return fails(LSTAT) ? -1 : __real_lstat(path, st);
}

void *__real_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset) {
    return fails(MMAP) ? MAP_FAILED : __real_mmap(at, n, prot, flags, fd, offset);
}

ssize_t __real_read(int fd, void *into, size_t n);
ssize_t __wrap_read(int fd, void *into, size_t n);
ssize_t __wrap_read(int fd, void *into, size_t n) {
    return fails(READ) ? -1 : __real_read(fd, into, n);
}

DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
DIR *__wrap_opendir(const char *path) {
    return fails(OPENDIR) ? NULL : __real_opendir(path);
}

struct dirent *__real_readdir(DIR *d);
struct dirent *__wrap_readdir(DIR *d);
struct dirent *__wrap_readdir(DIR *d) {
    return fails(READDIR) ? NULL : __real_readdir(d);
}

void *__real_aligned_alloc(size_t align, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n) {
    return fails(ALLOC) ? NULL : __real_aligned_alloc(align, n);
}

// ---- the runs
// -------------------------------------------------------------------------------------------------------------

static opened o;

static void setup(void) {
    files_make(&o);
    put_shard(&o, "a.safetensors", "a b", 0);
    put_shard(&o, "b.safetensors", "c d", 0);
    put_text(&o, "model.safetensors.index.json",
             "{\"weight_map\":{\"a\":\"a.safetensors\",\"b\":\"a.safetensors\",\"c\":\"b.safetensors\","
             "\"d\":\"b.safetensors\"}}");
    put_text(&o, "config.json", "{\"model_type\":\"x\"}");
    put_text(&o, "hf_quant_config.json", "{}");
}

static void teardown(void) {
    files_drop(&o);
}

static void run_with(call which, int k, int error) {
    qp_arena_free(o.arena);
    memset(&fault, 0, sizeof fault);
    o.arena = qp_arena_new();
    memset(&o.ckpt, 0, sizeof o.ckpt);
    fault.which = which;
    fault.error = error;
    fault.k = k;
    open_it(&o, "");
    fault.k = 0;
}

static int above_note(void) {
    int n = 0;
    for (size_t i = 0; i < o.findings.n; i++)
        n += qp_ck_rules[o.findings.list[i].rule].severity > QP_SEV_NOTE;
    return n;
}

// The errno's text, in the refusal or in a finding under the name of one of the files.
static bool said(const char *text) {
    static const char *const names[] = {"a.safetensors",
                                        "b.safetensors",
                                        "config.json",
                                        "hf_quant_config.json",
                                        "model.safetensors.index.json",
                                        "quantize_config.json",
                                        "quant_config.json"};
    if (o.status != QP_OK) return strstr(o.err.msg, o.folder) != NULL && strstr(o.err.msg, text) != NULL;
    for (int i = 0; i < QP_COUNT(names); i++)
        if (n_found(&o, QP_CK_FILE_FORMAT, names[i], text) == 1) return true;
    return false;
}

static const struct {
    call which;
    int error;
} faults[] = {
    {OPEN, EACCES},    {OPEN, EMFILE},  {OPEN, ENFILE},   {OPEN, EROFS},     {OPEN, ENOMEM},
    {OPEN, EIO},       {FSTAT, EIO},    {FSTAT, ENOMEM},  {STAT, EACCES},    {STAT, EIO},
    {STAT, ENOMEM},    {LSTAT, EACCES}, {LSTAT, EIO},     {MMAP, ENOMEM},    {MMAP, EACCES},
    {MMAP, ENODEV},    {READ, EIO},     {READ, EISDIR},   {OPENDIR, EACCES}, {OPENDIR, EMFILE},
    {OPENDIR, ENOMEM}, {READDIR, EIO},  {READDIR, EBADF},
};

START_TEST(every_call_that_fails_is_named_with_file_and_reason_and_the_rest_is_read) {
    const call which = faults[_i].which;
    int k = 1;
    for (;; k++) {
        run_with(which, k, faults[_i].error);
        if (!fault.hit) break;
        if (!said(strerror(faults[_i].error))) show_all(&o);
        ck_assert_msg(said(strerror(faults[_i].error)), "%s number %d: %s is said nowhere: %s",
                      call_names[which], k, strerror(faults[_i].error), o.err.msg);
        if (o.status != QP_OK) continue; // the folder itself
        ck_assert_int_ge(above_note(), 1);
        ck_assert_uint_ge(o.ckpt.n_tensors, 2); // one shard at most is lost
    }
    ck_assert_msg(k > 1, "%s is never called", call_names[which]);
    opens(&o, 4);
    finds_only(&o, 0);
}
END_TEST

START_TEST(an_interrupted_read_is_done_again) {
    int k = 1;
    for (;; k++) {
        run_with(READ, k, EINTR);
        opens(&o, 4);
        finds_only(&o, 0);
        if (!fault.hit) break;
    }
    ck_assert_int_gt(k, 3);
}
END_TEST

START_TEST(without_memory_it_ends_with_that_and_no_answer) {
    int k = 1;
    for (;; k++) {
        run_with(ALLOC, k, ENOMEM);
        if (!fault.hit) break;
        refuses(&o, QP_NOMEM, "no memory");
    }
    ck_assert_int_gt(k, 1);
    opens(&o, 4);
}
END_TEST

// The memory of the JSON library: a config that could not be held is never taken for one that is not there.
static int json_left;
static void *scarce(size_t n) {
    return json_left-- > 0 ? malloc(n) : NULL;
}

START_TEST(json_without_memory_is_never_an_absent_config) {
    int clean = -1;
    json_set_alloc_funcs(scarce, free);
    for (int most = 0; clean < 0 && most < 1000; most++) {
        json_left = most;
        run_with(CALLS, 0, 0);
        if (o.status == QP_OK && above_note() == 0) clean = most;
        if (clean < 0) qp_ck_close(&o.ckpt);
    }
    json_set_alloc_funcs(malloc, free);
    ck_assert_int_gt(clean, 10);
    opens(&o, 4);
    ck_assert_ptr_nonnull(o.ckpt.config.root);
    ck_assert_ptr_nonnull(o.ckpt.hf_quant.root);
    ck_assert_ptr_nonnull(o.ckpt.index.root);
}
END_TEST

int main(void) {
    Suite *s = suite_create("open_errno");
    TCase *c = tcase_create("open_errno");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, every_call_that_fails_is_named_with_file_and_reason_and_the_rest_is_read, 0,
                        QP_COUNT(faults));
    tcase_add_test(c, an_interrupted_read_is_done_again);
    tcase_add_test(c, without_memory_it_ends_with_that_and_no_answer);
    tcase_add_test(c, json_without_memory_is_never_an_absent_config);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed > 0;
}
