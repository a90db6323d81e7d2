// SPDX-License-Identifier: Apache-2.0
// Evidence: hands one field of one linear to the job's sink, named as Model Optimizer names it, under the
// global FQN.
#ifndef PIPELINE_SHOW_H
#define PIPELINE_SHOW_H

#include "pipeline/rank.h"

// data [n_held, cols] of a field whose local shape is [rows, cols]; row_ids NULL = all rows. data NULL =
// missing.
qp_status qp_show(const qp_rank *r, const qp_quantizer *q, const char *stage, const char *field,
                  qp_dtype dtype, int64_t rows, int64_t cols, const int64_t *row_ids, int64_t n_held,
                  const void *data, qp_err *err);
// Both amax of every linear, missing ones too.
qp_status qp_show_amax(const qp_rank *r, const char *stage, qp_err *err);
// Codes, block scales and the second-level scale (pack.c).
qp_status qp_show_packed(const qp_rank *r, const qp_quantizer *q, const char *stage, qp_err *err);
void qp_note(const qp_rank *r, const char *stage, const char *text);

#endif
