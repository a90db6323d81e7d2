// SPDX-License-Identifier: Apache-2.0
// Shared groups (pipeline spec B): modules with an enabled weight quantizer whose names match the same
// pattern with the same captures, at least two of them; and the parent at which such a group lives.
#include <string.h>

#include "core/file.h"
#include "model/model.h"

typedef struct bucket {
    int pattern;
    const char *captures;
    int n; // members
} bucket;

static uint64_t hash_hit(const qp_pattern_hit *h) {
    return qp_hash64(h->captures, strlen(h->captures), (uint64_t)h->pattern);
}

// bucket_of[i]: number of the bucket of name i in order of first appearance, -1 = none. Open addressing over
// bucket numbers.
static qp_status fill_buckets(const qp_pattern_hit *hits, const bool *enabled, int n, qp_arena *a,
                              bucket **out, int *n_out, int *bucket_of, qp_err *err) {
    size_t n_slots = 16;
    while (n_slots < 2 * (size_t)n) n_slots *= 2;
    int *slots = NULL;
    QP_TRY(QP_NEW(a, slots, n_slots)); // bucket number + 1, 0 = free
    QP_TRY(QP_NEW(a, *out, n > 0 ? n : 1));
    *n_out = 0;
    for (int i = 0; i < n; i++) {
        bucket_of[i] = -1;
        if (!enabled[i] || hits[i].pattern < 0) continue;
        size_t at = hash_hit(&hits[i]) & (n_slots - 1);
        for (; slots[at] != 0; at = (at + 1) & (n_slots - 1)) {
            const bucket *b = &(*out)[slots[at] - 1];
            if (b->pattern == hits[i].pattern && strcmp(b->captures, hits[i].captures) == 0) break;
        }
        if (slots[at] == 0) {
            (*out)[*n_out] = (bucket){hits[i].pattern, hits[i].captures, 0};
            slots[at] = ++*n_out;
        }
        bucket_of[i] = slots[at] - 1;
        (*out)[bucket_of[i]].n++;
    }
    return QP_OK;
}

static bool is_index(const char *s) {
    size_t n = strspn(s, "0123456789");
    return n > 0 && (s[n] == 0 || s[n] == '.');
}

// Length of the lowest common ancestor of the members' names. An ancestor whose child on the way down is a
// bare number is a list and cannot hold the state: climb past it (upstream climbs past nn.ModuleList only). 0
// = the model itself.
static size_t ancestor_length(const char *const *names, const int *members, int n) {
    const char *first = names[members[0]];
    size_t common = 0; // the longest prefix that ends before a dot in every member
    for (size_t end = 0; first[end] != 0; end++) {
        if (first[end] != '.') continue;
        bool all = true;
        for (int i = 1; i < n && all; i++) all = strncmp(first, names[members[i]], end + 1) == 0;
        if (!all) break;
        common = end;
    }
    while (common > 0 && is_index(first + common + 1)) {
        while (common > 0 && first[common - 1] != '.') common--;
        if (common > 0) common--;
    }
    return common;
}

qp_status qp_groups_find(const char *const *names, const bool *enabled, int n, const char *const *patterns,
                         int n_patterns, qp_arena *a, qp_group_list *out, qp_err *err) {
    *out = (qp_group_list){NULL, 0};
    qp_pattern_hit *hits = NULL;
    QP_TRY(qp_pattern_hits(names, n, patterns, n_patterns, a, &hits, err));
    int *bucket_of = NULL, n_buckets = 0;
    bucket *buckets = NULL;
    QP_TRY(QP_NEW(a, bucket_of, n > 0 ? n : 1));
    QP_TRY(fill_buckets(hits, enabled, n, a, &buckets, &n_buckets, bucket_of, err));
    int n_groups = 0;
    for (int b = 0; b < n_buckets; b++) n_groups += buckets[b].n >= 2;
    qp_group *groups = NULL;
    int **members = NULL; // of a bucket, NULL = too small
    QP_TRY(QP_NEW(a, groups, n_groups > 0 ? n_groups : 1));
    QP_TRY(QP_NEW(a, members, n_buckets > 0 ? n_buckets : 1));
    int at = 0;
    for (int b = 0; b < n_buckets; b++) {
        if (buckets[b].n < 2) continue;
        QP_TRY(QP_NEW(a, members[b], buckets[b].n));
        groups[at++] = (qp_group){.members = members[b], .n_members = buckets[b].n};
    }
    for (int i = 0; i < n; i++)
        if (bucket_of[i] >= 0 && members[bucket_of[i]] != NULL) *members[bucket_of[i]]++ = i;
    for (int g = 0; g < n_groups; g++) {
        size_t len = ancestor_length(names, groups[g].members, groups[g].n_members);
        QP_TRY(qp_arena_printf(a, &groups[g].parent, err, "%.*s", (int)len, names[groups[g].members[0]]));
    }
    *out = (qp_group_list){groups, n_groups};
    return QP_OK;
}

void qp_recipe_patterns(const qp_recipe *r, const char *const **patterns, int *n) {
    bool own = r->shared == QP_SHARED_LIST; // by presence: an empty list is a list (E-04)
    *patterns = own ? r->patterns : qp_default_patterns;
    *n = own ? r->n_patterns : QP_COUNT(qp_default_patterns);
}
