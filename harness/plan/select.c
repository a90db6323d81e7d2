// SPDX-License-Identifier: Apache-2.0
// SEL: options of the command line -> the cases taken. Sources first (suites, files, lines), then filters,
// then the shard.
#include "plan/select.h"

#include "core/file.h"
#include "core/text.h"
#include "model/model.h"
#include "qp/format.h"

#include <dirent.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

const char *const qp_select_options[] = {"--suite",  "--cases", "--match",  "--not",
                                         "--format", "--model", "--layout", "--shard"};
const int qp_n_select_options = QP_COUNT(qp_select_options);

const char qp_select_help[] =
    "  --suite NAME     cases/suites/NAME.cases: smoke, premerge (default), nightly\n"
    "  --cases FILE     a file of case lines\n"
    "  'CASE'           a case line\n"
    "  --match REGEX    only cases whose line has it; repeated: one of them\n"
    "  --not REGEX      no case whose line has it\n"
    "  --format NAME    kernel cases of that format, pipeline cases whose recipe uses it\n"
    "  --model NAME     pipeline cases of that model, with * and ?\n"
    "  --layout tp4ep2  pipeline cases with these degrees, the others any\n"
    "  --shard K/N      every N-th case, from the K-th\n";

// ---- options
// ---------------------------------------------------------------------------------------------------------------

static qp_status push(const char **list, int *n, const char *option, const char *value, qp_err *err) {
    if (*n == QP_SELECT_MAX) QP_FAIL(QP_USAGE, "%s: at most %d times", option, QP_SELECT_MAX);
    list[(*n)++] = value;
    return QP_OK;
}

static qp_status push_layout(qp_selection *s, const char *value, qp_err *err) {
    qp_layout l;
    if (!qp_layout_word(value, &l))
        QP_FAIL(QP_USAGE, "--layout: wanted degrees such as tp4ep2 (of tp cp pp ep etp dp), got '%s'", value);
    return push(s->layouts, &s->n_layouts, "--layout", value, err);
}

static qp_status push_format(qp_selection *s, const char *value, qp_err *err) {
    const char *names[QP_FORMAT_COUNT];
    for (int f = 0; f < QP_FORMAT_COUNT; f++) {
        names[f] = qp_format_get((qp_format)f)->name;
        if (strcmp(names[f], value) == 0) return push(s->formats, &s->n_formats, "--format", value, err);
    }
    const char *near = qp_nearest(value, names, QP_FORMAT_COUNT);
    QP_FAIL(QP_USAGE, "--format: unknown format '%s'%s%s%s", value, near != NULL ? " (nearest: " : "",
            near != NULL ? near : "", near != NULL ? ")" : "");
}

static qp_status set_shard(qp_selection *s, const char *value, qp_arena *a, qp_err *err) {
    const char *slash = strchr(value, '/'), *front = NULL;
    if (slash != NULL) QP_TRY(qp_arena_printf(a, &front, err, "%.*s", (int)(slash - value), value));
    if (slash == NULL || !qp_parse_i64(front, &s->shard) || !qp_parse_i64(slash + 1, &s->n_shards) ||
        s->shard < 1 || s->shard > s->n_shards)
        QP_FAIL(QP_USAGE, "--shard: wanted K/N with 1 <= K <= N, got '%s'", value);
    return QP_OK;
}

static qp_status add_line(qp_selection *s, const char *word, qp_arena *a, qp_err *err) {
    bool continues = s->n_lines > 0 && strchr(word, '=') != NULL && strpbrk(word, " \t") == NULL;
    if (continues)
        return qp_arena_printf(a, &s->lines[s->n_lines - 1], err, "%s %s", s->lines[s->n_lines - 1], word);
    if (s->n_lines == s->cap_lines) {
        int cap = s->cap_lines > 0 ? s->cap_lines * 2 : 16;
        const char **bigger = NULL;
        QP_TRY(QP_NEW(a, bigger, cap));
        if (s->n_lines > 0) memcpy(bigger, s->lines, sizeof *bigger * (size_t)s->n_lines);
        s->lines = bigger;
        s->cap_lines = cap;
    }
    s->lines[s->n_lines++] = word;
    return QP_OK;
}

static qp_status take_option(qp_selection *s, const char *name, const char *value, qp_arena *a, qp_err *err) {
    if (strcmp(name, "--suite") == 0) return push(s->suites, &s->n_suites, name, value, err);
    if (strcmp(name, "--cases") == 0) return push(s->files, &s->n_files, name, value, err);
    if (strcmp(name, "--match") == 0) return push(s->match, &s->n_match, name, value, err);
    if (strcmp(name, "--not") == 0) return push(s->skip, &s->n_skip, name, value, err);
    if (strcmp(name, "--format") == 0) return push_format(s, value, err);
    if (strcmp(name, "--model") == 0) return push(s->models, &s->n_models, name, value, err);
    if (strcmp(name, "--layout") == 0) return push_layout(s, value, err);
    return set_shard(s, value, a, err);
}

qp_status qp_select_option(qp_selection *s, int argc, char **argv, int *i, bool *taken, qp_arena *a,
                           qp_err *err) {
    const char *word = argv[*i];
    *taken = true;
    if (word[0] != '-') return add_line(s, word, a, err);
    size_t n = strcspn(word, "=");
    for (int o = 0; o < qp_n_select_options; o++) {
        const char *name = qp_select_options[o];
        if (strlen(name) != n || strncmp(name, word, n) != 0) continue;
        const char *value = word[n] == '=' ? word + n + 1 : NULL;
        if (value == NULL && *i + 1 < argc) value = argv[++*i];
        if (value == NULL || value[0] == '\0') QP_FAIL(QP_USAGE, "%s wants a value", name);
        return take_option(s, name, value, a, err);
    }
    *taken = false;
    return QP_OK;
}

// ---- sources
// ---------------------------------------------------------------------------------------------------------------

static qp_status no_suite(const char *data_dir, const char *name, qp_arena *a, qp_err *err) {
    const char *dir_path = NULL;
    qp_text have = {.arena = a};
    QP_TRY(qp_arena_printf(a, &dir_path, err, "%s/suites", data_dir));
    DIR *dir = opendir(dir_path);
    qp_status status = QP_OK;
    for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        size_t n = strlen(e->d_name);
        if (n <= 6 || strcmp(e->d_name + n - 6, ".cases") != 0) continue;
        QP_TRY_GOTO(status, qp_text_add(&have, err, " %.*s", (int)(n - 6), e->d_name), out);
    }
    QP_FAIL_GOTO(status, out, QP_USAGE, "unknown suite '%s'; %s has:%s", name, dir_path,
                 have.s != NULL ? have.s : " none");
out:
    if (dir != NULL) closedir(dir);
    return status;
}

static qp_status add_suite(const char *name, const char *data_dir, qp_arena *a, qp_case_list *all,
                           qp_bad_list *bad, qp_err *err) {
    const char *path = NULL;
    QP_TRY(qp_arena_printf(a, &path, err, "%s/suites/%s.cases", data_dir, name));
    if (strchr(name, '/') != NULL || !qp_file_exists(path)) return no_suite(data_dir, name, a, err);
    return qp_case_file_add(path, a, all, bad, err);
}

static qp_status add_command_line(const char *line, qp_arena *a, qp_case_list *all, qp_bad_list *bad,
                                  qp_err *err) {
    qp_err own = {0};
    qp_status s = qp_case_parse(line, "command line", a, all, &own);
    if (s == QP_USAGE) return qp_bad_add(bad, a, "command line", line, own.msg, err);
    if (s != QP_OK && err != NULL) *err = own;
    return s;
}

static qp_status gather(const qp_selection *s, const char *data_dir, qp_arena *a, qp_case_list *all,
                        qp_bad_list *bad, qp_err *err) {
    for (int i = 0; i < s->n_suites; i++) QP_TRY(add_suite(s->suites[i], data_dir, a, all, bad, err));
    for (int i = 0; i < s->n_files; i++) QP_TRY(qp_case_file_add(s->files[i], a, all, bad, err));
    for (int i = 0; i < s->n_lines; i++) QP_TRY(add_command_line(s->lines[i], a, all, bad, err));
    if (s->n_suites + s->n_files + s->n_lines == 0) QP_TRY(add_suite("premerge", data_dir, a, all, bad, err));
    return QP_OK;
}

// ---- filters
// ---------------------------------------------------------------------------------------------------------------

static qp_status compile(const char *option, const char *text, pcre2_code **out, qp_err *err) {
    int code = 0;
    PCRE2_SIZE at = 0;
    *out = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &at, NULL);
    if (*out != NULL) return QP_OK;
    PCRE2_UCHAR why[256];
    pcre2_get_error_message(code, why, sizeof why);
    QP_FAIL(QP_USAGE, "%s '%s': column %zu: %s", option, text, (size_t)at + 1, (const char *)why);
}

// Is one of the n patterns found in the line? A pattern that cannot be run (match limit) is an error, never
// "not found".
static qp_status any_found(pcre2_code *const *codes, const char *const *texts, int n, const char *line,
                           bool *found, qp_err *err) {
    *found = false;
    for (int i = 0; i < n && !*found; i++) {
        pcre2_match_data *data = pcre2_match_data_create(1, NULL);
        if (data == NULL) QP_FAIL(QP_NOMEM, "no memory to match '%s'", texts[i]);
        int rc = pcre2_match(codes[i], (PCRE2_SPTR)line, PCRE2_ZERO_TERMINATED, 0, 0, data, NULL);
        pcre2_match_data_free(data);
        if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
            QP_FAIL(QP_USAGE, "pattern '%s' on '%s': PCRE2 error %d", texts[i], line, rc);
        *found = rc >= 0;
    }
    return QP_OK;
}

static bool layout_fits(const qp_case *c, const char *word) {
    qp_layout want, have;
    if (!qp_layout_word(word, &want) || !qp_case_layout(c, &have)) return false;
    return (want.tp == 0 || want.tp == have.tp) && (want.cp == 0 || want.cp == have.cp) &&
           (want.pp == 0 || want.pp == have.pp) && (want.ep == 0 || want.ep == have.ep) &&
           (want.etp == 0 || want.etp == have.etp) && (want.dp == 0 || want.dp == have.dp);
}

// A recipe that does not load uses no format: the run itself will say what is wrong with it.
static bool recipe_uses(const char *recipe, const char *data_dir, const char *format, qp_arena *a) {
    qp_recipe r;
    qp_err ignored = {0};
    if (qp_recipe_load(recipe, data_dir, a, &r, &ignored) != QP_OK) return false;
    for (int i = 0; i < r.n_entries; i++) {
        const qp_format_row *row = r.entries[i].has_cfg ? qp_format_get(r.entries[i].cfg.format) : NULL;
        if (row != NULL && strcmp(row->name, format) == 0) return true;
    }
    return false;
}

typedef struct filters {
    const qp_selection *s;
    const char *data_dir;
    pcre2_code *match[QP_SELECT_MAX], *skip[QP_SELECT_MAX];
} filters;

static bool format_fits(const filters *f, const qp_case *c, qp_arena *a) {
    for (int i = 0; i < f->s->n_formats; i++) {
        const char *want = f->s->formats[i];
        if (qp_case_has(c, "recipe") ? recipe_uses(qp_case_text(c, "recipe"), f->data_dir, want, a)
                                     : strcmp(qp_case_text(c, "fmt"), want) == 0)
            return true;
    }
    return f->s->n_formats == 0;
}

static qp_status wanted(const filters *f, const qp_case *c, qp_arena *scratch, bool *yes, qp_err *err) {
    const qp_selection *s = f->s;
    bool found = false;
    *yes = false;
    QP_TRY(any_found(f->match, s->match, s->n_match, c->line, &found, err));
    if (s->n_match > 0 && !found) return QP_OK;
    QP_TRY(any_found(f->skip, s->skip, s->n_skip, c->line, &found, err));
    if (found) return QP_OK;
    bool model = s->n_models == 0, layout = s->n_layouts == 0;
    for (int i = 0; i < s->n_models; i++)
        model = model || (qp_case_has(c, "model") && qp_wildcard(s->models[i], qp_case_text(c, "model")));
    for (int i = 0; i < s->n_layouts; i++) layout = layout || layout_fits(c, s->layouts[i]);
    *yes = model && layout && format_fits(f, c, scratch);
    return QP_OK;
}

// A set of case ids: open addressing, room for twice as many as there are cases.
typedef struct id_set {
    const char **slots;
    size_t n;
} id_set;

static bool seen_before(id_set *set, const char *id) {
    size_t at = (size_t)(qp_hash64(id, strlen(id), 0) % set->n);
    for (; set->slots[at] != NULL; at = (at + 1) % set->n)
        if (strcmp(set->slots[at], id) == 0) return true;
    set->slots[at] = id;
    return false;
}

qp_status qp_select(const qp_selection *s, const char *data_dir, qp_arena *a, qp_selected *out, qp_err *err) {
    qp_status status = QP_OK;
    qp_case_list all = {0};
    filters f = {.s = s, .data_dir = data_dir};
    *out = (qp_selected){0};
    QP_TRY(gather(s, data_dir, a, &all, &out->bad, err));
    QP_TRY(QP_NEW(a, out->list.cases, all.n > 0 ? all.n : 1));
    out->list.cap = all.n;
    id_set seen = {.n = 2 * (size_t)all.n + 1};
    QP_TRY(QP_NEW(a, seen.slots, seen.n));
    for (int i = 0; i < s->n_match; i++)
        QP_TRY_GOTO(status, compile("--match", s->match[i], &f.match[i], err), out);
    for (int i = 0; i < s->n_skip; i++)
        QP_TRY_GOTO(status, compile("--not", s->skip[i], &f.skip[i], err), out);
    int64_t fit = 0;
    for (int i = 0; i < all.n; i++) {
        bool yes = false;
        if (seen_before(&seen, all.cases[i].id)) {
            out->n_repeated++;
            continue;
        }
        out->n_cases++;
        QP_TRY_GOTO(status, wanted(&f, &all.cases[i], a, &yes, err), out);
        if (!yes) continue;
        if (s->n_shards == 0 || fit % s->n_shards == s->shard - 1)
            out->list.cases[out->list.n++] = all.cases[i];
        fit++;
    }
out:
    for (int i = 0; i < s->n_match; i++) pcre2_code_free(f.match[i]);
    for (int i = 0; i < s->n_skip; i++) pcre2_code_free(f.skip[i]);
    return status;
}
