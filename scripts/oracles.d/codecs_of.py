# SPDX-License-Identifier: Apache-2.0
"""Element codecs of others: ml_dtypes, torch, gfloat, NVIDIA's host conversions. Every bf16 and fp16 image, and random
fp32; consecutive images of one code become one line."""

import ctypes
import glob
import os
import re
import subprocess
import sys

import gfloat
import ml_dtypes
import numpy as np
import torch
from gfloat import formats as gf

from bits import DTYPES, answer, images, of_bits
from session import Case

ML = {
    "e4m3fn": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
    "e8m0": ml_dtypes.float8_e8m0fnu,
}
TO = {"e4m3fn": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2, "e8m0": torch.float8_e8m0fnu}
GF = {
    "e4m3fn": gf.format_info_ocp_e4m3,
    "e5m2": gf.format_info_ocp_e5m2,
    "e3m2": gf.format_info_ocp_e3m2,
    "e2m3": gf.format_info_ocp_e2m3,
    "e2m1": gf.format_info_ocp_e2m1,
}
N_CODES = {"e3m2": 64, "e2m3": 64, "e2m1": 16}
NV = {"e4m3-sat": 0, "e4m3fn": 1, "e5m2-sat": 2, "e5m2": 3, "e3m2": 4, "e2m3": 5, "e2m1": 6}
NUMPY = {"bf16": ml_dtypes.bfloat16, "fp16": np.float16, "fp32": np.float32}


class Nvidia:
    """The conversions of cuda_fp8.h and its kin, compiled for the host."""

    def __init__(self, library, release):
        self.lib = ctypes.CDLL(library)
        self.release = release

    @staticmethod
    def build(folder):
        """None where neither a toolkit nor a package of the environment has the headers."""
        here = os.path.dirname(os.path.abspath(__file__))
        roots = [os.environ.get("CUDA_HOME", "/usr/local/cuda") + "/include"]
        roots += sorted(glob.glob(os.path.join(sys.prefix, "lib/python*/site-packages/nvidia/*/include")))
        for root in roots:
            if all(os.path.exists(f"{root}/cuda_fp{n}.h") for n in (4, 6, 8)):
                library = os.path.join(folder, "nvidia.so")
                subprocess.run(
                    [
                        os.environ.get("CXX", "g++"),
                        "-O2",
                        "-std=c++17",
                        "-shared",
                        "-fPIC",
                        "-I",
                        root,
                        os.path.join(here, "nvidia.cpp"),
                        "-o",
                        library,
                    ],
                    check=True,
                )
                with open(f"{root}/cuda.h", encoding="ascii", errors="replace") as f:
                    number = int(re.search(r"#define CUDA_VERSION (\d+)", f.read()).group(1))
                return Nvidia(library, f"{number // 1000}.{number % 1000 // 10}")
        return None

    def encode(self, name, values):
        v = np.ascontiguousarray(values, np.float64)
        out = np.empty(v.shape, np.uint8)
        self.lib.nv_encode(
            NV[name], v.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(v.size)
        )
        return out

    def decode(self, name, codes):
        c = np.ascontiguousarray(codes, np.uint8)
        out = np.empty(c.shape, np.float32)
        self.lib.nv_decode(
            NV[name], c.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(c.size)
        )
        return out

    def e8m0_up(self, values):
        v = np.ascontiguousarray(values, np.float32)
        out = np.empty(v.shape, np.uint8)
        self.lib.nv_e8m0_up(
            v.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(v.size)
        )
        return out


def inputs_of(g, dt):
    """Ascending images and the same as numpy values of the type."""
    if dt == "fp32":
        u = np.sort(
            np.unique(
                np.concatenate(
                    [
                        g.r.integers(0, 1 << 32, 200 * g.count, np.uint64).astype(np.uint32),
                        images(g.gauss(100 * g.count, dt)).astype(np.uint32),
                        images(g.edges(18, dt)).astype(np.uint32),
                    ]
                )
            )
        )
        return u, u.view(np.float32)
    u = np.arange(65536, dtype=np.uint16)
    return u, u.view(NUMPY[dt])


def runs(fmt, dt, source, u, codes, keep, **more):
    """Lines for the stretches of neighbouring images with one code; keep: the images the oracle speaks about."""
    digits = 8 if dt == "fp32" else 4
    edge = np.ones(len(u), bool)
    edge[1:] = (codes[1:] != codes[:-1]) | (np.diff(u) != 1) | (keep[1:] != keep[:-1])
    first = np.flatnonzero(edge)
    last = np.append(first[1:], len(u)) - 1
    for a, b in zip(first.tolist(), last.tolist()):
        if keep[a]:
            yield Case(
                "encode",
                fmt,
                dt,
                {"source": source, "in": dt, "first": f"{int(u[a]):0{digits}x}", "last": f"{int(u[b]):0{digits}x}"},
                {"code": f"{int(codes[a]):02x}"},
                **more,
            )


def ml_dtypes_codecs(g, fmt, tools):
    for dt in DTYPES:
        u, x = inputs_of(g, dt)
        with np.errstate(all="ignore"):
            codes = x.astype(ML[fmt]).view(np.uint8)
        yield from runs(fmt, dt, "ml_dtypes", u, codes, np.ones(len(u), bool))
    n = N_CODES.get(fmt, 256)
    values = torch.from_numpy(np.arange(n, dtype=np.uint8).view(ML[fmt]).astype(np.float32))
    for c in range(n):
        yield Case("decode", fmt, "code", {"source": "ml_dtypes", "code": f"{c:02x}"}, {"y": answer(values[c])})


def torch_codecs(g, fmt, tools):
    for dt in DTYPES:
        u, _ = inputs_of(g, dt)
        codes = of_bits(u, dt).to(TO[fmt]).view(torch.uint8).numpy()
        yield from runs(fmt, dt, "torch", u, codes, np.ones(len(u), bool))
    values = torch.arange(256, dtype=torch.int32).to(torch.uint8).view(TO[fmt]).float()
    for c in range(256):
        yield Case("decode", fmt, "code", {"source": "torch", "code": f"{c:02x}"}, {"y": answer(values[c])})


def gfloat_codecs(g, fmt, tools):
    """Finite inputs, saturating: gfloat's overflow NaN is a code of its own (numerics 9). bf16 only: it is slow."""
    u, x = inputs_of(g, "bf16")
    v = x.astype(np.float64)
    keep = np.isfinite(v)
    codes = np.zeros(len(u), np.uint8)
    rounded = gfloat.round_ndarray(GF[fmt], v[keep], gfloat.RoundMode.TiesToEven, True)
    codes[keep] = gfloat.encode_ndarray(GF[fmt], rounded)
    limit = float(GF[fmt].max)
    if fmt in ("e4m3fn", "e5m2"):  # beyond the largest the two sources have rules of their own
        keep = keep & (np.abs(v) <= limit)
    yield from runs(fmt, "bf16", "ml_dtypes", u, codes, keep)
    for c in range(N_CODES.get(fmt, 256)):
        value = gfloat.decode_float(GF[fmt], c).fval
        yield Case(
            "decode",
            fmt,
            "code",
            {"source": "ml_dtypes", "code": f"{c:02x}"},
            {"y": answer(torch.tensor(np.float32(value)))},
        )


def nvidia_codecs(g, fmt, tools):
    """No NaN inputs: the header drops the sign of an E4M3 NaN and gives fp4 / fp6 a magnitude (numerics 9)."""
    for dt in DTYPES:
        u, x = inputs_of(g, dt)
        with np.errstate(all="ignore"):
            v = x.astype(np.float64)
        keep = ~np.isnan(v)
        yield from runs(fmt, dt, "ml_dtypes", u, tools.nvidia.encode(fmt, v), keep)
    codes = np.arange(N_CODES.get(fmt, 256), dtype=np.uint8)
    for c, y in zip(codes, torch.from_numpy(tools.nvidia.decode(fmt, codes))):
        yield Case("decode", fmt, "code", {"source": "ml_dtypes", "code": f"{c:02x}"}, {"y": answer(y)})


def nvidia_saturating(g, fmt, tools):
    """The saturating E4M3 is torch's since 2.12: finite and Inf.."""
    for dt in DTYPES:
        u, x = inputs_of(g, dt)
        with np.errstate(all="ignore"):
            v = x.astype(np.float64)
        yield from runs(fmt, dt, "torch", u, tools.nvidia.encode("e4m3-sat", v), ~np.isnan(v))
