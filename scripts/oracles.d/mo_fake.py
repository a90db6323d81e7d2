# SPDX-License-Identifier: Apache-2.0
"""Model Optimizer's fake quantization and its gradients on a CPU, and its NVFP4 Triton sources run by the Triton
interpreter. Each suite yields cases: the inputs and the package's answer."""

import contextlib
import types

import ml_dtypes
import numpy as np
import torch
from modelopt.torch.quantization import tensor_quant as tq
from modelopt.torch.quantization.config import QuantizerAttributeConfig
from modelopt.torch.quantization.nn import TensorQuantizer
from modelopt.torch.quantization.utils import reduce_amax, reduce_block_amax

import inputs
from bits import DTYPES, TORCH, answer, f32, raw, scalar
from session import Case

ROWS, COLS = 4, 24
INT_GRID = {"int8": np.arange(-129, 130), "int4": np.arange(-9, 10)}
E4M3_GRID = torch.arange(127, dtype=torch.uint8).view(torch.float8_e4m3fn).float().numpy()


def fake_int(fmt, dt, x, amax, unsigned=False, narrow=False, **keys):
    """None where the package itself raises: negative amax, negative x with unsigned."""
    bits = 8 if fmt.startswith("int8") else 4
    try:
        y = tq.fake_tensor_quant(x, amax, None, bits, unsigned, narrow)
    except (TypeError, ValueError):
        return None
    return Case(
        "fakequant",
        fmt,
        dt,
        {"in": dt, **keys, "unsigned": int(unsigned), "narrow_range": int(narrow), "amax": f32(amax), "x": raw(x)},
        {"y": answer(y)},
        "torch-cpu",
    )


def fake_fp8(fmt, dt, x, amax, **keys):
    y = tq.scaled_e4m3(x, amax, None, 4, 3)
    return Case(
        "fakequant", fmt, dt, {"in": dt, **keys, "amax": f32(amax), "x": raw(x)}, {"y": answer(y)}, "torch-cpu"
    )


def row_amax(g, i, x):
    """Row maxima, some replaced: zero, tiny, halved, NaN."""
    a = reduce_amax(torch.nan_to_num(x, nan=1, posinf=3, neginf=-3), axis=1).float()
    if i % 4 == 1:
        a[0] = 0
    if i % 4 == 2:
        a = a * torch.from_numpy(g.r.uniform(0.3, 1.2, tuple(a.shape)).astype(np.float32))
    if i % 8 == 3:
        a[0], a[1] = scalar(0x33800000), scalar(0x337FFFFF)
    if i % 16 == 7:
        a[-1] = float("nan")
    return a


def per_tensor(g, fmt, hard):
    grid, top = (E4M3_GRID, 448) if fmt == "fp8-e4m3" else (INT_GRID[fmt], 127 if fmt == "int8" else 7)
    for dt in DTYPES:
        for i in range(g.count):
            amax = torch.tensor(g.amax(i, g.gauss(16, dt)))
            x = g.flat(i, 32 if g.short else 64, dt, grid, float(amax) / top)
            if i % 3 == 0:
                amax = torch.tensor(g.amax(0, x))
            if fmt == "fp8-e4m3":
                yield fake_fp8(fmt, dt, x, amax)
                continue
            unsigned = i % 9 == 8
            x = torch.nan_to_num(x.abs(), nan=1.0) if unsigned else x
            yield fake_int(fmt, dt, x, amax, unsigned, i % 5 == 4)
    for dt, x in inputs.mined(hard, fmt):
        x, amax = x.reshape(-1), reduce_amax(x).float()
        if fmt == "fp8-e4m3":
            yield fake_fp8(fmt, dt, x, amax)
        else:
            yield fake_int(fmt, dt, x, amax, False, False)
            yield fake_int(fmt, dt, x, amax, False, True)


def per_row(g, fmt, hard):
    grid, top = (E4M3_GRID, 448) if fmt == "fp8-axis0" else (INT_GRID[fmt[:4]], 127 if fmt[3] == "8" else 7)
    for dt in DTYPES:
        for i in range(g.count):
            cols = 12 if g.short else COLS
            x = g.flat(i, ROWS * cols, dt, grid, 1.0 / top).reshape(ROWS, cols)
            a = row_amax(g, i, x)
            keys = {"shape": f"{ROWS}x{cols}"}
            yield (
                fake_fp8(fmt, dt, x, a, **keys)
                if fmt == "fp8-axis0"
                else fake_int(fmt, dt, x, a, False, i % 5 == 4, **keys)
            )
    for dt, x in inputs.mined(hard, fmt):
        a, keys = reduce_amax(x, axis=1).float(), {"shape": f"{x.shape[0]}x{x.shape[1]}"}
        fp8 = fmt == "fp8-axis0"
        yield fake_fp8(fmt, dt, x, a, **keys) if fp8 else fake_int(fmt, dt, x, a, **keys)


def with_quantizer(fmt, dt, x, block, num_bits, text):
    q = TensorQuantizer(QuantizerAttributeConfig(num_bits=num_bits, block_sizes=block))
    return Case(
        "fakequant",
        fmt,
        dt,
        {"in": dt, "shape": f"{x.shape[0]}x{x.shape[1]}", "block": text, "x": raw(x)},
        {"y": answer(q(x))},
        "torch-cpu",
    )


def blocked(g, fmt, hard):
    """fp8-block2d (ragged shapes padded by the quantizer) and int4-block."""
    for dt in DTYPES:
        for i in range(g.count):
            if fmt == "int4-block":
                b = (16, 32, 128)[i % 3]
                x = g.blocks(i, 2, b, dt, np.arange(0, 8))
                if not torch.isfinite(x).all():
                    x = torch.nan_to_num(x, nan=1.0, posinf=2.0, neginf=-2.0)
                yield with_quantizer(fmt, dt, x, {-1: b}, 4, b)
            else:
                r, c = ((8, 16), (6, 20), (4, 8), (9, 11))[i % 4]
                x = g.flat(i, r * c, dt, E4M3_GRID, 1 / 448).reshape(r, c)
                x = torch.nan_to_num(x, nan=1.0, posinf=2.0, neginf=-2.0) if i % 10 != 4 else x
                yield with_quantizer(fmt, dt, x, {-1: 8, -2: 4}, (4, 3), "4x8")

    for dt, x in inputs.mined(hard, fmt, 128 if fmt == "int4-block" else 1):
        if fmt == "int4-block":
            yield with_quantizer(fmt, dt, x, {-1: 128}, 4, 128)
        else:
            yield with_quantizer(fmt, dt, x, {-1: 128, -2: 128}, (4, 3), "128x128")


def gradients(g, fmt, hard):
    """x around amax by a few ulp, edges; clipped and passed through; 0-dim and dimensioned amax."""
    bits = 8 if fmt.startswith("int8") else 4
    tensor = fmt in ("int8", "int4", "fp8-e4m3")
    for dt in DTYPES:
        for i in range(g.count // 2):
            adt = DTYPES[i % 3]
            n_amax = 1 if tensor else ROWS
            a = torch.from_numpy(2.0 ** g.r.uniform(-4, 4, (n_amax, 1)).astype(np.float32))
            if i % 7 == 0:
                a[0] = (scalar(0x3F80C000), scalar(0x477FF000), scalar(0x7F800000), scalar(0))[i // 7 % 4]
            a = a.to(TORCH[adt])
            near = a.to(TORCH[dt]).expand(ROWS, 1).repeat(1, 10).contiguous()
            image = near.view(torch.int32 if dt == "fp32" else torch.int16)
            near = (image + torch.from_numpy(g.r.integers(-2, 3, tuple(image.shape))).to(image.dtype)).view(TORCH[dt])
            x = torch.cat(
                [
                    near * torch.from_numpy(g.r.choice([-1.0, 1.0], (ROWS, 10))).to(TORCH[dt]),
                    g.edges(ROWS * 6, dt).reshape(ROWS, 6),
                ],
                1,
            )
            grad = g.gauss(x.numel(), dt).reshape(x.shape)
            shape = ("0d", "c1")[i % 2] if tensor else "c1"
            amax = a.reshape(()) if shape == "0d" else a.expand(ROWS, 1).contiguous()
            passes = i % 11 == 10
            leaf = x.clone().requires_grad_()
            if fmt.startswith("fp8"):
                y = tq.scaled_e4m3(leaf, amax, None, 4, 3, None, passes)
            else:
                y = tq.fake_tensor_quant(leaf, amax, None, bits, False, False, None, passes)
            y.backward(grad)
            keys = {"in": dt, "bwd": "pass" if passes else "clip", "amax_dtype": adt}
            if tensor:
                keys["amax_shape"] = shape
            elif fmt == "int4-block":
                keys.update(shape=f"1x{x.numel()}", block=16)
            else:
                keys["shape"] = f"{ROWS}x16"
            keys.update(amax=f32(a), x=raw(x), grad=raw(grad))
            yield Case("backward", fmt, dt, keys, {"g": answer(leaf.grad)}, "torch-cpu")


def gradients_block2d(g, fmt, hard):
    """The quantizer reshapes to [R/4, 4, C/8, 8]; its amax is [R/4, 1, C/8, 1]."""
    for dt in DTYPES:
        for i in range(g.count // 2):
            tall = 1 if g.short else 2
            x = g.flat((0, 1, 4)[i % 3], tall * 64, dt).reshape(tall, 4, 2, 8)
            a = torch.nan_to_num(x.float(), nan=1, posinf=2, neginf=-2).abs().amax((1, 3), keepdim=True)
            a = a * torch.from_numpy(g.r.choice(np.array([1, 0.5], np.float32), tuple(a.shape)))
            grad = g.gauss(x.numel(), dt).reshape(x.shape)
            leaf = x.clone().requires_grad_()
            tq.scaled_e4m3(leaf, a, None, 4, 3, None, False).backward(grad)
            yield Case(
                "backward",
                fmt,
                dt,
                {
                    "in": dt,
                    "shape": f"{4 * tall}x16",
                    "block": "4x8",
                    "bwd": "clip",
                    "amax_dtype": "fp32",
                    "amax": f32(a),
                    "x": raw(x),
                    "grad": raw(grad),
                },
                {"g": answer(leaf.grad)},
                "torch-cpu",
            )


def gradients_nvfp4(g, fmt, hard):
    """NVFP4 has no forward on a CPU, but its mask is the package's one function: block amax [n, 1] in fp32; the dynamic
    kind has a 0-dim amax, which compares in the type of x and so stands for ieee in fp32 only."""
    for dt in DTYPES if fmt != "nvfp4" else ("fp32",):
        for i in range(g.count // 2):
            x = g.blocks((0, 2, 6, 7)[i % 4], 4, 16, dt)
            b = torch.nan_to_num(x.float(), nan=1.0).abs().amax(1, keepdim=True)
            b = b * torch.from_numpy(g.r.choice(np.array([1, 0.5], np.float32), (4, 1)))
            amax = b.max() if fmt == "nvfp4" else b
            grad = g.gauss(x.numel(), dt).reshape(x.shape)
            back = tq._fake_tensor_quant_backward(x, amax, grad)
            name = "global_amax" if fmt == "nvfp4" else "block_amax"
            keys = {"in": dt, "block": 16, "bwd": "clip", name: f32(amax), "x": raw(x), "grad": raw(grad)}
            yield Case("backward", fmt, dt, keys, {"g": answer(back)}, "ieee")


@contextlib.contextmanager
def triton_on_cpu():
    """The Triton sources under the interpreter (numpy: IEEE division, no FMA). Its own fp32 -> fp8 / bf16 downcasts do
    not round to nearest even; ml_dtypes casts, which do as PTX cvt.rn, take their place; libdevice.isnan is x != x.
    """
    import triton.language as tl
    from modelopt.torch.kernels.quantization.common import nvfp4_quant
    from modelopt.torch.kernels.quantization.gemm import fp4_kernel, fp4_kernel_hopper
    from triton.runtime import interpreter

    own, device = interpreter._convert_float, torch.cuda.device

    def convert(value, source, target, mode):
        if source == tl.float32 and target == tl.float8e4nv:
            return np.clip(np.asarray(value), -448, 448).astype(ml_dtypes.float8_e4m3fn).view(np.uint8)
        if source == tl.float32 and target == tl.bfloat16:
            return np.asarray(value).astype(ml_dtypes.bfloat16).view(np.uint16)
        return own(value, source, target, mode)

    interpreter._convert_float, torch.cuda.device = convert, lambda *a, **k: contextlib.nullcontext()
    nvfp4_quant.libdevice = types.SimpleNamespace(isnan=lambda x: x != x)
    try:
        yield fp4_kernel, fp4_kernel_hopper
    finally:
        interpreter._convert_float, torch.cuda.device = own, device


def nvfp4_case(kernels, fmt, dt, x, ga, b):
    static, dynamic = kernels
    keys = {"in": dt, "block": 16, "global_amax": f32(ga)}
    if fmt == "nvfp4":
        y = dynamic.fp4_fake_quant_block(x, ga)
        return Case("fakequant", fmt, dt, {**keys, "x": raw(x)}, {"y": answer(y)}, "triton-interp")
    m = 256.0 if fmt == "nvfp4-46" else 448.0
    b = b.reshape(-1, 1)
    s = static.compute_fp4_scales(b, ga, True, fp8_max_for_normalization=m)
    y = static.static_blockwise_fp4_fake_quant(x.reshape(-1, 16), b, ga, True, fp8_max_for_normalization=m)
    return Case(
        "fakequant",
        fmt,
        dt,
        {**keys, "block_amax": f32(b), "x": raw(x)},
        {"block_scale": answer(s), "y": answer(y)},
        "triton-interp",
    )


def triton_nvfp4(g, fmt, hard):
    with triton_on_cpu() as kernels, np.errstate(all="ignore"):
        for dt in DTYPES:
            for i in range(g.count // 4):
                x = g.blocks((0, 1, 2, 3, 4, 5, 7)[i % 7], 16, 16, dt).reshape(
                    1, -1
                )  # no NaN, no Inf (numerics 4.3 [RI])
                ga = x.float().abs().max() * (1, 1, 0.5, 3)[i % 4]
                if i % 9 == 8:
                    ga = (scalar(0), scalar(0x2B8CBCCC), scalar(0x38D1B717))[i // 9 % 3]
                b = reduce_block_amax(x, {-1: 16}).float() * (1, 0.7, 1.5)[i % 3]
                yield nvfp4_case(kernels, fmt, dt, x, ga, b)
        for dt, x in inputs.mined(hard, fmt, 16):
            x = x.reshape(1, -1)
            if torch.isfinite(x).all():
                b = reduce_block_amax(x, {-1: 16}).float()
                yield nvfp4_case(kernels, fmt, dt, x, b.max(), b)


SUITES = {
    **{f: [per_tensor, gradients] for f in ("int8", "int4", "fp8-e4m3")},
    **{f: [per_row, gradients] for f in ("int8-axis0", "int4-axis0", "fp8-axis0")},
    "fp8-block2d": [blocked, gradients_block2d],
    "int4-block": [blocked, gradients],
    **{f: [triton_nvfp4, gradients_nvfp4] for f in ("nvfp4", "nvfp4-static", "nvfp4-46")},
}
