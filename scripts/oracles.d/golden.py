# SPDX-License-Identifier: Apache-2.0
"""More golden files for cases/golden: the outside answers as eval lines, with source, version, command and hash."""

import hashlib
import os
from importlib.metadata import version

import torch

import ct
import mo_fake
import mo_quant
import mx_fake

# file -> what it holds, suites (module, formats or None for all, suite names or None), inputs per format and dtype,
# longest line in bytes (a file of the default tests stays small)
FILES = {
    "more-fake": (
        "fake quantization: INT4 per tensor and row, FP8 per row and ragged 2-D blocks, special row amax",
        mo_fake,
        ("int4", "int4-axis0", "int8-axis0", "fp8-axis0", "fp8-block2d", "int4-block"),
        ("per_tensor", "per_row", "blocked"),
        4,
        1100,
    ),
    "more-backward": (
        "gradients: rows, blocks, 2-D blocks, and the masks of NVFP4",
        mo_fake,
        (
            "int4",
            "int8-axis0",
            "int4-axis0",
            "fp8-axis0",
            "fp8-block2d",
            "int4-block",
            "nvfp4",
            "nvfp4-static",
            "nvfp4-46",
        ),
        ("gradients", "gradients_block2d", "gradients_nvfp4"),
        4,
        1900,
    ),
    "more-quant": (
        "packed tensors and what dequantize makes of random codes, in each pair of types",
        mo_quant,
        None,
        None,
        3,
        930,
    ),
    "more-ct": ("packed tensors of compressed-tensors", ct, None, None, 2, 1200),
    "more-mx": (
        "MX fake quantization and packing: E8M0 bytes and element codes by NVIDIA's host conversions",
        mx_fake,
        None,
        ("host", "packed_by_host", "unpacked_by_host"),
        2,
        1150,
    ),
}


CUDA_HEADERS = "not found"  # the text of the headers that the host conversions were compiled from


def versions():
    return (
        f"nvidia-modelopt {version('nvidia-modelopt')}, torch {torch.__version__} "
        f"{torch.backends.cpu.get_cpu_capability()}, triton {version('triton')}, compressed-tensors "
        f"{version('compressed-tensors')}, CUDA headers {CUDA_HEADERS}"
    )


def line_of(case):
    words = [case.line(case.engine)] + [f"{k}={v}" for k, v in case.answers.items()]
    return " ".join(words)


def lines_of(name, options, cases_of):
    _, module, formats, suites, count, longest = FILES[name]
    options.count = count
    for fmt, makers in module.SUITES.items():
        if formats is not None and fmt not in formats:
            continue
        for maker in makers:
            if suites is not None and maker.__name__ not in suites:
                continue
            for case in cases_of(fmt, maker):
                text = line_of(case)
                if len(text) <= longest:
                    yield text


def write(options, cases_of):
    os.makedirs(options.write, exist_ok=True)
    for name, (what, *_) in FILES.items():
        lines = list(dict.fromkeys(lines_of(name, options, cases_of)))
        body = "".join(line + "\n" for line in lines)
        head = [
            f"{what}; answers of the packages on a CPU, none of ours",
            f"package: {versions()}",
            f"command: scripts/oracles --seed {options.seed} --write {options.write}",
            f"sha256 of the lines below: {hashlib.sha256(body.encode()).hexdigest()}",
        ]
        with open(os.path.join(options.write, name + ".txt"), "w", encoding="ascii") as f:
            f.write("".join(f"# {h}\n" for h in head) + body)
        print(f"{name}.txt: {len(lines)} lines, {len(body)} bytes")


def altered(folder):
    """Files of this form in a folder whose lines are not the ones that were written."""
    for name in FILES:
        path = os.path.join(folder, name + ".txt")
        if not os.path.exists(path):
            continue
        with open(path, encoding="ascii") as f:
            lines = f.readlines()
        body = "".join(line for line in lines if not line.startswith("#"))
        if not any(hashlib.sha256(body.encode()).hexdigest() in line for line in lines if line.startswith("#")):
            yield path
