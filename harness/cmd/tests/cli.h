// SPDX-License-Identifier: Apache-2.0
// The program as its users have it: started with words, its exit code, what it printed and its record brought
// back. For tests only. Every run gets folders below $QP_BUILD/tmp.
#ifndef CMD_TESTS_CLI_H
#define CMD_TESTS_CLI_H

#include <check.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/file.h"
#include "core/text.h"

enum { CLI_MAX_WORDS = 32 };

typedef struct cli_run {
    qp_arena *arena;
    const char *folder;         // of this test
    void (*before)(void *user); // runs in the child before the program, NULL = nothing
    void *user;
    const char *program; // NULL: $QP_BUILD/quantproof
    pid_t pid;
    int code;        // exit code, -N when signal N ended it
    char *out, *err; // what it printed
} cli_run;

static inline const char *cli_build(void) {
    const char *build = getenv("QP_BUILD");
    return build != NULL ? build : "build";
}

static inline const char *cli_text(qp_arena *a, const char *fmt, ...) {
    char buf[8192];
    const char *kept = NULL;
    va_list args;
    va_start(args, fmt);
    ck_assert_int_lt(vsnprintf(buf, sizeof buf, fmt, args), (int)sizeof buf);
    va_end(args);
    ck_assert(qp_arena_strdup(a, buf, &kept, NULL) == QP_OK);
    return kept;
}

// Opens the folder $QP_BUILD/tmp/TOPIC-PID that everything of one test lies in; cli_close removes it (a
// failed test leaves it).
static inline void cli_open(cli_run *r, const char *topic) {
    *r = (cli_run){.arena = qp_arena_new()};
    ck_assert_ptr_nonnull(r->arena);
    r->folder = cli_text(r->arena, "%s/tmp/%s-%ld", cli_build(), topic, (long)getpid());
    if (qp_file_exists(r->folder)) ck_assert(qp_dir_remove(r->folder, NULL) == QP_OK);
    ck_assert(qp_dir_make(r->folder, NULL) == QP_OK);
}

static inline void cli_close(cli_run *r) {
    (void)qp_dir_remove(r->folder, NULL);
    qp_arena_free(r->arena);
}

// A path in that folder.
static inline const char *cli_path(cli_run *r, const char *name) {
    return cli_text(r->arena, "%s/%s", r->folder, name);
}

// The same, made as a folder.
static inline const char *cli_dir(cli_run *r, const char *name) {
    const char *dir = cli_path(r, name);
    ck_assert(qp_dir_make(dir, NULL) == QP_OK);
    return dir;
}

static inline char *cli_read(qp_arena *a, const char *path) {
    char *text = NULL;
    size_t n = 0;
    qp_err err = {0};
    ck_assert_msg(qp_file_read(path, a, &text, &n, &err) == QP_OK, "%s", err.msg);
    return text;
}

static inline void cli_write(const char *path, const char *text) {
    qp_err err = {0};
    ck_assert_msg(qp_file_write_atomic(path, text, strlen(text), &err) == QP_OK, "%s", err.msg);
}

// Starts the program with the words up to NULL and does not wait.
static inline void cli_start_list(cli_run *r, va_list words) {
    char *argv[CLI_MAX_WORDS + 1];
    int n = 1;
    if (r->program == NULL) r->program = cli_text(r->arena, "%s/quantproof", cli_build());
    argv[0] = (char *)(uintptr_t)r->program;
    for (const char *w; (w = va_arg(words, const char *)) != NULL; n++) {
        ck_assert_int_lt(n, CLI_MAX_WORDS);
        argv[n] = (char *)(uintptr_t)w;
    }
    argv[n] = NULL;
    ck_assert_msg(qp_file_exists(r->program), "no program at %s: make builds it", r->program);
    const char *out = cli_path(r, "stdout"), *err = cli_path(r, "stderr");
    fflush(NULL);
    r->pid = fork();
    ck_assert_int_ge(r->pid, 0);
    if (r->pid > 0) return;
    bool ready = freopen("/dev/null", "r", stdin) != NULL && freopen(out, "w", stdout) != NULL &&
                 freopen(err, "w", stderr) != NULL;
    if (ready && r->before != NULL) r->before(r->user);
    if (ready) execv(argv[0], argv);
    _exit(126);
}

static inline void cli_wait(cli_run *r) {
    int status = 0;
    ck_assert_int_eq(waitpid(r->pid, &status, 0), r->pid);
    r->code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    r->out = cli_read(r->arena, cli_path(r, "stdout"));
    r->err = cli_read(r->arena, cli_path(r, "stderr"));
}

static inline __attribute__((sentinel)) void cli_start(cli_run *r, ...) {
    va_list words;
    va_start(words, r);
    cli_start_list(r, words);
    va_end(words);
}

static inline __attribute__((sentinel)) int cli(cli_run *r, ...) {
    va_list words;
    va_start(words, r);
    cli_start_list(r, words);
    va_end(words);
    cli_wait(r);
    return r->code;
}

static inline void cli_wants(const cli_run *r, int code) {
    ck_assert_msg(r->code == code, "exit code: wanted %d, got %d\n%s%s", code, r->code, r->out, r->err);
}

// Somewhere in what it printed, on either stream.
static inline void cli_says(const cli_run *r, const char *text) {
    bool said = strstr(r->out, text) != NULL || strstr(r->err, text) != NULL;
    ck_assert_msg(said, "wanted '%s' in:\n%s%s", text, r->out, r->err);
}

// ---- the record -----------------------------------------------------------------------------------------

// DIR/record.jsonl as an array, every line of it valid JSON. torn: the last line may lack its end; it is then
// left out.
static inline json_t *cli_record(qp_arena *a, const char *dir, bool torn) {
    char *text = cli_read(a, cli_text(a, "%s/record.jsonl", dir));
    json_t *all = json_array();
    for (char *line = text; *line != '\0';) {
        char *end = strchr(line, '\n');
        ck_assert_msg(end != NULL || torn, "%s: last line has no end: %s", dir, line);
        if (end == NULL) break;
        json_error_t why;
        json_t *o = json_loadb(line, (size_t)(end - line), 0, &why);
        ck_assert_msg(json_is_object(o), "%s: no JSON object: %.*s: %s", dir, (int)(end - line), line,
                      why.text);
        json_array_append_new(all, o);
        line = end + 1;
    }
    return all;
}

// The n-th event of that kind, NULL when there are fewer.
static inline json_t *cli_event(json_t *record, const char *event, int n) {
    size_t i;
    json_t *o;
    json_array_foreach(record, i, o) {
        if (strcmp(json_string_value(json_object_get(o, "event")), event) == 0 && n-- == 0) return o;
    }
    return NULL;
}

static inline int cli_events(json_t *record, const char *event) {
    int n = 0;
    while (cli_event(record, event, n) != NULL) n++;
    return n;
}

static inline const char *cli_field(json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s != NULL ? s : "";
}

// Exit code and name that the record itself keeps.
static inline void cli_record_wants(json_t *record, int code, const char *name) {
    json_t *o = cli_event(record, "finish", 0);
    ck_assert_msg(o != NULL, "the record has no event 'finish'");
    ck_assert_int_eq((int)json_integer_value(json_object_get(o, "exit_code")), code);
    ck_assert_str_eq(cli_field(o, "exit_name"), name);
}

#endif
