# SPDX-License-Identifier: Apache-2.0
"""Every outside implementation beside the reference, through one eval process. Called by scripts/oracles."""

import argparse
import contextlib
import os
import sys
import types
import warnings

os.environ["TRITON_INTERPRET"] = "1"  # before triton is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # the CPU paths are the oracle
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)
import ml_dtypes  # noqa: E402
import modelopt  # noqa: E402
from importlib.metadata import version  # noqa: E402

import codecs_of  # noqa: E402
import ct  # noqa: E402
import defects  # noqa: E402
import golden  # noqa: E402
import mo_calib  # noqa: E402
import mo_fake  # noqa: E402
import mo_quant  # noqa: E402
import mx_fake  # noqa: E402
from inputs import Inputs  # noqa: E402
from judge import Judge, table  # noqa: E402
from session import Eval  # noqa: E402

# Which outsider stands for a format whose own path has none.
STAND_INS = {
    "mxfp6-e3m2": "no CPU path: host E8M0 and element conversions, gfloat elements, published GPU values",
    "mxfp6-e2m3": "no CPU path: host E8M0 and element conversions, gfloat elements, published GPU values",
    "mxfp8-e5m2": "no CPU path: host E8M0 and element conversions, gfloat elements, published GPU values",
    "mxint8": "no CPU path: host E8M0 conversions, published GPU values",
    "mxfp4": "MXFP4QTensor for quant; fake: host conversions, gfloat elements, published GPU values",
    "mxfp8-e4m3": "MXFP8QTensor for quant; fake: host conversions, gfloat elements, published GPU values",
}


def suites(tools):
    """(oracle, format, suite) in the order of the table."""
    mo, ml = f"modelopt {modelopt.__version__}", f"ml_dtypes {ml_dtypes.__version__}"
    for module in (mo_fake, mo_quant, mo_calib):
        for fmt, makers in module.SUITES.items():
            for maker in makers:
                by_triton = maker in (mo_fake.triton_nvfp4, mo_quant.deepseek)
                name = "triton " + version("triton") + " interpreter" if by_triton else mo
                yield name, fmt, maker
    for fmt, makers in ct.SUITES.items():
        yield "compressed-tensors " + version("compressed-tensors"), fmt, makers[0]
    for fmt in codecs_of.ML:
        yield ml, fmt, codecs_of.ml_dtypes_codecs
    for fmt in codecs_of.TO:
        yield f"torch {torch.__version__}", fmt, codecs_of.torch_codecs
    for fmt in codecs_of.GF:
        yield "gfloat " + version("gfloat"), fmt, codecs_of.gfloat_codecs
    for fmt in mx_fake.MX:
        yield "upstream GPU tests", fmt, mx_fake.published
    if tools.nvidia is None:
        print("# no cuda_fp8.h, cuda_fp6.h, cuda_fp4.h: NVIDIA's host conversions are left out", file=sys.stderr)
        return
    for fmt in codecs_of.ML:
        if fmt != "e8m0":
            yield "nvidia host conversions", fmt, codecs_of.nvidia_codecs
    yield "nvidia host conversions, sat", "e4m3fn", codecs_of.nvidia_saturating
    for fmt in mx_fake.MX:
        yield "nvidia host conversions", fmt, mx_fake.host
        yield "nvidia host conversions", fmt, mx_fake.packed_by_host
        yield "nvidia host conversions", fmt, mx_fake.unpacked_by_host
        if mx_fake.MX[fmt][2] is not None:
            yield "host e8m0, gfloat elements", fmt, mx_fake.gf_elements


def cases_of(options, tools, fmt, maker):
    g = Inputs(options.seed, f"{fmt} {maker.__module__}.{maker.__name__}", options.count, bool(options.write))
    argument = tools if maker.__module__ in ("codecs_of", "mx_fake") else options.hard
    return (case for case in maker(g, fmt, argument) if case is not None)


def compare(options, tools):
    process = Eval(options.quantproof)
    judge = Judge(process)
    for oracle, fmt, maker in suites(tools):
        if options.only and fmt not in options.only:
            continue
        for case in cases_of(options, tools, fmt, maker):
            judge.judge(oracle, case)
    process.close()
    return judge


def witnesses(judge):
    seen = {}
    for oracle, op, fmt, _ in judge.rows:
        if op in ("fakequant", "backward", "quant", "dequant"):
            seen.setdefault(fmt, {}).setdefault(oracle, set()).add(op)
    yield "witness of every format:"
    for fmt, who in seen.items():
        text = "; ".join(f"{o} ({' '.join(sorted(ops))})" for o, ops in who.items())
        yield f"  {fmt:<14} {text}" + (f"  [{STAND_INS[fmt]}]" if fmt in STAND_INS else "")


def report(options, judge):
    yield (
        f"# seed {options.seed} count {options.count}; torch {torch.__version__} "
        f"{torch.backends.cpu.get_cpu_capability()}, modelopt {modelopt.__version__}, triton {version('triton')}, "
        f"compressed-tensors {version('compressed-tensors')}, ml_dtypes {ml_dtypes.__version__}, "
        f"gfloat {version('gfloat')}, numpy {np.__version__}"
    )
    yield from table(judge.rows)
    yield ""
    yield from witnesses(judge)
    yield ""
    yield from defects.found()
    for key, row in judge.rows.items():
        for text in row.examples:
            yield f"DIFFERENT {' '.join(key)}: {text}"
    total = list(judge.rows.values())
    yield (
        f"{sum(r.lines for r in total)} lines, {sum(r.values for r in total)} values: "
        f"{sum(r.agreed for r in total)} agreed, "
        f"{sum(sum(r.explained.values()) for r in total)} explained, {judge.unexplained()} different, "
        f"{judge.unanswered()} lines not answered"
    )


def main():
    ap = argparse.ArgumentParser(prog="scripts/oracles", description=__doc__)
    ap.add_argument("--quantproof", default="build/quantproof")
    ap.add_argument("--scratch", default="/tmp", help="folder for the compiled host conversions")
    ap.add_argument("--golden", default="cases/golden", help="folder whose written files are checked by their hashes")
    ap.add_argument("--hard", default="cases/hard", help="folder of mined lines")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--count", type=int, default=100, help="inputs per format, dtype and op")
    ap.add_argument("--only", type=lambda s: s.split(","), help="formats, codecs or ops, with commas")
    ap.add_argument("--out", help="write the report here too")
    ap.add_argument("--write", metavar="DIR", help="write golden files instead of comparing")
    options = ap.parse_args()
    if options.write:
        options.hard = ""  # mined lines are our own choice of inputs and stand in cases/hard
    tools = types.SimpleNamespace(nvidia=codecs_of.Nvidia.build(options.scratch), hard=options.hard)
    if options.write:
        golden.CUDA_HEADERS = tools.nvidia.release if tools.nvidia else golden.CUDA_HEADERS
        with contextlib.redirect_stdout(sys.stderr):
            golden.write(options, lambda fmt, maker: cases_of(options, tools, fmt, maker))
        return 0
    with contextlib.redirect_stdout(sys.stderr):  # the packages print
        judge = compare(options, tools)
        text = "\n".join(report(options, judge)) + "\n"
    sys.stdout.write(text)
    if options.out:
        with open(options.out, "w", encoding="ascii") as f:
            f.write(text)
    changed = list(golden.altered(options.golden))
    for path in changed:
        print(f"{path}: its lines are not those of the hash in its header", file=sys.stderr)
    return 1 if judge.unexplained() or judge.unanswered() or changed else 0


if __name__ == "__main__":
    sys.exit(main())
