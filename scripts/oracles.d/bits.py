# SPDX-License-Identifier: Apache-2.0
"""Tensors <-> the hex words of eval lines. NaN answers are written as the canonical quiet NaN."""

import numpy as np
import torch

DTYPES = ("bf16", "fp16", "fp32")
TORCH = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
_WORD = {
    torch.bfloat16: (torch.int16, np.uint16, 4, 0x7FC0),
    torch.float16: (torch.int16, np.uint16, 4, 0x7E00),
    torch.float32: (torch.int32, np.uint32, 8, 0x7FC00000),
}


def images(t):
    """Unsigned integer images of a float tensor, flat."""
    t = t.detach().contiguous().reshape(-1)
    signed, unsigned, _, _ = _WORD[t.dtype]
    return t.view(signed).numpy().view(unsigned)


def raw(t):
    """Input images as they are, NaN payload included."""
    return ",".join(map(f"{{:0{_WORD[t.dtype][2]}x}}".format, images(t).tolist()))


def answer(t):
    """Answer images: every NaN is the canonical one."""
    u = images(t).copy()
    u[torch.isnan(t.detach().reshape(-1)).numpy()] = _WORD[t.dtype][3]
    return ",".join(map(f"{{:0{_WORD[t.dtype][2]}x}}".format, u.tolist()))


def f32(v):
    return answer(torch.as_tensor(v).float().reshape(-1))


def octets(t):
    t = t.detach().contiguous().reshape(-1)
    if t.dtype != torch.uint8:
        t = t.view(torch.uint8)
    return ",".join(map("{:02x}".format, t.numpy().tolist()))


def octets_of(values):
    return ",".join(map("{:02x}".format, [int(v) for v in values]))


def of_bits(u, dt):
    u = np.asarray(u)
    if dt == "fp32":
        return torch.from_numpy(u.astype(np.uint32).view(np.int32).copy()).view(torch.float32)
    return torch.from_numpy(u.astype(np.uint16).view(np.int16).copy()).view(TORCH[dt])


def of_hex(text, dt):
    return of_bits(np.array([int(w, 16) for w in text.split(",")], np.uint64), dt)


def scalar(image):
    """0-dim fp32 tensor of an image."""
    return of_bits([image], "fp32")[0]
