# SPDX-License-Identifier: Apache-2.0
"""`quantproof verify` over every checkpoint of a manifest, alone and against its BF16 original, as a table."""

import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys

from plan import DEFECTS, RENAMED, UNDERIVABLE

WIDTHS = (22, 22, 36, 5, 7, 7, 10, 30)
HEAD = ("release", "model", "preset", "exit", "linears", "judged", "mismatched", "engine", "findings above note")


def ask(program, *words):
    """(exit code, answer or None, last line of the error stream)."""
    done = subprocess.run([program, "verify", "--json", *words], capture_output=True, text=True, errors="replace")
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = None
    return done.returncode, answer, (done.stderr.strip().splitlines() or [""])[-1]


def loud(answer):
    return collections.Counter(f["rule"] for f in answer["findings"] if f["severity"] != "note")


def complaints(row, plain, against):
    """What does not fit the manifest, as sentences; none: as expected."""
    must, may, more = DEFECTS[row["expected"]]
    rules, linears = loud(plain), plain["inventory"]["quantized"]
    if not linears:
        yield "no quantized linear recognized"
    for rule in must:
        if rule not in rules:
            yield f"{rule} not found"
    for rule in rules:
        if rule not in must and rule not in may:
            yield f"{rule} found {rules[rule]} times, not expected"
    if re.fullmatch(UNDERIVABLE, row["preset"]):
        return  # nothing to derive them from
    renamed = any(re.fullmatch(p, "/".join((row["release"], row["model"], row["preset"]))) for p in RENAMED)
    facts = against["against"]
    for rule, n in (loud(against) - rules).items():
        if rule not in more:
            yield f"{rule} found {n} times against the original"
    if more:
        return  # the defect shows in what is derived, too
    if facts["mismatched"]:
        yield f"{facts['mismatched']} of {facts['judged']} linears differ from the derived ones"
    if facts["judged"] != linears and not renamed:
        yield f"{facts['judged']} of {linears} linears judged against the original"


def judged(program, root, row):
    path, original = str(root / row["path"]), str(root / row["original"])
    code, plain, said = ask(program, path)
    if plain is None:
        return code, None, None, [f"no answer: {said}"]
    _, against, said = ask(program, path, "--against", original)
    if against is None:
        return code, plain, None, [f"no answer against the original: {said}"]
    return code, plain, against, list(complaints(row, plain, against))


def line(cells):
    return " ".join(f"{str(c):{w}}" for c, w in zip(cells, WIDTHS)) + " " + str(cells[-1])


class Totals:
    """Linears over all models and releases of one package and preset."""

    def __init__(self):
        self.rows = {}

    def add(self, row, against):
        key = (row["release"].rpartition("-")[0], row["preset"])
        sums = self.rows.setdefault(
            key, {"made": 0, "judged": 0, "mismatched": 0, "not_derivable": 0, "engines": set()}
        )
        sums["made"] += 1
        for name in ("judged", "mismatched", "not_derivable"):
            sums[name] += against["against"][name]
        sums["engines"] |= {n["engine"] for n in against["against"]["linears"] if n["engine"]}

    def show(self):
        print(f"\n{'package':20} {'preset':36} {'files':>5} {'judged':>7} {'differ':>7} {'no rule':>7}  engines")
        for (package, preset), s in sorted(self.rows.items()):
            counts = f"{s['made']:5} {s['judged']:7} {s['mismatched']:7} {s['not_derivable']:7}"
            print(f"{package:20} {preset:36} {counts}  {', '.join(sorted(s['engines']))}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", type=pathlib.Path, required=True)
    p.add_argument("--quantproof", required=True)
    a = p.parse_args()
    rows = json.loads((a.out / "manifest.json").read_text())
    print(line(HEAD))
    wrong, totals = 0, Totals()
    for row in rows:
        name = (row["release"], row["model"], row["preset"])
        if "error" in row:
            print(line((*name, "-", "-", "-", "-", "-", f"not exported: {row['error'][:90]}")))
            continue
        code, plain, against, why = judged(a.quantproof, a.out, row)
        rules = " ".join(f"{r}:{n}" for r, n in sorted(loud(plain).items())) if plain else ""
        facts = against["against"] if against else {"judged": "-", "mismatched": "-"}
        cells = (code, plain["inventory"]["quantized"] if plain else "-", facts["judged"], facts["mismatched"])
        print(line((*name, *cells, against["engine"] if against else "-", rules or "none")))
        print(f"    {row['expected']}: " + ("as expected" if not why else "NOT MET: " + "; ".join(why)))
        wrong += bool(why)
        if against:
            totals.add(row, against)
    totals.show()
    made = [r for r in rows if "error" not in r]
    print(f"{len(made)} checkpoints judged, {wrong} not as expected, {len(rows) - len(made)} not exported")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
