# SPDX-License-Identifier: Apache-2.0
"""Upstream defects and quirks, each shown by running the package: what it answers, and what the rule says. A line that no
longer shows its defect says so, so that a fixed release is noticed."""

import ml_dtypes
import numpy as np
import torch
from modelopt.torch.quantization import tensor_quant as tq
from modelopt.torch.quantization.calib import histogram
from modelopt.torch.quantization.qtensor.fp8_tensor import FP8QTensor
from modelopt.torch.quantization.qtensor.mxfp4_tensor import MXFP4QTensor
from modelopt.torch.quantization.qtensor.mxfp8_tensor import MXFP8QTensor
from modelopt.torch.quantization.qtensor.nf4_tensor import NF4QTensor
from modelopt.torch.quantization.qtensor.nvfp4_tensor import NVFP4QTensor

from bits import answer, f32, octets, of_bits


def raised(call):
    try:
        call()
    except Exception as e:  # what is shown is that it raises
        return f"{type(e).__name__}: {str(e).splitlines()[0][:90]}"
    return None


def histogram_mse():
    """mse_histogram hands num_bits over as bias and unsigned as num_bits (numerics 6.4)."""
    x = torch.from_numpy(np.random.default_rng(3).standard_normal(4000).astype(np.float32))
    cal = histogram.HistogramCalibrator(8, None, False, num_bins=512)
    cal.collect(x)
    counts, edges = cal._calib_hist.int().numpy(), cal._calib_bin_edges.numpy()
    got = histogram._compute_amax_mse(counts, edges, 8, False, 1, 128)
    centers = torch.from_numpy((edges[1:] + edges[:-1]) / 2)

    def loss(amax):
        return float(
            (
                (tq.fake_tensor_quant(centers, amax, None, 8, False, False) - centers) ** 2 * torch.from_numpy(counts)
            ).mean()
        )

    best = min((centers[i] for i in range(128, len(centers))), key=loss)
    shows = loss(got) > loss(best)
    return shows, f"INT8: amax {f32(got)} with loss {f32(loss(got))}; amax {f32(best)} has loss {f32(loss(best))}"


def histogram_fp8():
    """The same call and entropy for num_bits (4, 3) (numerics 6.4)."""
    e = np.linspace(0, 4, 513).astype(np.float32)
    why = raised(lambda: histogram._compute_amax_mse(np.ones(512, np.int32), e, (4, 3), False, 1, 128))
    return why is not None, f"FP8 raises {why}"


def nf4_super_blocks():
    """Dequantize of NF4 with more than one super-block (numerics 5.7)."""
    x = of_bits([0x3F80 + i for i in range(128)], "bf16")
    q, s = NF4QTensor.quantize(x, 16, 4)
    si, ds, z = NF4QTensor.double_quantization(s, 4, 8)
    why = raised(lambda: q.dequantize(scale=si, double_scale=ds, scale_zeros=z, block_sizes={-1: 16}))
    return why is not None, f"128 bf16 values 3f80.. in blocks of 16, 4 a super-block: raises {why}"


def mxfp4_row(values):
    x = torch.nn.functional.pad(of_bits(values, "fp32"), (0, 32 - len(values))).reshape(1, 32)
    q, s = MXFP4QTensor.quantize(x, 32)
    return octets(q._quantized_data), octets(s)


def mxfp4_ties():
    """MXFP4QTensor counts bounds below |x|: every tie goes down (numerics 5.1)."""
    codes, _ = mxfp4_row([0x40C00000, 0x3F400000, 0x3FE00000, 0x40600000])
    return codes.startswith("17,53"), f"6, .75, 1.75, 3.5: codes {codes[:5]}, ties to even give 27,64"


def mxfp4_zero():
    """Zero gets a sign bit: (2 - sign) // 2 is 1 for sign 0 (numerics 5.1)."""
    codes, _ = mxfp4_row([0x40C00000, 0x00000000])
    return codes.startswith("87"), f"6, +0: codes {codes[:2]}: nibble 8, dequantized to -0"


def mxfp4_inf():
    """A block with Inf: the float -> uint8 conversion of its scale is undefined in C (numerics 5.1)."""
    codes, scale = mxfp4_row([0x7F800000, 0x3F800000])
    return scale == "00", f"Inf, 1: scale byte {scale}, codes {codes[:2]}: all nibbles 8"


def log2_scale():
    """ceil(log2f(d)) just above a power of two (numerics 5.0, trap 14)."""
    _, s = mxfp4_row([0x3BC00001])
    return s == "75", f"block amax 3bc00001: scale byte {s}; exact ceil gives 76, so that 6.0 of that block saturates"


def mxfp8_zero_nan():
    """A block with NaN has scale byte 0, so its other values saturate (numerics 5.2)."""
    x = torch.ones(1, 32)
    x[0, 3] = float("nan")
    q, s = MXFP8QTensor.quantize(x)
    return octets(s) == "00", f"31 ones and a NaN: scale byte {octets(s)}, codes {octets(q._quantized_data)[:11]}"


def cast_fp4_minus_zero():
    """_cast_fp4 drops the sign of -0 and overwrites its argument with |x| (numerics 4.1)."""
    x = of_bits([0x80000000, 0xBF800000], "fp32").reshape(1, 2)
    codes = NVFP4QTensor._cast_fp4(x)
    return octets(codes).startswith("00"), f"-0, -1: codes {octets(codes)}, argument afterwards {answer(x)}"


def double_rounding():
    """FP8QTensor rounds the quotient to bf16 before the cast (numerics 2.6, trap 20)."""
    q, s = FP8QTensor.quantize(of_bits([0x3F80, 0x3C2D], "bf16"))
    return (
        octets(q._quantized_data).endswith("4a"),
        f"bf16 3f80, 3c2d: scale {answer(s)}, codes {octets(q._quantized_data)}; one rounding gives 49",
    )


def fp4_nan():
    """ml_dtypes turns NaN into fp4 zero with the sign; NVIDIA's header gives 6 (numerics 9)."""
    c = np.array([np.nan, -np.nan], np.float32).astype(ml_dtypes.float4_e2m1fn).view(np.uint8)
    return c[0] & 7 == 0, f"NaN -> {int(c[0]):02x}"


DEFECTS = [
    ("modelopt calib.histogram mse", histogram_mse),
    ("modelopt calib.histogram mse, FP8", histogram_fp8),
    ("modelopt NF4QTensor.dequantize", nf4_super_blocks),
    ("modelopt MXFP4QTensor ties", mxfp4_ties),
    ("modelopt MXFP4QTensor zero", mxfp4_zero),
    ("modelopt MXFP4QTensor Inf", mxfp4_inf),
    ("modelopt MXFP4QTensor scale", log2_scale),
    ("modelopt MXFP8QTensor NaN", mxfp8_zero_nan),
    ("modelopt NVFP4QTensor._cast_fp4", cast_fp4_minus_zero),
    ("modelopt FP8QTensor", double_rounding),
    ("ml_dtypes float4_e2m1fn", fp4_nan),
]


def found():
    yield "defects and quirks of the outsiders, run now:"
    for name, show in DEFECTS:
        shows, text = show()
        yield f"  {name}: {text}" + ("" if shows else "  -- NO LONGER SHOWN") + f"  ({show.__doc__.strip()})"
