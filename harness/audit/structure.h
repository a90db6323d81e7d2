// SPDX-License-Identifier: Apache-2.0
// The parts of the pass over names, types, shapes and sets. Private to the pass.
#ifndef AUDIT_STRUCTURE_H
#define AUDIT_STRUCTURE_H

#include "audit/audit.h"
#include "checkpoint/shape.h"

typedef struct qp_str { // what every part of the pass needs
    const qp_audit *audit;
    qp_arena *arena;
    qp_ck_findings *findings;
} qp_str;

qp_status qp_str_module(const qp_str *s, const qp_ck_module *m, qp_err *err); // missing, orphan, dtype, shape
qp_status qp_str_experts(const qp_str *s, qp_err *err);                       // expert-set
qp_status qp_str_layers(const qp_str *s, qp_err *err);                        // config-tensors: depth
qp_status qp_str_siblings(const qp_str *s, qp_err *err);                      // config-tensors: a lost linear
qp_status qp_str_kv(const qp_str *s, qp_err *err);                            // kv-scale
qp_status qp_str_loose(const qp_str *s, qp_err *err); // unclassified, tied-or-absent, scales twice
// A size that another layer's or expert's module of the same name has; false: no sound one near.
bool qp_str_peer(const qp_str *s, const qp_ck_module *m, qp_ck_size *out);
// Number of a key of config.json or of its text part; -1: not there, no number, or two that differ.
int64_t qp_str_config_number(const qp_ckpt *c, const char *const *keys, int n_keys);

// Bytes of "model.layers." in "model.layers.7.mlp.up_proj"; 0: no layer's number.
uint32_t qp_str_stack_end(const qp_ck_module *m);

#endif
