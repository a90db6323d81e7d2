# SPDX-License-Identifier: Apache-2.0
"""MX fake-quant has no path on a CPU. Stand-ins: E8M0 and the element codes by NVIDIA's host conversions, elements again
by gfloat, and the values that upstream's GPU tests publish. What is ours here is only the glue of numerics 5.0: amax over
fmax by one numpy division, the products by powers of two in double, where they are exact."""

import os

import gfloat
import numpy as np
import torch
from gfloat import formats as gf

import inputs
from bits import DTYPES, TORCH, answer, octets_of, raw
from session import Case

# format -> largest value, name of the host conversion, gfloat's format
MX = {
    "mxfp4": (6.0, "e2m1", gf.format_info_ocp_e2m1),
    "mxfp6-e3m2": (28.0, "e3m2", gf.format_info_ocp_e3m2),
    "mxfp6-e2m3": (7.5, "e2m3", gf.format_info_ocp_e2m3),
    "mxfp8-e4m3": (448.0, "e4m3-sat", gf.format_info_ocp_e4m3),
    "mxfp8-e5m2": (57344.0, "e5m2-sat", gf.format_info_ocp_e5m2),
    "mxint8": (127.0, None, None),
}
FLT_MAX = np.float32(np.finfo(np.float32).max)


def exponents(x, fmax, tools):
    """k of every block by the host's E8M0 conversion, rounding up; a zero block has the factor 1."""
    amax = np.minimum(np.nanmax(np.where(np.isnan(x), 0, np.abs(x)), axis=1).astype(np.float32), FLT_MAX)
    ratio = (amax / np.float32(fmax)).astype(np.float32)
    return np.where(amax == 0, 0, tools.nvidia.e8m0_up(ratio).astype(np.int64) - 127)


def by_host(fmt, z, tools):
    name = MX[fmt][1]
    if name is None:
        return np.clip(np.rint(z), -127, 127)  # MXINT8 (numerics 5.3)
    return tools.nvidia.decode(name, tools.nvidia.encode(name, z)).astype(np.float64)


def by_gfloat(fmt, z):
    return gfloat.round_ndarray(MX[fmt][2], z, gfloat.RoundMode.TiesToEven, True)


def to_type(v, dt):
    with np.errstate(over="ignore"):
        return torch.from_numpy(v.astype(np.float32)).to(TORCH[dt])


def case(fmt, dt, x, values, block):
    return Case("fakequant", fmt, dt, {"in": dt, "block": block, "x": raw(x)}, {"y": answer(values)}, "ieee")


def scaled(v, k):
    """x / 2^k, exact in double. A zero is negative: every x that is not above it (numerics 4.7)."""
    return np.where(v == 0, -0.0, v * 2.0**-k)


def blocks(g, fmt, dt, i):
    grid = {"mxfp4": (0, 0.5, 1, 1.5, 2, 3, 4, 6)}.get(fmt, np.arange(0, 29) / 4)
    x = g.blocks(i, 2 if g.short else 4, 32, dt, grid)
    return torch.nan_to_num(x, nan=1.0) if i % 16 != 6 else x


def fake_by(decode):
    def suite(g, fmt, tools):
        for dt in DTYPES:
            made = [blocks(g, fmt, dt, i) for i in range(g.count)]
            made += [x.reshape(-1, 32) for d, x in inputs.mined(tools.hard, fmt, 32) if d == dt]
            for x in made:
                x = x[~torch.isnan(x).any(1)]  # a NaN element is a matter of the path, not of a codec
                if x.numel() == 0:
                    continue
                v = x.float().numpy().astype(np.float64)
                k = exponents(v, MX[fmt][0], tools)[:, None]
                y = decode(fmt, np.clip(scaled(v, k), -1e30, 1e30), tools) * 2.0**k
                yield case(fmt, dt, x.reshape(-1), to_type(y.reshape(-1), dt), 32)

    return suite


host = fake_by(by_host)
host.__name__ = "host"
gf_elements = fake_by(lambda fmt, z, tools: by_gfloat(fmt, z))
gf_elements.__name__ = "gf_elements"


def packed_by_host(g, fmt, tools):
    """quant under ieee: E8M0 bytes and element bytes. Blocks of finite values with a maximum."""
    fmax, name, _ = MX[fmt]
    for dt in DTYPES:
        for i in range(g.count):
            x = torch.nan_to_num(blocks(g, fmt, dt, i), nan=1.0, posinf=2.0, neginf=-2.0)
            x = x[x.abs().amax(1) > 0]
            if x.numel() == 0:
                continue
            v = x.float().numpy().astype(np.float64)
            k = exponents(v, fmax, tools)[:, None]
            z = scaled(v, k)
            codes = (
                (np.clip(np.rint(z), -127, 127).astype(np.int64) & 255)
                if name is None
                else tools.nvidia.encode(name, z)
            )
            if fmt == "mxfp4":
                codes = codes[:, 0::2] | codes[:, 1::2] << 4
            yield Case(
                "quant",
                fmt,
                dt,
                {"in": dt, "block": 32, "shape": f"{len(v)}x32", "x": raw(x)},
                {"codes": octets_of(codes.reshape(-1)), "scales": octets_of((k + 127).reshape(-1))},
                "ieee",
            )


def unpacked_by_host(g, fmt, tools):
    """dequant under ieee of random codes (no NaN, no -128) and bytes below ff: decoded by the header, times 2^k."""
    name = MX[fmt][1]
    for dt in DTYPES:
        for i in range(g.count // 2):
            codes = g.r.integers(0, 64 if name in ("e3m2", "e2m3") else 16 if name == "e2m1" else 256, 64)
            scales = g.r.integers(0, 255, 2) if i % 2 else g.r.integers(100, 140, 2)
            if name is None:
                codes[codes == 128] = 0
                v = codes.astype(np.uint8).view(np.int8).astype(np.float64)
            else:
                v = tools.nvidia.decode(name, codes).astype(np.float64)
                codes, v = np.where(np.isnan(v), 0, codes), np.nan_to_num(v, nan=0.0, posinf=np.inf, neginf=-np.inf)
            y = v.reshape(2, 32) * 2.0 ** (scales[:, None] - 127.0)
            packed = codes[0::2] | codes[1::2] << 4 if fmt == "mxfp4" else codes
            keys = {"out": dt, "block": 32, "codes": octets_of(packed), "scales": octets_of(scales)}
            yield Case("dequant", fmt, f"->{dt}", keys, {"values": answer(to_type(y.reshape(-1), dt))}, "ieee")


def published(g, fmt, tools):
    """Upstream's own vectors (mx-published.txt), positive and negated, compared as its test compares."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mx-published.txt")
    with open(path, encoding="ascii") as f:
        lines = [w.split() for w in f if w.split()[0] == fmt]
    for words in lines:
        n = (len(words) - 4) // 2
        x = np.array(words[3 : 3 + n], np.float64)
        y = np.array(words[4 + n :], np.float64)
        for dt in (DTYPES if fmt == "mxfp4" else ("fp32",)):
            for sign in (1, -1):
                t = to_type(x * sign, dt)
                yield Case(
                    "fakequant",
                    fmt,
                    dt,
                    {"in": dt, "block": words[1], "x": raw(t)},
                    {"y": answer(to_type(y * sign, dt))},
                    "ieee",
                    zeros=("y",),
                    within={"y": (1e-8, 1e-5) if fmt == "mxfp4" else (1e-3, 1e-5)},
                )


SUITES = {fmt: [host, packed_by_host, unpacked_by_host] for fmt in MX}
