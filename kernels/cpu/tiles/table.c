// SPDX-License-Identifier: Apache-2.0
// The table of one instruction set: k_cpu_ops_base, _v3, _v4.
#include "cpu/tiles/isa.h"

extern const k_cpu_ops K_FN(ops);

#define K_OP(type, name, args) .name = K_FN(name),
const k_cpu_ops K_FN(ops) = {K_CPU_OPS(K_OP)};
