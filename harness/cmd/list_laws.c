// SPDX-License-Identifier: Apache-2.0
// Which law holds for which format, and where not.
#include "cmd/list_laws.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "checks/checks.h"

static const char letters[QP_BUT_COUNT] = {'z', 'n', 'b', 's', 'r', '!'};

// "holds", "holds z r", "no", or "-": the format has no such op.
static void print_cell(qp_law law, qp_format f) {
    char cell[32] = "-";
    unsigned but = qp_law_exceptions(law, f);
    if (qp_law_concerns(law, f)) {
        size_t n = (size_t)snprintf(cell, sizeof cell, "%s", (but & QP_BUT_NEVER) != 0 ? "no !" : "holds");
        for (int i = 0; i < QP_BUT_COUNT && (but & QP_BUT_NEVER) == 0; i++)
            if ((but >> i & 1) != 0) n += (size_t)snprintf(cell + n, sizeof cell - n, " %c", letters[i]);
    }
    printf(" %-12s", cell);
}

static void print_example(const qp_law_example *e) {
    const int digits = 2 * (int)qp_dtype_bytes(e->dtype);
    int letter = 0;
    while (e->but >> letter != 1) letter++;
    printf("  %-21s %-13s %c  in=%s shape=%" PRId64 "x%" PRId64 " x=", qp_law_get(e->law)->name,
           qp_format_get(e->format)->name, letters[letter], qp_dtype_name(e->dtype), e->rows, e->cols);
    for (int64_t i = 0; i < e->rows * e->cols; i++) printf("%s%0*" PRIx32, i > 0 ? "," : "", digits, e->x[i]);
    if (e->given) printf(" amax=%08" PRIx32, e->amax);
    if (qp_format_get(e->format)->has_global) printf(" global_amax=%08" PRIx32, e->global_amax);
    printf("\n      %s\n", e->why);
}

void qp_list_laws(void) {
    printf("Laws that need no oracle: the answers of a subject to a transformed input, against its own "
           "answers.\n\n");
    for (int law = 0; law < QP_LAW_COUNT; law++)
        printf("%-21s %s\n", qp_law_get((qp_law)law)->name, qp_law_get((qp_law)law)->says);
    printf("\n%-13s", "format");
    for (int law = 0; law < QP_LAW_COUNT; law++) // the name without "law-"
        printf(" %-12.12s", qp_law_get((qp_law)law)->name + strlen("law-"));
    printf("\n");
    for (int f = 0; f < QP_FORMAT_COUNT; f++) {
        printf("%-13s", qp_format_get((qp_format)f)->name);
        for (int law = 0; law < QP_LAW_COUNT; law++) print_cell((qp_law)law, (qp_format)f);
        printf("\n");
    }
    printf("\n");
    for (int i = 0; i < QP_BUT_COUNT; i++) printf("%c  %s\n", letters[i], qp_law_exception_name(1u << i));
    printf("-  the format has no such op\n\ncounter-examples, under max calibration where no amax is "
           "given:\n\n");
    for (int i = 0; i < qp_n_law_examples; i++) print_example(&qp_law_examples[i]);
}
