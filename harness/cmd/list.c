// SPDX-License-Identifier: Apache-2.0
// quantproof list: the cases of a selection after expansion, with id and cost; --keys prints every key of
// every kind, --laws what fake-quant obeys without an oracle.
#include "cmd/cmd.h"
#include "cmd/list_laws.h"

#include "core/text.h"
#include "plan/cost.h"
#include "plan/select.h"

#include <stdio.h>
#include <string.h>

static void print_default(const qp_key *k) {
    if (k->dflt == NULL)
        printf("required");
    else if (k->dflt[0] == '\0')
        printf("-");
    else if (k->dflt[0] == '=')
        printf("as %s", k->dflt + 1);
    else
        printf("%s", k->dflt);
}

static void print_key(const qp_key *k) {
    printf("  %-13s %-7s ", k->name, qp_key_type_name(k->type));
    print_default(k);
    printf("\n      %s\n", k->doc);
    if (k->type == QP_KEY_INT && k->max != INT64_MAX)
        printf("      %lld..%lld\n", (long long)k->min, (long long)k->max);
    for (int i = 0; k->words != NULL && k->words[i] != NULL; i++)
        printf("%s%s", i == 0 ? "      one of: " : " ", k->words[i]);
    if (k->words != NULL) printf("\n");
    if (k->list) printf("      a list: commas do not multiply out\n");
}

static void print_keys(void) {
    printf("kind: key, type, default. A comma in a value multiplies the case out, except where a list is "
           "said.\n");
    for (int i = 0; i < qp_n_kinds; i++) {
        printf("\n%s: %s\n", qp_kinds[i].name, qp_kinds[i].doc);
        for (int k = 0; k < qp_kinds[i].n_keys; k++) print_key(&qp_kinds[i].keys[k]);
    }
    printf("\nlater:");
    for (int i = 0; i < qp_n_later_kinds; i++) printf(" %s", qp_later_kinds[i]);
    printf("\n");
}

static void print_count(double n) {
    static const char units[] = " KMGT";
    int u = 0;
    for (; n >= 10000 && u < 4; u++) n /= 1000;
    printf(" %7.0f%c", n, units[u]);
}

// A case whose model does not load is still a case: its cost is a question mark, the reason goes to stderr.
static void print_case(const qp_case *c, const char *data_dir, qp_cost_cache *cache, qp_arena *a) {
    qp_cost cost = {0};
    qp_err fault = {0};
    qp_status s = qp_case_cost(c, data_dir, cache, a, &cost, &fault);
    printf("%s", c->id);
    if (s == QP_OK) {
        print_count((double)cost.elements);
        print_count((double)cost.bytes);
        printf(" %5d", cost.ranks);
    } else {
        fprintf(stderr, "%s: %s\n", c->origin, fault.msg);
        printf("        ?        ?     ?");
    }
    printf("  %s\n", c->line);
}

static qp_status print_cases(const qp_selection *sel, qp_arena *a, int *exit_code, qp_err *err) {
    const char *data_dir = NULL;
    qp_selected got;
    qp_cost_cache *cache = NULL;
    QP_TRY(qp_data_dir(a, &data_dir, err));
    QP_TRY(qp_select(sel, data_dir, a, &got, err));
    QP_TRY(qp_cost_cache_new(a, &cache, err));
    printf("%-12s %8s %8s %5s  case\n", "id", "elements", "bytes", "ranks");
    for (int i = 0; i < got.list.n; i++) print_case(&got.list.cases[i], data_dir, cache, a);
    for (int i = 0; i < got.bad.n; i++) fprintf(stderr, "%s\n", got.bad.lines[i].message);
    printf("%d of %d cases selected, %d repeated, %d bad lines\n", got.list.n, got.n_cases, got.n_repeated,
           got.bad.n);
    *exit_code = got.bad.n > 0 ? 2 : got.list.n > 0 ? 0 : 6;
    return QP_OK;
}

static qp_status refuse_option(const char *word, qp_err *err) {
    const char *names[16] = {"--keys", "--laws", "--help"};
    int n = 3;
    for (int i = 0; i < qp_n_select_options && n < QP_COUNT(names); i++) names[n++] = qp_select_options[i];
    const char *near = qp_nearest(word, names, n);
    QP_FAIL(QP_USAGE, "list: unknown option '%s'%s%s%s", word, near != NULL ? " (nearest: " : "",
            near != NULL ? near : "", near != NULL ? ")" : "");
}

static qp_status run(int argc, char **argv, qp_arena *a, int *exit_code, qp_err *err) {
    qp_selection sel = {0};
    bool keys = false, laws = false, help = false;
    for (int i = 1; i < argc; i++) {
        bool taken = false;
        const bool is_keys = strcmp(argv[i], "--keys") == 0, is_laws = strcmp(argv[i], "--laws") == 0,
                   is_help = strcmp(argv[i], "--help") == 0;
        keys = keys || is_keys;
        laws = laws || is_laws;
        help = help || is_help;
        if (is_keys || is_laws || is_help) continue;
        QP_TRY(qp_select_option(&sel, argc, argv, &i, &taken, a, err));
        if (!taken) return refuse_option(argv[i], err);
    }
    *exit_code = 0;
    if (help)
        printf("quantproof list [SEL] [--keys] [--laws]\n%s  --keys           every key of every kind\n"
               "  --laws           which law holds for which format, with counter-examples\n",
               qp_select_help);
    if (keys) print_keys();
    if (laws) qp_list_laws();
    if (help || keys || laws) return QP_OK;
    return print_cases(&sel, a, exit_code, err);
}

qp_status qp_cmd_list(int argc, char **argv, int *exit_code, qp_err *err) {
    qp_arena *a = qp_arena_new();
    if (a == NULL) QP_FAIL(QP_NOMEM, "no memory for an arena");
    qp_status status = run(argc, argv, a, exit_code, err);
    qp_arena_free(a);
    return status;
}
