// SPDX-License-Identifier: Apache-2.0
// The generator: words by global element index, then a distribution, then edges. Any slice is made on its
// own.
#include "input/dist.h"
#include "input/narrow.h"

#include <string.h>

// Twice (64 * sum of the four bytes + 6 hashed bits) minus 65343: odd, symmetric, standard deviation close to
// 18918. One multiplication and its rounding, then one rounding to the stored type.
static inline uint32_t gauss_image(uint32_t u, float scale) {
    uint32_t sum = (u & 255) + (u >> 8 & 255) + (u >> 16 & 255) + (u >> 24);
    int v = 2 * (int)(64 * sum + ((u * 0x9E3779B1u) >> 26)) - 65343;
    return image_of((float)v * scale);
}

QP_CLONES static void gauss_bf16(const uint32_t *words, int n, float scale, uint16_t *out) {
#pragma omp simd
    for (int i = 0; i < n; i++) {
        uint32_t x = gauss_image(words[i], scale);
        out[i] = (uint16_t)((x + 0x7fffu + (x >> 16 & 1)) >> 16);
    }
}

QP_CLONES static void gauss_fp32(const uint32_t *words, int n, float scale, uint32_t *out) {
#pragma omp simd
    for (int i = 0; i < n; i++) out[i] = gauss_image(words[i], scale);
}

// Times 2^k with k geometric, 0 .. 12: exact, by the exponent.
static void make_heavy(const uint32_t *aux, int n, uint32_t *images) {
    for (int i = 0; i < n; i++)
        if ((images[i] & 0x7f800000u) != 0) images[i] += (uint32_t)__builtin_ctz(aux[i] | 1u << 12) << 23;
}

static void make_outliers(const run *r, uint32_t *images) {
    uint64_t hit = qp_gen_u64(r->gen->seed, r->name, UINT64_MAX) % 64;
    for (int i = 0; i < r->n; i++)
        if ((uint64_t)(r->col + i) % 64 == hit && (images[i] & 0x7f800000u) != 0) images[i] += 6u << 23;
}

static float gauss_scale(const run *r) {
    return (float)(r->gen->sigma / 18918.0) *
           pow2((int)r->gen->scale_pow2 + edge_row_exponent(r->gen, r->row));
}

static void fill_gauss(const run *r, void *out) {
    float scale = gauss_scale(r);
    uint32_t images[RUN_MAX];
    if (r->dtype == QP_BF16) {
        gauss_bf16(r->words, r->n, scale, out);
        return;
    }
    gauss_fp32(r->words, r->n, scale, images);
    narrow_all(r->dtype, images, r->n, out);
}

static void fill_heavy(const run *r, void *out) {
    uint32_t images[RUN_MAX];
    gauss_fp32(r->words, r->n, gauss_scale(r), images);
    make_heavy(r->aux, r->n, images);
    narrow_all(r->dtype, images, r->n, out);
}

static void fill_outliers(const run *r, void *out) {
    uint32_t images[RUN_MAX];
    gauss_fp32(r->words, r->n, gauss_scale(r), images);
    make_outliers(r, images);
    narrow_all(r->dtype, images, r->n, out);
}

static void fill_bits(const run *r, void *out) {
    for (int i = 0; i < r->n; i++) bits_store(r->dtype, out, i, r->words[i]);
}

static void fill_zeros(const run *r, void *out) {
    memset(out, 0, qp_dtype_bytes(r->dtype) * (size_t)r->n);
}

static void fill_record(const run *r, void *out) {
    uint32_t images[RUN_MAX];
    record_key k = record_key_of(r->gen->seed, r->name, r->gen->record_wide, r->rows * r->cols);
    record_fill(&k, (uint64_t)(r->row * r->cols + r->col), r->n, images);
    int e = (int)r->gen->scale_pow2 + edge_row_exponent(r->gen, r->row);
    if (e != 0)
        for (int i = 0; i < r->n; i++) images[i] = image_of(float_of(images[i]) * pow2(e));
    narrow_all(r->dtype, images, r->n, out);
}

typedef struct dist_row {
    void (*fill)(const run *r, void *out);
    bool aux; // wants the second stream
} dist_row;

static const dist_row dists[QP_DIST_COUNT] = {
    [QP_DIST_GAUSS] = {fill_gauss, false},       [QP_DIST_HEAVY] = {fill_heavy, true},
    [QP_DIST_OUTLIERS] = {fill_outliers, false}, [QP_DIST_BITS] = {fill_bits, false},
    [QP_DIST_QUANTIZED] = {grid_fill, false},    [QP_DIST_TIES] = {grid_fill, false},
    [QP_DIST_ZEROS] = {fill_zeros, false},       [QP_DIST_RECORD] = {fill_record, false},
};

// Words of elements first .. first+n-1 lie at the returned place of buffer (RUN_MAX + 2 tiles).
static const uint32_t *words_of(const philox_key *k, uint64_t first, int n, uint32_t *buffer) {
    uint64_t tile = first / PHILOX_TILE, last = (first + (uint64_t)n - 1) / PHILOX_TILE;
    philox_tiles(k, tile, (int)(last - tile) + 1, buffer);
    return buffer + first % PHILOX_TILE;
}

void qp_gen_slice(const qp_gen *g, const char *name, int64_t rows, int64_t cols, qp_dtype dtype, int64_t row0,
                  int64_t n_rows, int64_t col0, int64_t n_cols, void *out) {
    uint32_t words[RUN_MAX + 2 * PHILOX_TILE], aux[RUN_MAX + 2 * PHILOX_TILE];
    philox_key main_key = philox_key_of(g->seed, name, STREAM_MAIN),
               aux_key = philox_key_of(g->seed, name, STREAM_AUX);
    bool is_float = narrow_is_float(dtype);
    const dist_row *dist = is_float || g->dist == QP_DIST_ZEROS ? &dists[g->dist] : &dists[QP_DIST_BITS];
    char *to = out;
    for (int64_t row = row0; row < row0 + n_rows; row++) {
        for (int64_t done = 0; done < n_cols;) {
            int n = n_cols - done < RUN_MAX ? (int)(n_cols - done) : RUN_MAX;
            run r = {g, name, rows, cols, row, col0 + done, n, dtype, NULL, NULL};
            uint64_t first = (uint64_t)(row * cols + r.col);
            r.words = words_of(&main_key, first, n, words);
            if (dist->aux) r.aux = words_of(&aux_key, first, n, aux);
            dist->fill(&r, to);
            if (is_float) edges_apply(&r, to);
            to += qp_dtype_bytes(dtype) * (size_t)n;
            done += n;
        }
    }
}

qp_gen qp_gen_make(uint64_t seed, qp_dist dist) {
    return (qp_gen){.seed = seed, .dist = dist, .sigma = 0.02, .format = QP_INT8, .peak_index = -1};
}

uint64_t qp_gen_u64(uint64_t seed, const char *name, uint64_t index) {
    philox_key k = philox_key_of(seed, name, STREAM_U64);
    uint32_t w[4];
    philox_block(&k, index & (UINT64_MAX >> 4), w);
    return (uint64_t)w[1] << 32 | w[0];
}

// Floyd's choice of k out of n: every subset equally likely, no rejection, then kept in ascending order.
void qp_gen_route(uint64_t seed, int layer, int64_t token, int n_experts, int top_k, int *experts) {
    philox_key k = philox_key_of(seed, "route", STREAM_ROUTE);
    k.name[1] ^= (uint32_t)layer;
    int n = 0;
    for (int top = n_experts - top_k; top < n_experts; top++) {
        uint32_t w[4];
        philox_block(&k, (uint64_t)token * (uint64_t)n_experts + (uint64_t)top, w);
        int pick = (int)((uint64_t)w[0] * (uint64_t)(top + 1) >> 32), place = 0;
        while (place < n && experts[place] < pick) place++;
        if (place < n && experts[place] == pick) {
            pick = top; // larger than all so far
            place = n;
        }
        memmove(experts + place + 1, experts + place, sizeof *experts * (size_t)(n - place));
        experts[place] = pick;
        n++;
    }
}
