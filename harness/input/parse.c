// SPDX-License-Identifier: Apache-2.0
// Distribution and edge words of case lines.
#include "core/text.h"
#include "input/gen.h"

#include <stdlib.h>
#include <string.h>

const char *const qp_dist_names[QP_DIST_COUNT] = {"gauss",     "heavy", "outliers", "bits",
                                                  "quantized", "ties",  "zeros",    "record"};
const char *const qp_edge_names[QP_EDGE_COUNT] = {"zero-block", "subnormal", "neg-zero", "nan",   "inf",
                                                  "max",        "amax",      "amax+ulp", "spread"};

static int index_of(const char *word, const char *const *names, int n) {
    for (int i = 0; i < n; i++)
        if (strcmp(word, names[i]) == 0) return i;
    return -1;
}

static qp_status unknown(const char *what, const char *word, const char *const *names, int n, qp_err *err) {
    const char *near = qp_nearest(word, names, n);
    char all[256] = "";
    size_t used = 0;
    for (int i = 0; i < n && used + strlen(names[i]) + 2 < sizeof all; i++) {
        if (i > 0) all[used++] = ' ';
        memcpy(all + used, names[i], strlen(names[i]) + 1);
        used += strlen(names[i]);
    }
    if (near != NULL)
        QP_FAIL(QP_USAGE, "unknown %s '%s': did you mean '%s'? (there are: %s)", what, word, near, all);
    QP_FAIL(QP_USAGE, "unknown %s '%s' (there are: %s)", what, word, all);
}

static qp_status parse_argument(const char *text, qp_dist dist, const char *arg, qp_gen *g, qp_err *err) {
    if (dist == QP_DIST_RECORD) {
        if (strcmp(arg, "narrow") != 0 && strcmp(arg, "wide") != 0)
            QP_FAIL(QP_USAGE, "dist=%s: record:narrow or record:wide wanted", text);
        g->record_wide = arg[0] == 'w';
        return QP_OK;
    }
    if (dist > QP_DIST_OUTLIERS) QP_FAIL(QP_USAGE, "dist=%s: %s takes no number", text, qp_dist_names[dist]);
    char *end;
    double sigma = strtod(arg, &end);
    // far inside fp32, so that every later power of two is exact
    if (*arg == '\0' || *end != '\0' || !(sigma >= 1e-12 && sigma <= 1e12))
        QP_FAIL(QP_USAGE, "dist=%s: a sigma from 1e-12 to 1e12 wanted, got '%s'", text, arg);
    g->sigma = sigma;
    return QP_OK;
}

qp_status qp_gen_parse_dist(const char *text, qp_gen *g, qp_err *err) {
    char word[32];
    const char *colon = strchr(text, ':');
    size_t n = colon == NULL ? strlen(text) : (size_t)(colon - text);
    if (n >= sizeof word) n = sizeof word - 1;
    memcpy(word, text, n);
    word[n] = '\0';
    int i = index_of(word, qp_dist_names, QP_DIST_COUNT);
    if (i < 0) return unknown("dist", word, qp_dist_names, QP_DIST_COUNT, err);
    if (colon != NULL) QP_TRY(parse_argument(text, (qp_dist)i, colon + 1, g, err));
    g->dist = (qp_dist)i;
    return QP_OK;
}

qp_status qp_gen_parse_edges(const char *text, qp_gen *g, qp_err *err) {
    uint32_t set = 0;
    for (const char *p = text; *p != '\0';) {
        char word[32];
        size_t n = strcspn(p, ",");
        size_t kept = n < sizeof word ? n : sizeof word - 1;
        memcpy(word, p, kept);
        word[kept] = '\0';
        int i = index_of(word, qp_edge_names, QP_EDGE_COUNT);
        if (i < 0) return unknown("edge", word, qp_edge_names, QP_EDGE_COUNT, err);
        set |= 1u << i;
        p += n;
        if (*p == ',' && p[1] == '\0') return unknown("edge", "", qp_edge_names, QP_EDGE_COUNT, err);
        if (*p == ',') p++;
    }
    g->edges = set;
    return QP_OK;
}
