// SPDX-License-Identifier: Apache-2.0
// Inside of dump: one kept tensor, and the writer of record.json.
#ifndef CMD_DUMP_STATE_H
#define CMD_DUMP_STATE_H

#include "cmd/dump.h"

typedef struct qp_dump_tensor {
    const char *stage, *fqn, *field, *name; // name: key in the file
    int rank, order;
    qp_dtype dtype;
    int64_t rows, cols;
    const void *data;
    const qp_module *module;
    qp_format format;
} qp_dump_tensor;

// One record of the schema of reports/schema/pipeline-records.schema.json: sorted tensors of all stages in,
// JSON text out.
qp_status qp_dump_record(const qp_job *job, const qp_dump_tensor *t, int n, const qp_group_ev *groups,
                         int n_groups, const qp_rank_trace *traces, int n_traces, const char *path,
                         qp_err *err);

#endif
