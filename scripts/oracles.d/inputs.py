# SPDX-License-Identifier: Apache-2.0
"""Inputs: random of several kinds, directed edges, midpoints of a grid, and the mined tensors of cases/hard."""

import os

import numpy as np
import torch

from bits import TORCH, of_bits, of_hex

f32 = np.float32
EDGES = {
    "bf16": [
        0,
        0x8000,
        1,
        0x8001,
        0x007F,
        0x0080,
        0x7F7F,
        0xFF7F,
        0x7F80,
        0xFF80,
        0x7FC0,
        0xFFC0,
        0x337F,
        0x3380,
        0x3381,
        0xB380,
        0x3F80,
        0xBF80,
    ],
    "fp16": [
        0,
        0x8000,
        1,
        0x8001,
        0x03FF,
        0x0400,
        0x7BFF,
        0xFBFF,
        0x7C00,
        0xFC00,
        0x7E00,
        0xFE00,
        2,
        3,
        0x3BFF,
        0x3C00,
        0xBC00,
        0x8400,
    ],
    "fp32": [
        0,
        0x80000000,
        1,
        0x80000001,
        0x7FFFFF,
        0x800000,
        0x7F7FFFFF,
        0xFF7FFFFF,
        0x7F800000,
        0xFF800000,
        0x7FC00000,
        0xFFC00000,
        0x337FFFFF,
        0x33800000,
        0x33800001,
        0xB3800000,
        0x3F800000,
        0xBF800000,
    ],
}


class Inputs:
    def __init__(self, seed, name, count, short=False):
        self.r = np.random.default_rng([seed, *name.encode()])
        self.count = count
        self.short = short  # fewer blocks a line: golden files stay small

    def to(self, x, dt):
        return torch.from_numpy(np.ascontiguousarray(x, f32)).to(TORCH[dt])

    def gauss(self, n, dt, scale=1.0):
        return self.to(self.r.standard_normal(n) * scale, dt)

    def wide(self, n, dt, lo=-14, hi=6):
        return self.to(self.r.standard_normal(n) * 2.0 ** self.r.integers(lo, hi, n), dt)

    def any_bits(self, n, dt):
        return of_bits(self.r.integers(0, 1 << (32 if dt == "fp32" else 16), n), dt)

    def finite_bits(self, n, dt):
        return torch.nan_to_num(self.any_bits(n, dt), nan=1.0, posinf=2.0, neginf=-2.0)

    def edges(self, n, dt):
        return of_bits(np.resize(self.r.permutation(EDGES[dt]), n), dt)

    def ties(self, n, dt, grid, step):
        """Midpoints of grid*step, exact or one ulp to either side."""
        g = np.asarray(grid, np.float64)
        k = self.r.integers(0, len(g) - 1, n)
        t = self.to((g[k] + g[k + 1]) / 2 * float(step) * self.r.choice([-1, 1], n), dt)
        i = t.view(torch.int32 if dt == "fp32" else torch.int16)
        by = torch.from_numpy(self.r.integers(-1, 2, n)).to(i.dtype)
        return torch.where(torch.isfinite(t) & (t != 0), i + by, i).view(t.dtype)

    def flat(self, i, n, dt, grid=None, step=None):
        """The i-th tensor of n values for formats with one amax per tensor or row."""
        if i % 5 == 3 and grid is not None and step is not None and 0 < step < 1e30:
            return self.ties(n, dt, grid, step)
        return (self.gauss, self.wide, self.any_bits, self.gauss, self.edges)[i % 5](n, dt)

    def blocks(self, i, n, b, dt, grid=(0, 0.5, 1, 1.5, 2, 3, 4, 6)):
        """The i-th tensor of n blocks of b: ordinary, many binades, grid midpoints, sparse, outliers, tiny, edges."""
        kind = i % 8
        x = self.r.standard_normal((n, b))
        if kind == 1:
            x *= 2.0 ** self.r.integers(-20, 5, (n, 1))
        if kind == 2:
            g = np.asarray(grid, np.float64)
            x = self.r.choice(np.concatenate([g, (g[1:] + g[:-1]) / 2]), (n, b)) * self.r.choice([-1, 1], (n, b))
            x[:, 0] = g[-1]
            x *= 2.0 ** self.r.integers(-4, 4)
        if kind == 3:
            x[self.r.random((n, b)) < 0.7] = 0
            x[0] = 0
            x[-1, ::2] = -0.0
        if kind == 4:
            x[:, 0] *= 40
        if kind == 5:
            x *= 2.0 ** self.r.integers(-34, -8, (n, 1))
        t = self.to(x, dt)
        if kind == 6:
            t = self.edges(n * b, dt).reshape(n, b)
        if kind == 7:
            t = self.finite_bits(n * b, dt).reshape(n, b)
        return t

    def amax(self, i, x):
        """Directed fp32 amax values in turn: the maximum, the tiny threshold and its neighbours, zero, extremes."""
        fin = x.float()[torch.isfinite(x.float())].abs()
        m = float(fin.max()) if fin.numel() else 1.0
        near = of_bits(
            [
                0x33800000,
                0x337FFFFF,
                0x33800001,
                int(self.r.integers(0x3F000000, 0x40800000)),
                0x7F7FFFFF,
                1,
                0x3FB45B00,
                0x3F800032,
                0x00800000,
                0x3F860000,
            ],
            "fp32",
        ).tolist()
        return f32(([m, m / 2, m * 1.5, 0.0, 448.0, np.inf] + near)[i % 16])


def _tensors(path, dt):
    """The tensors of one file: `tensor RxC` before the images of each, # to the end of a line is a comment."""
    with open(path, encoding="ascii") as f:
        words = [w for line in f for w in line.split("#")[0].split()]
    shape, images = (), []
    for i, w in enumerate(words + ["tensor"]):
        if w == "tensor":
            if images:
                yield of_hex(",".join(images), dt).reshape(shape or (1, len(images)))
            shape, images = (), []
        elif i > 0 and words[i - 1] == "tensor":
            shape = tuple(int(n) for n in w.split("x"))
        else:
            images.append(w)


def mined(folder, fmt, multiple=1):
    """(dtype, [rows, cols]) of every mined tensor of a format, rows padded with zeros to whole blocks."""
    found = []
    for dt in TORCH:
        path = os.path.join(folder, f"{fmt}-{dt}.txt")
        if folder and os.path.exists(path):
            found += [(dt, torch.nn.functional.pad(x, (0, -x.shape[1] % multiple))) for x in _tensors(path, dt)]
    return found
