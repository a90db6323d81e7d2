// SPDX-License-Identifier: Apache-2.0
// block-stats: a global scale that comes from the largest magnitude of its shared group makes that magnitude
// code 6 under a block scale near the top of E4M3 (shapes spec 2.9). Judged per group and not per tensor: the
// smaller members of a group stop far below.
#include "audit/values.h"

// The largest block scale is 448 with the divisor 2688, 256 to 384 with 4/6 (1536), 72 with W4A8 (448);
// a search over scales may take a little less than each.
static float least_top(const qp_ck_scheme *s) {
    return s->divisor > 0 && s->divisor <= 448.0f ? 64.0f : 256.0f;
}

// Stored block scales of E4M3 under a global one, counted, and nothing wrong with them that is said
// elsewhere.
static bool judged(const qp_ck_module *m, const qp_ck_stats *s) {
    return m->scheme != NULL && m->scheme->element == QP_ELEM_E2M1 && m->scheme->global != QP_CK_NO_GLOBAL &&
           s->scanned && s->n_scales > 0 && s->n_blocks > 0 && m->part[QP_CK_SCALE]->dtype == QP_ST_F8_E4M3 &&
           s->n_nan + s->n_negative + s->n_zero_live == 0;
}

// Groups of the divisor 2688 whose largest block scale says 4/6 (shapes spec 2.1), which no config mentions.
typedef struct tally {
    unsigned long long groups, of_46;
    const qp_ck_tensor *first;
} tally;

static void look_for_46(const qp_ck_tensor *t, const qp_ck_scheme *s, float top, tally *seen) {
    if (s->divisor != 2688.0f) return;
    seen->groups++;
    if (top < 256.0f || top > 384.0f) return;
    if (seen->of_46++ == 0) seen->first = t;
}

static qp_status judge_group(const qp_audit *u, const uint32_t *member, uint32_t n, tally *seen,
                             qp_ck_findings *f, qp_err *err) {
    unsigned long long blocks = 0, tops = 0, zeros = 0;
    uint32_t largest = member[0];
    for (uint32_t i = 0; i < n; i++) {
        const qp_ck_stats *s = &u->stats[member[i]];
        if (!judged(&u->modules.list[member[i]], s)) return QP_OK;
        blocks += s->n_blocks;
        tops += s->n_top;
        zeros += s->n_zero_blocks;
        if (s->max_scale > u->stats[largest].max_scale) largest = member[i];
    }
    const qp_ck_module *m = &u->modules.list[largest];
    const qp_ck_tensor *t = m->part[QP_CK_SCALE], *w = m->part[QP_CK_WEIGHT];
    const float top = qp_float_of(u->stats[largest].max_scale), wanted = least_top(m->scheme);
    if (zeros == blocks) return QP_OK; // nothing but zeros has no largest magnitude
    look_for_46(t, m->scheme, top, seen);
    if (tops == 0)
        QP_TRY(qp_ck_found(f, QP_CK_BLOCK_STATS, w->name, w->n_name, NULL, err,
                           "no code of magnitude 6 in the %llu blocks of its group of %u: the top of the "
                           "range is unused",
                           blocks, n));
    if (top < wanted && !u->ckpt.part) // the largest member may lie in another shard
        QP_TRY(qp_ck_found(f, QP_CK_BLOCK_STATS, t->name, t->n_name, NULL, err,
                           "largest block scale of its group of %u is %g: at least %g wanted", n, (double)top,
                           (double)wanted));
    return QP_OK;
}

qp_status qp_rules_block_stats(const qp_audit *u, qp_arena *a, qp_ck_findings *f, qp_err *err) {
    qp_share_groups groups;
    tally seen = {0};
    QP_TRY(qp_share_gather(&u->modules, true, a, &groups, err));
    for (uint32_t i = 0; i < groups.n; i++)
        QP_TRY(judge_group(u, groups.member + groups.start[i], groups.start[i + 1] - groups.start[i], &seen,
                           f, err));
    if (seen.of_46 == 0 || seen.of_46 < seen.groups) return QP_OK;
    return qp_ck_found(
        f, QP_CK_STATISTICS, seen.first->name, seen.first->n_name,
        "loads as NVFP4; only its codes were chosen otherwise", err,
        "the largest block scale of each of the %llu groups lies in 256..384, not at 448: written "
        "with Model Optimizer's 4/6, which no config says",
        seen.groups);
}
