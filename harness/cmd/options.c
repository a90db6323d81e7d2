// SPDX-License-Identifier: Apache-2.0
// Options of run and repro. The selection options are plan's; the rest is the table below.
#include "cmd/options.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "core/text.h"
#include "qp/kernel.h"

typedef enum kind { FLAG, TEXT, WHEN, SECONDS, SIZE, COUNT, QUIET, VERBOSE } kind;

typedef struct option {
    const char *name;
    kind kind;
    size_t at; // offset in qp_cmd_options
    bool repro_only;
} option;

#define AT(field) offsetof(qp_cmd_options, field)

static const option table[] = {
    {"--device", TEXT, AT(device), false},
    {"--subject", TEXT, AT(subject), false},
    {"--comm", TEXT, AT(comm), false},
    {"--isa", TEXT, AT(isa), false},
    {"--seed", TEXT, AT(seed), false},
    {"--timeout", SECONDS, AT(timeout_s), false},
    {"--mem-max", SIZE, AT(mem_max), false},
    {"--require-device", FLAG, AT(require_device), false},
    {"--out", TEXT, AT(out), false},
    {"--junit", TEXT, AT(junit), false},
    {"--repeat", COUNT, AT(repeat), false},
    {"--inject", TEXT, AT(inject), false},
    {"--dump", TEXT, AT(dump), true},
    {"--color", WHEN, AT(color), false},
    {"--progress", WHEN, AT(progress), false},
    {"--help", FLAG, AT(help), false},
    {"-h", FLAG, AT(help), false},
    {"-q", QUIET, AT(verbosity), false},
    {"-v", VERBOSE, AT(verbosity), false},
};

const char qp_options_help[] =
    "  --device WHERE   auto (default: cuda when there is one, else cpu), cpu, simt, cuda, cuda:N\n"
    "  --subject WHAT   builtin (default), FILE.so, FILE.so:VARIANT\n"
    "  --isa NAME       cpu kernels of one instruction set: base, v3 (AVX2), v4 (AVX-512); default the best\n"
    "  --comm KIND      threads: ranks in this process (mpi and nccl are not built yet)\n"
    "  --seed N         this seed in the place of the one of every line\n"
    "  --timeout SEC    per case, default 600\n"
    "  --mem-max SIZE   a case that needs more is skipped, with the numbers (64M, 2G; default no limit)\n"
    "  --require-device a named device that is not here is an error (exit 5), not a skip (exit 77)\n"
    "  --out DIR        record and reports, default reports/out/<UTC time>\n"
    "  --junit FILE     one more copy of junit.xml\n"
    "  --repeat N       every case N times\n"
    "  --inject flip:N  flip the lowest bit of output element N of every kernel launch: shows that a red is "
    "possible\n"
    "  -q, -v           less, more\n"
    "  --color WHEN     auto, always, never\n"
    "  --progress WHEN  auto, always, never\n";

static qp_status set_when(qp_when *to, const char *name, const char *value, qp_err *err) {
    static const char *const words[] = {"auto", "always", "never"};
    for (int i = 0; i < QP_COUNT(words); i++)
        if (strcmp(value, words[i]) == 0) {
            *to = (qp_when)i;
            return QP_OK;
        }
    QP_FAIL(QP_USAGE, "%s: wanted auto, always or never, got '%s'", name, value);
}

static qp_status set(const option *o, const char *value, qp_cmd_options *out, qp_err *err) {
    void *field = (char *)out + o->at;
    int64_t n = 0;
    switch (o->kind) {
    case FLAG:
        *(bool *)field = true;
        return QP_OK;
    case QUIET:
        *(int *)field = -1;
        return QP_OK;
    case VERBOSE:
        *(int *)field = 1;
        return QP_OK;
    case TEXT:
        *(const char **)field = value;
        return QP_OK;
    case WHEN:
        return set_when(field, o->name, value, err);
    case SIZE:
        if (!qp_parse_size(value, field))
            QP_FAIL(QP_USAGE, "%s: wanted a size such as 64M or 2G, got '%s'", o->name, value);
        return QP_OK;
    case SECONDS:
        if (!qp_parse_i64(value, &n) || n < 1)
            QP_FAIL(QP_USAGE, "%s: wanted whole seconds, at least 1, got '%s'", o->name, value);
        *(double *)field = (double)n;
        return QP_OK;
    case COUNT:
        if (!qp_parse_i64(value, &n) || n < 1 || n > 1000000)
            QP_FAIL(QP_USAGE, "%s: wanted 1 to 1000000, got '%s'", o->name, value);
        *(int64_t *)field = n;
        return QP_OK;
    }
    return QP_OK;
}

static qp_status refuse(const char *word, bool repro, qp_err *err) {
    const char *names[QP_COUNT(table) + 32];
    int n = 0;
    for (int i = 0; i < QP_COUNT(table); i++)
        if (repro || !table[i].repro_only) names[n++] = table[i].name;
    for (int i = 0; i < qp_n_select_options && n < QP_COUNT(names); i++) names[n++] = qp_select_options[i];
    const char *near = qp_nearest(word, names, n);
    QP_FAIL(QP_USAGE, "unknown option '%s'%s%s%s", word, near != NULL ? ", did you mean '" : "",
            near != NULL ? near : "", near != NULL ? "'?" : "");
}

static qp_status take(int argc, char **argv, int *i, bool repro, qp_arena *a, qp_cmd_options *out,
                      qp_err *err) {
    const char *word = argv[*i], *equals = strchr(word, '=');
    size_t n = word[0] == '-' && equals != NULL ? (size_t)(equals - word) : strlen(word);
    for (int k = 0; k < QP_COUNT(table); k++) {
        const option *o = &table[k];
        if (strlen(o->name) != n || strncmp(o->name, word, n) != 0 || (o->repro_only && !repro)) continue;
        bool bare = o->kind == FLAG || o->kind == QUIET || o->kind == VERBOSE;
        if (bare && word[n] == '=') QP_FAIL(QP_USAGE, "%s takes no value, got '%s'", o->name, word);
        if (bare) return set(o, NULL, out, err);
        if (word[n] == '=') return set(o, word + n + 1, out, err);
        if (*i + 1 == argc) QP_FAIL(QP_USAGE, "%s: a value is missing", o->name);
        return set(o, argv[++*i], out, err);
    }
    bool taken = false;
    QP_TRY(qp_select_option(&out->select, argc, argv, i, &taken, a, err));
    return taken ? QP_OK : refuse(word, repro, err);
}

static qp_status check_isa(const qp_cmd_options *o, qp_err *err) {
    bool known = false;
    for (int i = 0; qp_cpu_isa_name(i) != NULL; i++) known = known || strcmp(o->isa, qp_cpu_isa_name(i)) == 0;
    if (!known) QP_FAIL(QP_USAGE, "--isa: wanted base, v3 or v4, got '%s'", o->isa);
    if (strcmp(o->device, "auto") != 0 && strcmp(o->device, "cpu") != 0)
        QP_FAIL(QP_USAGE, "--isa: wanted --device cpu beside it, got --device %s", o->device);
    return QP_OK;
}

static qp_status check(const qp_cmd_options *o, qp_err *err) {
    uint64_t seed, element;
    if (o->isa != NULL) QP_TRY(check_isa(o, err));
    if (o->seed != NULL && !qp_parse_u64(o->seed, &seed))
        QP_FAIL(QP_USAGE, "--seed: wanted a number, got '%s'", o->seed);
    if (strcmp(o->comm, "threads") != 0) QP_FAIL(QP_USAGE, "--comm: wanted threads, got '%s'", o->comm);
    if (o->inject != NULL && (strncmp(o->inject, "flip:", 5) != 0 || !qp_parse_u64(o->inject + 5, &element)))
        QP_FAIL(QP_USAGE, "--inject: wanted flip:ELEMENT, got '%s'", o->inject);
    return QP_OK;
}

qp_status qp_options_parse(int argc, char **argv, bool repro, qp_arena *a, qp_cmd_options *out, qp_err *err) {
    *out = (qp_cmd_options){
        .device = "auto", .subject = "builtin", .comm = "threads", .timeout_s = 600, .repeat = 1};
    for (int i = 1; i < argc; i++) QP_TRY(take(argc, argv, &i, repro, a, out, err));
    return check(out, err);
}

qp_status qp_options_echo(const qp_cmd_options *o, qp_arena *a, const char *echo[QP_N_ECHOED][2],
                          qp_err *err) {
    static const char *const when[] = {"auto", "always", "never"};
    const char *timeout, *mem, *repeat, *verbosity;
    QP_TRY(qp_arena_printf(a, &timeout, err, "%.0f", o->timeout_s));
    QP_TRY(qp_arena_printf(a, &mem, err, "%" PRIu64, o->mem_max));
    QP_TRY(qp_arena_printf(a, &repeat, err, "%" PRId64, o->repeat));
    QP_TRY(qp_arena_printf(a, &verbosity, err, "%d", o->verbosity));
    const char *const pairs[QP_N_ECHOED][2] = {
        {"--device", o->device},     {"--subject", o->subject},
        {"--comm", o->comm},         {"--isa", o->isa},
        {"--seed", o->seed},         {"--timeout", timeout},
        {"--mem-max", mem},          {"--require-device", o->require_device ? "yes" : "no"},
        {"--out", o->out},           {"--junit", o->junit},
        {"--repeat", repeat},        {"--inject", o->inject},
        {"--color", when[o->color]}, {"--progress", when[o->progress]},
        {"verbosity", verbosity}};
    for (int i = 0; i < QP_N_ECHOED; i++) {
        echo[i][0] = pairs[i][0];
        echo[i][1] = pairs[i][1] != NULL ? pairs[i][1] : "";
    }
    return QP_OK;
}
