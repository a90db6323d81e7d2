// SPDX-License-Identifier: Apache-2.0
// Writes the record: one JSON object a line, each written with one write(2), so that a killed run leaves
// whole lines and at most one torn last line. Events: run, begin, end, bad-line, finish. Reading it again is
// log.c.
#include "report/report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "qp/format.h"
#include "report/log.h"

struct qp_record {
    int fd;
    char path[1100];
};

// Takes ownership of line.
static qp_status write_line(qp_record *r, json_t *line, qp_err *err) {
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(line);
    if (text == NULL)
        QP_FAIL(QP_NOMEM, "%s: a record line could not be made (out of memory, or text that is not UTF-8)",
                r->path);
    size_t n = strlen(text), done = 0;
    text[n++] = '\n'; // takes the place of the terminator
    qp_status status = QP_OK;
    while (done < n && status == QP_OK) {
        ssize_t w = write(r->fd, text + done, n - done);
        if (w > 0) done += (size_t)w;
        if (w < 0 && errno != EINTR)
            status = qp_err_set(err, QP_IO, __FILE__, __LINE__, "%s: write: %s", r->path, strerror(errno));
    }
    free(text);
    return status;
}

// Text from outside may hold bytes that are no UTF-8 (a case line typed by hand): those bytes become '?'.
static json_t *text_json(const char *s) {
    if (s == NULL) return json_null();
    json_t *j = json_string(s);
    if (j != NULL) return j;
    size_t n = strlen(s);
    char *clean = malloc(n + 1);
    if (clean == NULL) return json_null();
    for (size_t i = 0; i <= n; i++) clean[i] = (unsigned char)s[i] < 128 ? s[i] : '?';
    j = json_string(clean);
    free(clean);
    return j;
}

static json_t *settings_json(const qp_provenance *p) {
    json_t *o = json_object();
    for (int i = 0; i < p->n_settings; i++)
        json_object_set_new(o, p->settings[i][0], text_json(p->settings[i][1]));
    return o;
}

static json_t *set_json(const uint64_t set[4]) {
    json_t *a = json_array();
    for (int i = 0; i < 4; i++) {
        char hex[20];
        snprintf(hex, sizeof hex, "%016" PRIx64, set[i]);
        json_array_append_new(a, json_string(hex));
    }
    return a;
}

static json_t *coverage_json(const qp_coverage *c) {
    json_t *o = json_object();
    json_object_set_new(o, "elements", json_integer((json_int_t)c->n_elems));
    json_object_set_new(o, "codes", set_json(c->codes));
    json_object_set_new(o, "scale_bytes", set_json(c->scale_bytes));
    json_object_set_new(o, "code_ties", json_integer((json_int_t)c->n_code_ties));
    json_object_set_new(o, "scale_ties", json_integer((json_int_t)c->n_scale_ties));
    json_object_set_new(o, "saturated", json_integer((json_int_t)c->n_saturated));
    json_object_set_new(o, "subnormal", json_integer((json_int_t)c->n_subnormal));
    json_object_set_new(o, "zero_blocks", json_integer((json_int_t)c->n_zero_blocks));
    json_object_set_new(o, "nan", json_integer((json_int_t)c->n_nan));
    json_object_set_new(o, "inf", json_integer((json_int_t)c->n_inf));
    return o;
}

static json_t *finding_json(const qp_finding *f) {
    json_t *o = json_object();
    json_object_set_new(o, "check", text_json(f->check));
    json_object_set_new(o, "verdict", json_string(qp_verdict_name(f->verdict)));
    json_object_set_new(o, "reason", json_string(qp_reason_name(f->reason)));
    json_object_set_new(o, "judged", json_integer(f->n_judged));
    json_object_set_new(o, "diff", json_integer(f->n_diff));
    if (f->max_ulp != 0) json_object_set_new(o, "max_ulp", json_integer(f->max_ulp));
    bool any = false;
    for (int i = 0; i < QP_DIST_BINS; i++) any = any || f->dist[i] != 0;
    if (any) {
        json_t *a = json_array();
        for (int i = 0; i < QP_DIST_BINS; i++) json_array_append_new(a, json_integer(f->dist[i]));
        json_object_set_new(o, "dist", a);
    }
    if (f->where[0] != '\0') json_object_set_new(o, "where", text_json(f->where));
    if (f->want[0] != '\0') json_object_set_new(o, "want", text_json(f->want));
    if (f->got[0] != '\0') json_object_set_new(o, "got", text_json(f->got));
    if (f->text[0] != '\0') json_object_set_new(o, "text", text_json(f->text));
    return o;
}

static json_t *case_json(const qp_case_result *c) {
    json_t *o = json_object();
    json_object_set_new(o, "event", json_string("end"));
    json_object_set_new(o, "id", text_json(c->id));
    json_object_set_new(o, "line", text_json(c->line));
    json_object_set_new(o, "origin", text_json(c->origin));
    json_object_set_new(o, "device", text_json(c->device));
    json_object_set_new(o, "subject", text_json(c->subject));
    json_object_set_new(o, "verdict", json_string(qp_verdict_name(c->verdict)));
    json_object_set_new(o, "reason", json_string(qp_reason_name(c->reason)));
    json_object_set_new(o, "text", text_json(c->text));
    json_object_set_new(o, "seconds", json_real(c->seconds));
    json_object_set_new(o, "judged", json_integer(c->elements_judged));
    json_object_set_new(o, "peak_bytes", json_integer(c->peak_bytes));
    json_object_set_new(o, "rows_fraction", json_real(c->rows_fraction));
    if (c->refused_unexpectedly) json_object_set_new(o, "refused_unexpectedly", json_true());
    if (c->named_device_skip) json_object_set_new(o, "named_device_skip", json_true());
    if (c->crashed) json_object_set_new(o, "crashed", json_true());
    const qp_format_row *fmt = qp_format_get(c->format);
    if (fmt != NULL) json_object_set_new(o, "format", json_string(fmt->name));
    if (c->is_kernel) json_object_set_new(o, "in", json_string(qp_dtype_name(c->dtype)));
    json_object_set_new(o, "coverage", coverage_json(&c->coverage));
    json_t *stages = json_array();
    for (int i = 0; i < c->n_stages; i++)
        json_array_append_new(stages, json_pack("{s:s, s:I, s:I}", "stage", c->stages[i].stage, "judged",
                                                (json_int_t)c->stages[i].n_judged, "diff",
                                                (json_int_t)c->stages[i].n_diff));
    json_object_set_new(o, "stages", stages);
    json_t *findings = json_array();
    for (int i = 0; i < c->n_findings; i++) json_array_append_new(findings, finding_json(&c->findings[i]));
    json_object_set_new(o, "findings", findings);
    if (c->notes != NULL && c->notes[0] != '\0') json_object_set_new(o, "notes", text_json(c->notes));
    return o;
}

qp_status qp_record_open(const char *out_dir, const qp_provenance *p, qp_record **out, qp_err *err) {
    QP_TRY(qp_dir_make(out_dir, err));
    qp_record *r = calloc(1, sizeof *r);
    if (r == NULL) QP_FAIL(QP_NOMEM, "record of %s: out of memory", out_dir);
    snprintf(r->path, sizeof r->path, "%s/record.jsonl", out_dir);
    // A record is never overwritten: a second run into the same folder is refused by O_EXCL.
    r->fd = open(r->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
    if (r->fd < 0) {
        int why = errno;
        qp_status s = qp_err_set(err, QP_IO, __FILE__, __LINE__, "%s: open: %s%s", r->path, strerror(why),
                                 why == EEXIST ? " (a record is never overwritten: name another --out)" : "");
        free(r);
        return s;
    }
    json_t *o = json_object();
    json_object_set_new(o, "event", json_string("run"));
    json_object_set_new(o, "format", json_string(QP_RECORD_FORMAT));
    const char *const names[] = {"version",   "commit", "command_line", "device", "device_detail",
                                 "cpu_model", "kernel", "compiler",     "cuda",   "started_utc"};
    const char *const values[] = {p->version,   p->commit, p->command_line, p->device, p->device_detail,
                                  p->cpu_model, p->kernel, p->compiler,     p->cuda,   p->started_utc};
    for (int i = 0; i < QP_COUNT(names); i++) json_object_set_new(o, names[i], text_json(values[i]));
    json_object_set_new(o, "n_cores", json_integer(p->n_cores));
    json_object_set_new(o, "settings", settings_json(p));
    qp_status s = write_line(r, o, err);
    if (s != QP_OK) {
        qp_record_close(r);
        return s;
    }
    *out = r;
    return QP_OK;
}

qp_status qp_record_begin(qp_record *r, const char *line, const char *id, qp_err *err) {
    json_t *o = json_object();
    json_object_set_new(o, "event", json_string("begin"));
    json_object_set_new(o, "id", text_json(id));
    json_object_set_new(o, "line", text_json(line));
    return write_line(r, o, err);
}

qp_status qp_record_end(qp_record *r, const qp_case_result *c, qp_err *err) {
    return write_line(r, case_json(c), err);
}

qp_status qp_record_bad_line(qp_record *r, const char *origin, const char *line, const char *message,
                             qp_err *err) {
    json_t *o = json_object();
    json_object_set_new(o, "event", json_string("bad-line"));
    json_object_set_new(o, "origin", text_json(origin));
    json_object_set_new(o, "line", text_json(line));
    json_object_set_new(o, "message", text_json(message));
    return write_line(r, o, err);
}

qp_status qp_record_finish(qp_record *r, const qp_run_totals *t, int exit_code, const char *exit_name,
                           qp_err *err) {
    json_t *o =
        json_pack("{s:s, s:i, s:s}", "event", "finish", "exit_code", exit_code, "exit_name", exit_name);
    json_object_set_new(o, "selected", json_integer(t->n_selected));
    json_object_set_new(o, "pass", json_integer(t->n_pass));
    json_object_set_new(o, "skip", json_integer(t->n_skip));
    json_object_set_new(o, "suspect", json_integer(t->n_suspect));
    json_object_set_new(o, "fail", json_integer(t->n_fail));
    json_object_set_new(o, "broken", json_integer(t->n_broken));
    json_object_set_new(o, "bad_lines", json_integer(t->n_bad_lines));
    return write_line(r, o, err);
}

void qp_record_close(qp_record *r) {
    if (r == NULL) return;
    close(r->fd);
    free(r);
}
