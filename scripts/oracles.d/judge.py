# SPDX-License-Identifier: Apache-2.0
"""Our answer beside the outside one, value by value: agreed, explained by a named engine, or different."""

import collections
import struct

# Answer keys that are E4M3 bytes.
E4M3 = {
    "codes": ("fp8-e4m3", "fp8-axis0", "fp8-block2d", "fp8-export", "mxfp8-e4m3"),
    "scales": ("nvfp4", "nvfp4-static", "nvfp4-46", "nvfp4-w4a8"),
}
WHY = 3  # examples kept per row of the table


def number(word, dtype):
    bits = int(word, 16)
    if len(word) == 8:
        return struct.unpack(">f", struct.pack(">I", bits))[0]
    if dtype == "fp16":
        return struct.unpack(">e", struct.pack(">H", bits))[0]
    return struct.unpack(">f", struct.pack(">I", bits << 16))[0]


def same(case, key, want, got):
    if want == got:
        return True
    if case.fmt in E4M3.get(key, ()):  # NaN is a class: its sign in torch follows the SIMD lane
        return int(want, 16) & 0x7F == 0x7F == int(got, 16) & 0x7F
    if key in case.within:
        a, b = number(want, case.keys.get("in")), number(got, case.keys.get("in"))
        absolute, relative = case.within[key]
        return abs(a - b) <= absolute + relative * abs(a)
    if key in case.zeros:
        return int(want, 16) & ((1 << 4 * len(want) - 1) - 1) == 0 == int(got, 16) & ((1 << 4 * len(got) - 1) - 1)
    return False


def differing(case, reply):
    """Places (key, index) where reply is not the outside answer; None: no answer of that shape."""
    places = []
    for key, text in case.answers.items():
        want, got = str(text).split(","), reply.get(key, "").split(",")
        if len(want) != len(got):
            return None
        places += [(key, i) for i, (a, b) in enumerate(zip(want, got)) if not same(case, key, a, b)]
    return places


class Row:
    def __init__(self):
        self.lines = self.values = self.agreed = self.different = self.refused = 0
        self.explained = collections.Counter()
        self.examples = []
        self.missing = collections.Counter()


class Judge:
    """A case names the engine whose path its package is: that one must give the outside bits everywhere. Where the
    default engine gives other ones, the difference is explained by it. A codec without a path of its own (gfloat,
    NVIDIA's header) may be explained by either source."""

    def __init__(self, eval_process):
        self.eval = eval_process
        self.rows = collections.OrderedDict()

    def paths(self, case):
        """(label, line), the package's own path first."""
        yield case.engine or "-", case.line(case.engine)
        if case.op in ("encode", "decode"):
            other = "torch" if case.keys["source"] == "ml_dtypes" else "ml_dtypes"
            yield f"source={other}", case.line("").replace(f"source={case.keys['source']}", f"source={other}")

    def ask(self, row, case, line):
        """Reply and differing places; None twice: no answer to compare."""
        reply = self.eval.ask(line)
        if isinstance(reply, str):
            row.missing[reply.split(": ", 1)[-1][:100]] += 1
            return None, None
        places = differing(case, reply)
        if places is None:
            row.missing["answer of another length"] += 1
            return None, None
        return reply, set(places)

    def judge(self, oracle, case):
        row = self.rows.setdefault((oracle, case.op, case.fmt, case.dtype), Row())
        row.lines += 1
        n = sum(str(v).count(",") + 1 for v in case.answers.values())
        row.values += n
        own, *others = self.paths(case)
        reply, places = self.ask(row, case, own[1])
        if reply is None:
            row.refused += 1
            return
        for label, line in others if places else ():
            _, left = self.ask(row, case, line)
            if left is not None and not left & places:
                row.explained[label] += len(places)
                row.agreed += n - len(places)
                return
        if places:
            self.unlike(row, case, own[1], reply, places, n)
            return
        beside = self.of_default(case)
        row.agreed += n - len(beside)
        if beside:
            row.explained[case.engine] += len(beside)

    def of_default(self, case):
        """Where the default engine answers otherwise; nothing where it has no answer or refuses this input."""
        if case.engine in ("", "ieee") or "ieee" not in self.eval.engines.get((case.op, case.fmt), []):
            return set()
        reply = self.eval.ask(case.line("ieee"))
        return set() if isinstance(reply, str) else set(differing(case, reply) or ())

    def unlike(self, row, case, line, reply, places, n):
        row.agreed += n - len(places)
        row.different += len(places)
        if len(row.examples) < WHY:
            key, i = sorted(places)[0]
            want, got = str(case.answers[key]).split(",")[i], reply[key].split(",")[i]
            row.examples.append(f"{line}  {key}[{i}]: outside {want}, ours {got}")

    def unexplained(self):
        return sum(r.different for r in self.rows.values())

    def unanswered(self):
        return sum(r.refused for r in self.rows.values())


def table(rows):
    head = f"{'oracle':<30} {'op':<10} {'format':<14} {'dtype':<11} {'lines':>6} {'values':>8} {'agreed':>8}"
    head += "  explained (by engine)"
    yield head + " / different"
    for (oracle, op, fmt, dtype), r in rows.items():
        why = ", ".join(f"{n} {e}" for e, n in r.explained.items()) or "0"
        tail = f" / {r.different}" + (f"  NOT ANSWERED {r.refused} lines: {list(r.missing)[0]}" if r.refused else "")
        yield f"{oracle:<30} {op:<10} {fmt or '-':<14} {dtype:<11} {r.lines:>6} {r.values:>8} {r.agreed:>8}  {why}{tail}"
