# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of autoawq: its packer (WQLinear_GEMM) and its config, scales from plain min / max (no search)."""

import importlib.metadata
import warnings

import torch

warnings.filterwarnings("ignore")
import bare  # noqa: E402

bare.packages("awq.modules.linear", "awq.utils", "awq.models")
from awq.models._config import AwqConfig  # noqa: E402
from awq.modules.linear.gemm import WQLinear_GEMM  # noqa: E402

import int4  # noqa: E402
import maker  # noqa: E402
from schemes import AWQ  # noqa: E402

BITS = 4


def packed(linear, size):
    weight = linear.weight.data
    groups = torch.arange(weight.shape[1]) // (size if size > 0 else weight.shape[1])
    scales, zeros = int4.qparams(weight, groups, BITS, False)
    linear.weight.data = int4.on_grid(weight, scales, zeros, groups, BITS)
    whole = size if size > 0 else weight.shape[1]
    return int4.parts_of(WQLinear_GEMM.from_linear(linear, BITS, whole, scales=scales.t(), zeros=zeros.t()))


def export(original, preset, folder, variant):
    model, size = int4.load(original), AWQ[preset]
    with torch.no_grad():
        parts = {n: packed(m, size) for n, m in int4.linears(model)}
    facts = AwqConfig(zero_point=True, q_group_size=size, w_bit=BITS, version="gemm").to_transformers_dict()
    int4.write(model, parts, folder, facts)


if __name__ == "__main__":
    maker.run("autoawq", importlib.metadata.version("autoawq"), export)
