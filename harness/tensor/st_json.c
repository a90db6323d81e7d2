// SPDX-License-Identifier: Apache-2.0
// The JSON cursor of the safetensors header: structure, texts, skipping. Numbers are in st_number.c.
#include "tensor/st_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool qp_stj_fail(qp_stj *j, const uint8_t *at, const char *fmt, ...) {
    va_list args;
    if (j->stop != NULL) return false;
    va_start(args, fmt);
    vsnprintf(j->why, sizeof j->why, fmt, args);
    va_end(args);
    j->stop = at;
    return false;
}

static bool bad_json(qp_stj *j, const uint8_t *at, const char *wanted) {
    if (j->stop == NULL) j->syntax = true;
    return qp_stj_fail(j, at, "%s was wanted", wanted);
}

// ---- UTF-8 (RFC 3629: nothing overlong, no surrogates, nothing above U+10FFFF)
// -------------------------------

static const struct {
    uint8_t first, last;   // of the lead byte
    uint8_t more;          // bytes that follow
    uint8_t second_lo, hi; // what the second byte may be; the others 80..bf
} leads[] = {
    {0xc2, 0xdf, 1, 0x80, 0xbf}, {0xe0, 0xe0, 2, 0xa0, 0xbf}, {0xe1, 0xec, 2, 0x80, 0xbf},
    {0xed, 0xed, 2, 0x80, 0x9f}, {0xee, 0xef, 2, 0x80, 0xbf}, {0xf0, 0xf0, 3, 0x90, 0xbf},
    {0xf1, 0xf3, 3, 0x80, 0xbf}, {0xf4, 0xf4, 3, 0x80, 0x8f},
};

static int more_bytes(const uint8_t *p, const uint8_t *end) { // -1: not UTF-8
    for (int i = 0; i < QP_COUNT(leads); i++) {
        if (p[0] < leads[i].first || p[0] > leads[i].last) continue;
        if (end - p <= leads[i].more || p[1] < leads[i].second_lo || p[1] > leads[i].hi) return -1;
        for (int k = 2; k <= leads[i].more; k++)
            if ((p[k] & 0xc0) != 0x80) return -1;
        return leads[i].more;
    }
    return -1;
}

bool qp_stj_utf8(qp_stj *j) {
    for (const uint8_t *p = j->p; p < j->end; p++) {
        uint64_t eight;
        while (j->end - p >= 8 && (memcpy(&eight, p, 8), (eight & 0x8080808080808080u) == 0)) p += 8;
        if (p == j->end) break;
        if (*p < 0x80) continue;
        int more = more_bytes(p, j->end);
        if (more < 0) return qp_stj_fail(j, p, "UTF-8 was wanted");
        p += more;
    }
    return true;
}

// ---- structure
// -----------------------------------------------------------------------------------------------

void qp_stj_space(qp_stj *j) {
    while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r')) j->p++;
}

bool qp_stj_at(const qp_stj *j, char c) {
    return j->p < j->end && *j->p == (uint8_t)c;
}

bool qp_stj_open(qp_stj *j, char bracket) {
    if (!qp_stj_at(j, bracket)) return bad_json(j, j->p, bracket == '{' ? "'{'" : "'['");
    if (j->depth == QP_STJ_DEPTH) {
        j->syntax = true;
        return qp_stj_fail(j, j->p, "at most %d levels of nesting were wanted", QP_STJ_DEPTH);
    }
    j->depth++;
    j->p++;
    return true;
}

bool qp_stj_next(qp_stj *j, char close, bool *first) {
    qp_stj_space(j);
    if (qp_stj_at(j, close)) {
        j->p++;
        j->depth--;
        return false;
    }
    if (!*first) {
        if (!qp_stj_at(j, ',')) return bad_json(j, j->p, close == '}' ? "',' or '}'" : "',' or ']'");
        j->p++;
        qp_stj_space(j);
    }
    *first = false;
    return true;
}

// ---- texts
// ---------------------------------------------------------------------------------------------------

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex4(const uint8_t *p, const uint8_t *end, uint32_t *out) {
    uint32_t value = 0;
    if (end - p < 4) return false;
    for (int i = 0; i < 4; i++) {
        if (hex_digit(p[i]) < 0) return false;
        value = value << 4 | (uint32_t)hex_digit(p[i]);
    }
    *out = value;
    return true;
}

static bool is_high(uint32_t u) {
    return (u & 0xfc00) == 0xd800;
}

static bool is_low(uint32_t u) {
    return (u & 0xfc00) == 0xdc00;
}

// p at the backslash of \uXXXX; a surrogate counts only as the pair it belongs to.
static bool escaped_point(const uint8_t **p, const uint8_t *end, uint32_t *out) {
    uint32_t low;
    if (!hex4(*p + 2, end, out) || is_low(*out)) return false;
    *p += 6;
    if (!is_high(*out)) return true;
    if (end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u' || !hex4(*p + 2, end, &low) || !is_low(low))
        return false;
    *p += 6;
    *out = 0x10000 + ((*out & 0x3ff) << 10) + (low & 0x3ff);
    return true;
}

static const char plain_escapes[] = "\"\\/bfnrt", plain_meanings[] = "\"\\/\b\f\n\r\t";

static bool walk_escape(qp_stj *j) {
    uint32_t point;
    if (j->end - j->p < 2) return bad_json(j, j->end, "the rest of an escape");
    if (j->p[1] == 'u') {
        const uint8_t *from = j->p;
        return escaped_point(&j->p, j->end, &point) ||
               bad_json(j, from, "\\u with four hex digits, a surrogate only as half of a pair,");
    }
    if (j->p[1] == 0 || strchr(plain_escapes, j->p[1]) == NULL)
        return bad_json(j, j->p, "one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u");
    j->p += 2;
    return true;
}

bool qp_stj_string(qp_stj *j, qp_stj_text *out) {
    if (!qp_stj_at(j, '"')) return bad_json(j, j->p, "a text");
    *out = (qp_stj_text){.s = ++j->p};
    for (;;) {
        while (j->p < j->end && *j->p >= 0x20 && *j->p != '"' && *j->p != '\\') j->p++;
        if (j->p == j->end) return bad_json(j, j->p, "the closing '\"' of a text");
        if (*j->p == '"') break;
        if (*j->p != '\\') return bad_json(j, j->p, "a text without control characters");
        out->escaped = true;
        if (!walk_escape(j)) return false;
    }
    out->n = (uint32_t)(j->p++ - out->s);
    return true;
}

bool qp_stj_key(qp_stj *j, qp_stj_text *out) {
    if (!qp_stj_string(j, out)) return false;
    qp_stj_space(j);
    if (!qp_stj_at(j, ':')) return bad_json(j, j->p, "':'");
    j->p++;
    qp_stj_space(j);
    return true;
}

// ---- skipping
// ------------------------------------------------------------------------------------------------

static bool word(qp_stj *j, const char *text) {
    size_t n = strlen(text);
    if ((size_t)(j->end - j->p) < n || memcmp(j->p, text, n) != 0) return bad_json(j, j->p, "a value");
    j->p += n;
    return true;
}

bool qp_stj_null(qp_stj *j) {
    return word(j, "null");
}

static bool skip_list(qp_stj *j) {
    if (!qp_stj_open(j, '[')) return false;
    for (bool first = true; qp_stj_next(j, ']', &first);)
        if (!qp_stj_skip(j)) return false;
    return j->stop == NULL;
}

static bool skip_object(qp_stj *j) {
    qp_stj_text key;
    if (!qp_stj_open(j, '{')) return false;
    for (bool first = true; qp_stj_next(j, '}', &first);)
        if (!qp_stj_key(j, &key) || !qp_stj_skip(j)) return false;
    return j->stop == NULL;
}

bool qp_stj_skip(qp_stj *j) {
    qp_stj_text text;
    qp_stj_number number;
    if (j->p == j->end) return bad_json(j, j->p, "a value");
    switch (*j->p) {
    case '{':
        return skip_object(j);
    case '[':
        return skip_list(j);
    case '"':
        return qp_stj_string(j, &text);
    case 't':
        return word(j, "true");
    case 'f':
        return word(j, "false");
    case 'n':
        return word(j, "null");
    default:
        return qp_stj_number_at(j, &number);
    }
}

// ---- texts that were walked over
// -------------------------------------------------------------------------------

uint32_t qp_stj_point(const uint8_t **p) {
    static const uint8_t lead_mask[4] = {0x7f, 0x1f, 0x0f, 0x07};
    const uint8_t c = **p;
    uint32_t point = c;
    if (c == '"') return QP_STJ_END;
    if (c == '\\' && (*p)[1] == 'u') {
        escaped_point(p, *p + 12, &point);
        return point;
    }
    if (c == '\\') {
        *p += 2;
        return (uint8_t)plain_meanings[strchr(plain_escapes, (*p)[-1]) - plain_escapes];
    }
    int more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    point &= lead_mask[more];
    for (int k = 1; k <= more; k++) point = point << 6 | ((*p)[k] & 0x3fu);
    *p += 1 + more;
    return point;
}

bool qp_stj_is(qp_stj_text t, const char *ascii) {
    const uint8_t *p = t.s;
    for (; *ascii != '\0'; ascii++)
        if (qp_stj_point(&p) != (uint8_t)*ascii) return false;
    return *p == '"';
}

static size_t encode(uint32_t point, char *out) {
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    for (size_t k = more; k > 0; k--, point >>= 6) out[k] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)(0xff00u >> (more + 1) | point); // c0, e0 or f0 in the low byte
    return 1 + more;
}

size_t qp_stj_decode(qp_stj_text t, char *out) {
    size_t n = 0;
    char bytes[4];
    uint32_t point;
    for (const uint8_t *p = t.s; (point = qp_stj_point(&p)) != QP_STJ_END;) {
        size_t k = encode(point, bytes);
        if (out != NULL) memcpy(out + n, bytes, k);
        n += k;
    }
    return n;
}

void qp_stj_show(const void *bytes, size_t n, char out[QP_STJ_SHOW]) {
    const uint8_t *s = bytes;
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        bool odd = s[i] < 0x20 || s[i] == 0x7f;
        if (used + (odd ? 6 : 1) > QP_STJ_SHOW - 4) {
            while (used > 0 && ((uint8_t)out[used - 1] & 0xc0) == 0x80) used--; // no half of a character
            if (used > 0 && (uint8_t)out[used - 1] >= 0xc0) used--;
            memcpy(out + used, "...", 4);
            return;
        }
        if (odd)
            used += (size_t)snprintf(out + used, QP_STJ_SHOW - used, "\\u%04x", s[i]);
        else
            out[used++] = (char)s[i];
    }
    out[used] = '\0';
}
