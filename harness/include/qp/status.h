// SPDX-License-Identifier: Apache-2.0
// qp_status says that the harness could not do its job; what a subject did right or wrong is a verdict
// (finding.h). A function that can fail returns qp_status and takes qp_err *err last. The functions below
// live in harness/core.
#ifndef QP_STATUS_H
#define QP_STATUS_H

#include "qp/base.h"

QP_BEGIN_C

typedef enum qp_status {
    QP_OK = 0,
    QP_USAGE,       // bad input of the user: case line, YAML, option, unknown device (exit 2)
    QP_REFUSED,     // a layout or format that the shapes do not allow (exit 2 unless expected)
    QP_CORRUPT,     // a file that is not what it claims: checkpoint, record
    QP_IO,          // the operating system said no: errno text is in the message
    QP_NOMEM,       // out of memory, or above --mem-max
    QP_UNAVAILABLE, // a device, ISA or library that is not here: becomes SKIP with this message
    QP_TIMEOUT,     // a rank or case ran past its limit
    QP_COLLECTIVE,  // ranks issued different collectives, or one never arrived
    QP_PEER,        // this rank is fine, another rank failed first
    QP_BROKEN,      // the harness itself is wrong (exit 99)
    QP_STATUS_COUNT
} qp_status;

enum { QP_ERR_MSG = 1024, QP_ERR_TRAIL = 16 };

typedef struct qp_err {
    qp_status code;
    char msg[QP_ERR_MSG];
    int n_trail;
    struct {
        const char *file;
        int line;
    } trail[QP_ERR_TRAIL];
} qp_err;

// Stores the first failure (a later one does not overwrite it) and returns code. err may be NULL.
qp_status qp_err_set(qp_err *err, qp_status code, const char *file, int line, const char *fmt, ...)
    QP_PRINTF(5, 6);
void qp_err_trail(qp_err *err, const char *file, int line);
// Puts context in front of the message: "FILE: " + old text.
void qp_err_prefix(qp_err *err, const char *fmt, ...) QP_PRINTF(2, 3);
void qp_err_clear(qp_err *err);
const char *qp_status_name(qp_status code);

#define QP_FAIL(code, ...) return qp_err_set(err, (code), __FILE__, __LINE__, __VA_ARGS__)
#define QP_TRY(call)                                                                                         \
    do {                                                                                                     \
        qp_status qp_try_status_ = (call);                                                                   \
        if (qp_try_status_ != QP_OK) {                                                                       \
            qp_err_trail(err, __FILE__, __LINE__);                                                           \
            return qp_try_status_;                                                                           \
        }                                                                                                    \
    } while (0)
#define QP_FAIL_GOTO(status, out, code, ...)                                                                 \
    do {                                                                                                     \
        (status) = qp_err_set(err, (code), __FILE__, __LINE__, __VA_ARGS__);                                 \
        goto out;                                                                                            \
    } while (0)
#define QP_TRY_GOTO(status, call, out)                                                                       \
    do {                                                                                                     \
        (status) = (call);                                                                                   \
        if ((status) != QP_OK) {                                                                             \
            qp_err_trail(err, __FILE__, __LINE__);                                                           \
            goto out;                                                                                        \
        }                                                                                                    \
    } while (0)

QP_END_C
#endif
