// SPDX-License-Identifier: Apache-2.0
// Checkpoints made to measure: sound ones in every dialect and preset, written from the spec and apart from
// the audit (it shares no table with it), and single damages that the audit must name. Tests, doctor and the
// speed measurement use them.
#ifndef SYNTH_SYNTH_H
#define SYNTH_SYNTH_H

#include "core/arena.h"

typedef struct qp_synth_preset {
    const char *name;    // "modelopt-nvfp4", "ct-pack-int4-asym", "gpt-oss-mxfp4" ...
    const char *dialect; // what verify must call it
    bool derivable;      // --against must judge every quantized linear with 0 mismatches
} qp_synth_preset;
extern const qp_synth_preset qp_synth_presets[];
extern const int qp_synth_n_presets;
const qp_synth_preset *qp_synth_preset_named(const char *name);

typedef struct qp_synth_options {
    const char *preset;
    const char *folder, *original; // folders to make; original NULL: not wanted
    bool moe;                      // a second layer of experts and a router
    int64_t hidden, layers, experts;
    uint64_t seed;
    int shards;
    bool tied;       // no lm_head
    bool repeat;     // every layer has the weights of the first: large ones are made fast
    const char *sin; // name of a row of qp_synth_sins; NULL: sound
} qp_synth_options;
qp_status qp_synth_write(const qp_synth_options *o, qp_arena *a, qp_err *err);

typedef struct qp_damage {
    const char *name;   // "gate-up-global-unequal"
    const char *mutant; // "E-115"; "" when the catalogue has none
    const char *rule;   // id that must be found; NULL: plain verify cannot see it (consequence says so)
    const char *consequence;
    bool against;     // seen with --against only: rule is what must be found there
    const char *also; // rules that may fire beside it, space separated; "*": whatever follows from it
} qp_damage;
extern const qp_damage qp_damages[];
extern const int qp_n_damages;

// Wrong rules that the writer itself follows (preset modelopt-nvfp4): no edit of a sound file makes them.
extern const qp_damage qp_synth_sins[];
extern const int qp_n_synth_sins;

// Copies checkpoint `from` to folder `to` with one damage at a place chosen by seed. *fits false: this
// checkpoint has no place for it (nothing written). *where: the tensor (or file, or config item) that a
// finding must name.
qp_status qp_damage_apply(const qp_damage *d, const char *from, const char *to, uint64_t seed, qp_arena *a,
                          bool *fits, const char **where, qp_err *err);

#endif
