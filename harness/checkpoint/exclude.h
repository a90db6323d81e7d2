// SPDX-License-Identifier: Apache-2.0
// Lists of module names and patterns out of configs, and which item a module's name matches.
//
// Names are read as segments between dots. Which items match a name:
// - exact: the same bytes. Compressed-tensors means no more than that.
// - below: the name, or one of its leading runs of segments, is the item: "a.b" takes a.b and a.b.c, not
// a.bc.
// - run: the item is any run of whole segments of the name. What the loaders of Model Optimizer, FP8, MXFP4
// and
//   AWQ files reach through their substring fallback (shapes spec 2.9), less its accidents: "mlp.gate" takes
//   model.layers.0.mlp.gate and everything below, not model.layers.0.mlp.gate_proj; "lm_head" takes
//   language_model.lm_head.
// - glob: * stands for any characters (dots too), ? for one; the whole name or a leading run of its segments
//   ("x*" takes x, xy, x.y).
// - regex: Perl-compatible, anchored at the first byte only, as Python's re.match.
// Bytes are compared: upper and lower case differ, NUL is a byte like any other.
#ifndef CHECKPOINT_EXCLUDE_H
#define CHECKPOINT_EXCLUDE_H

#include "checkpoint/finding.h"

typedef enum qp_ck_match { QP_CK_EXACT, QP_CK_BELOW, QP_CK_RUN, QP_CK_GLOB, QP_CK_REGEX } qp_ck_match;

typedef struct qp_ck_item {
    const char *text; // n bytes as the config has them, behind "re:" where it is a regex
    const char *by;   // file and item, printable
    size_t n;
    qp_ck_match match;
    int value;   // whatever the list is of
    int same_as; // the first item of the same text and kind; itself otherwise
    bool used;   // has matched a name (of the first of the same ones)
    bool broken; // never looked up: a regex that does not compile
    void *regex;
} qp_ck_item;

// Filled by add, then ready once, then asked. One thread.
typedef struct qp_ck_list {
    qp_ck_item *items;
    int n, cap;
    int *slots; // open hashing of EXACT, BELOW, RUN and of globs "text*" by their text
    size_t n_slots;
    size_t *heads; // lengths of the texts before the only * of a glob, each once
    int n_heads;
    int *slow; // globs and regexes that need a look each
    int n_slow;
    bool runs, belows; // there are such items
    void *memory;      // of PCRE2, in the arena
    void *match_data, *match_limits;
} qp_ck_list;

// text: n bytes, kept by reference. A regex that does not compile: *why says so, the item is broken.
qp_status qp_ck_list_add(qp_ck_list *l, qp_ck_item item, qp_arena *a, const char **why, qp_err *err);
qp_status qp_ck_list_ready(qp_ck_list *l, qp_arena *a, qp_err *err);
// The item that matches: of those in the hash the longest, else the first of the slow ones; -1: none. Marks
// every one that matches as used.
int qp_ck_list_find(const qp_ck_list *l, const char *name, size_t n);
bool qp_ck_list_used(const qp_ck_list *l, int i);

// Names that the loaders of every dialect leave as they are: norms, embeddings, convolutions, what has no
// matrix. And those that only some leave: routers, the head, vision towers.
typedef enum qp_ck_kind {
    QP_CK_KIND_LINEAR,
    QP_CK_KIND_NORM,
    QP_CK_KIND_EMBEDDING,
    QP_CK_KIND_CONV,
    QP_CK_KIND_STATE, // A_log, dt_bias, sinks ...: no linear at all
    QP_CK_KIND_ROUTER,
    QP_CK_KIND_HEAD,
    QP_CK_KIND_MTP_GLUE, // eh_proj and the like
    QP_CK_KIND_VISION
} qp_ck_kind;
qp_ck_kind qp_ck_kind_of(const char *name, size_t n);
bool qp_ck_has_segment(const char *name, size_t n, const char *segment);

#endif
