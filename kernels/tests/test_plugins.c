// SPDX-License-Identifier: Apache-2.0
// The plug-ins of this folder, loaded as a user's would be: the control of the mutants and the example agree
// with the cpu kernels bit for bit, and every mutant is live, that is, changes something on a launch made for
// its sin.
#include <dlfcn.h>

#include "qp/plugin.h"
#include "tests/kit.h"

static const qp_plugin *open_plugin(const char *file) {
    const char *build = getenv("QP_BUILD");
    char path[512];
    snprintf(path, sizeof path, "%s/plugins/%s", build ? build : "build", file);
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(so != NULL, "%s", dlerror());
    qp_plugin_entry_fn entry;
    *(void **)&entry = dlsym(so, "qp_plugin_v1");
    ck_assert(entry != NULL);
    const qp_plugin *p = entry();
    ck_assert(p->abi == QP_PLUGIN_ABI && p->launch_bytes == sizeof(qp_launch) &&
              p->tensor_bytes == sizeof(qp_ktensor));
    ck_assert(p->device == QP_DEVICE_CPU && p->n_variants > 0);
    return p;
}

static const qp_plugin_variant *variant(const qp_plugin *p, const char *name) {
    for (int i = 0; i < p->n_variants; i++)
        if (strcmp(p->variants[i].name, name) == 0) return &p->variants[i];
    ck_abort_msg("%s has no variant %s", p->name, name);
    return NULL;
}

// cpu into side a, the variant into side b.
static void run_both(kit *k, const qp_plugin_variant *v) {
    qp_err err = {0};
    qp_status status =
        kit_run(k, &k->a, kit_kernel(QP_DEVICE_CPU, k->launch.op, k->launch.format), 0, KIT_FILL, &err);
    ck_assert_msg(status == QP_OK, "%s", err.msg);
    memset(k->b.base, KIT_FILL, k->b.n_bytes);
    qp_launch l = k->launch;
    l.tensors = k->b.t;
    char msg[256] = "";
    ck_assert_msg(v->run(&l, msg, sizeof msg) == QP_OK, "%s", msg);
}

// The formats that the plug-in has mutants of.
static bool is_mutated(const qp_kernel_row *row) {
    static const qp_format formats[] = {QP_INT8,      QP_INT8_AXIS0, QP_FP8_E4M3,
                                        QP_FP8_AXIS0, QP_NVFP4,      QP_NVFP4_STATIC};
    for (int i = 0; i < QP_COUNT(formats); i++)
        if (formats[i] == row->format) return row->engine == QP_ENGINE_IEEE;
    return false;
}

START_TEST(the_control_of_the_mutants_equals_the_cpu_kernels) {
    const qp_plugin_variant *good = variant(open_plugin("mutants.so"), "good");
    static const qp_dtype types[] = {QP_BF16, QP_FP16, QP_FP32};
    const qp_kernel_row *row = &qp_kernels[_i];
    if (!is_mutated(row)) return;
    for (int t = 0; t < QP_COUNT(types); t++)
        for (int b = 0; b < 2; b++) {
            kit *k = kit_new(row->op, row->format, types[t], kit_ragged, QP_COUNT(kit_ragged), 1, 21);
            k->launch.bwd = b ? QP_BWD_CLIP : QP_BWD_PASS;
            k->launch.narrow_range = b == 1;
            run_both(k, good);
            int64_t d = kit_difference(k);
            ck_assert_msg(d < 0, "%s %s: byte %lld", row->name, qp_dtype_name(types[t]), (long long)d);
            kit_free(k);
        }
}
END_TEST

// Where each sin shows: op, format, and what else it needs (the kit's data has zeros, ties, strides, tails).
static const struct {
    const char *name;
    qp_op op;
    qp_format format;
} sins[] = {
    {"int8-step-form", QP_OP_FAKEQUANT, QP_INT8},
    {"int8-half-away", QP_OP_FAKEQUANT, QP_INT8_AXIS0},
    {"int8-zero-amax-passes", QP_OP_FAKEQUANT, QP_INT8_AXIS0},
    {"int8-qmax-128", QP_OP_FAKEQUANT, QP_INT8},
    {"clip-mask-bf16", QP_OP_BACKWARD, QP_FP8_AXIS0},
    {"ignores-ld", QP_OP_FAKEQUANT, QP_FP8_E4M3},
    {"tail-not-written", QP_OP_FAKEQUANT, QP_NVFP4},
    {"write-past-end", QP_OP_DEQUANT, QP_NVFP4},
    {"input-clobbered", QP_OP_FAKEQUANT, QP_INT8},
    {"stale-output", QP_OP_FAKEQUANT, QP_NVFP4_STATIC},
    {"scale-rows-rounded-down", QP_OP_QUANT, QP_NVFP4},
    {"scale-cast-unclamped", QP_OP_QUANT, QP_NVFP4_STATIC},
    {"amax-without-abs", QP_OP_AMAX, QP_NVFP4_STATIC},
    {"fp8-reciprocal", QP_OP_FAKEQUANT, QP_FP8_AXIS0},
    {"nvfp4-scale-per-32", QP_OP_FAKEQUANT, QP_NVFP4},
    {"e2m1-ties-down", QP_OP_FAKEQUANT, QP_NVFP4_STATIC},
    {"global-scale-one", QP_OP_FAKEQUANT, QP_NVFP4},
    {"dequant-reciprocal-scale", QP_OP_DEQUANT, QP_NVFP4_STATIC},
    {"packs-with-unrounded-scale", QP_OP_QUANT, QP_NVFP4_STATIC},
    {"division-of-10-bits", QP_OP_FAKEQUANT, QP_NVFP4_STATIC},
    {"int8-half-up", QP_OP_FAKEQUANT, QP_INT8_AXIS0},
    {"int8-wraps", QP_OP_FAKEQUANT, QP_INT8},
    {"int8-amax-plus-epsilon", QP_OP_FAKEQUANT, QP_INT8_AXIS0},
    {"fp8-read-as-fnuz", QP_OP_FAKEQUANT, QP_FP8_E4M3},
    {"block-max-of-half", QP_OP_FAKEQUANT, QP_NVFP4},
    {"blocks-through-rows", QP_OP_FAKEQUANT, QP_NVFP4},
};

// These show only under guard (what the output held before, a finding of the simt shim) or on exact ties:
// doctor and the test of ambiguity sets prove them live.
static const char *const shown_by_doctor[] = {"amax-not-zeroed", "barrier-in-branch", "division-ulp-up"};

START_TEST(every_mutant_is_live) {
    const qp_plugin *p = open_plugin("mutants.so");
    const qp_plugin_variant *v = variant(p, sins[_i].name);
    kit *k = kit_new(sins[_i].op, sins[_i].format, QP_FP32, kit_ragged, QP_COUNT(kit_ragged), 0, 5);
    k->launch.bwd = QP_BWD_CLIP;
    // One all-zero row and a block amax of zero for the sins that need them; ties in the clip mask: x a hair
    // above amax.
    qp_ktensor *t = &k->a.t[7]; // 64 x 128, contiguous
    memset((void *)(uintptr_t)t->x, 0, 128 * 4);
    float *amax = (float *)(uintptr_t)t->amax, *global = (float *)(uintptr_t)t->global_amax;
    amax[0] = 0.0f;
    amax[1] = 1.001f;
    *global = 0.01f;
    ((float *)(uintptr_t)t->x)[128] = 1.002f;
    amax[2] = 127.0f; // scale 1: a half step is an exact tie
    ((float *)(uintptr_t)t->x)[2 * 128] = 2.5f;
    unsigned char *inputs = malloc(k->input_bytes);
    ck_assert_ptr_nonnull(inputs);
    memcpy(inputs, k->inputs, k->input_bytes);
    run_both(k, v);
    bool live = kit_difference(k) >= 0 || memcmp(inputs, k->inputs, k->input_bytes) != 0;
    ck_assert_msg(live, "%s changes nothing", sins[_i].name);
    free(inputs);
    kit_free(k);
}
END_TEST

START_TEST(every_variant_is_in_the_list_of_this_test_and_good_is_first) {
    const qp_plugin *p = open_plugin("mutants.so");
    ck_assert_str_eq(p->variants[0].name, "good");
    ck_assert_int_eq(p->n_variants, 1 + QP_COUNT(sins) + QP_COUNT(shown_by_doctor));
    for (int i = 0; i < QP_COUNT(shown_by_doctor); i++)
        ck_assert(variant(p, shown_by_doctor[i])->run != NULL);
    for (int i = 0; i < QP_COUNT(sins); i++) ck_assert(variant(p, sins[i].name)->run != NULL);
}
END_TEST

START_TEST(the_example_equals_the_cpu_kernel_and_refuses_the_rest) {
    const qp_plugin_variant *v = variant(open_plugin("example.so"), "");
    kit *k = kit_new(QP_OP_FAKEQUANT, QP_INT8, QP_FP32, kit_ragged, QP_COUNT(kit_ragged), 1, 8);
    // The example is written for people: it keeps the NaN that the machine makes, so it gets none.
    for (int i = 0; i < k->launch.n_tensors; i++) {
        const qp_ktensor *t = &k->a.t[i];
        for (int64_t j = 0; j < t->rows * t->ld; j++) {
            float *x = &((float *)(uintptr_t)t->x)[j];
            if (!(*x - *x == 0.0f)) *x = 1.5f;
        }
        if (t->rows * t->cols > 0) *(float *)(uintptr_t)t->amax = 2.0f;
    }
    run_both(k, v);
    ck_assert_int_lt(kit_difference(k), 0);
    qp_launch other = k->launch;
    other.tensors = k->a.t;
    other.dtype = QP_BF16;
    char msg[128] = "";
    ck_assert_int_eq(v->run(&other, msg, sizeof msg), QP_REFUSED);
    ck_assert_str_ne(msg, "");
    kit_free(k);
}
END_TEST

int main(void) {
    Suite *s = suite_create("plug-ins");
    TCase *c = tcase_create("plug-ins");
    tcase_set_timeout(c, 300);
    tcase_add_loop_test(c, the_control_of_the_mutants_equals_the_cpu_kernels, 0,
                        qp_n_kernels / QP_DEVICE_COUNT);
    tcase_add_loop_test(c, every_mutant_is_live, 0, QP_COUNT(sins));
    tcase_add_test(c, every_variant_is_in_the_list_of_this_test_and_good_is_first);
    tcase_add_test(c, the_example_equals_the_cpu_kernel_and_refuses_the_rest);
    suite_add_tcase(s, c);
    return kit_main(s);
}
