// SPDX-License-Identifier: Apache-2.0
// Two small checkpoints in a temporary folder, original and quantized, and the pass over them. Private to the
// tests of --against.
#ifndef AUDIT_AGAINST_KIT_H
#define AUDIT_AGAINST_KIT_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit.h"
#include "core/file.h"
#include "qp/ref.h"
#include "qp/refcalib.h"
#include "tensor/safetensors.h"

enum { KIT_TENSORS = 64 };

typedef struct kit {
    char root[64];
    qp_arena *a;
    qp_err err;
    qp_st_tensor quantized[KIT_TENSORS], original[KIT_TENSORS];
    int n_quantized, n_original;
    const char *config;
    qp_audit u;
} kit;

static inline void *kit_get(kit *k, size_t n) {
    void *p;
    ck_assert_int_eq(qp_arena_get(k->a, n, &p, &k->err), QP_OK);
    return p;
}

static inline void kit_new(kit *k) {
    memset(k, 0, sizeof *k);
    snprintf(k->root, sizeof k->root, "/tmp/qp-against-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(k->root));
    k->a = qp_arena_new();
    ck_assert_ptr_nonnull(k->a);
    k->config = "{}";
}

static inline void kit_free(kit *k) {
    qp_audit_close(&k->u);
    qp_err err = {0};
    ck_assert_int_eq(qp_dir_remove(k->root, &err), QP_OK);
    qp_arena_free(k->a);
}

static inline const char *kit_name(kit *k, const char *module, const char *suffix) {
    const char *name;
    ck_assert_int_eq(qp_arena_printf(k->a, &name, &k->err, "%s%s", module, suffix), QP_OK);
    return name;
}

static inline void kit_put(qp_st_tensor *list, int *n, const char *name, qp_dtype dtype, int n_dims,
                           const int64_t *dims, const void *data) {
    ck_assert_int_lt(*n, KIT_TENSORS);
    qp_st_tensor *t = &list[(*n)++];
    *t = (qp_st_tensor){.name = name, .dtype = dtype, .n_dims = n_dims, .data = data};
    t->n_bytes = qp_dtype_bytes(dtype);
    for (int i = 0; i < n_dims; i++) {
        t->dims[i] = dims[i];
        t->n_bytes *= (size_t)dims[i];
    }
}

static inline void kit_quantized(kit *k, const char *name, qp_dtype dtype, int n_dims, const int64_t *dims,
                                 const void *data) {
    kit_put(k->quantized, &k->n_quantized, name, dtype, n_dims, dims, data);
}

static inline void kit_original(kit *k, const char *name, int n_dims, const int64_t *dims, const void *data) {
    kit_put(k->original, &k->n_original, name, QP_BF16, n_dims, dims, data);
}

// BF16 weights between -1 and 1, no two calls alike.
static inline uint16_t *kit_weights(kit *k, uint64_t seed, int64_t n) {
    uint16_t *w = kit_get(k, (size_t)n * sizeof *w);
    uint64_t s = seed * 2654435761u + 12345;
    for (int64_t i = 0; i < n; i++) {
        s = s * 6364136223846793005u + 1442695040888963407u;
        const float v = ((float)(int32_t)(s >> 32) / 2147483648.0f) * 0.05f * (float)(1 + (s >> 20) % 4);
        uint32_t image;
        memcpy(&image, &v, sizeof image);
        w[i] = (uint16_t)ref_from_f32(QP_BF16, image);
    }
    return w;
}

static inline uint32_t kit_amax(const uint16_t *w, int64_t n) {
    uint32_t amax;
    ref_amax(QP_GRAIN_TENSOR, QP_BF16, 1, n, 0, 0, w, &amax);
    return amax;
}

static inline uint8_t *kit_data(kit *k, const char *name) {
    for (int i = 0; i < k->n_quantized; i++)
        if (strcmp(k->quantized[i].name, name) == 0) return (uint8_t *)(uintptr_t)k->quantized[i].data;
    ck_abort_msg("no tensor %s", name);
    return NULL;
}

static inline void kit_write(kit *k, const char *folder, const qp_st_tensor *list, int n,
                             const char *config) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", k->root, folder);
    ck_assert_int_eq(qp_dir_make(path, &k->err), QP_OK);
    snprintf(path, sizeof path, "%s/%s/model.safetensors", k->root, folder);
    ck_assert_msg(qp_st_write(path, list, n, NULL, 0, &k->err) == QP_OK, "%s", k->err.msg);
    snprintf(path, sizeof path, "%s/%s/config.json", k->root, folder);
    ck_assert_int_eq(qp_file_write_atomic(path, config, strlen(config), &k->err), QP_OK);
}

static inline const qp_against *kit_run(kit *k) {
    static char path[2][160];
    snprintf(path[0], sizeof path[0], "%s/quantized", k->root);
    snprintf(path[1], sizeof path[1], "%s/original", k->root);
    kit_write(k, "quantized", k->quantized, k->n_quantized, k->config);
    kit_write(k, "original", k->original, k->n_original, "{}");
    const qp_audit_options o = {.path = path[0], .against = path[1], .threads = 2};
    qp_audit *u = &k->u;
    qp_audit_close(u);
    memset(u, 0, sizeof *u);
    qp_ck_findings_init(&u->findings, k->a);
    ck_assert_int_eq(qp_ck_open(o.path, false, k->a, &u->findings, &u->ckpt, &k->err), QP_OK);
    ck_assert_int_eq(qp_ck_claims_read(&u->ckpt, k->a, &u->findings, &u->claims, &k->err), QP_OK);
    ck_assert_int_eq(qp_ck_modules_build(&u->ckpt, u->claims, k->a, &u->modules, &k->err), QP_OK);
    qp_ck_findings_init(&u->findings, k->a); // those of the pass alone
    ck_assert_msg(qp_pass_against(&o, u, k->a, &u->findings, &k->err) == QP_OK, "%s", k->err.msg);
    return &u->against;
}

static inline const qp_against_row *kit_row(const kit *k, const char *module) {
    for (uint32_t i = 0; i < k->u.against.n_rows; i++) {
        const qp_ck_module *m = k->u.against.rows[i].module;
        if (m->n_name == strlen(module) && memcmp(m->name, module, m->n_name) == 0)
            return &k->u.against.rows[i];
    }
    ck_abort_msg("no row %s", module);
    return NULL;
}

// Findings above note.
static inline uint64_t kit_errors(const kit *k) {
    uint64_t n = 0;
    for (int i = 0; i < QP_CK_RULES; i++)
        if (qp_ck_rules[i].severity != QP_SEV_NOTE) n += k->u.findings.counts[i];
    return n;
}

static inline const char *kit_detail(const kit *k, qp_ck_rule rule, const char *tensor) {
    for (size_t i = 0; i < k->u.findings.n; i++) {
        const qp_ck_finding *f = &k->u.findings.list[i];
        if (f->rule == rule && strcmp(f->tensor, tensor) == 0) return f->detail;
    }
    ck_abort_msg("no %s at %s", qp_ck_rules[rule].id, tensor);
    return "";
}

// ---- linears
// -----------------------------------------------------------------------------------------------------------------

#define KIT_MODELOPT(algo, size)                                                                             \
    "{\"quantization_config\":{\"quant_method\":\"modelopt\",\"quant_algo\":\"" algo                         \
    "\",\"group_size\":" size ",\"ignore\":[]}}"

static inline void kit_scalar(kit *k, const char *module, const char *suffix, uint32_t image) {
    uint32_t *v = kit_get(k, sizeof *v);
    *v = image;
    kit_quantized(k, kit_name(k, module, suffix), QP_FP32, 0, NULL, v);
}

// Model Optimizer NVFP4 with this amax for the global scale; static formats take block amax of spec.
static inline void kit_nvfp4(kit *k, const char *module, const uint16_t *w, int64_t out, int64_t in,
                             const ref_spec *how) {
    ref_spec s = *how;
    const int64_t group = s.format == QP_NVFP4_W4A8 ? 32 : 16;
    uint8_t *codes = kit_get(k, (size_t)(out * in / 2)), *scales = kit_get(k, (size_t)(out * in / group));
    s.dtype = QP_BF16;
    s.rows = out;
    s.cols = in;
    s.block_cols = group;
    ref_quant(&s, 0, out, w, codes, scales, NULL, NULL);
    kit_quantized(k, kit_name(k, module, ".weight"), QP_U8, 2, (int64_t[]){out, in / 2}, codes);
    kit_quantized(k, kit_name(k, module, ".weight_scale"), QP_E4M3, 2, (int64_t[]){out, in / group}, scales);
    kit_scalar(k, module, ".weight_scale_2", ref_weight_scale_2(&s));
    kit_scalar(k, module, ".input_scale", 0x3a000000);
}

static inline void kit_weight(kit *k, const char *module, const uint16_t *w, int64_t out, int64_t in) {
    kit_original(k, kit_name(k, module, ".weight"), 2, (int64_t[]){out, in}, w);
}

#endif
