# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of one release of nvidia-modelopt: quantize, calibrate, export_hf_checkpoint, per model and preset."""

import copy
import warnings

import torch

warnings.filterwarnings("ignore")
import modelopt  # noqa: E402
import modelopt.torch.quantization as mtq  # noqa: E402
from modelopt.torch.export import export_hf_checkpoint  # noqa: E402

import cpu_only  # noqa: E402
import maker  # noqa: E402
from plan import MIXTURES  # noqa: E402


def merged(first, second):
    """A preset with the entries of another one added: releases hold them as a dict (to 0.43) or as a list."""
    both = copy.deepcopy(first)
    if isinstance(both["quant_cfg"], dict):
        extra = {k: v for k, v in second["quant_cfg"].items() if k != "default"}
        both["quant_cfg"] = {**both["quant_cfg"], **extra}
    else:
        rows = list(both["quant_cfg"])
        at = 1 + max(i for i, e in enumerate(rows) if "cfg" in e)  # what follows are the modules left alone
        both["quant_cfg"] = rows[:at] + [e for e in second["quant_cfg"] if not is_reset(e)] + rows[at:]
    return both


def is_reset(entry):
    return entry.get("quantizer_name") == "*" and entry.get("enable") is False


def narrowed(preset, part):
    """The weight and input entries of a preset, only for modules whose name has `part`; no input entry: none there."""
    found = {}
    for kind in ("*weight_quantizer", "*input_quantizer"):
        found[kind] = [e for e in preset["quant_cfg"] if e.get("quantizer_name") == kind and "cfg" in e] or [
            {"quantizer_name": kind, "enable": False}
        ]
    rows = [{**copy.deepcopy(e), "quantizer_name": f"*{part}{kind}"} for kind, es in found.items() for e in es]
    return {"quant_cfg": rows}


def preset_of(name):
    """NAME, NAME+KV or a mixture of plan.py; AttributeError where the release has none."""
    if name in MIXTURES:
        base, *parts = MIXTURES[name]
        out = getattr(mtq, base)
        for preset, part in parts:
            out = merged(out, narrowed(getattr(mtq, preset), part))
        return out
    base, _, kv = name.partition("+")
    out = copy.deepcopy(getattr(mtq, base))
    return merged(out, getattr(mtq, kv)) if kv else out


def export(original, preset, folder, variant):
    model = maker.load(original)

    def forward(m):
        with torch.no_grad():
            for ids in maker.batches(model.config, variant):
                m(ids)

    mtq.quantize(model, preset_of(preset), forward)
    with torch.inference_mode():
        export_hf_checkpoint(model, export_dir=str(folder))


if __name__ == "__main__":
    cpu_only.install()
    maker.run("modelopt", modelopt.__version__, export)
