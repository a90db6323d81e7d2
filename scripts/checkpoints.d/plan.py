# SPDX-License-Identifier: Apache-2.0
"""Which models and presets each release makes, and what the files must show (shapes spec 2.2)."""

NVFP4 = ["NVFP4_DEFAULT_CFG", "NVFP4_MLP_ONLY_CFG", "W4A16_NVFP4_CFG", "NVFP4_MLP_WEIGHT_ONLY_CFG", "W4A8_NVFP4_FP8_CFG"]
SEARCHED = [
    "NVFP4_FOUR_OVER_SIX_CFG",
    "NVFP4_W4A4_WEIGHT_MSE_FP8_SWEEP_CFG",
    "NVFP4_W4A4_WEIGHT_LOCAL_HESSIAN_CFG",
    "NVFP4_AWQ_LITE_CFG",
    "NVFP4_AWQ_CLIP_CFG",
    "NVFP4_AWQ_FULL_CFG",
    "NVFP4_SVDQUANT_DEFAULT_CFG",
]
FP8 = ["FP8_DEFAULT_CFG", "FP8_PER_CHANNEL_PER_TOKEN_CFG", "FP8_2D_BLOCKWISE_WEIGHT_ONLY_CFG"]
INTEGER = [
    "INT8_DEFAULT_CFG",
    "INT8_SMOOTHQUANT_CFG",
    "INT8_WEIGHT_ONLY_CFG",
    "INT4_AWQ_CFG",
    "INT4_BLOCKWISE_WEIGHT_ONLY_CFG",
    "W4A8_AWQ_BETA_CFG",
]
MX = ["MXFP4_DEFAULT_CFG", "MXFP4_MLP_WEIGHT_ONLY_CFG", "W4A8_MXFP4_FP8_CFG", "MXFP8_DEFAULT_CFG", "MXFP6_DEFAULT_CFG", "MXINT8_DEFAULT_CFG"]
KV = [
    "FP8_DEFAULT_CFG+FP8_KV_CFG",
    "NVFP4_DEFAULT_CFG+FP8_KV_CFG",
    "NVFP4_DEFAULT_CFG+FP8_AFFINE_KV_CFG",
    "NVFP4_DEFAULT_CFG+NVFP4_KV_CFG",
    "NVFP4_DEFAULT_CFG+NVFP4_AFFINE_KV_CFG",
    "FP8_KV_CFG",
]
# name -> base preset, then (preset, part of the module name) on top of it
MIXTURES = {
    "MIXED_FP8_ATTENTION": ("NVFP4_DEFAULT_CFG", ("FP8_DEFAULT_CFG", "self_attn.")),
    "MIXED_W4A16_EXPERTS": ("FP8_DEFAULT_CFG", ("W4A16_NVFP4_CFG", "mlp.")),
}
MIXED = ["NVFP4_FP8_MHA_CONFIG", *MIXTURES]
DENSE = NVFP4 + SEARCHED + FP8 + INTEGER + MX + KV + MIXED
EXPERTS = NVFP4 + ["NVFP4_EXPERTS_ONLY_CFG"] + SEARCHED + FP8 + INTEGER + MX + KV[:2] + MIXED
SHORT = ["NVFP4_DEFAULT_CFG", "FP8_DEFAULT_CFG", "FP8_2D_BLOCKWISE_WEIGHT_ONLY_CFG", "W4A16_NVFP4_CFG", "MXFP8_DEFAULT_CFG", "MXFP4_DEFAULT_CFG"]
HYBRID = SHORT + ["MAMBA_MOE_NVFP4_AGGRESSIVE_CFG", "MAMBA_MOE_NVFP4_CONSERVATIVE_CFG", "MAMBA_MOE_FP8_AGGRESSIVE_CFG"]

# variant of a model (after @) -> (batches, tokens each)
CALIBRATION = {"": (4, 32), "3-tokens": (1, 3), "zero-expert": (4, 32)}


def modelopt_jobs(release, tiny):
    if tiny:
        return {}
    if release.startswith("0.42"):
        return {"llama": SHORT, "qwen3-moe": SHORT, "deepseek-v3": SHORT, "deepseek-v3@3-tokens": ["NVFP4_DEFAULT_CFG"]}
    return {
        "llama": DENSE,
        "qwen3": SHORT,
        "qwen3-moe": EXPERTS,
        "deepseek-v3": EXPERTS,
        "mixtral": SHORT,
        "nemotron-h": HYBRID,
        "gpt-oss": SHORT,
        "deepseek-v3@3-tokens": ["NVFP4_DEFAULT_CFG"],
        "qwen3-moe@zero-expert": ["NVFP4_DEFAULT_CFG", "FP8_DEFAULT_CFG"],
    }


def expected_of(release, name, preset):
    return "sound"
