# SPDX-License-Identifier: Apache-2.0
"""One `quantproof eval` kept open on a pipe: a line in, a line out, flushed. And what one case is."""

import dataclasses
import subprocess


@dataclasses.dataclass
class Case:
    """One question and the outside answer to it."""

    op: str
    fmt: str  # "" for ops without formats
    dtype: str  # column of the table
    keys: dict  # inputs, in the order of the line
    answers: dict  # answer key -> hex words with commas
    engine: str = ""  # engine whose path the outside package is; "" for ops that have none
    within: dict = dataclasses.field(
        default_factory=dict
    )  # answer key -> (absolute, relative) tolerance, with a reason
    zeros: tuple = ()  # answer keys where the outsider says nothing about the sign of zero
    note: str = ""  # written beside the line in golden files

    def line(self, engine):
        words = [f"op={self.op}"]
        if self.fmt:
            words.append(f"fmt={self.fmt}")
        if engine:
            words.append(f"engine={engine}")
        words += [f"{k}={v}" for k, v in self.keys.items()]
        return " ".join(words)


class Eval:
    def __init__(self, program):
        self.program = program
        self.process = subprocess.Popen(
            [program, "eval"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )
        self.engines = self._engines()

    def ask(self, line):
        """Answer keys -> text; a string when the line is refused or not built."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        reply = self.process.stdout.readline()
        if not reply:
            raise RuntimeError(f"{self.program} eval ended on: {line[:200]}")
        if reply.startswith("#"):
            return reply[2:].strip()
        return dict(word.split("=", 1) for word in reply.split())

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def _engines(self):
        """(op, format) -> engines that answer, from the table that eval itself prints."""
        text = subprocess.run([self.program, "eval", "--list"], capture_output=True, text=True, check=True).stdout
        table = {}
        for row in text.split("\nengines", 1)[1].splitlines()[1:]:
            words = row.split()
            if len(words) >= 2:
                table[words[0], words[1]] = [w for w in words[2:] if not w.endswith("(later)")]
        return table
