// SPDX-License-Identifier: Apache-2.0
// Weights from a file through the real program, and what repro --dump writes for judging from outside: key
// names, shapes, global expert numbers, and that two layouts hold the same tensor once their parts are put
// together.
#include "cmd/tests/weights_file.h"

static cli_run r;

static void setup(void) {
    cli_open(&r, "weights");
}

static void teardown(void) {
    cli_close(&r);
}

static const char layers[] = "moe:1,attn:1";

// ---- weights=PATH ---------------------------------------------------------------------------------------

static const char *run_with(const char *weights, const char *rest, const char *name) {
    const char *dir = cli_path(&r, name);
    const char *line =
        cli_text(r.arena, "pipeline model=tiny-moe layers=%s recipe=nvfp4-static weights=%s %s", layers,
                 weights, rest);
    cli_wants((cli(&r, "run", line, "--out", dir, NULL), &r), 0);
    return dir;
}

// "xxh3=" and its 16 digits, wherever the record keeps them.
static void hash_of(const char *dir, char hash[32]) {
    char *at = strstr(cli_read(r.arena, cli_text(r.arena, "%s/record.jsonl", dir)), "xxh3=");
    ck_assert_msg(at != NULL, "%s: no hash of the weights in the record", dir);
    snprintf(hash, 32, "%.21s", at);
    ck_assert_int_eq((int)strspn(hash + 5, "0123456789abcdef"), 16);
}

START_TEST(weights_of_a_file_pass_and_their_hash_stands_in_the_record) {
    const char *folder = cli_dir(&r, "file");
    const char *path = cli_text(r.arena, "%s/model.safetensors", folder),
               *other = cli_text(r.arena, "%s/other.safetensors", folder);
    weights_file w = weights_make(layers, 77, r.arena), v = weights_make(layers, 78, r.arena);
    weights_write(&w, path);
    weights_write(&v, other);
    char by_file[32], by_folder[32], of_other[32], want[32];
    hash_of(run_with(path, "tp=2 ep=2", "by-file"), by_file);
    hash_of(run_with(other, "tp=2", "other"), of_other);
    qp_err err = {0};
    qp_st_set set;
    ck_assert_msg(qp_st_set_open(path, r.arena, &set, &err) == QP_OK, "%s", err.msg);
    snprintf(want, sizeof want, "xxh3=%016llx", (unsigned long long)qp_st_set_hash(&set));
    qp_st_set_close(&set);
    ck_assert_str_eq(by_file, want);
    ck_assert_str_ne(by_file, of_other);
    ck_assert_int_eq(unlink(other), 0);
    hash_of(run_with(folder, "ep=2", "by-folder"), by_folder);
    ck_assert_str_eq(by_folder, by_file);
}
END_TEST

// A dump of the shard stage holds the bytes of the file, not the generator's.
START_TEST(the_bytes_of_the_file_are_what_a_rank_holds) {
    const char *folder = cli_dir(&r, "bytes"), *dump = cli_path(&r, "bytes-dump");
    const char *path = cli_text(r.arena, "%s/model.safetensors", folder);
    weights_file w = weights_make("attn:1", 5, r.arena);
    weights_write(&w, path);
    const char *line = cli_text(r.arena, "pipeline model=tiny-moe layers=attn:1 recipe=fp8 weights=%s", path);
    cli_wants((cli(&r, "repro", line, "--dump", dump, NULL), &r), 0);
    qp_err err = {0};
    qp_st_file f;
    ck_assert_msg(qp_st_open(cli_text(r.arena, "%s/shard/rank0.safetensors", dump), r.arena, &f, &err) ==
                      QP_OK,
                  "%s", err.msg);
    int n = 0;
    for (int i = 0; i < w.n; i++) {
        const qp_st_tensor *t = qp_st_find(&f, w.t[i].name),
                           *rows = qp_st_find(&f, cli_text(r.arena, "%s.rows", w.t[i].name));
        if (t == NULL) continue; // norms are not quantizable
        size_t row_bytes = (size_t)t->dims[1] * 2;
        ck_assert_int_eq(t->dims[1], w.t[i].dims[1]);
        for (int64_t k = 0; k < t->dims[0]; k++) {
            int64_t row = k; // a stage may show some rows only, and says which
            if (rows != NULL) memcpy(&row, (const char *)rows->data + k * 8, 8);
            ck_assert_msg(row >= 0 && row < w.t[i].dims[0], "%s: row %lld", w.t[i].name, (long long)row);
            ck_assert_msg(memcmp((const char *)t->data + (size_t)k * row_bytes,
                                 (const char *)w.t[i].data + (size_t)row * row_bytes, row_bytes) == 0,
                          "%s: row %lld differs", w.t[i].name, (long long)row);
        }
        ck_assert_msg(t->dims[0] >= 2, "%s: %lld rows", w.t[i].name, (long long)t->dims[0]);
        n++;
    }
    ck_assert_int_eq(n, 4); // q, k, v, o
    qp_st_close(&f);
}
END_TEST

// ---- repro --dump ---------------------------------------------------------------------------------------

typedef struct dumped {
    const char *dir;
    int n_ranks;
    qp_layout layout;
} dumped;

static dumped dump(const char *rest, const char *name, qp_layout l) {
    dumped d = {cli_path(&r, name), l.tp * l.dp, l};
    const char *line =
        cli_text(r.arena, "pipeline model=tiny-moe layers=%s recipe=nvfp4-static %s", layers, rest);
    cli_wants((cli(&r, "repro", line, "--dump", d.dir, NULL), &r), 0);
    return d;
}

static qp_st_file open_rank(const dumped *d, const char *stage, int rank) {
    qp_st_file f;
    qp_err err = {0};
    const char *path = cli_text(r.arena, "%s/%s/rank%d.safetensors", d->dir, stage, rank);
    ck_assert_msg(qp_st_open(path, r.arena, &f, &err) == QP_OK, "%s", err.msg);
    return f;
}

static const qp_st_tensor *want_tensor(const qp_st_file *f, const char *fqn, const char *field,
                                       qp_dtype dtype) {
    const char *name = cli_text(r.arena, "%s.%s", fqn, field);
    const qp_st_tensor *t = qp_st_find(f, name);
    ck_assert_msg(t != NULL, "%s: no tensor %s", f->path, name);
    ck_assert_msg(t->dtype == dtype, "%s: %s is %s, wanted %s", f->path, name, qp_dtype_name(t->dtype),
                  qp_dtype_name(dtype));
    return t;
}

static const qp_layout one = {1, 1, 1, 1, 1, 1}, four = {2, 1, 1, 2, 2, 2};
static const char expert6[] = "model.layers.1.block_sparse_moe.experts.6.w1"; // EP rank 1 of 2
static const char q_proj[] = "model.layers.2.self_attn.q_proj";

START_TEST(every_stage_is_written_under_the_names_of_model_optimizer) {
    dumped d = dump("tp=2 ep=2", "names", four);
    static const char *const stages[] = {"shard", "calibrate", "sync", "promote", "fakequant", "pack"};
    for (int s = 0; s < QP_COUNT(stages); s++)
        for (int rank = 0; rank < d.n_ranks; rank++) {
            qp_st_file f = open_rank(&d, stages[s], rank);
            ck_assert_int_gt(f.n_tensors, 0);
            qp_st_close(&f);
        }
    qp_st_file f = open_rank(&d, "promote", 2);
    ck_assert_int_eq(want_tensor(&f, expert6, "weight_quantizer._global_amax", QP_FP32)->n_dims, 0);
    want_tensor(&f, q_proj, "weight_quantizer._global_amax", QP_FP32);
    ck_assert_ptr_null(
        qp_st_find(&f, "model.layers.1.block_sparse_moe.experts.1.w1.weight_quantizer._global_amax"));
    qp_st_close(&f);
    f = open_rank(&d, "sync", 2);
    ck_assert_int_eq((int)want_tensor(&f, expert6, "weight_quantizer._amax", QP_FP32)->n_bytes,
                     64 * 3 * 4); // 128/etp rows, 48/16
    want_tensor(&f, q_proj, "input_quantizer._amax", QP_FP32);
    qp_st_close(&f);
    f = open_rank(&d, "fakequant", 2);
    ck_assert_int_eq(want_tensor(&f, expert6, "weight", QP_BF16)->dims[0], 64);
    qp_st_close(&f);
    f = open_rank(&d, "pack", 2);
    ck_assert_int_eq((int)want_tensor(&f, expert6, "weight_packed", QP_U8)->n_bytes, 64 * 24);
    ck_assert_int_eq((int)want_tensor(&f, expert6, "weight_scale", QP_E4M3)->n_bytes, 64 * 3);
    ck_assert_int_eq((int)want_tensor(&f, expert6, "weight_scale_2", QP_FP32)->n_bytes, 4);
    qp_st_close(&f);
}
END_TEST

// Puts the rows of one field together from all ranks; columns are whole.
static void gather_rows(const dumped *d, const char *stage, const qp_module *m, const char *field,
                        qp_dtype dtype, int64_t row_bytes, unsigned char *full, unsigned char *seen) {
    for (int rank = 0; rank < d->n_ranks; rank++) {
        qp_slice s = qp_slice_of(m, &d->layout, rank);
        if (!s.held) continue;
        qp_st_file f = open_rank(d, stage, rank);
        const unsigned char *from = want_tensor(&f, m->fqn, field, dtype)->data;
        for (int i = 0; i < s.n_row_ranges; i++)
            for (int64_t k = 0; k < s.rows[i].count; k++, from += row_bytes) {
                memcpy(full + (s.rows[i].begin + k) * row_bytes, from, (size_t)row_bytes);
                seen[s.rows[i].begin + k] = 1;
            }
        qp_st_close(&f);
    }
}

START_TEST(two_layouts_hold_the_same_tensors_once_put_together) {
    dumped whole = dump("", "one", one), cut = dump("tp=2 ep=2", "cut", four);
    static const struct {
        const char *stage, *field;
        qp_dtype dtype;
        int64_t row_bytes; // of 48 columns
    } fields[] = {{"sync", "weight_quantizer._amax", QP_FP32, 3 * 4},
                  {"fakequant", "weight", QP_BF16, 48 * 2},
                  {"pack", "weight_packed", QP_U8, 24},
                  {"pack", "weight_scale", QP_E4M3, 3}};
    qp_model m = weights_make(layers, 1, r.arena).model;
    int n = 0;
    for (int i = 0; i < m.n_modules; i++) {
        const qp_module *mod = &m.modules[i];
        if (strcmp(mod->fqn, expert6) != 0 && strcmp(mod->fqn, q_proj) != 0) continue;
        ck_assert_int_eq(mod->in, 48);
        for (int k = 0; k < QP_COUNT(fields); k++, n++) {
            size_t n_bytes = (size_t)(mod->out * fields[k].row_bytes);
            unsigned char *a = calloc(n_bytes + (size_t)mod->out, 1),
                          *b = calloc(n_bytes + (size_t)mod->out, 1);
            gather_rows(&whole, fields[k].stage, mod, fields[k].field, fields[k].dtype, fields[k].row_bytes,
                        a, a + n_bytes);
            gather_rows(&cut, fields[k].stage, mod, fields[k].field, fields[k].dtype, fields[k].row_bytes, b,
                        b + n_bytes);
            ck_assert_ptr_null(memchr(b + n_bytes, 0, (size_t)mod->out)); // every row came from somewhere
            ck_assert_msg(memcmp(a, b, n_bytes) == 0, "%s %s differs between the layouts", mod->fqn,
                          fields[k].field);
            size_t same = 0;
            while (same < n_bytes && a[same] == a[0]) same++;
            ck_assert_msg(same < n_bytes, "%s %s: all bytes are equal, that shows nothing", mod->fqn,
                          fields[k].field);
            free(a);
            free(b);
        }
    }
    ck_assert_int_eq(n, 2 * QP_COUNT(fields));
}
END_TEST

START_TEST(groups_and_record_of_a_dump_are_json) {
    dumped d = dump("tp=2 ep=2", "json", four);
    json_error_t why;
    json_t *groups = json_load_file(cli_text(r.arena, "%s/groups.json", d.dir), 0, &why), *g;
    ck_assert_msg(json_is_array(groups), "groups.json: %s", why.text);
    size_t i;
    int of_rank[4] = {0}, n_experts = 0;
    json_array_foreach(groups, i, g) {
        int rank = (int)json_integer_value(json_object_get(g, "rank"));
        ck_assert(rank >= 0 && rank < 4);
        of_rank[rank]++;
        json_t *members = json_object_get(g, "members"), *globals = json_object_get(g, "member_global_amax");
        ck_assert_int_ge((int)json_array_size(members), 2);
        ck_assert_int_eq((int)json_array_size(globals), (int)json_array_size(members));
        for (size_t k = 0; k < json_array_size(globals); k++)
            ck_assert_str_eq(json_string_value(json_array_get(globals, k)), cli_field(g, "global_amax"));
        n_experts += strstr(cli_field(g, "parent"), ".experts.6") != NULL;
    }
    for (int rank = 0; rank < 4; rank++)
        ck_assert_int_eq(of_rank[rank], 4 + 2); // w1/w3 of 4 experts, gate/up, q/k/v
    ck_assert_int_eq(n_experts, 2);             // ranks 2 and 3 hold expert 6
    json_decref(groups);
    json_t *record = json_load_file(cli_text(r.arena, "%s/record.json", d.dir), 0, &why);
    ck_assert_msg(json_is_object(record), "record.json: %s", why.text);
    json_decref(record);
}
END_TEST

START_TEST(dump_takes_one_pipeline_case) {
    const char *dir = cli_path(&r, "two");
    cli_wants(
        (cli(&r, "repro", "pipeline model=tiny-moe layers=attn:1 recipe=fp8 tp=1,2", "--dump", dir, NULL),
         &r),
        2);
    cli_says(&r, "--dump takes one case");
}
END_TEST

int main(void) {
    Suite *s = suite_create("weights_path");
    TCase *t = tcase_create("weights_path");
    tcase_set_timeout(t, 600);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, weights_of_a_file_pass_and_their_hash_stands_in_the_record);
    tcase_add_test(t, the_bytes_of_the_file_are_what_a_rank_holds);
    tcase_add_test(t, every_stage_is_written_under_the_names_of_model_optimizer);
    tcase_add_test(t, two_layouts_hold_the_same_tensors_once_put_together);
    tcase_add_test(t, groups_and_record_of_a_dump_are_json);
    tcase_add_test(t, dump_takes_one_pipeline_case);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
