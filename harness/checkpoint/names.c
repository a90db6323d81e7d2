// SPDX-License-Identifier: Apache-2.0
// One table of words for every dialect: a name ends in a word behind '.', or behind '_' where a stack of
// experts is one parameter (gate_up_proj_blocks), or is a stack without any word.
#include "checkpoint/names.h"

#include <string.h>

#define IN(d) (1u << QP_CK_##d)
#define MO IN(MODELOPT)
#define CT IN(COMPRESSED_TENSORS)
#define FP8 IN(FP8)
#define WORDS (IN(AWQ) | IN(GPTQ))
#define MOST (IN(PLAIN) | MO | CT | FP8)
#define ANY 0xffu

static const qp_ck_suffix dotted[] = {
    {"weight", QP_CK_WEIGHT, MOST},
    {"weight_packed", QP_CK_WEIGHT, CT},
    {"qweight", QP_CK_WEIGHT, WORDS},
    {"weight_scale", QP_CK_SCALE, MO | CT | FP8},
    {"weight_scale_inv", QP_CK_SCALE, FP8},
    {"scales", QP_CK_SCALE, WORDS},
    {"weight_scale_2", QP_CK_GLOBAL, MO},
    {"weight_global_scale", QP_CK_GLOBAL, CT},
    {"input_scale", QP_CK_INPUT, MO | CT | FP8},
    {"input_global_scale", QP_CK_INPUT, CT},
    {"weight_zero_point", QP_CK_ZERO, CT},
    {"qzeros", QP_CK_ZERO, WORDS},
    {"input_zero_point", QP_CK_INPUT_ZERO, CT},
    {"g_idx", QP_CK_G_IDX, IN(GPTQ)},
    {"weight_g_idx", QP_CK_G_IDX, CT},
    {"weight_shape", QP_CK_WEIGHT_SHAPE, CT},
    {"pre_quant_scale", QP_CK_PRE_QUANT, MO},
    {"k_scale", QP_CK_K_SCALE, ANY},
    {"v_scale", QP_CK_V_SCALE, ANY},
    {"k_bias", QP_CK_K_BIAS, ANY},
    {"v_bias", QP_CK_V_BIAS, ANY},
    {"weight_quantizer._svdquant_lora_a", QP_CK_LORA_A, MO},
    {"weight_quantizer._svdquant_lora_b", QP_CK_LORA_B, MO},
    {"bias", QP_CK_BIAS, ANY},
};

static const qp_ck_suffix underscored[] = {
    {"weight", QP_CK_WEIGHT, MOST},
    {"weight_packed", QP_CK_WEIGHT, CT},
    {"blocks", QP_CK_WEIGHT, IN(GPT_OSS)},
    {"weight_scale", QP_CK_SCALE, MO | CT | FP8},
    {"weight_scale_inv", QP_CK_SCALE, FP8},
    {"scale_inv", QP_CK_SCALE, FP8},
    {"scales", QP_CK_SCALE, IN(GPT_OSS)},
    {"weight_scale_2", QP_CK_GLOBAL, MO},
    {"weight_global_scale", QP_CK_GLOBAL, CT},
    {"input_scale", QP_CK_INPUT, MO | CT | FP8},
    {"input_global_scale", QP_CK_INPUT, CT},
    {"pre_quant_scale", QP_CK_PRE_QUANT, MO},
    {"bias", QP_CK_BIAS, ANY},
};

// Last components of plain parameters and buffers: state space models, attention sinks, routers, rotary
// tables, vision and audio towers, layer scales.
static const char *const parameters[] = {"A_log",
                                         "D",
                                         "dt_bias",
                                         "e_score_correction_bias",
                                         "expert_bias",
                                         "per_expert_scale",
                                         "sinks",
                                         "sink",
                                         "attn_sink",
                                         "inv_freq",
                                         "freqs_cis",
                                         "class_embedding",
                                         "position_embedding",
                                         "positional_embedding",
                                         "positional_embedding_vlm",
                                         "pos_embed",
                                         "cls_token",
                                         "mask_token",
                                         "register_tokens",
                                         "image_newline",
                                         "view_seperator",
                                         "logit_scale",
                                         "logit_bias",
                                         "layer_scalar",
                                         "gamma",
                                         "beta",
                                         "lambda1",
                                         "lambda2",
                                         "lambda_1",
                                         "lambda_2",
                                         "ls1",
                                         "ls2",
                                         "pos_bias_u",
                                         "pos_bias_v",
                                         "q_scale",
                                         "prob_scale",
                                         "kv_scale",
                                         "running_mean",
                                         "running_var",
                                         "num_batches_tracked",
                                         "mm_input_projection_weight",
                                         "relative_position_bias_table",
                                         "scale",
                                         "tid2eid",
                                         "_extra_state"};

static const char *const embeddings[] = {
    "embed_tokens",
    "embeddings",
    "embed",
    "embedding",
    "wte",
    "wpe",
    "word_embeddings",
    "tok_embeddings",
    "token_embedding",
    "tokens_embed",
    "token_embeddings",
    "position_embedding",
    "pos_embed",
    "position_embeddings",
    "pos_emb",
    "embed_tokens_per_layer",
    "patch_embedding",
    "emb",
};

static bool is(const char *s, uint32_t n, const char *word) {
    return strlen(word) == n && memcmp(s, word, n) == 0;
}

static bool is_one_of(const char *s, uint32_t n, const char *const *words, int n_words) {
    for (int i = 0; i < n_words; i++)
        if (is(s, n, words[i])) return true;
    return false;
}

static bool ends(const char *s, uint32_t n, const char *word) {
    const size_t len = strlen(word);
    return n >= len && memcmp(s + n - len, word, len) == 0;
}

// The row whose word ends the name behind `separator`.
static const qp_ck_suffix *find(const qp_ck_suffix *rows, int n_rows, const char *name, uint32_t n,
                                char separator) {
    const qp_ck_suffix *best = NULL;
    for (int i = 0; i < n_rows; i++) {
        const size_t len = strlen(rows[i].word);
        if (!ends(name, n, rows[i].word) || (n > len && name[n - len - 1] != separator)) continue;
        if (n == len && separator != '.') continue;
        if (best == NULL || len > strlen(best->word)) best = &rows[i];
    }
    return best;
}

uint32_t qp_ck_name_last(const char *name, uint32_t n) {
    while (n > 0 && name[n - 1] != '.') n--;
    return n;
}

int qp_ck_name_order(const char *a, uint32_t n_a, const char *b, uint32_t n_b) {
    const int order = memcmp(a, b, n_a < n_b ? n_a : n_b);
    return order != 0 ? order : (n_a > n_b) - (n_a < n_b);
}

// A stack of experts, or a projection kept as a parameter of its parent (in_proj_weight).
static bool is_projection(const char *name, uint32_t n) {
    const uint32_t last = qp_ck_name_last(name, n);
    return n > last && (ends(name, n, "_proj") || (last > 0 && ends(name, last - 1, "experts")));
}

// Older releases of compressed-tensors keep the scales of the KV cache as those of k_proj's and v_proj's
// output.
static bool split_output_scale(const char *name, uint32_t n, qp_ck_name *out) {
    static const qp_ck_suffix rows[] = {{"output_scale", QP_CK_K_SCALE, CT},
                                        {"output_scale", QP_CK_V_SCALE, CT}};
    static const char *const tails[] = {"k_proj.output_scale", "v_proj.output_scale"};
    for (int i = 0; i < 2; i++) {
        if (!ends(name, n, tails[i])) continue;
        *out = (qp_ck_name){name, n - (uint32_t)strlen(".output_scale"), (qp_ck_role)rows[i].role, &rows[i],
                            '.'};
        return true;
    }
    return false;
}

bool qp_ck_name_split(const char *name, uint32_t n, uint32_t n_dims, qp_ck_name *out) {
    const qp_ck_suffix *row = find(dotted, QP_COUNT(dotted), name, n, '.');
    char separator = '.';
    if (row == NULL && split_output_scale(name, n, out)) return true;
    if (row == NULL) {
        if (qp_ck_name_is_parameter(name, n)) return false;
        row = find(underscored, QP_COUNT(underscored), name, n, separator = '_');
        if (row != NULL && !is_projection(name, n - (uint32_t)strlen(row->word) - 1)) row = NULL;
    }
    if (row == NULL) {
        *out = (qp_ck_name){name, n, QP_CK_WEIGHT, NULL, 0};
        return n_dims >= 2 && is_projection(name, n);
    }
    const uint32_t word = (uint32_t)strlen(row->word);
    *out = (qp_ck_name){name, n > word ? n - word - 1 : 0, (qp_ck_role)row->role, row, separator};
    return true;
}

bool qp_ck_name_is_parameter(const char *name, uint32_t n) {
    const uint32_t last = qp_ck_name_last(name, n);
    return is_one_of(name + last, n - last, parameters, QP_COUNT(parameters));
}

bool qp_ck_name_is_embedding(const char *name, uint32_t n) {
    const uint32_t last = qp_ck_name_last(name, n);
    return is_one_of(name + last, n - last, embeddings, QP_COUNT(embeddings));
}

bool qp_ck_name_is_conv(const char *name, uint32_t n) {
    for (uint32_t i = qp_ck_name_last(name, n); i + 4 <= n; i++)
        if (memcmp(name + i, "conv", 4) == 0) return true;
    return false;
}

// ---- numbers
// -----------------------------------------------------------------------------------------------------------

enum { DIGITS = 9 };

static int number_at(const char *name, uint32_t n, uint32_t at, uint32_t *end) {
    int value = 0;
    *end = at;
    while (*end < n && name[*end] >= '0' && name[*end] <= '9') {
        if (*end - at >= DIGITS) return -1;
        value = 10 * value + (name[(*end)++] - '0');
    }
    return *end > at && (*end == n || name[*end] == '.') ? value : -1;
}

bool qp_ck_name_expert(const char *name, uint32_t n, uint32_t *parent, uint32_t *rest, int *expert) {
    for (uint32_t at = 0; at < n;) {
        uint32_t end = at, after;
        while (end < n && name[end] != '.') end++;
        if (end < n && is(name + at, end - at, "experts") &&
            (*expert = number_at(name, n, end + 1, &after)) >= 0) {
            *parent = end;
            *rest = after < n ? after + 1 : n;
            return true;
        }
        at = end + 1;
    }
    return false;
}

void qp_ck_name_numbers(const char *name, uint32_t n, int *layer, int *expert) {
    static const char *const lists[] = {"layers", "layer", "blocks", "block", "h"};
    uint32_t parent, rest;
    *layer = *expert = -1;
    if (!qp_ck_name_expert(name, n, &parent, &rest, expert)) *expert = -1;
    for (uint32_t at = 0; at < n && *layer < 0;) {
        uint32_t end = at, after;
        while (end < n && name[end] != '.') end++;
        if (end < n && is_one_of(name + at, end - at, lists, QP_COUNT(lists)))
            *layer = number_at(name, n, end + 1, &after);
        at = end + 1;
    }
}

// ---- the name that a missing tensor should have
// ------------------------------------------------------------------------

static const struct { // the first row of dialect and role counts
    unsigned dialects;
    qp_ck_role role;
    const char *word, *stacked;
} words[] = {
    {IN(GPT_OSS), QP_CK_SCALE, "scales", "scales"},
    {WORDS, QP_CK_SCALE, "scales", "scales"},
    {WORDS, QP_CK_ZERO, "qzeros", "qzeros"},
    {IN(GPTQ), QP_CK_G_IDX, "g_idx", "g_idx"},
    {MOST, QP_CK_SCALE, "weight_scale", "weight_scale"},
    {MO, QP_CK_GLOBAL, "weight_scale_2", "weight_scale_2"},
    {CT, QP_CK_GLOBAL, "weight_global_scale", "weight_global_scale"},
    {MOST, QP_CK_INPUT, "input_scale", "input_scale"},
    {CT, QP_CK_ZERO, "weight_zero_point", "weight_zero_point"},
    {CT, QP_CK_INPUT_ZERO, "input_zero_point", "input_zero_point"},
    {CT, QP_CK_G_IDX, "weight_g_idx", "weight_g_idx"},
    {CT, QP_CK_WEIGHT_SHAPE, "weight_shape", "weight_shape"},
    {MO, QP_CK_LORA_A, "weight_quantizer._svdquant_lora_a", "weight_quantizer._svdquant_lora_a"},
    {MO, QP_CK_LORA_B, "weight_quantizer._svdquant_lora_b", "weight_quantizer._svdquant_lora_b"},
    {ANY, QP_CK_K_SCALE, "k_scale", "k_scale"},
    {ANY, QP_CK_V_SCALE, "v_scale", "v_scale"},
    {ANY, QP_CK_K_BIAS, "k_bias", "k_bias"},
    {ANY, QP_CK_V_BIAS, "v_bias", "v_bias"},
};

static const char *word_of(const qp_ck_scheme *s, qp_ck_role role, bool stacked) {
    const unsigned dialect = s != NULL ? 1u << s->dialect : MO;
    if (s != NULL && s->dialect == QP_CK_FP8 && role == QP_CK_SCALE && s->spread == QP_CK_TILE)
        return stacked ? "scale_inv" : "weight_scale_inv";
    if (s != NULL && s->global == QP_CK_DIVIDES && role == QP_CK_INPUT) return "input_global_scale";
    for (int i = 0; i < QP_COUNT(words); i++)
        if ((words[i].dialects & dialect) != 0 && words[i].role == role)
            return stacked ? words[i].stacked : words[i].word;
    return qp_ck_role_name(role);
}

qp_status qp_ck_part_name(const qp_ck_module *m, const qp_ck_scheme *s, qp_ck_role role, qp_arena *a,
                          const char **out, uint32_t *n, qp_err *err) {
    const qp_ck_tensor *t = m->part[role], *w = m->part[QP_CK_WEIGHT];
    qp_ck_name split;
    if (t != NULL) {
        *out = t->name;
        *n = t->n_name;
        return QP_OK;
    }
    const bool stacked =
        w != NULL && qp_ck_name_split(w->name, w->n_name, w->n_dims, &split) && split.separator != '.';
    const char *word = word_of(s, role, stacked);
    const uint32_t len = (uint32_t)strlen(word);
    char *name;
    QP_TRY(QP_NEW(a, name, (size_t)m->n_name + len + 2));
    memcpy(name, m->name, m->n_name);
    name[m->n_name] = stacked ? '_' : '.';
    memcpy(name + m->n_name + 1, word, len);
    *out = name;
    *n = m->n_name + 1 + len;
    return QP_OK;
}

const char *qp_ck_role_name(qp_ck_role r) {
    static const char *const names[QP_CK_ROLES] = {[QP_CK_WEIGHT] = "weight",
                                                   [QP_CK_SCALE] = "weight scale",
                                                   [QP_CK_GLOBAL] = "global weight scale",
                                                   [QP_CK_INPUT] = "input scale",
                                                   [QP_CK_ZERO] = "zero point",
                                                   [QP_CK_INPUT_ZERO] = "input zero point",
                                                   [QP_CK_G_IDX] = "group index",
                                                   [QP_CK_WEIGHT_SHAPE] = "weight shape",
                                                   [QP_CK_PRE_QUANT] = "pre-quant scale",
                                                   [QP_CK_K_SCALE] = "K cache scale",
                                                   [QP_CK_V_SCALE] = "V cache scale",
                                                   [QP_CK_K_BIAS] = "K cache bias",
                                                   [QP_CK_V_BIAS] = "V cache bias",
                                                   [QP_CK_LORA_A] = "low-rank part A",
                                                   [QP_CK_LORA_B] = "low-rank part B",
                                                   [QP_CK_BIAS] = "bias"};
    return (unsigned)r < QP_CK_ROLES ? names[r] : "?";
}
