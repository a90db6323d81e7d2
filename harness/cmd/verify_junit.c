// SPDX-License-Identifier: Apache-2.0
// verify as junit.xml: one testcase per rule, and one that something was judged at all. Errors and warnings
// are failures (type says which), as the exit code is not 0 for either; notes are output of a passing case,
// and rules of --against are skipped without it.
#include <string.h>

#include "cmd/verify.h"
#include "report/xml.h"

enum { SHOWN = 1000 }; // findings per testcase: JUnit readers hold the whole file in memory

static const char suite[] = "quantproof verify";

static bool needs_against(int rule) {
    return rule >= QP_CK_CODES_DIFFER && rule <= QP_CK_BYTES_DIFFER;
}

static bool fails(const verify_answer *v, int rule) {
    return v->counts[rule] > 0 && qp_ck_rules[rule].severity > QP_SEV_NOTE;
}

static void open_suite(xmlTextWriterPtr w, qp_arena *a, const char *path, int tests, int failures, int errors,
                       int skipped) {
    xmlTextWriterStartElement(w, QP_XML("testsuites"));
    xmlTextWriterStartElement(w, QP_XML("testsuite"));
    qp_xml_attribute(w, a, "name", suite);
    qp_xml_attribute(w, a, "package", path);
    qp_xml_number(w, "tests", tests);
    qp_xml_number(w, "failures", failures);
    qp_xml_number(w, "errors", errors);
    qp_xml_number(w, "skipped", skipped);
}

static void open_case(xmlTextWriterPtr w, qp_arena *a, const char *name) {
    xmlTextWriterStartElement(w, QP_XML("testcase"));
    qp_xml_attribute(w, a, "name", name);
    qp_xml_attribute(w, a, "classname", suite);
}

static void open_outcome(xmlTextWriterPtr w, qp_arena *a, const char *element, const char *type,
                         const char *message) {
    xmlTextWriterStartElement(w, QP_XML(element));
    if (type != NULL) qp_xml_attribute(w, a, "type", type);
    qp_xml_attribute(w, a, "message", message);
}

static void write_findings(xmlTextWriterPtr w, qp_arena *a, const qp_ck_finding *const *list, size_t n,
                           int rule, uint64_t counted) {
    uint64_t shown = 0;
    for (size_t i = 0; i < n && shown < SHOWN; i++) {
        const qp_ck_finding *f = list[i];
        if ((int)f->rule != rule) continue;
        xmlTextWriterWriteFormatString(w, "%s: %s\n", qp_xml_text(a, f->tensor), qp_xml_text(a, f->detail));
        if (f->effect[0] != '\0')
            xmlTextWriterWriteFormatString(w, "  effect: %s\n", qp_xml_text(a, f->effect));
        if (f->allowed != NULL)
            xmlTextWriterWriteFormatString(w, "  allowed: %s\n", qp_xml_text(a, f->allowed));
        shown++;
    }
    if (counted > shown)
        xmlTextWriterWriteFormatString(w, "and %llu more\n", (unsigned long long)(counted - shown));
}

static void write_rule(xmlTextWriterPtr w, qp_arena *a, const verify_answer *v, int rule) {
    const qp_ck_rule_row *row = &qp_ck_rules[rule];
    open_case(w, a, row->id);
    if (needs_against(rule) && v->o->audit.against == NULL) {
        open_outcome(w, a, "skipped", NULL, "needs --against");
        xmlTextWriterEndElement(w);
    } else if (fails(v, rule)) {
        open_outcome(w, a, "failure", qp_severity_name(row->severity), row->says);
        write_findings(w, a, v->open, v->n_open, rule, v->counts[rule]);
        xmlTextWriterEndElement(w);
    } else if (v->counts[rule] > 0) {
        xmlTextWriterStartElement(w, QP_XML("system-out"));
        write_findings(w, a, v->open, v->n_open, rule, v->counts[rule]);
        xmlTextWriterEndElement(w);
    }
    if (v->allowed_counts[rule] > 0) {
        xmlTextWriterStartElement(w, QP_XML("system-err")); // the one other place for text
        write_findings(w, a, v->allowed, v->n_allowed, rule, v->allowed_counts[rule]);
        xmlTextWriterEndElement(w);
    }
    xmlTextWriterEndElement(w);
}

static void write_judged(xmlTextWriterPtr w, qp_arena *a, const verify_answer *v) {
    open_case(w, a, "judged");
    if (v->exit_code == 6) {
        open_outcome(w, a, "failure", "nothing", v->verdict);
        xmlTextWriterEndElement(w);
    }
    xmlTextWriterEndElement(w);
}

static void write_answer(xmlTextWriterPtr w, qp_arena *a, const void *what) {
    const verify_answer *v = what;
    int failures = v->exit_code == 6, skipped = 0;
    for (int i = 0; i < QP_CK_RULES; i++) {
        failures += fails(v, i);
        skipped += needs_against(i) && v->o->audit.against == NULL;
    }
    open_suite(w, a, v->audit->ckpt.path, QP_CK_RULES + 1, failures, 0, skipped);
    write_judged(w, a, v);
    for (int i = 0; i < QP_CK_RULES; i++) write_rule(w, a, v, i);
}

qp_status verify_write_junit(const verify_answer *v, qp_err *err) {
    return qp_xml_write(v->o->junit, write_answer, v, err);
}

// ---- nothing to audit
// ----------------------------------------------------------------------------------------------------

typedef struct unreadable {
    const char *path, *why;
} unreadable;

static void write_unreadable(xmlTextWriterPtr w, qp_arena *a, const void *what) {
    const unreadable *u = what;
    open_suite(w, a, u->path, 1, 0, 1, 0);
    open_case(w, a, "open");
    open_outcome(w, a, "error", "unreadable", u->why);
}

qp_status verify_write_junit_unreadable(const verify_options *o, const char *why, qp_err *err) {
    const unreadable u = {o->audit.path, why};
    return qp_xml_write(o->junit, write_unreadable, &u, err);
}
