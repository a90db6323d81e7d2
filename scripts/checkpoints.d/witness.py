# SPDX-License-Identifier: Apache-2.0
"""Linears dequantized by the packages' own functions. What rounds on the way is asked for in wide types: BF16 scales
are given as F32, products of two scales computed in F64; the answer is rounded once, to F32.
"""

import re

import torch

SUFFIXES = ("weight_scale_inv", "weight_scale_2", "weight_global_scale", "weight_scale", "weight_zero_point")
SUFFIXES += ("weight_packed", "weight_shape", "weight_g_idx", "weight", "qweight", "qzeros", "scales", "g_idx")
FUSED = ("weight_scale_2", "weight_scale", "blocks", "scales")


def modules(state):
    """name -> {part: tensor}; fused experts write NAME and NAME_weight_scale, NAME_blocks and NAME_scales."""
    out = {}
    for name, tensor in state.items():
        fused = re.fullmatch(r"(.*experts\.(?:gate_up_proj|down_proj))(?:_(\w+))?", name)
        if fused and (fused[2] is None or fused[2] in FUSED):
            out.setdefault(fused[1], {})[fused[2] or "weight"] = tensor
        elif name.rpartition(".")[2] in SUFFIXES:
            out.setdefault(name.rpartition(".")[0], {})[name.rpartition(".")[2]] = tensor
    return out


def rounded(weights):
    return {name: w.detach().to(torch.float32) for name, w in weights.items()}


# ---- Model Optimizer


def nvfp4(w, s, global_scale):
    from modelopt.torch.quantization.qtensor import NVFP4QTensor

    shape = (*w.shape[:-1], 2 * w.shape[-1])
    block = shape[-1] // s.shape[-1]
    q = NVFP4QTensor(torch.Size(shape), torch.bfloat16, w)
    return q.dequantize(torch.float64, scale=s.double(), double_scale=global_scale.double(), block_sizes={-1: block})


def mxfp4(w, s):
    from modelopt.torch.quantization.qtensor import MXFP4QTensor

    q = MXFP4QTensor(torch.Size((*w.shape[:-1], 2 * w.shape[-1])), torch.bfloat16, w)
    return q.dequantize(torch.float32, scale=s, block_sizes={-1: 32})


def mxfp8(w, s):
    from modelopt.torch.quantization.qtensor import MXFP8QTensor

    return MXFP8QTensor(w.shape, torch.bfloat16, w).dequantize(torch.float32, scale=s)


def fp8(w, s):
    from modelopt.torch.quantization.qtensor import FP8QTensor

    q = FP8QTensor(w.shape, torch.bfloat16, w)
    if s.dim() == 1:
        s = s.unsqueeze(1)
    if s.dim() != 4:
        return q.dequantize(torch.float64, scale=s)
    return q.dequantize(torch.float64, scale=s[:, 0, :, 0], block_sizes={-1: 128, -2: 128})


def int8(w, s):
    from modelopt.torch.quantization.qtensor import INT8QTensor

    return INT8QTensor(w.shape, torch.bfloat16, w).dequantize(torch.float64, scale=s.unsqueeze(1))


def int4(w, s):
    """The exporter's packing has no reader in the package: pairs of rows (shapes spec 2.1), two's complement."""
    codes = torch.stack((w & 15, w >> 4), 1).reshape(2 * w.shape[0], w.shape[1]).long()
    codes = torch.where(codes > 7, codes - 16, codes)
    return codes.double() * s.double().repeat_interleave(w.shape[1] // s.shape[1], 1)


def fused_nvfp4(w, s, global_scale):
    """[experts, in / 2, out]: each expert is the turned weight, packed along its rows."""
    turned = [nvfp4(a.t().contiguous(), b.t().contiguous(), global_scale) for a, b in zip(w, s)]
    return torch.stack(turned)


def fused_fp8(w, s):
    if s.dim() == 0:  # as in memory: the rows of the file are the rows
        return fp8(w, s)
    return torch.stack([fp8(a.t().contiguous(), b) for a, b in zip(w, s)])


FP8, U8, I8 = torch.float8_e4m3fn, torch.uint8, torch.int8
# (type of the weight, of its scale, fused experts) -> reader
MODELOPT = {
    (U8, FP8, False): nvfp4,
    (U8, FP8, True): fused_nvfp4,
    (U8, U8, False): mxfp4,
    (FP8, U8, False): mxfp8,
    (FP8, torch.float32, False): fp8,
    (FP8, torch.float32, True): fused_fp8,
    (I8, torch.float32, False): int8,
    (U8, torch.float32, False): int4,
}


def in_rows(rule):
    """MX formats of fused experts lie as in memory: their rows are those of the file."""

    def run(w, s):
        return torch.stack([rule(a, b) for a, b in zip(w, s)])

    return run


MODELOPT |= {(U8, U8, True): in_rows(mxfp4), (FP8, U8, True): in_rows(mxfp8)}


def by_modelopt(state, facts, package):
    out, rules = {}, set()
    for name, m in modules(state).items():
        if "weight" not in m or "weight_scale" not in m:
            continue
        w, s = m["weight"], m["weight_scale"]
        rule = MODELOPT[w.dtype, s.dtype, w.dim() == 3]
        rules.add(rule)
        out[name] = rule(w, s, m["weight_scale_2"]) if rule in (nvfp4, fused_nvfp4) else rule(w, s)
    return rounded(out), "pairs of rows in torch" if rules == {int4} else "modelopt QTensor.dequantize in F64"


# ---- compressed-tensors


def ct_schemes(facts):
    """[(patterns, scheme, format)] in the order of the config."""
    from compressed_tensors.quantization import QuantizationConfig

    config = QuantizationConfig.model_validate({k: v for k, v in facts.items() if k != "sparsity_config"})
    return [(g.targets, g, g.format or config.format) for g in config.config_groups.values()]


def of_module(schemes, name):
    for targets, scheme, form in schemes:
        if any(re.match(t[3:], name) if t.startswith("re:") else t in ("Linear", name) for t in targets):
            return scheme, form
    raise LookupError(name)


def ct_nvfp4(m, scheme):
    """NVFP4PackedCompressor.decompress with its BF16 steps asked for in F64."""
    from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
    from compressed_tensors.quantization.lifecycle.forward import dequantize

    packed, wide = m["weight_packed"], torch.float64
    unpacked = unpack_fp4_from_uint8(packed, packed.shape[0], 2 * packed.shape[1], dtype=wide)
    scale, whole = m["weight_scale"].to(wide), m["weight_global_scale"].to(wide)
    return dequantize(x_q=unpacked, scale=scale, args=scheme.weights, global_scale=whole, dtype=wide)


def by_compressed_tensors(state, facts, package):
    from compressed_tensors.compressors import BaseCompressor

    schemes, out = ct_schemes(facts), {}
    for name, m in modules(state).items():
        if "weight_scale" not in m:
            continue
        scheme, form = of_module(schemes, name)
        form = getattr(form, "value", form)
        if form == "nvfp4-pack-quantized":
            out[name] = ct_nvfp4(m, scheme)
            continue
        if m["weight_scale"].dtype.is_floating_point:
            m["weight_scale"] = m["weight_scale"].float()
        out[name] = BaseCompressor.get_value_from_registry(form).decompress(m, scheme)["weight"]
    return rounded(out), "compressed_tensors decompress, scales as F32 (NVFP4: its dequantize in F64)"


# ---- transformers


def by_fp8(state, facts, package):
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize

    read, out = Fp8Dequantize(None), {}
    for name, m in modules(state).items():
        if "weight_scale_inv" in m and m.get("weight", torch.ones(1)).dtype == FP8:
            out[name] = read._dequantize_one(m["weight"], m["weight_scale_inv"], torch.float32)
    return rounded(out), "transformers Fp8Dequantize in F32"


def by_mxfp4(state, facts, package):
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    out = {}
    for name, m in modules(state).items():
        if "blocks" in m:  # [experts, in, out] for its modules; the file's rows are `out`
            out[name] = convert_moe_packed_tensors(m["blocks"], m["scales"], dtype=torch.float32).transpose(1, 2)
    return rounded(out), "transformers convert_moe_packed_tensors in F32"


# ---- AWQ and GPTQ


def by_awq(state, facts, package):
    import bare

    bare.packages("awq.utils")
    from awq.utils.packing_utils import dequantize_gemm

    out = {}
    for name, m in modules(state).items():
        if "qweight" in m:
            size = m["qweight"].shape[0] // m["scales"].shape[0]
            parts = (m["qweight"], m["qzeros"], m["scales"].float())
            out[name] = dequantize_gemm(*parts, facts["bits"], size).t()
    return rounded(out), "awq.utils.packing_utils.dequantize_gemm, scales as F32"


def auto_gptq(m, facts):
    """The weight is inside forward: that of the unit matrix, whose sums have one addend."""
    from auto_gptq.nn_modules.qlinear.qlinear_cuda import QuantLinear

    columns, rows = len(m["g_idx"]), m["qweight"].shape[1]
    q = QuantLinear(facts["bits"], facts["group_size"], columns, rows, False)
    q.qweight, q.qzeros, q.scales, q.g_idx = m["qweight"], m["qzeros"], m["scales"].float(), m["g_idx"]
    return q.forward(torch.eye(columns)).t()


def gptqmodel(m, facts):
    from gptqmodel.nn_modules.qlinear.torch import TorchLinear
    from gptqmodel.utils.model import convert_gptq_v1_to_v2_format_module

    columns, rows, bits = len(m["g_idx"]), m["qweight"].shape[1], facts["bits"]
    q = TorchLinear(bits, facts["group_size"], facts["sym"], facts["desc_act"], columns, rows)
    for part in ("qweight", "qzeros", "g_idx"):
        q.register_buffer(part, m[part].clone())
    q.register_buffer("scales", m["scales"].float())
    if facts["checkpoint_format"] == "gptq":
        convert_gptq_v1_to_v2_format_module(q, bits, torch.int32)
    return q.dequantize_weight().t()


def by_gptq(state, facts, package):
    import bare

    if package == "auto_gptq":
        bare.packages("auto_gptq.nn_modules.qlinear")
    rule = {"auto_gptq": auto_gptq, "gptqmodel": gptqmodel}[package]
    whose = {"auto_gptq": "auto_gptq QuantLinear of the unit matrix", "gptqmodel": "gptqmodel dequantize_weight"}
    out = {name: rule(m, facts) for name, m in modules(state).items() if "qweight" in m}
    return rounded(out), f"{whose[package]}, scales as F32"


OF_METHOD = {
    "modelopt": by_modelopt,
    "compressed-tensors": by_compressed_tensors,
    "fp8": by_fp8,
    "mxfp4": by_mxfp4,
    "awq": by_awq,
    "gptq": by_gptq,
}
