// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: any bytes as a model file. Beyond the sanitizers it holds that a refusal names the file,
// that an accepted model has sound modules under both namings, with the same parameters, and that the slices
// of a layout lie within them.
#include "core/fuzz/fuzz.h"
#include "model/model_doc.h"

enum { MAX_MODULES = 4096 }; // what a module costs is known; more of the same finds nothing

static const char path[] = "fuzz.yaml";

static void check_slices(const qp_module *m) {
    static const qp_layout layouts[] = {
        {.tp = 1, .cp = 1, .pp = 1, .dp = 1, .ep = 1, .etp = 1},
        {.tp = 2, .cp = 1, .pp = 1, .dp = 2, .ep = 2, .etp = 2},
        {.tp = 4, .cp = 1, .pp = 1, .dp = 4, .ep = 4, .etp = 1},
    };
    for (int l = 0; l < QP_COUNT(layouts); l++)
        for (int rank = 0; rank < qp_layout_ranks(&layouts[l]); rank++) {
            qp_slice s = qp_slice_of(m, &layouts[l], rank);
            if (!s.held) continue;
            int64_t rows = 0;
            hold(s.n_row_ranges >= 0 && s.n_row_ranges <= QP_MAX_RANGES);
            for (int i = 0; i < s.n_row_ranges; i++) {
                hold(s.rows[i].begin >= 0 && s.rows[i].count >= 0);
                hold(s.rows[i].begin + s.rows[i].count <= m->out);
                rows += s.rows[i].count;
            }
            hold(rows == s.n_rows && s.n_cols == s.cols.count);
            hold(s.cols.begin >= 0 && s.cols.count >= 0 && s.cols.begin + s.cols.count <= m->in);
        }
}

static double check_modules(const qp_model *m) {
    double elements = 0;
    hold(m->name != NULL && m->n_modules >= 0 && m->n_selected_layers <= m->n_layers);
    for (int i = 0; i < m->n_modules; i++) {
        const qp_module *x = &m->modules[i];
        int64_t rows = 0;
        hold(x->fqn[0] != '\0' && x->out >= 1 && x->in >= 1 && x->expert < m->n_experts);
        for (int k = 0; k < x->n_segments; k++) rows += x->segments[k].rows;
        hold(rows == x->out);
        elements += (double)x->out * (double)x->in;
        check_slices(x);
    }
    return elements;
}

// The document alone first: it says how many modules building it would make.
static bool is_small(const char *text, size_t n_bytes, qp_arena *a) {
    qp_err err = {0};
    qp_yaml y;
    model_doc d;
    int64_t modules = 0;
    qp_status status = qp_yaml_open(&y, path, text, n_bytes, &err);
    if (status == QP_OK) {
        status = qp_model_doc_load(&y, a, &d, &err);
        qp_yaml_close(&y);
    }
    if (status != QP_OK) {
        hold_refused(status, QP_USAGE, &err, "fuzz.yaml:");
        return false;
    }
    for (unsigned i = 0; i < d.modules_count; i++)
        modules += qp_row_copies(&d.modules[i]) * qp_model_doc_layers(&d, &d.modules[i]);
    return modules <= MAX_MODULES;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes) {
    qp_arena *a = fuzz_arena();
    char *text = fuzz_text(bytes, n_bytes);
    double elements[2] = {-1, -1};
    for (int names = 0; names < 2 && is_small(text, n_bytes, a); names++) {
        qp_err err = {0};
        qp_model m;
        qp_status status = qp_model_read(path, text, n_bytes, "all",
                                         names == 0 ? QP_NAMES_HF : QP_NAMES_MEGATRON, a, &m, &err);
        if (status == QP_OK)
            elements[names] = check_modules(&m);
        else
            hold_refused(status, QP_USAGE, &err, "fuzz.yaml:");
    }
    hold(elements[0] == elements[1] || elements[0] < 0 || elements[1] < 0);
    free(text);
    return 0;
}
