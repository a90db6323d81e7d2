// SPDX-License-Identifier: Apache-2.0
// verify as one JSON object: product page, section 6; reports/schema/verify.schema.json says it exactly. Keys
// keep the order in which they are set here.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cmd/verify.h"

typedef struct builder { // memory is looked for once, at the end
    qp_arena *arena;
    bool failed;
} builder;

static void set(builder *b, json_t *object, const char *key, json_t *value) {
    b->failed = b->failed || json_object_set_new(object, key, value) != 0;
}

static void append(builder *b, json_t *array, json_t *value) {
    b->failed = b->failed || json_array_append_new(array, value) != 0;
}

static json_t *number(uint64_t n) {
    return json_integer((json_int_t)n);
}

static json_t *real(double x) { // JSON has no infinity
    return isfinite(x) ? json_real(x) : json_null();
}

// Text that is no UTF-8 (a path may be anything) in its printable form; NULL as null.
static json_t *text(builder *b, const char *s) {
    if (s == NULL) return json_null();
    json_t *t = json_string(s);
    const char *shown = "?";
    qp_err err = {0};
    if (t != NULL) return t;
    (void)qp_ck_show(s, strlen(s), b->arena, &shown, &err);
    return json_string(shown);
}

static json_t *name(builder *b, const char *s, size_t n) {
    const char *shown = "?";
    qp_err err = {0};
    (void)qp_ck_show(s, n, b->arena, &shown, &err);
    return json_string(shown);
}

static json_t *inventory(builder *b, const qp_audit *u) {
    const qp_ck_inventory *in = &u->inventory;
    json_t *o = json_object(), *schemes = json_object();
    for (int i = 0; i < in->n_schemes; i++)
        set(b, schemes, in->by_scheme[i].scheme, number(in->by_scheme[i].n));
    set(b, o, "config", text(b, qp_ck_claims_said(u->claims)));
    set(b, o, "producer", text(b, qp_ck_claims_producer(u->claims)));
    set(b, o, "files", number((uint64_t)u->ckpt.n_files));
    set(b, o, "linears", number(in->linears));
    set(b, o, "quantized", number(in->quantized));
    set(b, o, "by_scheme", schemes);
    set(b, o, "excluded", number(in->excluded));
    set(b, o, "plain", number(in->plain));
    set(b, o, "missing_scale", number(in->missing_scale));
    set(b, o, "unclassified", number(in->unclassified));
    return o;
}

static json_t *findings(builder *b, const qp_ck_finding *const *list, size_t n) {
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *o = json_object();
        set(b, o, "severity", text(b, qp_severity_name(qp_ck_rules[list[i]->rule].severity)));
        set(b, o, "rule", text(b, qp_ck_rules[list[i]->rule].id));
        set(b, o, "tensor", text(b, list[i]->tensor));
        set(b, o, "detail", text(b, list[i]->detail));
        set(b, o, "effect", text(b, list[i]->effect));
        if (list[i]->allowed != NULL) set(b, o, "reason", text(b, list[i]->allowed));
        append(b, all, o);
    }
    return all;
}

static json_t *counts(builder *b, const uint64_t *n_of) {
    json_t *o = json_object();
    for (int i = 0; i < QP_CK_RULES; i++)
        if (n_of[i] > 0) set(b, o, qp_ck_rules[i].id, number(n_of[i]));
    return o;
}

static json_t *against_row(builder *b, const qp_against_row *r) {
    json_t *o = json_object();
    set(b, o, "module", name(b, r->module->name, r->module->n_name));
    set(b, o, "scheme", text(b, r->module->scheme != NULL ? r->module->scheme->name : NULL));
    set(b, o, "original", text(b, r->original));
    set(b, o, "skipped", text(b, r->skipped));
    set(b, o, "engine", text(b, r->engine));
    set(b, o, "codes", number(r->n_codes));
    set(b, o, "scales", number(r->n_scales));
    set(b, o, "codes_differ", number(r->codes_differ));
    set(b, o, "scales_differ", number(r->scales_differ));
    set(b, o, "globals_differ", number(r->globals_differ));
    set(b, o, "near_ties", number(r->near_ties));
    set(b, o, "distance", real(r->distance));
    set(b, o, "loss_ratio", r->loss_ratio > 0 ? real(r->loss_ratio) : json_null());
    set(b, o, "class", text(b, r->class != NULL && r->class[0] != '\0' ? r->class : NULL));
    return o;
}

static json_t *loss(builder *b, const qp_against *x) {
    if (x->loss.linears == 0) return json_null();
    const qp_ck_module *worst = x->loss.worst_at;
    json_t *o = json_object();
    set(b, o, "linears", number(x->loss.linears));
    set(b, o, "blocks_a_linear", number(QP_AGAINST_SAMPLE));
    set(b, o, "mean", real(x->loss.mean));
    set(b, o, "worst", real(x->loss.worst));
    set(b, o, "worst_module", name(b, worst->name, worst->n_name));
    return o;
}

static json_t *against(builder *b, const qp_against *x, const char *path) {
    json_t *o = json_object(), *rows = json_array();
    for (uint32_t i = 0; i < x->n_rows; i++) append(b, rows, against_row(b, &x->rows[i]));
    set(b, o, "path", text(b, path));
    set(b, o, "judged", number(x->judged));
    set(b, o, "not_derivable", number(x->underivable));
    set(b, o, "unmatched", number(x->unmatched));
    set(b, o, "mismatched", number(x->mismatched));
    set(b, o, "plain_equal", number(x->plain_equal));
    set(b, o, "plain_different", number(x->plain_different));
    set(b, o, "loss", loss(b, x));
    set(b, o, "linears", rows);
    return o;
}

static json_t *image(uint32_t bits) { // a value as its fp32 image
    char hex[9];
    snprintf(hex, sizeof hex, "%08x", bits);
    return json_string(hex);
}

static json_t *statistics(builder *b, const qp_audit *u) {
    json_t *all = json_array();
    for (uint32_t i = 0; u->stats != NULL && i < u->modules.n; i++) {
        const qp_ck_module *m = &u->modules.list[i];
        const qp_ck_stats *s = &u->stats[i];
        if (!s->scanned) continue;
        json_t *o = json_object();
        set(b, o, "module", name(b, m->name, m->n_name));
        set(b, o, "scheme", text(b, m->scheme != NULL ? m->scheme->name : NULL));
        set(b, o, "scales", number(s->n_scales));
        set(b, o, "nan", number(s->n_nan));
        set(b, o, "inf", number(s->n_inf));
        set(b, o, "negative", number(s->n_negative));
        set(b, o, "zero", number(s->n_zero));
        set(b, o, "zero_live", number(s->n_zero_live));
        set(b, o, "blocks", number(s->n_blocks));
        set(b, o, "zero_blocks", number(s->n_zero_blocks));
        set(b, o, "top_blocks", number(s->n_top));
        set(b, o, "nan_codes", number(s->n_code_nan));
        set(b, o, "max_scale", image(s->max_scale));
        set(b, o, "implied_max", image(s->implied_max));
        append(b, all, o);
    }
    return all;
}

static json_t *document(builder *b, const verify_answer *v) {
    const qp_audit *u = v->audit;
    const bool asked = v->o->audit.against != NULL;
    json_t *o = json_object();
    set(b, o, "path", text(b, u->ckpt.path));
    set(b, o, "dialect", text(b, qp_ck_dialect_name(qp_ck_claims_dialect(u->claims))));
    set(b, o, "engine", asked ? text(b, u->against.engine != NULL ? u->against.engine : "") : json_null());
    set(b, o, "inventory", inventory(b, u));
    set(b, o, "tensors", number(u->ckpt.n_tensors));
    set(b, o, "bytes", number(u->ckpt.n_bytes));
    set(b, o, "judged", number(u->judged));
    set(b, o, "findings", findings(b, v->open, v->n_open));
    set(b, o, "allowed", findings(b, v->allowed, v->n_allowed));
    set(b, o, "counts", counts(b, v->counts));
    if (asked) set(b, o, "against", against(b, &u->against, v->o->audit.against));
    if (v->o->statistics) set(b, o, "statistics", statistics(b, u));
    return o;
}

qp_status verify_print_json(const verify_answer *v, qp_arena *a, qp_err *err) {
    builder b = {.arena = a};
    json_t *o = document(&b, v);
    const bool failed = b.failed || json_dumpf(o, stdout, JSON_INDENT(1)) != 0 || putchar('\n') == EOF;
    json_decref(o);
    if (failed)
        QP_FAIL(b.failed ? QP_NOMEM : QP_IO, "the JSON answer could not be %s",
                b.failed ? "built" : "written");
    return QP_OK;
}
