// SPDX-License-Identifier: Apache-2.0
// The smallest plug-in, to copy: INT8 fake-quant of fp32 tensors with one amax each, on the CPU. It builds
// from the contract headers alone, answers one launch and refuses the rest with a reason; the harness then
// counts those as not offered.
//   cc -std=c11 -O2 -ffp-contract=off -fPIC -shared -Iharness/include example.c -o example.so -lm
//   quantproof run --subject ./example.so 'quant fmt=int8 in=fp32 shape=64x96'
#include <math.h>
#include <stdio.h>

#include "qp/plugin.h"

static float quantize(float x, float amax, float lowest) {
    if (amax < 0x1p-24f) return 0.0f;
    float scale = 127.0f / amax;
    float r = rintf(x * scale);
    r = r > 127.0f ? 127.0f : r;
    r = r < lowest ? lowest : r;
    return r / scale;
}

static qp_status run(const qp_launch *launch, char *msg, size_t msg_bytes) {
    if (launch->op != QP_OP_FAKEQUANT || launch->format != QP_INT8 || launch->dtype != QP_FP32) {
        snprintf(msg, msg_bytes, "this plug-in does fakequant of int8 in fp32 only");
        return QP_REFUSED;
    }
    for (int i = 0; i < launch->n_tensors; i++) {
        const qp_ktensor *t = &launch->tensors[i];
        const float *x = t->x;
        float *y = t->y;
        for (int64_t r = 0; r < t->rows; r++)
            for (int64_t c = 0; c < t->cols; c++) // x has a row pitch of ld, y one of cols
                y[r * t->cols + c] =
                    quantize(x[r * t->ld + c], t->amax[0], launch->narrow_range ? -127.0f : -128.0f);
    }
    return QP_OK;
}

static const qp_plugin_variant variants[] = {{"", "INT8 per tensor, fp32, scalar loop", run}};

static const qp_plugin plugin = {
    .abi = QP_PLUGIN_ABI,
    .launch_bytes = sizeof(qp_launch),
    .tensor_bytes = sizeof(qp_ktensor),
    .name = "example",
    .version = "1",
    .device = QP_DEVICE_CPU,
    .variants = variants,
    .n_variants = QP_COUNT(variants),
};

__attribute__((visibility("default"))) const qp_plugin *qp_plugin_v1(void) {
    return &plugin;
}
