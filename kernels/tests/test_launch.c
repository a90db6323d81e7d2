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
    REFUSED(whole, QP_OP_FAKEQUANT, QP_MXFP4, QP_BF16, QP_ENGINE_IEEE, "fakequant mxfp4: not in the rows of");
    REFUSED(whole, QP_OP_FAKEQUANT, QP_FP8_AXIS0, QP_BF16, QP_ENGINE_IEEE, "fakequant_int8");
    REFUSED(whole, QP_OP_FAKEQUANT, (qp_format)-1, QP_BF16, QP_ENGINE_IEEE, "format");
    REFUSED(whole, QP_OP_FAKEQUANT, QP_FP8_E4M3, QP_BF16, QP_ENGINE_IEEE, "fp8-e4m3");
    REFUSED(whole, QP_OP_FAKEQUANT, QP_INT8, QP_BF16, QP_ENGINE_TORCH_CPU,
            "wanted engine ieee, got torch-cpu");
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

// What each op of a format cannot do without: every field taken away in turn, from the tables of qp/kernel.h
// and qp/format.h written out again.
static unsigned char memory[64];

static qp_ktensor full(void) {
    return (qp_ktensor){.rows = 1,
                        .cols = 2,
                        .ld = 2,
                        .x = memory,
                        .grad = memory,
                        .y = memory,
                        .amax = (float *)(void *)memory,
                        .global_amax = (float *)(void *)memory,
                        .scale = (float *)(void *)memory,
                        .amax_out = (float *)(void *)memory,
                        .codes = memory,
                        .scales = memory,
                        .scales_i8 = memory,
                        .weight_scale_2 = (float *)(void *)memory};
}

#define FIELD(name)                                                                                          \
    { #name, offsetof(qp_ktensor, name) }
static const struct {
    const char *name;
    size_t at;
} fields[] = {
    FIELD(x),        FIELD(grad),  FIELD(y),      FIELD(amax),      FIELD(global_amax),   FIELD(scale),
    FIELD(amax_out), FIELD(codes), FIELD(scales), FIELD(scales_i8), FIELD(weight_scale_2)};

static const struct {
    qp_op op;
    qp_format format;
    const char *wanted; // words between spaces
} wants[] = {
    {QP_OP_AMAX, QP_MXFP4, " x amax_out "},
    {QP_OP_FAKEQUANT, QP_INT4_BLOCK, " x y amax "},
    {QP_OP_FAKEQUANT, QP_FP8_BLOCK2D, " x y amax "},
    {QP_OP_FAKEQUANT, QP_NVFP4, " x y global_amax "},
    {QP_OP_FAKEQUANT, QP_NVFP4_46, " x y amax global_amax "},
    {QP_OP_FAKEQUANT, QP_MXINT8, " x y "},
    {QP_OP_BACKWARD, QP_INT4, " x grad y amax "},
    {QP_OP_BACKWARD, QP_NVFP4, " x grad y global_amax "},
    {QP_OP_BACKWARD, QP_NVFP4_46, " x grad y amax "},
    {QP_OP_BACKWARD, QP_MXFP8_E5M2, " grad y "},
    {QP_OP_QUANT, QP_NVFP4, " x codes scales weight_scale_2 global_amax "},
    {QP_OP_QUANT, QP_NVFP4_W4A8, " x codes scales weight_scale_2 global_amax "},
    {QP_OP_QUANT, QP_NVFP4_STATIC, " x codes scales weight_scale_2 amax global_amax "},
    {QP_OP_QUANT, QP_MXFP4, " x codes scales "},
    {QP_OP_QUANT, QP_INT8_AXIS0, " x codes scales amax "},
    {QP_OP_QUANT, QP_INT8_EXPORT, " x codes scale "},
    {QP_OP_QUANT, QP_INT4_AWQ, " x codes scale "},
    {QP_OP_QUANT, QP_NF4, " x codes scales scales_i8 weight_scale_2 amax global_amax "},
    {QP_OP_DEQUANT, QP_NVFP4_46, " codes scales weight_scale_2 y "},
    {QP_OP_DEQUANT, QP_MXFP8_E4M3, " codes scales y "},
    {QP_OP_DEQUANT, QP_FP8_EXPORT, " codes scale y "},
    {QP_OP_DEQUANT, QP_INT4_BLOCK, " codes scales y "},
    {QP_OP_DEQUANT, QP_NF4, " codes scales_i8 weight_scale_2 global_amax y "},
};

static const qp_kernel_row *row_of(qp_device_kind d, qp_op op, qp_format f) {
    for (int i = 0; i < qp_n_kernels; i++)
        if (qp_kernels[i].device == d && qp_kernels[i].op == op && qp_kernels[i].format == f)
            return &qp_kernels[i];
    ck_abort_msg("no row for %s %s", qp_op_name(op), qp_format_get(f)->name);
    return NULL;
}

START_TEST(a_field_is_wanted_exactly_where_the_op_of_the_format_reads_or_writes_it) {
    if ((qp_device_kind)_i == QP_DEVICE_SIMT && kit_no_simt("a_field_is_wanted_exactly_where")) return;
    for (int w = 0; w < QP_COUNT(wants); w++)
        for (int f = 0; f < QP_COUNT(fields); f++) {
            const qp_kernel_row *row = row_of((qp_device_kind)_i, wants[w].op, wants[w].format);
            qp_ktensor t = full();
            const void *none = NULL;
            memcpy((char *)&t + fields[f].at, &none, sizeof none);
            qp_launch l = {.op = row->op,
                           .format = row->format,
                           .engine = row->engine,
                           .dtype = QP_FP32,
                           .bwd = QP_BWD_CLIP,
                           .n_tensors = 1,
                           .tensors = &t};
            char word[32], says[64];
            snprintf(word, sizeof word, " %s ", fields[f].name);
            snprintf(says, sizeof says, "wanted %s, got NULL", fields[f].name);
            qp_err err = {0};
            bool wanted = strstr(wants[w].wanted, word) != NULL;
            qp_status status = row->fn(&l, &err);
            ck_assert_msg(status == (wanted ? QP_REFUSED : QP_OK), "%s without %s: %s", row->name,
                          fields[f].name, err.msg);
            ck_assert_msg(!wanted || strstr(err.msg, says) != NULL, "%s", err.msg);
        }
}
END_TEST

// A byte scale may stand anywhere, an image of the type only at a multiple of its size.
START_TEST(alignment_of_scales_follows_their_form) {
    if ((qp_device_kind)_i == QP_DEVICE_SIMT && kit_no_simt("alignment_of_scales_follows_their_form")) return;
    static const qp_format formats[] = {QP_MXFP4, QP_NVFP4, QP_FP8_E4M3, QP_INT4_BLOCK};
    for (int f = 0; f < QP_COUNT(formats); f++) {
        const qp_kernel_row *row = row_of((qp_device_kind)_i, QP_OP_DEQUANT, formats[f]);
        qp_ktensor t = full();
        t.scales = memory + 1;
        qp_launch l = {.op = row->op,
                       .format = row->format,
                       .engine = row->engine,
                       .dtype = QP_BF16,
                       .n_tensors = 1,
                       .tensors = &t};
        qp_err err = {0};
        bool images = qp_format_get(formats[f])->scale == QP_SCALE_OF_X;
        ck_assert_msg(row->fn(&l, &err) == (images ? QP_REFUSED : QP_OK), "%s: %s", row->name, err.msg);
        ck_assert(!images || strstr(err.msg, "wanted scales aligned to its element of 2 bytes") != NULL);
    }
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
    tcase_add_loop_test(c, a_field_is_wanted_exactly_where_the_op_of_the_format_reads_or_writes_it,
                        QP_DEVICE_CPU, QP_DEVICE_SIMT + 1);
    tcase_add_loop_test(c, alignment_of_scales_follows_their_form, QP_DEVICE_CPU, QP_DEVICE_SIMT + 1);
    tcase_add_loop_test(c, an_empty_tensor_needs_no_pointer_and_an_empty_launch_is_done, QP_DEVICE_CPU,
                        QP_DEVICE_SIMT + 1);
    suite_add_tcase(s, c);
    return kit_main(s);
}
