// SPDX-License-Identifier: Apache-2.0
// Command report: makes everything of a record again, also of a run that was killed.
#include "report/report.h"

#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"

static const char usage[] = "usage: quantproof report DIR... [--junit FILE]\n"
                            "  DIR/record.jsonl -> DIR/report.txt junit.xml results.csv index.html plots/\n"
                            "  --junit FILE     one more copy of junit.xml (one DIR only)\n";

qp_status qp_cmd_report(int argc, char **argv, int *exit_code, qp_err *err) {
    const char *junit = NULL;
    int n_dirs = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            printf("%s", usage);
            return QP_OK;
        }
        if (strcmp(argv[i], "--junit") == 0 && i + 1 < argc)
            junit = argv[++i];
        else if (argv[i][0] == '-')
            QP_FAIL(QP_USAGE, "unknown option '%s'\n%s", argv[i], usage);
        else
            argv[++n_dirs] = argv[i]; // folders move to the front; argv[0] stays
    }
    if (n_dirs == 0) QP_FAIL(QP_USAGE, "a folder is missing\n%s", usage);
    if (junit != NULL && n_dirs > 1) QP_FAIL(QP_USAGE, "--junit FILE takes one folder, got %d", n_dirs);
    for (int i = 1; i <= n_dirs; i++) {
        QP_TRY(qp_report_write(argv[i], junit, err));
        printf("%s/index.html\n", argv[i]);
    }
    *exit_code = 0;
    return QP_OK;
}
