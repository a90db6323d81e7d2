// SPDX-License-Identifier: Apache-2.0
// Opening an implementation under test, and one launch through it. How launches are watched is in guard.c.
#include "core/file.h"
#include "core/text.h"
#include "subject/run.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// ---- built-in kernels
// ------------------------------------------------------------------------------------------------

static const qp_kernel_row *find_kernel(qp_device_kind kind, qp_op op, qp_format format, qp_engine engine) {
    for (int i = 0; i < qp_n_kernels; i++) {
        const qp_kernel_row *k = &qp_kernels[i];
        if (k->device == kind && k->op == op && k->format == format && k->engine == engine) return k;
    }
    return NULL;
}

static qp_status find_or_say(const qp_subject *s, qp_op op, qp_format format, qp_engine engine,
                             const qp_kernel_row **out, qp_err *err) {
    const qp_format_row *f = qp_format_get(format);
    const char *device = qp_device_kind_name(s->dev->kind);
    if (f == NULL || (unsigned)op >= QP_OP_COUNT)
        QP_FAIL(QP_BROKEN, "no such op or format (%d, %d)", (int)op, (int)format);
    *out = find_kernel(s->dev->kind, op, format, engine);
    if (*out == NULL)
        QP_FAIL(QP_REFUSED, "no built-in kernel for %s %s engine=%s on %s", qp_op_name(op), f->name,
                qp_engine_name(engine), device);
    if ((*out)->fn == NULL)
        QP_FAIL(QP_UNAVAILABLE, "%s: not in this build (no CUDA toolkit was found)", (*out)->name);
    return QP_OK;
}

// ---- plug-ins
// --------------------------------------------------------------------------------------------------------

// "FILE.so" or "FILE.so:VARIANT"; a colon inside an existing file name belongs to the name.
static void split_spec(const char *spec, char *path, size_t n, const char **variant) {
    const char *colon = strrchr(spec, ':');
    bool whole = colon == NULL || qp_file_exists(spec);
    *variant = whole ? "" : colon + 1;
    size_t len = whole ? strlen(spec) : (size_t)(colon - spec);
    bool plain = memchr(spec, '/', len) == NULL; // dlopen would search the system's folders for a plain name
    snprintf(path, n, "%s%.*s", plain ? "./" : "", (int)len, spec);
}

qp_status subject_check_plugin(const char *path, const qp_plugin *p, qp_err *err) {
    if (p == NULL) QP_FAIL(QP_USAGE, "%s: qp_plugin_v1() returned NULL", path);
    if (p->abi != QP_PLUGIN_ABI)
        QP_FAIL(QP_USAGE, "%s: plug-in ABI %d wanted, got %d", path, QP_PLUGIN_ABI, p->abi);
    if (p->launch_bytes != sizeof(qp_launch) || p->tensor_bytes != sizeof(qp_ktensor))
        QP_FAIL(
            QP_USAGE,
            "%s: built with other headers: qp_launch %zu and qp_ktensor %zu bytes wanted, got %zu and %zu",
            path, sizeof(qp_launch), sizeof(qp_ktensor), p->launch_bytes, p->tensor_bytes);
    if ((unsigned)p->device >= QP_DEVICE_COUNT || p->device == QP_DEVICE_SIMT)
        QP_FAIL(QP_USAGE, "%s: device cpu or cuda wanted, got %s", path, qp_device_kind_name(p->device));
    if (p->name == NULL || p->version == NULL || p->variants == NULL || p->n_variants < 1)
        QP_FAIL(QP_USAGE, "%s: a name, a version and at least one variant wanted", path);
    for (int i = 0; i < p->n_variants; i++)
        if (p->variants[i].name == NULL || p->variants[i].run == NULL)
            QP_FAIL(QP_USAGE, "%s: variant %d has no name or no function", path, i);
    return QP_OK;
}

static qp_status choose_variant(qp_subject *s, const char *path, const char *name, qp_arena *a, qp_err *err) {
    const qp_plugin *p = s->plugin;
    const char **names;
    qp_text all = {.arena = a};
    QP_TRY(QP_NEW(a, names, p->n_variants));
    for (int i = 0; i < p->n_variants; i++) {
        names[i] = p->variants[i].name;
        QP_TRY(qp_text_add(&all, err, "%s%s", i > 0 ? " " : "", names[i]));
        if (strcmp(names[i], name) == 0) s->variant = &p->variants[i];
    }
    if (s->variant == NULL && name[0] == '\0' && p->n_variants == 1) s->variant = &p->variants[0];
    if (s->variant != NULL) return QP_OK;
    if (name[0] == '\0')
        QP_FAIL(QP_USAGE, "%s: has %d variants, name one as %s:VARIANT (%s)", path, p->n_variants, path,
                all.s);
    const char *near = qp_nearest(name, names, p->n_variants);
    QP_FAIL(QP_USAGE, "%s: no variant '%s'%s%s%s (there are: %s)", path, name,
            near != NULL ? ", did you mean '" : "", near != NULL ? near : "", near != NULL ? "'?" : "",
            all.s);
}

static qp_status load_plugin(qp_subject *s, const char *spec, qp_arena *a, qp_err *err) {
    char path[1100];
    const char *variant;
    union { // ISO C has no cast from data to function pointers
        void *data;
        qp_plugin_entry_fn entry;
    } symbol;
    split_spec(spec, path, sizeof path, &variant);
    if (spec[0] == '\0' || !qp_file_exists(path)) {
        static const char *const builtin[] = {"builtin"};
        const char *near = qp_nearest(spec, builtin, 1);
        if (near != NULL) QP_FAIL(QP_USAGE, "unknown subject '%s': did you mean '%s'?", spec, near);
        QP_FAIL(QP_USAGE, "subject '%s': no such file (builtin, FILE.so or FILE.so:VARIANT wanted)", spec);
    }
    s->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (s->library == NULL) QP_FAIL(QP_USAGE, "%s: cannot be loaded: %s", path, dlerror());
    symbol.data = dlsym(s->library, "qp_plugin_v1");
    if (symbol.data == NULL) QP_FAIL(QP_USAGE, "%s: does not export qp_plugin_v1, so it is no plug-in", path);
    s->plugin = symbol.entry();
    QP_TRY(subject_check_plugin(path, s->plugin, err));
    QP_TRY(choose_variant(s, path, variant, a, err));
    return qp_arena_printf(a, &s->name, err, "%s (%s %s)", spec, s->plugin->name, s->plugin->version);
}

// A plug-in for host memory also serves under simt; any other difference needs a device of its kind.
static qp_status match_device(qp_subject *s, qp_arena *a, qp_err *err) {
    bool host_plugin = s->plugin->device == QP_DEVICE_CPU, host_device = s->dev->kind != QP_DEVICE_CUDA;
    if (host_plugin == host_device) return QP_OK;
    QP_TRY(qp_device_open(host_plugin ? "cpu" : "cuda", a, &s->dev, err));
    s->own_dev = true;
    return QP_OK;
}

qp_status qp_subject_open(const char *spec, qp_device *dev, qp_arena *a, qp_subject **out, qp_err *err) {
    qp_subject *s;
    QP_TRY(QP_NEW(a, s, 1));
    s->dev = dev;
    s->name = "builtin";
    s->texts = qp_arena_new();
    if (s->texts == NULL) QP_FAIL(QP_NOMEM, "subject %s: no memory", spec);
    pthread_mutex_init(&s->lock, NULL);
    if (strcmp(spec, "builtin") != 0) {
        qp_status status = load_plugin(s, spec, a, err);
        if (status == QP_OK) status = match_device(s, a, err);
        if (status != QP_OK) {
            qp_subject_close(s);
            return status;
        }
    }
    *out = s;
    return QP_OK;
}

void qp_subject_close(qp_subject *s) {
    if (s == NULL) return;
    if (s->own_dev) qp_device_close(s->dev);
    s->own_dev = false;
    if (s->texts != NULL) pthread_mutex_destroy(&s->lock);
    qp_arena_free(s->texts);
    s->texts = NULL;
    if (s->library != NULL) dlclose(s->library);
    s->library = NULL;
}

const char *qp_subject_name(const qp_subject *s) {
    return s->name;
}

qp_device *qp_subject_device(qp_subject *s) {
    return s->dev;
}

const char *subject_text(qp_subject *s, const char *fmt, ...) {
    char text[512];
    const char *kept = NULL;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&s->lock);
    (void)qp_arena_strdup(s->texts, text, &kept, NULL);
    pthread_mutex_unlock(&s->lock);
    return kept;
}

static qp_status run_plugin(const qp_subject *s, const qp_launch *launch, qp_err *err) {
    char msg[512] = "";
    qp_status status = s->variant->run(launch, msg, sizeof msg);
    if (status == QP_OK) return QP_OK;
    msg[sizeof msg - 1] = '\0';
    if ((unsigned)status >= QP_STATUS_COUNT) QP_FAIL(QP_BROKEN, "returned status %d", (int)status);
    QP_FAIL(status, "%s", msg[0] != '\0' ? msg : "no reason given");
}

qp_status subject_launch(qp_subject *s, const qp_launch *launch, const char **what, qp_err *err) {
    if (s->plugin != NULL) {
        *what = s->variant->name[0] != '\0' ? s->variant->name : s->plugin->name;
        return run_plugin(s, launch, err);
    }
    const qp_kernel_row *k;
    QP_TRY(find_or_say(s, launch->op, launch->format, launch->engine, &k, err));
    *what = k->name;
    return k->fn(launch, err);
}

qp_status qp_subject_offers(const qp_subject *s, qp_op op, qp_format format, qp_engine engine, qp_dtype dtype,
                            qp_err *err) {
    if (s->plugin != NULL) {
        // A plug-in answers for itself: a launch of no tensors costs nothing.
        const qp_ktensor none = {0};
        qp_launch l = {.op = op, .format = format, .engine = engine, .dtype = dtype, .tensors = &none};
        qp_status status = run_plugin(s, &l, err);
        if (status != QP_OK) qp_err_prefix(err, "%s", s->name);
        return status;
    }
    const qp_kernel_row *k;
    QP_TRY(find_or_say(s, op, format, engine, &k, err));
    if (dtype != QP_BF16 && dtype != QP_FP16 && dtype != QP_FP32)
        QP_FAIL(QP_REFUSED, "%s: bf16, fp16 or fp32 wanted, got %s", k->name, qp_dtype_name(dtype));
    return QP_OK;
}
