// SPDX-License-Identifier: Apache-2.0
// What every JUnit file here has in common.
#include "report/xml.h"

#include <string.h>

#include "core/file.h"

const char *qp_xml_text(qp_arena *a, const char *s) {
    if (s == NULL) return "";
    bool utf8 = xmlCheckUTF8(QP_XML(s)) != 0, clean = utf8;
    for (const char *p = s; *p != '\0'; p++)
        clean = clean && ((unsigned char)*p >= 32 || *p == '\n' || *p == '\t');
    if (clean) return s;
    char *w = NULL;
    size_t n = strlen(s);
    if (qp_arena_get(a, n + 1, &w, NULL) != QP_OK) return "";
    for (size_t i = 0; i < n; i++) {
        unsigned char b = (unsigned char)s[i];
        bool ok = b == '\n' || b == '\t' || (b >= 32 && (utf8 || b < 128));
        w[i] = ok ? (char)b : '?';
    }
    return w;
}

void qp_xml_attribute(xmlTextWriterPtr w, qp_arena *a, const char *name, const char *value) {
    xmlTextWriterWriteAttribute(w, QP_XML(name), QP_XML(qp_xml_text(a, value)));
}

void qp_xml_number(xmlTextWriterPtr w, const char *name, long long value) {
    xmlTextWriterWriteFormatAttribute(w, QP_XML(name), "%lld", value);
}

qp_status qp_xml_write(const char *path, qp_xml_fn document, const void *what, qp_err *err) {
    qp_status status = QP_OK;
    xmlBufferPtr buffer = xmlBufferCreate();
    xmlTextWriterPtr w = buffer != NULL ? xmlNewTextWriterMemory(buffer, 0) : NULL;
    qp_arena *a = qp_arena_new();
    if (w == NULL || a == NULL) QP_FAIL_GOTO(status, out, QP_NOMEM, "%s: out of memory", path);
    xmlTextWriterSetIndent(w, 1);
    xmlTextWriterStartDocument(w, NULL, "UTF-8", NULL);
    document(w, a, what);
    xmlTextWriterEndDocument(w);
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
