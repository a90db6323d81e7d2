# SPDX-License-Identifier: Apache-2.0
"""Model Optimizer's packed tensors on a CPU: quantize, and dequantize of its own codes and of random ones."""

import types

import numpy as np
import torch
from modelopt.torch.export.quant_utils import pack_int4_in_uint8, to_quantized_weight
from modelopt.torch.quantization.qtensor.fp8_tensor import FP8QTensor
from modelopt.torch.quantization.qtensor.int4_tensor import INT4QTensor
from modelopt.torch.quantization.qtensor.int8_tensor import INT8QTensor
from modelopt.torch.quantization.qtensor.mxfp4_tensor import MXFP4QTensor
from modelopt.torch.quantization.qtensor.mxfp8_tensor import MXFP8QTensor
from modelopt.torch.quantization.qtensor.nf4_tensor import NF4QTensor
from modelopt.torch.quantization.qtensor.nvfp4_tensor import NVFP4QTensor
from modelopt.torch.quantization.utils import reduce_block_amax

import inputs
from bits import DTYPES, TORCH, answer, f32, octets, raw
from mo_fake import E4M3_GRID, triton_on_cpu
from session import Case

ROWS, COLS = 4, 24
NF4_TABLE = np.array(
    [
        -1,
        -0.6962,
        -0.5251,
        -0.3949,
        -0.2844,
        -0.1848,
        -0.0911,
        0,
        0.0796,
        0.1609,
        0.2461,
        0.3379,
        0.4407,
        0.5626,
        0.7230,
        1,
    ]
)


def quant(fmt, dt, keys, codes, **answers):
    return Case("quant", fmt, dt, {"in": dt, **keys}, {"codes": codes, **answers}, "torch-cpu")


def dequant(fmt, dt, out, keys, values):
    return Case(
        "dequant",
        fmt,
        f"{dt}->{out}" if dt else f"->{out}",
        {**({"in": dt} if dt else {}), "out": out, **keys},
        {"values": answer(values)},
        "torch-cpu",
    )


def finite(x):
    return torch.nan_to_num(x, nan=1.0, posinf=3.0, neginf=-3.0)


def bytes_tensor(g, shape):
    return torch.from_numpy(g.r.integers(0, 256, shape).astype(np.uint8))


def byte_scaled(g, fmt, hard):
    """FP8QTensor and INT8QTensor per tensor, per row and per 2-D block (ragged too). The quotient is rounded to the type
    of x before the cast. INT8 inputs are finite: a NaN converted to an integer is undefined."""
    family, top = (INT8QTensor, 127) if fmt.startswith("int8") else (FP8QTensor, 448)
    axis = 0 if fmt.endswith("axis0") else None
    for dt in DTYPES:
        for i in range(g.count):
            rows, cols, keys, blocks = ROWS, COLS, {}, None
            if fmt == "fp8-block2d":
                rows, cols = ((4, 24), (5, 19), (8, 8))[i % 3]
                keys, blocks = {"block": "2x8"}, {-1: 8, -2: 2}
            x = g.flat(i, rows * cols, dt, E4M3_GRID if top == 448 else np.arange(-129, 130), 1.0 / top).reshape(
                rows, cols
            )
            x = finite(x) if family is INT8QTensor or i % 3 else x
            if i % 6 == 5:
                x[:1] = 0
            q, s = family.quantize(x, axis=None if blocks else axis, block_sizes=blocks)
            back = {"scale": s, **({"block_sizes": blocks} if blocks else {})}
            shape = {"shape": f"{rows}x{cols}", **keys}
            if not (family is INT8QTensor and torch.isnan(x / s).any()):
                yield quant(
                    fmt,
                    dt,
                    {**shape, "x": raw(x)},
                    octets(q._quantized_data),
                    scales=answer(s),
                    values=answer(q.dequantize(**back)),
                )
            out = DTYPES[i % 3]
            data = bytes_tensor(g, (rows, cols))
            own = family(
                torch.Size((rows, cols)),
                TORCH[dt],
                data.view(torch.int8 if family is INT8QTensor else torch.float8_e4m3fn),
            )
            yield dequant(
                fmt, dt, out, {**shape, "codes": octets(data), "scales": raw(s)}, own.dequantize(TORCH[out], **back)
            )

    for dt, x in inputs.mined(hard, fmt) if not fmt.endswith("block2d") else ():
        x = finite(x)
        q, s = family.quantize(x, axis=axis)
        if not (family is INT8QTensor and torch.isnan(x / s).any()):
            keys = {"shape": f"{x.shape[0]}x{x.shape[1]}", "x": raw(x)}
            yield quant(fmt, dt, keys, octets(q._quantized_data), scales=answer(s))


def exports(g, fmt, hard):
    """Weights divided by a given fp32 scale; no clamp in fp8-export, so a quotient may exceed 464 (torch saturates)."""
    for dt in DTYPES:
        for i in range(g.count):
            x = finite(g.flat((0, 1, 3)[i % 3], ROWS * 32, dt, E4M3_GRID, 1 / 448)).reshape(ROWS, 32)
            factor = (1, 1, 0.75, 2)[i % 4]
            keys = {"shape": f"{ROWS}x32"}
            if fmt == "int4-awq":
                s = reduce_block_amax(x, {-1: 16}).float() / 7.0 * factor
                s[s == 0] = 1
                codes = pack_int4_in_uint8(x, s, 16)
                keys["block"] = 16
            elif fmt == "fp8-export":
                s = x.float().abs().max().reshape(1) / 448.0 * factor
                codes = to_quantized_weight(x, s, "fp8")
                keys["axis"] = "none"
            else:
                s = x.float().abs().amax(1) / 127.0 * factor
                codes = to_quantized_weight(x, s, "int8_wo")
                keys["axis"] = 0
            yield quant(fmt, dt, {**keys, "scale": f32(s), "x": raw(x)}, octets(codes))


def int4_block(g, fmt, hard):
    for dt in DTYPES:
        for i in range(g.count):
            b = (16, 32, 8)[i % 3]
            x = g.blocks((0, 1, 2, 3, 4, 5, 7)[i % 7], 2, b, dt, np.arange(0, 8))
            if i % 4 == 3:
                x = g.to(g.r.integers(-15, 16, (2, b)) / 2, dt)
                x[:, 0] = 7
            t, s = INT4QTensor.quantize(x, b)
            shape = {"shape": f"2x{b}", "block": b}
            zero = ~torch.isfinite(
                s
            ).all()  # 0 * Inf: the integer of a NaN is whatever the processor gives (numerics 5.4)
            v = t.dequantize(scale=s, block_sizes={-1: b})
            if not zero:
                yield quant(
                    fmt, dt, {**shape, "x": raw(x)}, octets(t._quantized_data), scales=answer(s), values=answer(v)
                )
            out, data = DTYPES[i % 3], bytes_tensor(g, (2, b // 2))
            own = INT4QTensor(torch.Size((2, b)), TORCH[dt], data)
            yield dequant(
                fmt,
                dt,
                out,
                {**shape, "codes": octets(data), "scales": raw(s)},
                own.dequantize(TORCH[out], scale=s, block_sizes={-1: b}),
            )

    for dt, x in inputs.mined(hard, fmt, 128):
        x = finite(x).reshape(-1, 128)
        x = x[x.abs().amax(1) > 0]
        t, s = INT4QTensor.quantize(x, 128)
        if x.numel() and torch.isfinite(s).all():
            keys = {"shape": f"{x.shape[0]}x128", "block": 128, "x": raw(x)}
            yield quant(fmt, dt, keys, octets(t._quantized_data), scales=answer(s))


def static_quantizer(block_amax, ga, four_over_six):
    """What NVFP4QTensor reads of a promoted static quantizer."""
    sizes = {-1: 16, "type": "static", "scale_bits": (4, 3)}
    if four_over_six:
        sizes["four_over_six"] = True
    return types.SimpleNamespace(
        block_sizes=sizes, _amax=block_amax.reshape(-1, 1), global_amax=ga, _global_amax=None
    )


def nvfp4_case(fmt, dt, x, ga, b):
    block = 32 if fmt == "nvfp4-w4a8" else 16
    keys = {"block": block, "global_amax": f32(ga)}
    if fmt in ("nvfp4", "nvfp4-w4a8"):
        sf, ws2 = None, ga.float() / (448.0 if block == 32 else 2688.0)
        q, sf, ws2 = NVFP4QTensor.quantize(x.clone(), block, sf, ws2)
    else:
        keys["block_amax"] = f32(b)
        wq = static_quantizer(b.clone(), ga, fmt == "nvfp4-46")
        sf, ws2 = NVFP4QTensor.get_weights_scaling_factor_from_quantizer(wq, x)
        q, _, _ = NVFP4QTensor.quantize(x.clone(), 16, sf, ws2)
    v = q.dequantize(scale=sf, double_scale=ws2, block_sizes={-1: block})
    return quant(
        fmt,
        dt,
        {**keys, "x": raw(x)},
        octets(q._quantized_data),
        scales=octets(sf),
        weight_scale_2=f32(ws2),
        values=answer(v),
    )


def nvfp4_random_codes(g, fmt, out):
    block, n = 32 if fmt == "nvfp4-w4a8" else 16, 2 if g.short else 4
    data, sf = bytes_tensor(g, (1, n * block // 2)), bytes_tensor(g, (1, n)) & 0x7F
    sf[sf == 0x7F] = 0
    ws2 = torch.tensor(np.float32(2.0 ** g.r.uniform(-30, 4)))
    q = NVFP4QTensor(torch.Size((1, n * block)), TORCH[out], data)
    v = q.dequantize(TORCH[out], scale=sf.view(torch.float8_e4m3fn), double_scale=ws2, block_sizes={-1: block})
    keys = {"block": block, "codes": octets(data), "scales": octets(sf), "weight_scale_2": f32(ws2)}
    return dequant(fmt, "", out, keys, v)


def nvfp4(g, fmt, hard):
    b0 = 32 if fmt == "nvfp4-w4a8" else 16
    for dt in DTYPES:
        for i in range(g.count):
            x = g.blocks((0, 1, 2, 3, 4, 5, 7)[i % 7], 2 if g.short else 6, b0, dt).reshape(1, -1)
            if i % 16 == 15:
                x[0, 3], x[0, 20] = float("nan"), float("inf")
            b = reduce_block_amax(x, {-1: b0}).float()
            ga = torch.nan_to_num(b, nan=3.0, posinf=6.0).max()
            if i % 5 == 3 or float(ga) == 0:
                ga = torch.tensor(np.float32(float(ga) * g.r.uniform(0.02, 4) + 1e-6))
            if i % 4 == 1:
                b = b * np.float32(g.r.uniform(0.25, 1.2))
            if i % 4 == 2:
                b = b * torch.from_numpy(g.r.choice(np.array([1, 1.5], np.float32), tuple(b.shape)))
            yield nvfp4_case(fmt, dt, x, ga, b)
            yield nvfp4_random_codes(g, fmt, DTYPES[i % 3])
    for dt, x in inputs.mined(hard, fmt, b0):
        x = x.reshape(1, -1)
        b = reduce_block_amax(x, {-1: b0}).float()
        ga = torch.nan_to_num(b, nan=1.0, posinf=1.0).max()
        if float(ga) > 0:
            yield nvfp4_case(fmt, dt, x, ga, b)


def near_powers(g, x, fmax):
    """fp32 blocks whose amax/fmax lies within 30 ulp above a power of two: ceil(log2f) may stay below (numerics 5.0)."""
    e = int(g.r.integers(-118, 100))
    x = x / x.abs().amax(1, keepdim=True).clamp(min=1e-30) * np.float32(2.0 ** (e - 1))
    top = (torch.tensor(np.float32(fmax)) * np.float32(2.0**e)).reshape(1).view(torch.int32)
    x[:, 5] = (top + torch.from_numpy(g.r.integers(0, 30, x.shape[0]).astype(np.int32))).view(torch.float32)
    return x


def mx_case(fmt, dt, x):
    family = MXFP4QTensor if fmt == "mxfp4" else MXFP8QTensor
    q, s = family.quantize(x, 32) if fmt == "mxfp4" else family.quantize(x)
    v = q.dequantize(scale=s, block_sizes={-1: 32})
    return quant(fmt, dt, {"block": 32, "x": raw(x)}, octets(q._quantized_data), scales=octets(s), values=answer(v))


def mx(g, fmt, hard):
    """Inf and NaN in an MXFP4 block convert a float to a byte that C leaves undefined: left out there."""
    grid = (0, 0.5, 1, 1.5, 2, 3, 4, 6) if fmt == "mxfp4" else E4M3_GRID
    for dt in DTYPES:
        for i in range(g.count):
            x = g.blocks(i, 2, 32, dt, grid)
            if fmt == "mxfp4":
                x = finite(x)
            if dt == "fp32" and i % 4 == 3:
                x = near_powers(g, finite(x), 6.0 if fmt == "mxfp4" else 448.0)
            yield mx_case(fmt, dt, x)
            out, s = DTYPES[i % 3], bytes_tensor(g, (2, 1))
            data = bytes_tensor(g, (2, 16 if fmt == "mxfp4" else 32))
            own = (
                MXFP4QTensor(torch.Size((2, 32)), TORCH[dt], data)
                if fmt == "mxfp4"
                else MXFP8QTensor(torch.Size((2, 32)), TORCH[dt], data.view(torch.float8_e4m3fn))
            )
            s[s == 255] = 254
            yield dequant(
                fmt,
                "",
                out,
                {"block": 32, "codes": octets(data), "scales": octets(s)},
                own.dequantize(TORCH[out], scale=s, block_sizes={-1: 32}),
            )
    for dt, x in inputs.mined(hard, fmt, 32):
        yield mx_case(fmt, dt, finite(x).reshape(-1, 32))


def nf4(g, fmt, hard):
    """One super-block of four blocks a line. The mean of the block scales is a sum by torch: an input."""
    for dt in DTYPES:
        for i in range(g.count):
            b = (8, 16, 64)[i % 3]
            x = (g.gauss, g.wide)[i % 2](4 * b, dt, *((1.0,) if i % 2 == 0 else (-3, 3)))
            if i % 3 == 2:
                x = g.to((g.r.choice(NF4_TABLE, 4 * b) + g.r.choice(NF4_TABLE, 4 * b)) / 2, dt)
            q, s = NF4QTensor.quantize(x, b, 4)
            si, ds, z = NF4QTensor.double_quantization(s, 4, 8)
            back = {"scale": si, "double_scale": ds, "scale_zeros": z, "block_sizes": {-1: b}}
            yield quant(
                fmt,
                dt,
                {"block": b, "scale_zero": raw(z.reshape(1)), "x": raw(x)},
                octets(q._quantized_data),
                scales=answer(s),
                scales_i8=octets(si),
                double_scale=answer(ds),
                values=answer(q.dequantize(**back)),
            )
            data = bytes_tensor(g, (2 * b,))
            own = NF4QTensor(torch.Size((4 * b,)), TORCH[dt], data)
            yield dequant(
                fmt,
                dt,
                dt,
                {
                    "block": b,
                    "codes": octets(data),
                    "scales_i8": octets(si),
                    "double_scale": raw(ds),
                    "scale_zero": raw(z.reshape(1)),
                },
                own.dequantize(TORCH[dt], **back),
            )


def deepseek(g, fmt, hard):
    """weight_dequant, the Triton source under its interpreter: finite codes, fp32 scales, blocks of 16x16, ragged."""
    from modelopt.torch.kernels.quantization.gemm.fp8_kernel import weight_dequant

    with triton_on_cpu():
        for out in DTYPES:
            for i in range(max(4, g.count // 10)):
                rows, cols = ((16, 32), (20, 24), (5, 40))[i % 3]
                data = bytes_tensor(g, (rows, cols))
                data[(data & 0x7F) == 0x7F] = 0
                s = torch.from_numpy(
                    (2.0 ** g.r.uniform(-12, 4, (-(-rows // 16), -(-cols // 16)))).astype(np.float32)
                )
                y = weight_dequant(data.view(torch.float8_e4m3fn), s, 16, TORCH[out])
                yield Case(
                    "dequant",
                    fmt,
                    f"->{out}",
                    {
                        "in": "fp32",
                        "out": out,
                        "shape": f"{rows}x{cols}",
                        "block": "16x16",
                        "codes": octets(data),
                        "scales": raw(s),
                    },
                    {"values": answer(y)},
                    "deepseek-fp8",
                )


SUITES = {
    **{f: [byte_scaled] for f in ("int8", "int8-axis0", "fp8-e4m3", "fp8-axis0")},
    **{f: [exports] for f in ("int8-export", "fp8-export", "int4-awq")},
    "fp8-block2d": [byte_scaled, deepseek],
    "int4-block": [int4_block],
    **{f: [nvfp4] for f in ("nvfp4", "nvfp4-static", "nvfp4-46", "nvfp4-w4a8")},
    "mxfp4": [mx],
    "mxfp8-e4m3": [mx],
    "nf4": [nf4],
}
