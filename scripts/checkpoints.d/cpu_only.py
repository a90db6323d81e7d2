# SPDX-License-Identifier: Apache-2.0
"""Model Optimizer on a machine without a GPU. Its exporter runs on a CPU; what does not are two fake-quantizing CUDA
kernels, which a search (AWQ, SVDQuant, MSE, Hessian, 4/6) tries its candidates with. Torch code in our own words
stands in for those two. Stored codes and scales are still the exporter's: only which candidate wins comes from here.
"""

import types

import torch
from modelopt.torch.quantization import tensor_quant

from fp4 import fp4

FP4_MAX, E4M3_MAX, E4M3_TINY = 6.0, 448.0, 2.0**-9


def block_scales(amax, global_amax):
    """FP32 scales of dynamic blocks after their trip through E4M3 (numerics 4.3)."""
    global_scale = global_amax.float() / (FP4_MAX * E4M3_MAX)
    stored = (amax.float() / (FP4_MAX * global_scale)).clamp(E4M3_TINY, E4M3_MAX)
    stored = torch.where(amax > 0, stored, torch.ones_like(stored))
    return stored.to(torch.float8_e4m3fn).float() * global_scale


def rounded(x, scales, out_dtype):
    blocks = x.float().reshape(scales.numel(), -1)
    s = scales.reshape(-1, 1)
    y = torch.where(s > 0, fp4(blocks / s) * s, torch.zeros_like(blocks))
    return y.reshape(x.shape).to(out_dtype or x.dtype)


def static_blockwise(x, amax, global_amax=None, quantize_block_scales=True, *rest, **named):
    """`rest`: 0.46 and later give the largest scale and the type of the output, earlier ones only the type."""
    rest = (*rest, *named.values())
    scale_max = next((v for v in rest if isinstance(v, float)), E4M3_MAX)
    out_dtype = next((v for v in rest if isinstance(v, torch.dtype)), None)
    scales = amax.float() / FP4_MAX
    if quantize_block_scales:  # through E4M3 by the package's own torch code: ties decide which candidate wins
        whole = (amax.max() if global_amax is None else global_amax).float()
        scales = tensor_quant.fp8_eager(scales, whole * (E4M3_MAX / scale_max) / FP4_MAX)
    return rounded(x, scales, out_dtype)


def dynamic_blockwise(real):
    def fake_quant(x, block, amax, num_bits, exponent_bits, scale_num_bits, scale_exponent_bits):
        if (num_bits, exponent_bits, scale_num_bits, scale_exponent_bits) != (4, 2, 8, 4) or amax is None:
            return real(x, block, amax, num_bits, exponent_bits, scale_num_bits, scale_exponent_bits)
        amaxes = x.float().abs().reshape(-1, block).amax(1)
        return rounded(x, block_scales(amaxes, amax.max()), x.dtype)

    return fake_quant


def install():
    if torch.cuda.is_available():
        return
    # Releases to 0.44 ask for the compute capability before they pack.
    torch.cuda.get_device_capability = lambda *a, **k: (0, 0)
    kernels = dict(
        vars(tensor_quant.triton_kernel), IS_AVAILABLE=True, static_blockwise_fp4_fake_quant=static_blockwise
    )
    tensor_quant.triton_kernel = types.SimpleNamespace(**kernels)
    tensor_quant.dynamic_block_quantize_op = dynamic_blockwise(tensor_quant.dynamic_block_quantize_op)
