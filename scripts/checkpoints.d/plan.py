# SPDX-License-Identifier: Apache-2.0
"""Which models and presets each release makes, and what the files must show (shapes spec 2.2 and 2.3)."""

import re

from schemes import AWQ, CT_SCHEMES, GPTQ, GPTQ_V2, LC_SCHEMES

# Rows of the preset table, by family. What a release lacks or cannot export is recorded with its exception.
NVFP4 = [
    "NVFP4_DEFAULT_CFG",
    "NVFP4_MLP_ONLY_CFG",
    "W4A16_NVFP4_CFG",
    "NVFP4_MLP_WEIGHT_ONLY_CFG",
    "W4A8_NVFP4_FP8_CFG",
]
SEARCHED = ["NVFP4_FOUR_OVER_SIX_CFG", "NVFP4_W4A4_WEIGHT_MSE_FP8_SWEEP_CFG", "NVFP4_W4A4_WEIGHT_LOCAL_HESSIAN_CFG"]
SEARCHED += ["NVFP4_AWQ_LITE_CFG", "NVFP4_AWQ_CLIP_CFG", "NVFP4_AWQ_FULL_CFG", "NVFP4_SVDQUANT_DEFAULT_CFG"]
FP8 = ["FP8_DEFAULT_CFG", "FP8_PER_CHANNEL_PER_TOKEN_CFG", "FP8_2D_BLOCKWISE_WEIGHT_ONLY_CFG"]
INTEGER = ["INT8_DEFAULT_CFG", "INT8_SMOOTHQUANT_CFG", "INT8_WEIGHT_ONLY_CFG"]
INTEGER += ["INT4_AWQ_CFG", "INT4_BLOCKWISE_WEIGHT_ONLY_CFG", "W4A8_AWQ_BETA_CFG"]
MX = ["MXFP4_DEFAULT_CFG", "MXFP4_MLP_WEIGHT_ONLY_CFG", "W4A8_MXFP4_FP8_CFG", "MXFP8_DEFAULT_CFG"]
MX += ["MXFP6_DEFAULT_CFG", "MXINT8_DEFAULT_CFG"]
KV = ["FP8_DEFAULT_CFG+FP8_KV_CFG", "NVFP4_DEFAULT_CFG+FP8_KV_CFG", "NVFP4_DEFAULT_CFG+NVFP4_KV_CFG"]
KV_AFFINE = ["NVFP4_DEFAULT_CFG+FP8_AFFINE_KV_CFG", "NVFP4_DEFAULT_CFG+NVFP4_AFFINE_KV_CFG", "FP8_KV_CFG"]
# name -> base preset, then (preset, part of the module name) on top of it
MIXTURES = {
    "MIXED_FP8_ATTENTION": ("NVFP4_DEFAULT_CFG", ("FP8_DEFAULT_CFG", "self_attn.")),
    "MIXED_W4A16_MLP": ("FP8_DEFAULT_CFG", ("W4A16_NVFP4_CFG", "mlp.")),
}
MIXED = ["NVFP4_FP8_MHA_CONFIG", *MIXTURES]
DENSE = NVFP4 + SEARCHED + FP8 + INTEGER + MX + KV + KV_AFFINE + MIXED
EXPERTS = NVFP4 + ["NVFP4_EXPERTS_ONLY_CFG"] + SEARCHED + FP8 + INTEGER + MX[:4] + KV[:2] + MIXED
LATENT = NVFP4 + ["NVFP4_EXPERTS_ONLY_CFG"] + FP8 + INTEGER[:3] + MX[:4] + KV[:2] + MIXED
SHORT = ["NVFP4_DEFAULT_CFG", "FP8_DEFAULT_CFG", "FP8_2D_BLOCKWISE_WEIGHT_ONLY_CFG", "W4A16_NVFP4_CFG"]
SHORT += ["MXFP8_DEFAULT_CFG", "MXFP4_DEFAULT_CFG"]
HYBRID = SHORT + ["MAMBA_MOE_NVFP4_AGGRESSIVE_CFG", "MAMBA_MOE_NVFP4_CONSERVATIVE_CFG", "MAMBA_MOE_FP8_AGGRESSIVE_CFG"]
DEFAULTS = ["NVFP4_DEFAULT_CFG", "FP8_DEFAULT_CFG"]

# variant of a model (after @) -> (batches, tokens each)
CALIBRATION = {"": (4, 32), "3-tokens": (1, 3), "zero-expert": (4, 32)}

# package, start of the version -> model -> presets
JOBS = [
    (
        "modelopt",
        "0.42",
        {"llama": SHORT, "qwen3-moe": SHORT, "deepseek-v3": SHORT, "deepseek-v3@3-tokens": DEFAULTS[:1]},
    ),
    (
        "modelopt",
        "0.",
        {
            "llama": DENSE,
            "qwen3": SHORT,
            "qwen3-moe": EXPERTS,
            "deepseek-v3": LATENT,
            "mixtral": SHORT,
            "nemotron-h": HYBRID,
            "gpt-oss": SHORT,
            "deepseek-v3@3-tokens": DEFAULTS[:1],
            "qwen3-moe@zero-expert": DEFAULTS,
        },
    ),
    (
        "llmcompressor",
        "",
        {"llama": list(LC_SCHEMES), "qwen3-moe": ["NVFP4", "FP8_DYNAMIC", "FP8_BLOCK", "W4A16", "MXFP4", "MIXED"]},
    ),
    ("compressed-tensors", "", {"llama": list(CT_SCHEMES), "qwen3": ["NVFP4", "FP8_BLOCK", "W4A16"]}),
    (
        "transformers",
        "",
        {m: ["FP8_BLOCK"] for m in ("llama", "qwen3", "qwen3-moe", "deepseek-v3")} | {"gpt-oss": ["MXFP4_EXPERTS"]},
    ),
    ("autoawq", "", {"llama": list(AWQ)}),
    ("auto_gptq", "", {"llama": list(GPTQ)}),
    ("gptqmodel", "", {"llama": [*GPTQ, *GPTQ_V2]}),
]

# The files of cases/checkpoints: (package, start of the version) -> model -> presets.
TINY_JOBS = [
    ("modelopt", "0.42", {"deepseek-v3@3-tokens": DEFAULTS[:1]}),
    (
        "modelopt",
        "0.47",
        {
            "llama": NVFP4[:1]
            + NVFP4[2:]
            + FP8[:2]
            + INTEGER[:2]
            + ["MXFP4_DEFAULT_CFG", "MXFP8_DEFAULT_CFG"]
            + ["NVFP4_FOUR_OVER_SIX_CFG", "NVFP4_AWQ_LITE_CFG", KV[0], KV[2], "MIXED_FP8_ATTENTION"],
            "llama-wide": [FP8[2], "INT4_AWQ_CFG", "INT4_BLOCKWISE_WEIGHT_ONLY_CFG"],
            "qwen3-moe": DEFAULTS[:1],
            "nemotron-h": DEFAULTS[:1],
            "qwen3-moe@zero-expert": DEFAULTS,
        },
    ),
    (
        "llmcompressor",
        "",
        {"llama": ["NVFP4", "MXFP4", "FP8", "FP8_DYNAMIC", "INT8", "MIXED_SMALL"], "qwen3-moe": ["NVFP4"]}
        | {"llama-wide": ["W4A16", "W4A16_ASYM"]},
    ),
    ("compressed-tensors", "", {"llama": ["MXFP6A16", "MXFP8"]}),
    ("transformers", "", {"llama-wide": ["FP8_BLOCK"], "gpt-oss": ["MXFP4_EXPERTS"]}),
    ("autoawq", "", {"llama": ["AWQ_G32"]}),
    ("auto_gptq", "", {"llama": ["GPTQ_W4_G32_ASYM_ACT"]}),
    ("gptqmodel", "", {"llama": ["GPTQ_W4_ROW", "GPTQ_V2_W8_G32_ASYM"]}),
]


def jobs(package, version, tiny):
    for name, start, models in TINY_JOBS if tiny else JOBS:
        if name == package and version.startswith(start):
            return models
    return {}


# defect -> (rules that must be found, rules that may be found beside them, rules that --against may add)
DERIVED = ("codes-differ", "scales-differ", "global-differs")
BROKEN_SCALES = ("scale-nan", "scale-inf", "scale-zero", "scale-negative", "reciprocal")
DEFECTS = {
    "sound": ((), (), ()),
    "dead-experts": (("missing-scale", "shared-weight-scale", "exclude-missing"), (), DERIVED),
    "routers-not-excluded": (("exclude-missing",), (), ()),
    "nul-sentinel": (("exclude-unknown",), ("exclude-missing",), ()),
    "zero-expert": (("scale-nan",), ("scale-zero", "exclude-missing", "block-stats"), DERIVED),
    # NVFP4 in the config, but weight only: no loader of NVFP4 finds its input scales.
    "weight-only-as-nvfp4": (("missing-scale",), ("exclude-missing",), ()),
    # gpt-oss, FP8 2-D: the scales are those of the transposed weight, the codes were made with them read as
    # [in/128, out/128], so that codes of many blocks saturate.
    "scales-of-the-transposed": ((), ("block-stats",), DERIVED),
    # transformers: experts are written apart, their scales still stacked; what is not a multiple of 128 stays BF16
    # beside a scale that nobody wrote.
    "stacked-scales": (("missing-scale",), ("orphan-scale", "exclude-missing", *BROKEN_SCALES), DERIVED),
    # 0.42 has no shared amax for routed experts of per-tensor FP8. Loaders quantize again: not an error.
    "fp8-gate-up": ((), ("shared-weight-scale",), ()),
}
MOE = "qwen3-moe|deepseek-v3|mixtral|gpt-oss"
UNLISTED = "MIXED.*|NVFP4_FP8_MHA.*"  # MIXED_PRECISION has no exclude list
# (package, version, model, preset) patterns, all whole; the first row that fits
EXPECTED = [
    ("modelopt", r"0\.42.*", "deepseek-v3@3-tokens", ".*", "dead-experts"),
    ("modelopt", r"0\.42.*", "deepseek-v3", ".*", "routers-not-excluded"),
    ("modelopt", r"0\.42.*", "qwen3-moe", "FP8_DEFAULT_CFG", "fp8-gate-up"),
    ("modelopt", ".*", ".*@zero-expert", ".*", "zero-expert"),
    ("modelopt", r"0\.44.*", ".*", "NVFP4_MLP_WEIGHT_ONLY.*", "weight-only-as-nvfp4"),
    ("modelopt", r"0\.44.*", ".*", "MIXED.*", "sound"),
    ("modelopt", r"0\.4[567].*", ".*", UNLISTED, "sound"),
    ("modelopt", r"0\.4[567].*", "gpt-oss", "FP8_2D.*", "scales-of-the-transposed"),
    ("modelopt", r"0\.44.*", f"({MOE})(@.*)?", "NVFP4_(AWQ_LITE|AWQ_FULL|SVD).*", "sound"),
    ("modelopt", r"0\.44.*", f"({MOE})(@.*)?", ".*", "routers-not-excluded"),
    ("modelopt", r"0\.4[67].*", "nemotron-h", "FP8_2D.*", "sound"),
    ("modelopt", r"0\.4[67].*", "nemotron-h", ".*", "nul-sentinel"),
    ("transformers", ".*", "qwen3-moe|deepseek-v3", ".*", "stacked-scales"),
]


# Presets whose codes come from activations too: nothing to derive them from.
UNDERIVABLE = r"NVFP4_AWQ.*|NVFP4_SVD.*|INT4_AWQ.*|W4A8_AWQ.*|INT8_SMOOTHQUANT.*|.*LOCAL_HESSIAN.*|AWQ_.*|GPTQ_.*"
# release/model/preset written under other names than the original's: only a part of them can be matched.
RENAMED = [
    r"modelopt-0\.4[45].*/mixtral/.*",
    r"modelopt-.*/(mixtral|nemotron-h)/FP8_2D.*",
    "transformers-.*/(qwen3-moe|deepseek-v3)/.*",
]


def expected_of(*facts):
    for *patterns, defect in EXPECTED:
        if all(re.fullmatch(p, f) for p, f in zip(patterns, facts)):
            return defect
    return "sound"
