// SPDX-License-Identifier: Apache-2.0
// Shared-scale patterns through PCRE2: full match on a module's FQN (pipeline spec B).
#ifndef MODEL_PATTERNS_H
#define MODEL_PATTERNS_H

#include "core/arena.h"

// QP_USAGE when the pattern is no regular expression: "'PATTERN': REASON at offset N". Nothing in front of
// it.
qp_status qp_pattern_check(const char *pattern, qp_err *err);

#endif
