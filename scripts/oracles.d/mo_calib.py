# SPDX-License-Identifier: Apache-2.0
"""Model Optimizer's calibration, promotion, candidate lists and layouts on a CPU."""

import functools

import numpy as np
import torch
from modelopt.torch.export.diffusers_utils import swizzle_nvfp4_scales
from modelopt.torch.kernels.quantization.gemm._fp8_scale_candidates import fp8_scale_candidates
from modelopt.torch.quantization.calib.histogram import (
    HistogramCalibrator,
    _compute_amax_entropy,
    _compute_amax_percentile,
)
from modelopt.torch.quantization.calib.mse import MseCalibrator, NVFP4MSECalibrator
from modelopt.torch.quantization.calib.nvfp4_act_headroom import NVFP4ActHeadroomCalibrator
from modelopt.torch.quantization.config import QuantizerAttributeConfig
from modelopt.torch.quantization.model_calib import _mse_quant_func
from modelopt.torch.quantization.nn import TensorQuantizer
from modelopt.torch.quantization.utils import reduce_amax, reduce_block_amax
from modelopt.torch.quantization.utils.numeric_utils import mxfp4_to_nvfp4_global_amax, mxfp4_to_nvfp4_per_block_amax

from bits import DTYPES, answer, f32, octets, raw
from mo_fake import triton_on_cpu
from session import Case

ROWS, COLS = 4, 24
SUMS = {"loss": (0.0, 1e-5)}  # fp32 sums: their order is torch's (numerics 8)


def amax(g, op, hard):
    for dt in DTYPES:
        for i in range(g.count):
            x = g.flat(i, ROWS * COLS, dt).reshape(ROWS, COLS)
            keys = {"in": dt, "shape": f"{ROWS}x{COLS}"}
            for extra, a in (
                ({"axis": "none"}, reduce_amax(x)),
                ({"axis": 0}, reduce_amax(x, axis=1)),
                ({"block": 8}, reduce_block_amax(x, {-1: 8})),
            ):
                yield Case("amax", "", dt, {**keys, **extra, "x": raw(x)}, {"amax": answer(a)})


def candidates(g, op, hard):
    for kind, start, stop, n in (("mse", 0.25, 4.0, 39), ("four-over-six", 1.0, 1.5, 2)):
        yield Case(
            "candidates",
            "",
            kind,
            {"kind": kind, "n": n, "linspace": "simd"},
            {"values": answer(torch.linspace(start, stop, n))},
        )
    yield Case(
        "candidates",
        "",
        "fp8-sweep",
        {"kind": "fp8-sweep", "n": 126},
        {"values": answer(fp8_scale_candidates("cpu"))},
    )


def close(loss, margin):
    two = loss.sort(0).values[:2]
    return bool(((two[1] - two[0]) <= margin * two[1]).any())


def mse(g, op, hard):
    """The winner is compared where the two best losses are apart (sums by torch, numerics 8)."""
    formats = (("int8", 8), ("fp8-e4m3", (4, 3)), ("int4", 4))
    for dt in DTYPES:
        for i in range(max(6, g.count // 4)):
            fmt, bits = formats[i % 3]
            axis = (None, 0)[i // 3 % 2]
            r, c = (2, 16) if axis == 0 else (1, 24)
            x = g.gauss(r * c, dt).reshape(r, c)
            x[0, 3] *= 6
            start = reduce_amax(x, axis=None if axis is None else 1)
            q = TensorQuantizer(QuantizerAttributeConfig(num_bits=bits, **({} if axis is None else {"axis": 0})))
            q.amax = start.clone()
            cal = MseCalibrator(start.clone(), axis=axis, quant_func=functools.partial(_mse_quant_func, quantizer=q))
            cal.collect(x)
            loss = torch.stack(cal._losses_sum).reshape(39, -1)
            best = cal.compute_amax()
            if close(loss, 1e-4):
                continue
            name = fmt if axis is None else fmt.split("-")[0] + "-axis0"
            keys = {
                "in": dt,
                "shape": f"{r}x{c}",
                **({} if fmt == "fp8-e4m3" else {"narrow_range": 0}),
                "amax_dtype": dt,
                "amax": f32(start),
                "x": raw(x),
            }
            yield Case(
                "mse",
                name,
                dt,
                keys,
                {
                    "index": ",".join(str(int(v)) for v in loss.argmin(0)),
                    "best_amax": answer(best),
                    "loss": answer(loss.T),
                },
                "torch-cpu",
                within=SUMS,
            )


def sweep(g, op, hard):
    """The reference path: 126 candidates, quantized by the Triton source under its interpreter."""
    with triton_on_cpu() as (static, _), np.errstate(all="ignore"):
        for i in range(max(6, g.count // 8)):
            dt = DTYPES[i % 3]
            x = g.blocks((0, 1, 4, 5)[i % 4], 8, 16, dt)
            if i % 3 == 0:
                x[0] = 0
            if i % 3 == 1:
                x[1] = x[1].abs().max()
            b = x.float().abs().amax(1, keepdim=True)
            ga = b.max()
            cal = NVFP4MSECalibrator(
                b.clone(),
                ga.clone(),
                axis=0,
                quant_func=lambda t, a: static.static_blockwise_fp4_fake_quant(t.float(), a.reshape(-1, 1), ga, True),
            )
            MseCalibrator.collect(cal, x)
            loss = torch.stack(cal._losses_sum)
            cal.reset()
            cal.collect(x)
            best = cal.compute_amax().reshape(-1)
            for r in range(8):
                two = loss[:, r].sort().values[:2]
                if float(two[1]) != float(two[0]) and float(two[1] - two[0]) <= 1e-5 * float(two[1]):
                    continue
                j = int(loss[:, r].argmin())
                yield Case(
                    "sweep",
                    "nvfp4-static",
                    dt,
                    {"in": dt, "block": 16, "global_amax": f32(ga), "x": raw(x[r])},
                    {"index": j, "best_amax": f32(best[r]), "loss": answer(loss[j, r])},
                    "torch-cpu",
                    within=SUMS,
                )


def decimals(t):
    return ",".join(str(int(v)) for v in t)


def histogram(g, op, hard):
    for i in range(max(8, g.count // 4)):
        bins, dt = (64, 256)[i % 2], DTYPES[i % 3]
        x = g.gauss(300, dt)
        cal = HistogramCalibrator(8, None, False, num_bins=bins)
        cal.collect(x)
        h, e = cal._calib_hist.clone(), cal._calib_bin_edges.clone()
        yield Case(
            "histogram", "", dt, {"in": dt, "bins": bins, "x": raw(x)}, {"counts": decimals(h), "edges": answer(e)}
        )
        given = {"counts": decimals(h), "edges": answer(e)}
        for p in (99.99, 99.9, 99.0, 90.0, 50.0):
            a = _compute_amax_percentile(h.int().numpy(), e.numpy(), p)
            yield Case("percentile", "", "fp32", {"percentile": p, **given}, {"amax": f32(a)})
        if bins == 256:
            for bits, stride, first in ((8, 1, 128), (4, 3, 64)):
                a = _compute_amax_entropy(h.int().numpy().copy(), e.numpy(), bits, False, stride, first)
                yield Case(
                    "entropy",
                    "",
                    "fp32",
                    {"num_bits": bits, "unsigned": 0, "stride": stride, "start_bin": first, **given},
                    {"amax": f32(a)},
                )
        y = (x.float() * g.r.uniform(0.7, 2)).to(x.dtype)
        cal.collect(y)
        yield Case(
            "histogram2",
            "",
            dt,
            {"in": dt, "bins": bins, "x": raw(x), "x2": raw(y)},
            {"counts": decimals(cal._calib_hist), "edges": answer(cal._calib_bin_edges)},
        )


def headroom(g, op, hard):
    for i in range(g.count):
        dt = DTYPES[i % 3]
        x = g.to(g.r.standard_normal((12, 16)) * 2.0 ** g.r.integers(-(i % 24) - 1, 4, (12, 1)), dt)
        cal = NVFP4ActHeadroomCalibrator()
        cal.collect(x)
        yield Case("headroom", "", dt, {"in": dt, "block": 16, "x": raw(x)}, {"amax": f32(cal.compute_amax())})


def cast_amax(g, op, hard):
    for i in range(g.count):
        s = torch.from_numpy(g.r.integers((100, 110, 1)[i % 3], 128, 4).astype(np.uint8))
        if i % 4 == 0:
            s[0] = 0
        codes = torch.from_numpy(g.r.integers(0, 256, (4, 16)).astype(np.uint8))
        ga, _ = mxfp4_to_nvfp4_global_amax(s)
        yield Case(
            "cast-amax",
            "",
            "e8m0",
            {"scales": octets(s), "codes": octets(codes)},
            {"global_amax": f32(ga), "block_amax": f32(mxfp4_to_nvfp4_per_block_amax(codes, s))},
        )


def swizzle(g, op, hard):
    for r, c in ((1, 1), (5, 3), (33, 4), (40, 6), (129, 1), (3, 17), (128, 4), (127, 5), (256, 8)):
        sf = torch.from_numpy(g.r.integers(1, 127, (r, c)).astype(np.uint8))
        state = {
            "l.weight": torch.zeros(r, c * 8, dtype=torch.uint8),
            "l.weight_scale": sf.view(torch.float8_e4m3fn),
            "l.weight_scale_2": torch.tensor(1.0),
        }
        yield Case(
            "swizzle",
            "",
            "bytes",
            {"shape": f"{r}x{c}", "x": octets(sf)},
            {"y": octets(swizzle_nvfp4_scales(state)["l.weight_scale"])},
        )


SUITES = {
    f.__name__.replace("_", "-"): [f] for f in (amax, candidates, mse, sweep, histogram, headroom, cast_amax, swizzle)
}
