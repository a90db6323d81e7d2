// SPDX-License-Identifier: Apache-2.0
// How claims are read, for the files of this room: typed access to a config's items, and what the dialects
// fill in. claims.c reads top to bottom: which config speaks, what its dialect says, how they contradict.
#ifndef CHECKPOINT_CLAIMS_H
#define CHECKPOINT_CLAIMS_H

#include "checkpoint/exclude.h"
#include "checkpoint/scheme.h"

// ---- typed access
// ---------------------------------------------------------------------------------------------------------------

// An object or list inside a config file; `where` is its path there, "" at the top.
typedef struct qp_ck_node {
    const char *file, *where;
    json_t *json; // NULL: not there
} qp_ck_node;

typedef enum qp_ck_json { // what is wanted
    QP_CK_OBJECT,
    QP_CK_LIST,
    QP_CK_TEXT,
    QP_CK_WHOLE,
    QP_CK_BOOL,
    QP_CK_ANY
} qp_ck_json;

typedef struct qp_ck_reading {
    qp_arena *a;
    qp_ck_findings *f;
    qp_ck_claims *k;
} qp_ck_reading;

// "quantization_config.dynamic.KEY", printable; key "": the node itself.
qp_status qp_ck_item_path(qp_arena *a, const qp_ck_node *node, const char *key, const char **out,
                          qp_err *err);
// Absent and null: json NULL. Another type: a file-format finding, json NULL.
qp_status qp_ck_item_get(const qp_ck_reading *r, const qp_ck_node *parent, const char *key, qp_ck_json wanted,
                         qp_ck_node *out, qp_err *err);
qp_status qp_ck_text_get(const qp_ck_reading *r, const qp_ck_node *parent, const char *key, const char **out,
                         qp_err *err); // NULL: absent
qp_status qp_ck_whole_get(const qp_ck_reading *r, const qp_ck_node *parent, const char *key, int *out,
                          bool *given, qp_err *err); // outside of int: a finding
qp_status qp_ck_bool_get(const qp_ck_reading *r, const qp_ck_node *parent, const char *key, bool *out,
                         bool *given, qp_err *err);
// A finding about an item of a config; key "" : the node itself.
#define QP_CK_SAY(r, rule, node, key, ...) qp_ck_say(r, rule, node, key, err, __VA_ARGS__)
qp_status qp_ck_say(const qp_ck_reading *r, qp_ck_rule rule, const qp_ck_node *node, const char *key,
                    qp_err *err, const char *fmt, ...) QP_PRINTF(6, 7);

// ---- what is read
// ---------------------------------------------------------------------------------------------------------------

struct qp_ck_claims {
    qp_ck_dialect dialect;
    const char *said, *producer;
    qp_ck_kv kv;
    qp_ck_list excludes; // value unused
    qp_ck_list names;    // targets by name: value is an index of schemes
    qp_ck_list patterns; // targets by pattern, the same
    int whole;           // scheme of every linear that no target names; -1: none
    struct qp_ck_said {
        const qp_ck_scheme *scheme; // NULL: unknown to us
        const char *by;
        bool excluded; // GPTQ "-:" patterns
    } * schemes;
    int n_schemes, cap_schemes;
    unsigned not_targets; // bits 1u << qp_ck_kind that the loader never quantizes
    const char *only;     // a segment that every quantized name has; NULL: none
    bool only_in_layers;  // only names with a number among their segments
    bool patterns_first;  // before names (GPTQ)
};

// Appends to k->schemes; *index of it.
qp_status qp_ck_say_scheme(const qp_ck_reading *r, const qp_ck_node *node, const char *key,
                           const qp_ck_scheme_ask *ask, int *index, qp_err *err);
// Every text of a list as an exclude item, with findings for flawed ones. patterns: "re:" marks a regex.
typedef enum qp_ck_spelling { QP_CK_SPELL_LOOSE, QP_CK_SPELL_EXACT, QP_CK_SPELL_AWQ } qp_ck_spelling;
qp_status qp_ck_excludes_add(const qp_ck_reading *r, const qp_ck_node *list, qp_ck_spelling how, qp_err *err);

// hf: hf_quant_config.json; cfg: the quantization config inside config.json; either may have json NULL.
qp_status qp_ck_read_modelopt(const qp_ck_reading *r, const qp_ck_node *hf, const qp_ck_node *cfg,
                              qp_err *err);
qp_status qp_ck_read_compressed_tensors(const qp_ck_reading *r, const qp_ck_node *cfg, qp_err *err);
qp_status qp_ck_read_fp8(const qp_ck_reading *r, const qp_ck_node *cfg, qp_err *err);
qp_status qp_ck_read_mxfp4(const qp_ck_reading *r, const qp_ck_node *cfg, qp_err *err);
// file: quant_config.json or quantize_config.json, json NULL: not there
qp_status qp_ck_read_awq(const qp_ck_reading *r, const qp_ck_node *cfg, const qp_ck_node *file, qp_err *err);
qp_status qp_ck_read_gptq(const qp_ck_reading *r, const qp_ck_node *cfg, const qp_ck_node *file, qp_err *err);
// kv_cache_scheme: an object of arguments or a text
qp_status qp_ck_read_kv_scheme(const qp_ck_reading *r, const qp_ck_node *cfg, qp_ck_kv *out, bool *given,
                               qp_err *err);
bool qp_ck_kv_named(const char *text, qp_ck_kv *out);

// Contradictions of the two files of Model Optimizer, and what its loaders require (2.9).
qp_status qp_ck_check_modelopt(const qp_ck_reading *r, const qp_ck_node *hf, const qp_ck_node *cfg,
                               qp_err *err);

#endif
