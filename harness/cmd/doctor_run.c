// SPDX-License-Identifier: Apache-2.0
// Doctor's runs: one line, one subject, one stage table, one switched-off check, each in a run environment of
// its own.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/doctor.h"
#include "core/file.h"

enum { CASE_SECONDS = 120 };

static qp_status find_plugin(qp_arena *a, const char **out, qp_err *err) {
    char exe[1024];
    const ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n <= 0) QP_FAIL(QP_BROKEN, "doctor: cannot find the program's own folder");
    exe[n] = '\0';
    char *slash = strrchr(exe, '/');
    *slash = '\0';
    QP_TRY(qp_arena_printf(a, out, err, "%s/plugins/mutants.so", exe));
    if (!qp_file_exists(*out)) QP_FAIL(QP_BROKEN, "doctor: no mutant plug-in at %s (run make)", *out);
    return QP_OK;
}

qp_status qp_doctor_open(qp_doctor *d, qp_err *err) {
    char folder[] = "/tmp/quantproof-doctor-XXXXXX";
    d->arena = qp_arena_new();
    if (d->arena == NULL) QP_FAIL(QP_NOMEM, "no memory");
    QP_TRY(qp_data_dir(d->arena, &d->data_dir, err));
    QP_TRY(find_plugin(d->arena, &d->plugin, err));
    QP_TRY(qp_device_open("cpu", d->arena, &d->device, err));
    if (mkdtemp(folder) == NULL) QP_FAIL(QP_IO, "cannot make %s", folder);
    return qp_arena_strdup(d->arena, folder, &d->scratch, err);
}

void qp_doctor_close(qp_doctor *d) {
    qp_err ignored = {0};
    if (d->scratch) (void)qp_dir_remove(d->scratch, &ignored);
    if (d->device) qp_device_close(d->device);
    qp_arena_free(d->arena);
}

static qp_status copy_digests(const qp_run_env *e, qp_arena *a, qp_doctor_run *out, qp_err *err) {
    const qp_digest *from;
    qp_digest *to;
    qp_run_digests(e, &from, &out->n_digests);
    QP_TRY(QP_NEW(a, to, out->n_digests + 1));
    for (int64_t i = 0; i < out->n_digests; i++) {
        to[i] = from[i];
        QP_TRY(qp_arena_strdup(a, from[i].stage, &to[i].stage, err));
        QP_TRY(qp_arena_strdup(a, from[i].fqn, &to[i].fqn, err));
        QP_TRY(qp_arena_strdup(a, from[i].field, &to[i].field, err));
    }
    out->digests = to;
    return QP_OK;
}

static qp_status run_line(qp_doctor *d, const char *line, const char *subject, const qp_stage_table *stages,
                          const char *off, qp_arena *a, qp_doctor_run *out, qp_err *err) {
    qp_run_env *env = NULL;
    qp_subject *s = NULL;
    qp_case_list list = {0};
    qp_status status = QP_OK;
    memset(out, 0, sizeof *out);
    QP_TRY(qp_case_parse(line, "doctor", a, &list, err));
    if (list.n != 1) QP_FAIL(QP_BROKEN, "doctor: '%s' is %d cases, wanted one", line, list.n);
    QP_TRY(qp_subject_open(subject, d->device, a, &s, err));
    const qp_run_settings settings = {.data_dir = d->data_dir,
                                      .scratch = d->scratch,
                                      .device = d->device,
                                      .subject = s,
                                      .timeout_s = CASE_SECONDS,
                                      .stages = stages,
                                      .switched_off = off};
    QP_TRY_GOTO(status, qp_run_env_new(&settings, &env, err), out);
    QP_TRY_GOTO(status, qp_run_case(env, &list.cases[0], a, &out->result, err), out);
    QP_TRY_GOTO(status, copy_digests(env, a, out, err), out);
out:
    qp_run_env_free(env);
    qp_subject_close(s);
    return status;
}

static qp_status subject_of(qp_doctor *d, const char *variant, qp_arena *a, const char **out, qp_err *err) {
    *out = "builtin";
    return variant ? qp_arena_printf(a, out, err, "%s:%s", d->plugin, variant) : QP_OK;
}

qp_status qp_doctor_clean(qp_doctor *d, const qp_mutant *m, qp_arena *a, qp_doctor_run *out, qp_err *err) {
    const char *subject;
    QP_TRY(subject_of(d, m->variant ? "good" : NULL, a, &subject, err));
    return run_line(d, m->case_line, subject, NULL, NULL, a, out, err);
}

qp_status qp_doctor_sick(qp_doctor *d, const qp_mutant *m, const char *off, qp_arena *a, qp_doctor_run *out,
                         qp_err *err) {
    qp_stage_table table = qp_stages_default;
    const char *subject;
    if (m->override) m->override(&table);
    QP_TRY(subject_of(d, m->variant, a, &subject, err));
    return run_line(d, m->sinful_line ? m->sinful_line : m->case_line, subject, m->override ? &table : NULL,
                    off, a, out, err);
}

qp_status qp_doctor_line(qp_doctor *d, const char *line, const qp_stage_table *stages, const char *off,
                         qp_arena *a, qp_doctor_run *out, qp_err *err) {
    return run_line(d, line, "builtin", stages, off, a, out, err);
}

// The order of qp_digest_sort.
static int compare(const qp_digest *a, const qp_digest *b) {
    int c = strcmp(a->stage, b->stage);
    if (c == 0) c = strcmp(a->fqn, b->fqn);
    if (c == 0) c = strcmp(a->field, b->field);
    const int64_t keys[][2] = {{a->global_row, b->global_row},
                               {a->col0, b->col0},
                               {a->n_rows, b->n_rows},
                               {a->n_cols, b->n_cols},
                               {a->rank, b->rank}};
    for (int i = 0; i < QP_COUNT(keys) && c == 0; i++)
        c = (keys[i][0] > keys[i][1]) - (keys[i][0] < keys[i][1]);
    return c;
}

int64_t qp_digests_changed(const qp_digest *a, int64_t n_a, const qp_digest *b, int64_t n_b) {
    int64_t n = 0, i = 0, k = 0;
    while (i < n_a || k < n_b) {
        const int c = i == n_a ? 1 : k == n_b ? -1 : compare(&a[i], &b[k]);
        n += c != 0 || a[i].sum != b[k].sum;
        i += c <= 0;
        k += c >= 0;
    }
    return n;
}
