// SPDX-License-Identifier: Apache-2.0
// Real tensors and exports: what is rounded where, which engine divides how, ragged blocks, rows by
// themselves, dequantize against the values of quant. The bits of torch-cpu are judged by the golden files
// too.
#include <check.h>
#include <string.h>

#include "qp/ref.h"

static const qp_engine CPU = QP_ENGINE_TORCH_CPU, CUDA = QP_ENGINE_TORCH_CUDA,
                       DEEPSEEK = QP_ENGINE_DEEPSEEK_FP8;

enum { ROWS = 6, COLS = 41, N = ROWS * COLS };

typedef struct tensor {
    ref_spec spec;
    uint32_t x[N], amax[N], scale[N];
} tensor;

typedef struct packed {
    uint8_t codes[N];
    uint32_t scales[N], values[N];
} packed;

static uint32_t image(qp_dtype t, const void *base, int64_t i) {
    uint32_t bits = 0;
    memcpy(&bits, (const char *)base + i * (int64_t)qp_dtype_bytes(t), qp_dtype_bytes(t));
    return bits;
}

// fp32 images in, stored as the type of the spec.
static packed quant(ref_spec s, const uint32_t *f32) {
    uint32_t x[N];
    packed p;
    memset(&p, 0xee, sizeof p);
    for (int64_t i = 0; i < s.rows * s.cols; i++) ref_store_f32(s.dtype, x, i, f32[i]);
    ref_quant(&s, 0, s.rows, x, p.codes, p.scales, p.values, NULL);
    return p;
}

static ref_spec one_row(qp_format f, qp_engine e, qp_dtype t, int64_t cols, const uint32_t *amax_or_scale) {
    return (ref_spec){.format = f,
                      .engine = e,
                      .dtype = t,
                      .rows = 1,
                      .cols = cols,
                      .amax = amax_or_scale,
                      .scale = amax_or_scale};
}

// ---- the rule, one value at a time
// ------------------------------------------------------------------------------------------

START_TEST(the_scale_is_a_division_on_a_cpu_and_a_product_on_cuda) {
    static const struct {
        qp_format f;
        qp_dtype t;
        uint32_t amax, cpu, cuda;
    } rows[] = {{QP_INT8, QP_FP32, 0x3f8f0000, 0x3c102041, 0x3c102040},
                {QP_INT8_AXIS0, QP_FP32, 0x3f900000, 0x3c112245, 0x3c112244},
                {QP_FP8_E4M3, QP_FP32, 0x3f820000, 0x3b149249, 0x3b14924a},
                {QP_FP8_BLOCK2D, QP_FP32, 0x3f830000, 0x3b15b6db, 0x3b15b6dc},
                {QP_FP8_AXIS0, QP_FP16, 0x39360000, 0x0006, 0x0007}, // fp16 09b0
                {QP_FP8_E4M3, QP_FP16, 0x39af0000, 0x000c, 0x000d}}; // fp16 0d78
    for (int i = 0; i < QP_COUNT(rows); i++) {
        const uint32_t x[1] = {rows[i].amax};
        const packed cpu = quant(one_row(rows[i].f, CPU, rows[i].t, 1, x), x);
        const packed cuda = quant(one_row(rows[i].f, CUDA, rows[i].t, 1, x), x);
        ck_assert_uint_eq(image(rows[i].t, cpu.scales, 0), rows[i].cpu);
        ck_assert_uint_eq(image(rows[i].t, cuda.scales, 0), rows[i].cuda);
    }
}
END_TEST

START_TEST(int8_rounds_half_to_even_in_the_full_range) {
    const uint32_t amax = 0x42fe0000, x[8] = {0x3f000000, 0x3fc00000, 0x40200000, 0xbf000000,
                                              0xbfc00000, 0x42fe0000, 0xc2fe0000, 0x80000000};
    const uint8_t want[8] = {0, 2, 2, 0, 0xfe, 127, 0x81, 0};
    for (int t = QP_BF16; t <= QP_FP32; t++) { // amax 127: the scale is one in every type
        const packed p = quant(one_row(QP_INT8, CPU, (qp_dtype)t, 8, &amax), x);
        ck_assert_mem_eq(p.codes, want, sizeof want);
    }
    const uint32_t one = 0x3f800000, far[4] = {0x43000000, 0xc3000000, 0xc3010000, 0x7f800000};
    const uint8_t ends[4] = {127, 0x80, 0x80, 127};
    const packed p = quant(one_row(QP_INT8_EXPORT, CPU, QP_FP32, 4, &one), far);
    ck_assert_mem_eq(p.codes, ends, sizeof ends);
}
END_TEST

// amax 1, scale bf16 3c01, x 3c41: the quotient is 1.4961 in fp32 and 1.5 in bf16.
START_TEST(a_quotient_is_rounded_to_the_type_of_x_but_an_export_keeps_it_in_fp32) {
    const uint32_t amax = 0x3f800000, scale = 0x3c010000, x[1] = {0x3c410000};
    ck_assert_uint_eq(quant(one_row(QP_INT8, CPU, QP_BF16, 1, &amax), x).codes[0], 2);
    ck_assert_uint_eq(quant(one_row(QP_INT8_EXPORT, CPU, QP_BF16, 1, &scale), x).codes[0], 1);
    ck_assert_uint_eq(quant(one_row(QP_INT8, CPU, QP_FP32, 1, &amax), x).codes[0], 1);
}
END_TEST

START_TEST(fp8_saturates_and_nan_has_a_code_without_a_sign) {
    const uint32_t one = 0x3f800000,
                   x[6] = {0x43e80001, 0xff800000, 0x7fc00000, 0xffc00000, 0x80000000, 0x3a800000};
    const uint8_t want[6] = {0x7e, 0xfe, 0x7f, 0x7f, 0x80, 0};
    const packed p = quant(one_row(QP_FP8_EXPORT, CPU, QP_FP32, 6, &one), x);
    ck_assert_mem_eq(p.codes, want, sizeof want);
    ck_assert_uint_eq(p.values[4], 0x80000000);
    ck_assert_uint_eq(p.values[2], 0x7fc00000);
    const uint32_t zero = 0, y[2] = {0, 0x80000000}; // 0 / 0 is negative on x86
    const packed none = quant(one_row(QP_FP8_EXPORT, CPU, QP_FP32, 2, &zero), y);
    ck_assert_uint_eq(none.codes[0], 0x7f);
    ck_assert_uint_eq(none.codes[1], 0x7f);
}
END_TEST

START_TEST(a_tensor_of_zeros_has_the_scale_zero_and_what_0_by_0_leaves) {
    const uint32_t amax = 0, x[2] = {0, 0x80000000};
    const packed int8 = quant(one_row(QP_INT8, CPU, QP_FP16, 2, &amax), x);
    const packed fp8 = quant(one_row(QP_FP8_E4M3, CUDA, QP_FP16, 2, &amax), x);
    const packed tile = quant(one_row(QP_FP8_BLOCK2D, DEEPSEEK, QP_FP16, 2, &amax), x);
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(int8.codes[i], 0);
        ck_assert_uint_eq(image(QP_FP16, int8.values, i), 0);
        ck_assert_uint_eq(fp8.codes[i], 0x7f);
        ck_assert_uint_eq(image(QP_FP16, fp8.values, i), 0x7e00);
        ck_assert_uint_eq(tile.codes[i], 0);
        ck_assert_uint_eq(image(QP_FP16, tile.values, i), 0);
    }
    ck_assert_uint_eq(image(QP_FP16, int8.scales, 0), 0);
    ck_assert_uint_eq(tile.scales[0], 0);
}
END_TEST

// amax 1, x 3c2d as in trap 20.
START_TEST(deepseek_keeps_its_scales_and_quotients_in_fp32) {
    const uint32_t amax = 0x3f800000, x[2] = {0x3f800000, 0x3c2d0000};
    const packed d = quant(one_row(QP_FP8_BLOCK2D, DEEPSEEK, QP_BF16, 2, &amax), x);
    ck_assert_uint_eq(d.scales[0], 0x3b124925);
    ck_assert_uint_eq(d.codes[1], 0x49);
    ck_assert_uint_eq(image(QP_BF16, d.values, 1), 0x3c25); // 4.5 * 0x3b124925, rounded once
    const packed t = quant(one_row(QP_FP8_BLOCK2D, CPU, QP_BF16, 2, &amax), x);
    ck_assert_uint_eq(image(QP_BF16, t.scales, 0), 0x3b12);
    ck_assert_uint_eq(t.codes[1], 0x4a);
}
END_TEST

START_TEST(dequantize_multiplies_in_the_target_type_and_an_export_in_fp32) {
    const uint8_t code = 0x49;
    const uint32_t scale = 0x3b124925;
    uint16_t v;
    ref_spec s = one_row(QP_FP8_E4M3, CPU, QP_FP32, 1, NULL);
    ref_dequant(&s, QP_BF16, 1, &code, &scale, 0, &v);
    ck_assert_uint_eq(v, 0x3c24); // 4.5 * bf16 3b12
    s = one_row(QP_FP8_EXPORT, CPU, QP_FP32, 1, &scale);
    ref_dequant(&s, QP_BF16, 1, &code, NULL, 0, &v);
    ck_assert_uint_eq(v, 0x3c25);
}
END_TEST

START_TEST(scales_have_the_type_of_x_but_for_bytes_given_ones_and_deepseek) {
    for (int t = QP_BF16; t <= QP_FP32; t++) {
        const qp_dtype x = (qp_dtype)t;
        ck_assert_int_eq(ref_scale_dtype(QP_INT8, CPU, x), x);
        ck_assert_int_eq(ref_scale_dtype(QP_FP8_BLOCK2D, CUDA, x), x);
        ck_assert_int_eq(ref_scale_dtype(QP_NF4, CPU, x), x);
        ck_assert_int_eq(ref_scale_dtype(QP_INT4_BLOCK, QP_ENGINE_COMPRESSED_TENSORS, x), x);
        ck_assert_int_eq(ref_scale_dtype(QP_FP8_BLOCK2D, DEEPSEEK, x), QP_FP32);
        ck_assert_int_eq(ref_scale_dtype(QP_INT4_AWQ, CPU, x), QP_FP32);
        ck_assert_int_eq(ref_scale_dtype(QP_NVFP4, CPU, x), QP_U8);
        ck_assert_int_eq(ref_scale_dtype(QP_MXFP8_E4M3, CPU, x), QP_U8);
    }
}
END_TEST

// ---- whole tensors, every format and engine
// ----------------------------------------------------------------------------------

// splitmix64 of the index, as a value of magnitude 2^-6 .. 2
static uint32_t draw(uint64_t i) {
    uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z ^= z >> 27;
    return (uint32_t)(z & 0x80000000u) | (121 + (uint32_t)(z >> 40) % 7) << 23 | (uint32_t)(z & 0x7fffff);
}

static void fill(tensor *t, qp_format f, qp_engine e, qp_dtype d, int64_t rows, int64_t cols, uint64_t seed) {
    const qp_format_row *row = qp_format_get(f);
    const bool blocks2d = row->grain == QP_GRAIN_BLOCK2D;
    memset(t, 0, sizeof *t);
    t->spec = (ref_spec){.format = f,
                         .engine = e,
                         .dtype = d,
                         .rows = rows,
                         .cols = cols,
                         .amax = t->amax,
                         .scale = t->scale,
                         .block_rows = blocks2d ? 4 : 0,
                         .block_cols = blocks2d                       ? 8
                                       : row->grain == QP_GRAIN_BLOCK ? 16
                                                                      : 0};
    for (int64_t i = 0; i < rows * cols; i++) ref_store_f32(d, t->x, i, draw(seed * N + (uint64_t)i));
    ref_amax(row->grain, d, rows, cols, t->spec.block_rows, t->spec.block_cols, t->x, t->amax);
    ref_amax(QP_GRAIN_TENSOR, d, rows, cols, 0, 0, t->x, &t->spec.global_amax);
    for (int i = 0; i < N; i++) t->scale[i] = ref_div(t->amax[i], 0x40e00000);
}

static size_t code_bytes(qp_format f, int64_t rows, int64_t cols) {
    const qp_nibbles n = qp_format_get(f)->nibbles;
    if (n == QP_NIBBLES_ROW_PAIRS) return (size_t)((rows + 1) / 2 * cols);
    return (size_t)(rows * (n == QP_NIBBLES_NONE ? cols : (cols + 1) / 2));
}

static bool answers(qp_format f, qp_engine e) {
    return ref_unsupported(QP_OP_QUANT, f, e) == NULL && f != QP_NF4; // NF4 has a door of its own
}

START_TEST(dequantize_gives_the_values_of_quant) {
    static tensor t;
    static packed p;
    static uint32_t y[N];
    int n = 0;
    for (int e = 0; e < QP_ENGINE_COUNT; e++) {
        if (!answers((qp_format)_i, (qp_engine)e)) continue;
        for (int d = QP_BF16; d <= QP_FP32; d++) {
            fill(&t, (qp_format)_i, (qp_engine)e, (qp_dtype)d, ROWS, COLS, 3);
            ref_quant(&t.spec, 0, ROWS, t.x, p.codes, p.scales, p.values, NULL);
            ref_dequant(&t.spec, (qp_dtype)d, ROWS, p.codes, p.scales, ref_weight_scale_2(&t.spec), y);
            ck_assert_mem_eq(y, p.values, N * qp_dtype_bytes((qp_dtype)d));
            for (int i = 0; i < N; i++) // an answer, not a tensor of zeros
                n += (ref_load_f32((qp_dtype)d, y, i) & 0x7fffffff) != 0;
            ck_assert_int_gt(n, N / 2);
        }
    }
}
END_TEST

START_TEST(rows_by_themselves_are_packed_and_unpacked_as_in_the_whole_tensor) {
    static tensor t;
    static packed whole, part;
    static uint32_t y[N];
    const qp_format f = (qp_format)_i;
    if (f == QP_FP8_BLOCK2D) return; // whole tensors only, by contract
    const bool rows_share = qp_format_get(f)->grain == QP_GRAIN_TENSOR;
    for (int e = 0; e < QP_ENGINE_COUNT; e++) {
        if (!answers(f, (qp_engine)e)) continue;
        for (int d = QP_BF16; d <= QP_FP32; d++) {
            fill(&t, f, (qp_engine)e, (qp_dtype)d, ROWS, COLS, 5);
            const size_t size = qp_dtype_bytes((qp_dtype)d),
                         scale_size = qp_dtype_bytes(ref_scale_dtype(f, (qp_engine)e, (qp_dtype)d));
            const size_t nb = rows_share ? 0 : qp_format_get(f)->grain == QP_GRAIN_AXIS0 ? 1 : 3;
            ref_quant(&t.spec, 0, ROWS, t.x, whole.codes, whole.scales, whole.values, NULL);
            for (int r = 0; r < ROWS; r += 2) { // two rows: AWQ packs pairs
                const char *x = (const char *)t.x + (size_t)r * COLS * size;
                const size_t at = code_bytes(f, r, COLS), n = code_bytes(f, 2, COLS);
                ref_quant(&t.spec, r, 2, x, part.codes, part.scales, part.values, NULL);
                ck_assert_mem_eq(part.codes, whole.codes + at, n);
                ck_assert_mem_eq(part.values, (char *)whole.values + (size_t)r * COLS * size,
                                 2 * COLS * size);
                if (qp_format_get(f)->scale != QP_SCALE_GIVEN)
                    ck_assert_mem_eq(part.scales, (char *)whole.scales + (size_t)r * nb * scale_size,
                                     (nb > 0 ? 2 * nb : 1) * scale_size);
                ref_spec s = t.spec;
                s.scale = t.scale + (size_t)r * nb; // given ones point at the first row
                ref_dequant(&s, (qp_dtype)d, 2, part.codes, part.scales, ref_weight_scale_2(&s), y);
                ck_assert_mem_eq(y, part.values, 2 * COLS * size);
            }
        }
    }
}
END_TEST

// A tile of a 2-D block format, and a row, answer as a tensor by itself; the last ones are ragged.
START_TEST(a_tile_and_a_row_answer_as_a_tensor_of_their_own) {
    static tensor t;
    static packed whole, part;
    static const struct {
        qp_format grained, plain;
    } rows[] = {{QP_FP8_BLOCK2D, QP_FP8_E4M3}, {QP_FP8_AXIS0, QP_FP8_E4M3}, {QP_INT8_AXIS0, QP_INT8}};
    for (int k = 0; k < QP_COUNT(rows); k++) {
        for (int e = CPU; e <= (int)CUDA; e++) {
            if (!answers(rows[k].grained, (qp_engine)e)) continue;
            fill(&t, rows[k].grained, (qp_engine)e, QP_FP16, ROWS, COLS, 7);
            ref_quant(&t.spec, 0, ROWS, t.x, whole.codes, whole.scales, NULL, NULL);
            const bool tiles = rows[k].grained == QP_FP8_BLOCK2D;
            const int height = tiles ? 4 : 1, width = tiles ? 8 : COLS, across = (COLS + width - 1) / width;
            for (int block = 0; block < (ROWS + height - 1) / height * across; block++) {
                uint16_t x[N];
                int64_t n = 0;
                for (int i = 0; i < N; i++)
                    if (i / COLS / height * across + i % COLS / width == block)
                        x[n++] = (uint16_t)image(QP_FP16, t.x, i);
                ref_spec s = {
                    .format = rows[k].plain, .engine = (qp_engine)e, .dtype = QP_FP16, .rows = 1, .cols = n};
                uint32_t amax;
                s.amax = &amax;
                ref_amax(QP_GRAIN_TENSOR, QP_FP16, 1, n, 0, 0, x, &amax);
                ref_quant(&s, 0, 1, x, part.codes, part.scales, NULL, NULL);
                ck_assert_uint_eq(image(QP_FP16, part.scales, 0), image(QP_FP16, whole.scales, block));
                n = 0;
                for (int i = 0; i < N; i++)
                    if (i / COLS / height * across + i % COLS / width == block)
                        ck_assert_uint_eq(whole.codes[i], part.codes[n++]);
            }
        }
    }
}
END_TEST

START_TEST(an_export_divides_by_the_scale_of_its_row) {
    const uint32_t scale[3] = {0x3f800000, 0x40000000, 0x40800000};
    uint32_t x[6], values[6];
    uint8_t codes[6];
    for (int i = 0; i < 6; i++) x[i] = 0x41800000; // 16
    const ref_spec s = {
        .format = QP_INT8_EXPORT, .engine = CUDA, .dtype = QP_FP32, .rows = 3, .cols = 2, .scale = scale};
    ref_quant(&s, 0, 3, x, codes, NULL, values, NULL);
    for (int i = 0; i < 6; i++) {
        ck_assert_uint_eq(codes[i], 16 >> (i / 2));
        ck_assert_uint_eq(values[i], 0x41800000);
    }
    ref_quant(&s, 2, 1, x, codes, NULL, NULL, NULL);
    ck_assert_uint_eq(codes[0], 4);
}
END_TEST

// ---- coverage
// ----------------------------------------------------------------------------------------------------------------

static bool has(const uint64_t set[4], int bit) {
    return set[bit >> 6] >> (bit & 63) & 1;
}

START_TEST(coverage_counts_the_decisions_of_real_tensors) {
    const uint32_t one = 0x3f800000,
                   x[7] = {0x3f000000, 0x42ff0000, 0xc3008000, 0x7fc00000, 0xff800000, 0x40300000, 0};
    uint8_t codes[7];
    qp_coverage c = {0};
    ref_spec s = one_row(QP_INT8_EXPORT, CPU, QP_FP32, 7, &one);
    ref_quant(&s, 0, 1, x, codes, NULL, NULL, &c);
    ck_assert_uint_eq(c.n_elems, 7);
    ck_assert_uint_eq(c.n_code_ties, 1);
    ck_assert_uint_eq(c.n_saturated, 3);
    ck_assert_uint_eq(c.n_nan, 1);
    ck_assert_uint_eq(c.n_inf, 1);
    ck_assert_int_eq(qp_coverage_bits(c.codes), 4);
    ck_assert(has(c.codes, 0) && has(c.codes, 127) && has(c.codes, 128) && has(c.codes, 3));

    const uint32_t y[5] = {0x41880000, 0x3a800000, 0x43e08000, 0x3b000000, 0x7fc00000};
    memset(&c, 0, sizeof c);
    s = one_row(QP_FP8_EXPORT, CPU, QP_FP32, 5, &one);
    ref_quant(&s, 0, 1, y, codes, NULL, NULL, &c);
    ck_assert_uint_eq(c.n_code_ties, 2);
    ck_assert_uint_eq(c.n_saturated, 1);
    ck_assert_uint_eq(c.n_subnormal, 1);
    ck_assert(has(c.codes, 0x58) && has(c.codes, 0) && has(c.codes, 0x7e) && has(c.codes, 1) &&
              has(c.codes, 0x7f));
}
END_TEST

START_TEST(every_zero_block_is_counted_once) {
    static tensor t;
    static packed p;
    for (int f = 0; f < QP_FORMAT_COUNT; f++) {
        for (int e = 0; e < QP_ENGINE_COUNT; e++) {
            if (!answers((qp_format)f, (qp_engine)e)) continue;
            fill(&t, (qp_format)f, (qp_engine)e, QP_BF16, 4, 32, 9);
            memset(t.x, 0, 4 * 32 * 2);
            memset(t.amax, 0, sizeof t.amax);
            memset(t.scale, 0, sizeof t.scale);
            qp_coverage c = {0};
            ref_quant(&t.spec, 0, 4, t.x, p.codes, p.scales, p.values, &c);
            const qp_grain g = qp_format_get((qp_format)f)->grain;
            const uint64_t want = g == QP_GRAIN_TENSOR ? 1 : g == QP_GRAIN_BLOCK ? 8 : 4;
            ck_assert_msg(c.n_zero_blocks == want, "%s %s: %d", qp_format_get((qp_format)f)->name,
                          qp_engine_name((qp_engine)e), (int)c.n_zero_blocks);
        }
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("reference real");
    TCase *t = tcase_create("real");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, the_scale_is_a_division_on_a_cpu_and_a_product_on_cuda);
    tcase_add_test(t, int8_rounds_half_to_even_in_the_full_range);
    tcase_add_test(t, a_quotient_is_rounded_to_the_type_of_x_but_an_export_keeps_it_in_fp32);
    tcase_add_test(t, fp8_saturates_and_nan_has_a_code_without_a_sign);
    tcase_add_test(t, a_tensor_of_zeros_has_the_scale_zero_and_what_0_by_0_leaves);
    tcase_add_test(t, deepseek_keeps_its_scales_and_quotients_in_fp32);
    tcase_add_test(t, dequantize_multiplies_in_the_target_type_and_an_export_in_fp32);
    tcase_add_test(t, scales_have_the_type_of_x_but_for_bytes_given_ones_and_deepseek);
    tcase_add_loop_test(t, dequantize_gives_the_values_of_quant, 0, QP_FORMAT_COUNT);
    tcase_add_loop_test(t, rows_by_themselves_are_packed_and_unpacked_as_in_the_whole_tensor, 0,
                        QP_FORMAT_COUNT);
    tcase_add_test(t, a_tile_and_a_row_answer_as_a_tensor_of_their_own);
    tcase_add_test(t, an_export_divides_by_the_scale_of_its_row);
    tcase_add_test(t, coverage_counts_the_decisions_of_real_tensors);
    tcase_add_test(t, every_zero_block_is_counted_once);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
