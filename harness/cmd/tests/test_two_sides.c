// SPDX-License-Identifier: Apache-2.0
// The accused and the law about layouts and slices: harness/model and reference/ derive them
// on their own, here they are held against each other over every model of cases/models and both namings.
#include "cmd/tests/models.h"

// Last module first: refusals that another module always comes before are seen too.
static void turn(qp_model *m) {
    qp_module *mods = (qp_module *)(uintptr_t)m->modules;
    for (int i = 0, k = m->n_modules - 1; i < k; i++, k--) {
        qp_module t = mods[i];
        mods[i] = mods[k];
        mods[k] = t;
    }
}

static void configs_of(const qp_recipe *r, const qp_model *m, qp_arena *a, qp_qconfig **out) {
    qp_err *err = NULL;
    ck_assert(QP_NEW(a, *out, m->n_modules) == QP_OK);
    for (int i = 0; i < m->n_modules; i++)
        qp_recipe_resolve(r, m->modules[i].fqn, "weight_quantizer", &(*out)[i]);
}

// ---- refusals -------------------------------------------------------------------------------------------

static const int degrees[6][14] = {
    // tp cp pp dp ep etp; 99 ends a row
    {1, 2, 4, 8, 3, 16, 0, 7, 32, 5, 64, -1, 28, 99},
    {1, 2, 3, 0, 4, 99},
    {1, 2, 3, 0, 4, 29, 33, 49, 53, 99},
    {1, 2, 4, 8, 0, 3, 16, 7, 99},
    {1, 2, 4, 8, 3, 16, 0, 128, 256, -4, 99},
    {1, 2, 4, 8, 3, 16, 0, 7, 29, 99},
};

static int degree_count(int which) {
    int n = 0;
    while (degrees[which][n] != 99) n++;
    return n;
}

typedef struct verdicts {
    int64_t n, by_reason[QP_REFUSE_COUNT];
} verdicts;

static void compare_layout(const qp_layout *l, const qp_model *m, const qp_recipe *r, const qp_qconfig *cfg,
                           verdicts *v) {
    qp_refusal got = QP_REFUSE_COUNT;
    int which = -2, which_ref = -2;
    qp_err err = {0};
    qp_status s = qp_layout_check(l, m, r, &got, &which, &err);
    qp_refusal want = ref_layout_refusal(l, m->n_layers, m->modules, cfg, m->n_modules, &which_ref);
    if (!(got == want && which == which_ref && (s == QP_OK) == (want == QP_REFUSE_NONE) &&
          (s == QP_OK || s == QP_REFUSED)))
        ck_abort_msg("%s %s tp%d cp%d pp%d dp%d ep%d etp%d: wanted %s at module %d, got %s at %d (%s)",
                     m->name, r->name, l->tp, l->cp, l->pp, l->dp, l->ep, l->etp, qp_refusal_name(want),
                     which_ref, qp_refusal_name(got), which, err.msg);
    if (!(s == QP_OK || strncmp(err.msg, m->name, strlen(m->name)) == 0))
        ck_abort_msg("the refusal does not name the model: %s", err.msg);
    v->n++;
    v->by_reason[want]++;
}

// Every tp, dp, ep, etp with every other; cp and pp go round beside them.
static void compare_grid(const qp_model *m, const qp_recipe *r, const qp_qconfig *cfg, int phase,
                         verdicts *v) {
    int n[6];
    for (int i = 0; i < 6; i++) n[i] = degree_count(i);
    for (int64_t i = phase % 2; i < (int64_t)n[0] * n[3] * n[4] * n[5]; i += 2) {
        int64_t left = i;
        int at[6];
        static const int order[] = {0, 3, 4, 5};
        for (int k = 0; k < QP_COUNT(order); k++) {
            at[order[k]] = (int)(left % n[order[k]]);
            left /= n[order[k]];
        }
        at[1] = (int)(i / 2 % 3 == 0 ? i / 6 % n[1] : 0);
        at[2] = (int)(i / 2 % 5 == 0 ? i / 10 % n[2] : 0);
        qp_layout l = {degrees[0][at[0]], degrees[1][at[1]], degrees[2][at[2]],
                       degrees[3][at[3]], degrees[4][at[4]], degrees[5][at[5]]};
        compare_layout(&l, m, r, cfg, v);
    }
}

START_TEST(both_sides_refuse_the_same_layouts_for_the_same_reason_at_the_same_module) {
    qp_arena *a = qp_arena_new();
    names models = yaml_of("cases/models", a);
    verdicts v = {0};
    int phase = 0;
    for (int i = 0; i < models.n; i++)
        for (int naming = QP_NAMES_HF; naming <= QP_NAMES_MEGATRON; naming++) {
            qp_model whole = load(models.name[i], (qp_names)naming, a),
                     m = one_layer_of_each(&whole, true, a);
            for (int k = 0; k < QP_COUNT(four_recipes); k++, phase++) {
                qp_recipe r = load_recipe(four_recipes[k], a);
                qp_qconfig *cfg;
                if (k == 2) turn(&m);
                configs_of(&r, &m, a, &cfg);
                compare_grid(&m, &r, cfg, phase, &v);
            }
        }
    printf("layouts compared: %" PRId64 ", of them", v.n);
    for (int w = 0; w < QP_REFUSE_COUNT; w++)
        printf(" %s %" PRId64, qp_refusal_name((qp_refusal)w), v.by_reason[w]);
    printf(" (%d models)\n", models.n);
    fflush(stdout);
    ck_assert_int_ge(models.n, 7);
    ck_assert_int_ge(v.n, 200000);
    static const int64_t floors[QP_REFUSE_COUNT] = {
        [QP_REFUSE_NONE] = 2000,  [QP_REFUSE_RANKS] = 10000, [QP_REFUSE_EXPERTS] = 500,
        [QP_REFUSE_UNITS] = 2000, [QP_REFUSE_ROWS] = 200,    [QP_REFUSE_COLS] = 20,
        [QP_REFUSE_BLOCK] = 200,  [QP_REFUSE_LAYERS] = 200};
    for (int w = 0; w < QP_REFUSE_COUNT; w++)
        if (!(v.by_reason[w] >= floors[w]))
            ck_abort_msg("%s: %" PRId64 " layouts, wanted %" PRId64, qp_refusal_name((qp_refusal)w),
                         v.by_reason[w], floors[w]);
    qp_arena_free(a);
}
END_TEST

START_TEST(both_sides_agree_on_the_whole_of_every_model) {
    static const qp_layout layouts[] = {
        {1, 1, 1, 1, 1, 1}, {2, 1, 1, 2, 2, 2}, {8, 1, 1, 4, 4, 8}, {16, 1, 1, 1, 1, 16}, {1, 1, 1, 3, 3, 1}};
    qp_arena *a = qp_arena_new();
    names models = yaml_of("cases/models", a);
    verdicts v = {0};
    int64_t n_modules = 0;
    for (int i = 0; i < models.n; i++)
        for (int naming = QP_NAMES_HF; naming <= QP_NAMES_MEGATRON; naming++) {
            qp_model m = load(models.name[i], (qp_names)naming, a);
            qp_recipe r = load_recipe("nvfp4-static", a);
            qp_qconfig *cfg;
            configs_of(&r, &m, a, &cfg);
            for (int k = 0; k < QP_COUNT(layouts); k++) compare_layout(&layouts[k], &m, &r, cfg, &v);
            n_modules += m.n_modules;
        }
    printf("whole models: %" PRId64 " layouts over %" PRId64 " modules\n", v.n, n_modules);
    ck_assert_int_ge(n_modules, 40000);
    ck_assert_int_gt(v.by_reason[QP_REFUSE_NONE], 10);
    qp_arena_free(a);
}
END_TEST

// ---- slices ---------------------------------------------------------------------------------------------

static const qp_layout slice_layouts[] = { // tp cp pp dp ep etp
    {1, 1, 1, 1, 1, 1}, {2, 1, 1, 1, 1, 2}, {4, 1, 1, 1, 1, 4},   {8, 1, 1, 1, 1, 8},
    {1, 1, 1, 4, 4, 1}, {2, 1, 1, 4, 4, 2}, {4, 1, 1, 2, 2, 4},   {8, 1, 1, 1, 8, 1},
    {2, 2, 1, 2, 2, 2}, {2, 1, 2, 2, 2, 2}, {4, 1, 1, 1, 2, 2},   {4, 2, 2, 2, 4, 1},
    {2, 1, 1, 8, 8, 2}, {1, 3, 1, 2, 2, 1}, {16, 1, 1, 1, 1, 16}, {16, 1, 1, 4, 4, 8}};

typedef struct slice_counts {
    int64_t slices, rows, elements, layouts, modules;
} slice_counts;

// Local row to full row, by the ranges of the accused.
static int64_t full_row(const qp_slice *s, int64_t local) {
    for (int i = 0; i < s->n_row_ranges; i++) {
        if (local < s->rows[i].count) return s->rows[i].begin + local;
        local -= s->rows[i].count;
    }
    return -1;
}

static void compare_row(const qp_module *m, const qp_layout *l, int rank, const qp_slice *s, int64_t row,
                        slice_counts *n) {
    int64_t want = ref_global_row(m, l, rank, row), got = full_row(s, row);
    if (!(want == got))
        ck_abort_msg("%s tp%d ep%d etp%d dp%d rank %d: local row %" PRId64 " of %" PRId64
                     " is full row %" PRId64 " by the law, got %" PRId64,
                     m->fqn, l->tp, l->ep, l->etp, l->dp, rank, row, s->n_rows, want, got);
    n->rows++;
}

static void want_col(const qp_module *m, const qp_layout *l, int rank, int64_t col, int64_t want) {
    int64_t got = ref_global_col(m, l, rank, col);
    if (got != want)
        ck_abort_msg("%s tp%d rank %d: local column %" PRId64 " is full column %" PRId64
                     " by the law, got %" PRId64,
                     m->fqn, l->tp, rank, col, got, want);
}

// all: every local row; else the first and last row of every range, both sides of each border, and one past
// the end.
static void compare_slice(const qp_module *m, const qp_layout *l, int rank, bool all, slice_counts *n) {
    qp_slice s = qp_slice_of(m, l, rank);
    int64_t rows, cols, at = 0;
    ref_local_shape(m, l, rank, &rows, &cols);
    if (!(s.held == ref_holds(m, l, rank)))
        ck_abort_msg("%s rank %d: held %d by the law", m->fqn, rank, !s.held);
    n->slices++;
    if (!s.held) {
        if (rows != 0 || ref_global_row(m, l, rank, 0) != -1)
            ck_abort_msg("%s rank %d: not held, but it has rows", m->fqn, rank);
        return;
    }
    if (!(rows == s.n_rows && cols == s.n_cols && s.cols.count == cols))
        ck_abort_msg("%s tp%d rank %d: [%" PRId64 ", %" PRId64 "] by the law, got [%" PRId64 ", %" PRId64 "]",
                     m->fqn, l->tp, rank, rows, cols, s.n_rows, s.n_cols);
    for (int64_t r = 0; all && r < rows; r++) compare_row(m, l, rank, &s, r, n);
    for (int i = 0; !all && i < s.n_row_ranges; i++) {
        if (s.rows[i].count > 0) {
            compare_row(m, l, rank, &s, at, n);
            compare_row(m, l, rank, &s, at + s.rows[i].count / 2, n);
            compare_row(m, l, rank, &s, at + s.rows[i].count - 1, n);
        }
        at += s.rows[i].count;
    }
    compare_row(m, l, rank, &s, rows, n);
    for (int64_t c = 0; c < cols; c += all || cols < 4 ? 1 : cols / 3)
        want_col(m, l, rank, c, s.cols.begin + c);
    want_col(m, l, rank, cols - 1, s.cols.begin + cols - 1);
    want_col(m, l, rank, cols, -1);
}

// How often each element is held: the same everywhere, and never 0. A slice is rows times columns, so rows
// and columns are counted; where both are cut the whole rectangle would be needed, and no style cuts both.
static void compare_tiling(const qp_module *m, const qp_layout *l, slice_counts *n) {
    int64_t *rows = calloc((size_t)(m->out + m->in), sizeof *rows), *cols = rows + m->out, held = 0;
    ck_assert_ptr_nonnull(rows);
    for (int rank = 0; rank < qp_layout_ranks(l); rank++) {
        qp_slice s = qp_slice_of(m, l, rank);
        if (!s.held) continue;
        if (m->style == QP_STYLE_ROW ? s.n_rows != m->out : s.n_cols != m->in)
            ck_abort_msg("%s: cut both ways", m->fqn);
        for (int i = 0; i < s.n_row_ranges; i++)
            for (int64_t r = 0; r < s.rows[i].count; r++) rows[s.rows[i].begin + r]++;
        for (int64_t c = 0; c < s.cols.count; c++) cols[s.cols.begin + c]++;
        held++;
    }
    if (!(held > 0)) ck_abort_msg("%s: no rank holds it", m->fqn);
    int64_t begin = 0;
    for (int i = 0; i < m->n_segments && m->style == QP_STYLE_COLUMN; begin += m->segments[i++].rows)
        for (int64_t r = 0; r < m->segments[i].rows; r++)
            if (!(rows[begin + r] == rows[begin] && rows[begin] > 0))
                ck_abort_msg("%s tp%d ep%d etp%d: row %" PRId64 " of segment %s is held %" PRId64
                             " times, row 0 %" PRId64 " times",
                             m->fqn, l->tp, l->ep, l->etp, r, m->segments[i].name, rows[begin + r],
                             rows[begin]);
    ck_assert(m->style != QP_STYLE_COLUMN || begin == m->out);
    for (int64_t r = 0; r < m->out && m->style != QP_STYLE_COLUMN; r++)
        if (rows[r] != held)
            ck_abort_msg("%s: row %" PRId64 " is held %" PRId64 " times by %" PRId64 " ranks", m->fqn, r,
                         rows[r], held);
    for (int64_t c = 0; c < m->in; c++)
        if (!(cols[c] == cols[0] && cols[c] > 0))
            ck_abort_msg("%s tp%d: column %" PRId64 " is held %" PRId64 " times, column 0 %" PRId64 " times",
                         m->fqn, l->tp, c, cols[c], cols[0]);
    n->elements += m->out * m->in;
    free(rows);
}

static void compare_model_slices(const qp_model *m, const qp_recipe *r, bool all, slice_counts *n) {
    for (int k = 0; k < QP_COUNT(slice_layouts); k++) {
        const qp_layout *l = &slice_layouts[k];
        qp_refusal why;
        int which, n_ranks = qp_layout_ranks(l);
        if (qp_layout_check(l, m, r, &why, &which, NULL) != QP_OK) continue;
        n->layouts++;
        for (int i = 0; i < m->n_modules; i++) {
            if (!m->modules[i].quantizable) continue;
            for (int rank = 0; rank < n_ranks; rank += all || n_ranks <= 8 ? 1 : 3)
                compare_slice(&m->modules[i], l, rank, all, n);
            if (!all) compare_slice(&m->modules[i], l, n_ranks - 1, all, n);
            compare_tiling(&m->modules[i], l, n);
            n->modules++;
        }
    }
}

START_TEST(both_sides_cut_every_module_alike_and_the_pieces_make_the_whole) {
    qp_arena *a = qp_arena_new();
    names models = yaml_of("cases/models", a);
    slice_counts n = {0};
    qp_recipe r = load_recipe("nvfp4-static", a);
    for (int i = 0; i < models.n; i++)
        for (int naming = QP_NAMES_HF; naming <= QP_NAMES_MEGATRON; naming++) {
            qp_model whole = load(models.name[i], (qp_names)naming, a);
            bool tiny = strncmp(models.name[i], "tiny", 4) == 0;
            qp_model m = tiny ? whole : one_layer_of_each(&whole, true, a);
            int64_t before = n.layouts;
            compare_model_slices(&m, &r, tiny, &n);
            if (!(n.layouts - before >= 3))
                ck_abort_msg("%s: only %" PRId64 " layouts are possible", m.name, n.layouts - before);
        }
    printf("slices compared: %" PRId64 " (%" PRId64 " rows) over %" PRId64 " layouts; tilings: %" PRId64
           " modules, %" PRId64 " elements\n",
           n.slices, n.rows, n.layouts, n.modules, n.elements);
    ck_assert_int_ge(n.slices, 10000);
    ck_assert_int_ge(n.rows, 300000);
    ck_assert_int_ge(n.modules, 1500);
    qp_arena_free(a);
}
END_TEST

// Element by element for the smallest models: (row, column) pairs of all ranks together, by the law's own
// map.
START_TEST(the_elements_of_all_ranks_cover_every_tensor_of_the_tiny_models) {
    qp_arena *a = qp_arena_new();
    qp_recipe r = load_recipe("fp8", a);
    int64_t n_elements = 0;
    static const char *const tiny[] = {"tiny-moe", "tiny-dense"};
    for (int t = 0; t < QP_COUNT(tiny); t++) {
        qp_model m = load(tiny[t], QP_NAMES_MEGATRON, a);
        for (int k = 0; k < QP_COUNT(slice_layouts); k += 3) {
            const qp_layout *l = &slice_layouts[k];
            qp_refusal why;
            int which;
            if (qp_layout_check(l, &m, &r, &why, &which, NULL) != QP_OK) continue;
            for (int i = 0; i < m.n_modules; i++) {
                const qp_module *mod = &m.modules[i];
                if (!mod->quantizable || mod->expert > 1) continue;
                unsigned char *seen = calloc((size_t)(mod->out * mod->in), 1);
                for (int rank = 0; rank < qp_layout_ranks(l); rank++)
                    for (int64_t row = 0, at; (at = ref_global_row(mod, l, rank, row)) >= 0; row++)
                        for (int64_t col = 0, c0 = ref_global_col(mod, l, rank, 0),
                                     n = qp_slice_of(mod, l, rank).n_cols;
                             col < n; col++)
                            seen[at * mod->in + c0 + col] = 1;
                for (int64_t e = 0; e < mod->out * mod->in; e++)
                    if (!(seen[e]))
                        ck_abort_msg("%s: nobody holds element [%" PRId64 ", %" PRId64 "]", mod->fqn,
                                     e / mod->in, e % mod->in);
                n_elements += mod->out * mod->in;
                free(seen);
            }
        }
    }
    printf("elements covered: %" PRId64 "\n", n_elements);
    ck_assert_int_ge(n_elements, 1000000);
    qp_arena_free(a);
}
END_TEST

int main(void) {
    Suite *s = suite_create("two_sides");
    TCase *t = tcase_create("two_sides");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, both_sides_refuse_the_same_layouts_for_the_same_reason_at_the_same_module);
    tcase_add_test(t, both_sides_agree_on_the_whole_of_every_model);
    tcase_add_test(t, both_sides_cut_every_module_alike_and_the_pieces_make_the_whole);
    tcase_add_test(t, the_elements_of_all_ranks_cover_every_tensor_of_the_tiny_models);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
