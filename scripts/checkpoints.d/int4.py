# SPDX-License-Identifier: Apache-2.0
"""What the makers of AWQ and GPTQ files share: which linears, round-to-nearest qparams, and the folder they write."""

import json

import torch
from safetensors.torch import save_file

import maker


def linears(model):
    """Those inside the blocks, as both packages take them."""
    return [(n, m) for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and ".layers." in n]


def qparams(weight, groups, bits, symmetric):
    """(scales, zeros), each [out, groups], of the columns with each group's number."""
    top, scales, zeros = 2**bits - 1, [], []
    for g in range(int(groups.max()) + 1):
        part = weight[:, groups == g]
        low, high = part.amin(1).clamp(max=0), part.amax(1).clamp(min=0)
        if symmetric:
            high = torch.maximum(high, -low)
            low = -high
        scale = ((high - low) / top).half().float()  # as stored
        scales.append(scale)
        zeros.append(torch.full_like(scale, 2 ** (bits - 1)) if symmetric else (-low / scale).round().clamp(0, top))
    return torch.stack(scales, 1), torch.stack(zeros, 1)


def on_grid(weight, scales, zeros, groups, bits):
    s, z = scales[:, groups], zeros[:, groups]
    return ((weight / s + z).round().clamp(0, 2**bits - 1) - z) * s


def write(model, packed, folder, facts):
    """`packed`: name of a linear -> its tensors. Everything else is FP16, as both packages save it."""
    state = {n: t.half() for n, t in model.state_dict().items() if n.removesuffix(".weight") not in packed}
    state.update({f"{n}.{part}": t for n, parts in packed.items() for part, t in parts.items()})
    save_file({n: t.contiguous() for n, t in state.items()}, folder / "model.safetensors", {"format": "pt"})
    config = {**model.config.to_dict(), "dtype": "float16", "quantization_config": facts}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def parts_of(module):
    names = ("qweight", "qzeros", "scales", "g_idx")
    return {n: getattr(module, n) for n in names if getattr(module, n, None) is not None}


def load(original):
    return maker.load(original).float()
