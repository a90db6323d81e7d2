// SPDX-License-Identifier: Apache-2.0
// Command mine: hard inputs of a format, for cases/hard/.
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/hex_data.h"
#include "cmd/mine.h"
#include "core/text.h"
#include "qp/ref.h"
#include "variants/variants.h"

static const char usage[] =
    "usage: quantproof mine FORMAT [--in bf16|fp16|fp32] [--seed N] [--out FILE] [--random N] [--list]\n"
    "                       [--check FILE] [--prove]\n"
    "  finds inputs at code ties, scale ties and forks between near-identical formulas, and keeps few that\n"
    "  tell every variant of the reference from it\n"
    "  --in TYPE     of the tensor, default bf16\n"
    "  --seed N      of the candidates, default 1\n"
    "  --out FILE    where the set goes, default cases/hard/FORMAT-TYPE.txt; '-' for nowhere\n"
    "  --random N    then counts how many of at most N random elements tell as much\n"
    "  --list        the variants of the format, nothing mined\n"
    "  --check FILE  judges a set that is there, nothing mined\n"
    "  --prove       searches every input for one that tells a variant listed as equal\n";

typedef struct options {
    qp_mine mine;
    const char *out, *check;
    int64_t random;
    bool list, prove, help;
} options;

static qp_status format_named(const char *word, qp_format *out, qp_err *err) {
    const char *names[QP_FORMAT_COUNT];
    for (int f = 0; f < QP_FORMAT_COUNT; f++) {
        names[f] = qp_format_get((qp_format)f)->name;
        if (strcmp(word, names[f]) != 0) continue;
        *out = (qp_format)f;
        return QP_OK;
    }
    const char *near = qp_nearest(word, names, QP_FORMAT_COUNT);
    QP_FAIL(QP_USAGE, "unknown format '%s'%s%s%s", word, near != NULL ? ", did you mean '" : "",
            near != NULL ? near : "", near != NULL ? "'?" : "");
}

static qp_status dtype_named(const char *word, qp_dtype *out, qp_err *err) {
    for (int t = QP_BF16; t <= QP_FP32; t++)
        if (strcmp(word, qp_dtype_name((qp_dtype)t)) == 0) {
            *out = (qp_dtype)t;
            return QP_OK;
        }
    QP_FAIL(QP_USAGE, "--in: wanted bf16, fp16 or fp32, got '%s'", word);
}

static qp_status take_dtype(options *o, const char *value, qp_err *err) {
    return dtype_named(value, &o->mine.dtype, err);
}

static qp_status take_seed(options *o, const char *value, qp_err *err) {
    if (!qp_parse_u64(value, &o->mine.seed)) QP_FAIL(QP_USAGE, "--seed: wanted a number, got '%s'", value);
    return QP_OK;
}

static qp_status take_out(options *o, const char *value, qp_err *err) {
    (void)err;
    o->out = value;
    return QP_OK;
}

static qp_status take_check(options *o, const char *value, qp_err *err) {
    (void)err;
    o->check = value;
    return QP_OK;
}

static qp_status take_random(options *o, const char *value, qp_err *err) {
    if (!qp_parse_i64(value, &o->random) || o->random < 1)
        QP_FAIL(QP_USAGE, "--random: wanted a number above 0, got '%s'", value);
    return QP_OK;
}

static qp_status take_list(options *o, const char *value, qp_err *err) {
    (void)value, (void)err;
    o->list = true;
    return QP_OK;
}

static qp_status take_prove(options *o, const char *value, qp_err *err) {
    (void)value, (void)err;
    o->prove = true;
    return QP_OK;
}

static qp_status take_help(options *o, const char *value, qp_err *err) {
    (void)value, (void)err;
    o->help = true;
    return QP_OK;
}

static const struct {
    const char *name;
    bool has_value;
    qp_status (*take)(options *o, const char *value, qp_err *err);
} table[] = {{"--in", true, take_dtype},     {"--seed", true, take_seed},     {"--out", true, take_out},
             {"--check", true, take_check},  {"--random", true, take_random}, {"--list", false, take_list},
             {"--prove", false, take_prove}, {"--help", false, take_help},    {"-h", false, take_help}};

static qp_status parse(int argc, char **argv, options *o, qp_err *err) {
    *o = (options){.mine = {.format = QP_FORMAT_NONE, .dtype = QP_BF16, .seed = 1}};
    for (int i = 1; i < argc; i++) {
        int k = 0;
        while (k < QP_COUNT(table) && strcmp(argv[i], table[k].name) != 0) k++;
        if (k < QP_COUNT(table)) {
            if (table[k].has_value && i + 1 == argc) QP_FAIL(QP_USAGE, "%s: a value is missing", argv[i]);
            const char *value = table[k].has_value ? argv[++i] : NULL;
            QP_TRY(table[k].take(o, value, err));
        } else if (argv[i][0] == '-') {
            QP_FAIL(QP_USAGE, "unknown option '%s'\n%s", argv[i], usage);
        } else {
            if (o->mine.format != QP_FORMAT_NONE)
                QP_FAIL(QP_USAGE, "one format, got '%s' too\n%s", argv[i], usage);
            QP_TRY(format_named(argv[i], &o->mine.format, err));
        }
    }
    if (o->mine.format == QP_FORMAT_NONE && !o->help) QP_FAIL(QP_USAGE, "a format is missing\n%s", usage);
    return QP_OK;
}

qp_status qp_mine_prepare(qp_mine *m, qp_err *err) {
    const char *why = ref_unsupported(QP_OP_FAKEQUANT, m->format, QP_ENGINE_IEEE);
    if (why != NULL) QP_FAIL(QP_USAGE, "%s: nothing to mine", why);
    m->n_variants = qp_n_variants(m->format);
    if (m->n_variants == 0)
        QP_FAIL(QP_USAGE, "%s has no variants: nothing to mine", qp_format_get(m->format)->name);
    if (m->n_variants > QP_MINE_MAX_VARIANTS)
        QP_FAIL(QP_BROKEN, "%d variants, room for %d", m->n_variants, QP_MINE_MAX_VARIANTS);
    for (int v = 0; v < m->n_variants; v++) qp_mask_set(&m->all, v);
    return QP_OK;
}

static bool equal_on_this_type(const qp_mine *m, int v) {
    return qp_variant_equal(m->format, m->dtype, qp_variant_at(m->format, v)->name) != NULL;
}

// Every variant is told or listed as equal, none both. Lists are kept for bf16, the type that can be
// searched.
static void report(const qp_mine *m, const qp_mine_set *s, int *exit_code) {
    int n_equal = 0, n_wrong = 0;
    for (int v = 1; v < m->n_variants; v++) {
        const bool killed = qp_mask_has(&s->killed, v), equal = equal_on_this_type(m, v);
        n_equal += equal;
        if (killed != equal) continue;
        n_wrong += m->dtype == QP_BF16;
        printf("%s: %s\n",
               killed ? "told apart, but listed as equal" : "not told apart, and not listed as equal",
               qp_variant_at(m->format, v)->name);
    }
    if (qp_mask_has(&s->killed, 0)) {
        n_wrong++;
        printf("the variant without a sin differs from the reference\n");
    }
    printf("%s %s: %lld elements in %d tensors, %d variants told apart, %d listed as equal\n",
           qp_format_get(m->format)->name, qp_dtype_name(m->dtype), (long long)qp_mine_elements(s), s->n,
           qp_mask_count(s->killed), n_equal);
    if (n_wrong > 0) *exit_code = 1;
}

static qp_status at_random(const qp_mine *m, const qp_mine_set *s, int64_t limit, qp_err *err) {
    qp_mine wanted = *m;
    wanted.all = s->killed;
    for (int edges = 0; edges < 2; edges++) {
        qp_mine_random r;
        QP_TRY(qp_mine_at_random(&wanted, edges != 0, limit, &r, err));
        printf("%s: %lld elements tell %d of %d, the last new one after %lld; not told:", r.data,
               (long long)r.n_elems, qp_mask_count(s->killed) - qp_mask_count(r.never),
               qp_mask_count(s->killed), (long long)r.last_kill);
        for (int v = 1; v < m->n_variants; v++)
            if (qp_mask_has(&r.never, v)) printf(" %s", qp_variant_at(m->format, v)->name);
        printf("\n");
    }
    return QP_OK;
}

static qp_status prove(const qp_mine *m, int *exit_code, qp_err *err) {
    qp_mine_mask claimed = {{0}}, refuted;
    int64_t n;
    for (int v = 1; v < m->n_variants; v++)
        if (equal_on_this_type(m, v)) qp_mask_set(&claimed, v);
    QP_TRY(qp_mine_prove(m, claimed, 1, &n, &refuted, err));
    for (int v = 1; v < m->n_variants; v++)
        if (qp_mask_has(&claimed, v))
            printf("%s %s: %s\n", qp_mask_has(&refuted, v) ? "refuted" : "equal on every input",
                   qp_variant_at(m->format, v)->name,
                   qp_variant_equal(m->format, m->dtype, qp_variant_at(m->format, v)->name));
    printf("%s %s: %d variants listed as equal, %d refuted, %lld inputs\n", qp_format_get(m->format)->name,
           qp_dtype_name(m->dtype), qp_mask_count(claimed), qp_mask_count(refuted), (long long)n);
    if (qp_mask_count(refuted) > 0) *exit_code = 1;
    return QP_OK;
}

static void list(const qp_mine *m) {
    for (int v = 0; v < m->n_variants; v++) {
        const qp_variant *row = qp_variant_at(m->format, v);
        printf("%-28s %s%s\n", row->name, row->sin, equal_on_this_type(m, v) ? " [equal]" : "");
    }
}

static qp_status mine(const options *o, qp_arena *a, int *exit_code, qp_err *err) {
    qp_mine_set set = {0};
    const char *path = o->out;
    QP_TRY(qp_mine_cover(&o->mine, a, &set, err));
    QP_TRY(qp_mine_reduce(&o->mine, a, &set, err));
    if (path == NULL)
        QP_TRY(qp_arena_printf(a, &path, err, QP_HARD_FOLDER "%s-%s.txt", qp_format_get(o->mine.format)->name,
                               qp_dtype_name(o->mine.dtype)));
    report(&o->mine, &set, exit_code);
    if (strcmp(path, "-") != 0) {
        QP_TRY(qp_mine_write(&o->mine, &set, path, err));
        printf("%s\n", path);
    }
    return o->random > 0 ? at_random(&o->mine, &set, o->random, err) : QP_OK;
}

qp_status qp_cmd_mine(int argc, char **argv, int *exit_code, qp_err *err) {
    options o;
    QP_TRY(parse(argc, argv, &o, err));
    *exit_code = 0;
    if (o.help) {
        printf("%s", usage);
        return QP_OK;
    }
    QP_TRY(qp_mine_prepare(&o.mine, err));
    if (o.list) {
        list(&o.mine);
        return QP_OK;
    }
    if (o.prove) return prove(&o.mine, exit_code, err);
    qp_arena *a = qp_arena_new();
    if (a == NULL) QP_FAIL(QP_NOMEM, "mine: out of memory");
    qp_mine_set set = {0};
    qp_status s;
    if (o.check != NULL) {
        s = qp_mine_read(&o.mine, o.check, a, &set, err);
        if (s == QP_OK) report(&o.mine, &set, exit_code);
        if (s == QP_OK && o.random > 0) s = at_random(&o.mine, &set, o.random, err);
    } else {
        s = mine(&o, a, exit_code, err);
    }
    qp_arena_free(a);
    return s;
}
