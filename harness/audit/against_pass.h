// SPDX-License-Identifier: Apache-2.0
// One linear of --against on its way through the pass: tried under rules, tallied, classed. Shared by the
// files against*.c.
#ifndef AUDIT_AGAINST_PASS_H
#define AUDIT_AGAINST_PASS_H

#include "audit/against.h"

typedef struct qp_ag_place { // of the first difference
    int64_t e, row, col;
    uint32_t want, got;
} qp_ag_place;

typedef struct qp_ag_tally { // of a window or of a linear, under one rule
    uint64_t n_codes, n_scales, codes_differ, scales_differ, near_ties;
    uint64_t chosen;      // scales that differ while the codes of their tile follow from what is stored
    uint64_t swap_differ; // codes that would differ with the nibbles of every byte swapped
    uint32_t scale_steps; // largest distance of two differing scale bytes
    qp_ag_place code, scale;
    double error, derived_error, power; // sums of squares: stored - original, derived - original, original
} qp_ag_tally;
void qp_ag_merge(qp_ag_tally *into, const qp_ag_tally *window);

typedef struct qp_ag_trial {
    const qp_ag_rule *rule;
    uint32_t amax;         // of the global or only scale
    bool global_differs;   // the stored one does not follow from the original
    const char *global_is; // what it follows from, where it is not the wanted one
    uint64_t score;        // of the window it was probed on
} qp_ag_trial;

enum { QP_AG_TRIALS = 24 };

typedef struct qp_ag_linear {
    const qp_ck_module *m;
    qp_ag_view view;
    qp_ag_source source[QP_AG_SOURCES];
    int n_sources, chosen_source;
    int64_t window_rows, n_windows; // of one expert
    uint32_t own_amax, group_amax;
    uint64_t first_of_share; // in the list by share
    qp_ag_trial trials[QP_AG_TRIALS];
    int n_trials, at; // the trial that `tally` belongs to
    qp_ag_tally tally;
    qp_ag_place odd; // where the first window with a difference begins
    bool unlikely;   // the scheme moves the weights: a misfit is no finding
    bool searched;   // underivable because of its scales alone
    const char *why_not;
    const char *class; // of its difference, ""
    bool again;        // judged in this round
} qp_ag_linear;

typedef struct qp_ag_item {
    qp_ag_linear *l;
    int64_t e, row0, n_rows;
} qp_ag_item;

typedef struct qp_ag_scratch_room { // of one thread
    void *x, *rule;
    uint8_t *got, *want, *other, *near_ties;
    uint32_t *scales, *given;
    int32_t *zeros;
    double *wide;
} qp_ag_scratch_room;

qp_status qp_ag_room(qp_ag_scratch_room *r, const qp_ag_linear *const *linears, uint64_t n, qp_arena *a,
                     qp_err *err); // for the largest window of all
// One window under the linear's trial `at`; distances where asked.
void qp_ag_judge(const qp_ag_item *item, const qp_ag_trial *t, bool distance, const qp_ag_scratch_room *room,
                 qp_ag_tally *out);
void qp_ag_window_of(const qp_ag_item *item, const qp_ag_trial *t, const qp_ag_scratch_room *room,
                     qp_ag_window *out);
uint32_t qp_ag_window_amax(const qp_ag_item *item, void *buffer);
// The trials of a linear, likeliest first.
void qp_ag_trials(qp_ag_linear *l);
// Names the difference of a linear: "one code", "nibble swap" ...
const char *qp_ag_class(const qp_ag_linear *l, const qp_ag_scratch_room *room, qp_arena *a, qp_err *err);
bool qp_ag_fits(const qp_ag_tally *t);

enum { QP_AG_LAYERS = 4096 };

typedef struct qp_ag_pass {
    const qp_audit_options *o;
    qp_audit *u;
    qp_arena *a;
    qp_ck_findings *f;
    qp_ckpt other;
    qp_ag_linear *linears;
    uint64_t n;
    qp_ag_scratch_room *rooms;
    int threads;
    bool *folded;            // by layer, twice QP_AG_LAYERS: a norm changed, linears beside it moved
    qp_ag_linear **by_share; // the members of a shared group side by side
} qp_ag_pass;

typedef bool (*qp_ag_linear_test)(const qp_ag_linear *l);
bool qp_ag_has_source(const qp_ag_linear *l);
bool qp_ag_misfits(const qp_ag_linear *l);
// Rows that a window may end after: whole tiles, pairs of rows. The scale of a whole tensor needs no whole
// tensor.
int64_t qp_ag_unit(const qp_ag_view *v);
// Tallies of the wanted linears under their trial; distances of every window, or of each linear's first.
qp_status qp_ag_judge_all(qp_ag_pass *p, qp_ag_linear_test wanted, bool distance, qp_err *err);
qp_status qp_ag_fit(qp_ag_pass *p, qp_err *err);
qp_status qp_ag_say(qp_ag_pass *p, qp_err *err); // fills u->against but for losses and plain tensors
qp_status qp_ag_losses(qp_ag_pass *p, qp_err *err);

// Tensors that are not quantized.
typedef struct qp_ag_plain {
    const qp_audit *u;
    const qp_ckpt *other;
    const bool *folded; // by layer: linears whose weights were moved beside it
    int n_folded, threads;
} qp_ag_plain;
qp_status qp_ag_plain_run(const qp_ag_plain *p, qp_arena *a, qp_ck_findings *f, qp_against *out, qp_err *err);

#endif
