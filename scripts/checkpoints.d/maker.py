# SPDX-License-Identifier: Apache-2.0
"""The loop of every maker: models of the plan, their BF16 original, one export per preset."""

import argparse

import torch
import transformers
from transformers import AutoModelForCausalLM

import models
import plan
from store import Store

SEED = 20240
SHARD, SHARD_TINY = "2MB", "150KB"


def load(original):
    return AutoModelForCausalLM.from_pretrained(original, dtype=torch.bfloat16, attn_implementation="eager").eval()


def batches(config, variant=""):
    return models.tokens(config, SEED, *plan.CALIBRATION[variant])


def run(package, version, export):
    """export(original, preset, folder, variant) writes one checkpoint or raises."""
    p = argparse.ArgumentParser()
    p.add_argument("--out", required=True)
    p.add_argument("--package", default=package, help="for makers of more than one")
    p.add_argument("--tiny", action="store_true", help="the models of the fixtures")
    p.add_argument("--model", action="append")
    p.add_argument("--preset", action="append")
    a = p.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    store = Store(a.out, f"{package}-{version}", SHARD_TINY if a.tiny else SHARD)
    for name, presets in plan.jobs(package, version, a.tiny).items():
        family, _, variant = name.partition("@")
        if (a.model and name not in a.model) or not models.supported(family):
            continue
        original = store.save_original(models.build(family, SEED, a.tiny, variant == "zero-expert"), name)
        for preset in presets:
            if a.preset and preset not in a.preset:
                continue
            expected = plan.expected_of(package, version, name, preset)
            store.make(name, preset, expected, lambda folder: export(original, preset, folder, variant))
