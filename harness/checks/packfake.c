// SPDX-License-Identifier: Apache-2.0
// Pack against fake-quant (I12): every block where the two spellings of the scale differ must be explained by
// a named class (numerics spec 4.3 to 4.5). The evidence is one counter per class, in the order of
// ref_scale_class.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "checks/list.h"
#include "qp/ref.h"

static const char *const class_names[REF_SCALE_CLASS_COUNT] = {"same",       "ulp",  "midpoint",   "lifted",
                                                               "zero-block", "tiny", "unexplained"};

qp_finding check_pack_fakequant(const qp_compare *c) {
    const qp_state *st = c->got;
    qp_finding f = finding_new("pack-fakequant");
    if (st->data == NULL || st->dtype != QP_I64 || st->rows != 1 || st->cols != REF_SCALE_CLASS_COUNT)
        return f;
    int64_t n[REF_SCALE_CLASS_COUNT];
    memcpy(n, st->data, sizeof n);
    for (int k = 0; k < REF_SCALE_CLASS_COUNT; k++) f.n_judged += n[k];
    f.n_diff = n[REF_SCALE_UNEXPLAINED];
    size_t used = 0;
    for (int k = 0; k < REF_SCALE_CLASS_COUNT && used < sizeof f.text; k++)
        used += (size_t)snprintf(f.text + used, sizeof f.text - used, "%s%s %" PRId64,
                                 k > 0 ? ", " : "blocks: ", class_names[k], n[k]);
    if (f.n_diff == 0) return f;
    finding_where(st, f.where, sizeof f.where);
    finding_fail(&f, QP_FAILED, QP_WHY_DIFFERENT,
                 "%" PRId64 " of %" PRId64
                 " blocks differ between dequant(pack) and fake-quant and no named class explains them: %s",
                 f.n_diff, f.n_judged, f.where);
    return f;
}
