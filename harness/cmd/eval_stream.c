// SPDX-License-Identifier: Apache-2.0
// A stream of eval lines: read, answer or compare, in order, one answer a line, flushed. Lines of op=promote
// with one group are held back until the group ends, since each member's answer needs all of them.
#include "cmd/eval.h"

#include "core/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct item {
    eval_case c;
    eval_state state;
    const char *message; // refusal or skip label
    eval_answer answer;
} item;

typedef struct run {
    const eval_stream *s;
    qp_arena *arena; // of the lines under way
    item **pending;  // members of one group
    int n_pending, cap_pending;
    const char *group;
} run;

// ---- counting
// ----------------------------------------------------------------------------------------------------------------

static qp_status count_skip(run *r, const char *label, qp_err *err) {
    eval_totals *t = r->s->totals;
    t->skipped++;
    eval_skip **at = &t->skips;
    for (; *at != NULL; at = &(*at)->next)
        if (strcmp((*at)->label, label) == 0) {
            (*at)->n++;
            return QP_OK;
        }
    QP_TRY(QP_NEW(r->s->keep, *at, 1));
    (*at)->n = 1;
    return qp_arena_strdup(r->s->keep, label, &(*at)->label, err);
}

// A refused or skipped line still has its place among the answers: a comment line on the output.
static qp_status say_refused(run *r, const char *message) {
    r->s->totals->refused++;
    fprintf(r->s->errors, "%s\n", message);
    if (!r->s->check) fprintf(r->s->out, "# refused: %s\n", message);
    return QP_OK;
}

static qp_status say_skipped(run *r, const char *label, qp_err *err) {
    if (!r->s->check) fprintf(r->s->out, "# skipped: %s is not built yet\n", label);
    return count_skip(r, label, err);
}

// ---- printing
// ----------------------------------------------------------------------------------------------------------------

static int digits_of(qp_dtype t) {
    return 2 * (int)qp_dtype_bytes(t);
}

static void print_answer(FILE *out, const eval_answer *a, const char *engine) {
    static const char hex[] = "0123456789abcdef";
    if (engine != NULL) fprintf(out, "engine=%s ", engine);
    for (int k = 0; k < a->n; k++) {
        const eval_array *v = &a->items[k].array;
        fprintf(out, "%s%s=", k > 0 ? " " : "", a->items[k].key->name);
        for (int64_t i = 0; i < v->n; i++) {
            uint32_t bits = eval_array_bits(v, i);
            char text[10];
            int n = 0;
            if (v->dtype == QP_I32) {
                fprintf(out, "%s%u", i > 0 ? "," : "", bits);
                continue;
            }
            if (i > 0) text[n++] = ',';
            for (int d = digits_of(v->dtype) - 1; d >= 0; d--) text[n++] = hex[bits >> 4 * d & 15];
            fwrite(text, 1, (size_t)n, out);
        }
    }
    fputc('\n', out);
}

// ---- comparing
// ---------------------------------------------------------------------------------------------------------------

// Plain values of a line become one word.
static void print_value(FILE *out, const char *text) {
    for (const char *p = text; *p != '\0'; p += strspn(p, " ")) {
        size_t n = strcspn(p, " ");
        if (p != text) fputc(',', out);
        fwrite(p, 1, n, out);
        p += n;
    }
}

// A command that shows the reference's answer to this line again.
static void print_paste(run *r, const item *it) {
    const eval_case *c = &it->c;
    if (c->group != NULL || strlen(c->line) > 4000) {
        int first = r->n_pending > 0 ? r->pending[0]->c.place.line : c->place.line;
        int last = r->n_pending > 0 ? r->pending[r->n_pending - 1]->c.place.line : c->place.line;
        fprintf(r->s->out, "  paste: sed -n '%d,%dp' %s | quantproof eval\n", first, last, r->s->name);
        return;
    }
    fprintf(r->s->out, "  paste: echo 'op=%s", c->row->op);
    if (c->fmt[0] != '\0') fprintf(r->s->out, " fmt=%s", c->fmt);
    if (c->row->engines != 0) fprintf(r->s->out, " engine=%s", qp_engine_name(c->engine));
    for (int k = 0; k < c->row->n_keys; k++)
        if (!c->row->keys[k].answer && c->values[k].text != NULL) {
            fprintf(r->s->out, " %s=", c->row->keys[k].name);
            print_value(r->s->out, c->values[k].text);
        }
    fprintf(r->s->out, "' | quantproof eval\n");
}

typedef struct difference {
    const eval_key *key;
    const eval_array *want, *got;
    int64_t first, n; // first differing element, how many
} difference;

static bool compare_key(const eval_case *c, const eval_answer *a, int item_index, difference *d) {
    const eval_key *key = a->items[item_index].key;
    const eval_value *given = &c->values[eval_key_index(c->row, key->name)];
    *d = (difference){.key = key, .want = &given->array, .got = &a->items[item_index].array};
    if (given->text == NULL) return true;
    for (int64_t i = 0; i < d->got->n && d->want->n == d->got->n; i++) {
        const uint32_t want = eval_array_bits(d->want, i), got = eval_array_bits(d->got, i);
        if (key->approx ? eval_near_bits(want, got) : eval_same_bits(d->got->dtype, want, got)) continue;
        if (d->n++ == 0) d->first = i;
    }
    return d->n == 0 && d->want->n == d->got->n;
}

static void print_difference(run *r, const item *it, const difference *d) {
    const int digits = digits_of(d->got->dtype), line = it->c.place.line;
    FILE *out = r->s->out;
    if (d->want->n != d->got->n) {
        fprintf(out, "%s:%d: %s: want %lld values, got %lld\n", r->s->name, line, d->key->name,
                (long long)d->want->n, (long long)d->got->n);
        return;
    }
    const uint32_t want = eval_array_bits(d->want, d->first), got = eval_array_bits(d->got, d->first);
    fprintf(out, "%s:%d: %s[%lld]: ", r->s->name, line, d->key->name, (long long)d->first);
    if (d->got->dtype == QP_I32)
        fprintf(out, "want %u, got %u", want, got);
    else
        fprintf(out, "want %0*x, got %0*x", digits, want, digits, got);
    fprintf(out, " (%lld of %lld differ)\n", (long long)d->n, (long long)d->got->n);
}

static void compare(run *r, const item *it) {
    bool equal = true;
    for (int k = 0; k < it->answer.n; k++) {
        difference d;
        if (compare_key(&it->c, &it->answer, k, &d)) continue;
        print_difference(r, it, &d);
        equal = false;
    }
    if (!equal) print_paste(r, it);
    *(equal ? &r->s->totals->equal : &r->s->totals->different) += 1;
}

static bool has_answer_keys(const eval_case *c) {
    for (int k = 0; k < c->row->n_keys; k++)
        if (c->row->keys[k].answer && c->values[k].text != NULL) return true;
    return false;
}

// ---- one line
// ------------------------------------------------------------------------------------------------------------------

// USAGE and REFUSED belong to the line; anything else stops the stream.
static qp_status line_fault(item *it, qp_status s, const qp_err *fault, qp_arena *a, qp_err *err) {
    if (s == QP_OK) return QP_OK;
    if (s != QP_USAGE && s != QP_REFUSED) {
        if (err != NULL) *err = *fault;
        return s;
    }
    it->state = EVAL_REFUSED;
    return qp_arena_strdup(a, fault->msg, &it->message, err);
}

static qp_status answer_item(run *r, item *it, qp_engine engine, qp_err *err) {
    qp_err fault = {0};
    it->answer = (eval_answer){0};
    it->c.engine = engine;
    return line_fault(it, it->c.row->answer(&it->c, engine, r->arena, &it->answer, &fault), &fault, r->arena,
                      err);
}

// engine=all: one line for every engine that has this answer.
static qp_status answer_all(run *r, item *it, qp_err *err) {
    if (r->s->check) {
        const char *message = NULL;
        QP_TRY(qp_arena_printf(r->arena, &message, err, "%s:%d: engine=all answers, it does not compare",
                               r->s->name, it->c.place.line));
        return say_refused(r, message);
    }
    int answered = 0;
    for (int e = 0; e < QP_ENGINE_COUNT; e++) {
        const char *label = NULL;
        if (!(it->c.row->engines >> e & 1)) continue;
        QP_TRY(eval_not_built(&it->c, (qp_engine)e, r->arena, &label, err));
        if (label != NULL) {
            fprintf(r->s->out, "# skipped: %s is not built yet\n", label);
            continue;
        }
        it->state = EVAL_GOOD;
        QP_TRY(answer_item(r, it, (qp_engine)e, err));
        if (it->state == EVAL_GOOD)
            print_answer(r->s->out, &it->answer, qp_engine_name((qp_engine)e));
        else
            fprintf(r->s->out, "# engine=%s refused: %s\n", qp_engine_name((qp_engine)e), it->message);
        answered += it->state == EVAL_GOOD;
    }
    if (answered == 0)
        return say_refused(r, it->message != NULL ? it->message : "no engine of this op and format is built");
    r->s->totals->answered++;
    return QP_OK;
}

static qp_status finish_item(run *r, const item *it, qp_err *err) {
    if (it->state == EVAL_REFUSED) return say_refused(r, it->message);
    if (it->state == EVAL_SKIPPED) return say_skipped(r, it->message, err);
    r->s->totals->answered++;
    if (!r->s->check)
        print_answer(r->s->out, &it->answer, NULL);
    else if (has_answer_keys(&it->c))
        compare(r, it);
    else
        return say_skipped(r, "line without answer keys", err);
    return QP_OK;
}

static qp_status convert_item(run *r, item *it, qp_err *err) {
    qp_err fault = {0};
    if (it->state != EVAL_GOOD) return QP_OK;
    return line_fault(it, eval_convert(&it->c, r->arena, &fault), &fault, r->arena, err);
}

static qp_status judge_single(run *r, item *it, qp_err *err) {
    if (it->state == EVAL_GOOD && it->c.all_engines && it->c.row->answer != NULL)
        return answer_all(r, it, err);
    if (it->state == EVAL_GOOD && it->c.all_engines) {
        it->state = EVAL_SKIPPED;
        QP_TRY(eval_not_built(&it->c, QP_ENGINE_IEEE, r->arena, &it->message, err));
    }
    if (it->state == EVAL_GOOD) QP_TRY(answer_item(r, it, it->c.engine, err));
    return finish_item(r, it, err);
}

// ---- groups
// --------------------------------------------------------------------------------------------------------------------

// A member that is refused takes the others with it: their maximum would be over fewer tensors than the line
// says.
static qp_status judge_group(run *r, qp_err *err) {
    const item *bad = NULL;
    for (int i = 0; i < r->n_pending; i++) {
        if (r->pending[i]->state == EVAL_GOOD)
            QP_TRY(answer_item(r, r->pending[i], r->pending[i]->c.engine, err));
        if (r->pending[i]->state == EVAL_REFUSED && bad == NULL) bad = r->pending[i];
    }
    eval_answer **members = NULL;
    int n = 0;
    QP_TRY(QP_NEW(r->arena, members, r->n_pending + 1));
    for (int i = 0; i < r->n_pending; i++) {
        item *it = r->pending[i];
        if (it->state == EVAL_GOOD && bad == NULL) members[n++] = &it->answer;
        if (it->state != EVAL_GOOD || bad == NULL) continue;
        it->state = EVAL_REFUSED;
        QP_TRY(qp_arena_printf(r->arena, &it->message, err,
                               "%s:%d:1: line %d, a member of the same group, is refused", r->s->name,
                               it->c.place.line, bad->c.place.line));
    }
    eval_join_group(members, n);
    for (int i = 0; i < r->n_pending; i++) QP_TRY(finish_item(r, r->pending[i], err));
    return QP_OK;
}

static qp_status end_group(run *r, qp_err *err) {
    if (r->n_pending > 0) QP_TRY(judge_group(r, err));
    r->n_pending = 0;
    r->group = NULL;
    return QP_OK;
}

static qp_status hold(run *r, item *it, qp_err *err) {
    if (r->group != NULL && strcmp(r->group, it->c.group) != 0) QP_TRY(end_group(r, err));
    if (r->n_pending == r->cap_pending) {
        int cap = r->cap_pending > 0 ? 2 * r->cap_pending : 16;
        item **bigger = NULL;
        QP_TRY(QP_NEW(r->arena, bigger, cap));
        if (r->n_pending > 0) memcpy(bigger, r->pending, sizeof *bigger * (size_t)r->n_pending);
        r->pending = bigger;
        r->cap_pending = cap;
    }
    r->pending[r->n_pending++] = it;
    r->group = it->c.group;
    return QP_OK;
}

static qp_status take_line(run *r, const char *line, size_t n, int number, qp_err *err) {
    item *it = NULL;
    QP_TRY(QP_NEW(r->arena, it, 1));
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) n--;
    eval_place place = {r->s->name, number};
    QP_TRY(eval_parse(line, n, place, r->s->defaults, r->arena, &it->c, &it->state, &it->message, err));
    bool blank = it->state == EVAL_EMPTY && strspn(it->c.line, " \t") == strlen(it->c.line);
    if (it->state == EVAL_EMPTY) return blank ? end_group(r, err) : QP_OK;
    r->s->totals->lines++;
    QP_TRY(convert_item(r, it, err));
    if (it->c.group != NULL) return hold(r, it, err);
    QP_TRY(end_group(r, err));
    return judge_single(r, it, err);
}

static qp_status flush_out(const eval_stream *s, qp_err *err) {
    if (fflush(s->out) == 0 && !ferror(s->out)) return QP_OK;
    QP_FAIL(QP_IO, "writing answers: %s", strerror(errno));
}

qp_status eval_run(const eval_stream *s, qp_err *err) {
    run r = {.s = s, .arena = qp_arena_new()};
    char *line = NULL;
    size_t room = 0;
    qp_status status = QP_OK;
    if (r.arena == NULL) QP_FAIL(QP_NOMEM, "no memory for an arena");
    for (int number = 1;; number++) {
        errno = 0;
        ssize_t n = getline(&line, &room, s->in);
        if (n < 0) break;
        QP_TRY_GOTO(status, take_line(&r, line, (size_t)n, number, err), out);
        QP_TRY_GOTO(status, flush_out(s, err), out);
        if (r.n_pending > 0) continue;
        qp_arena_reset(r.arena);
        r.pending = NULL;
        r.cap_pending = 0;
    }
    if (ferror(s->in)) QP_FAIL_GOTO(status, out, QP_IO, "%s: %s", s->name, strerror(errno));
    QP_TRY_GOTO(status, end_group(&r, err), out);
    QP_TRY_GOTO(status, flush_out(s, err), out);
out:
    free(line);
    qp_arena_free(r.arena);
    return status;
}

qp_status eval_print_skips(const eval_totals *t, FILE *out, qp_err *err) {
    (void)err;
    if (t->skips == NULL) return QP_OK;
    fprintf(out, "skipped:");
    for (const eval_skip *s = t->skips; s != NULL; s = s->next)
        fprintf(out, "%s %d %s", s == t->skips ? "" : ",", s->n, s->label);
    fputc('\n', out);
    return QP_OK;
}
