// SPDX-License-Identifier: Apache-2.0
// A cursor over the JSON of a safetensors header. It builds nothing: texts stay spans of the header, numbers
// are checked as the Python package's parser checks them, nesting ends at 127. Why not the JSON library:
// decisions/0005.
#ifndef TENSOR_ST_JSON_H
#define TENSOR_ST_JSON_H

#include "qp/base.h"

enum { QP_STJ_DEPTH = 127, QP_STJ_SHOW = 96 };
#define QP_STJ_END UINT32_MAX // no code point: the closing quote

typedef struct qp_stj {
    const uint8_t *p, *end;
    int depth;
    const uint8_t *stop; // where it failed; NULL: it did not
    bool syntax;         // the failure is one of JSON itself, not of what a header may say
    char why[192];
} qp_stj;

typedef struct qp_stj_text { // a JSON text between its quotes; s[n] is the closing quote
    const uint8_t *s;
    uint32_t n;
    bool escaped;
} qp_stj_text;

typedef struct qp_stj_number {
    bool whole; // written without sign, fraction and exponent, and below 2^64
    uint64_t value;
} qp_stj_number;

// All bool functions: false is a failure, kept in stop and why (the first one stays).
bool qp_stj_fail(qp_stj *j, const uint8_t *at, const char *fmt, ...) QP_PRINTF(3, 4);
bool qp_stj_utf8(qp_stj *j); // everything from p to end; does not move
void qp_stj_space(qp_stj *j);
bool qp_stj_at(const qp_stj *j, char c);
bool qp_stj_open(qp_stj *j, char bracket);
// Before each element of a list or object. False: closed, or failed (then stop is set).
bool qp_stj_next(qp_stj *j, char close, bool *first);
bool qp_stj_key(qp_stj *j, qp_stj_text *out); // and the colon
bool qp_stj_string(qp_stj *j, qp_stj_text *out);
bool qp_stj_number_at(qp_stj *j, qp_stj_number *out);
bool qp_stj_null(qp_stj *j);
bool qp_stj_skip(qp_stj *j); // any value

// Texts that were already walked over.
uint32_t qp_stj_point(const uint8_t **p); // the next code point, QP_STJ_END at the closing quote
bool qp_stj_is(qp_stj_text t, const char *ascii);
size_t qp_stj_decode(qp_stj_text t, char *out); // UTF-8 bytes, NULs included; out NULL: counted only
// For messages: quotes left out, control characters as \u00XX, cut with "..." after QP_STJ_SHOW - 4 bytes.
void qp_stj_show(const void *bytes, size_t n, char out[QP_STJ_SHOW]);

#endif
