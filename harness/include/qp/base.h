// SPDX-License-Identifier: Apache-2.0
// The smallest common ground of every room: integers, sizes, attributes. libc headers only; C11, C++17 and
// CUDA.
#ifndef QP_BASE_H
#define QP_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define QP_BEGIN_C extern "C" {
#define QP_END_C }
#else
#define QP_BEGIN_C
#define QP_END_C
#endif

#define QP_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

#if defined(__GNUC__)
#define QP_PRINTF(fmt_arg, first_arg) __attribute__((format(printf, fmt_arg, first_arg)))
#define QP_UNUSED __attribute__((unused))
#else
#define QP_PRINTF(fmt_arg, first_arg)
#define QP_UNUSED
#endif

#endif
