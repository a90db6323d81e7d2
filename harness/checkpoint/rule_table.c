// SPDX-License-Identifier: Apache-2.0
// Every rule of the audit: what holds in a sound checkpoint, why, and what a loader does when it does not.
// The numbers in brackets are sections of the shapes spec (2.x) and rows of the fault catalogue (E-x).
#include "checkpoint/finding.h"

#define ROW(rule, id, severity, says, why, effect) [rule] = {rule, id, severity, says, why, effect}
const qp_ck_rule_row qp_ck_rules[QP_CK_RULES] = {
    // ---- errors
    ROW(QP_CK_MISSING_SCALE, "missing-scale", QP_SEV_ERROR, "every quantized linear has all its scales",
        "Experts that see no token during calibration end without an input scale: Model Optimizer 0.42.0 "
        "wrote 4 of 8 experts of a DeepSeek shape so (2.2). vLLM #54444 and #54189 are loads of such "
        "files, #45212, #45320, #51525 and #52501 the NaN logits that follow (E-117); Model Optimizer "
        "#785, #2064 and #1155 are exports that lost a scale (E-93 to E-95).",
        "vLLM allocates NVFP4 scales uninitialised: the missing one is garbage, not an error"),
    ROW(QP_CK_ORPHAN_SCALE, "orphan-scale", QP_SEV_ERROR, "every scale belongs to quantized codes",
        "A scale whose weight is gone, or is not quantized, is what a rename or a stale export leaves "
        "behind: vLLM #36094, #46641 and #35733 are wrong mappings of scale names (E-129), Model "
        "Optimizer #1305 exported a stale quantized weight (E-106).",
        "the loader drops the scale or reads the weight under the wrong format"),
    ROW(QP_CK_EXPERT_SET, "expert-set", QP_SEV_ERROR, "the experts of a layer are exactly 0..E-1, once each",
        "An export that names experts by their rank's own numbers writes them over each other: Model "
        "Optimizer #1631 lost 7 of 8 experts under expert parallelism (E-100), #1550 collapsed 128 "
        "experts to 8 (E-82).",
        "the weights of the absent experts are lost, and the router still sends tokens to them"),
    ROW(QP_CK_INDEX_SHARDS, "index-shards", QP_SEV_ERROR,
        "index and shards name the same tensors in the same files",
        "Shards that were renamed or written again under an old index drift apart (Model Optimizer #1422, "
        "E-101). Seen on the Hub: an index that lists act_scale where the shards hold input_scale, and "
        "inverted maps of file to names (2.11). Nothing outside the folder is ever opened (2.10).",
        "loaders that follow the index stop, or leave the tensor as it was allocated"),
    ROW(QP_CK_FILE_FORMAT, "file-format", QP_SEV_ERROR, "every file is what its name says",
        "safetensors demands data without holes, overlap or trailing bytes under a header of at most "
        "100,000,000 bytes (2.10); a config is one JSON object. A truncated download and a Git LFS "
        "pointer in the place of a file are the usual causes.",
        "the loader refuses the file; what is in it is not audited here either"),
    ROW(QP_CK_DTYPE, "dtype", QP_SEV_ERROR, "every tensor has the type of its scheme",
        "Block scales of NVFP4 are F8_E4M3 and global scales F32; TensorRT-LLM asserts the type of the "
        "block scales, and global scales in BF16 have been seen on o_proj (2.9).",
        "the loader asserts, or casts the scale and every value with it changes"),
    ROW(QP_CK_SHAPE, "shape", QP_SEV_ERROR, "every tensor has the shape of its scheme",
        "Swizzled or padded scales saved by accident have the tell-tale size of 128 rows by 4 columns "
        "(2.8; Model Optimizer #1717: 1741824 bytes against 10304 x 168, E-41). Slicing by the wrong "
        "parallel sizes (#1209, E-102), flat slices of fused gate and up (#1421, E-25) and padding "
        "rounded down (E-133) end here too.",
        "a size mismatch at load, or rows and scales that belong to each other no longer meet"),
    ROW(QP_CK_SCALE_NAN, "scale-nan", QP_SEV_ERROR, "no scale is NaN",
        "An all-zero weight has global scale 0, and 0/0 makes every block scale byte FF: Model Optimizer "
        "0.44.0 to 0.47.0 write that for an all-zero expert (2.2). A cast to E4M3 without saturation "
        "writes 7F (Model Optimizer #1397 and #1633, Kimi-K2.6; E-99). NaN sentinels as the input "
        "scales of dead experts: the family of vLLM #45212 (E-117).",
        "every value of the block is NaN, and the first token through it makes the logits NaN"),
    ROW(QP_CK_SCALE_INF, "scale-inf", QP_SEV_ERROR, "no scale is infinite",
        "1/0: the reciprocal of a global scale of a dead expert (vLLM #45212 and its family, E-117), or a "
        "global scale converted between dialects one of which stores it inverted (E-119).",
        "infinite or NaN activations in this layer"),
    ROW(QP_CK_SCALE_ZERO, "scale-zero", QP_SEV_ERROR, "no scale is zero where codes are not",
        "A zero scale erases codes that were not zero: input scales of dead experts left 0 (E-117), "
        "per-tensor FP8 of an all-zero expert, which Model Optimizer 0.44.0 to 0.47.0 write with scale 0 "
        "and every byte FF (2.2).",
        "the values read as zero, and 1/scale is infinite where a kernel divides by it"),
    ROW(QP_CK_SCALE_NEGATIVE, "scale-negative", QP_SEV_ERROR, "no scale is negative",
        "A scale is an amax over a positive constant. E4M3 has a sign bit, so one flipped byte is enough.",
        "the values of the block change their sign"),
    ROW(QP_CK_SHARED_WEIGHT_SCALE, "shared-weight-scale", QP_SEV_ERROR,
        "members of a fused group have the same global scale",
        "Loaders fuse q/k/v and gate/up (w1/w3) and keep one global scale. vLLM #54974: 69.1 % of the "
        "gate/up pairs of a published model differ, up to 10x, in all 43 layers; vLLM #34675 and #56095 "
        "are repairs (E-115). q/k/v: TensorRT-LLM #14199, vLLM #41045 (E-116); llm-compressor #1869 "
        "updated the last member only (E-118). SGLang #29151: Phi-4 NVFP4 scored 0.005 on GSM8K before "
        "the load was mended, 0.945 after. Per-tensor FP8 members differ by design and are not judged "
        "(2.2).",
        "vLLM and SGLang MoE use the gate's scale for both halves, dense layers take the maximum without "
        "rescaling the blocks; TensorRT-LLM asserts"),
    ROW(QP_CK_SHARED_INPUT_SCALE, "shared-input-scale", QP_SEV_ERROR,
        "members of a fused group have the same input scale",
        "A fused linear has one input, so its members were calibrated on the same values. TensorRT-LLM "
        "asserts equal input scales in dense layers and for w1 and w3 (2.9); exporters write them "
        "bit-equal (2.2).",
        "TensorRT-LLM stops; vLLM takes the maximum with a warning, older SGLang without"),
    ROW(QP_CK_KV_SCALE, "kv-scale", QP_SEV_ERROR, "KV cache scales come in pairs and as the config says",
        "k_scale and v_scale are amax/448 (2.2). A clamp at 1.0 hid calibrated scales below 1 until Model "
        "Optimizer 0.43 removed it (E-113).",
        "the cache is quantized by a scale that no calibration gave"),
    ROW(QP_CK_CONFIG_TENSORS, "config-tensors", QP_SEV_ERROR, "configs and tensors agree",
        "A loader believes the config: the algorithm, the group size and which layers have which. Seen on "
        "the Hub: group_size and desc_act corrected by later commits, a stale fp8 config beside another "
        "one (2.11); wrong KV types and names in exports (E-104); BF16 routers absent from the exclude "
        "list (E-103).",
        "the loader reads the tensors under another format than they were written in, or refuses them"),
    ROW(QP_CK_CODES_DIFFER, "codes-differ", QP_SEV_ERROR, "codes are those of the original weights",
        "Codes follow from the original weights and the stored scales (2.2, 2.3). Swizzled bytes whose "
        "count matches load silently (Model Optimizer #1717, E-42), data packed with a scale that was not "
        "rounded disagrees with the scale that is stored (#2243, E-109): sizes and ranges show neither. "
        "Needs --against.",
        "the layer computes with other weights; nothing fails"),
    ROW(QP_CK_SCALES_DIFFER, "scales-differ", QP_SEV_ERROR, "scales are those of the original weights",
        "Block scales follow from the block maxima and the global scale: E4M3 of amax over the product of "
        "6 and the global scale, the product rounded to fp32 first (2.2), or the rule of the engine "
        "named. Recomputed scales of packed codes halve the size (Model Optimizer #2038, E-92). Needs "
        "--against.",
        "every value of the block is off by the quotient of the two scales"),
    ROW(QP_CK_GLOBAL_DIFFERS, "global-differs", QP_SEV_ERROR,
        "the global scale is that of the original weights",
        "The global scale is the maximum over the weight, or over its fused group, divided by the "
        "constant of its scheme (2.1). One of another tensor, another format (Model Optimizer #868, "
        "E-114) or an earlier calibration is a plausible number; vLLM #42549 changed greedy output by one "
        "ULP of it (2.3). Needs --against.",
        "the whole tensor is off by one factor, or every rounding decision on a boundary is open"),
    ROW(QP_CK_BYTES_DIFFER, "bytes-differ", QP_SEV_ERROR, "what is not quantized is the original",
        "A tensor left unquantized is copied. Stale exports, lost biases (Model Optimizer #1305, E-106) "
        "and untied weights dropped as duplicates (#2194, E-105) show as other bytes. Needs --against.",
        "the model is another one than the original, outside its quantized layers"),
    // ---- warnings
    ROW(QP_CK_RECIPROCAL, "reciprocal", QP_SEV_WARNING, "global scales point the way of their dialect",
        "Model Optimizer stores global scales that multiply, compressed-tensors their reciprocals (2.1). "
        "A converter that forgets it, or does it twice, writes the inverse (E-119). Told by size: values "
        "outside 2^-20..2^10 this way and inside the other way.",
        "all weights are off by the square of the scale: the output is noise"),
    ROW(QP_CK_EXCLUDE_MISSING, "exclude-missing", QP_SEV_WARNING,
        "every linear left unquantized is excluded by name",
        "Model Optimizer 0.44.0 wrote exclude lists of only lm_head for some models, with routers in BF16 "
        "(2.2; #1858, E-103); names with a NUL sentinel exclude nothing (0.46.1 and 0.47.0, Nemotron-H, "
        "2.2).",
        "the loader allocates a quantized layer there and finds BF16: an error, or garbage scales"),
    ROW(QP_CK_EXCLUDE_UNKNOWN, "exclude-unknown", QP_SEV_WARNING, "every exclude item names a module",
        "Dotted, prefix-less and in-memory names exclude nothing (Model Optimizer #479, #881, #882 and "
        "#557, E-104; changelog 0.46, E-112); NUL sentinels in names: 0.46.1 and 0.47.0 with Nemotron-H "
        "(2.2). The name of a tied lm_head is allowed.",
        "the module that was meant is quantized by the loader, or the item is dead text"),
    ROW(QP_CK_SCALE_ZERO_BLOCK, "scale-zero-block", QP_SEV_WARNING, "a block of zeros still has a scale",
        "Exporters replace the scale of an all-zero block (by 1.0, or by min(448, 2688/amax) in static "
        "mode, 2.2). Zero is harmless while every code is zero.",
        "none where kernels multiply; a kernel that divides by the scale gets infinity"),
    ROW(QP_CK_BLOCK_STATS, "block-stats", QP_SEV_WARNING, "codes and block scales use their range",
        "Under max calibration the largest block of a shared group has the largest scale byte (448; 4/6: "
        "256 to 384; W4A8: 72) and most blocks hold a code of the highest magnitude (2.9). A group that "
        "never does was quantized with another global scale than its own.",
        "none by itself: resolution is lost, and the cause may be one of the errors above"),
    ROW(QP_CK_TOLERATED_FORMAT, "tolerated-format", QP_SEV_WARNING,
        "files follow the written rules of safetensors",
        "The Python package accepts more than the written format: white space before the header, repeated "
        "names, entries as lists (2.10). Other readers refuse it, or read something else.",
        "readers disagree about the file; --strict makes it an error"),
    // ---- notes
    ROW(QP_CK_UNCLASSIFIED, "unclassified", QP_SEV_NOTE, "every tensor has a known role",
        "A suffix that no rule here knows is named instead of skipped: a new export format, or a typo.",
        "none known"),
    ROW(QP_CK_LEFTOVER_FILE, "leftover-file", QP_SEV_NOTE,
        "the folder holds nothing that the index does not name",
        "Old shards beside a new index are downloaded by everyone and opened by no loader that follows "
        "the index.",
        "none; a loader that opens every file of the folder reads stale tensors"),
    ROW(QP_CK_TIED_OR_ABSENT, "tied-or-absent", QP_SEV_NOTE,
        "a name in the config without a tensor is a tied weight",
        "With tied embeddings lm_head is listed although it has no tensor (2.2).", "none"),
    ROW(QP_CK_STATISTICS, "statistics", QP_SEV_NOTE, "the figures themselves",
        "What was seen and is no defect: figures beside which the rules above can be judged, and habits "
        "of the official writer that a file does not share.",
        "none"),
};
