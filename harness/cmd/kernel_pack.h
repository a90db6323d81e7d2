// SPDX-License-Identifier: Apache-2.0
// Pack against fake-quant for one tensor of a kernel case (product page, section 4).
#ifndef CMD_KERNEL_PACK_H
#define CMD_KERNEL_PACK_H

#include "cmd/kernel_data.h"

// Counts, by class of their scales, the blocks whose dequantized pack (t->values) is not the fake-quantized
// weight (t->y), and as unexplained also every block that is not fake-quant with pack's own scale. Blocks
// with NaN or Inf inputs are left out.
void qp_kernel_pack_classes(const qp_kernel_case *k, const qp_kernel_tensor *t,
                            int64_t counts[REF_SCALE_CLASS_COUNT]);

#endif
