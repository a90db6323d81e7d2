# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of auto_gptq and gptqmodel: their packers, scales and zeros from plain min / max (no Hessian). Zeros are
the true ones in gptqmodel's memory ("gptq_v2"); it and auto_gptq store them less one ("gptq").
"""

import importlib.metadata
import sys
import warnings

import torch

warnings.filterwarnings("ignore")
import int4  # noqa: E402
import maker  # noqa: E402
from schemes import GPTQ, GPTQ_V2  # noqa: E402

SEED_OF_ORDER = 7
PRESETS = {**GPTQ, **GPTQ_V2}


def groups_of(columns, size, act_order):
    """Group of each column. By activation: the order in which GPTQ would take them, here any other than the plain."""
    plain = torch.arange(columns) // (size if size > 0 else columns)
    if not act_order:
        return plain
    order = torch.randperm(columns, generator=torch.Generator().manual_seed(SEED_OF_ORDER))
    groups = torch.empty_like(plain)
    groups[order] = plain
    return groups


def by_auto_gptq(linear, p, scales, zeros, groups):
    from auto_gptq.nn_modules.qlinear.qlinear_cuda import QuantLinear

    rows, columns = linear.weight.shape
    q = QuantLinear(p["bits"], p["group_size"], columns, rows, False)
    q.pack(linear, scales, zeros.clone(), groups.int())
    q.scales = q.scales.half()
    return q


def by_gptqmodel(linear, p, scales, zeros, groups):
    from gptqmodel import QuantizeConfig
    from gptqmodel.nn_modules.qlinear.torch import TorchLinear
    from gptqmodel.utils.model import convert_gptq_v2_to_v1_format_module

    rows, columns = linear.weight.shape
    q = TorchLinear(p["bits"], p["group_size"], p["sym"], p["desc_act"], columns, rows)
    q.pack_original(linear, scales, zeros, groups.int())
    if p["checkpoint_format"] == "gptq":
        convert_gptq_v2_to_v1_format_module(q, QuantizeConfig(bits=p["bits"]))
    return q


def facts_of(package, p):
    if package == "auto_gptq":  # fields of its BaseQuantizeConfig, which knows no checkpoint_format
        known = {k: v for k, v in p.items() if k != "checkpoint_format"}
        fixed = {"damp_percent": 0.01, "static_groups": False, "true_sequential": True, "is_marlin_format": False}
        return {**known, **fixed, "model_name_or_path": None, "model_file_base_name": None, "quant_method": "gptq"}
    from gptqmodel import QuantizeConfig

    said = {k: v for k, v in p.items() if k != "checkpoint_format"}
    facts = QuantizeConfig(**said, format=p["checkpoint_format"], act_group_aware=False).to_dict()
    facts = {k: getattr(v, "value", v) for k, v in facts.items()}
    return {**facts, "meta": {"quantizer": ["gptqmodel:" + importlib.metadata.version(package)]}}


def export(original, preset, folder, variant):
    model, p = int4.load(original), PRESETS[preset]
    pack = {"auto_gptq": by_auto_gptq, "gptqmodel": by_gptqmodel}[PACKAGE]
    parts = {}
    with torch.no_grad():
        for name, linear in int4.linears(model):
            groups = groups_of(linear.weight.shape[1], p["group_size"], p["desc_act"])
            scales, zeros = int4.qparams(linear.weight.data, groups, p["bits"], p["sym"])
            linear.weight.data = int4.on_grid(linear.weight.data, scales, zeros, groups, p["bits"])
            parts[name] = int4.parts_of(pack(linear, p, scales, zeros, groups))
    int4.write(model, parts, folder, facts_of(PACKAGE, p))


if __name__ == "__main__":
    PACKAGE = sys.argv[1 + sys.argv.index("--package")]
    if PACKAGE == "auto_gptq":
        import bare

        bare.packages("auto_gptq.nn_modules.qlinear")
    maker.run(PACKAGE, importlib.metadata.version(PACKAGE), export)
