# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of one release of nvidia-modelopt: quantize, calibrate, export_hf_checkpoint, per model and preset."""

import argparse
import copy
import warnings

import torch
import transformers
from transformers import AutoModelForCausalLM

warnings.filterwarnings("ignore")
import modelopt  # noqa: E402
import modelopt.torch.quantization as mtq  # noqa: E402
from modelopt.torch.export import export_hf_checkpoint  # noqa: E402

import cpu_only  # noqa: E402
import models  # noqa: E402
from plan import CALIBRATION, MIXTURES, expected_of, modelopt_jobs  # noqa: E402
from store import Store  # noqa: E402

SEED = 20240


def merged(first, second):
    """A preset with the entries of another one added: releases hold them as a dict (to 0.43) or as a list."""
    both = copy.deepcopy(first)
    if isinstance(both["quant_cfg"], dict):
        extra = {k: v for k, v in second["quant_cfg"].items() if k != "default"}
        both["quant_cfg"] = {**both["quant_cfg"], **extra}
    else:
        both["quant_cfg"] = list(both["quant_cfg"]) + [e for e in second["quant_cfg"] if not is_reset(e)]
    return both


def is_reset(entry):
    return entry.get("quantizer_name") == "*" and entry.get("enable") is False


def narrowed(preset, part):
    """The weight and input entries of a preset, only for modules whose name has `part`."""
    quantizers = ("weight_quantizer", "input_quantizer")
    if isinstance(preset["quant_cfg"], dict):
        rows = {f"*{part}*{q}": preset["quant_cfg"][f"*{q}"] for q in quantizers if f"*{q}" in preset["quant_cfg"]}
        return {"quant_cfg": rows}
    rows = [e for e in preset["quant_cfg"] if e.get("quantizer_name") in [f"*{q}" for q in quantizers] and "cfg" in e]
    return {"quant_cfg": [{**e, "quantizer_name": f"*{part}{e['quantizer_name']}"} for e in copy.deepcopy(rows)]}


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


def export(original, preset, folder, calibration):
    model = AutoModelForCausalLM.from_pretrained(
        original, torch_dtype=torch.bfloat16, attn_implementation="eager"
    ).eval()
    batches = models.tokens(model.config, SEED, *calibration)

    def forward(m):
        with torch.no_grad():
            for ids in batches:
                m(ids)

    mtq.quantize(model, preset_of(preset), forward)
    with torch.inference_mode():
        export_hf_checkpoint(model, export_dir=str(folder))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", required=True)
    p.add_argument("--tiny", action="store_true")
    p.add_argument("--model", action="append")
    p.add_argument("--preset", action="append")
    a = p.parse_args()
    torch.set_num_threads(1)
    cpu_only.install()
    transformers.logging.set_verbosity_error()
    store = Store(a.out, f"modelopt-{modelopt.__version__}")
    for name, presets in modelopt_jobs(modelopt.__version__, a.tiny).items():
        family, _, variant = name.partition("@")
        if (a.model and name not in a.model) or not models.supported(family):
            continue
        original = store.save_original(models.build(family, SEED, a.tiny, variant == "zero-expert"), name)
        for preset in presets:
            if a.preset and preset not in a.preset:
                continue
            expected = expected_of(modelopt.__version__, name, preset)
            calibration = CALIBRATION.get(variant, CALIBRATION[""])
            store.make(name, preset, expected, lambda folder: export(original, preset, folder, calibration))


if __name__ == "__main__":
    main()
