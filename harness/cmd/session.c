// SPDX-License-Identifier: Apache-2.0
// From options to something that can run cases.
#include "cmd/session.h"

#include <unistd.h>

#include "cmd/run_env.h"
#include "core/file.h"

static qp_status open_device(qp_session *s, const qp_cmd_options *o, qp_arena *a, qp_err *err) {
    qp_err own = {0};
    char banner[512];
    // An instruction set is one of the cpu; one that is not here is a device that is not here.
    const char *device = o->isa != NULL ? "cpu" : o->device;
    qp_status status = qp_cpu_isa_force(o->isa, &own);
    if (status == QP_OK) status = qp_device_open(device, a, &s->device, &own);
    if (status == QP_UNAVAILABLE) {
        s->device = NULL;
        QP_TRY(qp_arena_printf(a, &s->missing, err, "device %s is not here: %s", device, own.msg));
        s->banner = s->missing;
        return QP_OK;
    }
    if (status != QP_OK) {
        if (err != NULL) *err = own;
        return status;
    }
    return qp_arena_strdup(a, qp_device_banner(s->device, banner, sizeof banner), &s->banner, err);
}

qp_status qp_session_open(qp_session *s, const qp_cmd_options *o, const char *data_dir, const char *scratch,
                          const char *dump_dir, qp_arena *a, qp_err *err) {
    *s = (qp_session){.scratch = qp_file_exists(scratch)
                                     ? NULL
                                     : scratch}; // what stood there before the run is not ours to remove
    QP_TRY(open_device(s, o, a, err));
    if (s->device != NULL) QP_TRY(qp_subject_open(o->subject, s->device, a, &s->subject, err));
    qp_run_settings settings = {.data_dir = data_dir,
                                .scratch = scratch,
                                .device = s->device,
                                .subject = s->subject,
                                .timeout_s = o->timeout_s,
                                .mem_max = o->mem_max,
                                .dump_dir = dump_dir,
                                .inject = o->inject};
    return qp_run_env_new(&settings, &s->env, err);
}

void qp_session_run(qp_session *s, const qp_case *c, qp_arena *a, qp_case_result *out, qp_err *err) {
    qp_status status = qp_run_case(s->env, c, a, out, err);
    if (status != QP_OK) qp_say_fault(out, a, status, err != NULL ? err->msg : "");
    if (s->device == NULL && out->verdict == QP_SKIP) {
        out->named_device_skip = true;
        out->text = s->missing;
    }
}

void qp_session_close(qp_session *s) {
    qp_run_env_free(s->env);
    if (s->subject != NULL) qp_subject_close(s->subject);
    if (s->device != NULL) qp_device_close(s->device);
    // Cases remove their own folders in it; what stood there before, or a case left behind, keeps it.
    if (s->scratch != NULL) (void)rmdir(s->scratch);
}
