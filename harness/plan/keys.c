// SPDX-License-Identifier: Apache-2.0
// The kinds of cases and their keys: a table and nothing else. 'quantproof list --keys' prints it, the parser
// reads it. Order matters: the canonical case line has its keys in this order, so moving a row changes case
// ids.
#include "plan/case.h"

static const char *const names_words[] = {"hf", "megatron", NULL};
static const char *const sync_words[] = {"invariant", "modelopt-0.47", NULL};
static const char *const all_words[] = {"all", NULL};
static const char *const auto_words[] = {"auto", NULL};
static const char *const expect_words[] = {"pass", "refuse", NULL};
static const char *const dtype_words[] = {"bf16", "fp16", "fp32", NULL};
static const char *const bwd_words[] = {"pass", "clip", NULL};
static const char *const dist_words[] = {"gauss",     "heavy", "outliers", "bits",
                                         "quantized", "ties",  "zeros",    NULL};
static const char *const edge_words[] = {"zero-block", "subnormal", "neg-zero", "nan",    "inf",
                                         "max",        "amax",      "amax+ulp", "spread", NULL};
static const char *const format_words[] = {
    "int8",         "int8-axis0", "fp8-e4m3", "fp8-axis0",  "fp8-block2d", "nvfp4",
    "nvfp4-static", "nvfp4-46",   "int4",     "int4-axis0", "int4-block",  "int4-awq",
    "int8-export",  "fp8-export", "mxfp4",    "mxfp6-e3m2", "mxfp6-e2m3",  "mxfp8-e4m3",
    "mxfp8-e5m2",   "mxint8",     "nf4",      "nvfp4-w4a8", NULL};
static const char *const engine_words[] = {"auto",       "ieee",   "torch-cpu", "triton-interp",
                                           "torch-cuda", "mx-ext", "triton",    NULL};

enum { MAX_DEGREE = 4096 };

static const qp_key pipeline_keys[] = {
    {"model", QP_KEY_TEXT, NULL, NULL, 0, 0, false, "name in cases/models/, or a YAML path"},
    {"layers", QP_KEY_LAYERS, "all", NULL, 0, 0, true,
     "KIND:N,...: the first N layers of each kind (moe, attn, mlp, mamba)"},
    {"names", QP_KEY_WORD, "hf", names_words, 0, 0, false,
     "hf: q/k/v, gate/up, w1/w3 are modules and form shared groups; megatron: linear_qkv and linear_fc1 are "
     "one module each"},
    {"recipe", QP_KEY_TEXT, NULL, NULL, 0, 0, false, "name in cases/recipes/, or a YAML path"},
    {"tp", QP_KEY_INT, "1", NULL, 1, MAX_DEGREE, false, "tensor parallel degree"},
    {"cp", QP_KEY_INT, "1", NULL, 1, MAX_DEGREE, false, "context parallel degree"},
    {"pp", QP_KEY_INT, "1", NULL, 1, MAX_DEGREE, false, "pipeline parallel degree"},
    {"ep", QP_KEY_INT, "1", NULL, 1, MAX_DEGREE, false, "expert parallel degree"},
    {"etp", QP_KEY_INT, "=tp", NULL, 1, MAX_DEGREE, false, "expert tensor parallel degree"},
    {"dp", QP_KEY_INT, "=ep", NULL, 1, MAX_DEGREE, false,
     "data parallel degree of the dense modules; ranks = pp x dp x cp x tp, tp fastest; dp*cp*tp must be a "
     "multiple of etp*ep"},
    {"sync", QP_KEY_WORD, "invariant", sync_words, 0, 0, false,
     "invariant: no result depends on the layout; modelopt-0.47: the table of pipeline spec A.3, which is "
     "not layout invariant"},
    {"tokens", QP_KEY_INT, "64", NULL, 0, 1 << 24, false,
     "tokens routed for the activation amax; few make dead experts; 0 = weights only"},
    {"rows", QP_KEY_INT, "all", all_words, 1, INT64_MAX, false,
     "fake-quant and pack on N rows per expert and shard, with first, last and the row of the maximum; amax "
     "and groups over all"},
    {"weights", QP_KEY_TEXT, "generated", NULL, 0, 0, false,
     "safetensors file or folder, matched by name; its hash goes into the record"},
    {"max_on", QP_KEY_PLACE, "", NULL, 0, 0, false, "put the maximum on one rank:N, expert:N or member:NAME"},
    {"load", QP_KEY_LAYOUT, "auto", auto_words, 0, 0, false,
     "layout of the other checkpoint load, tp2ep4; auto: the nearest other layout that is possible"},
    {"seed", QP_KEY_U64, "1", NULL, 0, 0, false, "of the generator"},
    {"expect", QP_KEY_WORD, "pass", expect_words, 0, 0, false,
     "refuse: this layout must be refused, for the reason that the reference gives; that is then the passing "
     "answer"},
};

#define KEY_FMT                                                                                              \
    { "fmt", QP_KEY_WORD, NULL, format_words, 0, 0, false, "format" }
#define KEY_IN                                                                                               \
    { "in", QP_KEY_WORD, "bf16", dtype_words, 0, 0, false, "type of the tensor" }
#define KEY_SHAPE                                                                                            \
    {                                                                                                        \
        "shape", QP_KEY_SHAPE, "64x256", NULL, 0, 0, false,                                                  \
            "RxC; with hex= and no shape: one row of all values"                                             \
    }
#define KEY_SEED                                                                                             \
    { "seed", QP_KEY_U64, "1", NULL, 0, 0, false, "of the generator" }
#define KEY_DIST                                                                                             \
    {                                                                                                        \
        "dist", QP_KEY_DIST, "gauss:0.02", dist_words, 0, 0, false,                                          \
            "distribution; gauss, heavy, outliers take :SIGMA"                                               \
    }
#define KEY_EDGE                                                                                             \
    { "edge", QP_KEY_EDGES, "", edge_words, 0, 0, true, "specials mixed into the data, a list" }
#define KEY_HEX                                                                                              \
    {                                                                                                        \
        "hex", QP_KEY_HEX, "", NULL, 0, 0, true,                                                             \
            "the values themselves as images, or @FILE with one image a word"                                \
    }
#define KEY_ENGINE                                                                                           \
    {                                                                                                        \
        "engine", QP_KEY_WORD, "auto", engine_words, 0, 0, false,                                            \
            "arithmetic path that the answers follow; auto: of each op the first there is of ieee, "         \
            "torch-cpu"                                                                                      \
    }
#define KEY_BWD(dflt)                                                                                        \
    { "bwd", QP_KEY_WORD, dflt, bwd_words, 0, 0, false, "backward: gradient passed on, or clipped at amax" }
#define KEY_NARROW                                                                                           \
    { "narrow_range", QP_KEY_INT, "0", NULL, 0, 1, false, "INT8: lowest level -127 in the place of -128" }
#define KEY_MISALIGN                                                                                         \
    {                                                                                                        \
        "misalign", QP_KEY_INT, "0", NULL, 0, 15, false,                                                     \
            "first element that many elements past an aligned address"                                       \
    }
#define KEY_PAD                                                                                              \
    {                                                                                                        \
        "pad", QP_KEY_INT, "0", NULL, 0, 1024, false,                                                        \
            "elements between the rows of x: the kernel gets a row pitch of columns + pad"                   \
    }
#define KEY_ORDER                                                                                            \
    {                                                                                                        \
        "order", QP_KEY_U64, "0", NULL, 0, 0, false,                                                         \
            "simt only: thread order, 0 forward, 1 reverse, else the seed of a shuffle"                      \
    }

static const qp_key quant_keys[] = {
    KEY_FMT,    KEY_IN,          KEY_SHAPE,  KEY_SEED,     KEY_DIST, KEY_EDGE,  KEY_HEX,
    KEY_ENGINE, KEY_BWD("pass"), KEY_NARROW, KEY_MISALIGN, KEY_PAD,  KEY_ORDER,
};
static const qp_key grouped_keys[] = {
    KEY_FMT,
    KEY_IN,
    {"shape", QP_KEY_SHAPE, "4x64x256", NULL, 0, 0, false, "NxRxC: N tensors in one launch"},
    {"ragged", QP_KEY_INT, "0", NULL, 0, 1, false,
     "1: the N tensors have different row counts, R the most, one of them 0"},
    KEY_SEED,
    KEY_DIST,
    KEY_EDGE,
    KEY_ENGINE,
    KEY_BWD("pass"),
    KEY_NARROW,
    KEY_MISALIGN,
    KEY_PAD,
    KEY_ORDER,
};
static const qp_key amax_keys[] = {
    KEY_FMT, KEY_IN, KEY_SHAPE, KEY_SEED, KEY_DIST, KEY_EDGE, KEY_HEX, KEY_MISALIGN, KEY_PAD, KEY_ORDER,
};
static const qp_key ste_keys[] = {
    KEY_FMT, KEY_IN,     KEY_SHAPE,       KEY_SEED,     KEY_DIST, KEY_EDGE,
    KEY_HEX, KEY_ENGINE, KEY_BWD("clip"), KEY_MISALIGN, KEY_PAD,  KEY_ORDER,
};

const qp_kind qp_kinds[] = {
    {"pipeline", "layers of a model through every stage, over ranks, against the unsharded truth",
     pipeline_keys, QP_COUNT(pipeline_keys)},
    {"quant", "amax, fake-quant, pack and dequantize of one tensor on the subject's kernels", quant_keys,
     QP_COUNT(quant_keys)},
    {"grouped", "the same over N tensors in one launch", grouped_keys, QP_COUNT(grouped_keys)},
    {"amax", "amax alone, over tensor, rows or blocks as the format has it", amax_keys, QP_COUNT(amax_keys)},
    {"ste", "backward: the straight-through gradient and its clip mask", ste_keys, QP_COUNT(ste_keys)},
};
const int qp_n_kinds = QP_COUNT(qp_kinds);

const char *const qp_later_kinds[] = {"sweep", "ckpt", "export"};
const int qp_n_later_kinds = QP_COUNT(qp_later_kinds);

const char *qp_key_type_name(qp_key_type t) {
    static const char *const names[QP_KEY_TYPE_COUNT] = {"number", "u64",  "word",  "text", "shape", "layout",
                                                         "layers", "dist", "edges", "hex",  "place"};
    return (unsigned)t < QP_KEY_TYPE_COUNT ? names[t] : "?";
}
