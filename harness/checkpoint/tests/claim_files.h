// SPDX-License-Identifier: Apache-2.0
// A folder with configs, the claims read from it, and what they say of a module. For tests only.
#ifndef CHECKPOINT_TESTS_CLAIM_FILES_H
#define CHECKPOINT_TESTS_CLAIM_FILES_H

#include "checkpoint/scheme.h"
#include "checkpoint/tests/open_files.h"

static opened o;
static qp_ck_claims *k;

static inline void setup(void) {
    files_make(&o);
    put_shard(&o, "model.safetensors", "a", 0);
}

static inline void teardown(void) {
    files_drop(&o);
}

// The three configs; NULL: not there.
static inline void read_three(const char *config, const char *hf, const char *quantize) {
    open_it(&o, "");
    if (config != NULL) put_text(&o, "config.json", config);
    if (hf != NULL) put_text(&o, "hf_quant_config.json", hf);
    if (quantize != NULL) put_text(&o, "quantize_config.json", quantize);
    open_it(&o, "");
    opens(&o, 1);
    ck_assert_msg(qp_ck_claims_read(&o.ckpt, o.arena, &o.findings, &k, &o.err) == QP_OK, "%s", o.err.msg);
}

static inline void read_config(const char *config) {
    read_three(config, NULL, NULL);
}

static inline qp_ck_claim claim(const char *module) {
    return qp_ck_claim_of(k, module, strlen(module));
}

static inline void is(const char *module, qp_ck_claim_kind kind) {
    ck_assert_msg(claim(module).kind == kind, "%s: wanted %d, got %d", module, (int)kind,
                  (int)claim(module).kind);
}

static inline void by_scheme(const char *module, const char *name) {
    is(module, QP_CK_QUANTIZED);
    ck_assert_msg(claim(module).scheme != NULL, "%s: no scheme", module);
    ck_assert_str_eq(claim(module).scheme->name, name);
}

static inline void by(const char *module, const char *says) {
    ck_assert_str_eq(claim(module).by, says);
}

#define Q "model.layers.0.self_attn.q_proj"
#define UP "model.layers.0.mlp.up_proj"
#define GATE "model.layers.1.mlp.gate"

#endif
