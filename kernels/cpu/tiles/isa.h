// SPDX-License-Identifier: Apache-2.0
// In front of every file of this folder: the names of one instruction set. K_ISA comes from the compiler's
// command line (base, v3 or v4), with the -march that belongs to it. Nothing else of these files is visible.
#ifndef CPU_TILES_ISA_H
#define CPU_TILES_ISA_H

#include "cpu/num.h"
#include "cpu/ops.h"

#define K_JOIN_(a, b) a##_##b
#define K_JOIN(a, b) K_JOIN_(a, b)
#define K_FN(name) K_JOIN(k_cpu_##name, K_ISA)

#define K_OP(type, name, args) type K_FN(name) args;
K_CPU_OPS(K_OP)
#undef K_OP

#endif
