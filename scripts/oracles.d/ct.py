# SPDX-License-Identifier: Apache-2.0
"""compressed-tensors on a CPU: its own scales from the data, its compressors, and what they decompress. The package
always answers in the type of its scales (NVFP4 and MX: bf16)."""

import numpy as np
import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam

from bits import DTYPES, answer, f32, octets, raw
from session import Case

ROWS, COLS = 4, 24
E4M3 = torch.float8_e4m3fn
# format -> compressor, arguments, columns that share a scale (0: all of the grain)
FORMATS = {
    "int8": ("int-quantized", {"num_bits": 8, "type": "int", "strategy": "tensor"}, 0),
    "int8-axis0": ("int-quantized", {"num_bits": 8, "type": "int", "strategy": "channel"}, 0),
    "fp8-e4m3": ("float-quantized", {"num_bits": 8, "type": "float", "strategy": "tensor"}, 0),
    "fp8-axis0": ("float-quantized", {"num_bits": 8, "type": "float", "strategy": "channel"}, 0),
    "int4-block": ("pack-quantized", {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32}, 32),
    "nvfp4": (
        "nvfp4-pack-quantized",
        {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16, "scale_dtype": E4M3},
        16,
    ),
    "mxfp4": (
        "mxfp4-pack-quantized",
        {"num_bits": 4, "type": "float", "strategy": "group", "group_size": 32, "scale_dtype": torch.uint8},
        32,
    ),
    "mxfp6-e2m3": (
        "mxfp6-pack-quantized",
        {"num_bits": 6, "type": "float", "strategy": "group", "group_size": 32, "scale_dtype": torch.uint8},
        32,
    ),
    "mxfp8-e4m3": (
        "mxfp8-quantized",
        {"num_bits": 8, "type": "float", "strategy": "group", "group_size": 32, "scale_dtype": torch.uint8},
        32,
    ),
}


def extremes(x, strategy, group):
    if strategy == "tensor":
        return torch.aminmax(x)
    if strategy == "channel":
        return x.amin(1, keepdim=True), x.amax(1, keepdim=True)
    blocks = x.reshape(x.shape[0], -1, group)
    return blocks.amin(2), blocks.amax(2)


def codes_of(fmt, packed):
    """The bytes as they lie in memory; MXFP6 packs four codes into three bytes, which eval keeps apart."""
    if fmt != "mxfp6-e2m3":
        return octets(packed)
    b = packed.reshape(-1, 3).to(torch.int64)
    word = b[:, 0] | b[:, 1] << 8 | b[:, 2] << 16
    return octets(torch.stack([word >> 6 * i & 63 for i in range(4)], 1).to(torch.uint8))


def case(fmt, dt, x):
    name, arguments, group = FORMATS[fmt]
    args = QuantizationArgs(symmetric=True, **arguments)
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    low, high = extremes(x, arguments["strategy"], group)
    g = generate_gparam(*torch.aminmax(x)) if fmt == "nvfp4" else None
    scale, zero = calculate_qparams(low, high, args, global_scale=g)
    state = {"weight": x.clone(), "weight_scale": scale, "weight_zero_point": zero}
    keys = {"in": dt, "shape": f"{x.shape[0]}x{x.shape[1]}"}
    if group:
        keys["block"] = group
    if g is not None:
        state["weight_global_scale"] = g
        keys["global_amax"] = f32(x.float().abs().max())
    compressor = BaseCompressor.get_value_from_registry(name)
    packed = compressor.compress(state, scheme)
    codes, s = packed.get("weight_packed", packed.get("weight")), packed["weight_scale"]
    answers = {"codes": codes_of(fmt, codes), "scales": octets(s) if s.element_size() == 1 else answer(s)}
    if g is not None:
        answers["weight_scale_2"] = f32(g)
    values = compressor.decompress(packed, scheme)["weight"]
    if values.dtype == x.dtype:
        answers["values"] = answer(values)
    return Case("quant", fmt, dt, {**keys, "x": raw(x)}, answers, "compressed-tensors")


def quantized(g, fmt, hard):
    """Finite inputs: the package asks its observers for nothing else."""
    group = FORMATS[fmt][2]
    for dt in DTYPES:
        for i in range(g.count):
            if group:
                x = g.blocks((0, 1, 2, 3, 4, 5, 7)[i % 7], 2 if g.short else 4, group, dt).reshape(2, -1)
            else:
                x = g.flat((0, 1, 3, 2)[i % 4], ROWS * COLS, dt, np.arange(-129, 130), 1 / 127).reshape(ROWS, COLS)
            x = torch.nan_to_num(x, nan=1.0, posinf=3.0, neginf=-3.0)
            yield case(fmt, dt, x)


SUITES = {f: [quantized] for f in FORMATS}
