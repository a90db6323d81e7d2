// SPDX-License-Identifier: Apache-2.0
// Shared groups by comparing every name with every other. The default patterns (pipeline spec B) are matched
// here by their last component, never by a regex; user patterns arrive as data: which pattern each name
// matched, with which captures.
#include "qp/ref.h"

static const char *const default_suffixes[][3] = {
    {"q_proj", "k_proj", "v_proj"}, {"gate_proj", "up_proj", NULL}, {"w1", "w3", NULL}};

// A name cut at its last dot. A name without a dot has no prefix, which is not the same as an empty one.
typedef struct cut_name {
    bool has_prefix;
    int n_prefix;
    const char *last;
} cut_name;

static cut_name cut(const char *name) {
    cut_name c = {false, 0, name};
    for (int i = 0; name[i] != 0; i++)
        if (name[i] == '.') {
            c.has_prefix = true;
            c.n_prefix = i;
            c.last = name + i + 1;
        }
    return c;
}

static bool same_text(const char *a, const char *b) {
    for (; *a != 0 && *a == *b; a++) b++;
    return *a == *b;
}

static int default_pattern(const char *last) {
    for (int p = 0; p < QP_COUNT(default_suffixes); p++)
        for (int s = 0; s < 3; s++)
            if (default_suffixes[p][s] != NULL && same_text(last, default_suffixes[p][s])) return p;
    return -1;
}

static bool same_prefix(const char *a, const cut_name *ca, const char *b, const cut_name *cb) {
    if (ca->has_prefix != cb->has_prefix || ca->n_prefix != cb->n_prefix) return false;
    for (int i = ca->n_prefix - 1; i >= 0; i--)
        if (a[i] != b[i]) return false;
    return true;
}

static bool same_group(const qp_module *a, const qp_module *b, const qp_pattern_hit *hit_a,
                       const qp_pattern_hit *hit_b) {
    if (hit_a != NULL)
        return hit_a->pattern >= 0 && hit_a->pattern == hit_b->pattern &&
               same_text(hit_a->captures, hit_b->captures);
    cut_name ca = cut(a->fqn), cb = cut(b->fqn);
    int pattern = default_pattern(ca.last);
    return pattern >= 0 && pattern == default_pattern(cb.last) && same_prefix(a->fqn, &ca, b->fqn, &cb);
}

void ref_groups(const qp_module *mods, const bool *weight_enabled, const qp_pattern_hit *hits, int n_mods,
                int *group_of) {
    for (int i = 0; i < n_mods; i++) {
        group_of[i] = -1;
        if (!weight_enabled[i]) continue;
        for (int j = 0; j <= i && group_of[i] < 0; j++)
            if (weight_enabled[j] && same_group(&mods[j], &mods[i], hits != NULL ? &hits[j] : NULL,
                                                hits != NULL ? &hits[i] : NULL))
                group_of[i] = j;
    }
    for (int i = 0; i < n_mods; i++) {
        if (group_of[i] != i) continue;
        int members = 0;
        for (int j = 0; j < n_mods; j++) members += group_of[j] == i;
        if (members < 2) group_of[i] = -1;
    }
}
