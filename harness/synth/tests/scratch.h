// SPDX-License-Identifier: Apache-2.0
// A folder and an arena for each test. For tests only.
#ifndef SYNTH_TESTS_SCRATCH_H
#define SYNTH_TESTS_SCRATCH_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/file.h"

static qp_err err;
static qp_arena *arena;
static char scratch[64];

#define OK(call) ck_assert_msg((call) == QP_OK, "%s", err.msg)

static inline void set_up(void) {
    snprintf(scratch, sizeof scratch, "/tmp/quantproof-synth-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
    arena = qp_arena_new();
    qp_err_clear(&err);
}

static inline void tear_down(void) {
    qp_arena_free(arena);
    ck_assert_int_eq(qp_dir_remove(scratch, &err), QP_OK);
}

#endif
