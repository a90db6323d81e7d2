// SPDX-License-Identifier: Apache-2.0
// The one interface of every kernel on every device, and of plug-ins. A launch handles N tensors at once
// (experts). All data pointers of a launch are memory of the device that runs it; the tensor table itself is
// host memory. A kernel writes exactly its outputs, reads exactly its inputs, and keeps no state.
#ifndef QP_KERNEL_H
#define QP_KERNEL_H

#include "qp/dtype.h"
#include "qp/format.h"
#include "qp/status.h"

QP_BEGIN_C

// Shapes: x and grad are [rows, cols] with a row pitch of ld elements (ld >= cols); outputs have a pitch of
// exactly cols. Blocks lie along a row, nb = ceil(cols / block of the format's row); a partial last block is
// quantized as if padded with zeros. Block2d: nb x ceil(rows / block rows).
//
// op         reads                                     writes
// AMAX       x                                         amax_out: [1] tensor, [rows] axis0, [rows*nb] block,
//                                                      block2d [blocks], as fp32; a NaN in x gives 7fc00000
// FAKEQUANT  x, amax, global_amax as the format has    y [rows, cols] in dtype
//            them (MX: neither)
// BACKWARD   x, grad, amax                             y = grad where |x| <= amax (compared in fp32, NaN x
//                                                      gives +0) or grad; MX: always grad
// QUANT      x, amax, global_amax, scale as the        codes, scales, weight_scale_2 as the format has them
//            format has them
// DEQUANT    codes, scales, scale, weight_scale_2      y [rows, cols] in dtype
typedef struct qp_ktensor {
    int64_t rows, cols, ld;
    const void *x;
    const void *grad; // pitch cols
    void *y;
    const float *amax;        // [1] | [rows] | blocks; not read by dynamic NVFP4 and MX; for real tensors
                              // (QP_SCALE_OF_X) numbers of dtype
    const float *global_amax; // [1]: NVFP4; NF4: the mean of the block scales (ref_spec.scale_zero), of dtype
    const float *scale;       // formats with QP_SCALE_GIVEN: [1] | [rows] | [rows*nb]
    float *amax_out;
    uint8_t *codes;  // as the format's row says: a byte per code, or nibbles; in for DEQUANT
    void *scales;    // E4M3 or E8M0 bytes, or images of dtype, one per grain; canonical order; in for DEQUANT
    void *scales_i8; // NF4: int8 per block; in for DEQUANT
    float *weight_scale_2; // NVFP4: [1]; NF4: the double scale; in for DEQUANT
} qp_ktensor;

typedef enum qp_bwd { QP_BWD_PASS, QP_BWD_CLIP } qp_bwd;

typedef struct qp_launch {
    qp_op op;
    qp_format format;  // AMAX: any format of the wanted grain
    qp_engine engine;  // built-in kernels: fake-quant and backward ieee; pack ieee, torch-cpu or torch-cuda
    qp_dtype dtype;    // of x, grad, y
    bool narrow_range; // INT8: lowest level -127 in the place of -128
    qp_bwd bwd;
    int n_tensors;
    const qp_ktensor *tensors; // host memory, valid during the call
    void *stream;              // cudaStream_t, NULL elsewhere
    uint64_t order_seed;       // simt only: 0 forward, 1 reverse, else shuffled thread order
} qp_launch;

// Returns QP_OK after the work is queued (cuda) or done (cpu, simt). QP_REFUSED for a launch it does not do.
typedef qp_status (*qp_kernel_fn)(const qp_launch *launch, qp_err *err);

typedef enum qp_device_kind { QP_DEVICE_CPU, QP_DEVICE_SIMT, QP_DEVICE_CUDA, QP_DEVICE_COUNT } qp_device_kind;

static inline const char *qp_device_kind_name(qp_device_kind d) {
    static const char *const names[QP_DEVICE_COUNT] = {"cpu", "simt", "cuda"};
    return (unsigned)d < QP_DEVICE_COUNT ? names[d] : "?";
}

typedef struct qp_kernel_row {
    const char *name; // k_<device>_<op>_<variant>
    qp_device_kind device;
    qp_op op;
    qp_format format;
    qp_engine engine;
    qp_kernel_fn fn; // NULL: not compiled into this binary (no CUDA toolkit): a SKIP with that reason
} qp_kernel_row;

// Defined in kernels/table.c; the linker joins.
extern const qp_kernel_row qp_kernels[];
extern const int qp_n_kernels;

// The instruction sets that the cpu kernels are compiled for; every one gives the same bits. Defined in
// kernels/cpu/isa.c.
const char *qp_cpu_isa(void);       // the one in use: "x86-64-v4"
const char *qp_cpu_isa_name(int i); // "base", "v3", "v4"; NULL beyond the last
// One for all launches to come, NULL: the best that the processor has. QP_USAGE: unknown name;
// QP_UNAVAILABLE: not in this build or not on this processor, with the reason.
qp_status qp_cpu_isa_force(const char *name, qp_err *err);

QP_END_C
#endif
