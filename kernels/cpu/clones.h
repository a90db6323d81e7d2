// SPDX-License-Identifier: Apache-2.0
// A function marked K_CLONES is compiled for three instruction sets and picked at load time by CPU features.
// Only the x86-64-vN names dispatch by feature in gcc 12 (arch=haswell would dispatch by CPU model).
// -DQP_NO_CLONES is for ThreadSanitizer, under which the resolvers crash.
#ifndef CPU_CLONES_H
#define CPU_CLONES_H

#if defined(QP_NO_CLONES) || !defined(__x86_64__) || !defined(__gnu_linux__) || defined(__clang__)
#define K_CLONES
#else
#define K_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#endif

#endif
