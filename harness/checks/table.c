// SPDX-License-Identifier: Apache-2.0
// Every check, one row each: name, what it proves (invariants I1 to I38 of pipeline spec 0), where it looks,
// the function.
#include "checks/list.h"

#define LOADS "load-same load-other load-back"

const qp_check qp_checks[] = {
    {"shard-map",
     "Every rank holds exactly its rows and columns of the full weight, experts by their global number: the "
     "slice is walked again "
     "element by element from the full weight (I6, I23).",
     "shard", "weight", check_shard_map, NULL, NULL, NULL},
    {"amax-exact",
     "Every weight amax is max |w| over its reduction set, bit for bit: over the rank's own shard after "
     "calibrate (I2, I5), over "
     "the full reduction set after the sync (I4, I6), and no later stage changes it (I28).",
     "calibrate sync group promote kernel", "weight_quantizer._amax amax", check_amax_exact, NULL, NULL,
     NULL},
    {"quantizers-complete",
     "Every enabled quantizer holds its state after calibration, dead experts too, and no other module has "
     "one (I1, I33). What a "
     "rank must hold is counted from the model and the recipe alone.",
     "shard calibrate sync group promote fakequant pack kernel",
     "weight weight_quantizer._amax weight_quantizer._global_amax input_quantizer._amax y grad weight_packed "
     "weight_scale "
     "weight_scale_2 dequant amax",
     check_quantizers_complete, NULL, NULL, NULL},
    {"input-amax",
     "Activation amax is max |x| over the tokens that reach the module, routed experts as the sync policy "
     "says; the dead-expert "
     "rule never invents one (I1, I2, I4).",
     "calibrate sync group promote", "input_quantizer._amax", check_input_amax, NULL, NULL, NULL},
    {"group-unity",
     "All members of a shared group hold one global amax, on every rank, and it is the maximum over all "
     "members' full weights "
     "(I7, I8).",
     "", "", NULL, NULL, check_group_unity, NULL},
    {"group-members",
     "The shared groups are exactly those that the patterns give on the names: full match, first pattern "
     "wins, at least two "
     "enabled members, an empty list of patterns switches them off (I7, I29).",
     "", "", NULL, NULL, check_group_members, NULL},
    {"global-amax",
     "The promoted global amax of every static quantizer, grouped or not, is the one the sync policy "
     "defines, taken after the "
     "last change of any amax it covers (I7, I9); it is never below a block amax it normalises (I8).",
     "promote fakequant pack", "weight_quantizer._global_amax", check_global_amax, NULL, NULL, NULL},
    {"replica-equal",
     "Ranks that hold the same part of a state hold the same bits: data parallel, replicated KV heads, "
     "replicated modules, "
     "expert replicas (I4).",
     "", "", NULL, NULL, check_replica_equal, NULL},
    {"layout-invariance",
     "Gathered over all ranks, every state from the sync on equals, bit for bit, that of the run on one "
     "rank, for every degree of "
     "DP, TP, EP, ETP and PP (I6, I18).",
     "", "", NULL, NULL, check_layout_invariance, NULL},
    {"collective-trace",
     "All ranks of a group issue the same ordered list of collectives (op, count, dtype), whatever their own "
     "data (I21).",
     "", "", NULL, NULL, check_collective_trace, NULL},
    {"bits-forward",
     "The fake-quantized weight equals the reference's answer bit for bit, with the reference's own amax "
     "(I14, I30, I34).",
     "fakequant kernel", "y", check_bits_forward, NULL, NULL, NULL},
    {"bits-backward",
     "The gradient is passed through unchanged, or kept exactly where |x| <= amax compared in fp32 and zero "
     "elsewhere (I15).",
     "fakequant kernel", "grad", check_bits_backward, NULL, NULL, NULL},
    {"pack-bits",
     "Packed element codes (in the nibble order of the format), scales (bytes or images, of every level) "
     "and weight_scale_2 equal the reference's (I3, I12, I24).",
     "pack kernel", "weight_packed weight_scale weight_scale_i8 weight_scale_2", check_pack_bits, NULL, NULL,
     NULL},
    {"pack-fakequant",
     "With pack's own scales, fake-quant equals dequant(pack) bit for bit; between the two spellings of the "
     "scale every differing "
     "block is a midpoint, one ulp, a lifted scale, a zero block or a tiny scale, each counted, and nothing "
     "is left over (I12).",
     "pack kernel", QP_FIELD_PACK_CLASSES, check_pack_fakequant, NULL, NULL, NULL},
    {"dequant-bits", "Codes and scales decode to the reference's values bit for bit (I12, I27).",
     "pack kernel", "dequant", check_dequant_bits, NULL, NULL, NULL},
    {"ckpt-same",
     "A checkpoint loaded into a fresh model on the same layout gives every state back bit for bit (I16, "
     "I17, I22).",
     "load-same", "*", check_ckpt_same, NULL, NULL, NULL},
    {"ckpt-other",
     "The same checkpoint loaded on another layout gives every rank its own slice of every state bit for bit "
     "(I18, I19, I23).",
     "load-other", "*", check_ckpt_other, NULL, NULL, NULL},
    {"ckpt-back",
     "Saved again from the other layout and loaded on the first (TP 8 to 4 to 8), every state is what it was "
     "(I6, I18).",
     "load-back", "*", check_ckpt_back, NULL, NULL, NULL},
    {"ckpt-keys", "A strict load into a fresh model finds every key it needs and no other (I19, I20).", LOADS,
     "*", check_ckpt_keys, NULL, NULL, NULL},
    {"guard-zones",
     "No kernel writes outside its outputs: every output sits between guard zones that are compared "
     "afterwards (I30, I32).",
     "", "", NULL, check_guard_zones, NULL, NULL},
    {"inputs-unchanged", "No kernel changes its inputs: they are compared byte for byte after the run (I28).",
     "", "", NULL, check_inputs_unchanged, NULL, NULL},
    {"output-complete",
     "Every output element is written, tails too: outputs are poisoned twice with different bytes and none "
     "may keep both (I30).",
     "", "", NULL, check_output_complete, NULL, NULL},
    {"repeat-identical",
     "A second run on the same input gives the same bytes, whatever was in the output before (I35, I37).", "",
     "", NULL, check_repeat_identical, NULL, NULL},
    {"simt-findings",
     "The CUDA source run thread by thread shows no divergent barrier, no shared memory out of bounds, none "
     "read before it was "
     "written (I30).",
     "", "", NULL, check_simt_findings, NULL, NULL},
    {"law-idempotence",
     "Fake-quant of its own answers, under the same amax, gives them back. No oracle takes part: the table "
     "of "
     "laws ('list --laws') says where it holds for each format.",
     "", "", NULL, NULL, NULL, check_law},
    {"law-code-idempotence",
     "Dequantized values, packed again under the same amax, have the codes that they came from (no oracle).",
     "", "", NULL, NULL, NULL, check_law},
    {"law-odd-symmetry",
     "The answer to -x is minus the answer to x, beyond the lowest level and the signs of zeros (no oracle).",
     "", "", NULL, NULL, NULL, check_law},
    {"law-homogeneity",
     "The answer to 2x under twice the amax is twice the answer, away from absolute thresholds (no oracle).",
     "", "", NULL, NULL, NULL, check_law},
    {"law-permutation",
     "Elements that share a scale, given in reverse order, get the same answers in reverse order (no "
     "oracle).",
     "", "", NULL, NULL, NULL, check_law},
    {"law-monotonicity",
     "Under one scale a larger input never has a smaller answer, and equal inputs have one answer (no "
     "oracle).",
     "", "", NULL, NULL, NULL, check_law},
    {"law-padding",
     "Zeros appended to every row change no answer and come out as zeros: a short last block is quantized as "
     "if padded (no oracle).",
     "", "", NULL, NULL, NULL, check_law},
    {"coverage-floor",
     "The data could have shown a bug: not all answers are zero, and they spread over the codes of the "
     "format. Below the floor the "
     "case is SUSPECT, never green.",
     "", "", NULL, NULL, check_coverage_floor, NULL},
    {"refusal",
     "A layout that the shapes do not allow is refused, for the reason that the reference derives by itself, "
     "and no other is.",
     "", "", NULL, NULL, check_refusal, NULL},
    {"error-surfaced",
     "A failure inside a collective comes back as the failure of the run, on every rank, never as a warning "
     "(I36).",
     "", "", NULL, NULL, check_error_surfaced, NULL},
};
const int qp_n_checks = QP_COUNT(qp_checks);
