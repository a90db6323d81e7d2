// SPDX-License-Identifier: Apache-2.0
// quantproof compare A B: two checkpoints or tensor files, tensor by tensor.
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/compare.h"
#include "cmd/cmd.h"
#include "core/text.h"

static const char usage[] =
    "usage: quantproof compare A B [options]      A, B: checkpoint folders or safetensors files\n"
    "  --map FILE       lines 'NAME_A NAME_B' of tensors or modules with other names; # comments\n"
    "  --json           one object instead of text\n"
    "  --all            list equal tensors too\n"
    "  --max N          rows listed in the text (default 20)\n"
    "  --threads N      default: one per core\n"
    "exit: 0 equal bytes, 1 different, 4 same meaning with other bytes, 2 unreadable, 6 nothing matched\n";

typedef struct options {
    qp_cmp_options compare;
    bool json, all, help;
    int64_t max;
} options;

static qp_status number_of(const char *name, const char *text, int64_t least, int64_t *out, qp_err *err) {
    if (qp_parse_i64(text, out) && *out >= least) return QP_OK;
    QP_FAIL(QP_USAGE, "%s: a number from %lld on was wanted, got '%s'", name, (long long)least, text);
}

static qp_status parse(int argc, char **argv, options *o, qp_err *err) {
    enum { MAP = 256, JSON, ALL, MAX, THREADS, HELP };
    static const struct option known[] = {{"map", 1, NULL, MAP},
                                          {"json", 0, NULL, JSON},
                                          {"all", 0, NULL, ALL},
                                          {"max", 1, NULL, MAX},
                                          {"threads", 1, NULL, THREADS},
                                          {"help", 0, NULL, HELP},
                                          {0}};
    int64_t threads = 0;
    *o = (options){.max = 20};
    optind = 0;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", known, NULL)) != -1;) {
        switch (c) {
        case MAP:
            o->compare.map = optarg;
            break;
        case JSON:
            o->json = true;
            break;
        case ALL:
            o->all = true;
            break;
        case MAX:
            QP_TRY(number_of("--max", optarg, 0, &o->max, err));
            break;
        case THREADS:
            QP_TRY(number_of("--threads", optarg, 1, &threads, err));
            break;
        case HELP:
            o->help = true;
            return QP_OK;
        default:
            QP_FAIL(QP_USAGE, "%s: %s\n%s", argv[optind - 1],
                    c == ':' ? "a value is missing" : "unknown option", usage);
        }
    }
    if (argc - optind != 2) QP_FAIL(QP_USAGE, "two paths wanted, got %d\n%s", argc - optind, usage);
    if (threads > QP_CMP_THREADS)
        QP_FAIL(QP_USAGE, "--threads: at most %d wanted, got %lld", QP_CMP_THREADS, (long long)threads);
    o->compare.threads = (int)threads;
    o->compare.a = argv[optind];
    o->compare.b = argv[optind + 1];
    return QP_OK;
}

// ---- text
// --------------------------------------------------------------------------------------------------------------

static void print_row(const qp_cmp_row *r) {
    printf("%-13s %s", qp_cmp_class_name(r->class), r->a != NULL ? r->a : r->b);
    if (r->a == NULL || r->b == NULL)
        printf("  only in %s", r->a != NULL ? "A" : "B");
    else if (strcmp(r->a, r->b) != 0)
        printf(" = %s", r->b);
    printf("\n");
    if (r->n_differ > 0) {
        printf("    %llu of %llu differ, the first at [", (unsigned long long)r->n_differ,
               (unsigned long long)r->n_elems);
        for (int i = 0; i < r->n_first; i++) printf("%s%lld", i > 0 ? ", " : "", (long long)r->first[i]);
        printf("]: %s against %s", r->a_bits, r->b_bits);
        if (r->max_code_distance > 0)
            printf("; codes up to %llu apart", (unsigned long long)r->max_code_distance);
        if (r->max_ulp > 0) printf("; up to %llu ulp", (unsigned long long)r->max_ulp);
        printf("\n");
    }
    if (r->detail != NULL) printf("    %s\n", r->detail);
}

static void print_text(const qp_cmp *c, const options *o) {
    uint64_t shown = 0, left = 0, of_class[QP_CMP_CLASSES] = {0};
    for (uint64_t i = 0; i < c->n_rows; i++) {
        const qp_cmp_row *r = &c->rows[i];
        of_class[r->class]++;
        if (r->class == QP_CMP_EQUAL && !o->all) continue;
        if (shown < (uint64_t)o->max || o->all)
            print_row(r), shown++;
        else
            left++;
    }
    if (left > 0) printf("... %llu more (--max, --all)\n", (unsigned long long)left);
    printf("%llu compared: %llu equal, %llu with the same meaning, %llu different, of these %llu on one side "
           "only\n",
           (unsigned long long)c->n_rows, (unsigned long long)c->n_equal, (unsigned long long)c->n_meaning,
           (unsigned long long)c->n_different, (unsigned long long)c->n_one_side);
    for (int k = 0; k < QP_CMP_CLASSES; k++)
        if (of_class[k] > 0 && k != QP_CMP_EQUAL)
            printf("  %-13s %llu\n", qp_cmp_class_name((qp_cmp_class)k), (unsigned long long)of_class[k]);
}

// ---- JSON
// --------------------------------------------------------------------------------------------------------------

static json_t *text_or_null(const char *s) {
    return s != NULL ? json_string(s) : json_null();
}

static json_t *row_json(const qp_cmp_row *r) {
    json_t *first = json_array();
    for (int i = 0; i < r->n_first; i++) json_array_append_new(first, json_integer(r->first[i]));
    return json_pack("{s:o, s:o, s:s, s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:o}", "a", text_or_null(r->a), "b",
                     text_or_null(r->b), "class", qp_cmp_class_name(r->class), "elements",
                     (json_int_t)r->n_elems, "differ", (json_int_t)r->n_differ, "first", first, "a_bits",
                     text_or_null(r->a_bits), "b_bits", text_or_null(r->b_bits), "max_ulp",
                     (json_int_t)r->max_ulp, "max_code_distance", (json_int_t)r->max_code_distance, "detail",
                     text_or_null(r->detail));
}

static qp_status print_json(const qp_cmp *c, const options *o, qp_err *err) {
    json_t *rows = json_array();
    for (uint64_t i = 0; i < c->n_rows; i++)
        if (o->all || c->rows[i].class != QP_CMP_EQUAL) json_array_append_new(rows, row_json(&c->rows[i]));
    json_t *root = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "a", o->compare.a, "b", o->compare.b, "compared",
        (json_int_t)c->n_rows, "equal", (json_int_t)c->n_equal, "same_meaning", (json_int_t)c->n_meaning,
        "different", (json_int_t)c->n_different, "one_side", (json_int_t)c->n_one_side, "tensors", rows);
    const int failed = root == NULL || json_dumpf(root, stdout, JSON_INDENT(1)) != 0;
    printf("\n");
    json_decref(root);
    if (failed) QP_FAIL(QP_IO, "the JSON cannot be written to standard output");
    return QP_OK;
}

// ---- the command
// -------------------------------------------------------------------------------------------------------

static int exit_of(const qp_cmp *c) {
    if (c->n_rows == c->n_one_side) return 6;
    return c->n_different > 0 ? 1 : c->n_meaning > 0 ? 4 : 0;
}

static qp_status compare(const options *o, qp_arena *a, qp_cmp *c, int *exit_code, qp_err *err) {
    QP_TRY(qp_compare_run(&o->compare, a, c, err));
    *exit_code = exit_of(c);
    if (o->json) return print_json(c, o, err);
    print_text(c, o);
    return QP_OK;
}

qp_status qp_cmd_compare(int argc, char **argv, int *exit_code, qp_err *err) {
    options o;
    qp_cmp c = {0};
    QP_TRY(parse(argc, argv, &o, err));
    if (o.help) {
        printf("%s", usage);
        return QP_OK;
    }
    qp_arena *a = qp_arena_new();
    if (a == NULL) QP_FAIL(QP_NOMEM, "out of memory");
    const qp_status status = compare(&o, a, &c, exit_code, err);
    qp_compare_close(&c);
    qp_arena_free(a);
    return status;
}
