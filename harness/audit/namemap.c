// SPDX-License-Identifier: Apache-2.0
// The table of names.
#include "audit/namemap.h"

#include <stdio.h>
#include <string.h>

// Either side stands for the other. Beginnings, then middles, then ends; one of each at a time.
static const char *const beginnings[][2] = {
    {"", ""}, // as it is
    {"model.language_model.", "model."},
    {"language_model.model.", "model."},
    {"language_model.model.", "model.language_model."},
    {"model.", "backbone."},
    {"language_model.", ""},
    {"model.", ""},
    {"model.model.", "model."},
    {"transformer.", "model."},
};
static const char *const middles[][2] = {
    {"", ""},
    {".block_sparse_moe.", ".mlp."}, // Mixtral in memory
    {".feed_forward.", ".mlp."},
    {".shared_expert.", ".shared_experts."},
    {".moe.", ".mlp."},
};
static const char *const ends[][2] = {
    {"", ""},
    {".w1", ".gate_proj"},
    {".w3", ".up_proj"},
    {".w2", ".down_proj"},
    {".gate", ".router"},
    {".fc1", ".up_proj"},
    {".fc2", ".down_proj"},
};

const qp_nm_fusion qp_nm_fusions[] = {
    {"gate_up_proj", 2, {"gate_proj", "up_proj"}},
    {"gate_up_proj", 2, {"w1", "w3"}},
    {"w13", 2, {"w1", "w3"}},
    {"down_proj", 1, {"down_proj"}}, // stacked over the experts only
    {"down_proj", 1, {"w2"}},
    {"up_proj", 1, {"up_proj"}},
    {"gate_proj", 1, {"gate_proj"}},
    {"qkv_proj", 3, {"q_proj", "k_proj", "v_proj"}},
    {"Wqkv", 3, {"q_proj", "k_proj", "v_proj"}},
};
const int qp_nm_n_fusions = QP_COUNT(qp_nm_fusions);

typedef struct spelled {
    char s[QP_NM_NAME];
    size_t n;
} spelled;

static bool replaced(const spelled *in, size_t at, size_t n_old, const char *with, spelled *out) {
    const size_t n_with = strlen(with);
    if (in->n - n_old + n_with > sizeof out->s) return false;
    memcpy(out->s, in->s, at);
    memcpy(out->s + at, with, n_with);
    memcpy(out->s + at + n_with, in->s + at + n_old, in->n - at - n_old);
    out->n = in->n - n_old + n_with;
    return true;
}

static bool find_text(const spelled *in, const char *text, size_t *at) {
    const size_t n = strlen(text);
    for (size_t i = 0; n > 0 && i + n <= in->n; i++) {
        if (memcmp(in->s + i, text, n) != 0) continue;
        *at = i;
        return true;
    }
    return false;
}

// The row's `from` side replaced by the other; false: it is not there. Row 0 changes nothing.
static bool begin_as(const spelled *in, const char *from, const char *to, spelled *out) {
    const size_t n = strlen(from);
    return in->n > n && memcmp(in->s, from, n) == 0 && replaced(in, 0, n, to, out);
}

static bool middle_as(const spelled *in, const char *from, const char *to, spelled *out) {
    size_t at;
    return find_text(in, from, &at) && replaced(in, at, strlen(from), to, out);
}

// An end stands before a tensor's own suffix too: ".w1", ".w1.weight".
static bool end_as(const spelled *in, const char *from, const char *to, spelled *out) {
    static const char *const suffixes[] = {"", ".weight", ".bias"};
    const size_t n = strlen(from);
    for (int i = 0; i < QP_COUNT(suffixes); i++) {
        const size_t n_suffix = strlen(suffixes[i]);
        if (in->n <= n + n_suffix || memcmp(in->s + in->n - n_suffix, suffixes[i], n_suffix) != 0) continue;
        const size_t at = in->n - n_suffix - n;
        if (memcmp(in->s + at, from, n) == 0) return replaced(in, at, n, to, out);
    }
    return false;
}

typedef bool (*rewrite)(const spelled *in, const char *from, const char *to, spelled *out);
typedef struct step {
    const char *const (*rows)[2];
    int n;
    rewrite as;
} step;

static const step steps[] = {
    {beginnings, QP_COUNT(beginnings), begin_as},
    {middles, QP_COUNT(middles), middle_as},
    {ends, QP_COUNT(ends), end_as},
};

static bool spellings_from(int i, const spelled *in, qp_nm_try found, void *ctx) {
    if (i == QP_COUNT(steps)) return found(ctx, in->s, in->n);
    if (spellings_from(i + 1, in, found, ctx)) return true;
    for (int row = 1; row < steps[i].n; row++) {
        for (int side = 0; side < 2; side++) {
            spelled out;
            if (!steps[i].as(in, steps[i].rows[row][side], steps[i].rows[row][1 - side], &out)) continue;
            if (spellings_from(i + 1, &out, found, ctx)) return true;
        }
    }
    return false;
}

bool qp_nm_spellings(const char *name, size_t n, qp_nm_try found, void *ctx) {
    spelled in;
    if (n > sizeof in.s) return found(ctx, name, n);
    memcpy(in.s, name, n);
    in.n = n;
    return spellings_from(0, &in, found, ctx);
}

static bool is_number(const char *s, size_t n, int64_t *out) {
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9') return false;
        *out = *out * 10 + (s[i] - '0');
    }
    return n > 0 && n < 10;
}

static size_t last_dot(const char *s, size_t n) {
    while (n > 0 && s[n - 1] != '.') n--;
    return n;
}

qp_nm_split qp_nm_split_of(const char *name, size_t n) {
    qp_nm_split out = {.expert = -1};
    const size_t leaf = last_dot(name, n);
    size_t path = leaf > 0 ? leaf - 1 : 0;
    out.leaf = name + leaf;
    out.n_leaf = (int)(n - leaf);
    out.path = name;
    const size_t number = last_dot(name, path);
    if (number > 0 && is_number(name + number, path - number, &out.expert))
        path = number - 1;
    else
        out.expert = -1;
    out.n_path = (int)path;
    return out;
}
