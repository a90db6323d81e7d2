// SPDX-License-Identifier: Apache-2.0
// Names of tensors: which module they belong to, and as what (shapes spec 2.1 to 2.6).
#ifndef CHECKPOINT_NAMES_H
#define CHECKPOINT_NAMES_H

#include "checkpoint/scheme.h"

typedef struct qp_ck_suffix {
    const char *word;
    uint8_t role;
    uint8_t dialects; // bits of qp_ck_dialect that use the word
} qp_ck_suffix;

typedef struct qp_ck_name { // of one tensor
    const char *module;     // n bytes
    uint32_t n;
    qp_ck_role role;
    const qp_ck_suffix *suffix; // NULL: a stack under its own name, `experts.gate_up_proj`
    char separator;             // '.' or '_' (stacked parameters), 0 without a suffix
} qp_ck_name;

// false: a tensor of no role (a buffer, a plain parameter, or unknown).
bool qp_ck_name_split(const char *name, uint32_t n, uint32_t n_dims, qp_ck_name *out);
// A plain parameter or buffer that models are known to hold outside of linears and norms.
bool qp_ck_name_is_parameter(const char *name, uint32_t n);
// Numbers behind ...layers. and ...experts.; -1: none.
void qp_ck_name_numbers(const char *name, uint32_t n, int *layer, int *expert);
// Where `experts.E.` splits a name: *parent bytes up to and with "experts", the rest from *rest on. false: no
// such component.
bool qp_ck_name_expert(const char *name, uint32_t n, uint32_t *parent, uint32_t *rest, int *expert);
uint32_t qp_ck_name_last(const char *name, uint32_t n); // where the last component begins
bool qp_ck_name_is_embedding(const char *name, uint32_t n);
bool qp_ck_name_is_conv(const char *name, uint32_t n);
// Order of bytes, a prefix first.
int qp_ck_name_order(const char *a, uint32_t n_a, const char *b, uint32_t n_b);
// The tensor that a scheme keeps in this role: its name when it is there, else the name it should have.
qp_status qp_ck_part_name(const qp_ck_module *m, const qp_ck_scheme *s, qp_ck_role role, qp_arena *a,
                          const char **out, uint32_t *n, qp_err *err);

#endif
