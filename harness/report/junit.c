// SPDX-License-Identifier: Apache-2.0
// junit.xml by libxml2: one testcase per case line, one per line that does not parse. FAIL and SUSPECT are
// failures, BROKEN, lost cases and bad lines are errors, SKIP is skipped: a reader of JUnit never sees
// SUSPECT as green.
#include <stdlib.h>
#include <string.h>

#include "report/log.h"
#include "report/xml.h"

#define X QP_XML

static void details(xmlTextWriterPtr w, qp_arena *a, const qp_case_result *c) {
    for (int i = 0; i < c->n_findings; i++) {
        const qp_finding *f = &c->findings[i];
        if (f->verdict == QP_PASS) continue;
        xmlTextWriterWriteFormatString(w, "%s: %s (%s), %lld of %lld differ\n", qp_xml_text(a, f->check),
                                       qp_verdict_name(f->verdict), qp_reason_name(f->reason),
                                       (long long)f->n_diff, (long long)f->n_judged);
        if (f->where[0] != '\0') xmlTextWriterWriteFormatString(w, "  where %s\n", qp_xml_text(a, f->where));
        if (f->want[0] != '\0' || f->got[0] != '\0')
            xmlTextWriterWriteFormatString(w, "  want %s got %s\n", qp_xml_text(a, f->want),
                                           qp_xml_text(a, f->got));
        if (f->text[0] != '\0') xmlTextWriterWriteFormatString(w, "  %s\n", qp_xml_text(a, f->text));
    }
    xmlTextWriterWriteFormatString(w, "again: quantproof repro '%s'\n", qp_xml_text(a, c->line));
}

static void write_case(xmlTextWriterPtr w, qp_arena *a, const qp_case_result *c, bool lost) {
    static const char *const elements[QP_VERDICT_COUNT] = {NULL, "skipped", "failure", "failure", "error"};
    char kind[64];
    qp_line_kind(c->line != NULL ? c->line : "", kind, sizeof kind);
    xmlTextWriterStartElement(w, X("testcase"));
    qp_xml_attribute(w, a, "name", c->line);
    qp_xml_attribute(w, a, "classname", kind);
    xmlTextWriterWriteFormatAttribute(w, X("time"), "%.3f", c->seconds);
    const char *element = lost ? "error" : elements[c->verdict];
    if (element != NULL) {
        xmlTextWriterStartElement(w, X(element));
        qp_xml_attribute(w, a, "message", c->text);
        if (c->verdict != QP_SKIP) {
            qp_xml_attribute(w, a, "type", lost ? "LOST" : qp_verdict_name(c->verdict));
            details(w, a, c);
        }
        xmlTextWriterEndElement(w);
    }
    if (c->notes != NULL && c->notes[0] != '\0')
        xmlTextWriterWriteElement(w, X("system-out"), X(qp_xml_text(a, c->notes)));
    xmlTextWriterEndElement(w);
}

static void write_bad(xmlTextWriterPtr w, qp_arena *a, const qp_log_bad *b) {
    xmlTextWriterStartElement(w, X("testcase"));
    qp_xml_attribute(w, a, "name", b->line);
    qp_xml_attribute(w, a, "classname", "bad-line");
    xmlTextWriterWriteAttribute(w, X("time"), X("0.000"));
    xmlTextWriterStartElement(w, X("error"));
    qp_xml_attribute(w, a, "message", b->message);
    qp_xml_attribute(w, a, "type", "USAGE");
    xmlTextWriterWriteFormatString(w, "%s\n", qp_xml_text(a, b->origin));
    xmlTextWriterEndElement(w);
    xmlTextWriterEndElement(w);
}

static void write_document(xmlTextWriterPtr w, qp_arena *a, const void *what) {
    const qp_log *log = what;
    double seconds = 0;
    for (int i = 0; i < log->n_cases; i++) seconds += log->cases[i].seconds;
    xmlTextWriterStartElement(w, X("testsuites"));
    xmlTextWriterStartElement(w, X("testsuite"));
    xmlTextWriterWriteAttribute(w, X("name"), X("quantproof"));
    qp_xml_number(w, "tests", log->n_cases + log->n_bad);
    qp_xml_number(w, "failures", log->n_of[QP_FAILED] - log->n_lost + log->n_of[QP_SUSPECT]);
    qp_xml_number(w, "errors", log->n_of[QP_VERDICT_BROKEN] + log->n_lost + log->n_bad);
    qp_xml_number(w, "skipped", log->n_of[QP_SKIP]);
    xmlTextWriterWriteFormatAttribute(w, X("time"), "%.3f", seconds);
    qp_xml_attribute(w, a, "timestamp", qp_log_fact(log, "started_utc"));
    xmlTextWriterStartElement(w, X("properties"));
    for (int i = 0; i < log->n_facts; i++) {
        xmlTextWriterStartElement(w, X("property"));
        qp_xml_attribute(w, a, "name", log->facts[i][0]);
        qp_xml_attribute(w, a, "value", log->facts[i][1]);
        xmlTextWriterEndElement(w);
    }
    xmlTextWriterEndElement(w);
    for (int i = 0; i < log->n_cases; i++) write_case(w, a, &log->cases[i], log->lost[i]);
    for (int i = 0; i < log->n_bad; i++) write_bad(w, a, &log->bad[i]);
}

qp_status qp_write_junit(const qp_log *log, const char *path, qp_err *err) {
    return qp_xml_write(path, write_document, log, err);
}
