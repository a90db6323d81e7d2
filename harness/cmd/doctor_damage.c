// SPDX-License-Identifier: Apache-2.0
// The damage matrix: sound checkpoints (every preset, and what real packages wrote) have nothing above note,
// and --against derives them; each damage that fits one is found by the rule named for it, at the tensor it
// struck, with no other rule beside it but those listed.
#include <string.h>

#include "audit/audit.h"
#include "cmd/doctor_damage.h"
#include "core/file.h"
#include "core/text.h"

// A hidden size of 128 keeps the whole matrix within seconds; three shards, so that an index is there.
enum { HIDDEN = 128, SHARDS = 3, SEED = 5 };

static const char SIN_PRESET[] = "modelopt-nvfp4"; // that wrong exporters write

typedef struct cell { // one damage on one checkpoint
    bool fits, found;
    int unlisted;
    const char *where, *first; // first: the first finding that was not wanted
} cell;

typedef struct row { // one sound checkpoint: a preset of the writer, or a folder of a real package
    qp_arena *arena;
    qp_doctor_sound sound;
    bool clean;
    const char *dialect, *first;
    uint64_t judged, derived, underivable, mismatched;
    cell *cells; // qp_n_damages
} row;

typedef struct matrix {
    const char *scratch, *only;
    row *rows;
    int n_rows; // presets first
} matrix;

bool qp_doctor_listed(const char *words, const char *word) {
    const size_t n = strlen(word);
    if (words == NULL) return false;
    if (!strcmp(words, "*")) return true;
    for (const char *p = strstr(words, word); p; p = strstr(p + 1, word))
        if ((p == words || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0')) return true;
    return false;
}

// A finding names the place: the place or a part of it, a tensor that is gone by its module, or in its text.
static bool names(const qp_ck_finding *f, const char *where) {
    return strstr(f->tensor, where) != NULL || strstr(f->detail, where) != NULL ||
           strncmp(f->tensor, where, strlen(f->tensor)) == 0;
}

static bool is_loud(const qp_ck_finding *f) {
    return qp_ck_rules[f->rule].severity > QP_SEV_NOTE;
}

static qp_status describe(const qp_ck_finding *f, qp_arena *a, const char **out, qp_err *err) {
    if (*out != NULL) return QP_OK;
    return qp_arena_printf(a, out, err, "%s %s: %s", qp_ck_rules[f->rule].id, f->tensor, f->detail);
}

static qp_status audit(const char *path, const char *against, qp_arena *a, qp_audit *u, qp_err *err) {
    const qp_audit_options o = {.path = path, .against = against, .threads = 1};
    return qp_audit_run(&o, a, u, err);
}

// ---- one preset
// ----------------------------------------------------------------------------------------------------------------

static qp_status judge_clean(const char *folder, const char *original, row *r, qp_err *err) {
    qp_audit u;
    qp_status status = audit(folder, original, r->arena, &u, err);
    if (status != QP_OK) return status;
    r->clean = true;
    for (size_t i = 0; i < u.findings.n && status == QP_OK; i++) {
        if (!is_loud(&u.findings.list[i])) continue;
        r->clean = false;
        status = describe(&u.findings.list[i], r->arena, &r->first, err);
    }
    r->dialect = qp_ck_dialect_name(qp_ck_claims_dialect(u.claims));
    r->judged = u.judged;
    r->derived = u.against.judged;
    r->underivable = u.against.underivable;
    r->mismatched = u.against.mismatched;
    qp_audit_close(&u);
    return status;
}

static qp_status judge_damage(const qp_damage *d, const char *folder, const char *original, row *r, cell *c,
                              qp_err *err) {
    qp_audit u;
    qp_arena *own = qp_arena_new();
    qp_status status = QP_OK;
    if (own == NULL) QP_FAIL(QP_NOMEM, "no memory");
    QP_TRY_GOTO(status, audit(folder, d->against ? original : NULL, own, &u, err), out);
    c->found = d->rule == NULL;
    for (size_t i = 0; i < u.findings.n && status == QP_OK; i++) {
        const qp_ck_finding *f = &u.findings.list[i];
        if (d->rule != NULL && !strcmp(qp_ck_rules[f->rule].id, d->rule)) {
            c->found |= names(f, c->where);
        } else if (is_loud(f) && !qp_doctor_listed(d->also, qp_ck_rules[f->rule].id)) {
            c->unlisted++;
            status = describe(f, r->arena, &c->first, err);
        }
    }
    qp_audit_close(&u);
out:
    qp_arena_free(own);
    return status;
}

// Codes and scales that follow from no original can be compared with nothing.
static bool can_tell(const qp_damage *d, const row *r) {
    return !d->against || r->sound.derivable || d->rule == NULL || !strcmp(d->rule, "bytes-differ");
}

static qp_status one_damage(const qp_damage *d, const char *base, row *r, cell *c, qp_err *err) {
    const char *sick;
    qp_arena *own = qp_arena_new();
    qp_status status = QP_OK;
    if (own == NULL) QP_FAIL(QP_NOMEM, "no memory");
    QP_TRY_GOTO(status, qp_arena_printf(own, &sick, err, "%s/%s", base, d->name), out);
    QP_TRY_GOTO(status,
                qp_damage_apply(d, r->sound.folder, sick, SEED + (uint64_t)(d - qp_damages), own, &c->fits,
                                &c->where, err),
                out);
    if (!c->fits) goto out;
    QP_TRY_GOTO(status, qp_arena_strdup(r->arena, c->where, &c->where, err), out);
    QP_TRY_GOTO(status, judge_damage(d, sick, r->sound.original, r, c, err), out);
    QP_TRY_GOTO(status, qp_dir_remove(sick, err), out);
out:
    qp_arena_free(own);
    return status;
}

static qp_status write_preset(const qp_synth_preset *p, const char *base, row *r, qp_err *err) {
    r->sound = (qp_doctor_sound){.name = p->name, .dialect = p->dialect, .derivable = p->derivable};
    QP_TRY(qp_arena_printf(r->arena, &r->sound.folder, err, "%s/sound", base));
    QP_TRY(qp_arena_printf(r->arena, &r->sound.original, err, "%s/original", base));
    const qp_synth_options o = {.preset = p->name,
                                .folder = r->sound.folder,
                                .original = r->sound.original,
                                .moe = true,
                                .hidden = HIDDEN,
                                .seed = SEED,
                                .shards = SHARDS};
    return qp_synth_write(&o, r->arena, err);
}

static qp_status one_checkpoint(void *ctx, int thread, uint64_t item, qp_err *err) {
    const matrix *m = ctx;
    row *r = &m->rows[item];
    const char *base;
    (void)thread;
    QP_TRY(qp_arena_printf(r->arena, &base, err, "%s/%d", m->scratch, (int)item));
    QP_TRY(qp_dir_make(base, err));
    if (item < (uint64_t)qp_synth_n_presets) QP_TRY(write_preset(&qp_synth_presets[item], base, r, err));
    QP_TRY(judge_clean(r->sound.folder, r->sound.original, r, err));
    if (r->sound.real) r->sound.derivable = r->underivable == 0;
    QP_TRY(QP_NEW(r->arena, r->cells, qp_n_damages));
    for (int k = 0; k < qp_n_damages; k++)
        if ((m->only == NULL || !strcmp(m->only, qp_damages[k].name)) && can_tell(&qp_damages[k], r))
            QP_TRY(one_damage(&qp_damages[k], base, r, &r->cells[k], err));
    return qp_dir_remove(base, err);
}

// ---- sins of the writer
// ----------------------------------------------------------------------------------------------------------

static qp_status one_sin(const char *scratch, const qp_damage *d, row *r, cell *c, qp_err *err) {
    const char *sick, *original;
    QP_TRY(qp_arena_printf(r->arena, &sick, err, "%s/%s", scratch, d->name));
    QP_TRY(qp_arena_printf(r->arena, &original, err, "%s-original", sick));
    const qp_synth_options o = {.preset = SIN_PRESET,
                                .folder = sick,
                                .original = original,
                                .moe = true,
                                .hidden = HIDDEN,
                                .seed = SEED,
                                .shards = SHARDS,
                                .sin = d->name};
    QP_TRY(qp_synth_write(&o, r->arena, err));
    c->fits = true;
    c->where = "";
    QP_TRY(judge_damage(d, sick, original, r, c, err));
    QP_TRY(qp_dir_remove(sick, err));
    return qp_dir_remove(original, err);
}

// ---- what is shown
// -------------------------------------------------------------------------------------------------------------------

static bool sound_enough(const row *r) {
    const bool quantized = strcmp(r->sound.dialect, "plain") != 0;
    return r->clean && !strcmp(r->dialect, r->sound.dialect) && (r->judged > 0) == quantized &&
           r->mismatched == 0 &&
           (!r->sound.derivable || (r->underivable == 0 && (r->derived > 0) == quantized));
}

static void show_clean(const matrix *m, FILE *out, qp_damage_tally *t) {
    for (int i = 0; i < m->n_rows; i++) {
        const row *r = &m->rows[i];
        const bool good = sound_enough(r);
        t->checkpoints++;
        t->real += r->sound.real;
        t->clean += good;
        t->linears += r->derived;
        t->problems += !good;
        if (good || out == NULL) continue;
        fprintf(out,
                "sound %s: dialect %s, %llu judged, %llu derived, %llu underivable, %llu mismatched; %s   <- "
                "PROBLEM\n",
                r->sound.name, r->dialect, (unsigned long long)r->judged, (unsigned long long)r->derived,
                (unsigned long long)r->underivable, (unsigned long long)r->mismatched,
                r->first != NULL ? r->first : "nothing above note");
    }
    if (out != NULL)
        fprintf(out,
                "sound checkpoints: %d of %d have nothing above note (%d presets, %d by real packages); "
                "--against derives %llu linears\n",
                t->clean, t->checkpoints, t->checkpoints - t->real, t->real, (unsigned long long)t->linears);
}

// cells: what became of the damage, on each of n checkpoints.
static void show_damage(const qp_damage *d, const cell *const *cells, const row *rows, int n, bool verbose,
                        FILE *out, qp_damage_tally *t) {
    const cell *example = NULL;
    int fits = 0, found = 0;
    for (int i = 0; i < n; i++) {
        const cell *c = cells[i];
        const bool good = c->found && c->unlisted == 0;
        fits += c->fits;
        found += c->fits && good;
        if (c->fits && (example == NULL || !good)) example = c;
    }
    const bool good = fits > 0 && found == fits;
    t->kinds += fits > 0;
    t->kinds_found += good;
    t->places += fits;
    t->places_found += found;
    t->problems += !good;
    if (out == NULL) return;
    fprintf(out, "%-26s %-12s %-20s %4d of %-4d %s%s\n", d->name, d->mutant,
            d->rule != NULL ? d->rule : "nothing", found, fits, example != NULL ? example->where : "",
            good ? "" : "   <- PROBLEM");
    if (d->consequence != NULL) fprintf(out, "          %s\n", d->consequence);
    for (int i = 0; i < n; i++) {
        const cell *c = cells[i];
        if (!c->fits || (!verbose && c->found && c->unlisted == 0)) continue;
        fprintf(out, "          %s at %s: %s%s%s\n", rows[i].sound.name, c->where,
                c->found ? "found" : "NOT FOUND", c->unlisted > 0 ? ", unlisted " : "",
                c->unlisted > 0 ? c->first : "");
    }
}

static qp_status show_all(const matrix *m, qp_arena *a, bool verbose, FILE *out, qp_damage_tally *t,
                          qp_err *err) {
    const cell **cells;
    QP_TRY(QP_NEW(a, cells, m->n_rows));
    if (out != NULL)
        fprintf(out, "%-26s %-12s %-20s %-12s %s\n", "damage", "mutant", "found by", "checkpoints",
                "for example at");
    for (int k = 0; k < qp_n_damages; k++) {
        if (m->only != NULL && strcmp(m->only, qp_damages[k].name) != 0) continue;
        for (int i = 0; i < m->n_rows; i++) cells[i] = &m->rows[i].cells[k];
        show_damage(&qp_damages[k], cells, m->rows, m->n_rows, verbose, out, t);
    }
    for (int k = 0; k < qp_n_synth_sins; k++) {
        row r = {.arena = a, .sound.name = SIN_PRESET};
        cell c = {0};
        const cell *only = &c;
        if (m->only != NULL && strcmp(m->only, qp_synth_sins[k].name) != 0) continue;
        QP_TRY(one_sin(m->scratch, &qp_synth_sins[k], &r, &c, err));
        show_damage(&qp_synth_sins[k], &only, &r, 1, verbose, out, t);
    }
    show_clean(m, out, t);
    return QP_OK;
}

static qp_status add_real(matrix *m, const char *data_dir, qp_arena *a, qp_err *err) {
    qp_doctor_sound *real;
    int n_real = 0;
    if (data_dir != NULL) QP_TRY(qp_doctor_real(data_dir, a, &real, &n_real, err));
    m->n_rows = qp_synth_n_presets + n_real;
    QP_TRY(QP_NEW(a, m->rows, m->n_rows));
    for (int i = 0; i < m->n_rows; i++) {
        m->rows[i].arena = qp_arena_new();
        if (m->rows[i].arena == NULL) QP_FAIL(QP_NOMEM, "no memory");
        if (i >= qp_synth_n_presets) m->rows[i].sound = real[i - qp_synth_n_presets];
    }
    return QP_OK;
}

qp_status qp_doctor_damages(const char *scratch, const char *data_dir, const char *only, bool verbose,
                            FILE *out, qp_damage_tally *t, qp_err *err) {
    matrix m = {.only = only};
    qp_arena *a = qp_arena_new();
    qp_status status = QP_OK;
    memset(t, 0, sizeof *t);
    if (a == NULL) QP_FAIL(QP_NOMEM, "no memory");
    json_object_seed(0); // before threads do it
    QP_TRY_GOTO(status, qp_arena_printf(a, &m.scratch, err, "%s/damages", scratch), out);
    QP_TRY_GOTO(status, add_real(&m, data_dir, a, err), out);
    QP_TRY_GOTO(status, qp_work_run((uint64_t)m.n_rows, 0, one_checkpoint, &m, err), out);
    QP_TRY_GOTO(status, show_all(&m, a, verbose, out, t, err), out);
out:
    for (int i = 0; m.rows != NULL && i < m.n_rows; i++)
        if (m.rows[i].arena != NULL) qp_arena_free(m.rows[i].arena);
    qp_arena_free(a);
    return status;
}
