// SPDX-License-Identifier: Apache-2.0
// Every command, one line each.
#include "cmd/cmd.h"

const qp_command qp_commands[] = {
    {"list", "[SEL]", "cases after expansion, with cost; --keys: every key of every kind", qp_cmd_list},
    {"run", "[SEL | 'CASE'...]", "correctness: run cases, judge, record, report", qp_cmd_run},
    {"repro", "'CASE' [--dump DIR]", "one case, verbosely", qp_cmd_repro},
    {"eval", "OP key=value...", "feed values in, get bits out; --check FILE", qp_cmd_eval},
    {"replay", "FILE...", "pipeline records of another implementation, every state compared", qp_cmd_replay},
    {"verify", "PATH", "audit a checkpoint on disk; --against BF16_PATH derives every code and scale again",
     qp_cmd_verify},
    {"compare", "A B", "two tensor files or folders: bits, codes, ULP, and the class of each difference",
     qp_cmd_compare},
    {"doctor", "", "mutants through the judge: is every check able to be red?", qp_cmd_doctor},
    {"mine", "FORMAT", "hard inputs that tell every variant of the reference from it, into cases/hard/",
     qp_cmd_mine},
    {"report", "DIR...", "record to text, JUnit, CSV and HTML with plots", qp_cmd_report},
};
const int qp_n_commands = QP_COUNT(qp_commands);
