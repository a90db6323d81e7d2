// SPDX-License-Identifier: Apache-2.0
// Rules between the keys of one expanded case: what no key can say alone. Whether a layout fits a model is
// not asked here.
#include "plan/value.h"

#include "core/text.h"
#include "qp/dtype.h"

#include <string.h>

static size_t count_items(const char *list) {
    size_t n = 1;
    for (const char *p = list; *p != '\0'; p++) n += *p == ',';
    return n;
}

static qp_status shape_rules(const qp_case *c, qp_arena *a, const char **complaint, const char **key,
                             qp_err *err) {
    int64_t dims[3];
    int n = 0;
    int want = strcmp(c->kind->name, "grouped") == 0 ? 3 : 2;
    if (!qp_case_shape(c, "shape", dims, &n) || n == want) return QP_OK;
    *key = "shape";
    return qp_arena_printf(a, complaint, err, "kind %s wants shape %s, got %s", c->kind->name,
                           want == 3 ? "NxRxC" : "RxC", qp_case_text(c, "shape"));
}

static qp_status hex_rules(const qp_case *c, qp_arena *a, const char **complaint, const char **key,
                           qp_err *err) {
    const char *hex = qp_case_text(c, "hex");
    if (hex[0] == '\0') return QP_OK;
    *key = "hex";
    if (qp_case_given(c, "dist") || qp_case_given(c, "edge"))
        return qp_arena_strdup(a, "hex= gives the values: no dist= or edge= beside it", complaint, err);
    if (hex[0] == '@') return QP_OK;
    size_t digits = strcmp(qp_case_text(c, "in"), "fp32") == 0 ? 8 : 4;
    for (const char *p = hex;; p++) {
        size_t n = strcspn(p, ",");
        if (n != digits)
            return qp_arena_printf(a, complaint, err, "in=%s wants images of %zu hex digits, got %.*s",
                                   qp_case_text(c, "in"), digits, (int)n, p);
        p += n;
        if (*p == '\0') break;
    }
    int64_t dims[3] = {0, 0, 0};
    int n_dims = 0;
    if (qp_case_given(c, "shape") && qp_case_shape(c, "shape", dims, &n_dims) && n_dims == 2 &&
        (size_t)(dims[0] * dims[1]) != count_items(hex))
        return qp_arena_printf(a, complaint, err, "shape %s wants %lld values, got %zu",
                               qp_case_text(c, "shape"), (long long)(dims[0] * dims[1]), count_items(hex));
    return QP_OK;
}

static qp_status place_rules(const qp_case *c, qp_arena *a, const char **complaint, const char **key,
                             qp_err *err) {
    const char *place = qp_case_text(c, "max_on");
    int64_t rank = 0;
    qp_layout l;
    if (strncmp(place, "rank:", 5) != 0 || !qp_parse_i64(place + 5, &rank) || !qp_case_layout(c, &l))
        return QP_OK;
    int64_t ranks = (int64_t)l.pp * l.dp * l.cp * l.tp;
    if (rank < ranks) return QP_OK;
    *key = "max_on";
    return qp_arena_printf(a, complaint, err, "max_on=%s, but this layout has ranks 0..%lld", place,
                           (long long)(ranks - 1));
}

qp_status qp_case_rules(const qp_case *c, qp_arena *a, const char **complaint, const char **key,
                        qp_err *err) {
    static qp_status (*const rules[])(const qp_case *, qp_arena *, const char **, const char **,
                                      qp_err *) = {shape_rules, hex_rules, place_rules};
    *complaint = NULL;
    *key = "";
    for (int i = 0; i < QP_COUNT(rules) && *complaint == NULL; i++)
        QP_TRY(rules[i](c, a, complaint, key, err));
    return QP_OK;
}
