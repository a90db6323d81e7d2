# SPDX-License-Identifier: Apache-2.0
"""Copies the tiny checkpoints into one folder each, their BF16 originals once per model, and writes expect.json."""

import argparse
import json
import pathlib
import re
import shutil
import sys

from plan import DEFECTS

LARGEST, TOTAL = 200_000, 3_000_000  # bytes: they are committed
ORIGINALS = "original"
SHORT = {"modelopt": "mo", "llmcompressor": "lc", "compressed-tensors": "ct", "transformers": "tf"}
SHORT |= {"autoawq": "aq", "auto_gptq": "ag", "gptqmodel": "gm"}
DIALECTS = {"fp8": "deepseek-fp8", "mxfp4": "gpt-oss-mxfp4"}  # quant_method -> verify's word, where it differs
# defect -> where its findings lie: names of tensors, or of the module an exclude list misses (patterns)
WHERE = {
    "zero-expert": [r"model\.layers\.0\.mlp\.experts\.1\..*"],
    "dead-experts": [r"model\.layers\.0\.mlp\.(experts\.\d+\..*|gate(\..*)?)"],
    "nul-sentinel": [r".*"],
}


def folder_of(row):
    """mo0470-nvfp4-default-llama and the like."""
    package, _, version = row["release"].rpartition("-")
    preset = row["preset"].replace("_CFG", "").replace("_CONFIG", "").replace("_", "-").replace("+", "-")
    return re.sub(r"[.@]", "-", f"{SHORT[package]}{version.replace('.', '')}-{preset.lower()}-{row['model']}")


def same(one, other):
    files = sorted(f.name for f in one.iterdir() if f.suffix == ".safetensors")
    return all((other / f).exists() and (one / f).read_bytes() == (other / f).read_bytes() for f in files)


def copy_original(source, target):
    """False when another release wrote other bytes for the same model."""
    if target.exists():
        return same(source, target)
    shutil.copytree(source, target)
    return True


def facts_of(folder):
    return json.loads((folder / "config.json").read_text())["quantization_config"]


def scheme_of(folder):
    facts = facts_of(folder)
    return facts.get("quant_algo") or facts.get("format") or facts["quant_method"]


def dialect_of(folder):
    method = facts_of(folder)["quant_method"]
    return DIALECTS.get(method, method)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--made", type=pathlib.Path, required=True)
    p.add_argument("--out", type=pathlib.Path, required=True)
    a = p.parse_args()
    expect, wrong = {}, []
    for old in [d for d in a.out.glob("*") if d.is_dir()]:
        shutil.rmtree(old)
    for row in json.loads((a.made / "manifest.json").read_text()):
        name = folder_of(row)
        if "error" in row:
            wrong.append(f"{name}: {row['error']}")
            continue
        original = a.out / ORIGINALS / row["model"].replace("@", "-")
        if not copy_original(a.made / row["original"], original):
            wrong.append(f"{name}: its original differs from the one of another release")
        shutil.copytree(a.made / row["path"], a.out / name)
        must, may, _ = DEFECTS[row["expected"]]
        expect[name] = {
            "release": row["release"],
            "preset": row["preset"],
            "model": row["model"],
            "original": str(original.relative_to(a.out)),
            "dialect": dialect_of(a.out / name),
            "scheme": scheme_of(a.out / name),
            "expected": row["expected"],
            "rules": list(must),
            "may": list(may),
            "tensors": WHERE.get(row["expected"], []),
            "versions": row["versions"],
        }
    (a.out / "expect.json").write_text(json.dumps(expect, indent=1, sort_keys=True) + "\n")
    for file in a.out.rglob("*.*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    sizes = {f: f.stat().st_size for f in a.out.rglob("*") if f.is_file()}
    wrong += [f"{f.relative_to(a.out)}: {n} bytes" for f, n in sizes.items() if n > LARGEST]
    if sum(sizes.values()) > TOTAL:
        wrong.append(f"{sum(sizes.values())} bytes in total")
    print(f"{len(expect)} checkpoints, {sum(sizes.values())} bytes")
    for line in wrong:
        print(f"scripts/checkpoints: {line}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
