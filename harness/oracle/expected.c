// SPDX-License-Identifier: Apache-2.0
// Which states a rank must show at each stage, from the recipe's decisions alone.
#include <string.h>

#include "oracle/truth.h"

static bool among(const char *stage, const char *const *stages, int n) {
    for (int i = 0; i < n; i++)
        if (strcmp(stage, stages[i]) == 0) return true;
    return false;
}

typedef enum need { NEED_WEIGHT, NEED_STATIC, NEED_NVFP4, NEED_INPUT } need;

// A field is expected where the module needs it, at these stages. Packed tensors are not part of what a load
// must give back: with rows=N only some rows are packed at all.
static const struct {
    const char *field;
    need need;
    const char *stages[8];
} rows[] = {
    {"weight", NEED_WEIGHT, {"shard"}},
    {"weight_quantizer._amax", NEED_WEIGHT, {"calibrate", "sync", "load-same", "load-other", "load-back"}},
    {"weight_quantizer._global_amax", NEED_STATIC, {"promote", "load-same", "load-other", "load-back"}},
    {"input_quantizer._amax", NEED_INPUT, {"calibrate", "sync", "load-same", "load-other", "load-back"}},
    {"y", NEED_WEIGHT, {"fakequant"}},
    {"grad", NEED_WEIGHT, {"fakequant"}},
    {"weight_packed", NEED_NVFP4, {"pack"}},
    {"weight_scale", NEED_NVFP4, {"pack"}},
    {"weight_scale_2", NEED_NVFP4, {"pack"}},
    {"dequant", NEED_NVFP4, {"pack"}},
};

static qp_status is_needed(const qp_oracle *o, const module_truth *t, const qp_layout *l, int rank,
                           const char *stage, need n, bool *needed, qp_err *err) {
    uint32_t unused;
    *needed = n == NEED_WEIGHT   ? t->weight.enabled
              : n == NEED_STATIC ? oracle_has_block_amax(&t->weight)
                                 : oracle_is_nvfp4(&t->weight);
    if (n != NEED_INPUT) return QP_OK;
    return oracle_input_amax(o, t, l, rank, strcmp(stage, "calibrate") == 0, needed, &unused, err);
}

qp_status qp_oracle_expected(qp_oracle *o, const qp_layout *l, int rank, const char *stage,
                             void (*visit)(void *user, const char *fqn, const char *field), void *user,
                             qp_err *err) {
    for (int i = 0; i < o->n; i++) {
        const module_truth *t = &o->mods[i];
        if (!t->module->quantizable || !ref_holds(t->module, l, rank)) continue;
        for (int k = 0; k < QP_COUNT(rows); k++) {
            bool needed;
            int n = 0;
            while (n < QP_COUNT(rows[k].stages) && rows[k].stages[n] != NULL) n++;
            if (!among(stage, rows[k].stages, n)) continue;
            QP_TRY(is_needed(o, t, l, rank, stage, rows[k].need, &needed, err));
            if (needed) visit(user, t->module->fqn, rows[k].field);
        }
    }
    return QP_OK;
}
