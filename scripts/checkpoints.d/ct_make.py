# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of compressed-tensors alone: its schemes, its qparams from plain min / max, its compressors."""

import re
import warnings

import torch

warnings.filterwarnings("ignore")
import compressed_tensors  # noqa: E402
from compressed_tensors.compressors import ModelCompressor  # noqa: E402
from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config  # noqa: E402
from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam  # noqa: E402

import maker  # noqa: E402
from plan import CT_SCHEMES  # noqa: E402

# Members that serving engines run as one matrix share the global scale (shapes spec 2.9).
FUSED = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


def blocks_of(weight, args):
    """The weight with one axis pair (or axis) left per scale: (view, axes to reduce)."""
    rows, cols = weight.shape
    if args.strategy == "tensor":
        return weight, (0, 1)
    if args.strategy == "channel":
        return weight.unsqueeze(1), (2,)
    if args.strategy == "block":
        r, c = args.block_structure
        return weight.reshape(rows // r, r, cols // c, c), (1, 3)
    return weight.reshape(rows, cols // args.group_size, args.group_size), (2,)


def group_of(name):
    head, _, tail = name.rpartition(".")
    for members in FUSED:
        if tail in members:
            return head, members
    return name, (tail,)


def observe(model, config):
    """Largest and smallest input of each linear over the calibration tokens."""
    seen, hooks = {}, []
    for name, m in model.named_modules():
        if isinstance(m, torch.nn.Linear):

            def hook(_, inputs, name=name):
                low, high = inputs[0].amin(), inputs[0].amax()
                old = seen.get(name, (low, high))
                seen[name] = (torch.minimum(low, old[0]), torch.maximum(high, old[1]))

            hooks.append(m.register_forward_pre_hook(hook))
    with torch.no_grad():
        for ids in maker.batches(config):
            model(ids)
    for hook in hooks:
        hook.remove()
    return seen


def set_weight_parameters(model):
    linears = {n: m for n, m in model.named_modules() if getattr(m, "quantization_scheme", None)}
    whole = {}
    for name, m in linears.items():
        low, high = m.weight.amin(), m.weight.amax()
        old = whole.get(group_of(name), (low, high))
        whole[group_of(name)] = (torch.minimum(low, old[0]), torch.maximum(high, old[1]))
    for name, m in linears.items():
        args = m.quantization_scheme.weights
        shared = None
        if args.strategy == "tensor_group":
            shared = generate_gparam(*whole[group_of(name)])
            m.weight_global_scale.data.copy_(shared)
        view, axes = blocks_of(m.weight.data, args)
        scale, zero = calculate_qparams(view.amin(axes), view.amax(axes), args, shared)
        m.weight_scale.data.copy_(scale.reshape(m.weight_scale.shape))
        if not args.symmetric:
            m.weight_zero_point.data.copy_(zero.reshape(m.weight_zero_point.shape))


def set_input_parameters(model, seen):
    for name, m in model.named_modules():
        args = getattr(getattr(m, "quantization_scheme", None), "input_activations", None)
        if args is None:
            continue
        if hasattr(m, "input_global_scale"):
            m.input_global_scale.data.copy_(generate_gparam(*seen[name]))
        if hasattr(m, "input_scale"):
            scale, _ = calculate_qparams(*seen[name], args)
            m.input_scale.data.copy_(scale.reshape(m.input_scale.shape))


def export(original, preset, folder, variant):
    model = maker.load(original)
    seen = observe(model, model.config)
    config = QuantizationConfig(quant_method="compressed-tensors", ignore=["lm_head"], **CT_SCHEMES[preset])
    apply_quantization_config(model, config)
    with torch.no_grad():
        set_weight_parameters(model)
        set_input_parameters(model, seen)
        compressor = ModelCompressor.from_pretrained_model(model)
        compressor.compress_model(model)
        model.save_pretrained(folder)
    compressor.update_config(str(folder))


if __name__ == "__main__":
    maker.run("compressed-tensors", re.match(r"\d+\.\d+\.\d+", compressed_tensors.__version__).group(0), export)
