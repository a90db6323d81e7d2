// SPDX-License-Identifier: Apache-2.0
// The error trail: first failure wins, every caller adds its place.
#include "qp/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

qp_status qp_err_set(qp_err *err, qp_status code, const char *file, int line, const char *fmt, ...) {
    if (err == NULL || err->code != QP_OK) return code;
    err->code = code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    err->n_trail = 0;
    qp_err_trail(err, file, line);
    return code;
}

void qp_err_trail(qp_err *err, const char *file, int line) {
    if (err == NULL || err->n_trail >= QP_ERR_TRAIL) return;
    err->trail[err->n_trail].file = file;
    err->trail[err->n_trail].line = line;
    err->n_trail++;
}

void qp_err_prefix(qp_err *err, const char *fmt, ...) {
    if (err == NULL) return;
    char old[QP_ERR_MSG], front[QP_ERR_MSG / 2];
    memcpy(old, err->msg, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(front, sizeof front, fmt, ap);
    va_end(ap);
    snprintf(err->msg, sizeof err->msg, "%s: %.*s", front, (int)(sizeof err->msg - sizeof front - 3), old);
}

void qp_err_clear(qp_err *err) {
    if (err != NULL) memset(err, 0, sizeof *err);
}

const char *qp_status_name(qp_status code) {
    static const char *const names[QP_STATUS_COUNT] = {"ok",         "usage",     "refused",     "corrupt",
                                                       "io",         "no-memory", "unavailable", "timeout",
                                                       "collective", "peer",      "broken"};
    return (unsigned)code < QP_STATUS_COUNT ? names[code] : "?";
}
