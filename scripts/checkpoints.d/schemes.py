# SPDX-License-Identifier: Apache-2.0
"""Schemes of llm-compressor and compressed-tensors: the packages' own presets, and groups of our own."""


def args(**fields):
    return {"symmetric": True, **fields}


def groups(*rows):
    """Rows of (targets, weights, input activations or None) as config groups."""
    out = {}
    for i, (targets, weights, inputs) in enumerate(rows):
        out[f"group_{i}"] = {"targets": targets, "weights": weights, "input_activations": inputs}
    return {"config_groups": out}


LINEAR = ["Linear"]
ATTENTION = ["re:.*self_attn.*_proj$"]
MLP = ["re:.*mlp.*_proj$"]
FP8_TENSOR = args(num_bits=8, type="float", strategy="tensor")
FP8_CHANNEL = args(num_bits=8, type="float", strategy="channel")
FP8_TOKEN = args(num_bits=8, type="float", strategy="token", dynamic=True)
INT8_CHANNEL = args(num_bits=8, type="int", strategy="channel")

LC_PRESETS = ["NVFP4", "NVFP4A16", "MXFP4", "MXFP4A16", "MXFP8", "MXFP8A16", "FP8", "FP8_DYNAMIC", "FP8_BLOCK"]
LC_PRESETS += ["INT8", "W8A8", "W4A16", "W4A16_ASYM", "W8A16", "W4AFP8", "W3A16"]
CT_PRESETS = ["NVFP4", "NVFP4A16", "MXFP4", "MXFP4A16", "MXFP4XFP8", "MXFP6A16", "MXFP6A8", "MXFP8", "MXFP8A16"]
CT_PRESETS += ["FP8", "FP8_DYNAMIC", "FP8_BLOCK", "INT8", "W4A16", "W4A16_ASYM", "W4AFP8", "W8A16", "W3A16", "W6A16"]

# preset -> fields of a QuantizationModifier
LC_SCHEMES = {
    **{s: {"targets": LINEAR, "scheme": s} for s in LC_PRESETS},
    "FP8_CHANNEL_STATIC": groups((LINEAR, FP8_CHANNEL, FP8_TENSOR)),
    "NVFP4+FP8_KV": {"targets": LINEAR, "scheme": "NVFP4", "kv_cache_scheme": FP8_TENSOR},
    "MIXED": groups(
        (ATTENTION, FP8_CHANNEL, FP8_TOKEN),
        (MLP, args(num_bits=4, type="int", strategy="group", group_size=128), None),
    ),
    "MIXED_SMALL": groups((ATTENTION, FP8_CHANNEL, FP8_TOKEN), (MLP, INT8_CHANNEL, None)),
}
# preset -> fields of a QuantizationConfig
CT_SCHEMES = {s: {"config_groups": {s: LINEAR}} for s in CT_PRESETS}

# preset -> group size (-1: the whole row)
AWQ = {"AWQ_G128": 128, "AWQ_G32": 32, "AWQ_ROW": -1}


def gptq(bits, size, sym=True, act_order=False, version="gptq"):
    return {"bits": bits, "group_size": size, "sym": sym, "desc_act": act_order, "checkpoint_format": version}


GPTQ = {
    "GPTQ_W4_G128": gptq(4, 128),
    "GPTQ_W4_G32_ASYM": gptq(4, 32, sym=False),
    "GPTQ_W4_G128_ACT": gptq(4, 128, act_order=True),
    "GPTQ_W4_G32_ASYM_ACT": gptq(4, 32, sym=False, act_order=True),
    "GPTQ_W4_ROW": gptq(4, -1),
    "GPTQ_W8_G128": gptq(8, 128),
    "GPTQ_W8_ROW_ASYM": gptq(8, -1, sym=False),
    "GPTQ_W3_G128": gptq(3, 128),
    "GPTQ_W2_G32_ASYM": gptq(2, 32, sym=False),
}
GPTQ_V2 = {
    "GPTQ_V2_W4_G128": gptq(4, 128, version="gptq_v2"),
    "GPTQ_V2_W4_G32_ASYM_ACT": gptq(4, 32, sym=False, act_order=True, version="gptq_v2"),
    "GPTQ_V2_W8_G32_ASYM": gptq(8, 32, sym=False, version="gptq_v2"),
    "GPTQ_V2_W3_ROW_ASYM": gptq(3, -1, sym=False, version="gptq_v2"),
}
