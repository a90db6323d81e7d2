// SPDX-License-Identifier: Apache-2.0
// Which modules loaders fuse.
#ifndef CHECKPOINT_SHARE_H
#define CHECKPOINT_SHARE_H

#include "checkpoint/scheme.h"

// Fills share of every module of the list, which is in the order of names.
qp_status qp_ck_share_number(qp_ck_module *list, uint32_t n, qp_arena *a, qp_err *err);

#endif
