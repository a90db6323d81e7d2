// SPDX-License-Identifier: Apache-2.0
// Which instruction set the tile functions run with: the best that the processor has, or the forced one. One
// word for the whole process, set before the first launch or left alone.
#include <string.h>

#include "cpu/ops.h"

extern const k_cpu_ops k_cpu_ops_base, k_cpu_ops_v3, k_cpu_ops_v4;

#if defined(__clang__) || !defined(__x86_64__)
#define HAS_LEVEL(name, features) (features)
#else
#define HAS_LEVEL(name, features) __builtin_cpu_supports(name)
#endif

static bool has_base(void) {
    return true;
}

#if QP_CPU_ISAS
static bool has_v3(void) {
    return HAS_LEVEL("x86-64-v3", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                                      __builtin_cpu_supports("bmi2"));
}

static bool has_v4(void) {
    return HAS_LEVEL("x86-64-v4",
                     has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                         __builtin_cpu_supports("avx512vl"));
}
#endif

typedef struct level {
    const char *name, *long_name;
    const k_cpu_ops *ops; // NULL: not in this build
    bool (*here)(void);
} level;

#if defined(__x86_64__)
#define BASE "x86-64 baseline"
#elif defined(__aarch64__)
#define BASE "aarch64"
#else
#define BASE "portable"
#endif

static const level levels[] = {
    {"base", BASE, &k_cpu_ops_base, has_base},
#if QP_CPU_ISAS
    {"v3", "x86-64-v3", &k_cpu_ops_v3, has_v3},
    {"v4", "x86-64-v4", &k_cpu_ops_v4, has_v4},
#else
    {"v3", "x86-64-v3", NULL, NULL},
    {"v4", "x86-64-v4", NULL, NULL},
#endif
};

static const level *_Atomic chosen;

static const level *best(void) {
    int i = QP_COUNT(levels) - 1;
    while (levels[i].ops == NULL || !levels[i].here()) i--;
    return &levels[i];
}

static const level *now(void) {
    const level *l = chosen;
    if (l == NULL) chosen = l = best(); // two threads may come here at once, with the same answer
    return l;
}

const k_cpu_ops *k_cpu_now(void) {
    return now()->ops;
}

const char *qp_cpu_isa(void) {
    return now()->long_name;
}

const char *qp_cpu_isa_name(int i) {
    return i >= 0 && i < QP_COUNT(levels) ? levels[i].name : NULL;
}

qp_status qp_cpu_isa_force(const char *name, qp_err *err) {
    if (name == NULL) {
        chosen = NULL;
        return QP_OK;
    }
    for (int i = 0; i < QP_COUNT(levels); i++) {
        const level *l = &levels[i];
        if (strcmp(l->name, name) != 0) continue;
        if (l->ops == NULL) QP_FAIL(QP_UNAVAILABLE, "isa %s: not in this build", name);
        if (!l->here())
            QP_FAIL(QP_UNAVAILABLE, "isa %s: this processor lacks %s (the best here is %s)", name,
                    l->long_name, best()->name);
        chosen = l;
        return QP_OK;
    }
    QP_FAIL(QP_USAGE, "unknown isa '%s' (base, v3 or v4 wanted)", name);
}
