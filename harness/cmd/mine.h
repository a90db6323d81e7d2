// SPDX-License-Identifier: Apache-2.0
// Command mine, shared between its files: small tensors, the variants that each of them tells from the
// reference, and a small set of tensors that together tell all of them.
#ifndef CMD_MINE_H
#define CMD_MINE_H

#include "core/arena.h"
#include "qp/dtype.h"
#include "qp/format.h"

enum { QP_MINE_MAX_VARIANTS = 128 };

typedef struct qp_mine_mask { // a bit per variant
    uint64_t w[QP_MINE_MAX_VARIANTS / 64];
} qp_mine_mask;

static inline void qp_mask_set(qp_mine_mask *m, int i) {
    m->w[i / 64] |= UINT64_C(1) << i % 64;
}
static inline bool qp_mask_has(const qp_mine_mask *m, int i) {
    return m->w[i / 64] >> i % 64 & 1;
}
static inline qp_mine_mask qp_mask_or(qp_mine_mask a, qp_mine_mask b) {
    return (qp_mine_mask){{a.w[0] | b.w[0], a.w[1] | b.w[1]}};
}
static inline qp_mine_mask qp_mask_and(qp_mine_mask a, qp_mine_mask b) {
    return (qp_mine_mask){{a.w[0] & b.w[0], a.w[1] & b.w[1]}};
}
static inline qp_mine_mask qp_mask_without(qp_mine_mask a, qp_mine_mask b) {
    return (qp_mine_mask){{a.w[0] & ~b.w[0], a.w[1] & ~b.w[1]}};
}
static inline int qp_mask_count(qp_mine_mask a) {
    return __builtin_popcountll(a.w[0]) + __builtin_popcountll(a.w[1]);
}

typedef struct qp_mine {
    qp_format format;
    qp_dtype dtype; // of x and y
    uint64_t seed;
    int n_variants; // with number 0, the one without a sin
    qp_mine_mask all;
} qp_mine;

typedef struct qp_mine_tensor {
    int64_t rows, cols;
    uint32_t *x; // fp32 images of values of the type; calibrated on its own finite values
} qp_mine_tensor;

typedef struct qp_mine_set {
    qp_mine_tensor *tensors;
    qp_mine_mask *kills; // of each tensor
    int n, cap;
    qp_mine_mask killed; // of all of them
} qp_mine_set;

// mine.c: fills in the variants of m->format. QP_USAGE: nothing to mine there.
qp_status qp_mine_prepare(qp_mine *m, qp_err *err);

// mine_judge.c: variants among 'live' whose answer differs from the reference, per element (may be NULL) and
// together. Memory comes from a and is not kept.
qp_status qp_mine_judge(const qp_mine *m, const qp_mine_tensor *t, qp_mine_mask live, qp_arena *a,
                        qp_mine_mask *per_element, qp_mine_mask *all, qp_err *err);
// The same with every amax given (formats whose amax is an input), NULL: calibrated.
qp_status qp_mine_judge_at(const qp_mine *m, const qp_mine_tensor *t, const uint32_t *amax, qp_mine_mask live,
                           qp_arena *a, qp_mine_mask *per_element, qp_mine_mask *all, qp_err *err);
int64_t qp_mine_elements(const qp_mine_set *s);
qp_status qp_mine_add(qp_mine_set *s, const qp_mine_tensor *t, qp_mine_mask kills, qp_arena *a, qp_err *err);

// mine_pool.c: candidate number i of n, deterministic in (format, dtype, seed). A context has an amax (and
// for NVFP4 a global one) beside many values at and next to the ties that it makes; of it single elements can
// be kept. The others are kept whole.
int qp_mine_n_candidates(const qp_mine *m);
bool qp_mine_is_context(const qp_mine *m, int i);
qp_status qp_mine_candidate(const qp_mine *m, int i, qp_arena *a, qp_mine_tensor *out, qp_err *err);

// mine_cover.c: candidates to a set that tells as many variants as all candidates together, then fewer and
// fewer elements of it.
qp_status qp_mine_cover(const qp_mine *m, qp_arena *a, qp_mine_set *out, qp_err *err);
qp_status qp_mine_reduce(const qp_mine *m, qp_arena *a, qp_mine_set *s, qp_err *err);

// mine_file.c
qp_status qp_mine_write(const qp_mine *m, const qp_mine_set *s, const char *path, qp_err *err);
qp_status qp_mine_read(const qp_mine *m, const char *path, qp_arena *a, qp_mine_set *out, qp_err *err);

// mine_random.c: how many elements of random tensors tell how many variants.
typedef struct qp_mine_random {
    const char *data;   // what it was
    int64_t n_elems;    // looked at
    int64_t last_kill;  // elements until the last new one
    qp_mine_mask never; // not told by any of them
} qp_mine_random;
qp_status qp_mine_at_random(const qp_mine *m, bool edges, int64_t limit, qp_mine_random *out, qp_err *err);

// mine_prove.c: searches every bf16 input for one that tells a variant listed as equal from the reference.
// step: 1 = all, n = only every n-th amax (a sample, for tests). *refuted: variants that were told apart.
// QP_USAGE for another type: those have too many inputs.
qp_status qp_mine_prove(const qp_mine *m, qp_mine_mask claimed, int64_t step, int64_t *n_inputs,
                        qp_mine_mask *refuted, qp_err *err);

#endif
