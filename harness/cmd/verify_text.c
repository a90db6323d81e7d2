// SPDX-License-Identifier: Apache-2.0
// verify for people: what is here, what is wrong with it (worst first), one line of verdict.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/verify.h"

// ---- --rules, --explain
// --------------------------------------------------------------------------------------------------

void verify_print_rules(void) {
    for (int i = 0; i < QP_CK_RULES; i++)
        printf("%-8s %-20s %s\n", qp_severity_name(qp_ck_rules[i].severity), qp_ck_rules[i].id,
               qp_ck_rules[i].says);
}

enum { WIDTH = 100, LABEL = 9 };

// A paragraph behind its label, broken at spaces.
static void paragraph(const char *label, const char *text) {
    printf("  %-*s", LABEL - 2, label);
    int column = LABEL;
    for (const char *word = text; *word != '\0';) {
        const int n = (int)strcspn(word, " ");
        if (column > LABEL && column + 1 + n > WIDTH) {
            printf("\n%*s", LABEL, "");
            column = LABEL;
        }
        column += printf("%s%.*s", column > LABEL ? " " : "", n, word);
        word += n;
        word += strspn(word, " ");
    }
    printf("\n");
}

void verify_print_rule(qp_ck_rule rule) {
    const qp_ck_rule_row *row = &qp_ck_rules[rule];
    printf("%s (%s)\n", row->id, qp_severity_name(row->severity));
    paragraph("holds", row->says);
    paragraph("why", row->why);
    paragraph("effect", row->effect);
    printf("  allow  --allow '%s:PATTERN:why it is all right'\n", row->id);
}

// ---- what is here
// --------------------------------------------------------------------------------------------------------

static void print_size(uint64_t n_bytes) {
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double n = (double)n_bytes;
    int unit = 0;
    for (; n >= 1024 && unit + 1 < QP_COUNT(units); unit++) n /= 1024;
    printf(unit == 0 ? "%.0f %s" : "%.2f %s", n, units[unit]);
}

// What a config says may hold anything, a terminal's escapes too.
static const char *shown(const qp_audit *u, const char *said) {
    const char *out = "?";
    qp_err err = {0};
    (void)qp_ck_show(said, strlen(said), u->findings.arena, &out, &err);
    return out;
}

static void print_inventory(const qp_audit *u) {
    const qp_ck_inventory *in = &u->inventory;
    const char *said = shown(u, qp_ck_claims_said(u->claims)),
               *producer = shown(u, qp_ck_claims_producer(u->claims));
    const bool silent =
        u->ckpt.config.path == NULL && u->ckpt.hf_quant.path == NULL && u->ckpt.quantize.path == NULL;
    if (silent) {
        printf("%s: no config beside it, schemes are read off the tensors", u->ckpt.path);
        said = producer = "";
    } else {
        printf("%s: %s", u->ckpt.path, qp_ck_dialect_name(qp_ck_claims_dialect(u->claims)));
    }
    if (said[0] != '\0') printf(", the config says %s", said);
    if (said[0] == '\0' && producer[0] != '\0') printf(", written by %s", producer);
    printf("\n  %d file%s, %" PRIu32 " tensor%s, ", u->ckpt.n_files, u->ckpt.n_files == 1 ? "" : "s",
           u->ckpt.n_tensors, u->ckpt.n_tensors == 1 ? "" : "s");
    print_size(u->ckpt.n_bytes);
    printf("; %" PRIu64 " unclassified\n", in->unclassified);
    printf("  %" PRIu64 " linear%s: %" PRIu64 " quantized", in->linears, in->linears == 1 ? "" : "s",
           in->quantized);
    for (int i = 0; i < in->n_schemes; i++)
        printf("%s%s %" PRIu64 "%s", i == 0 ? " (" : ", ", shown(u, in->by_scheme[i].scheme),
               in->by_scheme[i].n, i + 1 == in->n_schemes ? ")" : "");
    printf(", %" PRIu64 " excluded by name, %" PRIu64 " unquantized without being excluded, %" PRIu64
           " missing a scale\n",
           in->excluded, in->plain, in->missing_scale);
}

// ---- findings
// ------------------------------------------------------------------------------------------------------------

static void print_finding(const qp_ck_finding *f, bool with_effect) {
    const qp_ck_rule_row *row = &qp_ck_rules[f->rule];
    printf("%-7s  %s  %s  %s\n", qp_severity_name(row->severity), f->tensor, row->id, f->detail);
    if (with_effect && row->severity > QP_SEV_NOTE) printf("         effect: %s\n", f->effect);
}

// list[0 .. n) are one rule's, all of them counted in `counted`. An effect is said once while it stays.
static void print_rule_findings(const qp_ck_finding *const *list, size_t n, uint64_t counted, uint64_t most) {
    const char *effect = "";
    size_t shown = 0;
    for (; shown < n && (most == 0 || shown < most); shown++) {
        print_finding(list[shown], strcmp(list[shown]->effect, effect) != 0);
        effect = list[shown]->effect;
    }
    if (counted > shown)
        printf("         and %" PRIu64 " more %s\n", counted - shown, qp_ck_rules[list[0]->rule].id);
}

static size_t same_rule(const qp_ck_finding *const *list, size_t n) {
    size_t k = 1;
    while (k < n && list[k]->rule == list[0]->rule) k++;
    return k;
}

static void print_findings(const verify_answer *v) {
    for (size_t i = 0, k; i < v->n_open; i += k) {
        k = same_rule(v->open + i, v->n_open - i);
        if (i == 0) printf("\n");
        print_rule_findings(v->open + i, k, v->counts[v->open[i]->rule], v->o->per_rule);
    }
}

static void print_allowed(const verify_answer *v) {
    if (v->n_allowed > 0) printf("\nallowed: %zu\n", v->n_allowed);
    for (size_t i = 0, k; i < v->n_allowed; i += k) {
        k = same_rule(v->allowed + i, v->n_allowed - i);
        const qp_ck_finding *f = v->allowed[i];
        printf("  %s %zu, the first %s: %s\n", qp_ck_rules[f->rule].id, k, f->tensor, f->allowed);
    }
}

static void print_counts(const verify_answer *v) {
    bool any = false;
    for (int s = QP_SEV_ERROR; s >= QP_SEV_NOTE; s--)
        for (int i = 0; i < QP_CK_RULES; i++) {
            if ((int)qp_ck_rules[i].severity != s || v->counts[i] == 0) continue;
            printf("%s%s %" PRIu64, any ? ", " : "\ncounts: ", qp_ck_rules[i].id, v->counts[i]);
            any = true;
        }
    if (any) printf("\n");
}

void verify_print_stale(const verify_options *o, bool to_stderr) {
    FILE *to = to_stderr ? stderr : stdout;
    for (int i = 0; i < o->n_allows; i++)
        if (o->allows[i].n_hits == 0)
            fprintf(to, "stale: %s '%s:%s:%s' matches nothing here\n", o->allows[i].from,
                    qp_ck_rules[o->allows[i].rule].id, o->allows[i].pattern, o->allows[i].reason);
}

void verify_print_text(const verify_answer *v) {
    print_inventory(v->audit);
    if (v->o->audit.against != NULL) verify_print_against(v);
    print_findings(v);
    print_allowed(v);
    print_counts(v);
    printf("%s%s\n", v->n_open == 0 && v->n_allowed == 0 ? "\n" : "", v->verdict);
    if (v->o->audit.against == NULL)
        printf("A nibble swap, or a swizzle that keeps sizes, cannot be seen here: --against ORIGINAL or "
               "quantproof compare sees them.\n");
}
