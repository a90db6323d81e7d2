// SPDX-License-Identifier: Apache-2.0
// The law of calibrators (numerics 6, 7) and of the layouts of packed codes and scales (4.6, 10). Declared
// here, defined in reference/calib/ and reference/swizzle.c. As in qp/ref.h: total functions over bit images,
// no allocation, no state; fp32 values travel as uint32_t images; arrays belong to the caller.
//
// Losses. d = fl(x - xq), term = fl(d * d), both of binary32. The terms of one amax are summed in binary32 in
// a fixed order, the canonical one: term i (in the order of x) is a leaf of a binary counter, that is,
// partial sums over 2^k aligned neighbours are added pairwise, and what is left at the end is added from the
// last (smallest) to the first. For the 16 terms of an NVFP4 block this is the perfect binary tree. Torch's
// order differs (numerics 8), so losses are compared within 1e-5; an index is exact against this order.
//
// Which loss wins. torch: the first smallest one, NaN counting as the smallest (the first NaN wins). Triton:
// the first one that is below all before it, starting from +Inf; NaN and +Inf never win; nothing wins: index
// 0.
#ifndef QP_REFCALIB_H
#define QP_REFCALIB_H

#include "qp/ref.h"

QP_BEGIN_C

enum { REF_MSE_CANDIDATES = 39, REF_SWEEP_CANDIDATES = 126, REF_SWEEP_BLOCK = 16 };
#define REF_MSE_START 0x3e800000u // 0.25
#define REF_MSE_STOP 0x40800000u  // 4.0
#define REF_46_START 0x3f800000u  // four-over-six: multipliers 1.0 and 1.5 (numerics 6.2)
#define REF_46_STOP 0x3fc00000u

// ---- candidates
// ----------------------------------------------------------------------------------------------------

// torch.linspace in fp32 (numerics 6.2): fma true is what torch answers with AVX2, AVX512 and nvcc's default,
// false its scalar fallback. n >= 1; one point is start.
void ref_linspace(uint32_t start, uint32_t stop, int64_t n, bool fma, uint32_t *out);
// E4M3 codes 01..7e over 448 (numerics 6.3): torch-cuda multiplies by fl(1/448), every other engine divides.
void ref_sweep_candidates(qp_engine engine, uint32_t *out); // [REF_SWEEP_CANDIDATES]

// ---- MSE search of a multiplier (numerics 6.2)
// ----------------------------------------------------------------------

// The amax that a candidate is tried with: fl(amax * candidate), rounded to spec->amax_dtype unless
// spec->amax_0d; torch-cuda rounds the candidate to that type first (trap 21).
uint32_t ref_mse_trial(const ref_spec *s, uint32_t amax, uint32_t candidate);
// For every amax of spec (tensor: 1, axis 0: a row each, blocks: rows*nb): which of n multipliers of it gives
// the least loss. Row range as ref_fakequant has it, and a tensor's amax wants all rows; index [amax of these
// rows], best_amax [same] and loss [same times n; may be NULL] point at the first amax of row0. x is widened
// to fp32 before spec->engine quantizes it. best_amax is fl(amax * candidate), never rounded. Formats: every
// one that ref_fakequant answers from spec->amax but block2d.
void ref_mse(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, const uint32_t *candidates,
             int n, int32_t *index, uint32_t *best_amax, uint32_t *loss);

// ---- NVFP4: sweep over all FP8 scales (numerics 6.3)
// ------------------------------------------------------------------

// What one global amax makes of the candidates: computed once per tensor, read by every block.
// Engines: torch-cpu and torch-cuda: the reference path, a static fake-quant (4.4) in that spelling
// (torch-cpu: the eager FP8 formula 2.4; torch-cuda: the extension's 2.3). triton-interp and triton: the
// fused kernel, scale fl(fl(c * ga) / 6) without a round trip through E4M3, candidates by true division, no
// FMA.
typedef struct ref_sweep_scales {
    bool triton;                          // which loss wins
    uint32_t amax[REF_SWEEP_CANDIDATES];  // fl(ga * c): what the winner stores
    uint32_t scale[REF_SWEEP_CANDIDATES]; // what divides a block; 0: every element becomes +0
    // For the pruned sweep alone (reference/calib/PRUNING.md):
    bool regular;                       // scales never fall, 6 times each is finite
    uint8_t half[REF_SWEEP_CANDIDATES]; // candidate with exactly half this scale; REF_SWEEP_CANDIDATES: none
} ref_sweep_scales;

void ref_sweep_scales_of(qp_engine engine, uint32_t global_amax, ref_sweep_scales *out);
// Canonical loss of candidate k on a block of n <= REF_SWEEP_BLOCK values (missing ones are zeros).
uint32_t ref_sweep_loss(const ref_sweep_scales *t, int k, qp_dtype dtype, const void *x, int n);
// Index of the winner over all candidates. The answer is t->amax[index].
int ref_sweep(const ref_sweep_scales *t, qp_dtype dtype, const void *x, int n);
// The same index from about a dozen losses; *evaluated (may be NULL): how many.
int ref_sweep_pruned(const ref_sweep_scales *t, qp_dtype dtype, const void *x, int n, int *evaluated);
// May an outside implementation answer index where this law says ref_sweep? Yes iff its loss, recomputed in
// double, lies within 20 * 2^-24 relative of the smallest one (numerics 6.3). Never for values that are not
// finite: those have no nearby loss.
bool ref_sweep_tie_ok(const ref_sweep_scales *t, qp_dtype dtype, const void *x, int n, int index);

// ---- histograms (numerics 6.4)
// ---------------------------------------------------------------------------------------

// What the calibrator raises on, as one sentence; NULL: it answers. x2 is the second batch, NULL: none.
const char *ref_histogram_refuses(qp_dtype dtype, const void *x, int64_t n, int64_t bins, const void *x2,
                                  int64_t n2);
// |x| in `bins` bins from 0 to max |x|: counts [bins], edges [bins + 1].
void ref_histogram(qp_dtype dtype, const void *x, int64_t n, int64_t bins, int64_t *counts, uint32_t *edges);
// A second batch: the bins keep their width, and when its maximum is larger there are more of them. First the
// sizes, then the histogram itself; counts [*n_counts] and edges [*n_edges] begin as those of the first
// batch.
void ref_histogram_grow(qp_dtype dtype, const void *x2, int64_t n2, int64_t bins, const uint32_t *edges,
                        int64_t *n_counts, int64_t *n_edges);
void ref_histogram_add(qp_dtype dtype, const void *x2, int64_t n2, int64_t bins, int64_t n_counts,
                       int64_t n_edges, int64_t *counts, uint32_t *edges);
// The left edge of the bin where the running share of counts reaches percentile (0..100); counts [k], edges
// [k + 1].
uint32_t ref_percentile(double percentile, int64_t k, const int64_t *counts, const uint32_t *edges);
// The edge that loses least information when the bins below it become 2^(num_bits-1+unsigned) levels; the
// last of equals. k >= 2, 1 <= start_bin <= k, stride >= 1, num_bits 1..24. Sums of doubles run in the order
// of the bins (numpy's pairwise order can differ in the last bit).
uint32_t ref_entropy(int num_bits, bool is_unsigned, int64_t stride, int64_t start_bin, int64_t k,
                     const int64_t *counts, const uint32_t *edges);

// ---- activation headroom (numerics 6.5), MXFP4 -> NVFP4 (numerics 7)
// ----------------------------------------------------

// The amax of one batch of n values in blocks along the row; false: it has none (NaN, Inf, or nothing but
// zeros).
bool ref_headroom(qp_dtype dtype, const void *x, int64_t n, int64_t block, uint32_t *amax);
// n blocks of 32: E8M0 bytes [n], packed codes [16n] -> NVFP4's global amax and two block amax [2n] each.
void ref_cast_amax(int64_t n, const uint8_t *scales, const uint8_t *codes, uint32_t *global_amax,
                   uint32_t *block_amax);

// ---- layouts: nibbles
// ------------------------------------------------------------------------------------------------------

// Where 4-bit codes of a row-major [rows, cols] tensor lie (numerics 10; shapes and checkpoints 2.6). Words
// are stored least significant byte first.
typedef enum ref_nibbles {
    REF_NIBBLES_LOW_FIRST,  // [rows, cols/2] bytes, even column low: NVFP4, MXFP4
    REF_NIBBLES_HIGH_FIRST, // [rows, cols/2] bytes, even column high: INT4 block, NF4
    REF_NIBBLES_ROW_PAIRS,  // [rows/2, cols] bytes, even row low: AWQ export
    REF_NIBBLES_AWQ_WORD,   // [rows, cols/8] words along a row, columns 0 2 4 6 1 3 5 7 from the low end
    REF_NIBBLES_GPTQ_WORD,  // [rows/8, cols] words along a column, rows 0..7 from the low end
    REF_NIBBLES_COUNT
} ref_nibbles;

int64_t ref_nibble_bytes(ref_nibbles order, int64_t rows, int64_t cols); // packed, the last unit rounded up
int64_t ref_nibble_at(ref_nibbles order, int64_t cols, int64_t r, int64_t c); // 2 * byte + (1: the high half)
// codes: a byte each [rows, cols], the low four bits count. Nibbles that belong to no code are 0.
void ref_nibbles_pack(ref_nibbles order, int64_t rows, int64_t cols, const uint8_t *codes, uint8_t *packed);
void ref_nibbles_unpack(ref_nibbles order, int64_t rows, int64_t cols, const uint8_t *packed, uint8_t *codes);

// ---- layouts: block scales in 128x4 tiles (numerics 4.6)
// -------------------------------------------------------------------

// rows x cols scale bytes, row-major <-> rows up to a multiple of 128 times cols up to one of 4, zero filled.
int64_t ref_swizzled_bytes(int64_t rows, int64_t cols);
int64_t ref_swizzled_at(int64_t cols, int64_t r, int64_t c);
void ref_swizzle(int64_t rows, int64_t cols, const uint8_t *plain, uint8_t *tiled);
void ref_unswizzle(int64_t rows, int64_t cols, const uint8_t *tiled, uint8_t *plain);

QP_END_C
#endif
