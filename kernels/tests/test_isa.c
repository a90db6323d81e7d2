// SPDX-License-Identifier: Apache-2.0
// The cpu kernels compiled a second time, here, without clones and at -O2 for the plain instruction set,
// against the library's dispatched ones: bit-identical for every op, format, type and shape. The sources are
// included, under other names.
#if !defined(QP_NO_CLONES)
#define QP_NO_CLONES
#endif
#define k_cpu_tile_load plain_tile_load
#define k_cpu_tile_store plain_tile_store
#define k_cpu_tile_amax plain_tile_amax
#define k_cpu_tile_block_max plain_tile_block_max
#define k_cpu_for_boxes plain_for_boxes
#define k_cpu_amax plain_amax
#define k_cpu_fakequant_int8 plain_fakequant_int8
#define k_cpu_fakequant_fp8 plain_fakequant_fp8
#define k_cpu_fakequant_nvfp4 plain_fakequant_nvfp4
#define k_cpu_backward plain_backward
#define k_cpu_quant_nvfp4 plain_quant_nvfp4
#define k_cpu_dequant_nvfp4 plain_dequant_nvfp4
#include "cpu/amax.c"
#include "cpu/backward.c"
#include "cpu/fakequant_fp8.c"
#include "cpu/fakequant_int8.c"
#include "cpu/tile.c"
#include "cpu/work.c"
#define TILE_BLOCKS FAKE_TILE_BLOCKS
#define dynamic_scales fake_dynamic_scales
#define static_scales fake_static_scales
#include "cpu/fakequant_nvfp4.c"
#undef TILE_BLOCKS
#undef dynamic_scales
#undef static_scales
#define TILE_BLOCKS PACK_TILE_BLOCKS
#include "cpu/quant_nvfp4.c"
#undef TILE_BLOCKS
#include "cpu/dequant_nvfp4.c"

#include "tests/kit.h"

static qp_kernel_fn plain(qp_op op, qp_format f) {
    switch (op) {
    case QP_OP_AMAX:
        return plain_amax;
    case QP_OP_BACKWARD:
        return plain_backward;
    case QP_OP_QUANT:
        return plain_quant_nvfp4;
    case QP_OP_DEQUANT:
        return plain_dequant_nvfp4;
    default:
        break;
    }
    if (f == QP_INT8 || f == QP_INT8_AXIS0) return plain_fakequant_int8;
    return f == QP_FP8_E4M3 || f == QP_FP8_AXIS0 ? plain_fakequant_fp8 : plain_fakequant_nvfp4;
}

START_TEST(dispatched_and_plain_code_give_the_same_bits) {
    static const qp_dtype types[] = {QP_BF16, QP_FP16, QP_FP32};
    static const kit_shape shapes[] = {
        {40, 2051, 2051}, {5, 17, 19}, {300, 16, 16}, {2, 70001, 70001}, {64, 1024, 1024}};
    const qp_kernel_row *row = &qp_kernels[_i];
    ck_assert_int_eq(row->device, QP_DEVICE_CPU);
    for (int t = 0; t < QP_COUNT(types); t++) {
        kit *k = kit_new(row->op, row->format, types[t], shapes, QP_COUNT(shapes), t, 99);
        k->launch.bwd = QP_BWD_CLIP;
        qp_err err = {0};
        ck_assert_msg(kit_run(k, &k->a, row->fn, 0, KIT_FILL, &err) == QP_OK, "%s", err.msg);
        ck_assert_msg(kit_run(k, &k->b, plain(row->op, row->format), 0, KIT_FILL, &err) == QP_OK, "%s",
                      err.msg);
        int64_t d = kit_difference(k);
        ck_assert_msg(d < 0, "%s %s: output byte %lld differs", row->name, qp_dtype_name(types[t]),
                      (long long)d);
        kit_free(k);
    }
}
END_TEST

START_TEST(this_machine_has_something_to_dispatch_to) {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
    const char *best = __builtin_cpu_supports("x86-64-v4")   ? "x86-64-v4"
                       : __builtin_cpu_supports("x86-64-v3") ? "x86-64-v3"
                                                             : NULL;
    if (best == NULL) {
        printf("SKIP this_machine_has_something_to_dispatch_to: plain x86-64 only\n");
        return;
    }
    printf("dispatched: %s\n", best);
#else
    printf(
        "SKIP this_machine_has_something_to_dispatch_to: no target_clones for this compiler or processor\n");
#endif
}
END_TEST

int main(void) {
    Suite *s = suite_create("cpu instruction sets");
    TCase *c = tcase_create("isa");
    tcase_set_timeout(c, 600);
    tcase_add_loop_test(c, dispatched_and_plain_code_give_the_same_bits, 0, qp_n_kernels / QP_DEVICE_COUNT);
    tcase_add_test(c, this_machine_has_something_to_dispatch_to);
    suite_add_tcase(s, c);
    return kit_main(s);
}
