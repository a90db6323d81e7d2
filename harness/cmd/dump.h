// SPDX-License-Identifier: Apache-2.0
// repro --dump DIR: what a pipeline case held, for judging from outside. Model Optimizer's key names under
// global expert numbers.
#ifndef CMD_DUMP_H
#define CMD_DUMP_H

#include "pipeline/pipeline.h"

typedef struct qp_dump qp_dump;
struct qp_case_sink;

qp_status qp_dump_new(const char *dir, qp_dump **out, qp_err *err);
void qp_dump_free(qp_dump *d);
qp_status qp_dump_state(qp_dump *d, const qp_state *st, qp_err *err); // copies; thread safe
// DIR/<stage>/rank<r>.safetensors, DIR/groups.json, DIR/record.json. traces may be NULL.
qp_status qp_dump_write(qp_dump *d, const qp_job *job, const qp_group_ev *groups, int n_groups,
                        const qp_rank_trace *traces, int n_traces, qp_err *err);

#endif
