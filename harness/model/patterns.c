// SPDX-License-Identifier: Apache-2.0
// Which pattern each name matches and what it captures. The first pattern that matches the whole name wins.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/patterns.h"

#include <pcre2.h>
#include <string.h>

#include "core/text.h"
#include "model/model.h"

const char *const qp_default_patterns[3] = {
    "(?:(.*)\\.)?(?:q_proj|k_proj|v_proj)",
    "(?:(.*)\\.)?(?:gate_proj|up_proj)",
    "(?:(.*)\\.)?(?:w1|w3)",
};

static qp_status compile(const char *pattern, pcre2_code **out, qp_err *err) {
    int code = 0;
    PCRE2_SIZE offset = 0;
    *out = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_ANCHORED | PCRE2_ENDANCHORED,
                         &code, &offset, NULL);
    if (*out != NULL) return QP_OK;
    char reason[160] = "";
    pcre2_get_error_message(code, (PCRE2_UCHAR *)reason, sizeof reason);
    QP_FAIL(QP_USAGE, "pattern '%s' is no regular expression: %s at offset %zu", pattern, reason,
            (size_t)offset);
}

qp_status qp_pattern_check(const char *pattern, qp_err *err) {
    pcre2_code *code = NULL;
    QP_TRY(compile(pattern, &code, err));
    pcre2_code_free(code);
    return QP_OK;
}

// Captures joined by 1F; an unset one (a root-level name under the defaults) is 1E, which differs from an
// empty one.
static qp_status join_captures(const char *name, const PCRE2_SIZE *at, uint32_t n_set, uint32_t n_captures,
                               qp_arena *a, const char **out, qp_err *err) {
    qp_text t = {.arena = a};
    QP_TRY(qp_text_add_bytes(&t, "", 0, err));
    for (uint32_t i = 1; i <= n_captures; i++) {
        if (i > 1) QP_TRY(qp_text_add_bytes(&t, "\x1f", 1, err));
        if (i < n_set && at[2 * i] != PCRE2_UNSET)
            QP_TRY(qp_text_add_bytes(&t, name + at[2 * i], at[2 * i + 1] - at[2 * i], err));
        else
            QP_TRY(qp_text_add_bytes(&t, "\x1e", 1, err));
    }
    *out = t.s != NULL ? t.s : "";
    return QP_OK;
}

// Every name that has no hit yet is tried against one pattern.
static qp_status match_all(const char *const *names, int n, const char *pattern, int index, qp_arena *a,
                           qp_pattern_hit *hits, qp_err *err) {
    qp_status status = QP_OK;
    pcre2_code *code = NULL;
    pcre2_match_data *match = NULL;
    QP_TRY_GOTO(status, compile(pattern, &code, err), out);
    match = pcre2_match_data_create_from_pattern(code, NULL);
    if (match == NULL) QP_FAIL_GOTO(status, out, QP_NOMEM, "no memory for pattern '%s'", pattern);
    uint32_t n_captures = 0;
    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &n_captures);
    for (int i = 0; i < n; i++) {
        if (hits[i].pattern >= 0) continue;
        int rc = pcre2_match(code, (PCRE2_SPTR)names[i], strlen(names[i]), 0, 0, match, NULL);
        if (rc == PCRE2_ERROR_NOMATCH) continue;
        if (rc <= 0)
            QP_FAIL_GOTO(status, out, QP_USAGE, "pattern '%s' on '%s': PCRE2 error %d", pattern, names[i],
                         rc);
        hits[i].pattern = index;
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(match);
        QP_TRY_GOTO(status, join_captures(names[i], at, (uint32_t)rc, n_captures, a, &hits[i].captures, err),
                    out);
    }
out:
    pcre2_match_data_free(match);
    pcre2_code_free(code);
    return status;
}

qp_status qp_pattern_hits(const char *const *names, int n, const char *const *patterns, int n_patterns,
                          qp_arena *a, qp_pattern_hit **out, qp_err *err) {
    qp_pattern_hit *hits = NULL;
    QP_TRY(QP_NEW(a, hits, n > 0 ? n : 1));
    for (int i = 0; i < n; i++) hits[i] = (qp_pattern_hit){-1, ""};
    for (int p = 0; p < n_patterns; p++) QP_TRY(match_all(names, n, patterns[p], p, a, hits, err));
    *out = hits;
    return QP_OK;
}
