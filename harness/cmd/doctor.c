// SPDX-License-Identifier: Apache-2.0
// quantproof doctor: is every check able to be red? Runs each mutant through the very judge that 'run' uses
// and demands that it changes something (live), that the check named for it fires, and that with that check
// switched off nothing else fires but what is listed. The null mutant and the clean runs must give no
// finding. Anything else means that the harness itself is broken.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/doctor.h"
#include "cmd/doctor_damage.h"
#include "core/file.h"
#include "core/text.h"

typedef struct tally {
    int n, live, killed,
        quiet; // mutants: all, changed something, named check fired, nothing unlisted with it off
    int clean, clean_findings;
    int problems;
} tally;

static const qp_finding *find(const qp_case_result *r, const char *check) {
    for (int i = 0; i < r->n_findings; i++)
        if (!strcmp(r->findings[i].check, check)) return &r->findings[i];
    return NULL;
}

static bool fired(const qp_finding *f) {
    return f != NULL && f->verdict >= QP_SUSPECT;
}

static int count_fired(const qp_case_result *r) {
    int n = 0;
    for (int i = 0; i < r->n_findings; i++) n += fired(&r->findings[i]);
    return n;
}

// Space separated names of what fired beside the named check; unlisted ones are marked with '!'.
static qp_status others(const qp_mutant *m, const qp_case_result *r, qp_text *t, int *n_unlisted,
                        qp_err *err) {
    for (int i = 0; i < r->n_findings; i++) {
        const qp_finding *f = &r->findings[i];
        if (!fired(f) || !strcmp(f->check, m->check)) continue;
        const bool known = qp_doctor_listed(m->also, f->check);
        *n_unlisted += !known;
        QP_TRY(qp_text_add(t, err, "%s%s%s", t->n ? " " : "", known ? "" : "!", f->check));
    }
    if (t->n == 0) QP_TRY(qp_text_add(t, err, "survives"));
    return QP_OK;
}

static void show_finding(const qp_finding *f, const char *indent) {
    printf("%s%s: %s\n", indent, f->check, f->text);
    if (f->where[0]) printf("%s  at %s want %s got %s\n", indent, f->where, f->want, f->got);
}

// What a run left behind that a clean run does not: states, guard bytes, or the end it came to.
static int64_t changed(const qp_doctor_run *clean, const qp_doctor_run *sick) {
    int64_t n = qp_digests_changed(clean->digests, clean->n_digests, sick->digests, sick->n_digests);
    for (int i = 0; i < sick->result.n_findings; i++) {
        const qp_finding *f = &sick->result.findings[i];
        const qp_finding *was = find(&clean->result, f->check);
        if (n == 0 && fired(f) && !fired(was)) n += f->n_diff > 0 ? f->n_diff : 1;
    }
    return n;
}

static qp_status one_mutant(qp_doctor *d, const qp_mutant *m, tally *t, qp_err *err) {
    qp_arena *a = qp_arena_new();
    qp_status status = QP_OK;
    qp_doctor_run clean, sick, off;
    qp_text rest = {.arena = a};
    int n_unlisted = 0;
    if (a == NULL) QP_FAIL(QP_NOMEM, "no memory");
    QP_TRY_GOTO(status, qp_doctor_clean(d, m, a, &clean, err), out);
    QP_TRY_GOTO(status, qp_doctor_sick(d, m, NULL, a, &sick, err), out);
    QP_TRY_GOTO(status, qp_doctor_sick(d, m, m->check, a, &off, err), out);
    QP_TRY_GOTO(status, others(m, &off.result, &rest, &n_unlisted, err), out);

    const int64_t n_changed = changed(&clean, &sick);
    const qp_finding *named = find(&sick.result, m->check);
    const bool live = n_changed > 0, killed = fired(named), clean_ok = clean.result.verdict == QP_PASS;
    t->n++;
    t->live += live;
    t->killed += killed;
    t->quiet += n_unlisted == 0;
    t->clean++;
    t->clean_findings += count_fired(&clean.result);
    const bool good = live && killed && clean_ok && n_unlisted == 0;
    t->problems += !good;
    printf("%-9s %-33s %9lld  %-19s %s%s\n", m->id, m->sin, (long long)n_changed,
           killed ? m->check : "NOT KILLED", rest.s, good ? "" : "   <- PROBLEM");
    if (d->verbose || !good) {
        printf("          %s\n          %s\n", m->source, m->sinful_line ? m->sinful_line : m->case_line);
        if (killed) show_finding(named, "          ");
    }
    if (!clean_ok)
        printf("          clean run: %s: %s\n", qp_verdict_name(clean.result.verdict), clean.result.text);
    if (!live) printf("          not live: no state, trace or guard differs from the clean run\n");
    if (!killed)
        printf("          %s did not fire; the run was %s: %s\n", m->check,
               qp_verdict_name(sick.result.verdict), sick.result.text ? sick.result.text : "");
    if (n_unlisted > 0)
        for (int i = 0; i < off.result.n_findings; i++)
            if (fired(&off.result.findings[i]) && !qp_doctor_listed(m->also, off.result.findings[i].check))
                show_finding(&off.result.findings[i], "          unlisted ");
    fflush(stdout);
out:
    qp_arena_free(a);
    return status;
}

// Upstream's own policy is not layout invariant, and the check says so. A rank-local global amax also differs
// between replicas of the scalar, and a file holds one value of it; every other check agrees with the policy.
static qp_status upstream_policy(qp_doctor *d, tally *t, qp_err *err) {
    static const char line[] =
        "pipeline model=tiny-moe layers=moe:1,attn:1 recipe=nvfp4-static tp=2 ep=2 sync=modelopt-0.47";
    qp_arena *a = qp_arena_new();
    qp_doctor_run run;
    qp_status status = QP_OK;
    if (a == NULL) QP_FAIL(QP_NOMEM, "no memory");
    QP_TRY_GOTO(status, qp_doctor_line(d, line, NULL, NULL, a, &run, err), out);
    const qp_finding *f = find(&run.result, "layout-invariance");
    int n_other = 0;
    for (int i = 0; i < run.result.n_findings; i++)
        n_other +=
            fired(&run.result.findings[i]) && &run.result.findings[i] != f &&
            !qp_doctor_listed("replica-equal ckpt-same ckpt-other ckpt-back", run.result.findings[i].check);
    const bool good = fired(f) && n_other == 0;
    t->problems += !good;
    printf("sync=modelopt-0.47 itself: %s%s\n", fired(f) ? f->text : "layout-invariance did NOT fire",
           good ? "" : "   <- PROBLEM");
    if (fired(f) && f->where[0]) printf("          at %s want %s got %s\n", f->where, f->want, f->got);
    for (int i = 0; i < run.result.n_findings && !good; i++)
        if (fired(&run.result.findings[i])) show_finding(&run.result.findings[i], "          ");
out:
    qp_arena_free(a);
    return status;
}

static qp_status null_mutant(qp_doctor *d, tally *t, qp_err *err) {
    static const qp_mutant null = {"null", "same-function-again", "",   "",  "",
                                   NULL,   qp_mutant_null,        NULL, NULL};
    qp_mutant m = null;
    qp_arena *a = qp_arena_new();
    qp_doctor_run clean, same;
    qp_status status = QP_OK;
    if (a == NULL) QP_FAIL(QP_NOMEM, "no memory");
    m.case_line = "pipeline model=tiny-moe recipe=nvfp4-static tp=2 ep=2";
    QP_TRY_GOTO(status, qp_doctor_clean(d, &m, a, &clean, err), out);
    QP_TRY_GOTO(status, qp_doctor_sick(d, &m, NULL, a, &same, err), out);
    const int64_t n = changed(&clean, &same);
    const int findings = count_fired(&same.result) + count_fired(&clean.result);
    const bool good = n == 0 && findings == 0 && same.n_digests > 0;
    t->problems += !good;
    printf("null mutant: %d findings, %lld of %lld states changed%s\n", findings, (long long)n,
           (long long)same.n_digests, good ? "" : "   <- PROBLEM");
out:
    qp_arena_free(a);
    return status;
}

static int checks_without_mutant(tally *t) {
    int n = 0;
    for (int i = 0; i < qp_n_checks; i++) {
        bool has = false;
        for (int k = 0; k < qp_n_mutants; k++) has = has || !strcmp(qp_mutants[k].check, qp_checks[i].name);
        if (has) continue;
        printf("check %s has no mutant that it kills by name   <- PROBLEM\n", qp_checks[i].name);
        t->problems++;
        n++;
    }
    return n;
}

// ---- laws alone
// ----------------------------------------------------------------------------------------------------------

// The checks that ask an oracle: those of states.
static qp_status oracle_checks(qp_text *t, qp_err *err) {
    for (int i = 0; i < qp_n_checks; i++)
        if (qp_checks[i].state != NULL)
            QP_TRY(qp_text_add(t, err, "%s%s", t->n > 0 ? " " : "", qp_checks[i].name));
    return QP_OK;
}

// Kernel mutants with the oracle switched off: what every law kills by itself.
static qp_status laws_alone(qp_doctor *d, tally *t, qp_err *err) {
    enum { AT_LEAST = 4 };
    qp_arena *a = qp_arena_new();
    qp_status status = QP_OK;
    qp_text off = {.arena = a}, killed[QP_LAW_COUNT] = {{0}};
    int n = 0, n_killed = 0;
    if (a == NULL) QP_FAIL(QP_NOMEM, "no memory");
    for (int law = 0; law < QP_LAW_COUNT; law++) killed[law].arena = a;
    QP_TRY_GOTO(status, oracle_checks(&off, err), out);
    for (int i = 0; i < qp_n_mutants; i++) {
        qp_doctor_run run;
        bool any = false;
        if (qp_mutants[i].variant == NULL) continue;
        QP_TRY_GOTO(status, qp_doctor_sick(d, &qp_mutants[i], off.s, a, &run, err), out);
        for (int law = 0; law < QP_LAW_COUNT; law++) {
            if (!fired(find(&run.result, qp_law_get((qp_law)law)->name))) continue;
            QP_TRY_GOTO(status, qp_text_add(&killed[law], err, " %s", qp_mutants[i].sin), out);
            any = true;
        }
        n++;
        n_killed += any;
    }
    printf("oracle checks off: %d of %d kernel mutants are killed by laws%s\n", n_killed, n,
           n_killed < AT_LEAST ? "   <- PROBLEM" : "");
    t->problems += n_killed < AT_LEAST;
    for (int law = 0; law < QP_LAW_COUNT; law++) {
        const bool none = killed[law].n == 0;
        printf("  %-21s%s\n", qp_law_get((qp_law)law)->name,
               none ? " kills none   <- PROBLEM" : killed[law].s);
        t->problems += none;
    }
out:
    qp_arena_free(a);
    return status;
}

static const char help[] =
    "usage: quantproof doctor [-v] [--only ID]... \n"
    "Runs every mutant through the judge. Columns: id, sin, states that changed against the clean run, the\n"
    "named check that fired, and what fires when that check is switched off ('!' = not listed for it).\n"
    "Then what every law kills with all checks off that ask an oracle, and single damages to synthetic\n"
    "checkpoints: the rule of verify that must find each, and in how many of those it fits it does.\n"
    "exit 0: all live, all killed by name, clean runs without a finding; 99: the harness is broken\n";

static bool is_mutant(const char *id) {
    for (int i = 0; i < qp_n_mutants; i++)
        if (!strcmp(id, qp_mutants[i].id)) return true;
    return false;
}

static bool is_damage(const char *name) {
    for (int i = 0; i < qp_n_damages; i++)
        if (!strcmp(name, qp_damages[i].name)) return true;
    for (int i = 0; i < qp_n_synth_sins; i++)
        if (!strcmp(name, qp_synth_sins[i].name)) return true;
    return false;
}

qp_status qp_cmd_doctor(int argc, char **argv, int *exit_code, qp_err *err) {
    static const struct option options[] = {{"verbose", no_argument, NULL, 'v'},
                                            {"only", required_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    qp_doctor d = {0};
    const char *only = NULL;
    optind = 1;
    for (int o; (o = getopt_long(argc, argv, "vh", options, NULL)) != -1;) {
        if (o == 'v')
            d.verbose = true;
        else if (o == 'o')
            only = optarg;
        else if (o == 'h')
            return fputs(help, stdout), *exit_code = 0, QP_OK;
        else
            QP_FAIL(QP_USAGE, "doctor: unknown option; %s", help);
    }
    if (optind < argc) QP_FAIL(QP_USAGE, "doctor takes no word '%s'", argv[optind]);
    if (only != NULL && !is_mutant(only) && !is_damage(only))
        QP_FAIL(QP_USAGE,
                "doctor --only: there is no mutant or damage '%s' (doctor without --only lists them)", only);

    tally t = {0};
    qp_damage_tally damages = {0};
    qp_status status = QP_OK;
    QP_TRY_GOTO(status, qp_doctor_open(&d, err), out);
    printf("%-9s %-33s %9s  %-19s %s\n", "mutant", "sin", "changed", "killed by", "with that check off");
    for (int i = 0; i < qp_n_mutants; i++)
        if (only == NULL || !strcmp(only, qp_mutants[i].id))
            QP_TRY_GOTO(status, one_mutant(&d, &qp_mutants[i], &t, err), out);
    if (only == NULL) {
        QP_TRY_GOTO(status, null_mutant(&d, &t, err), out);
        QP_TRY_GOTO(status, upstream_policy(&d, &t, err), out);
        checks_without_mutant(&t);
        QP_TRY_GOTO(status, laws_alone(&d, &t, err), out);
    }
    if (only == NULL || is_damage(only)) {
        QP_TRY_GOTO(status, qp_doctor_damages(d.scratch, d.data_dir, only, d.verbose, stdout, &damages, err),
                    out);
        t.problems += damages.problems;
    }
    printf("doctor: %d mutants, %d live, %d killed by name, %d with nothing unlisted; %d checks; clean runs "
           "%d with %d findings; %d damages found of %d, in %d of %d checkpoints; %d problems\n",
           t.n, t.live, t.killed, t.quiet, qp_n_checks, t.clean, t.clean_findings, damages.kinds_found,
           damages.kinds, damages.places_found, damages.places, t.problems);
    *exit_code = t.problems == 0 && t.n + damages.kinds > 0 ? 0 : 99;
out:
    qp_doctor_close(&d);
    return status;
}
