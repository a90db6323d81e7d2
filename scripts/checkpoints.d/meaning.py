# SPDX-License-Identifier: Apache-2.0
"""What stored linears mean, by the package that wrote them: its own code dequantizes each one, `quantproof compare`
puts the result beside what quantproof reads from the same file. One process per release (its environment).
"""

import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile

HEAD = ("package", "preset", "files", "linears", "same", "differ", "max ulp", "distance", "scheme, witness")
WIDTHS = (18, 36, 6, 8, 6, 7, 10, 9)
# release/model/preset and the modules that differ (patterns, whole) -> why
EXPLAINED = {
    r"modelopt-.*/NVFP4_FP8_MHA_CONFIG model\.embed_tokens": "an embedding: compare reads values of linears alone",
    r"gptqmodel-.*/GPTQ_W2_G32_ASYM model\.layers\.0\.mlp\.down_proj": "a zero point of 0 has no v1 form: gptqmodel"
    " takes 1 off whole words and adds it back, with carry; auto_gptq adds it to each code, as is read here",
}


def plain_name(name):
    fused = re.search(r"experts\.(gate_up_proj|down_proj)$", name)  # these have no ".weight"
    return name if fused else f"{name}.weight"


def path_of(fact):
    return f"{fact['release']}/{fact['model']}/{fact['preset']}"


def explanation(fact):
    odd = " ".join([path_of(fact), *fact["odd"]])
    return next((why for p, why in EXPLAINED.items() if re.fullmatch(p, odd)), "")


def dequantized(folder, release):
    """(tensors, witness): F32 weights by module name, and whose code made them."""
    from safetensors.torch import load_file

    import witness

    state = {k: v for file in sorted(folder.glob("*.safetensors")) for k, v in load_file(file).items()}
    facts = json.loads((folder / "config.json").read_text())["quantization_config"]
    rule = witness.OF_METHOD[facts["quant_method"]]
    return rule(state, facts, release.rpartition("-")[0])


def compared(program, folder, weights):
    from safetensors.torch import save_file

    with tempfile.TemporaryDirectory() as plain:
        tensors = {plain_name(n): w.contiguous() for n, w in weights.items()}
        save_file(tensors, pathlib.Path(plain) / "model.safetensors")
        done = subprocess.run([program, "compare", "--json", str(folder), plain], capture_output=True, text=True)
    return {t["a"]: t for t in json.loads(done.stdout)["tensors"] if t["a"] in weights}


def distance(row):
    return float(row["detail"].rpartition("relative distance ")[2]) if "relative distance" in row["detail"] else -1.0


def judge(program, root, row):
    weights, whose = dequantized(root / row["path"], row["release"])
    found = compared(program, root / row["path"], weights)
    same = [t for t in found.values() if t["class"] == "same-meaning"]
    other = [t for t in found.values() if t["class"] != "same-meaning"]
    return {
        "release": row["release"],
        "model": row["model"],
        "preset": row["preset"],
        "linears": len(weights),
        "same": len(same),
        "differ": len(other) + len(weights) - len(found),
        "odd": sorted({t["a"] for t in other} | (set(weights) - set(found))),
        "ulp": max([t["max_ulp"] for t in other], default=0),
        "distance": max([distance(t) for t in other], default=0.0),
        "says": sorted({t["detail"].partition(" against")[0] for t in found.values()}),
        "witness": whose,
        "first": [f"{t['a']} {t['class']} {t['first']} {t['a_bits']} {t['b_bits']}" for t in other[:1]],
    }


def line(cells):
    return " ".join(f"{str(c):{w}}" for c, w in zip(cells, WIDTHS)) + " " + str(cells[-1])


def table(facts):
    """One row per package and preset; 1 when a linear differs for a reason that is not known."""
    sums = collections.OrderedDict()
    for f in facts:
        key = (f["release"].rpartition("-")[0], f["preset"])
        zero = {n: 0 for n in ("files", "linears", "same", "differ", "ulp", "distance")}
        s = sums.setdefault(key, {**zero, "says": set()})
        for name in ("linears", "same", "differ"):
            s[name] += f[name]
        s["files"] += 1
        s["ulp"], s["distance"] = max(s["ulp"], f["ulp"]), max(s["distance"], f["distance"])
        s["says"] |= set(f["says"])
        s["witness"] = f["witness"]
    print(line(HEAD))
    for (package, preset), s in sorted(sums.items()):
        numbers = (s["files"], s["linears"], s["same"], s["differ"], s["ulp"] or "-", s["distance"] or "-")
        print(line((package, preset, *numbers, f"{', '.join(sorted(s['says']))}; {s['witness']}")))
    differ = [f for f in facts if f["differ"] or not f["linears"]]
    for f in differ:
        print(f"differs: {path_of(f)}: {f['differ']} of {f['linears']}: {', '.join(f['odd'])[:200]}")
        print("".join(f"    {text}\n" for text in f["first"]), end="")
        print(f"    {explanation(f) or 'NOT EXPLAINED'}")
    releases = sorted({f["release"] for f in facts})
    total = {n: sum(f[n] for f in facts) for n in ("linears", "same", "differ")}
    print(f"{len(facts)} checkpoints of {', '.join(releases)}")
    print(f"{total['linears']} linears, {total['same']} mean the same, {total['differ']} differ")
    return 1 if any(not explanation(f) for f in differ) else 0


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", type=pathlib.Path, required=True)
    p.add_argument("--quantproof", default="")
    p.add_argument("--release", help="judge this one, a line of JSON per checkpoint")
    p.add_argument("--table", type=pathlib.Path, help="such lines as a table")
    a = p.parse_args()
    if a.table:
        sys.exit(table([json.loads(text) for text in a.table.read_text().splitlines()]))
    for row in json.loads((a.out / "manifest.json").read_text()):
        if row["release"] == a.release and "error" not in row:
            print(json.dumps(judge(a.quantproof, a.out, row)), flush=True)


if __name__ == "__main__":
    main()
