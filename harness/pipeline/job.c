// SPDX-License-Identifier: Apache-2.0
// A case line made concrete: model, recipe, weights, layouts. Loads and decides, runs nothing.
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "pipeline/stages.h"

static bool possible(const qp_job *job, const qp_layout *l) {
    qp_refusal why;
    int which;
    qp_err unused = {0};
    return qp_layout_check(l, job->model, job->recipe, &why, &which, &unused) == QP_OK;
}

static bool try_layout(qp_job *job, qp_layout l, int tp, int ep) {
    const bool etp_is_tp = l.etp == l.tp, dp_is_ep = l.dp == l.ep;
    l.tp = tp;
    l.ep = ep;
    if (etp_is_tp) l.etp = tp;
    if (dp_is_ep) l.dp = ep;
    if (!possible(job, &l)) return false;
    job->load_layout = l;
    return true;
}

// The nearest other layout: half the TP, else TP 2, else half or twice the EP. tp = 0 when there is none.
static void choose_load_layout(qp_job *job) {
    const qp_layout l = job->layout;
    job->load_layout = (qp_layout){0};
    if (l.tp > 1 && l.tp % 2 == 0 && try_layout(job, l, l.tp / 2, l.ep)) return;
    if (l.tp > 1 && try_layout(job, l, 1, l.ep)) return;
    if (l.tp == 1 && try_layout(job, l, 2, l.ep)) return;
    if (l.ep > 1 && try_layout(job, l, l.tp, l.ep / 2)) return;
    if (job->model->n_experts > 0) try_layout(job, l, l.tp, l.ep * 2);
}

static qp_status read_load_layout(const qp_case *c, qp_job *job, qp_err *err) {
    const char *text = qp_case_text(c, "load");
    if (text[0] == 0 || strcmp(text, "auto") == 0) {
        choose_load_layout(job);
        return QP_OK;
    }
    qp_refusal why;
    int which;
    if (!qp_layout_word(text, &job->load_layout))
        QP_FAIL(QP_USAGE, "load=%s: a layout like tp2ep4 wanted", text);
    qp_layout_fill(&job->load_layout);
    QP_TRY(qp_layout_check(&job->load_layout, job->model, job->recipe, &why, &which, err));
    return QP_OK;
}

// A peak in the middle of what this rank holds of every linear.
static qp_status peak_on_rank(const qp_job *job, qp_weights *w, int64_t rank, qp_err *err) {
    const int n_ranks = qp_layout_ranks(&job->layout);
    if (rank < 0 || rank >= n_ranks)
        QP_FAIL(QP_USAGE, "max_on=rank:%lld: the layout has ranks 0 to %d", (long long)rank, n_ranks - 1);
    for (int i = 0; i < job->model->n_modules; i++) {
        const qp_module *m = &job->model->modules[i];
        const qp_slice s = qp_slice_of(m, &job->layout, (int)rank);
        if (!m->quantizable || !s.held || s.n_rows == 0) continue;
        QP_TRY(qp_weights_peak(w, m->fqn, s.rows[0].begin + s.rows[0].count / 2,
                               s.cols.begin + s.cols.count / 2, err));
    }
    return QP_OK;
}

// Is there such a member: the end of a name, or a segment?
static bool has_member(const qp_model *m, const char *name) {
    size_t n = strlen(name);
    for (int i = 0; i < m->n_modules; i++) {
        size_t k = strlen(m->modules[i].fqn);
        if (k > n && m->modules[i].fqn[k - n - 1] == '.' && strcmp(m->modules[i].fqn + k - n, name) == 0)
            return true;
        for (int s = 0; s < m->modules[i].n_segments; s++) {
            const qp_segment *seg = &m->modules[i].segments[s];
            size_t g = seg->gen_name != NULL ? strlen(seg->gen_name) : 0;
            if (seg->name != NULL && strcmp(seg->name, name) == 0) return true;
            if (g > n && seg->gen_name[g - n - 1] == '.' && strcmp(seg->gen_name + g - n, name) == 0)
                return true;
        }
    }
    return false;
}

static qp_status read_max_on(const qp_case *c, const qp_job *job, qp_weights *w, qp_err *err) {
    const char *text = qp_case_text(c, "max_on");
    const char *colon = strchr(text, ':');
    int64_t n = 0;
    if (text[0] == 0) return QP_OK;
    if (colon && strncmp(text, "member:", 7) == 0) {
        if (!has_member(job->model, colon + 1))
            QP_FAIL(QP_USAGE, "max_on=%s: no module or segment of %s has that name", text, job->model->name);
        qp_weights_boost(w, colon + 1, -1);
        return QP_OK;
    }
    if (!colon || !qp_parse_i64(colon + 1, &n))
        QP_FAIL(QP_USAGE, "max_on=%s: rank:N, expert:N or member:NAME wanted", text);
    if (strncmp(text, "rank:", 5) == 0) return peak_on_rank(job, w, n, err);
    if (n < 0 || n >= job->model->n_experts)
        QP_FAIL(QP_USAGE, "max_on=%s: %s has %d experts", text, job->model->name, job->model->n_experts);
    qp_weights_boost(w, NULL, (int)n);
    return QP_OK;
}

static qp_status read_weights(const qp_case *c, const qp_job *job, qp_arena *a, qp_weights **out,
                              qp_err *err) {
    const char *text = qp_case_text(c, "weights");
    const qp_gen gen = {
        .seed = job->seed, .dist = QP_DIST_GAUSS, .sigma = 0.02, .format = QP_FORMAT_NONE, .peak_index = -1};
    QP_TRY(strcmp(text, "generated") == 0 ? qp_weights_generated(&gen, a, out, err)
                                          : qp_weights_open(text, a, out, err));
    return read_max_on(c, job, *out, err);
}

qp_status qp_job_make(const qp_case *c, const char *data_dir, qp_subject *subject, qp_arena *a, qp_job *out,
                      qp_err *err) {
    qp_model *model;
    qp_recipe *recipe;
    qp_weights *weights;
    *out = (qp_job){.repro = c->line, .subject = subject, .stages = &qp_stages_default};
    if (!qp_case_layout(c, &out->layout)) QP_FAIL(QP_BROKEN, "%s: no pipeline case", c->line);
    out->names = strcmp(qp_case_text(c, "names"), "megatron") == 0 ? QP_NAMES_MEGATRON : QP_NAMES_HF;
    out->sync =
        strcmp(qp_case_text(c, "sync"), "modelopt-0.47") == 0 ? QP_SYNC_MODELOPT_047 : QP_SYNC_INVARIANT;
    out->tokens = qp_case_int(c, "tokens");
    out->rows = qp_case_int(c, "rows");
    out->seed = qp_case_u64(c, "seed");
    QP_TRY(QP_NEW(a, model, 1));
    QP_TRY(QP_NEW(a, recipe, 1));
    QP_TRY(qp_model_load(qp_case_text(c, "model"), data_dir, qp_case_text(c, "layers"), out->names, a, model,
                         err));
    QP_TRY(qp_recipe_load(qp_case_text(c, "recipe"), data_dir, a, recipe, err));
    out->model = model;
    out->recipe = recipe;
    QP_TRY(read_weights(c, out, a, &weights, err));
    out->weights = weights;
    return read_load_layout(c, out, err);
}
