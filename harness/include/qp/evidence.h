// SPDX-License-Identifier: Apache-2.0
// What checks look at. The pipeline and the kernel runner fill these; checks know neither of them.
#ifndef QP_EVIDENCE_H
#define QP_EVIDENCE_H

#include "qp/coverage.h"
#include "qp/kernel.h"
#include "qp/module.h"

QP_BEGIN_C

// One tensor that one rank holds after a stage. Names follow Model Optimizer under global expert ids.
// stage: shard calibrate sync group promote fakequant pack load-same load-other load-back | kernel
// field: weight | weight_quantizer._amax | weight_quantizer._global_amax | input_quantizer._amax
//        y (fake-quantized weight) | grad (backward) | weight_packed weight_scale weight_scale_2 dequant
typedef struct qp_state {
    const char *stage, *fqn, *field;
    int rank;                // -1 outside ranks
    const qp_module *module; // NULL for kernel cases
    const qp_layout *layout; // the layout the rank lives in (load-other: the other one)
    qp_format format;
    qp_dtype dtype;     // of data; fp32 state is QP_FP32
    int64_t rows, cols; // local shape of this field, in elements of dtype (block amax: [rows, nb]; packed:
                        // [rows, cols/2]; scalar 1x1)
    const int64_t
        *row_ids;        // local row number of each row of data when only some are held (rows=N); NULL = all
    int64_t n_rows_held; // rows in data (= rows when row_ids is NULL)
    const void *data;    // NULL: the rank should hold it and does not (missing)
} qp_state;

// A state with what the reference says it must be.
typedef struct qp_compare {
    const qp_state *got;
    const void *want;  // same shape and dtype; NULL: should not exist
    const char *repro; // case line
} qp_compare;

typedef struct qp_group_ev { // a shared group as one rank holds it
    int rank;
    const char *parent;
    int n_members;
    const char *const *members; // FQN in order, global expert ids
    bool has_global;
    uint32_t global_amax;               // fp32 image
    const uint32_t *member_global_amax; // [n_members] what each member's quantizer holds
} qp_group_ev;

typedef struct qp_trace_ev { // one collective as one rank issued it
    char group[8];           // tp dp etp ep edp pp cp world
    char op[24];             // all_reduce_max all_gather broadcast flag_gather
    int64_t count;
    char dtype[12];    // bfloat16 float32 uint8 flag
    uint32_t group_id; // same on all members of that very group
    bool flag;         // flag_gather: what this rank said; its own, so not compared between ranks
} qp_trace_ev;

typedef struct qp_rank_trace {
    int rank;
    int n;
    const qp_trace_ev *entries;
} qp_rank_trace;

// What running one launch under guard showed (subject room).
typedef struct qp_guard_ev {
    const char *what;         // kernel and tensor, for the message
    int64_t guard_bytes_hit;  // bytes changed in guard zones
    int64_t first_hit_offset; // relative to the buffer's end (>= 0) or begin (< 0)
    int64_t input_bytes_changed;
    int64_t unwritten; // output elements that still hold the poison of both runs
    int64_t first_unwritten;
    int64_t repeat_diff; // output bytes that differ between run 1 and run 2
    int64_t first_repeat_diff;
    const char *simt_finding; // divergent barrier, shared out of bounds ...; NULL if none
} qp_guard_ev;

QP_END_C
#endif
