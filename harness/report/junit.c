// SPDX-License-Identifier: Apache-2.0
// junit.xml by libxml2: one testcase per case line, one per line that does not parse. FAIL and SUSPECT are
// failures, BROKEN, lost cases and bad lines are errors, SKIP is skipped: a reader of JUnit never sees
// SUSPECT as green.
#include <libxml/xmlwriter.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "report/log.h"

#define X(s) ((const xmlChar *)(s))

// XML 1.0 has no way to write most control characters, and libxml2 wants UTF-8: both become '?'.
static const char *xml_text(qp_arena *a, const char *s) {
    if (s == NULL) return "";
    bool utf8 = xmlCheckUTF8(X(s)) != 0, clean = utf8;
    for (const char *p = s; *p != '\0'; p++)
        clean = clean && ((unsigned char)*p >= 32 || *p == '\n' || *p == '\t');
    if (clean) return s;
    const char *copy = NULL;
    if (qp_arena_strdup(a, s, &copy, NULL) != QP_OK) return "";
    char *w = NULL;
    size_t n = strlen(copy);
    if (qp_arena_get(a, n + 1, &w, NULL) != QP_OK) return "";
    for (size_t i = 0; i < n; i++) {
        unsigned char b = (unsigned char)copy[i];
        bool ok = b == '\n' || b == '\t' || (b >= 32 && (utf8 || b < 128));
        w[i] = ok ? (char)b : '?';
    }
    return w;
}

static void attribute(xmlTextWriterPtr w, qp_arena *a, const char *name, const char *value) {
    xmlTextWriterWriteAttribute(w, X(name), X(xml_text(a, value)));
}

static void number_attribute(xmlTextWriterPtr w, const char *name, long long value) {
    xmlTextWriterWriteFormatAttribute(w, X(name), "%lld", value);
}

static void details(xmlTextWriterPtr w, qp_arena *a, const qp_case_result *c) {
    for (int i = 0; i < c->n_findings; i++) {
        const qp_finding *f = &c->findings[i];
        if (f->verdict == QP_PASS) continue;
        xmlTextWriterWriteFormatString(w, "%s: %s (%s), %lld of %lld differ\n", xml_text(a, f->check),
                                       qp_verdict_name(f->verdict), qp_reason_name(f->reason),
                                       (long long)f->n_diff, (long long)f->n_judged);
        if (f->where[0] != '\0') xmlTextWriterWriteFormatString(w, "  where %s\n", xml_text(a, f->where));
        if (f->want[0] != '\0' || f->got[0] != '\0')
            xmlTextWriterWriteFormatString(w, "  want %s got %s\n", xml_text(a, f->want),
                                           xml_text(a, f->got));
        if (f->text[0] != '\0') xmlTextWriterWriteFormatString(w, "  %s\n", xml_text(a, f->text));
    }
    xmlTextWriterWriteFormatString(w, "again: quantproof repro '%s'\n", xml_text(a, c->line));
}

static void write_case(xmlTextWriterPtr w, qp_arena *a, const qp_case_result *c, bool lost) {
    static const char *const elements[QP_VERDICT_COUNT] = {NULL, "skipped", "failure", "failure", "error"};
    char kind[64];
    qp_line_kind(c->line != NULL ? c->line : "", kind, sizeof kind);
    xmlTextWriterStartElement(w, X("testcase"));
    attribute(w, a, "name", c->line);
    attribute(w, a, "classname", kind);
    xmlTextWriterWriteFormatAttribute(w, X("time"), "%.3f", c->seconds);
    const char *element = lost ? "error" : elements[c->verdict];
    if (element != NULL) {
        xmlTextWriterStartElement(w, X(element));
        attribute(w, a, "message", c->text);
        if (c->verdict != QP_SKIP) {
            attribute(w, a, "type", lost ? "LOST" : qp_verdict_name(c->verdict));
            details(w, a, c);
        }
        xmlTextWriterEndElement(w);
    }
    if (c->notes != NULL && c->notes[0] != '\0')
        xmlTextWriterWriteElement(w, X("system-out"), X(xml_text(a, c->notes)));
    xmlTextWriterEndElement(w);
}

static void write_bad(xmlTextWriterPtr w, qp_arena *a, const qp_log_bad *b) {
    xmlTextWriterStartElement(w, X("testcase"));
    attribute(w, a, "name", b->line);
    attribute(w, a, "classname", "bad-line");
    xmlTextWriterWriteAttribute(w, X("time"), X("0.000"));
    xmlTextWriterStartElement(w, X("error"));
    attribute(w, a, "message", b->message);
    attribute(w, a, "type", "USAGE");
    xmlTextWriterWriteFormatString(w, "%s\n", xml_text(a, b->origin));
    xmlTextWriterEndElement(w);
    xmlTextWriterEndElement(w);
}

static void write_document(xmlTextWriterPtr w, qp_arena *a, const qp_log *log) {
    double seconds = 0;
    for (int i = 0; i < log->n_cases; i++) seconds += log->cases[i].seconds;
    xmlTextWriterSetIndent(w, 1);
    xmlTextWriterStartDocument(w, NULL, "UTF-8", NULL);
    xmlTextWriterStartElement(w, X("testsuites"));
    xmlTextWriterStartElement(w, X("testsuite"));
    xmlTextWriterWriteAttribute(w, X("name"), X("quantproof"));
    number_attribute(w, "tests", log->n_cases + log->n_bad);
    number_attribute(w, "failures", log->n_of[QP_FAILED] - log->n_lost + log->n_of[QP_SUSPECT]);
    number_attribute(w, "errors", log->n_of[QP_VERDICT_BROKEN] + log->n_lost + log->n_bad);
    number_attribute(w, "skipped", log->n_of[QP_SKIP]);
    xmlTextWriterWriteFormatAttribute(w, X("time"), "%.3f", seconds);
    attribute(w, a, "timestamp", qp_log_fact(log, "started_utc"));
    xmlTextWriterStartElement(w, X("properties"));
    for (int i = 0; i < log->n_facts; i++) {
        xmlTextWriterStartElement(w, X("property"));
        attribute(w, a, "name", log->facts[i][0]);
        attribute(w, a, "value", log->facts[i][1]);
        xmlTextWriterEndElement(w);
    }
    xmlTextWriterEndElement(w);
    for (int i = 0; i < log->n_cases; i++) write_case(w, a, &log->cases[i], log->lost[i]);
    for (int i = 0; i < log->n_bad; i++) write_bad(w, a, &log->bad[i]);
    xmlTextWriterEndDocument(w);
}

qp_status qp_write_junit(const qp_log *log, const char *path, qp_err *err) {
    qp_status status = QP_OK;
    xmlBufferPtr buffer = xmlBufferCreate();
    xmlTextWriterPtr w = buffer != NULL ? xmlNewTextWriterMemory(buffer, 0) : NULL;
    qp_arena *a = qp_arena_new();
    if (w == NULL || a == NULL) QP_FAIL_GOTO(status, out, QP_NOMEM, "%s: out of memory", path);
    write_document(w, a, log);
    xmlTextWriterFlush(w);
    QP_TRY_GOTO(status,
                qp_file_write_atomic(path, xmlBufferContent(buffer), (size_t)xmlBufferLength(buffer), err),
                out);
out:
    if (w != NULL) xmlFreeTextWriter(w);
    if (buffer != NULL) xmlBufferFree(buffer);
    qp_arena_free(a);
    return status;
}
