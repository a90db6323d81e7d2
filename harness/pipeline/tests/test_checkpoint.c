// SPDX-License-Identifier: Apache-2.0
// Checkpoints: every state comes back bit for bit on the same layout, on another one and back again; a
// damaged folder is refused with the name of what is wrong; a disk that fills up loses nothing that was
// committed.
#include "tiny.h"

#include <signal.h>
#include <sys/resource.h>

#include "pipeline/checkpoint.h"

// ---- round trips
// ---------------------------------------------------------------------------------------------------------------

// Where does element (row, col) of a state lie in the full tensor? Columns count in elements of the field.
static int64_t column_of(const kept *k, const qp_slice *s, int64_t col) {
    const bool amax = strcmp(k->field, "weight_quantizer._amax") == 0;
    if (strcmp(k->field, "weight_packed") == 0) return s->cols.begin / 2 + col;
    if (strcmp(k->field, "weight_scale") == 0 || (amax && k->format == QP_NVFP4_STATIC))
        return s->cols.begin / 16 + col;
    return col;
}

static int64_t row_of(const kept *k, const qp_slice *s, int64_t i) {
    int64_t local = k->row_ids ? k->row_ids[i] : i;
    if (k->rows == 1 && k->cols == 1) return 0;
    for (int r = 0; r < s->n_row_ranges; r++) {
        if (local < s->rows[r].count) return s->rows[r].begin + local;
        local -= s->rows[r].count;
    }
    return -1;
}

// Puts every rank's part of one field at one stage into the full tensor; two ranks that hold the same element
// must agree.
static int64_t gather(const tiny *t, const char *stage, const char *field, const qp_module *m, int *full,
                      int64_t stride) {
    int64_t n = 0;
    for (int i = 0; i < t->n; i++) {
        const kept *k = &t->states[i];
        if (strcmp(k->stage, stage) != 0 || strcmp(k->field, field) != 0 || strcmp(k->fqn, m->fqn) != 0)
            continue;
        ck_assert_msg(!k->missing, "%s %s %s is missing on rank %d", stage, m->fqn, field, k->rank);
        const qp_slice s = qp_slice_of(m, &k->layout, k->rank);
        const size_t size = qp_dtype_bytes(k->dtype);
        for (int64_t r = 0; r < k->n_held; r++)
            for (int64_t c = 0; c < k->cols; c++) {
                uint32_t v = 0;
                memcpy(&v, k->data + (size_t)(r * k->cols + c) * size, size);
                int *at = &full[row_of(k, &s, r) * stride + column_of(k, &s, c)];
                if (*at != -1 && *at != (int)v)
                    ck_abort_msg("%s %s %s: ranks disagree", stage, m->fqn, field);
                n += *at == -1;
                *at = (int)v;
            }
    }
    return n;
}

static const char *const trips[] = {"recipe=nvfp4-static tp=4 ep=2",
                                    "recipe=nvfp4-static tp=4 ep=2 rows=3",
                                    "recipe=nvfp4-dynamic tp=2 ep=4 load=tp8ep1 rows=5",
                                    "recipe=int8 tp=8 ep=1",
                                    "recipe=fp8 tp=1 ep=4 load=tp2ep2",
                                    "recipe=nvfp4-static tp=8 ep=2 names=megatron rows=3",
                                    "recipe=nvfp4-static tp=1 ep=1",
                                    "recipe=nvfp4-static-across-experts tp=2 ep=8 etp=1 load=tp1ep4 rows=3"};

START_TEST(every_state_comes_back_bit_for_bit_on_every_layout) {
    static const struct {
        const char *field, *stage;
    } fields[] = {{"weight_quantizer._amax", "sync"},
                  {"input_quantizer._amax", "sync"},
                  {"weight_quantizer._global_amax", "promote"},
                  {"weight_packed", "pack"},
                  {"weight_scale", "pack"},
                  {"weight_scale_2", "pack"}};
    static const char *const loads[] = {"load-same", "load-other", "load-back"};
    char line[256], folder[32];
    snprintf(line, sizeof line, "pipeline model=tiny-moe tokens=8 %s", trips[_i]);
    snprintf(folder, sizeof folder, "trip%d", _i);
    tiny *t = tiny_new(line, folder);
    ck_assert_int_gt(t->job.load_layout.tp, 0);
    tiny_run_ok(t);
    int64_t n_compared = 0;
    for (int i = 0; i < t->job.model->n_modules; i++)
        for (int f = 0; f < QP_COUNT(fields); f++) {
            const qp_module *m = &t->job.model->modules[i];
            const int64_t stride = m->in, n_all = m->out * stride;
            int *before = malloc(sizeof *before * (size_t)n_all),
                *after = malloc(sizeof *after * (size_t)n_all);
            memset(before, 0xff, sizeof *before * (size_t)n_all);
            const int64_t n = gather(t, fields[f].stage, fields[f].field, m, before, stride);
            for (int k = 0; k < 3 && n > 0; k++) {
                memset(after, 0xff, sizeof *after * (size_t)n_all);
                const int64_t got = gather(t, loads[k], fields[f].field, m, after, stride);
                ck_assert_msg(got > 0 && got <= n, "%s %s %s: %lld of %lld", loads[k], m->fqn,
                              fields[f].field, (long long)got, (long long)n);
                if (t->job.rows == 0) ck_assert_int_eq(got, n);
                for (int64_t e = 0; e < n_all; e++)
                    if (after[e] != -1 && after[e] != before[e])
                        ck_abort_msg("%s %s %s element %lld", loads[k], m->fqn, fields[f].field,
                                     (long long)e);
                n_compared += got;
            }
            free(before);
            free(after);
        }
    ck_assert_int_gt(n_compared, 150);
    tiny_free(t);
}
END_TEST

// ---- damage
// --------------------------------------------------------------------------------------------------------------------

static const char line_of_damage[] =
    "pipeline model=tiny-moe layers=moe:1 recipe=nvfp4-static tokens=8 rows=3 tp=2 ep=2";
static const char victim[] = "model.layers.1.block_sparse_moe.experts.6.w2";

static qp_status break_file(qp_rank *r, const char *what, qp_err *err) {
    const char *path;
    char *bytes;
    size_t n;
    QP_TRY(qp_arena_printf(r->arena, &path, err, "%s/model-rank00002.safetensors", r->load_dir));
    if (strcmp(what, "gone") == 0) return remove(path) == 0 ? QP_OK : QP_IO;
    QP_TRY(qp_file_read(path, r->arena, &bytes, &n, err));
    return qp_file_write_atomic(path, bytes, n - 100, err);
}

static qp_status rank_file_gone(qp_rank *r, qp_err *err) {
    if (r->at.rank == 0) QP_TRY(break_file(r, "gone", err));
    return qp_comm_barrier(r->comm, QP_GROUP_WORLD, "damage", err);
}
static qp_status rank_file_short(qp_rank *r, qp_err *err) {
    if (r->at.rank == 0) QP_TRY(break_file(r, "short", err));
    return qp_comm_barrier(r->comm, QP_GROUP_WORLD, "damage", err);
}
static qp_status index_broken(qp_rank *r, qp_err *err) {
    const char *path;
    QP_TRY(qp_arena_printf(r->arena, &path, err, "%s/model.safetensors.index.json", r->load_dir));
    if (r->at.rank == 0) QP_TRY(qp_file_write_atomic(path, "{\"weight_map\": ", 15, err));
    return qp_comm_barrier(r->comm, QP_GROUP_WORLD, "damage", err);
}

// Rewrites rank 2's file with one place moved: by rows, or by its columns.
static qp_status move_place(qp_rank *r, int word, int64_t by, qp_err *err) {
    const char *path, *name;
    qp_st_file f;
    qp_st_tensor *copy;
    QP_TRY(qp_arena_printf(r->arena, &path, err, "%s/model-rank00002.safetensors", r->load_dir));
    QP_TRY(qp_arena_printf(r->arena, &name, err, "%s.weight_quantizer._amax#2.place", victim));
    QP_TRY(qp_st_open(path, r->arena, &f, err));
    QP_TRY(QP_NEW(r->arena, copy, f.n_tensors));
    memcpy(copy, f.tensors, sizeof *copy * (size_t)f.n_tensors);
    bool found = false;
    for (int i = 0; i < f.n_tensors; i++) {
        char *bytes;
        QP_TRY(QP_NEW(r->arena, bytes, copy[i].n_bytes + 1));
        memcpy(bytes, copy[i].data, copy[i].n_bytes);
        copy[i].data = bytes;
        if (strcmp(copy[i].name, name) != 0) continue;
        int64_t w;
        memcpy(&w, bytes + 8 * word, sizeof w);
        w += by;
        memcpy(bytes + 8 * word, &w, sizeof w);
        found = true;
    }
    const int n = f.n_tensors;
    qp_st_close(&f);
    if (!found) QP_FAIL(QP_BROKEN, "%s has no %s", path, name);
    return qp_st_write(path, copy, n, NULL, 0, err);
}
static qp_status columns_overlap(qp_rank *r, qp_err *err) {
    if (r->at.rank == 0) QP_TRY(move_place(r, 2, 4, err));
    return qp_comm_barrier(r->comm, QP_GROUP_WORLD, "damage", err);
}
static qp_status full_shape_differs(qp_rank *r, qp_err *err) {
    if (r->at.rank == 0) QP_TRY(move_place(r, 0, 16, err));
    return qp_comm_barrier(r->comm, QP_GROUP_WORLD, "damage", err);
}

// Keys that only the saving side spells like this.
static qp_status key_misspelt(const qp_rank *r, const qp_quantizer *q, const char *field, qp_arena *a,
                              const char **key, qp_err *err) {
    if (r->phase == QP_PHASE_MAIN && strcmp(q->module->fqn, victim) == 0 &&
        strcmp(field, "weight_scale_2") == 0)
        return qp_arena_printf(a, key, err, "%s.weight_scale_two", victim);
    return qp_checkpoint_key(r, q, field, a, key, err);
}
static qp_status key_of_local_expert(const qp_rank *r, const qp_quantizer *q, const char *field, qp_arena *a,
                                     const char **key, qp_err *err) {
    (void)r;
    return qp_arena_printf(a, key, err, "%s.%s", q->local_name, field);
}

static void loses_a_field(qp_rank *r) {
    for (int i = 0; i < r->n_q; i++)
        if (strcmp(r->q[i].module->fqn, victim) == 0) r->q[i].weight_cfg.enabled = false;
}
static qp_status save_without_one(qp_rank *r, qp_err *err) {
    loses_a_field(r);
    return qp_step_save_shards(r, err);
}

static const struct {
    const char *name;
    qp_step_fn damage, save;
    qp_status (*key)(const qp_rank *, const qp_quantizer *, const char *, qp_arena *, const char **,
                     qp_err *);
    const char *words[3];
} damages[] = {
    {"gone", rank_file_gone, NULL, NULL, {"model-rank00002.safetensors", "missing", NULL}},
    {"short", rank_file_short, NULL, NULL, {"model-rank00002.safetensors", NULL, NULL}},
    {"index", index_broken, NULL, NULL, {"model.safetensors.index.json", "JSON", NULL}},
    {"overlap", columns_overlap, NULL, NULL, {victim, "written twice", NULL}},
    {"shape", full_shape_differs, NULL, NULL, {victim, "[64, 8]", NULL}},
    {"misspelt", NULL, NULL, key_misspelt, {victim, "unexpected key", "weight_scale_two"}},
    {"lost", NULL, save_without_one, NULL, {victim, "missing", NULL}},
    {"local", NULL, NULL, key_of_local_expert, {"experts.0.", "model-rank00002", NULL}},
};

START_TEST(a_damaged_checkpoint_is_refused_by_name) {
    const qp_step damage = {"load", "damage", damages[_i].damage, QP_PHASE_SAME};
    tiny *t = tiny_new(line_of_damage, damages[_i].name);
    if (damages[_i].damage) ck_assert(qp_stage_insert_after(&t->table, "save_commit", damage));
    if (damages[_i].save) ck_assert(qp_stage_replace(&t->table, "save_shards", damages[_i].save));
    if (damages[_i].key) t->table.checkpoint_key = damages[_i].key;
    const qp_status s = tiny_run(t);
    ck_assert_msg(s == QP_CORRUPT, "%s: %s: %s", damages[_i].name, qp_status_name(s), t->failure.msg);
    for (int w = 0; w < 3 && damages[_i].words[w]; w++)
        ck_assert_msg(strstr(t->failure.msg, damages[_i].words[w]), "%s: no '%s' in: %s", damages[_i].name,
                      damages[_i].words[w], t->failure.msg);
    tiny_free(t);
}
END_TEST

// ---- a full disk
// -----------------------------------------------------------------------------------------------------------------

static qp_status disk_fills_up(qp_rank *r, qp_err *err) {
    const struct rlimit small = {4096, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &small) != 0) QP_FAIL(QP_BROKEN, "setrlimit failed");
    return qp_comm_barrier(r->comm, QP_GROUP_WORLD, "disk fills up", err);
}

START_TEST(a_full_disk_is_a_clean_failure_and_an_older_checkpoint_stays) {
    const qp_step full = {"pack", "disk_fills_up", disk_fills_up, QP_PHASE_MAIN};
    tiny *t = tiny_new(line_of_damage, "full");
    const char *folder, *old, *temp;
    char *bytes;
    size_t n;
    ck_assert(qp_arena_printf(t->arena, &folder, NULL, "%s/layer1", t->job.scratch) == QP_OK);
    ck_assert(qp_arena_printf(t->arena, &old, NULL, "%s/older", folder) == QP_OK);
    ck_assert(qp_arena_printf(t->arena, &temp, NULL, "%s.tmp", folder) == QP_OK);
    ck_assert(qp_dir_make(folder, NULL) == QP_OK);
    ck_assert(qp_file_write_atomic(old, "precious", 8, NULL) == QP_OK);
    ck_assert(qp_stage_insert_after(&t->table, "dequant", full));
    ck_assert_int_eq(tiny_run(t), QP_IO);
    ck_assert_msg(strstr(t->failure.msg, "model-rank0000"), "%s", t->failure.msg);
    ck_assert(qp_file_read(old, t->arena, &bytes, &n, NULL) == QP_OK);
    ck_assert_uint_eq(n, 8);
    ck_assert(!qp_file_exists(temp));
    tiny_free(t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("checkpoint");
    TCase *t = tcase_create("checkpoint");
    tcase_set_timeout(t, 600);
    tcase_add_loop_test(t, every_state_comes_back_bit_for_bit_on_every_layout, 0, QP_COUNT(trips));
    tcase_add_loop_test(t, a_damaged_checkpoint_is_refused_by_name, 0, QP_COUNT(damages));
    tcase_add_test(t, a_full_disk_is_a_clean_failure_and_an_older_checkpoint_stays);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
