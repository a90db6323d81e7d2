// SPDX-License-Identifier: Apache-2.0
// The command line of verify.
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cmd/verify.h"
#include "core/text.h"

const char verify_help[] =
    "usage: quantproof verify PATH [options]      PATH: a folder, a safetensors file or an index\n"
    "  --against PATH       derive every code and scale again from the original weights\n"
    "  --strict             the written rules of safetensors: what is only tolerated is an error\n"
    "  --allow RULE:PATTERN:REASON   findings of RULE whose name matches PATTERN (* and ?) do not count; "
    "the\n"
    "                       reason is shown with them. RULE and PATTERN end at the first and second ':'\n"
    "  --allow-file FILE    one such line each, # comments\n"
    "  --json               one object on stdout (reports/schema/verify.schema.json)\n"
    "  --statistics         with --json: what every module's scales and codes hold\n"
    "  --junit FILE         one testcase per rule; errors and warnings are failures\n"
    "  --max-per-rule N     findings shown per rule in the text, default 5; 0: all\n"
    "  --threads N          default one per core\n"
    "  --no-progress        nothing on stderr while it reads\n"
    "  --rules              every rule, one line each\n"
    "  --explain RULE       its history, and what loaders do\n"
    "exit: 0 nothing worse than a note, 1 an error, 4 a warning, 6 nothing judged, 2 not readable as a "
    "checkpoint\n";

enum {
    AGAINST = 256,
    STRICT,
    ALLOW,
    ALLOW_FILE,
    JSON,
    STATISTICS,
    JUNIT,
    MAX,
    THREADS,
    QUIET,
    RULES,
    EXPLAIN
};

static const struct option table[] = {{"against", required_argument, NULL, AGAINST},
                                      {"strict", no_argument, NULL, STRICT},
                                      {"allow", required_argument, NULL, ALLOW},
                                      {"allow-file", required_argument, NULL, ALLOW_FILE},
                                      {"json", no_argument, NULL, JSON},
                                      {"statistics", no_argument, NULL, STATISTICS},
                                      {"junit", required_argument, NULL, JUNIT},
                                      {"max-per-rule", required_argument, NULL, MAX},
                                      {"threads", required_argument, NULL, THREADS},
                                      {"no-progress", no_argument, NULL, QUIET},
                                      {"rules", no_argument, NULL, RULES},
                                      {"explain", required_argument, NULL, EXPLAIN},
                                      {"help", no_argument, NULL, 'h'},
                                      {0}};

// optopt: 0 for a long one that is unknown, else the letter, or the long one that was given a value.
static qp_status refuse(const char *word, qp_err *err) {
    const char *names[QP_COUNT(table)];
    char bare[64];
    int n = 0;
    if (optopt >= AGAINST) QP_FAIL(QP_USAGE, "%s: takes no value", word);
    if (optopt != 0) QP_FAIL(QP_USAGE, "unknown option '-%c'", optopt);
    while (*word == '-') word++;
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(word, "="), word);
    for (; table[n].name != NULL; n++) names[n] = table[n].name;
    const char *near = qp_nearest(bare, names, n);
    QP_FAIL(QP_USAGE, "unknown option '--%s'%s%s%s", bare, near != NULL ? ", did you mean '--" : "",
            near != NULL ? near : "", near != NULL ? "'?" : "");
}

static qp_status number(const char *name, const char *text, uint64_t low, uint64_t high, uint64_t *out,
                        qp_err *err) {
    if (qp_parse_u64(text, out) && *out >= low && *out <= high) return QP_OK;
    QP_FAIL(QP_USAGE, "%s: wanted a number from %llu to %llu, got '%s'", name, (unsigned long long)low,
            (unsigned long long)high, text);
}

static qp_status take(int option, char **argv, qp_arena *a, verify_options *o, qp_err *err) {
    uint64_t n = 0;
    switch (option) {
    case AGAINST:
        o->audit.against = optarg;
        return QP_OK;
    case STRICT:
        o->audit.strict = true;
        return QP_OK;
    case ALLOW:
        return verify_allow_add(o, optarg, "--allow", a, err);
    case ALLOW_FILE:
        return verify_allow_file(o, optarg, a, err);
    case JSON:
        o->json = true;
        return QP_OK;
    case STATISTICS:
        o->statistics = true;
        return QP_OK;
    case JUNIT:
        o->junit = optarg;
        return QP_OK;
    case MAX:
        return number("--max-per-rule", optarg, 0, QP_CK_KEPT, &o->per_rule, err);
    case THREADS:
        QP_TRY(number("--threads", optarg, 1, 4096, &n, err));
        o->audit.threads = (int)n;
        return QP_OK;
    case QUIET:
        o->no_progress = true;
        return QP_OK;
    case RULES:
        o->rules = true;
        return QP_OK;
    case EXPLAIN:
        o->explain = optarg;
        return QP_OK;
    case 'h':
        o->help = true;
        return QP_OK;
    case ':':
        QP_FAIL(QP_USAGE, "%s: a value is missing", argv[optind - 1]);
    default:
        return refuse(argv[optind - 1], err);
    }
}

qp_status verify_parse(int argc, char **argv, qp_arena *a, verify_options *o, qp_err *err) {
    *o = (verify_options){.per_rule = 5};
    optind = 0; // from the start, and a word's place is argv[optind - 1]
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":h", table, NULL)) != -1;)
        QP_TRY(take(option, argv, a, o, err));
    if (o->help || o->rules || o->explain != NULL) return QP_OK;
    if (optind == argc) QP_FAIL(QP_USAGE, "a path is missing: a folder, a safetensors file or an index");
    if (optind + 1 < argc) QP_FAIL(QP_USAGE, "one path wanted, got '%s' too", argv[optind + 1]);
    if (o->statistics && !o->json) QP_FAIL(QP_USAGE, "--statistics: wanted --json beside it");
    o->audit.path = argv[optind];
    return QP_OK;
}
