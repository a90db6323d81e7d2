// SPDX-License-Identifier: Apache-2.0
// JUnit files through libxml2: text that XML can hold, attributes, and the buffer that becomes a file.
#ifndef REPORT_XML_H
#define REPORT_XML_H

#include <libxml/xmlwriter.h>

#include "core/arena.h"

#define QP_XML(s) ((const xmlChar *)(s))

// XML 1.0 has no way to write most control characters, and libxml2 wants UTF-8: both become '?'.
const char *qp_xml_text(qp_arena *a, const char *s);
void qp_xml_attribute(xmlTextWriterPtr w, qp_arena *a, const char *name, const char *value);
void qp_xml_number(xmlTextWriterPtr w, const char *name, long long value);

typedef void (*qp_xml_fn)(xmlTextWriterPtr w, qp_arena *a, const void *what);
// Written atomically.
qp_status qp_xml_write(const char *path, qp_xml_fn document, const void *what, qp_err *err);

#endif
