// SPDX-License-Identifier: Apache-2.0
// What the data of a run exercised, per format and input type: elements, codes, scale bytes, ties, and
// whether the floors are met. Pipeline cases are a row of their own per format: they see what weights look
// like, floors are for the kernel cases.
#include <inttypes.h>
#include <string.h>

#include "qp/format.h"
#include "report/log.h"

static qp_coverage_row *row_of(qp_coverage_row *rows, int *n, const qp_case_result *c) {
    for (int i = 0; i < *n; i++)
        if (rows[i].format == c->format && rows[i].is_kernel == c->is_kernel &&
            (!c->is_kernel || rows[i].dtype == c->dtype))
            return &rows[i];
    if (*n == QP_COVERAGE_ROWS) return NULL;
    rows[*n] = (qp_coverage_row){.format = c->format, .dtype = c->dtype, .is_kernel = c->is_kernel};
    return &rows[(*n)++];
}

static int order_of(const qp_coverage_row *r) {
    return (int)r->format * 64 + (r->is_kernel ? (int)r->dtype : 32);
}

int qp_coverage_table(const qp_case_result *cases, int n_cases, qp_coverage_row *rows) {
    int n = 0;
    for (int i = 0; i < n_cases; i++) {
        const qp_case_result *c = &cases[i];
        if (qp_format_get(c->format) == NULL) continue;
        qp_coverage_row *r = row_of(rows, &n, c);
        if (r == NULL) continue;
        r->n_cases++;
        r->n_skipped += c->verdict == QP_SKIP;
        r->n_judged += c->elements_judged;
        for (int k = 0; k < c->n_findings; k++) r->n_diff += c->findings[k].n_diff;
        qp_coverage_merge(&r->sum, &c->coverage);
    }
    for (int i = 1; i < n; i++) // insertion: a few rows
        for (int k = i; k > 0 && order_of(&rows[k]) < order_of(&rows[k - 1]); k--) {
            qp_coverage_row swap = rows[k];
            rows[k] = rows[k - 1];
            rows[k - 1] = swap;
        }
    return n;
}

const char *qp_coverage_floor(const qp_coverage_row *r, char *buf, size_t n) {
    if (!r->is_kernel) return "-";
    return qp_floor_missed(r->format, r->dtype, &r->sum, buf, n) == NULL ? "met" : buf;
}

qp_status qp_coverage_text(const qp_coverage_row *rows, int n, qp_text *t, qp_err *err) {
    QP_TRY(qp_text_add(t, err, "%-13s %-8s %5s %10s %10s %5s %6s %9s %9s %9s %9s %6s %6s %6s %5s %5s %s\n",
                       "format", "in", "cases", "elements", "judged", "codes", "scales", "code-ties",
                       "scale-tie", "saturated", "subnormal", "zeros", "nan", "inf", "diff", "skip",
                       "floor"));
    for (int i = 0; i < n; i++) {
        const qp_coverage_row *r = &rows[i];
        const qp_coverage *c = &r->sum;
        char floor[512];
        QP_TRY(qp_text_add(
            t, err,
            "%-13s %-8s %5d %10" PRIu64 " %10" PRId64 " %5d %6d %9" PRIu64 " %9" PRIu64 " %9" PRIu64
            " %9" PRIu64 " %6" PRIu64 " %6" PRIu64 " %6" PRIu64 " %5" PRId64 " %5d %s\n",
            qp_format_get(r->format)->name, r->is_kernel ? qp_dtype_name(r->dtype) : "pipeline", r->n_cases,
            c->n_elems, r->n_judged, qp_coverage_bits(c->codes), qp_coverage_bits(c->scale_bytes),
            c->n_code_ties, c->n_scale_ties, c->n_saturated, c->n_subnormal, c->n_zero_blocks, c->n_nan,
            c->n_inf, r->n_diff, r->n_skipped, qp_coverage_floor(r, floor, sizeof floor)));
    }
    return QP_OK;
}
