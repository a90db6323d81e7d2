// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: any bytes as a file of pipeline records, or as one record. Beyond the sanitizers it holds
// that a refusal names file and record, that the model of an accepted record has sound sizes, and that its
// ranks can be compared with any run: here one made of the record's own linears.
#include "cmd/replay.h"
#include "core/fuzz/fuzz.h"

enum { MAX_LINEARS = 4096, MAX_STATES = 4 }; // more of the same finds nothing

static void check_model(const replay_record *rec) {
    hold(rec->tp >= 1 && rec->ep >= 1 && rec->tp * rec->ep <= 4096);
    for (int i = 0; i < rec->model.n_modules && i < MAX_LINEARS; i++) {
        const qp_module *m = &rec->model.modules[i];
        hold(m->fqn[0] != '\0' && m->projection[0] != '\0' && rec->linears[i].gen_name[0] != '\0');
        hold(m->out >= 0 && m->in >= 0 && m->expert < (m->n_experts > 0 ? m->n_experts : 1));
        hold(m->out <= INT32_MAX && m->in <= INT32_MAX);
    }
}

static void fill_rank(const replay_record *rec, replay_rank *r, qp_arena *a) {
    static uint32_t images[2] = {0x3f800000, 0};
    qp_err err = {0};
    hold(qp_arena_get(a, sizeof *r->states * MAX_STATES, &r->states, &err) == QP_OK);
    for (int i = 0; i < rec->model.n_modules && i < MAX_STATES; i++)
        r->states[r->n_states++] = (replay_state){.fqn = rec->model.modules[i].fqn,
                                                  .quantizer = i % 2 ? "input_quantizer" : "weight_quantizer",
                                                  .global_fqn = rec->model.modules[i].fqn,
                                                  .gen_name = rec->linears[i].gen_name,
                                                  .is_weight = i % 2 == 0,
                                                  .promoted = i == 0,
                                                  .has = i != 2,
                                                  .amax_rows = 2,
                                                  .amax_cols = 1,
                                                  .format = i == 0 ? QP_NVFP4_STATIC : QP_FP8_E4M3,
                                                  .dtype = "float32",
                                                  .images = images};
}

static void compare(const replay_record *rec, qp_arena *a) {
    replay_run run = {.rec = rec, .n_ranks = rec->tp * rec->ep};
    replay_result res = {.arena = a};
    qp_err err = {0};
    int n_listed = 0;
    hold(qp_arena_get(a, sizeof *run.ranks * (size_t)run.n_ranks, &run.ranks, &err) == QP_OK);
    for (int r = 0; r < run.n_ranks && r < 2; r++) fill_rank(rec, &run.ranks[r], a);
    qp_status status = replay_compare(rec, &run, &res, &err);
    if (status == QP_OK) status = replay_compare_invariant(rec, &run, &res, &err);
    if (status == QP_OK && json_object_get(rec->json, "known_bug_fields") != NULL)
        status = replay_known_bug(rec, &res, &n_listed, &err);
    for (int64_t i = 0; i < res.n_different; i++)
        hold(res.places[i].field != NULL && res.places[i].want != NULL && res.places[i].got != NULL);
    if (status != QP_OK) hold_refused(status, QP_CORRUPT, &err, "fuzz.json: record ");
}

static void take_record(json_t *json) {
    qp_arena *a = fuzz_arena();
    replay_record rec;
    qp_err err = {0};
    qp_status status = replay_read("fuzz.json", json, a, &rec, &err);
    if (status != QP_OK) {
        hold_refused(status, QP_CORRUPT, &err, "fuzz.json: record ");
        return;
    }
    check_model(&rec);
    compare(&rec, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes) {
    json_t *doc = json_loadb((const char *)bytes, n_bytes, JSON_REJECT_DUPLICATES, NULL);
    json_t *records = json_object_get(doc, "records");
    for (size_t i = 0; i < json_array_size(records); i++) take_record(json_array_get(records, i));
    if (doc != NULL && records == NULL) take_record(doc);
    json_decref(doc);
    return 0;
}
