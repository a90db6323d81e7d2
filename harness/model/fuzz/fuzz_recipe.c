// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: any bytes as a recipe. Beyond the sanitizers it holds that a refusal names the file, that
// every entry of an accepted recipe has a line and says something, and that names resolve and group under it.
#include "core/fuzz/fuzz.h"
#include "model/model.h"

static const char *const modules[] = {"model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.k_proj",
                                      "model.layers.1.mlp.experts.0.w1", "lm_head", ""};

static void check_resolved(const qp_recipe *r) {
    static const char *const quantizers[] = {"weight_quantizer", "input_quantizer", "weight_quantizer_3"};
    for (int i = 0; i < QP_COUNT(modules); i++)
        for (int k = 0; k < QP_COUNT(quantizers); k++) {
            qp_qconfig cfg;
            qp_recipe_resolve(r, modules[i], quantizers[k], &cfg);
            hold(cfg.enabled == (cfg.format != QP_FORMAT_NONE));
        }
}

static void check_groups(const qp_recipe *r, qp_arena *a) {
    const bool enabled[QP_COUNT(modules)] = {true, true, true, true, false};
    const char *const *patterns;
    int n;
    qp_group_list groups = {0};
    qp_err err = {0};
    qp_recipe_patterns(r, &patterns, &n);
    qp_status status = qp_groups_find(modules, enabled, QP_COUNT(modules), patterns, n, a, &groups, &err);
    hold(status == QP_OK || (status == QP_USAGE && err.msg[0] != '\0'));
    for (int g = 0; status == QP_OK && g < groups.n; g++) hold(groups.groups[g].n_members >= 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes) {
    qp_arena *a = fuzz_arena();
    char *text = fuzz_text(bytes, n_bytes);
    qp_recipe r;
    qp_err err = {0};
    qp_status status = qp_recipe_read("fuzz.yaml", text, n_bytes, a, &r, &err);
    if (status == QP_OK) {
        hold(r.name[0] != '\0' && r.n_entries >= 1);
        for (int i = 0; i < r.n_entries; i++)
            hold(r.entries[i].line >= 1 && (r.entries[i].has_enable || r.entries[i].has_cfg));
        check_resolved(&r);
        check_groups(&r, a);
    } else {
        hold_refused(status, QP_USAGE, &err, "fuzz.yaml:");
    }
    free(text);
    return 0;
}
