// SPDX-License-Identifier: Apache-2.0
// Where the data of a checkout is: beside the working folder first, then beside the program.
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "core/file.h"

qp_status qp_data_dir(qp_arena *a, const char **out, qp_err *err) {
    if (qp_file_exists("cases/models")) {
        *out = "cases";
        return QP_OK;
    }
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    for (exe[n > 0 ? n : 0] = '\0'; strchr(exe, '/') != NULL;) {
        *strrchr(exe, '/') = '\0'; // build/quantproof, or a build folder of its own below build/
        const char *probe;
        QP_TRY(qp_arena_printf(a, out, err, "%s/cases", exe));
        QP_TRY(qp_arena_printf(a, &probe, err, "%s/models", *out));
        if (qp_file_exists(probe)) return QP_OK;
    }
    QP_FAIL(QP_USAGE, "folder cases: wanted ./cases or cases beside the program's folder, found neither");
}
