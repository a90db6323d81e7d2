# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of transformers' own quantizers: DeepSeek-style FP8 (weight_scale_inv). Its MXFP4 one needs a GPU kernel
from the Hub: gpt-oss blocks / scales are rounded here (scales up), in the names and shapes that its loader takes.
"""

import json
import warnings

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, FineGrainedFP8Config
from transformers.quantizers import quantizer_finegrained_fp8

warnings.filterwarnings("ignore")
import fp4  # noqa: E402
import maker  # noqa: E402

BLOCK, LARGEST, SMALLEST, BIAS = 32, 6.0, -127, 127
# What openai/gpt-oss-20b says.
GPT_OSS = {
    "quant_method": "mxfp4",
    "modules_to_not_convert": [
        "model.layers.*.self_attn",
        "model.layers.*.mlp.router",
        "model.embed_tokens",
        "lm_head",
    ],
}


def mxfp4(weight):
    """(blocks, scales) of [experts, in, out]: the files hold rows of `in`, 32 to a scale, even ones in low nibbles."""
    x = weight.float().transpose(1, 2).contiguous()
    x = x.reshape(*x.shape[:2], -1, BLOCK)
    mantissa, exponent = torch.frexp(x.abs().amax(-1) / LARGEST)  # of amax / 6, rounded up to a power of two
    exponent = (exponent - (mantissa == 0.5).int()).clamp(min=SMALLEST)
    y = fp4.fp4(torch.ldexp(x, -exponent.unsqueeze(-1)))
    code = torch.bucketize(y.abs(), fp4.VALUES) | (torch.signbit(y).long() << 3)
    return (code[..., 0::2] | code[..., 1::2] << 4).to(torch.uint8), (exponent + BIAS).to(torch.uint8)


def write_gpt_oss(original, folder):
    state = {k: v for file in sorted(original.glob("*.safetensors")) for k, v in load_file(file).items()}
    for name in [n for n in state if n.endswith(("experts.gate_up_proj", "experts.down_proj"))]:
        state[f"{name}_blocks"], state[f"{name}_scales"] = mxfp4(state.pop(name))
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    config = {**json.loads((original / "config.json").read_text()), "quantization_config": GPT_OSS}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def export(original, preset, folder, variant):
    if preset == "MXFP4_EXPERTS":
        return write_gpt_oss(original, folder)
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
