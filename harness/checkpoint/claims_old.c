// SPDX-License-Identifier: Apache-2.0
// The small dialects: FP8 blocks (DeepSeek, Qwen), MXFP4 of gpt-oss, AWQ, GPTQ (shapes spec 2.4 to 2.6).
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "checkpoint/claims.h"

#define KIND(name) (1u << QP_CK_KIND_##name)
// What quantizers of blocks of layers never touch, listed or not.
#define OUTSIDE                                                                                              \
    (KIND(NORM) | KIND(EMBEDDING) | KIND(CONV) | KIND(STATE) | KIND(ROUTER) | KIND(HEAD) | KIND(MTP_GLUE))

static qp_status whole(const qp_ck_reading *r, const qp_ck_node *cfg, const char *key,
                       const qp_ck_scheme_ask *ask, const char *said, qp_err *err) {
    QP_TRY(qp_ck_say_scheme(r, cfg, key, ask, &r->k->whole, err));
    return qp_arena_printf(r->a, &r->k->said, err, "%s", said);
}

static qp_status add_list(const qp_ck_reading *r, const qp_ck_node *cfg, const char *key, qp_ck_spelling how,
                          qp_err *err) {
    qp_ck_node list;
    QP_TRY(qp_ck_item_get(r, cfg, key, QP_CK_LIST, &list, err));
    return qp_ck_excludes_add(r, &list, how, err);
}

// ---- fp8
// -------------------------------------------------------------------------------------------------------------------------

qp_status qp_ck_read_fp8(const qp_ck_reading *r, const qp_ck_node *cfg, qp_err *err) {
    qp_ck_scheme_ask ask = {.dialect = QP_CK_FP8,
                            .said = "fp8",
                            .spread_given = true,
                            .spread = QP_CK_TILE,
                            .input_static = false};
    qp_ck_node block;
    const char *activation;
    r->k->not_targets = OUTSIDE;
    QP_TRY(qp_ck_text_get(r, cfg, "activation_scheme", &activation, err));
    QP_TRY(qp_ck_item_get(r, cfg, "weight_block_size", QP_CK_LIST, &block, err));
    if (block.json == NULL) ask.spread = QP_CK_ONE;
    for (size_t i = 0; i < json_array_size(block.json); i++)
        if (json_integer_value(json_array_get(block.json, i)) != 128) ask.said = "fp8 of another block size";
    if (block.json != NULL && json_array_size(block.json) != 2) ask.said = "fp8 of another block size";
    ask.input_static = activation != NULL && strcasecmp(activation, "static") == 0;
    QP_TRY(whole(r, cfg, "quant_method", &ask, block.json != NULL ? "fp8 in blocks" : "fp8 per tensor", err));
    QP_TRY(add_list(r, cfg, "modules_to_not_convert", QP_CK_SPELL_LOOSE, err));
    return add_list(r, cfg, "ignored_layers", QP_CK_SPELL_LOOSE, err);
}

// ---- mxfp4: only the experts
// -----------------------------------------------------------------------------------------------------

qp_status qp_ck_read_mxfp4(const qp_ck_reading *r, const qp_ck_node *cfg, qp_err *err) {
    const qp_ck_scheme_ask ask = {.dialect = QP_CK_GPT_OSS, .said = "mxfp4"};
    r->k->not_targets = OUTSIDE;
    r->k->only = "experts";
    QP_TRY(whole(r, cfg, "quant_method", &ask, "mxfp4 experts", err));
    return add_list(r, cfg, "modules_to_not_convert", QP_CK_SPELL_LOOSE, err);
}

// ---- the file beside config.json
// ----------------------------------------------------------------------------------------------------

typedef struct two_files { // what both may say; config.json first
    const qp_ck_node *cfg, *file;
} two_files;

// key and the name of older releases. Both files say it, and differ: a finding.
static qp_status whole_of(const qp_ck_reading *r, const two_files *t, const char *key, const char *old,
                          int *out, bool *given, qp_err *err) {
    int there = 0;
    bool has;
    QP_TRY(qp_ck_whole_get(r, t->cfg, key, out, given, err));
    if (!*given && old != NULL) QP_TRY(qp_ck_whole_get(r, t->cfg, old, out, given, err));
    QP_TRY(qp_ck_whole_get(r, t->file, key, &there, &has, err));
    if (!has && old != NULL) QP_TRY(qp_ck_whole_get(r, t->file, old, &there, &has, err));
    if (*given && has && there != *out)
        QP_TRY(
            QP_CK_SAY(r, QP_CK_CONFIG_TENSORS, t->file, key, "%d here, %d in %s", there, *out, t->cfg->file));
    if (!*given && has) *out = there;
    *given |= has;
    return QP_OK;
}

static qp_status bool_of(const qp_ck_reading *r, const two_files *t, const char *key, bool *out, bool *given,
                         qp_err *err) {
    bool there = false, has;
    QP_TRY(qp_ck_bool_get(r, t->cfg, key, out, given, err));
    QP_TRY(qp_ck_bool_get(r, t->file, key, &there, &has, err));
    if (*given && has && there != *out)
        QP_TRY(QP_CK_SAY(r, QP_CK_CONFIG_TENSORS, t->file, key, "%s here, %s in %s", there ? "true" : "false",
                         *out ? "true" : "false", t->cfg->file));
    if (!*given && has) *out = there;
    *given |= has;
    return QP_OK;
}

static qp_status text_of(const qp_ck_reading *r, const two_files *t, const char *key, const char **out,
                         qp_err *err) {
    QP_TRY(qp_ck_text_get(r, t->cfg, key, out, err));
    if (*out != NULL) return QP_OK;
    return qp_ck_text_get(r, t->file, key, out, err);
}

static qp_status list_of(const qp_ck_reading *r, const two_files *t, const char *key, qp_ck_node *out,
                         qp_err *err) {
    QP_TRY(qp_ck_item_get(r, t->cfg, key, QP_CK_LIST, out, err));
    if (out->json != NULL) return QP_OK;
    return qp_ck_item_get(r, t->file, key, QP_CK_LIST, out, err);
}

// ---- awq
// -------------------------------------------------------------------------------------------------------------------------

// The packing has one width: a config of another contradicts whatever lies beside it.
static qp_status awq_bits(const qp_ck_reading *r, const qp_ck_node *node, int *bits, qp_err *err) {
    enum { AWQ_BITS = 4 };
    const int said = *bits;
    if (said == 0 || said == AWQ_BITS) return QP_OK;
    *bits = AWQ_BITS;
    return QP_CK_SAY(r, QP_CK_CONFIG_TENSORS, node, "bits", "%d was wanted (AWQ packs no other), got %d",
                     AWQ_BITS, said);
}

qp_status qp_ck_read_awq(const qp_ck_reading *r, const qp_ck_node *cfg, const qp_ck_node *file, qp_err *err) {
    const two_files t = {cfg, file};
    qp_ck_scheme_ask ask = {.dialect = QP_CK_AWQ, .said = "awq"};
    const char *version;
    qp_ck_node list;
    bool given;
    r->k->not_targets = OUTSIDE | KIND(VISION);
    r->k->only_in_layers = true;
    QP_TRY(whole_of(r, &t, "bits", "w_bit", &ask.bits, &given, err));
    QP_TRY(awq_bits(r, cfg->json != NULL ? cfg : file, &ask.bits, err));
    QP_TRY(whole_of(r, &t, "group_size", "q_group_size", &ask.group_size, &given, err));
    QP_TRY(text_of(r, &t, "version", &version, err));
    if (version != NULL && strcasecmp(version, "gemm") != 0) ask.said = version; // gemv packs otherwise
    QP_TRY(whole(r, cfg->json != NULL ? cfg : file, "", &ask, "awq", err));
    QP_TRY(list_of(r, &t, "modules_to_not_convert", &list, err));
    return qp_ck_excludes_add(r, &list, QP_CK_SPELL_AWQ, err);
}

// ---- gptq
// ------------------------------------------------------------------------------------------------------------------------

// dynamic: {"-:REGEX": {}, "+:REGEX": {bits, group_size, sym, desc_act}}, the first that matches counts.
static qp_status read_dynamic(const qp_ck_reading *r, const two_files *t, const qp_ck_scheme_ask *base,
                              qp_err *err) {
    qp_ck_node dynamic;
    const char *key;
    json_t *v;
    QP_TRY(qp_ck_item_get(r, t->cfg, "dynamic", QP_CK_OBJECT, &dynamic, err));
    if (dynamic.json == NULL) QP_TRY(qp_ck_item_get(r, t->file, "dynamic", QP_CK_OBJECT, &dynamic, err));
    json_object_foreach(dynamic.json, key, v) {
        const bool marked = (key[0] == '-' || key[0] == '+') && key[1] == ':';
        qp_ck_scheme_ask ask = *base;
        qp_ck_item item = {.text = marked ? key + 2 : key, .match = QP_CK_REGEX};
        qp_ck_node args;
        const char *why = NULL;
        bool given, sym = !ask.asymmetric;
        item.n = strlen(item.text);
        QP_TRY(qp_ck_item_get(r, &dynamic, key, QP_CK_OBJECT, &args, err));
        QP_TRY(qp_ck_whole_get(r, &args, "bits", &ask.bits, &given, err));
        QP_TRY(qp_ck_whole_get(r, &args, "group_size", &ask.group_size, &given, err));
        QP_TRY(qp_ck_bool_get(r, &args, "desc_act", &ask.act_order, &given, err));
        QP_TRY(qp_ck_bool_get(r, &args, "sym", &sym, &given, err));
        ask.asymmetric = !sym;
        QP_TRY(qp_ck_say_scheme(r, &dynamic, key, &ask, &item.value, err));
        r->k->schemes[item.value].excluded = marked && key[0] == '-';
        QP_TRY(qp_ck_list_add(&r->k->patterns, item, r->a, &why, err));
        if (why != NULL)
            QP_TRY(QP_CK_SAY(r, QP_CK_CONFIG_TENSORS, &dynamic, key, "is no regular expression: %s", why));
    }
    return QP_OK;
}

// modules_in_block_to_quantize: lists of the names that each block quantizes together; no others are.
static qp_status read_named(const qp_ck_reading *r, const two_files *t, qp_err *err) {
    qp_ck_node lists;
    size_t i, j;
    json_t *list, *name;
    QP_TRY(list_of(r, t, "modules_in_block_to_quantize", &lists, err));
    if (lists.json == NULL) return QP_OK;
    json_array_foreach(lists.json, i, list) {
        json_array_foreach(list, j, name) {
            const qp_ck_item item = {.text = json_string_value(name),
                                     .n = json_string_length(name),
                                     .match = QP_CK_RUN,
                                     .value = r->k->whole};
            const char *why = NULL;
            if (json_is_string(name)) QP_TRY(qp_ck_list_add(&r->k->names, item, r->a, &why, err));
        }
    }
    r->k->whole = -1;
    return QP_OK;
}

qp_status qp_ck_read_gptq(const qp_ck_reading *r, const qp_ck_node *cfg, const qp_ck_node *file,
                          qp_err *err) {
    const two_files t = {cfg, file};
    qp_ck_scheme_ask ask = {.dialect = QP_CK_GPTQ, .said = "gptq"};
    const char *format;
    bool given, sym = true, head = false;
    r->k->not_targets = OUTSIDE | KIND(VISION);
    r->k->only_in_layers = r->k->patterns_first = true;
    QP_TRY(whole_of(r, &t, "bits", NULL, &ask.bits, &given, err));
    QP_TRY(whole_of(r, &t, "group_size", NULL, &ask.group_size, &given, err));
    QP_TRY(bool_of(r, &t, "desc_act", &ask.act_order, &given, err));
    QP_TRY(bool_of(r, &t, "sym", &sym, &given, err));
    QP_TRY(bool_of(r, &t, "lm_head", &head, &given, err));
    QP_TRY(text_of(r, &t, "checkpoint_format", &format, err));
    ask.asymmetric = !sym;
    if (format != NULL) ask.said = format;
    if (head) { // then a target like any other
        r->k->not_targets &= ~KIND(HEAD);
        r->k->only_in_layers = false;
    }
    QP_TRY(whole(r, cfg->json != NULL ? cfg : file, "", &ask, "gptq", err));
    QP_TRY(read_named(r, &t, err));
    return read_dynamic(r, &t, &ask, err);
}
