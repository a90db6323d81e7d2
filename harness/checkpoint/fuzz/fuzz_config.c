// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: any bytes as config.json, hf_quant_config.json and quantize_config.json (parts of the
// input between bytes 1e), the fourth part as a module's name. Beyond the sanitizers it holds that findings
// are printable, that every answer says who gave it, that asking twice changes nothing, and that what
// excludes a module counts as used.
#include "checkpoint/open.h"
#include "checkpoint/scheme.h"
#include "core/fuzz/fuzz.h"

static const char *const modules[] = {"lm_head",
                                      "model.embed_tokens",
                                      "model.norm",
                                      "model.layers.0.self_attn.q_proj",
                                      "model.layers.1.mlp.gate",
                                      "model.layers.1.mlp.experts.7.up_proj",
                                      "model.layers.1.mlp.experts.gate_up_proj",
                                      "model.visual.blocks.0.attn.qkv",
                                      "..",
                                      ""};

static void hold_printable(const char *s) {
    hold(s != NULL);
    for (; *s != '\0'; s++) hold((uint8_t)*s >= 0x20 && *s != 0x7f);
}

static void check_scheme(const qp_ck_scheme *s) {
    if (s == NULL) return;
    hold_printable(s->name);
    hold(s->bits >= 1 && s->bits <= 8 && s->group_size >= -1 && s->weight_types != 0 && s->scale_types != 0);
    hold(s->format == QP_FORMAT_NONE || qp_format_get(s->format) != NULL);
}

static int n_used(const qp_ck_claims *k) {
    int count = 0;
    for (int i = 0; i < qp_ck_claims_excludes(k); i++) {
        size_t n;
        bool used;
        hold(qp_ck_claims_exclude(k, i, &n, &used) != NULL);
        hold_printable(qp_ck_claims_exclude_by(k, i));
        count += used;
    }
    return count;
}

static void check_module(const qp_ck_claims *k, const char *name, size_t n) {
    const int before = n_used(k);
    const qp_ck_claim c = qp_ck_claim_of(k, name, n), again = qp_ck_claim_of(k, name, n);
    const bool said = c.kind == QP_CK_QUANTIZED || c.kind == QP_CK_EXCLUDED;
    hold(c.kind == again.kind && c.scheme == again.scheme && c.by == again.by);
    hold((c.by != NULL) == said);
    if (said) hold_printable(c.by);
    hold(c.scheme == NULL || c.kind == QP_CK_QUANTIZED);
    check_scheme(c.scheme);
    hold(n_used(k) >= before);
}

static void check_claims(const qp_ck_claims *k, const uint8_t *name, size_t n_name) {
    hold((unsigned)qp_ck_claims_dialect(k) < QP_CK_DIALECTS);
    hold((unsigned)qp_ck_claims_kv(k) <= QP_CK_KV_UNKNOWN);
    hold(qp_ck_claims_said(k) != NULL && qp_ck_claims_producer(k) != NULL);
    for (int i = 0; i < QP_COUNT(modules); i++) check_module(k, modules[i], strlen(modules[i]));
    check_module(k, (const char *)name, n_name);
    if (qp_ck_claim_of(k, (const char *)name, n_name).kind == QP_CK_EXCLUDED &&
        qp_ck_claims_dialect(k) != QP_CK_GPTQ)
        hold(n_used(k) > 0);
}

enum { PARTS = 4 };
typedef struct part {
    const uint8_t *bytes;
    size_t n;
} part;

static void split(const uint8_t *bytes, size_t n, part *parts) {
    for (int i = 0; i < PARTS; i++) {
        const uint8_t *end = n > 0 ? memchr(bytes, 0x1e, n) : NULL;
        const size_t len = end != NULL && i + 1 < PARTS ? (size_t)(end - bytes) : n;
        parts[i] = (part){bytes, len};
        bytes += len + (len < n);
        n -= len + (len < n);
    }
}

static void read_part(const part *p, const char *name, qp_arena *a, qp_ck_findings *f, qp_ck_config *out) {
    const char *path = fuzz_in_folder(name);
    qp_err err = {0};
    (void)unlink(path);
    if (p->n > 0) fuzz_put(path, p->bytes, p->n);
    const char *kept = NULL;
    hold(qp_arena_strdup(a, path, &kept, &err) == QP_OK);
    hold(qp_ck_config_read(kept, a, f, out, &err) == QP_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes) {
    qp_arena *a = fuzz_arena();
    part parts[PARTS];
    qp_ckpt c;
    qp_ck_findings f;
    qp_ck_claims *k = NULL;
    qp_err err = {0};
    memset(&c, 0, sizeof c);
    qp_ck_findings_init(&f, a);
    split(bytes, n_bytes, parts);
    read_part(&parts[0], "config.json", a, &f, &c.config);
    read_part(&parts[1], "hf_quant_config.json", a, &f, &c.hf_quant);
    read_part(&parts[2], "quantize_config.json", a, &f, &c.quantize);
    hold(qp_ck_claims_read(&c, a, &f, &k, &err) == QP_OK);
    check_claims(k, parts[3].bytes, parts[3].n);
    for (size_t i = 0; i < f.n; i++) {
        hold_printable(f.list[i].tensor);
        hold_printable(f.list[i].detail);
    }
    json_decref(c.config.root);
    json_decref(c.hf_quant.root);
    json_decref(c.quantize.root);
    return 0;
}
