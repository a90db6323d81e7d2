// SPDX-License-Identifier: Apache-2.0
// The grammar of eval lines and golden files: a table and nothing else. Rows, keys, defaults and counts are
// those of the golden vectors' README; engines those of the product page, section 5. A row without an answer
// function is known, not built.
#include "cmd/eval.h"

static const char *const dtype_words[] = {"bf16", "fp16", "fp32", NULL};
static const char *const source_words[] = {"ml_dtypes", "torch", NULL};
static const char *const bwd_words[] = {"pass", "clip", NULL};
static const char *const pass_words[] = {"pass", NULL};
static const char *const amax_shape_words[] = {"0d", "c1", NULL};
static const char *const flag_words[] = {"0", "1", NULL};
static const char *const axis_words[] = {"none", "0", NULL};
static const char *const axis_none_words[] = {"none", NULL};
static const char *const axis_0_words[] = {"0", NULL};
static const char *const linspace_words[] = {"simd", "scalar", NULL};
static const char *const kind_mse_words[] = {"mse", NULL};
static const char *const kind_46_words[] = {"four-over-six", NULL};
static const char *const kind_sweep_words[] = {"fp8-sweep", NULL};

#define WORD(name, dflt, words)                                                                              \
    { name, EVAL_WORD, "", dflt, words, false, false }
#define VALUES(name, type, count, dflt)                                                                      \
    { name, type, count, dflt, NULL, false, false }
#define ANSWER(name, type, count)                                                                            \
    { name, type, count, NULL, NULL, true, false }
#define ANSWER_NEAR(name, count)                                                                             \
    { name, EVAL_F32, count, NULL, NULL, true, true }
#define NUMBER(name, dflt)                                                                                   \
    { name, EVAL_DEC, "", dflt, NULL, false, false }
#define IN WORD("in", "fp32", dtype_words)
#define SHAPE_1XN VALUES("shape", EVAL_SHAPE, "", "1xN")
#define SHAPE_RXC VALUES("shape", EVAL_SHAPE, "", NULL)
#define BLOCK2D VALUES("block", EVAL_BLOCK2D, "", "128x128")
#define UNSIGNED WORD("unsigned", "0", flag_words)
#define NARROW WORD("narrow_range", "0", flag_words)
#define AMAX_DTYPE WORD("amax_dtype", "fp32", dtype_words)
#define AMAX VALUES("amax", EVAL_F32, "", "data")
#define AMAX_ROWS VALUES("amax", EVAL_F32, "R", "data")
#define GLOBAL_AMAX VALUES("global_amax", EVAL_F32, "", "data")
#define BLOCK_AMAX VALUES("block_amax", EVAL_F32, "nb", "data")
#define OUT WORD("out", "fp32", dtype_words)
#define BLOCK(size) NUMBER("block", size)
#define CLIP WORD("bwd", "pass", bwd_words)
#define WS2 VALUES("weight_scale_2", EVAL_F32, "", NULL)
#define IN_CODES(count) VALUES("codes", EVAL_U8, count, NULL)
#define IN_SCALES(type, count) VALUES("scales", type, count, NULL)
#define GRAD VALUES("grad", EVAL_T, "N", NULL)
#define G ANSWER("g", EVAL_T, "N")
#define DEQUANT_VALUES ANSWER("values", EVAL_O, "N")
#define X VALUES("x", EVAL_T, "N", NULL)
#define Y ANSWER("y", EVAL_T, "N")
#define CODES ANSWER("codes", EVAL_U8, "N")
#define CODES_HALF ANSWER("codes", EVAL_U8, "N/2")
#define QUANT_VALUES ANSWER("values", EVAL_T, "N")

static const eval_key encode_keys[] = {IN, WORD("source", "ml_dtypes", source_words),
                                       VALUES("first", EVAL_T, "", NULL), VALUES("last", EVAL_T, "", NULL),
                                       ANSWER("code", EVAL_U8, "")};
static const eval_key decode_keys[] = {WORD("source", "ml_dtypes", source_words),
                                       VALUES("code", EVAL_U8, "", NULL), ANSWER("y", EVAL_F32, "")};
static const eval_key fake_int_keys[] = {IN, SHAPE_1XN, UNSIGNED, NARROW, AMAX, X, Y};
static const eval_key fake_int_axis_keys[] = {IN, SHAPE_RXC, UNSIGNED, NARROW, AMAX_ROWS, AMAX_DTYPE, X, Y};
static const eval_key fake_fp8_keys[] = {IN, SHAPE_1XN, AMAX, X, Y};
static const eval_key fake_fp8_axis_keys[] = {IN, SHAPE_RXC, AMAX_ROWS, AMAX_DTYPE, X, Y};
static const eval_key fake_fp8_block_keys[] = {IN, SHAPE_RXC, BLOCK2D, X, Y};
static const eval_key fake_int4_block_keys[] = {IN, SHAPE_1XN, NUMBER("block", "128"), X, Y};
static const eval_key fake_nvfp4_keys[] = {IN, SHAPE_1XN, NUMBER("block", "16"), GLOBAL_AMAX, X, Y};
static const eval_key fake_static_keys[] = {
    IN, SHAPE_1XN, NUMBER("block", "16"), GLOBAL_AMAX, BLOCK_AMAX, X, ANSWER("block_scale", EVAL_F32, "nb"),
    Y};
static const eval_key fake_mx_keys[] = {IN, SHAPE_1XN, NUMBER("block", "32"), X, Y};
static const eval_key backward_keys[] = {
    IN, CLIP, AMAX_DTYPE, WORD("amax_shape", "0d", amax_shape_words), VALUES("amax", EVAL_F32, "", NULL),
    X,  GRAD, G};
// A row, block or global amax is the one of the line; MX has none and always passes (numerics 1.5).
static const eval_key backward_axis_keys[] = {
    IN, SHAPE_RXC, CLIP, AMAX_DTYPE, VALUES("amax", EVAL_F32, "R", NULL), X, GRAD, G};
static const eval_key backward_block2d_keys[] = {
    IN, SHAPE_RXC, BLOCK2D, CLIP, AMAX_DTYPE, VALUES("amax", EVAL_F32, "nb", NULL), X, GRAD, G};
static const eval_key backward_int4_block_keys[] = {
    IN, SHAPE_1XN, BLOCK("128"), CLIP, AMAX_DTYPE, VALUES("amax", EVAL_F32, "nb", NULL), X, GRAD, G};
static const eval_key backward_nvfp4_keys[] = {
    IN, SHAPE_1XN, BLOCK("16"), CLIP, VALUES("global_amax", EVAL_F32, "", NULL), X, GRAD, G};
static const eval_key backward_static_keys[] = {
    IN, SHAPE_1XN, BLOCK("16"), CLIP, VALUES("block_amax", EVAL_F32, "nb", NULL), X, GRAD, G};
static const eval_key backward_mx_keys[] = {IN,   SHAPE_1XN, BLOCK("32"), WORD("bwd", "pass", pass_words), X,
                                            GRAD, G};
static const eval_key quant_tensor_keys[] = {IN,          SHAPE_1XN, X, CODES, ANSWER("scales", EVAL_S, ""),
                                             QUANT_VALUES};
static const eval_key quant_axis_keys[] = {IN,          SHAPE_RXC, X, CODES, ANSWER("scales", EVAL_S, "R"),
                                           QUANT_VALUES};
static const eval_key quant_block2d_keys[] = {
    IN, SHAPE_RXC, BLOCK2D, X, CODES, ANSWER("scales", EVAL_S, "nb"), QUANT_VALUES};
static const eval_key quant_fp8_export_keys[] = {
    IN, SHAPE_1XN, WORD("axis", "none", axis_none_words), VALUES("scale", EVAL_F32, "", "data"), X, CODES};
static const eval_key quant_int8_export_keys[] = {
    IN, SHAPE_RXC, WORD("axis", "0", axis_0_words), VALUES("scale", EVAL_F32, "R", "data"), X, CODES};
static const eval_key quant_int4_keys[] = {
    IN, SHAPE_1XN, NUMBER("block", "128"), X, CODES_HALF, ANSWER("scales", EVAL_S, "nb"), QUANT_VALUES};
static const eval_key quant_awq_keys[] = {
    IN, SHAPE_RXC, NUMBER("block", "128"), VALUES("scale", EVAL_F32, "nb", "data"), X, CODES_HALF};
static const eval_key quant_nvfp4_keys[] = {
    IN,          SHAPE_1XN,  NUMBER("block", "16"),           GLOBAL_AMAX,
    X,           CODES_HALF, ANSWER("scales", EVAL_U8, "nb"), ANSWER("weight_scale_2", EVAL_F32, ""),
    QUANT_VALUES};
static const eval_key quant_static_keys[] = {IN,
                                             SHAPE_1XN,
                                             NUMBER("block", "16"),
                                             GLOBAL_AMAX,
                                             BLOCK_AMAX,
                                             X,
                                             CODES_HALF,
                                             ANSWER("scales", EVAL_U8, "nb"),
                                             ANSWER("weight_scale_2", EVAL_F32, ""),
                                             QUANT_VALUES};
static const eval_key quant_w4a8_keys[] = {
    IN,          SHAPE_1XN,  NUMBER("block", "32"),           GLOBAL_AMAX,
    X,           CODES_HALF, ANSWER("scales", EVAL_U8, "nb"), ANSWER("weight_scale_2", EVAL_F32, ""),
    QUANT_VALUES};
static const eval_key quant_mx4_keys[] = {
    IN, SHAPE_1XN, NUMBER("block", "32"), X, CODES_HALF, ANSWER("scales", EVAL_U8, "nb"), QUANT_VALUES};
static const eval_key quant_mx8_keys[] = {
    IN, SHAPE_1XN, NUMBER("block", "32"), X, CODES, ANSWER("scales", EVAL_U8, "nb"), QUANT_VALUES};
static const eval_key quant_nf4_keys[] = {IN,
                                          SHAPE_1XN,
                                          NUMBER("block", "64"),
                                          VALUES("scale_zero", EVAL_T, "", NULL),
                                          X,
                                          CODES_HALF,
                                          ANSWER("scales", EVAL_S, "nb"),
                                          ANSWER("scales_i8", EVAL_U8, "nb"),
                                          ANSWER("double_scale", EVAL_T, ""),
                                          QUANT_VALUES};
// Scales that are no bytes are images in the type named by in; scale= is the fp32 one of the exports.
static const eval_key dequant_tensor_keys[] = {
    IN, OUT, SHAPE_1XN, IN_CODES("N"), IN_SCALES(EVAL_S, ""), DEQUANT_VALUES};
static const eval_key dequant_axis_keys[] = {
    IN, OUT, SHAPE_RXC, IN_CODES("N"), IN_SCALES(EVAL_S, "R"), DEQUANT_VALUES};
static const eval_key dequant_block2d_keys[] = {
    IN, OUT, SHAPE_RXC, BLOCK2D, IN_CODES("N"), IN_SCALES(EVAL_S, "nb"), DEQUANT_VALUES};
static const eval_key dequant_fp8_export_keys[] = {OUT, SHAPE_1XN, IN_CODES("N"),
                                                   VALUES("scale", EVAL_F32, "", NULL), DEQUANT_VALUES};
static const eval_key dequant_int8_export_keys[] = {OUT, SHAPE_RXC, IN_CODES("N"),
                                                    VALUES("scale", EVAL_F32, "R", NULL), DEQUANT_VALUES};
static const eval_key dequant_int4_keys[] = {
    IN, OUT, SHAPE_1XN, BLOCK("128"), IN_CODES("N/2"), IN_SCALES(EVAL_S, "nb"), DEQUANT_VALUES};
static const eval_key dequant_awq_keys[] = {
    OUT, SHAPE_RXC, BLOCK("128"), IN_CODES("N/2"), VALUES("scale", EVAL_F32, "nb", NULL), DEQUANT_VALUES};
static const eval_key dequant_keys[] = {OUT, BLOCK("16"),   IN_CODES("N/2"), IN_SCALES(EVAL_U8, "nb"),
                                        WS2, DEQUANT_VALUES};
static const eval_key dequant_static_keys[] = {
    OUT, SHAPE_1XN, BLOCK("16"), IN_CODES("N/2"), IN_SCALES(EVAL_U8, "nb"), WS2, DEQUANT_VALUES};
static const eval_key dequant_w4a8_keys[] = {
    OUT, SHAPE_1XN, BLOCK("32"), IN_CODES("N/2"), IN_SCALES(EVAL_U8, "nb"), WS2, DEQUANT_VALUES};
static const eval_key dequant_mx4_keys[] = {
    OUT, SHAPE_1XN, BLOCK("32"), IN_CODES("N/2"), IN_SCALES(EVAL_U8, "nb"), DEQUANT_VALUES};
static const eval_key dequant_mx8_keys[] = {
    OUT, SHAPE_1XN, BLOCK("32"), IN_CODES("N"), IN_SCALES(EVAL_U8, "nb"), DEQUANT_VALUES};
static const eval_key dequant_nf4_keys[] = {IN,
                                            OUT,
                                            SHAPE_1XN,
                                            BLOCK("64"),
                                            IN_CODES("N/2"),
                                            VALUES("scales_i8", EVAL_U8, "nb", NULL),
                                            VALUES("double_scale", EVAL_T, "", NULL),
                                            VALUES("scale_zero", EVAL_T, "", NULL),
                                            DEQUANT_VALUES};
static const eval_key amax_keys[] = {IN,
                                     SHAPE_1XN,
                                     WORD("axis", "none", axis_words),
                                     NUMBER("block", ""),
                                     X,
                                     ANSWER("amax", EVAL_T, "1, R or nb")};
static const eval_key promote_keys[] = {IN,
                                        SHAPE_1XN,
                                        NUMBER("block", "16"),
                                        NUMBER("group", ""),
                                        VALUES("module", EVAL_NAME, "", ""),
                                        X,
                                        ANSWER("block_amax", EVAL_F32, "nb"),
                                        ANSWER("global_amax", EVAL_F32, "")};
static const eval_key candidates_mse_keys[] = {
    WORD("kind", NULL, kind_mse_words),       VALUES("start", EVAL_F32, "", "3e800000"),
    VALUES("stop", EVAL_F32, "", "40800000"), NUMBER("n", "39"),
    WORD("linspace", "simd", linspace_words), ANSWER("values", EVAL_F32, "n")};
static const eval_key candidates_46_keys[] = {
    WORD("kind", NULL, kind_46_words),        VALUES("start", EVAL_F32, "", "3f800000"),
    VALUES("stop", EVAL_F32, "", "3fc00000"), NUMBER("n", "2"),
    WORD("linspace", "simd", linspace_words), ANSWER("values", EVAL_F32, "n")};
static const eval_key candidates_sweep_keys[] = {WORD("kind", NULL, kind_sweep_words), NUMBER("n", "126"),
                                                 ANSWER("values", EVAL_F32, "n")};
static const eval_key mse_int_keys[] = {IN,
                                        SHAPE_1XN,
                                        NARROW,
                                        AMAX,
                                        AMAX_DTYPE,
                                        X,
                                        ANSWER("index", EVAL_DEC, ""),
                                        ANSWER("best_amax", EVAL_F32, ""),
                                        ANSWER_NEAR("loss", "39")};
static const eval_key mse_int_axis_keys[] = {IN,
                                             SHAPE_RXC,
                                             NARROW,
                                             AMAX_ROWS,
                                             AMAX_DTYPE,
                                             X,
                                             ANSWER("index", EVAL_DEC, "R"),
                                             ANSWER("best_amax", EVAL_F32, "R"),
                                             ANSWER_NEAR("loss", "R*39")};
static const eval_key mse_fp8_keys[] = {IN,
                                        SHAPE_1XN,
                                        AMAX,
                                        AMAX_DTYPE,
                                        X,
                                        ANSWER("index", EVAL_DEC, ""),
                                        ANSWER("best_amax", EVAL_F32, ""),
                                        ANSWER_NEAR("loss", "39")};
static const eval_key mse_fp8_axis_keys[] = {IN,
                                             SHAPE_RXC,
                                             AMAX_ROWS,
                                             AMAX_DTYPE,
                                             X,
                                             ANSWER("index", EVAL_DEC, "R"),
                                             ANSWER("best_amax", EVAL_F32, "R"),
                                             ANSWER_NEAR("loss", "R*39")};
static const eval_key sweep_keys[] = {IN,
                                      NUMBER("block", "16"),
                                      VALUES("global_amax", EVAL_F32, "", NULL),
                                      X,
                                      ANSWER("index", EVAL_DEC, ""),
                                      ANSWER("best_amax", EVAL_F32, ""),
                                      ANSWER_NEAR("loss", "")};
static const eval_key histogram_keys[] = {IN, NUMBER("bins", "2048"), X, ANSWER("counts", EVAL_DEC, "bins"),
                                          ANSWER("edges", EVAL_F32, "bins+1")};
static const eval_key histogram2_keys[] = {IN,
                                           NUMBER("bins", "2048"),
                                           X,
                                           VALUES("x2", EVAL_T, "any", NULL),
                                           ANSWER("counts", EVAL_DEC, "k"),
                                           ANSWER("edges", EVAL_F32, "any")}; // k+1, or k+2 by rounding
static const eval_key percentile_keys[] = {
    VALUES("percentile", EVAL_FRACTION, "", "99.99"), VALUES("counts", EVAL_DEC, "k", NULL),
    VALUES("edges", EVAL_F32, "k+1", NULL), ANSWER("amax", EVAL_F32, "")};
static const eval_key entropy_keys[] = {NUMBER("num_bits", "8"),
                                        UNSIGNED,
                                        NUMBER("stride", "1"),
                                        NUMBER("start_bin", "128"),
                                        VALUES("counts", EVAL_DEC, "k", NULL),
                                        VALUES("edges", EVAL_F32, "k+1", NULL),
                                        ANSWER("amax", EVAL_F32, "")};
static const eval_key headroom_keys[] = {IN, NUMBER("block", "16"), X, ANSWER("amax", EVAL_F32, "")};
static const eval_key cast_amax_keys[] = {
    VALUES("scales", EVAL_U8, "n", NULL), VALUES("codes", EVAL_U8, "16n", NULL),
    ANSWER("global_amax", EVAL_F32, ""), ANSWER("block_amax", EVAL_F32, "2n")};
static const eval_key swizzle_keys[] = {SHAPE_RXC, VALUES("x", EVAL_U8, "R*C", NULL),
                                        ANSWER("y", EVAL_U8, "padded R*C")};

#define E(name) (1u << QP_ENGINE_##name)
#define TORCH (E(TORCH_CPU) | E(TORCH_CUDA))
#define FAKE (E(IEEE) | TORCH)
#define TRITONS (E(IEEE) | E(TRITON_INTERP) | E(TRITON))
#define CODEC "e2m1 e3m2 e2m3 e4m3fn e5m2 e8m0"
#define MX "mxfp4 mxfp6-e3m2 mxfp6-e2m3 mxfp8-e4m3 mxfp8-e5m2 mxint8"
#define KEYS(k) k, QP_COUNT(k)
#define CALIB(name) -1, E(IEEE), eval_answer_##name // one answer for every engine
#define MSE QP_OP_FAKEQUANT, 0, eval_answer_mse     // answers what that engine fake-quantizes
#define SWEEPS (TORCH | E(TRITON_INTERP) | E(TRITON))
#define BACKWARD QP_OP_BACKWARD, 0, eval_answer_backward
#define DEQUANT QP_OP_DEQUANT, 0, eval_answer_dequant

const eval_row eval_rows[] = {
    {"encode", CODEC, NULL, KEYS(encode_keys), 0, -1, E(IEEE), eval_answer_encode},
    {"decode", CODEC, NULL, KEYS(decode_keys), 0, -1, E(IEEE), eval_answer_decode},
    {"fakequant", "int8 int4", NULL, KEYS(fake_int_keys), FAKE, QP_OP_FAKEQUANT, 0, eval_answer_fakequant},
    {"fakequant", "int8-axis0 int4-axis0", NULL, KEYS(fake_int_axis_keys), FAKE, QP_OP_FAKEQUANT, 0,
     eval_answer_fakequant},
    {"fakequant", "fp8-e4m3", NULL, KEYS(fake_fp8_keys), FAKE, QP_OP_FAKEQUANT, 0, eval_answer_fakequant},
    {"fakequant", "fp8-axis0", NULL, KEYS(fake_fp8_axis_keys), FAKE, QP_OP_FAKEQUANT, 0,
     eval_answer_fakequant},
    {"fakequant", "fp8-block2d", NULL, KEYS(fake_fp8_block_keys), FAKE, QP_OP_FAKEQUANT, 0,
     eval_answer_fakequant},
    {"fakequant", "int4-block", NULL, KEYS(fake_int4_block_keys), FAKE, QP_OP_FAKEQUANT, 0,
     eval_answer_fakequant},
    {"fakequant", "nvfp4", NULL, KEYS(fake_nvfp4_keys), TRITONS | E(MX_EXT), QP_OP_FAKEQUANT, 0,
     eval_answer_fakequant},
    {"fakequant", "nvfp4-static nvfp4-46", NULL, KEYS(fake_static_keys), TRITONS, QP_OP_FAKEQUANT, 0,
     eval_answer_fakequant},
    {"fakequant", MX, NULL, KEYS(fake_mx_keys), E(IEEE) | E(MX_EXT), QP_OP_FAKEQUANT, 0,
     eval_answer_fakequant},
    {"backward", "int8 int4 fp8-e4m3", NULL, KEYS(backward_keys), FAKE, BACKWARD},
    {"backward", "int8-axis0 int4-axis0 fp8-axis0", NULL, KEYS(backward_axis_keys), FAKE, BACKWARD},
    {"backward", "fp8-block2d", NULL, KEYS(backward_block2d_keys), FAKE, BACKWARD},
    {"backward", "int4-block", NULL, KEYS(backward_int4_block_keys), FAKE, BACKWARD},
    {"backward", "nvfp4", NULL, KEYS(backward_nvfp4_keys), E(IEEE), BACKWARD},
    {"backward", "nvfp4-static nvfp4-46", NULL, KEYS(backward_static_keys), E(IEEE), BACKWARD},
    {"backward", MX, NULL, KEYS(backward_mx_keys), E(IEEE), BACKWARD},
    {"quant", "int8 fp8-e4m3", NULL, KEYS(quant_tensor_keys), TORCH | E(COMPRESSED_TENSORS), QP_OP_QUANT, 0,
     eval_answer_quant},
    {"quant", "int8-axis0 fp8-axis0", NULL, KEYS(quant_axis_keys), TORCH | E(COMPRESSED_TENSORS), QP_OP_QUANT,
     0, eval_answer_quant},
    {"quant", "fp8-block2d", NULL, KEYS(quant_block2d_keys), TORCH | E(DEEPSEEK_FP8), QP_OP_QUANT, 0,
     eval_answer_quant},
    {"quant", "fp8-export", NULL, KEYS(quant_fp8_export_keys), TORCH, QP_OP_QUANT, 0, eval_answer_quant},
    {"quant", "int8-export", NULL, KEYS(quant_int8_export_keys), TORCH, QP_OP_QUANT, 0, eval_answer_quant},
    {"quant", "int4-block", NULL, KEYS(quant_int4_keys), TORCH | E(COMPRESSED_TENSORS), QP_OP_QUANT, 0,
     eval_answer_quant},
    {"quant", "int4-awq", NULL, KEYS(quant_awq_keys), TORCH, QP_OP_QUANT, 0, eval_answer_quant},
    {"quant", "nvfp4", NULL, KEYS(quant_nvfp4_keys), FAKE | E(COMPRESSED_TENSORS), QP_OP_QUANT, 0,
     eval_answer_quant},
    {"quant", "nvfp4-static nvfp4-46", NULL, KEYS(quant_static_keys), FAKE, QP_OP_QUANT, 0,
     eval_answer_quant},
    {"quant", "nvfp4-w4a8", NULL, KEYS(quant_w4a8_keys), FAKE, QP_OP_QUANT, 0, eval_answer_quant},
    {"quant", "mxfp4", NULL, KEYS(quant_mx4_keys), FAKE | E(COMPRESSED_TENSORS), QP_OP_QUANT, 0,
     eval_answer_quant},
    {"quant", "mxfp8-e4m3", NULL, KEYS(quant_mx8_keys), FAKE | E(COMPRESSED_TENSORS), QP_OP_QUANT, 0,
     eval_answer_quant},
    {"quant", "mxfp6-e2m3", NULL, KEYS(quant_mx8_keys), E(IEEE) | E(COMPRESSED_TENSORS), QP_OP_QUANT, 0,
     eval_answer_quant},
    {"quant", "mxfp6-e3m2 mxfp8-e5m2 mxint8", NULL, KEYS(quant_mx8_keys), E(IEEE), QP_OP_QUANT, 0,
     eval_answer_quant},
    {"quant", "nf4", NULL, KEYS(quant_nf4_keys), TORCH, QP_OP_QUANT, 0, eval_answer_quant},
    {"dequant", "int8 fp8-e4m3", NULL, KEYS(dequant_tensor_keys), TORCH | E(COMPRESSED_TENSORS), DEQUANT},
    {"dequant", "int8-axis0 fp8-axis0", NULL, KEYS(dequant_axis_keys), TORCH | E(COMPRESSED_TENSORS),
     DEQUANT},
    {"dequant", "fp8-block2d", NULL, KEYS(dequant_block2d_keys), TORCH | E(DEEPSEEK_FP8), DEQUANT},
    {"dequant", "fp8-export", NULL, KEYS(dequant_fp8_export_keys), TORCH, DEQUANT},
    {"dequant", "int8-export", NULL, KEYS(dequant_int8_export_keys), TORCH, DEQUANT},
    {"dequant", "int4-block", NULL, KEYS(dequant_int4_keys), TORCH | E(COMPRESSED_TENSORS), DEQUANT},
    {"dequant", "int4-awq", NULL, KEYS(dequant_awq_keys), TORCH, DEQUANT},
    {"dequant", "nvfp4", NULL, KEYS(dequant_keys), FAKE | E(COMPRESSED_TENSORS), DEQUANT},
    {"dequant", "nvfp4-static nvfp4-46", NULL, KEYS(dequant_static_keys), FAKE, DEQUANT},
    {"dequant", "nvfp4-w4a8", NULL, KEYS(dequant_w4a8_keys), FAKE, DEQUANT},
    {"dequant", "mxfp4", NULL, KEYS(dequant_mx4_keys), FAKE | E(COMPRESSED_TENSORS), DEQUANT},
    {"dequant", "mxfp8-e4m3", NULL, KEYS(dequant_mx8_keys), FAKE | E(COMPRESSED_TENSORS), DEQUANT},
    {"dequant", "mxfp6-e2m3", NULL, KEYS(dequant_mx8_keys), E(IEEE) | E(COMPRESSED_TENSORS), DEQUANT},
    {"dequant", "mxfp6-e3m2 mxfp8-e5m2 mxint8", NULL, KEYS(dequant_mx8_keys), E(IEEE), DEQUANT},
    {"dequant", "nf4", NULL, KEYS(dequant_nf4_keys), TORCH, DEQUANT},
    {"amax", "-", NULL, KEYS(amax_keys), 0, QP_OP_AMAX, 0, eval_answer_amax},
    {"promote", "nvfp4-static", NULL, KEYS(promote_keys), FAKE, -1, FAKE, eval_answer_promote},
    {"candidates", "-", "mse", KEYS(candidates_mse_keys), 0, CALIB(candidates)},
    {"candidates", "-", "four-over-six", KEYS(candidates_46_keys), 0, CALIB(candidates)},
    {"candidates", "-", "fp8-sweep", KEYS(candidates_sweep_keys), FAKE, -1, FAKE,
     eval_answer_sweep_candidates},
    {"mse", "int8 int4", NULL, KEYS(mse_int_keys), TORCH, MSE},
    {"mse", "int8-axis0 int4-axis0", NULL, KEYS(mse_int_axis_keys), TORCH, MSE},
    {"mse", "fp8-e4m3", NULL, KEYS(mse_fp8_keys), TORCH, MSE},
    {"mse", "fp8-axis0", NULL, KEYS(mse_fp8_axis_keys), TORCH, MSE},
    {"sweep", "nvfp4-static", NULL, KEYS(sweep_keys), SWEEPS, -1, SWEEPS, eval_answer_sweep},
    {"histogram", "-", NULL, KEYS(histogram_keys), 0, CALIB(histogram)},
    {"histogram2", "-", NULL, KEYS(histogram2_keys), 0, CALIB(histogram)},
    {"percentile", "-", NULL, KEYS(percentile_keys), 0, CALIB(percentile)},
    {"entropy", "-", NULL, KEYS(entropy_keys), 0, CALIB(entropy)},
    {"headroom", "-", NULL, KEYS(headroom_keys), 0, CALIB(headroom)},
    {"cast-amax", "-", NULL, KEYS(cast_amax_keys), 0, CALIB(cast_amax)},
    {"swizzle", "-", NULL, KEYS(swizzle_keys), 0, CALIB(swizzle)},
};
const int eval_n_rows = QP_COUNT(eval_rows);
