// SPDX-License-Identifier: Apache-2.0
// Reads a record back. What cannot be lost is not lost: a case that began and never ended is a case (lost), a
// torn last line is dropped and named; a bad line in the middle is a corrupt record.
#include "report/log.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "core/file.h"
#include "qp/format.h"

typedef struct reading {
    qp_arena *arena;
    qp_log *log;
    int cap_cases, cap_bad;
    qp_err *err;
} reading;

static const char *keep(reading *rd, const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key)), *kept = NULL;
    if (s == NULL || qp_arena_strdup(rd->arena, s, &kept, rd->err) != QP_OK) return NULL;
    return kept;
}

static int64_t number(const json_t *o, const char *key) {
    return json_integer_value(json_object_get(o, key));
}

static qp_verdict verdict_of(const char *name) {
    for (int v = 0; name != NULL && v < QP_VERDICT_COUNT; v++)
        if (strcmp(name, qp_verdict_name((qp_verdict)v)) == 0) return (qp_verdict)v;
    return QP_VERDICT_BROKEN;
}

static qp_reason reason_of(const char *name) {
    for (int r = 0; name != NULL && r < QP_WHY_COUNT; r++)
        if (strcmp(name, qp_reason_name((qp_reason)r)) == 0) return (qp_reason)r;
    return QP_WHY_ORACLE;
}

static qp_format format_of(const char *name) {
    for (int f = 0; name != NULL && f < QP_FORMAT_COUNT; f++)
        if (strcmp(name, qp_format_get((qp_format)f)->name) == 0) return (qp_format)f;
    return QP_FORMAT_NONE;
}

static void read_set(const json_t *a, uint64_t set[4]) {
    for (size_t i = 0; i < 4; i++) {
        const char *hex = json_string_value(json_array_get(a, i));
        uint64_t v = 0;
        if (hex != NULL && qp_parse_hex(hex, 16, &v)) set[i] = v;
    }
}

static void read_coverage(const json_t *o, qp_coverage *c) {
    c->n_elems = (uint64_t)number(o, "elements");
    read_set(json_object_get(o, "codes"), c->codes);
    read_set(json_object_get(o, "scale_bytes"), c->scale_bytes);
    c->n_code_ties = (uint64_t)number(o, "code_ties");
    c->n_scale_ties = (uint64_t)number(o, "scale_ties");
    c->n_saturated = (uint64_t)number(o, "saturated");
    c->n_subnormal = (uint64_t)number(o, "subnormal");
    c->n_zero_blocks = (uint64_t)number(o, "zero_blocks");
    c->n_nan = (uint64_t)number(o, "nan");
    c->n_inf = (uint64_t)number(o, "inf");
}

static void copy_text(char *to, size_t n, const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    snprintf(to, n, "%s", s != NULL ? s : "");
}

static void read_finding(reading *rd, const json_t *o, qp_finding *f) {
    f->check = keep(rd, o, "check");
    f->verdict = verdict_of(json_string_value(json_object_get(o, "verdict")));
    f->reason = reason_of(json_string_value(json_object_get(o, "reason")));
    f->n_judged = number(o, "judged");
    f->n_diff = number(o, "diff");
    f->max_ulp = number(o, "max_ulp");
    const json_t *dist = json_object_get(o, "dist");
    for (size_t i = 0; i < QP_DIST_BINS; i++) f->dist[i] = json_integer_value(json_array_get(dist, i));
    copy_text(f->where, sizeof f->where, o, "where");
    copy_text(f->want, sizeof f->want, o, "want");
    copy_text(f->got, sizeof f->got, o, "got");
    copy_text(f->text, sizeof f->text, o, "text");
}

static qp_status read_lists(reading *rd, const json_t *o, qp_case_result *c, qp_err *err) {
    const json_t *stages = json_object_get(o, "stages"), *findings = json_object_get(o, "findings");
    size_t n_stages = json_array_size(stages), n_findings = json_array_size(findings);
    qp_stage_count *counts = NULL;
    if (n_stages > 0) QP_TRY(QP_NEW(rd->arena, counts, n_stages));
    for (size_t i = 0; i < n_stages; i++) {
        const json_t *s = json_array_get(stages, i);
        counts[i] = (qp_stage_count){keep(rd, s, "stage"), number(s, "judged"), number(s, "diff")};
    }
    c->stages = counts;
    c->n_stages = (int)n_stages;
    if (n_findings > 0) QP_TRY(QP_NEW(rd->arena, c->findings, n_findings));
    for (size_t i = 0; i < n_findings; i++) read_finding(rd, json_array_get(findings, i), &c->findings[i]);
    c->n_findings = (int)n_findings;
    return QP_OK;
}

static qp_status read_begin(reading *rd, const json_t *o, qp_err *err) {
    qp_log *log = rd->log;
    if (log->n_cases == rd->cap_cases) {
        int cap = rd->cap_cases == 0 ? 64 : rd->cap_cases * 2;
        qp_case_result *cases = NULL;
        bool *lost = NULL;
        QP_TRY(QP_NEW(rd->arena, cases, cap));
        QP_TRY(QP_NEW(rd->arena, lost, cap));
        if (log->n_cases > 0) {
            memcpy(cases, log->cases, sizeof *cases * (size_t)log->n_cases);
            memcpy(lost, log->lost, sizeof *lost * (size_t)log->n_cases);
        }
        log->cases = cases;
        log->lost = lost;
        rd->cap_cases = cap;
    }
    qp_case_result *c = &log->cases[log->n_cases];
    c->line = keep(rd, o, "line");
    c->id = keep(rd, o, "id");
    c->verdict = QP_FAILED;
    c->reason = QP_WHY_CRASH;
    c->text = "lost: the case began and its end was never written (the run was killed or crashed in it)";
    c->format = QP_FORMAT_NONE;
    c->crashed = true;
    log->lost[log->n_cases++] = true;
    return QP_OK;
}

// Cases run one after the other, so an end belongs to the last case that began.
static qp_status read_end(reading *rd, const json_t *o, qp_err *err) {
    qp_log *log = rd->log;
    const char *id = json_string_value(json_object_get(o, "id"));
    int i = log->n_cases - 1;
    while (i >= 0 &&
           !(log->lost[i] && id != NULL && log->cases[i].id != NULL && strcmp(log->cases[i].id, id) == 0))
        i--;
    if (i < 0) QP_FAIL(QP_CORRUPT, "event 'end' of case %s, which never began", id != NULL ? id : "(no id)");
    qp_case_result *c = &log->cases[i];
    c->origin = keep(rd, o, "origin");
    c->device = keep(rd, o, "device");
    c->subject = keep(rd, o, "subject");
    c->verdict = verdict_of(json_string_value(json_object_get(o, "verdict")));
    c->reason = reason_of(json_string_value(json_object_get(o, "reason")));
    c->text = keep(rd, o, "text");
    c->notes = keep(rd, o, "notes");
    c->seconds = json_number_value(json_object_get(o, "seconds"));
    c->elements_judged = number(o, "judged");
    c->peak_bytes = number(o, "peak_bytes");
    c->rows_fraction = json_number_value(json_object_get(o, "rows_fraction"));
    c->refused_unexpectedly = json_is_true(json_object_get(o, "refused_unexpectedly"));
    c->named_device_skip = json_is_true(json_object_get(o, "named_device_skip"));
    c->crashed = json_is_true(json_object_get(o, "crashed"));
    c->format = format_of(json_string_value(json_object_get(o, "format")));
    const char *in = json_string_value(json_object_get(o, "in"));
    c->is_kernel = in != NULL;
    for (int t = 0; in != NULL && t < QP_DTYPE_COUNT; t++)
        if (strcmp(in, qp_dtype_name((qp_dtype)t)) == 0) c->dtype = (qp_dtype)t;
    read_coverage(json_object_get(o, "coverage"), &c->coverage);
    QP_TRY(read_lists(rd, o, c, err));
    log->lost[i] = false;
    return QP_OK;
}

static qp_status read_bad_line(reading *rd, const json_t *o, qp_err *err) {
    qp_log *log = rd->log;
    if (log->n_bad == rd->cap_bad) {
        int cap = rd->cap_bad == 0 ? 16 : rd->cap_bad * 2;
        qp_log_bad *bad = NULL;
        QP_TRY(QP_NEW(rd->arena, bad, cap));
        if (log->n_bad > 0) memcpy(bad, log->bad, sizeof *bad * (size_t)log->n_bad);
        log->bad = bad;
        rd->cap_bad = cap;
    }
    log->bad[log->n_bad++] = (qp_log_bad){keep(rd, o, "origin"), keep(rd, o, "line"), keep(rd, o, "message")};
    return QP_OK;
}

static qp_status add_fact(reading *rd, const char *name, const json_t *value, qp_err *err) {
    const char *s = json_string_value(value);
    const char *(*fact)[2] = &rd->log->facts[rd->log->n_facts];
    QP_TRY(qp_arena_strdup(rd->arena, name, &(*fact)[0], err));
    if (json_is_integer(value))
        QP_TRY(qp_arena_printf(rd->arena, &(*fact)[1], err, "%" PRId64, (int64_t)json_integer_value(value)));
    else
        QP_TRY(qp_arena_strdup(rd->arena, s != NULL ? s : "", &(*fact)[1], err));
    rd->log->n_facts++;
    return QP_OK;
}

static qp_status read_run(reading *rd, json_t *o, qp_err *err) {
    const char *format = json_string_value(json_object_get(o, "format"));
    if (format == NULL || strcmp(format, QP_RECORD_FORMAT) != 0)
        QP_FAIL(QP_CORRUPT, "record format: wanted %s, got %s", QP_RECORD_FORMAT,
                format != NULL ? format : "none");
    json_t *settings = json_object_get(o, "settings");
    QP_TRY(QP_NEW(rd->arena, rd->log->facts, json_object_size(o) + json_object_size(settings)));
    rd->log->n_facts = 0;
    const char *key;
    json_t *value;
    json_object_foreach(o, key, value) {
        if (strcmp(key, "event") != 0 && !json_is_object(value)) QP_TRY(add_fact(rd, key, value, err));
    }
    json_object_foreach(settings, key, value) QP_TRY(add_fact(rd, key, value, err));
    return QP_OK;
}

static qp_status read_event(reading *rd, json_t *o, qp_err *err) {
    const char *event = json_string_value(json_object_get(o, "event"));
    if (event == NULL) QP_FAIL(QP_CORRUPT, "no 'event' in the line");
    if (strcmp(event, "run") == 0) return read_run(rd, o, err);
    if (rd->log->facts == NULL) QP_FAIL(QP_CORRUPT, "event '%s' before event 'run'", event);
    if (strcmp(event, "begin") == 0) return read_begin(rd, o, err);
    if (strcmp(event, "end") == 0) return read_end(rd, o, err);
    if (strcmp(event, "bad-line") == 0) return read_bad_line(rd, o, err);
    if (strcmp(event, "finish") == 0) {
        rd->log->finished = true;
        rd->log->exit_code = (int)number(o, "exit_code");
        rd->log->exit_name = keep(rd, o, "exit_name");
        return QP_OK;
    }
    QP_FAIL(QP_CORRUPT, "unknown event '%s'", event);
}

qp_status qp_log_read(const char *out_dir, qp_arena *a, qp_log *out, qp_err *err) {
    *out = (qp_log){0};
    char *text = NULL;
    size_t n = 0;
    QP_TRY(qp_arena_printf(a, &out->path, err, "%s/record.jsonl", out_dir));
    QP_TRY(qp_file_read(out->path, a, &text, &n, err));
    reading rd = {.arena = a, .log = out, .err = err};
    int line_number = 0;
    for (char *at = text; at < text + n;) {
        line_number++;
        char *newline = memchr(at, '\n', (size_t)(text + n - at));
        if (newline == NULL) {
            out->torn = true; // every whole line ends in a newline: what is after the last one was cut off
            break;
        }
        json_error_t why;
        json_t *o = json_loadb(at, (size_t)(newline - at), 0, &why);
        if (o == NULL)
            QP_FAIL(QP_CORRUPT, "%s:%d: wanted a JSON object, got: %s", out->path, line_number, why.text);
        qp_status s = read_event(&rd, o, err);
        json_decref(o);
        if (s != QP_OK) {
            qp_err_prefix(err, "%s:%d: ", out->path, line_number);
            return s;
        }
        at = newline + 1;
    }
    if (out->facts == NULL) QP_FAIL(QP_CORRUPT, "%s: no event 'run': this is no record", out->path);
    for (int i = 0; i < out->n_cases; i++) {
        out->n_lost += out->lost[i];
        out->n_of[out->cases[i].verdict]++;
    }
    return QP_OK;
}

const char *qp_log_fact(const qp_log *log, const char *name) {
    for (int i = 0; i < log->n_facts; i++)
        if (strcmp(log->facts[i][0], name) == 0) return log->facts[i][1];
    return "";
}

void qp_line_kind(const char *line, char *buf, size_t n) {
    snprintf(buf, n, "%.*s", (int)strcspn(line, " "), line);
}

bool qp_line_layout(const char *line, char *buf, size_t n) {
    static const char *const keys[] = {"pp", "dp", "cp", "tp", "ep", "etp"};
    char kind[32];
    qp_line_kind(line, kind, sizeof kind);
    if (strcmp(kind, "pipeline") != 0) return false;
    const char *degree[QP_COUNT(keys)] = {0};
    int width[QP_COUNT(keys)] = {0};
    for (const char *at = line; *at != '\0';) {
        at += strspn(at, " ");
        size_t word = strcspn(at, " ");
        for (int k = 0; k < QP_COUNT(keys); k++) {
            size_t len = strlen(keys[k]);
            if (word > len + 1 && strncmp(at, keys[k], len) == 0 && at[len] == '=') {
                degree[k] = at + len + 1;
                width[k] = (int)(word - len - 1);
            }
        }
        at += word;
    }
    size_t used = (size_t)snprintf(buf, n, "tp%.*s ep%.*s", degree[3] != NULL ? width[3] : 1,
                                   degree[3] != NULL ? degree[3] : "1", degree[4] != NULL ? width[4] : 1,
                                   degree[4] != NULL ? degree[4] : "1");
    for (int k = 0; k < QP_COUNT(keys); k++)
        if (k != 3 && k != 4 && degree[k] != NULL && used < n)
            used += (size_t)snprintf(buf + used, n - used, " %s%.*s", keys[k], width[k], degree[k]);
    return true;
}
