// SPDX-License-Identifier: Apache-2.0
// The law: what reference/ answers. Declared here, defined in reference/, joined by the linker.
// Total functions over bit images: no allocation, no I/O, no global state, safe to call from many threads on
// different rows. fp32 values travel as uint32_t images. The arithmetic of each engine: numerics spec, the
// sections named in qp_format_row.
#ifndef QP_REF_H
#define QP_REF_H

#include "qp/coverage.h"
#include "qp/kernel.h"
#include "qp/module.h"

QP_BEGIN_C

// ---- numbers
// ------------------------------------------------------------------------------------------------------- NaN
// results are the canonical quiet NaN of the type (bf16 7fc0, fp16 7e00, fp32 7fc00000); E4M3 NaN is 7f with
// the sign kept.

uint32_t ref_to_f32(qp_dtype from, uint32_t bits);    // bf16, fp16, fp32, e4m3 image -> fp32 image, exact
uint32_t ref_from_f32(qp_dtype to, uint32_t f32);     // RNE to bf16, fp16, fp32
uint8_t ref_e4m3_encode(uint32_t f32, bool saturate); // RNE; overflow and Inf: saturate ? 7e : 7f (sign kept)
uint32_t ref_e4m3_decode(uint8_t code);
uint8_t
ref_e2m1_encode(uint32_t f32); // sign<<3 | code, RNE, saturating, NaN -> 7 with the sign kept, -0 -> 8
uint32_t ref_e2m1_decode(uint8_t nibble); // nibble 8 -> -0
uint8_t ref_e5m2_encode(uint32_t f32,
                        bool saturate); // overflow and Inf: saturate ? 7b : 7c; NaN 7f (sign kept)
uint32_t ref_e5m2_decode(uint8_t code);
uint8_t ref_e3m2_encode(uint32_t f32); // sign<<5 | code, RNE, saturating, NaN -> 1f with the sign kept
uint32_t ref_e3m2_decode(uint8_t code);
uint8_t ref_e2m3_encode(uint32_t f32);
uint32_t ref_e2m3_decode(uint8_t code);
// E8M0: 00 = 2^-127 .. fe = 2^127, ff = NaN; the sign is ignored, 0 -> 00. Overflow and Inf: saturate ? fe :
// ff. NEAREST is the cast of ml_dtypes and torch (1.5 -> 80), UP the scale rule of the quantizers.
typedef enum ref_e8m0_round { REF_E8M0_DOWN, REF_E8M0_UP, REF_E8M0_NEAREST } ref_e8m0_round;
uint8_t ref_e8m0_encode(uint32_t f32, ref_e8m0_round round, bool saturate);
uint32_t ref_e8m0_decode(uint8_t byte);
// ceil(log2(d)) of |d| with the log2 rounded to fp32, as torch has it (numerics 5.0); -150 for 0.
int ref_ceil_log2f(uint32_t d);
uint32_t ref_load_f32(qp_dtype t, const void *base, int64_t i);
void ref_store_f32(qp_dtype t, void *base, int64_t i, uint32_t f32);
// Single IEEE binary32 operations, RNE, subnormals kept.
uint32_t ref_mul(uint32_t a, uint32_t b);
uint32_t ref_div(uint32_t a, uint32_t b);

// ---- one tensor
// ----------------------------------------------------------------------------------------------------

typedef struct ref_spec {
    qp_format format;
    qp_engine engine;
    qp_dtype dtype;                 // of x, grad, y
    int64_t rows, cols;             // of the whole tensor; x, y are contiguous
    int64_t block_rows, block_cols; // 0 = the format's default
    bool is_unsigned, narrow_range; // INT fake-quant
    const uint32_t *amax;  // fp32 images: [1] tensor | [rows] axis0 | [block rows x block cols] block2d |
                           // INT4 blocks, NF4, static NVFP4: block amax [rows*nb]
    uint32_t global_amax;  // NVFP4
    const uint32_t *scale; // fp32 images; formats with QP_SCALE_GIVEN: [1] | [rows] | [rows*nb]
    uint32_t scale_zero;   // NF4: fp32 image of the mean of the block scales, a sum whose order is torch's
    qp_dtype amax_dtype;   // type of the amax tensor (backward with a dimensioned amax, numerics 1.5)
    bool amax_0d;          // amax is a 0-dim tensor (backward)
} ref_spec;

// The engines that answer an op of a format, a bit per qp_engine; 0: none (the op does not exist there).
// AMAX has one answer for every engine.
unsigned ref_engines(qp_op op, qp_format format);
// Does this (op, format, engine) exist? NULL: yes. Else one sentence that names the engines that do; it lives
// until the thread's next call.
const char *ref_unsupported(qp_op op, qp_format format, qp_engine engine);
// The type of the scales tensor: QP_U8 where scales are bytes, fp32 where they are given and under
// deepseek-fp8, else the type of x.
qp_dtype ref_scale_dtype(qp_format format, qp_engine engine, qp_dtype x);
// Does the engine itself raise on this input (negative amax for INT under torch, negative x with
// unsigned)? NULL: no. x may be NULL.
const char *ref_refuses(const ref_spec *s, const void *x);

// max |x| in the type of x over the grain, NaN propagates; out: fp32 images [1] | [rows] | [rows*nb] | [block
// rows*block cols].
void ref_amax(qp_grain grain, qp_dtype dtype, int64_t rows, int64_t cols, int64_t block_rows,
              int64_t block_cols, const void *x, uint32_t *out);

// Rows row0 .. row0+n_rows-1; x and y point at the first element of row0 (they may hold only these rows).
// spec->amax always belongs to the whole tensor. block_scale (NVFP4 static, 4/6): fp32 [n_rows*nb], may be
// NULL. cov may be NULL. Block2d: row0 and n_rows whole tensors only.
void ref_fakequant(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, void *y,
                   uint32_t *block_scale, qp_coverage *cov);
// May an approximate engine (s->engine triton or mx-ext) have answered y [n] to one block x [n] of a tensor?
// An ambiguity set: the scale decision once for the block, then each element by itself, either side only
// where the quotient is within 2 ulp of a boundary; bits elsewhere, NaN as a class (numerics 0). block_amax:
// static formats. host (triton): who divided global_amax and block_amax by numbers: torch-cuda beside a GPU,
// triton-interp as eval answers. Other engines are exact: false.
bool ref_ambiguous_ok(const ref_spec *s, qp_engine host, uint32_t block_amax, int64_t n, const void *x,
                      const void *y);
void ref_backward(const ref_spec *s, qp_bwd bwd, int64_t row0, int64_t n_rows, const void *x,
                  const void *grad, void *g);
// Real tensors. codes as the format's row has them: a byte per code [n_rows, cols], or nibbles [n_rows,
// (cols+1)/2], or, in pairs of rows, [n_rows/2, cols] (row0 even; a last odd row has no partner: 0). scales:
// bytes or images of ref_scale_dtype, one per grain of these rows; not written with QP_SCALE_GIVEN. values
// (of spec->dtype) may be NULL. Block2d and NF4: whole tensors only; NF4 is ref_quant_nf4. A NaN quotient is
// the code 0 in INT, 7f in E4M3 (its sign in torch depends on the place in the tensor); the CUDA rule of INT4
// makes it the highest level.
void ref_quant(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, uint8_t *codes, void *scales,
               void *values, qp_coverage *cov);
// The whole tensor is one super-block: scales [blocks] and double_scale [1] in spec->dtype, scales_i8
// [blocks]. Values follow the double-quantized scales; they may be NULL (numerics 5.7).
void ref_quant_nf4(const ref_spec *s, const void *x, uint8_t *codes, void *scales, uint8_t *scales_i8,
                   void *double_scale, void *values, qp_coverage *cov);
// The factor of all block scales; compressed-tensors: its divisor, weight_global_scale.
uint32_t ref_weight_scale_2(const ref_spec *s);
// n_rows whole rows; codes, scales and spec->scale (the given ones) point at the first of them. scales are of
// ref_scale_dtype for spec->dtype. NF4: scales are the scales_i8, weight_scale_2 is the fp32 image of the
// double scale, spec->scale_zero is set.
void ref_dequant(const ref_spec *s, qp_dtype out, int64_t n_rows, const uint8_t *codes, const void *scales,
                 uint32_t weight_scale_2, void *values);
// The fp32 block scale that fakequant uses and the one that pack implies, and the named class of a difference
// (numerics 4.3-4.5): ULP: same E4M3 code, the fp32 scale differs by no more steps than the two spellings
// have roundings (1, seldom 2); MIDPOINT: neighbouring codes, both quotients within their roundings of each
// other; LIFTED: pack's 2^-9 where fake has 0; ZERO_BLOCK: pack's "a quotient of 0 becomes 1"; TINY: fake's
// 1e-5 rule (dynamic) or amax <= 2^-24 rule (static); RANGE: a step of one spelling left the normal numbers
// of fp32 (global amax near the ends of the type, Inf, NaN).
typedef enum ref_scale_class {
    REF_SCALE_SAME,
    REF_SCALE_ULP,
    REF_SCALE_MIDPOINT,
    REF_SCALE_LIFTED,
    REF_SCALE_ZERO_BLOCK,
    REF_SCALE_TINY,
    REF_SCALE_UNEXPLAINED,
    REF_SCALE_RANGE,
    REF_SCALE_CLASS_COUNT
} ref_scale_class;
ref_scale_class ref_compare_scales(const ref_spec *s, uint32_t block_amax, uint8_t *pack_byte,
                                   uint32_t *fake_scale, uint32_t *pack_scale);
// fake-quant of rows of blocks of 16 with GIVEN fp32 block scales (pack against fake-quant with pack's own
// scales): fl(P(|x|/S)*S), no guard for a scale of 0, Inf or NaN. Equal to dequant(pack) for x without NaN
// and S != 0.
void ref_fakequant_given_scale(qp_dtype dtype, int64_t rows, int64_t cols, const uint32_t *block_scale,
                               const void *x, void *y);

// ---- the pipeline, by brute force on the unsharded model
// -----------------------------------------------------------

qp_coord ref_coord(const qp_layout *l, int rank);
qp_refusal ref_layout_refusal(const qp_layout *l, int n_layers, const qp_module *mods,
                              const qp_qconfig *weight_cfg, int n_mods, int *which_module);
bool ref_holds(const qp_module *m, const qp_layout *l, int rank);
void ref_local_shape(const qp_module *m, const qp_layout *l, int rank, int64_t *rows, int64_t *cols);
int64_t ref_global_row(const qp_module *m, const qp_layout *l, int rank,
                       int64_t local_row); // -1 out of range
int64_t ref_global_col(const qp_module *m, const qp_layout *l, int rank, int64_t local_col);

// group_of[i] = index of the first member of i's group, -1 = in no group (fewer than two enabled members).
// hits NULL: the default patterns, matched here by plain suffixes. hits given: user patterns, one hit per
// module.
void ref_groups(const qp_module *mods, const bool *weight_enabled, const qp_pattern_hit *hits, int n_mods,
                int *group_of);

// Does rank's token shard hold token t; is token t routed to expert e: drawn again from the counter generator
// is the oracle's job; this one says only how amax images combine: MAX of |x| images with NaN winning.
uint32_t ref_max_image(uint32_t a, uint32_t b);

QP_END_C
#endif
