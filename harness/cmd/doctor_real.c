// SPDX-License-Identifier: Apache-2.0
// The sound checkpoints among those that real packages wrote (cases/checkpoints), for the damage matrix.
#include <jansson.h>
#include <string.h>

#include "cmd/doctor_damage.h"
#include "core/file.h"

static qp_status take(const char *folder, const char *name, json_t *row, qp_arena *a, qp_doctor_sound *out,
                      qp_err *err) {
    const char *original = json_string_value(json_object_get(row, "original"));
    const char *dialect = json_string_value(json_object_get(row, "dialect"));
    if (original == NULL || dialect == NULL)
        QP_FAIL(QP_CORRUPT, "%s/expect.json: %s: texts 'original' and 'dialect' were wanted", folder, name);
    *out = (qp_doctor_sound){.real = true};
    QP_TRY(qp_arena_strdup(a, name, &out->name, err));
    QP_TRY(qp_arena_strdup(a, strcmp(dialect, "fp8") == 0 ? "deepseek-fp8" : dialect, &out->dialect, err));
    QP_TRY(qp_arena_printf(a, &out->folder, err, "%s/%s", folder, name));
    return qp_arena_printf(a, &out->original, err, "%s/%s", folder, original);
}

qp_status qp_doctor_real(const char *data_dir, qp_arena *a, qp_doctor_sound **out, int *n, qp_err *err) {
    const char *folder, *path, *name;
    char *text;
    size_t n_text;
    json_error_t at;
    json_t *row;
    qp_status status = QP_OK;
    *n = 0;
    QP_TRY(qp_arena_printf(a, &folder, err, "%s/checkpoints", data_dir));
    QP_TRY(qp_arena_printf(a, &path, err, "%s/expect.json", folder));
    QP_TRY(qp_file_read(path, a, &text, &n_text, err));
    json_t *all = json_loadb(text, n_text, 0, &at);
    if (!json_is_object(all))
        QP_FAIL_GOTO(status, out, QP_CORRUPT, "%s:%d: an object was wanted: %s", path, at.line, at.text);
    QP_TRY_GOTO(status, QP_NEW(a, *out, json_object_size(all) + 1), out);
    json_object_foreach(all, name, row) {
        const char *expected = json_string_value(json_object_get(row, "expected"));
        if (expected == NULL || strcmp(expected, "sound") != 0) continue;
        QP_TRY_GOTO(status, take(folder, name, row, a, &(*out)[*n], err), out);
        ++*n;
    }
out:
    json_decref(all);
    return status;
}
