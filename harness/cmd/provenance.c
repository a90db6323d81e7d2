// SPDX-License-Identifier: Apache-2.0
// The allow-list of the record.
#include "cmd/provenance.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "core/text.h"

#define QP_VERSION "0.1.0"

qp_status qp_utc_now(qp_arena *a, const char **out, qp_err *err) {
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    return qp_arena_printf(a, out, err, "%04d-%02d-%02dT%02d:%02d:%02dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                           utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

static qp_status cpu_model(qp_arena *a, const char **out, qp_err *err) {
    char line[256];
    *out = "unknown";
    FILE *f = fopen("/proc/cpuinfo", "re");
    qp_status s = QP_OK;
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || colon == NULL) continue;
        line[strcspn(line, "\n")] = '\0';
        s = qp_arena_strdup(a, colon + 1 + strspn(colon + 1, " "), out, err);
        break;
    }
    if (f != NULL) fclose(f);
    return s;
}

static qp_status command_line(int argc, char **argv, qp_arena *a, const char **out, qp_err *err) {
    qp_text t = {.arena = a};
    QP_TRY(qp_text_add(&t, err, "quantproof"));
    for (int i = 0; i < argc; i++)
        QP_TRY(qp_text_add(&t, err, strpbrk(argv[i], " '\"$") != NULL ? " '%s'" : " %s", argv[i]));
    *out = t.s;
    return QP_OK;
}

qp_status qp_provenance_make(int argc, char **argv, const qp_cmd_options *o, const qp_device *device,
                             qp_arena *a, qp_provenance *out, qp_err *err) {
    struct utsname name;
    const char *(*echo)[2];
    *out = (qp_provenance){
        .version = QP_VERSION, .commit = QP_COMMIT, .compiler = "gcc-compatible " __VERSION__};
    out->cuda = QP_HAVE_CUDA ? "built in" : "not built in";
    out->device = device != NULL ? device->name : "none";
    out->device_detail = device != NULL ? device->detail : "";
    out->n_cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    QP_TRY(cpu_model(a, &out->cpu_model, err));
    out->kernel = "unknown";
    if (uname(&name) == 0)
        QP_TRY(qp_arena_printf(a, &out->kernel, err, "%s %s %s", name.sysname, name.release, name.machine));
    QP_TRY(command_line(argc, argv, a, &out->command_line, err));
    QP_TRY(qp_utc_now(a, &out->started_utc, err));
    QP_TRY(QP_NEW(a, echo, QP_N_ECHOED));
    QP_TRY(qp_options_echo(o, a, echo, err));
    out->settings = (const char *const(*)[2])echo;
    out->n_settings = QP_N_ECHOED;
    return QP_OK;
}
