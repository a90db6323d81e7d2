// SPDX-License-Identifier: Apache-2.0
// The check functions that table.c lists, and the helpers they share. Nobody outside checks/ includes this.
#ifndef CHECKS_LIST_H
#define CHECKS_LIST_H

#include "checks/checks.h"

// state
qp_finding check_shard_map(const qp_compare *c);
qp_finding check_amax_exact(const qp_compare *c);
qp_finding check_input_amax(const qp_compare *c);
qp_finding check_global_amax(const qp_compare *c);
qp_finding check_quantizers_complete(const qp_compare *c);
qp_finding check_bits_forward(const qp_compare *c);
qp_finding check_bits_backward(const qp_compare *c);
qp_finding check_pack_bits(const qp_compare *c);
qp_finding check_pack_fakequant(const qp_compare *c);
qp_finding check_dequant_bits(const qp_compare *c);
qp_finding check_ckpt_same(const qp_compare *c);
qp_finding check_ckpt_other(const qp_compare *c);
qp_finding check_ckpt_back(const qp_compare *c);
qp_finding check_ckpt_keys(const qp_compare *c);
// guard
qp_finding check_guard_zones(const qp_guard_ev *g);
qp_finding check_inputs_unchanged(const qp_guard_ev *g);
qp_finding check_output_complete(const qp_guard_ev *g);
qp_finding check_repeat_identical(const qp_guard_ev *g);
qp_finding check_simt_findings(const qp_guard_ev *g);
// whole case
qp_finding check_group_members(const qp_case_ev *ev);
qp_finding check_group_unity(const qp_case_ev *ev);
qp_finding check_replica_equal(const qp_case_ev *ev);
qp_finding check_layout_invariance(const qp_case_ev *ev);
qp_finding check_collective_trace(const qp_case_ev *ev);
qp_finding check_coverage_floor(const qp_case_ev *ev);
qp_finding check_refusal(const qp_case_ev *ev);
qp_finding check_error_surfaced(const qp_case_ev *ev);

// A passing finding of this check with nothing judged yet.
qp_finding finding_new(const char *check);
// Makes f a failure (or SUSPECT) with its sentence; a later call does not overwrite the first.
void finding_fail(qp_finding *f, qp_verdict verdict, qp_reason reason, const char *fmt, ...) QP_PRINTF(4, 5);
// "stage fqn field rank R" of a state.
void finding_where(const qp_state *st, char *buf, size_t n);

// What the elements of a field are, for distance and printing.
typedef enum element_kind {
    KIND_BF16,
    KIND_FP16,
    KIND_FP32,
    KIND_E4M3,
    KIND_E5M2,
    KIND_SIX,           // E3M2, E2M3: six bits of a byte
    KIND_NIBBLES,       // E2M1, the even column low
    KIND_NIBBLES_HIGH,  // the even column high; plain numbers (INT4 with an offset, NF4)
    KIND_NIBBLES_PAIRS, // two rows of one column, the even row low; two's complement
    KIND_I8,
    KIND_U8,
    KIND_I32,
    KIND_I64
} element_kind;
element_kind element_kind_of(const qp_state *st);
// The bits of element i, NaN as the canonical NaN of its type.
uint64_t element_bits(element_kind k, const void *base, int64_t i);
bool element_is_nan(element_kind k, uint64_t bits);
int element_hex_digits(element_kind k);
// Signed steps from want to got in the value order of the type; +0 and -0 are 0 apart. Neither may be NaN.
int64_t element_distance(element_kind k, uint64_t want, uint64_t got);

// Every element of the state against want. A missing or unexpected state judges nothing (quantizers-complete
// and ckpt-keys do).
qp_finding compare_state(const qp_compare *c, const char *check);

#endif
