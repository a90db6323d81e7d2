// SPDX-License-Identifier: Apache-2.0
// Launches that a kernel must refuse before it touches memory, each with a message that names tensor and
// field.
#include "tests/kit.h"

static uint16_t x[64], y[64];
static float amax[4];

static qp_status launch_of(qp_ktensor t, qp_op op, qp_format f, qp_dtype dtype, qp_engine engine,
                           qp_device_kind d, qp_err *err) {
    qp_launch l = {.op = op, .format = f, .engine = engine, .dtype = dtype, .n_tensors = 1, .tensors = &t};
    qp_err_clear(err);
    return kit_kernel(d, QP_OP_FAKEQUANT, QP_INT8_AXIS0)(&l, err);
}

static const qp_ktensor whole = {.rows = 4, .cols = 8, .ld = 8, .x = x, .y = y, .amax = amax};

#define REFUSED(tensor, op, f, dtype, engine, word)                                                          \
    do {                                                                                                     \
        qp_err err = {0};                                                                                    \
        ck_assert_int_eq(launch_of(tensor, op, f, dtype, engine, (qp_device_kind)_i, &err), QP_REFUSED);     \
        ck_assert_msg(strstr(err.msg, word) != NULL, "%s", err.msg);                                         \
    } while (0)

START_TEST(wrong_op_format_engine_and_type_are_refused) {
    REFUSED(whole, QP_OP_QUANT, QP_INT8_AXIS0, QP_BF16, QP_ENGINE_IEEE, "wanted op fakequant, got quant");
    REFUSED(whole, QP_OP_FAKEQUANT, QP_MXFP4, QP_BF16, QP_ENGINE_IEEE, "mxfp4");
    REFUSED(whole, QP_OP_FAKEQUANT, (qp_format)-1, QP_BF16, QP_ENGINE_IEEE, "format");
    REFUSED(whole, QP_OP_FAKEQUANT, QP_FP8_E4M3, QP_BF16, QP_ENGINE_IEEE, "fp8-e4m3");
    REFUSED(whole, QP_OP_FAKEQUANT, QP_INT8, QP_BF16, QP_ENGINE_TORCH_CPU, "torch-cpu");
    REFUSED(whole, QP_OP_FAKEQUANT, QP_INT8, QP_U8, QP_ENGINE_IEEE, "got u8");
}
END_TEST

START_TEST(bad_shapes_and_pointers_are_refused) {
    qp_ktensor t = whole;
    t.ld = 7;
    REFUSED(t, QP_OP_FAKEQUANT, QP_INT8, QP_BF16, QP_ENGINE_IEEE, "ld 7");
    t = whole;
    t.rows = -1;
    REFUSED(t, QP_OP_FAKEQUANT, QP_INT8, QP_BF16, QP_ENGINE_IEEE, "rows -1");
    t = whole;
    t.amax = NULL;
    REFUSED(t, QP_OP_FAKEQUANT, QP_INT8, QP_BF16, QP_ENGINE_IEEE, "tensor 0: wanted amax, got NULL");
    t = whole;
    t.y = NULL;
    REFUSED(t, QP_OP_FAKEQUANT, QP_INT8, QP_BF16, QP_ENGINE_IEEE, "wanted y");
    t = whole;
    t.x = (const char *)x + 1;
    REFUSED(t, QP_OP_FAKEQUANT, QP_INT8, QP_BF16, QP_ENGINE_IEEE, "wanted x aligned");
}
END_TEST

START_TEST(an_empty_tensor_needs_no_pointer_and_an_empty_launch_is_done) {
    if ((qp_device_kind)_i == QP_DEVICE_SIMT && kit_no_simt("an_empty_tensor_needs_no_pointer")) return;
    qp_err err = {0};
    qp_ktensor t = {.rows = 0, .cols = 8, .ld = 8};
    ck_assert_int_eq(
        launch_of(t, QP_OP_FAKEQUANT, QP_INT8, QP_BF16, QP_ENGINE_IEEE, (qp_device_kind)_i, &err), QP_OK);
    qp_launch none = {.op = QP_OP_FAKEQUANT, .format = QP_INT8, .dtype = QP_BF16};
    ck_assert_int_eq(kit_kernel((qp_device_kind)_i, QP_OP_FAKEQUANT, QP_INT8)(&none, &err), QP_OK);
    float out = 5.0f;
    qp_ktensor empty = {.rows = 3, .cols = 0, .ld = 0, .amax_out = &out};
    qp_launch l = {.op = QP_OP_AMAX, .format = QP_INT8, .dtype = QP_BF16, .n_tensors = 1, .tensors = &empty};
    ck_assert_int_eq(kit_kernel((qp_device_kind)_i, QP_OP_AMAX, QP_INT8)(&l, &err), QP_OK);
    ck_assert(out == 0.0f);
}
END_TEST

int main(void) {
    Suite *s = suite_create("kernel launches");
    TCase *c = tcase_create("refusals");
    tcase_add_loop_test(c, wrong_op_format_engine_and_type_are_refused, QP_DEVICE_CPU, QP_DEVICE_SIMT + 1);
    tcase_add_loop_test(c, bad_shapes_and_pointers_are_refused, QP_DEVICE_CPU, QP_DEVICE_SIMT + 1);
    tcase_add_loop_test(c, an_empty_tensor_needs_no_pointer_and_an_empty_launch_is_done, QP_DEVICE_CPU,
                        QP_DEVICE_SIMT + 1);
    suite_add_tcase(s, c);
    return kit_main(s);
}
