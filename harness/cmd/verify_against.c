// SPDX-License-Identifier: Apache-2.0
// --against for people: linears by scheme, then the worst of them.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/verify.h"

enum { MAX_GROUPS = 32 }; // schemes, reasons: a checkpoint has a handful; what is beyond goes into the last

typedef struct group {
    const char *name;
    const char *engine; // "" when two linears disagree
    uint64_t linears, judged, mismatched, near_ties, codes, scales;
    double worst_loss; // largest loss ratio
} group;

static group *group_of(group *list, int *n, const char *name) {
    for (int i = 0; i < *n; i++)
        if (strcmp(list[i].name, name) == 0) return &list[i];
    if (*n == MAX_GROUPS) return &list[MAX_GROUPS - 1];
    list[*n] = (group){.name = name};
    return &list[(*n)++];
}

static bool differs(const qp_against_row *r) {
    return r->codes_differ + r->scales_differ + r->globals_differ > 0;
}

static void add(group *g, const qp_against_row *r) {
    g->linears++;
    if (r->skipped != NULL || r->original == NULL) return;
    g->judged++;
    g->mismatched += differs(r);
    g->near_ties += r->near_ties;
    g->codes += r->n_codes;
    g->scales += r->n_scales;
    if (r->loss_ratio > g->worst_loss) g->worst_loss = r->loss_ratio;
    const char *engine = r->engine != NULL ? r->engine : "";
    if (g->engine == NULL)
        g->engine = engine;
    else if (strcmp(g->engine, engine) != 0)
        g->engine = "";
}

static void print_groups(const group *list, int n) {
    printf("  %-36s %8s %8s %10s %9s %14s %12s %9s  %s\n", "scheme", "linears", "judged", "mismatched",
           "near ties", "codes", "scales", "loss/best", "engine");
    for (int i = 0; i < n; i++) {
        const group *g = &list[i];
        char loss[16] = "-";
        if (g->worst_loss > 0) snprintf(loss, sizeof loss, "%.4f", g->worst_loss);
        printf("  %-36s %8" PRIu64 " %8" PRIu64 " %10" PRIu64 " %9" PRIu64 " %14" PRIu64 " %12" PRIu64
               " %9s  %s\n",
               g->name, g->linears, g->judged, g->mismatched, g->near_ties, g->codes, g->scales, loss,
               g->engine == NULL      ? "-"
               : g->engine[0] == '\0' ? "several"
                                      : g->engine);
    }
}

// Reasons, with the distance of what could not be derived: it is all that can be said of it.
static void print_skipped(const qp_against *x) {
    group reasons[MAX_GROUPS];
    int n = 0;
    double worst[MAX_GROUPS] = {0};
    for (uint32_t i = 0; i < x->n_rows; i++) {
        const qp_against_row *r = &x->rows[i];
        if (r->skipped == NULL) continue;
        group *g = group_of(reasons, &n, r->skipped);
        g->linears++;
        if (r->distance > worst[g - reasons]) worst[g - reasons] = r->distance;
    }
    for (int i = 0; i < n; i++) {
        printf("  not judged: %" PRIu64 " linears, %s", reasons[i].linears, reasons[i].name);
        if (worst[i] > 0) printf("; largest distance %.4f of the original", worst[i]);
        printf("\n");
    }
}

static void print_mismatched(const verify_answer *v) {
    const qp_against *x = &v->audit->against;
    uint64_t shown = 0;
    for (uint32_t i = 0; i < x->n_rows && (v->o->per_rule == 0 || shown < v->o->per_rule); i++) {
        const qp_against_row *r = &x->rows[i];
        if (!differs(r)) continue;
        const char *name = "?";
        qp_err err = {0};
        (void)qp_ck_show(r->module->name, r->module->n_name, v->audit->findings.arena, &name, &err);
        printf("  differs: %s: %s; %" PRIu64 " of %" PRIu64 " codes, %" PRIu64 " of %" PRIu64
               " scales, %" PRIu64 " global; distance %.4g\n",
               name, r->class != NULL ? r->class : "unknown class", r->codes_differ, r->n_codes,
               r->scales_differ, r->n_scales, r->globals_differ, r->distance);
        shown++;
    }
}

static void print_loss(const verify_answer *v) {
    const qp_against *x = &v->audit->against;
    const qp_ck_module *worst = x->loss.worst_at;
    const char *name = "?";
    qp_err err = {0};
    if (x->loss.linears == 0) return;
    (void)qp_ck_show(worst->name, worst->n_name, v->audit->findings.arena, &name, &err);
    printf("  loss: %.4gx the MSE optimum in the mean of %" PRIu64
           " linears, %.4gx at worst (%s); a sample of %d blocks a linear\n",
           x->loss.mean, x->loss.linears, x->loss.worst, name, QP_AGAINST_SAMPLE);
}

void verify_print_against(const verify_answer *v) {
    const qp_against *x = &v->audit->against;
    group groups[MAX_GROUPS];
    int n = 0;
    for (uint32_t i = 0; i < x->n_rows; i++) {
        const qp_ck_scheme *scheme = x->rows[i].module->scheme;
        add(group_of(groups, &n, scheme != NULL ? scheme->name : "no scheme"), &x->rows[i]);
    }
    const bool fits = x->engine != NULL && x->engine[0] != '\0';
    printf("\nagainst %s: %" PRIu64 " linears judged%s%s, %" PRIu64 " not derivable, %" PRIu64
           " unmatched, %" PRIu64 " mismatched; unquantized tensors: %" PRIu64 " equal, %" PRIu64
           " different\n",
           v->o->audit.against, x->judged,
           fits             ? ", engine "
           : x->judged == 0 ? ""
                            : ", no engine fits all",
           fits ? x->engine : "", x->underivable, x->unmatched, x->mismatched, x->plain_equal,
           x->plain_different);
    if (n > 0) print_groups(groups, n);
    print_loss(v);
    print_skipped(x);
    print_mismatched(v);
}
