# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of transformers' own quantizers: DeepSeek-style FP8 (weight_scale_inv). Its MXFP4 one needs a GPU kernel
from the Hub, so gpt-oss blocks / scales are not made here.
"""

import warnings

import torch
import transformers
from transformers import AutoModelForCausalLM, FineGrainedFP8Config
from transformers.quantizers import quantizer_finegrained_fp8

warnings.filterwarnings("ignore")
import maker  # noqa: E402


def export(original, preset, folder, variant):
    if preset != "FP8_BLOCK":
        raise ValueError(f"no quantizer for {preset}")
    model = AutoModelForCausalLM.from_pretrained(
        original, dtype=torch.bfloat16, quantization_config=FineGrainedFP8Config(), device_map="cpu"
    )
    model.save_pretrained(folder)


if __name__ == "__main__":
    # Only its check asks for a GPU: the conversion on load is torch code.
    quantizer_finegrained_fp8.FineGrainedFP8HfQuantizer.validate_environment = lambda *a, **k: None
    maker.run("transformers", transformers.__version__, export)
