// SPDX-License-Identifier: Apache-2.0
// quantproof replay FILE...: pipeline records of another implementation. The same model, layout and weights
// go through our own pipeline; every state is compared (product page, section 5). This file is the command:
// files, table, exit code.
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/replay.h"
#include "core/text.h"

enum { MAX_SHOWN = 5, MAX_REASONS = 16 };

typedef struct reason { // why something was left out, and how often
    const char *text;
    int n;
} reason;

typedef struct totals {
    int n_files, n_records, n_replayed, n_bad, n_different_records;
    int64_t n_compared, n_different;
    reason reasons[MAX_REASONS];
    int n_reasons;
} totals;

static void left_out(totals *t, const char *text) {
    for (int i = 0; i < t->n_reasons; i++)
        if (strcmp(t->reasons[i].text, text) == 0) {
            t->reasons[i].n++;
            return;
        }
    if (t->n_reasons < MAX_REASONS) t->reasons[t->n_reasons++] = (reason){text, 1};
}

// Searches of later releases of this program are recorded too; their fields are not compared.
static void count_algorithms(const replay_record *rec, totals *t) {
    const json_t *list = json_object_get(rec->json, "algorithms");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name && strcmp(name, "sweep") == 0) left_out(t, "algorithm sweep");
        if (name && strcmp(name, "mult") == 0) left_out(t, "algorithm mult");
    }
}

static void print_places(const replay_result *res) {
    for (int64_t i = 0; i < res->n_different && i < MAX_SHOWN; i++) {
        const replay_place *p = &res->places[i];
        printf("    rank %d %s %s %s\n      want %s\n      got  %s\n", p->rank, p->fqn ? p->fqn : "-",
               p->quantizer ? p->quantizer : "-", p->field, p->want, p->got);
    }
    if (res->n_different > MAX_SHOWN)
        printf("    and %lld more\n", (long long)(res->n_different - MAX_SHOWN));
}

static qp_status run_policies(const replay_record *rec, qp_arena *a, replay_result *res, qp_err *err) {
    replay_run run;
    qp_status status = replay_pipeline(rec, QP_SYNC_MODELOPT_047, a, &run, err);
    if (status == QP_OK) status = replay_compare(rec, &run, res, err);
    replay_run_free(&run);
    if (status != QP_OK || !json_object_get(rec->json, "invariant_global_amax")) return status;
    status = replay_pipeline(rec, QP_SYNC_INVARIANT, a, &run, err);
    if (status == QP_OK) status = replay_compare_invariant(rec, &run, res, err);
    replay_run_free(&run);
    return status;
}

static qp_status replay_one(const char *file, json_t *json, qp_arena *a, totals *t, qp_err *err) {
    replay_record rec;
    replay_result res = {.arena = a};
    int n_listed = 0;
    t->n_records++;
    QP_TRY(replay_read(file, json, a, &rec, err));
    if (!rec.known_format) {
        const char *why;
        QP_TRY(qp_arena_printf(a, &why, err, "recipe %s", rec.recipe));
        static const char *const later[] = {"recipe int4-block16", "recipe fp8-block2d-16"};
        for (int i = 0; i < QP_COUNT(later); i++)
            if (strcmp(later[i], why) == 0) {
                left_out(t, later[i]);
                printf("  %-36s %-14s skipped: format of a later release\n", rec.name, rec.recipe);
                return QP_OK;
            }
        QP_FAIL(QP_CORRUPT, "%s: record %s: recipe: unknown recipe %s", file, rec.name, rec.recipe);
    }
    count_algorithms(&rec, t);
    QP_TRY(run_policies(&rec, a, &res, err));
    const int64_t found = res.n_different;
    const bool known = json_object_get(json, "known_bug_fields") != NULL;
    if (known) QP_TRY(replay_known_bug(&rec, &res, &n_listed, err));
    printf("  %-36s %-14s tp%d ep%d%s  %6lld states  %6lld equal  %4lld different", rec.name, rec.recipe,
           rec.tp, rec.ep, rec.etp ? "" : " etp1", (long long)res.n_compared,
           (long long)(res.n_compared - found), (long long)found);
    if (known) printf(", %d listed: %s", n_listed, res.n_different == 0 ? "exactly these" : "NOT these");
    printf("\n");
    print_places(&res);
    t->n_replayed++;
    t->n_compared += res.n_compared;
    t->n_different += res.n_different;
    t->n_different_records += res.n_different > 0;
    return QP_OK;
}

static void print_error(const qp_err *err) {
    fflush(stdout);
    fprintf(stderr, "error: %s\n", err->msg);
}

static qp_status check_head(const char *file, json_t *doc, json_t **records, qp_err *err) {
    const char *format = json_string_value(json_object_get(doc, "format"));
    *records = json_object_get(doc, "records");
    if (!format || strcmp(format, "quantproof-pipeline-golden-1") != 0)
        QP_FAIL(QP_CORRUPT, "%s: format: quantproof-pipeline-golden-1 wanted, got %s", file,
                format ? format : "nothing");
    if (json_array_size(*records) == 0) QP_FAIL(QP_CORRUPT, "%s: records: at least one record wanted", file);
    return QP_OK;
}

// A record that cannot be read or run is reported; the others still are.
static qp_status replay_file(const char *file, totals *t, qp_err *err) {
    json_error_t where;
    json_t *records, *doc = json_load_file(file, JSON_REJECT_DUPLICATES, &where);
    if (!doc && where.line < 0) QP_FAIL(QP_IO, "%s", where.text); // it could not be opened: the text names it
    if (!doc) QP_FAIL(QP_CORRUPT, "%s:%d:%d: %s", file, where.line, where.column, where.text);
    qp_status status = check_head(file, doc, &records, err);
    if (status == QP_OK) printf("%s\n", file);
    for (size_t i = 0; status == QP_OK && i < json_array_size(records); i++) {
        qp_err one = {0};
        qp_arena *a = qp_arena_new();
        const qp_status s = a ? replay_one(file, json_array_get(records, i), a, t, &one) : QP_NOMEM;
        qp_arena_free(a);
        if (s == QP_OK) continue;
        t->n_bad++;
        print_error(&one);
    }
    json_decref(doc);
    return status;
}

static void print_totals(const totals *t) {
    printf("%d files, %d records: %d replayed, %d not readable; %lld states compared, %lld unexplained "
           "differences in %d records\n",
           t->n_files, t->n_records, t->n_replayed, t->n_bad, (long long)t->n_compared,
           (long long)t->n_different, t->n_different_records);
    for (int i = 0; i < t->n_reasons; i++)
        printf("%s%s (%d)", i ? ", " : "left out by name: ", t->reasons[i].text, t->reasons[i].n);
    if (t->n_reasons) printf("\n");
}

qp_status qp_cmd_replay(int argc, char **argv, int *exit_code, qp_err *err) {
    totals t = {0};
    for (int i = 1; i < argc; i++)
        if (argv[i][0] == '-')
            QP_FAIL(QP_USAGE, "replay: unknown option %s (usage: quantproof replay FILE...)", argv[i]);
    if (argc < 2) QP_FAIL(QP_USAGE, "replay: at least one file wanted (usage: quantproof replay FILE...)");
    for (int i = 1; i < argc; i++) {
        qp_err one = {0};
        t.n_files++;
        if (replay_file(argv[i], &t, &one) == QP_OK) continue;
        t.n_bad++;
        print_error(&one);
    }
    print_totals(&t);
    *exit_code = t.n_different > 0 ? 1 : t.n_bad > 0 ? 2 : t.n_compared == 0 ? 6 : 0;
    return QP_OK;
}
