// SPDX-License-Identifier: Apache-2.0
// Layouts as words (tp2ep4) and the layout of a pipeline case. Whether a model allows a layout is the model
// room's question.
#include "plan/case.h"

#include <string.h>

bool qp_layout_word(const char *text, qp_layout *out) {
    *out = (qp_layout){0};
    struct {
        const char *name;
        int *degree;
    } const degrees[] = {{"tp", &out->tp},   {"cp", &out->cp}, {"pp", &out->pp},
                         {"etp", &out->etp}, {"ep", &out->ep}, {"dp", &out->dp}};
    if (text[0] == '\0') return false;
    for (const char *p = text; *p != '\0';) {
        int d = 0;
        while (d < QP_COUNT(degrees) && strncmp(p, degrees[d].name, strlen(degrees[d].name)) != 0) d++;
        if (d == QP_COUNT(degrees) || *degrees[d].degree != 0) return false;
        p += strlen(degrees[d].name);
        int n = 0;
        for (; *p >= '0' && *p <= '9' && n < 100000; p++) n = n * 10 + (*p - '0');
        if (n < 1 || n > 4096) return false;
        *degrees[d].degree = n;
    }
    return true;
}

void qp_layout_fill(qp_layout *l) {
    if (l->tp == 0) l->tp = 1;
    if (l->cp == 0) l->cp = 1;
    if (l->pp == 0) l->pp = 1;
    if (l->ep == 0) l->ep = 1;
    if (l->etp == 0) l->etp = l->tp;
    if (l->dp == 0) l->dp = l->ep;
}

bool qp_case_layout(const qp_case *c, qp_layout *out) {
    *out = (qp_layout){.tp = (int)qp_case_int(c, "tp"),
                       .cp = (int)qp_case_int(c, "cp"),
                       .pp = (int)qp_case_int(c, "pp"),
                       .ep = (int)qp_case_int(c, "ep"),
                       .etp = (int)qp_case_int(c, "etp"),
                       .dp = (int)qp_case_int(c, "dp")};
    return out->tp > 0;
}
