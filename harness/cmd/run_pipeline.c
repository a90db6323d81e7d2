// SPDX-License-Identifier: Apache-2.0
// Pipeline cases: is the layout due to be refused? Else run it, judge every state as it comes by, then judge
// what only the whole case can show: groups, collectives, replicas, and that it equals the one-rank run.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/pipeline_cache.h"
#include "cmd/run_env.h"
#include "cmd/sink.h"
#include "core/file.h"
#include "core/text.h"
#include "pipeline/stages.h"

typedef struct running {
    qp_run_env *env;
    const qp_case *c;
    qp_arena *arena;
    qp_case_result *result;
    qp_job job;
    qp_case_sink *sink;
    qp_dump *dump;
    qp_tally tally; // of the whole case
    qp_pipeline_result out;
    qp_group_ev *groups, *want_groups;
    int n_groups, n_want_groups;
} running;

// ---- refusals
// ----------------------------------------------------------------------------------------------------------------

// Both sides say on their own whether the layout is possible. *go_on: it is, for both.
static qp_status judge_layout(running *run, bool *go_on, qp_err *err) {
    const qp_model *m = run->job.model;
    qp_refusal got = QP_REFUSE_NONE;
    int which = -1, which_ref = -1;
    qp_err why = {0};
    const qp_stage_table *stages = run->job.stages != NULL ? run->job.stages : &qp_stages_default;
    qp_status s = stages->check_layout(&run->job.layout, m, run->job.recipe, &got, &which, &why);
    if (s != QP_OK && s != QP_REFUSED) {
        qp_say_status(run->result, run->arena, s, "layout", why.msg);
        *go_on = false;
        return QP_OK;
    }
    qp_qconfig *weights;
    QP_TRY(QP_NEW(run->arena, weights, m->n_modules + 1));
    for (int i = 0; i < m->n_modules; i++)
        qp_recipe_resolve(run->job.recipe, m->modules[i].fqn, "weight_quantizer", &weights[i]);
    qp_refusal want =
        ref_layout_refusal(&run->job.layout, m->n_layers, m->modules, weights, m->n_modules, &which_ref);
    qp_case_ev ev = {.repro = run->c->line, .refusal_got = got, .refusal_want = want};
    ev.refuse_expected = strcmp(qp_case_text(run->c, "expect"), "refuse") == 0;
    qp_tally own;
    QP_TRY(qp_tally_new(run->arena, run->env->s.switched_off, &own, err));
    qp_tally_whole(&own, &ev, "refusal");
    for (int k = 0; k < qp_n_checks; k++) // the finding gets the numbers that the refusal came with
        if (own.sum[k].check != NULL && got != QP_REFUSE_NONE) {
            size_t n = strlen(own.sum[k].text);
            snprintf(own.sum[k].text + n, sizeof own.sum[k].text - n, "%s%s",
                     n > 0 ? ": " : "refused as it should be: ", why.msg);
        }
    if (got != QP_REFUSE_NONE) {
        QP_TRY(qp_arena_printf(run->arena, &run->result->notes, err, "refused: %s", why.msg));
    }
    qp_tally_merge(&run->tally, &own);
    *go_on = got == QP_REFUSE_NONE && want == QP_REFUSE_NONE && !ev.refuse_expected;
    return QP_OK;
}

// ---- the base run
// ------------------------------------------------------------------------------------------------------------

static bool is_one_rank(const qp_layout *l) {
    return l->tp == 1 && l->cp == 1 && l->pp == 1 && l->dp == 1 && l->ep == 1 && l->etp == 1;
}

static qp_status gather_digests(const qp_case_sink *s, qp_arena *a, qp_digest **out, int64_t *n,
                                qp_err *err) {
    *n = 0;
    for (int r = 0; r < s->n_ranks; r++) *n += s->ranks[r].n_digests;
    QP_TRY(QP_NEW(a, *out, *n + 1));
    int64_t at = 0;
    for (int r = 0; r < s->n_ranks; r++) {
        if (s->ranks[r].n_digests > 0)
            memcpy(*out + at, s->ranks[r].digests, sizeof **out * (size_t)s->ranks[r].n_digests);
        at += s->ranks[r].n_digests;
    }
    qp_digest_sort(*out, *n);
    return QP_OK;
}

// The same story on one rank, without the checkpoint, judged by nobody: only what it holds is kept.
static qp_status run_base(running *run, qp_err *err) {
    qp_pipeline_cache *cache = run->env->cache;
    if (qp_pipeline_cache_has_base(cache, run->job.rows)) return QP_OK;
    qp_status status = QP_OK;
    qp_arena *a = qp_arena_new();
    qp_case_sink *sink = NULL;
    qp_pipeline_result out = {0};
    qp_stage_table *stages;
    qp_digest *d;
    int64_t n;
    if (a == NULL) QP_FAIL(QP_NOMEM, "one-rank run: out of memory");
    qp_job job = run->job;
    job.layout = (qp_layout){1, 1, 1, 1, 1, 1};
    job.load_layout = (qp_layout){0};
    job.scratch = NULL;
    QP_TRY_GOTO(status, QP_NEW(a, stages, 1), out);
    *stages = *(run->job.stages != NULL ? run->job.stages : &qp_stages_default);
    stages->inject = QP_OK;
    stages->inject_step = NULL;
    for (int i = 0; i < stages->n_steps; i++)
        if (strcmp(stages->steps[i].stage, "save") == 0) {
            stages->n_steps = i; // save and the loads are the tail of the table
            break;
        }
    job.stages = stages;
    QP_TRY_GOTO(status, qp_case_sink_new(run->c->line, NULL, 1, true, NULL, a, &sink, err), out);
    job.sink = qp_case_sink_of(sink);
    QP_TRY_GOTO(status, qp_pipeline_run(&job, &out, err), out);
    QP_TRY_GOTO(status, gather_digests(sink, a, &d, &n, err), out);
    QP_TRY_GOTO(status, qp_pipeline_cache_set_base(cache, run->job.rows, d, n, err), out);
out:
    if (status != QP_OK) qp_err_prefix(err, "one-rank run of the same case");
    qp_arena_free(out.arena);
    qp_case_sink_free(sink);
    qp_arena_free(a);
    return status;
}

// ---- what is missing
// ---------------------------------------------------------------------------------------------------------

typedef struct expecting {
    running *run;
    const qp_layout *layout;
    int rank;
    const char *stage;
} expecting;

static void expect(void *user, const char *fqn, const char *field) {
    const expecting *x = user;
    static const uint32_t something = 0;
    if (qp_case_sink_saw(x->run->sink, x->rank, x->stage, fqn, field)) return;
    qp_state st = {.stage = x->stage,
                   .fqn = fqn,
                   .field = field,
                   .rank = x->rank,
                   .layout = x->layout,
                   .dtype = QP_FP32};
    qp_compare c = {&st, &something, x->run->c->line};
    qp_tally_state(&x->run->tally, &c);
}

static bool has_stage(const running *run, const char *stage) {
    const qp_stage_table *t = run->job.stages != NULL ? run->job.stages : &qp_stages_default;
    for (int i = 0; i < t->n_steps; i++)
        if (strcmp(t->steps[i].stage, stage) == 0) return true;
    return false;
}

static qp_status find_missing(running *run, qp_err *err) {
    static const struct {
        const char *stage, *step; // evidence stage, stage of the table that shows it
        bool other;               // lives in the other layout; back needs that too
        bool needs_other;
    } stages[] = {{"shard", "shard", false, false},         {"calibrate", "calibrate", false, false},
                  {"sync", "sync", false, false},           {"promote", "promote", false, false},
                  {"fakequant", "fakequant", false, false}, {"pack", "pack", false, false},
                  {"load-same", "load", false, false},      {"load-other", "load", true, true},
                  {"load-back", "load", false, true}};
    qp_case_sink_seal(run->sink);
    for (int s = 0; s < QP_COUNT(stages); s++) {
        if (!has_stage(run, stages[s].step) || (stages[s].needs_other && run->job.load_layout.tp == 0))
            continue;
        const qp_layout *l = stages[s].other ? &run->job.load_layout : &run->job.layout;
        for (int r = 0; r < qp_layout_ranks(l); r++) {
            expecting x = {run, l, r, stages[s].stage};
            QP_TRY(qp_oracle_expected(run->env->cache->oracle, l, r, stages[s].stage, expect, &x, err));
        }
    }
    return QP_OK;
}

// ---- the whole case
// ----------------------------------------------------------------------------------------------------------

static int compare_groups(const void *pa, const void *pb) {
    const qp_group_ev *a = pa, *b = pb;
    if (a->rank != b->rank) return a->rank < b->rank ? -1 : 1;
    int c = strcmp(a->parent, b->parent);
    if (c != 0 || a->n_members == 0 || b->n_members == 0) return c;
    return strcmp(a->members[0], b->members[0]);
}

static qp_status gather_groups(running *run, qp_err *err) {
    int n_ranks = qp_layout_ranks(&run->job.layout), n = 0;
    for (int r = 0; r < run->sink->n_ranks; r++) n += run->sink->ranks[r].n_groups;
    QP_TRY(QP_NEW(run->arena, run->groups, n + 1));
    for (int r = 0; r < run->sink->n_ranks; r++) {
        const qp_sink_rank *slot = &run->sink->ranks[r];
        if (slot->n_groups > 0)
            memcpy(run->groups + run->n_groups, slot->groups, sizeof *slot->groups * (size_t)slot->n_groups);
        run->n_groups += slot->n_groups;
    }
    qp_group_ev **of_rank;
    int *n_of;
    QP_TRY(QP_NEW(run->arena, of_rank, n_ranks));
    QP_TRY(QP_NEW(run->arena, n_of, n_ranks));
    for (int r = 0; r < n_ranks; r++) {
        QP_TRY(qp_oracle_groups(run->env->cache->oracle, &run->job.layout, r, run->arena, &of_rank[r],
                                &n_of[r], err));
        run->n_want_groups += n_of[r];
    }
    QP_TRY(QP_NEW(run->arena, run->want_groups, run->n_want_groups + 1));
    int at = 0;
    for (int r = 0; r < n_ranks; r++)
        for (int g = 0; g < n_of[r]; g++) run->want_groups[at++] = of_rank[r][g];
    if (run->n_groups > 1) qsort(run->groups, (size_t)run->n_groups, sizeof *run->groups, compare_groups);
    if (at > 1) qsort(run->want_groups, (size_t)at, sizeof *run->want_groups, compare_groups);
    return QP_OK;
}

static qp_status gather_coverage(running *run, qp_case_ev *ev, qp_err *err) {
    qp_coverage *sums;
    qp_format *formats;
    QP_TRY(QP_NEW(run->arena, sums, QP_FORMAT_COUNT));
    QP_TRY(QP_NEW(run->arena, formats, QP_FORMAT_COUNT));
    int n = 0;
    for (int f = 0; f < QP_FORMAT_COUNT; f++) {
        qp_coverage sum = {0};
        for (int r = 0; r < run->sink->n_ranks; r++)
            qp_coverage_merge(&sum, &run->sink->ranks[r].coverage[f]);
        if (sum.n_elems == 0) continue;
        if (run->result->format == QP_FORMAT_NONE || sum.n_elems > run->result->coverage.n_elems) {
            run->result->format = (qp_format)f;
            run->result->coverage = sum;
        }
        sums[n] = sum;
        formats[n++] = (qp_format)f;
    }
    ev->coverage = sums;
    ev->coverage_format = formats;
    ev->n_coverage = n;
    return QP_OK;
}

static qp_status gather_notes(running *run, qp_err *err) {
    const char *first = NULL;
    int n = 0;
    for (int r = 0; r < run->sink->n_ranks; r++) {
        if (first == NULL) first = run->sink->ranks[r].note;
        n += run->sink->ranks[r].n_notes;
    }
    double fraction = run->result->rows_fraction;
    qp_text t = {.arena = run->arena};
    if (strcmp(qp_case_text(run->c, "weights"), "generated") != 0)
        QP_TRY(qp_text_add(&t, err, "weights: %s", qp_weights_describe(run->job.weights)));
    if (first != NULL)
        QP_TRY(qp_text_add(&t, err, "%s%s%.300s", t.n > 0 ? "; " : "",
                           n > 1 ? "several notes, the first: " : "", first));
    if (fraction < 1)
        QP_TRY(qp_text_add(&t, err, "%sfake-quant and pack ran on %.4f of the elements", t.n > 0 ? "; " : "",
                           fraction));
    run->result->notes = t.s;
    return QP_OK;
}

static qp_status judge_whole(running *run, qp_err *err) {
    qp_pipeline_cache *cache = run->env->cache;
    qp_case_ev ev = {
        .repro = run->c->line, .traces = run->out.world.traces, .n_ranks = run->out.world.n_ranks};
    bool base = !is_one_rank(&run->job.layout);
    QP_TRY(gather_digests(run->sink, run->env->last, &run->env->digests, &run->env->n_digests, err));
    if (base)
        QP_TRY(run_base(run, err));
    else
        QP_TRY(qp_pipeline_cache_set_base(cache, run->job.rows, run->env->digests, run->env->n_digests, err));
    QP_TRY(gather_groups(run, err));
    QP_TRY(gather_coverage(run, &ev, err));
    QP_TRY(find_missing(run, err));
    ev.groups = run->groups;
    ev.n_groups = run->n_groups;
    ev.want_groups = run->want_groups;
    ev.n_want_groups = run->n_want_groups;
    ev.digests = run->env->digests;
    ev.n_digests = run->env->n_digests;
    ev.base_digests = base ? cache->base : NULL;
    ev.n_base_digests = base ? cache->n_base : 0;
    static const char *const checks[] = {"group-unity",       "group-members",    "replica-equal",
                                         "layout-invariance", "collective-trace", "coverage-floor"};
    for (int k = 0; k < QP_COUNT(checks); k++) qp_tally_whole(&run->tally, &ev, checks[k]);
    qp_case_ev load = {
        .repro = run->c->line, .traces = run->out.load_world.traces, .n_ranks = run->out.load_world.n_ranks};
    if (load.traces != NULL) qp_tally_whole(&run->tally, &load, "collective-trace");
    return QP_OK;
}

// A checkpoint that a strict load refuses: the state that should have come back is missing, with the loader's
// words.
static void judge_refused_load(running *run, const char *message) {
    static const uint32_t something = 0;
    qp_state st = {.stage = "load-same",
                   .fqn = "checkpoint",
                   .field = "keys",
                   .layout = &run->job.layout,
                   .dtype = QP_FP32};
    qp_compare c = {&st, &something, run->c->line};
    qp_tally_state(&run->tally, &c);
    for (int k = 0; k < qp_n_checks; k++)
        if (run->tally.sum[k].check != NULL && strcmp(run->tally.sum[k].check, "ckpt-keys") == 0)
            snprintf(run->tally.sum[k].text, sizeof run->tally.sum[k].text,
                     "a strict load refuses the checkpoint: %.400s", message);
}

// A run that failed shows its collectives, and what its ranks should have shown before it; what it had shown
// was judged already.
static qp_status judge_failure(running *run, qp_status s, const char *message, qp_err *err) {
    qp_case_ev ev = {
        .repro = run->c->line, .traces = run->out.world.traces, .n_ranks = run->out.world.n_ranks};
    if (ev.traces != NULL) qp_tally_whole(&run->tally, &ev, "collective-trace");
    if (s == QP_CORRUPT) {
        judge_refused_load(run, message);
        QP_TRY(find_missing(run, err));
    }
    qp_say_status(run->result, run->arena, s, "pipeline", message);
    return QP_OK;
}

static qp_status run_story(running *run, qp_err *err) {
    const qp_run_settings *set = &run->env->s;
    int n = qp_layout_ranks(&run->job.layout),
        n_other = run->job.load_layout.tp > 0 ? qp_layout_ranks(&run->job.load_layout) : 0;
    QP_TRY(qp_case_sink_new(run->c->line, run->env->cache->oracle, n > n_other ? n : n_other, n == 1,
                            set->switched_off, run->arena, &run->sink, err));
    run->sink->dump = run->dump;
    run->job.sink = qp_case_sink_of(run->sink);
    qp_err own = {0};
    qp_status s = qp_pipeline_run(&run->job, &run->out, &own);
    run->result->peak_bytes = run->out.peak_bytes;
    if (run->out.elements > 0)
        run->result->rows_fraction = (double)run->out.elements_run / (double)run->out.elements;
    const qp_stage_table *stages = run->job.stages != NULL ? run->job.stages : &qp_stages_default;
    qp_case_ev injected = {.repro = run->c->line, .injected = stages->inject, .surfaced = s};
    qp_tally_whole(&run->tally, &injected, "error-surfaced");
    for (int r = 0; r < run->sink->n_ranks; r++) {
        qp_tally_merge(&run->tally, &run->sink->ranks[r].tally);
        if (run->sink->ranks[r].status != QP_OK) QP_FAIL(QP_NOMEM, "evidence of rank %d: out of memory", r);
    }
    if (s == QP_BROKEN) { // also what the sink itself returned: the oracle failed
        if (err != NULL) *err = own;
        return s;
    }
    if (s != QP_OK && s == stages->inject) return QP_OK;
    if (s != QP_OK) return judge_failure(run, s, own.msg, err);
    QP_TRY(judge_whole(run, err));
    QP_TRY(gather_notes(run, err));
    if (run->dump == NULL) return QP_OK;
    qp_err disk = {0};
    s = qp_dump_write(run->dump, &run->job, run->groups, run->n_groups, run->out.world.traces,
                      run->out.world.n_ranks, &disk);
    qp_say_status(run->result, run->arena, s, "dump", disk.msg);
    return QP_OK;
}

static qp_status prepare(running *run, bool *go_on, qp_err *err) {
    const qp_run_settings *set = &run->env->s;
    qp_err own = {0};
    *go_on = false;
    qp_status s = qp_pipeline_cache_take(run->env->cache, run->c, set->data_dir, set->subject, run->arena,
                                         &run->job, &own);
    if (s != QP_OK) {
        qp_say_status(run->result, run->arena, s, "case", own.msg);
        return QP_OK;
    }
    if (set->stages != NULL) run->job.stages = set->stages;
    if (set->timeout_s > 0) run->job.timeout_s = set->timeout_s;
    QP_TRY(judge_layout(run, go_on, err));
    if (!*go_on) return QP_OK;
    // Weights that do not fit and a disk without room are faults of what the line names, not of the harness.
    const char *scratch, *where = "weights";
    QP_TRY(qp_arena_printf(run->arena, &scratch, err, "%s/%s", set->scratch, run->c->id));
    s = qp_pipeline_cache_oracle(run->env->cache, &own);
    if (s == QP_OK) {
        where = "scratch";
        s = qp_dir_make(scratch, &own);
    }
    if (s != QP_OK) {
        qp_say_status(run->result, run->arena, s, where, own.msg);
        *go_on = false;
        return QP_OK;
    }
    run->job.scratch = scratch;
    if (set->dump_dir == NULL) return QP_OK;
    QP_TRY(qp_dir_make(set->dump_dir, err)); // before the work, not after it
    QP_TRY(qp_dump_new(set->dump_dir, &run->dump, err));
    return QP_OK;
}

qp_status qp_run_pipeline(qp_run_env *e, const qp_case *c, qp_arena *a, qp_case_result *r, qp_err *err) {
    running run = {.env = e, .c = c, .arena = a, .result = r};
    qp_status status = QP_OK;
    bool go_on = false;
    QP_TRY_GOTO(status, qp_tally_new(a, e->s.switched_off, &run.tally, err), out);
    QP_TRY_GOTO(status, prepare(&run, &go_on, err), out);
    if (go_on) QP_TRY_GOTO(status, run_story(&run, err), out);
    QP_TRY_GOTO(status, qp_tally_close(&run.tally, r, a, err), out);
out:
    if (run.job.scratch != NULL && go_on) (void)qp_dir_remove(run.job.scratch, NULL);
    qp_case_sink_free(run.sink);
    qp_dump_free(run.dump);
    qp_arena_free(run.out.arena);
    return status;
}
