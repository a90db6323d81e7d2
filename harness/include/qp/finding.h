// SPDX-License-Identifier: Apache-2.0
// What a check says: one verdict with a reason from a closed list, counts, and the first difference. Worst
// verdict wins.
#ifndef QP_FINDING_H
#define QP_FINDING_H

#include "qp/base.h"

typedef enum qp_verdict {
    QP_PASS,
    QP_SKIP,
    QP_SUSPECT,
    QP_FAILED,
    QP_VERDICT_BROKEN,
    QP_VERDICT_COUNT
} qp_verdict;

static inline const char *qp_verdict_name(qp_verdict v) {
    static const char *const names[QP_VERDICT_COUNT] = {"PASS", "SKIP", "SUSPECT", "FAIL", "BROKEN"};
    return (unsigned)v < QP_VERDICT_COUNT ? names[v] : "?";
}

typedef enum qp_reason {
    QP_WHY_OK,
    QP_WHY_NO_DEVICE,      // SKIP
    QP_WHY_NOT_BUILT,      // SKIP: known format, op or engine of a later release
    QP_WHY_TOO_BIG,        // SKIP: above --mem-max, with numbers
    QP_WHY_NOTHING_JUDGED, // SUSPECT
    QP_WHY_COVERAGE,       // SUSPECT: a floor was missed
    QP_WHY_ALL_ZERO,       // SUSPECT
    QP_WHY_DIFFERENT,      // FAIL: bits differ
    QP_WHY_MISSING,        // FAIL: state that should exist does not
    QP_WHY_UNEXPECTED,     // FAIL: state that should not exist does
    QP_WHY_COLLECTIVE,     // FAIL: ranks disagree about a collective
    QP_WHY_GUARD,          // FAIL: memory touched or not written
    QP_WHY_NOT_REFUSED,    // FAIL: should have been refused
    QP_WHY_REFUSED,        // FAIL (exit 2): refused where it should run
    QP_WHY_SWALLOWED,      // FAIL: an error was hidden
    QP_WHY_CRASH,          // FAIL (exit 5)
    QP_WHY_TIMEOUT,        // FAIL (exit 5)
    QP_WHY_ORACLE,         // BROKEN: oracles disagree or the harness failed
    QP_WHY_COUNT
} qp_reason;

static inline const char *qp_reason_name(qp_reason r) {
    static const char *const names[QP_WHY_COUNT] = {
        "ok",          "no-device", "not-built", "too-big",    "nothing-judged", "coverage",
        "all-zero",    "different", "missing",   "unexpected", "collective",     "guard",
        "not-refused", "refused",   "swallowed", "crash",      "timeout",        "oracle"};
    return (unsigned)r < QP_WHY_COUNT ? names[r] : "?";
}

enum { QP_DIST_BINS = 33 }; // signed code distance -16..+16, the ends collect the rest

typedef struct qp_finding {
    const char *check; // name of the check
    qp_verdict verdict;
    qp_reason reason;
    int64_t n_judged, n_diff;
    int64_t max_ulp; // largest distance in units of the dtype's last place (NaN against number: INT64_MAX)
    int64_t dist[QP_DIST_BINS]; // signed code distance histogram (bits checks)
    char where[256];            // stage fqn field rank index of the first difference
    char want[48], got[48];     // hex
    char text[512];             // one sentence for people
} qp_finding;

#endif
