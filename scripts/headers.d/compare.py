# SPDX-License-Identifier: Apache-2.0
"""Three columns for every header: Python, ours, strict. The verdict of the package is that of deserialize and of
safe_open, which must agree; of accepted files the tensors are compared too."""

import argparse
import collections
import os
import subprocess
import sys
import tempfile

import mutate
import safetensors

LENGTH = 8


def dump(program):
    """The pinned table: (what the tests say Python does, bytes of the file)."""
    out = subprocess.run([program, "dump"], stdout=subprocess.PIPE, check=True).stdout
    at, rows = 0, []
    while at < len(out):
        end = out.index(b"\n", at)
        n = int.from_bytes(out[end + 1 : end + 1 + LENGTH], "little")
        begin = end + 1 + LENGTH
        rows.append((out[at:end].decode(), out[begin : begin + n]))
        at = begin + n
    return rows


class Judge:
    """`headers judge` on a pipe: default verdict, strict verdict, tensors."""

    def __init__(self, program):
        self.process = subprocess.Popen([program, "judge"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, file):
        self.process.stdin.write(len(file).to_bytes(LENGTH, "little") + file)
        self.process.stdin.flush()
        line = self.process.stdout.readline().decode()
        if not line.endswith("\n"):
            raise SystemExit(f"headers judge ended (exit {self.process.wait()}) on {file[:400]!r}")
        ours, strict, tensors = line[:-1].split(" ", 2)
        return ours, strict, sorted(t for t in tensors.split(";") if t)


def by_deserialize(file):
    try:
        found = safetensors.deserialize(file)
    except (safetensors.SafetensorError, BaseException) as e:  # a panic of the package is no Exception
        if isinstance(e, (KeyboardInterrupt, SystemExit, MemoryError)):
            raise
        return "refuse", type(e).__name__, []
    said = [
        f"{name.encode().hex()}:{t['dtype']}:{','.join(map(str, t['shape']))}:{len(t['data'])}" for name, t in found
    ]
    return "accept", "", sorted(said)


def by_safe_open(file, folder):
    path = os.path.join(folder, "f.safetensors")
    with open(path, "wb") as f:
        f.write(file)
    try:
        with safetensors.safe_open(path, framework="numpy") as f:
            return "accept", sorted(f.keys())
    except BaseException as e:
        if isinstance(e, (KeyboardInterrupt, SystemExit, MemoryError)):
            raise
        return "refuse", []


def shown(file):
    n = int.from_bytes(file[:LENGTH], "little")
    text = file[LENGTH : LENGTH + 60].decode("latin-1").encode("unicode_escape").decode().replace(" ", "\\x20")
    return f"N={n}{'' if n == len(file) - LENGTH else f' of {len(file) - LENGTH}'} {text[:90]}"


class Count:
    def __init__(self):
        self.pairs = collections.Counter()  # (Python, ours, strict)
        self.errors = collections.Counter()
        self.wrong = []

    def add(self, file, judge, folder, pinned=None):
        """folder None: deserialize alone, which needs no file on disk."""
        python, error, tensors = by_deserialize(file)
        ours, strict, our_tensors = judge.ask(file)
        self.pairs[python, ours, strict] += 1
        self.errors[error] += 1
        why = []
        if python != ours:
            why.append("verdict")
        if tensors != our_tensors:
            why.append("tensors")
        if ours == "refuse" and strict == "accept":
            why.append("strict takes what the default refuses")
        if pinned and pinned != {("accept", "accept"): "accept", ("accept", "refuse"): "tolerate"}.get((python, strict), "refuse"):
            why.append(f"the table says {pinned}")
        if folder:
            opened, keys = by_safe_open(file, folder)
            if opened != python or keys != sorted(bytes.fromhex(t.split(":")[0]).decode() for t in tensors):
                why.append("safe_open differs from deserialize")
        if why:
            self.wrong.append((python, ours, strict, "; ".join(why), file))
        return python, ours, strict

    def report(self, what, out):
        print(f"{what}: {sum(self.pairs.values())} headers, {len(self.wrong)} disagreements", file=out)
        print("  Python  ours    strict   headers", file=out)
        for (python, ours, strict), n in sorted(self.pairs.items()):
            print(f"  {python:7} {ours:7} {strict:7} {n:8}", file=out)
        for e, n in sorted(self.errors.items()):
            if e and e != "SafetensorError":
                print(f"  {n} refused by Python with {e}", file=out)
        for python, ours, strict, why, file in self.wrong[:20]:
            print(f"  DISAGREE {python} {ours} {strict}: {why}: {file[:600]!r}", file=out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out")
    args = parser.parse_args()
    out = open(args.out, "w") if args.out else sys.stdout
    judge, table, drawn = Judge(args.program), Count(), Count()
    rows = dump(args.program)
    print(f"safetensors {safetensors.__version__}, Python {sys.version.split()[0]}", file=out)
    print(f"{'Python':7} {'ours':7} {'strict':7} header", file=out)
    with tempfile.TemporaryDirectory() as folder:
        for pinned, file in rows:
            verdicts = table.add(file, judge, folder, pinned)
            print("{:7} {:7} {:7} ".format(*verdicts) + shown(file), file=out)
        for i, file in enumerate(mutate.files(args.random, args.seed, [f for _, f in rows])):
            drawn.add(file, judge, folder if i % 16 == 0 else None)
    print(file=out)
    table.report("table", out)
    if args.random:
        drawn.report(f"mutated (seed {args.seed}; every 16th through safe_open too)", out)
    if args.out:
        table.report("table", sys.stdout)
        if args.random:
            drawn.report("mutated", sys.stdout)
    return 1 if table.wrong or drawn.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
