// SPDX-License-Identifier: Apache-2.0
// The FP8 scale sweep and its pruned form (numerics 6.3; reference/calib/PRUNING.md): scales and losses
// against a whole static fake-quant, the rules of ties and NaN, 200,000 hard blocks, the published window's
// counter-example.
#include <check.h>

#include "ref_internal.h"
#include "tests/lemma.h"
#include "tests/sweep_blocks.h"

enum { N = REF_SWEEP_CANDIDATES, BLOCK = REF_SWEEP_BLOCK };

static const qp_engine engines[] = {QP_ENGINE_TORCH_CPU, QP_ENGINE_TORCH_CUDA, QP_ENGINE_TRITON_INTERP,
                                    QP_ENGINE_TRITON};

static ref_sweep_scales scales_of(qp_engine e, uint32_t global) {
    ref_sweep_scales t;
    ref_sweep_scales_of(e, global, &t);
    return t;
}

static void fill(uint32_t *x, float v) {
    for (int i = 0; i < BLOCK; i++) x[i] = blocks_image(v);
}

static int sweep(const ref_sweep_scales *t, const uint32_t *x) {
    const int want = ref_sweep(t, QP_FP32, x, BLOCK);
    ck_assert_int_eq(ref_sweep_pruned(t, QP_FP32, x, BLOCK, NULL), want);
    return want;
}

// ---- candidates, scales, losses
// --------------------------------------------------------------------------------

START_TEST(candidates_are_the_codes_over_448_by_division_and_on_cuda_by_a_reciprocal) {
    uint32_t cpu[N], cuda[N];
    int apart = 0;
    ref_sweep_candidates(QP_ENGINE_TORCH_CPU, cpu);
    ref_sweep_candidates(QP_ENGINE_TORCH_CUDA, cuda);
    for (int k = 0; k < N; k++) {
        const double want =
            blocks_float(ref_e4m3_decode((uint8_t)(k + 1))) / 448.0; // 53 bits, rounded again below
        ck_assert_uint_eq(cpu[k], blocks_image((float)want));
        ck_assert(cpu[k] - cuda[k] + 1 <= 2);
        apart += cpu[k] != cuda[k];
    }
    ck_assert_int_eq(apart, 76); // numerics 6.3
    ck_assert_uint_eq(cpu[2], 0x375b6db7);
    ck_assert_uint_eq(cuda[2], 0x375b6db8); // trap 8
    ck_assert_uint_eq(cpu[N - 1], 0x3f800000);
}
END_TEST

// The reference path is a whole fake-quant: its scale, its values, its squared differences, pairwise.
static float loss_by_fakequant(qp_engine e, uint32_t global, uint32_t amax, const uint32_t *x) {
    const ref_spec s = {.format = QP_NVFP4_STATIC,
                        .engine = e,
                        .dtype = QP_FP32,
                        .rows = 1,
                        .cols = BLOCK,
                        .amax = &amax,
                        .global_amax = global};
    uint32_t y[BLOCK];
    float sum[BLOCK];
    ref_fakequant_nvfp4(&s, 0, 1, x, y, NULL, NULL); // behind the door, which has no torch-cuda for it
    for (int i = 0; i < BLOCK; i++) {
        const float d = blocks_float(x[i]) - blocks_float(y[i]);
        sum[i] = d * d;
    }
    for (int n = BLOCK / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++) sum[i] = sum[2 * i] + sum[2 * i + 1];
    return sum[0];
}

START_TEST(a_loss_of_the_reference_path_is_that_of_a_whole_static_fake_quant) {
    static const uint32_t globals[] = {
        0x402d0000, 0x3f9e0000, 0x40c90000, // trap 6: two spellings of 448 / amax
        0x33c00000, 0x33bfffff, 0,          0x7f7fffff, 0x7f800000, 0x7fc00000};
    for (int e = 0; e < 2; e++)
        for (int g = 0; g < QP_COUNT(globals); g++) {
            const ref_sweep_scales t = scales_of(engines[e], globals[g]);
            // On a CPU the block scale takes the eager FP8 formula, as under the Triton interpreter
            // (numerics 4.4).
            const qp_engine law = e == 0 ? QP_ENGINE_TRITON_INTERP : engines[e];
            uint32_t x[BLOCK];
            blocks_rng r = {(uint64_t)g};
            for (int i = 0; i < BLOCK; i++) x[i] = blocks_image(blocks_bell(&r));
            for (int k = 0; k < N; k++) {
                const float want = loss_by_fakequant(law, globals[g], t.amax[k], x);
                const uint32_t got = ref_sweep_loss(&t, k, QP_FP32, x, BLOCK);
                ck_assert_msg(blocks_float(got) == want || (want != want && got == 0x7fc00000),
                              "%s ga %08x candidate %d: %08x, wanted %08x", qp_engine_name(engines[e]),
                              globals[g], k, got, blocks_image(want));
            }
        }
}
END_TEST

START_TEST(the_fused_kernel_divides_by_c_times_ga_over_6_and_by_1_where_that_is_zero) {
    const uint32_t ga = 0x3f9e0000;
    const ref_sweep_scales t = scales_of(QP_ENGINE_TRITON_INTERP, ga), none = scales_of(QP_ENGINE_TRITON, 0),
                           cpu = scales_of(QP_ENGINE_TORCH_CPU, ga),
                           cuda = scales_of(QP_ENGINE_TORCH_CUDA, ga);
    uint32_t c[N];
    int apart = 0;
    ref_sweep_candidates(QP_ENGINE_TORCH_CUDA, c);
    for (int k = 0; k < N; k++) {
        ck_assert_uint_eq(t.scale[k], ref_div(cpu.amax[k], 0x40c00000));
        ck_assert_uint_eq(none.scale[k], 0x3f800000);
        ck_assert(t.scale[k] - cpu.scale[k] + 2 <= 4);
        apart += ref_div(ref_mul(c[k], ga), 0x40c00000) != cuda.scale[k];
    }
    ck_assert_int_eq(apart, 17); // no round trip through E4M3: numerics 6.3, with the candidates of a GPU
}
END_TEST

// ---- which loss wins
// -------------------------------------------------------------------------------------------

START_TEST(a_zero_block_and_a_zero_global_amax_take_the_first_candidate) { // trap 15
    uint32_t x[BLOCK] = {0};
    for (int e = 0; e < QP_COUNT(engines); e++) {
        const ref_sweep_scales t = scales_of(engines[e], 0x3f800000), none = scales_of(engines[e], 0);
        int evaluated = 0;
        fill(x, 0);
        ck_assert_int_eq(sweep(&t, x), 0);
        ck_assert_uint_eq(t.amax[0], 0x36924925); // E4M3 code 01
        ck_assert_int_eq(ref_sweep_pruned(&t, QP_FP32, x, BLOCK, &evaluated), 0);
        ck_assert_int_eq(evaluated, 1);
        fill(x, 1);
        ck_assert_int_eq(sweep(&none, x), 0);
        ck_assert_uint_eq(none.amax[0], 0);
    }
}
END_TEST

START_TEST(the_first_of_equal_losses_wins) {
    // ga = 2688: the scale of code c is D4(c). A constant 3 is exact under 0.5, .75, 1, 1.5, 2, 3 and 6.
    const ref_sweep_scales t = scales_of(QP_ENGINE_TORCH_CPU, 0x45280000);
    uint32_t x[BLOCK];
    fill(x, 3);
    const int k = sweep(&t, x);
    ck_assert_uint_eq(t.scale[k], 0x3f000000);
    int exact = 0;
    for (int j = 0; j < N; j++) exact += ref_sweep_loss(&t, j, QP_FP32, x, BLOCK) == 0;
    ck_assert_int_eq(exact, 7);
}
END_TEST

START_TEST(nan_is_the_smallest_loss_for_torch_and_never_wins_for_triton) {
    uint32_t x[BLOCK];
    for (int e = 0; e < QP_COUNT(engines); e++) {
        const ref_sweep_scales t = scales_of(engines[e], 0x3f800000);
        fill(x, 0.25f);
        x[5] = 0xffc00001;
        ck_assert_int_eq(sweep(&t, x), 0);
        ck_assert_uint_eq(ref_sweep_loss(&t, 0, QP_FP32, x, BLOCK), 0x7fc00000);
        int evaluated = 1;
        ck_assert_int_eq(ref_sweep_pruned(&t, QP_FP32, x, BLOCK, &evaluated), 0);
        ck_assert_int_eq(evaluated, 0); // lemma 4
        ck_assert(!ref_sweep_tie_ok(&t, QP_FP32, x, BLOCK, 1));
        x[5] = 0xff800000;
        ck_assert_int_eq(sweep(&t, x), 0);
        ck_assert_uint_eq(ref_sweep_loss(&t, 7, QP_FP32, x, BLOCK), 0x7f800000);
        ck_assert(!ref_sweep_tie_ok(&t, QP_FP32, x, BLOCK, 1));
    }
    // Scales of which some give NaN: 6 * S overflows, Inf - Inf has no value.
    ref_sweep_scales torch = scales_of(QP_ENGINE_TORCH_CPU, 0x3f800000), triton = torch;
    fill(x, 0.25f);
    torch.regular = triton.regular = false;
    triton.triton = true;
    torch.scale[90] = triton.scale[90] = torch.scale[20] = triton.scale[20] = 0x7fc00000;
    torch.scale[0] = triton.scale[0] = 0x7fc00000;
    const int best = ref_sweep(&triton, QP_FP32, x, BLOCK);
    ck_assert_int_eq(ref_sweep(&torch, QP_FP32, x, BLOCK), 0);
    ck_assert_int_eq(ref_sweep_pruned(&torch, QP_FP32, x, BLOCK, NULL), 0);
    ck_assert_int_gt(best, 0);
    ck_assert_int_eq(ref_sweep_pruned(&triton, QP_FP32, x, BLOCK, NULL), best);
    torch.scale[0] = 0x35430c31;
    ck_assert_int_eq(ref_sweep(&torch, QP_FP32, x, BLOCK), 20); // the first NaN
    ck_assert_int_eq(ref_sweep_pruned(&torch, QP_FP32, x, BLOCK, NULL), 20);
}
END_TEST

START_TEST(a_short_block_is_one_padded_with_zeros) {
    const ref_sweep_scales t = scales_of(QP_ENGINE_TORCH_CPU, 0x3f800000);
    blocks_rng r = {7};
    for (int n = 1; n < BLOCK; n++) {
        uint16_t x[BLOCK] = {0};
        for (int i = 0; i < n; i++) x[i] = (uint16_t)(blocks_image(blocks_bell(&r) / 5) >> 16);
        const int want = ref_sweep(&t, QP_BF16, x, BLOCK);
        for (int i = n; i < BLOCK; i++) x[i] = 0x4040; // not read
        ck_assert_int_eq(ref_sweep(&t, QP_BF16, x, n), want);
        ck_assert_int_eq(ref_sweep_pruned(&t, QP_BF16, x, n, NULL), want);
    }
}
END_TEST

// ---- judging others
// ---------------------------------------------------------------------------------------------

START_TEST(another_winner_is_accepted_within_20_units_of_its_loss_in_double_and_no_further) {
    // ga = 2688: the scale of code c is D4(c). A constant 3 is exact under seven scales: all of them may win.
    ref_sweep_scales t = scales_of(QP_ENGINE_TORCH_CPU, 0x45280000);
    uint32_t x[BLOCK];
    fill(x, 3);
    for (int k = 0; k < N; k++)
        ck_assert(ref_sweep_tie_ok(&t, QP_FP32, x, BLOCK, k) ==
                  (ref_sweep_loss(&t, k, QP_FP32, x, BLOCK) == 0));
    ck_assert(!ref_sweep_tie_ok(&t, QP_FP32, x, BLOCK, -1) && !ref_sweep_tie_ok(&t, QP_FP32, x, BLOCK, N));
    // A value of 2.5 loses (1/2)^2 under scale 1 and (1/2 - 2d)^2 under 1 + d: 8d relative, 16 and 32 units.
    fill(x, 0);
    x[0] = 0x40200000;
    for (int k = 0; k < N; k++) t.scale[k] = 0x3f800001;
    t.scale[5] = 0x3f800000;
    ck_assert_int_eq(ref_sweep(&t, QP_FP32, x, BLOCK), 0);
    ck_assert(ref_sweep_tie_ok(&t, QP_FP32, x, BLOCK, 5));
    for (int k = 0; k < N; k++)
        if (k != 5) t.scale[k] = 0x3f800002;
    ck_assert_int_eq(ref_sweep(&t, QP_FP32, x, BLOCK), 0);
    ck_assert(ref_sweep_tie_ok(&t, QP_FP32, x, BLOCK, 7));
    ck_assert(!ref_sweep_tie_ok(&t, QP_FP32, x, BLOCK, 5));
}
END_TEST

// ---- pruning
// ----------------------------------------------------------------------------------------------------

START_TEST(the_pruned_sweep_has_the_same_index_on_200_000_hard_blocks) {
    enum { CHUNKS = 224 };
    uint64_t blocks = 0;
    for (int f = 0; f < QP_COUNT(blocks_families); f++) {
        blocks_result sum = {0};
#pragma omp parallel for schedule(dynamic)
        for (int c = 0; c < CHUNKS; c++) {
            blocks_result r = {0};
            blocks_compare(&blocks_families[f], 20, (uint64_t)c, BLOCKS_PER_TABLE, ref_sweep_pruned, &r);
#pragma omp critical
            blocks_add(&sum, &r);
        }
        ck_assert_msg(sum.different == 0, "%s: %llu of %llu differ; first: ga %08x x[0] %08x want %d got %d",
                      blocks_families[f].name, (unsigned long long)sum.different,
                      (unsigned long long)sum.blocks, sum.global, sum.x[0], sum.want, sum.got);
        // The families whose losses are ordinary numbers: about a dozen at worst.
        if (f < 7) ck_assert_int_le(sum.most, 13);
        blocks += sum.blocks;
    }
    ck_assert_uint_ge(blocks, 200000);
}
END_TEST

START_TEST(lemma_1_holds_for_every_mantissa_of_a_scale) {
    ck_assert_uint_eq(lemma_1_counterexamples(), 0);
    // The test itself can fail: 1.5 times the scale rounded the other way, one unit off, is further away.
    ck_assert(!lemma_nearer(1.25f, 1.0f, 1.0f + 0x1p-3f));
}
END_TEST

// A quotient that rounds to 7 may come from a value beyond the middle of 6 and 8, and then the doubled scale
// wins by its last bits. The other values lie on both grids and on no third one.
START_TEST(a_quotient_of_exactly_7_does_not_rule_the_doubled_scale_out) {
    static const float others[BLOCK - 1] = {6, 6, 6, 6, 6, 4, 4, 4, 4, 3, 3, 3, 2, 1, 0};
    const ref_sweep_scales t = scales_of(QP_ENGINE_TORCH_CPU, 0x3f9e0000);
    int doubled = 0;
    for (int k = 40; k < 80; k++) {
        const float s = blocks_float(t.scale[k]);
        uint32_t x[BLOCK];
        for (int i = 1; i < BLOCK; i++) x[i] = blocks_image(s * others[i - 1]);
        for (uint32_t ulp = 0; ulp < 5; ulp++) {
            x[0] = blocks_image(7 * s) + ulp - 2;
            const int best = sweep(&t, x);
            doubled += t.half[best] == k && blocks_float(x[0]) / s == 7.0f;
        }
    }
    ck_assert_int_gt(doubled, 0);
}
END_TEST

// ga = 2688, so the scale of a code is its value. Sixteen times 26 * 2^-9: amax / 6 is 4.33 * 2^-9, code 04;
// code 0d = 13 * 2^-9 holds it exactly as 2 * S. Half of 13 is no code, so the argument that doubling a scale
// gains nothing does not reach it, and the window ends at 0b.
START_TEST(the_published_window_misses_a_winner_nine_codes_up) {
    const ref_sweep_scales t = scales_of(QP_ENGINE_TORCH_CPU, 0x45280000);
    uint16_t x[BLOCK];
    int evaluated = 0;
    for (int i = 0; i < BLOCK; i++) x[i] = 0x3d50;
    ck_assert_int_eq(ref_sweep(&t, QP_BF16, x, BLOCK) + 1, 0x0d);
    ck_assert_int_eq(ref_sweep_pruned(&t, QP_BF16, x, BLOCK, &evaluated) + 1, 0x0d);
    ck_assert_uint_eq(ref_sweep_loss(&t, 0x0d - 1, QP_BF16, x, BLOCK), 0);
    const int window = blocks_window(&t, QP_BF16, x, BLOCK, &evaluated);
    ck_assert_int_eq(window + 1, 0x09); // of codes 01..0b; 3 * 9 = 27
    ck_assert_uint_eq(ref_sweep_loss(&t, window, QP_BF16, x, BLOCK), 0x38800000); // 16 * 2^-18
}
END_TEST

int main(void) {
    Suite *s = suite_create("sweep");
    TCase *t = tcase_create("sweep");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, candidates_are_the_codes_over_448_by_division_and_on_cuda_by_a_reciprocal);
    tcase_add_test(t, a_loss_of_the_reference_path_is_that_of_a_whole_static_fake_quant);
    tcase_add_test(t, the_fused_kernel_divides_by_c_times_ga_over_6_and_by_1_where_that_is_zero);
    tcase_add_test(t, a_zero_block_and_a_zero_global_amax_take_the_first_candidate);
    tcase_add_test(t, the_first_of_equal_losses_wins);
    tcase_add_test(t, nan_is_the_smallest_loss_for_torch_and_never_wins_for_triton);
    tcase_add_test(t, a_short_block_is_one_padded_with_zeros);
    tcase_add_test(t, another_winner_is_accepted_within_20_units_of_its_loss_in_double_and_no_further);
    tcase_add_test(t, the_pruned_sweep_has_the_same_index_on_200_000_hard_blocks);
    tcase_add_test(t, lemma_1_holds_for_every_mantissa_of_a_scale);
    tcase_add_test(t, a_quotient_of_exactly_7_does_not_rule_the_doubled_scale_out);
    tcase_add_test(t, the_published_window_misses_a_winner_nine_codes_up);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
