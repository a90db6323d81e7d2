// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: any bytes as suite files. A line "%%" ends one file; they are named a, b and c and may
// include each other. Beyond the sanitizers it holds that a bad line says file and line, and that the
// canonical line of an accepted case parses to that one case again, with the same id.
#include "core/fuzz/fuzz.h"
#include "plan/case.h"

enum { N_FILES = 3, MAX_EXPANDED = 1000 }; // cases of a line: more of the same finds nothing

static void check_values(const qp_case *c) {
    qp_layout l;
    int64_t dims[3];
    int n = 0;
    if (qp_case_layout(c, &l)) hold(l.tp >= 1 && l.cp >= 1 && l.pp >= 1 && l.ep >= 1 && l.etp >= 1);
    for (int k = 0; k < c->kind->n_keys; k++) {
        const qp_key *key = &c->kind->keys[k];
        hold(c->values[k] != NULL);
        if (key->type == QP_KEY_INT) hold(qp_case_int(c, key->name) <= key->max);
        if (key->type != QP_KEY_SHAPE || !qp_case_shape(c, key->name, dims, &n)) continue;
        for (int i = 0; i < n; i++) hold(dims[i] >= 1 && dims[i] <= INT32_MAX);
    }
}

static void check_case(const qp_case *c, qp_arena *a) {
    qp_case_list again = {0};
    qp_err err = {0};
    hold(strlen(c->id) == 12 && c->origin[0] != '\0');
    hold(qp_case_parse(c->line, "again", a, &again, &err) == QP_OK && again.n == 1);
    hold(strcmp(again.cases[0].line, c->line) == 0 && strcmp(again.cases[0].id, c->id) == 0);
    check_values(c);
}

// Commas of a word multiply out with those of the others.
static bool is_small(const uint8_t *bytes, size_t n_bytes) {
    double cases = 1, alternatives = 1;
    for (size_t i = 0; i < n_bytes; i++) {
        bool space = bytes[i] == ' ' || bytes[i] == '\t' || bytes[i] == '\r' || bytes[i] == '\n';
        if (bytes[i] == ',') alternatives++;
        if (space) cases *= alternatives;
        if (space) alternatives = 1;
        if (bytes[i] == '\n') cases = 1;
        if (cases * alternatives > MAX_EXPANDED) return false;
    }
    return true;
}

// Nothing but the three files: no absolute path, no way up, no link and no device.
static bool is_inside(const uint8_t *bytes, size_t n_bytes) {
    return memmem(bytes, n_bytes, "@/", 2) == NULL && memmem(bytes, n_bytes, "..", 2) == NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes) {
    static const char names[N_FILES][2] = {"a", "b", "c"};
    if (!is_small(bytes, n_bytes) || !is_inside(bytes, n_bytes)) return 0;
    for (int i = 0; i < N_FILES; i++) {
        const uint8_t *cut = memmem(bytes, n_bytes, "%%\n", 3);
        size_t n = cut != NULL && i + 1 < N_FILES ? (size_t)(cut - bytes) : n_bytes;
        fuzz_put(fuzz_in_folder(names[i]), bytes, n);
        n_bytes -= n < n_bytes ? n + 3 : n;
        bytes += n_bytes > 0 ? n + 3 : 0;
    }
    qp_arena *a = fuzz_arena();
    qp_case_list list = {0};
    qp_bad_list bad = {0};
    qp_err err = {0};
    hold(qp_case_file_add(fuzz_in_folder("a"), a, &list, &bad, &err) == QP_OK);
    for (int i = 0; i < list.n && i < MAX_EXPANDED; i++) check_case(&list.cases[i], a);
    for (int i = 0; i < bad.n; i++) {
        const size_t n = strlen(bad.lines[i].origin);
        hold(strncmp(bad.lines[i].origin, fuzz_folder(), strlen(fuzz_folder())) == 0);
        hold(strncmp(bad.lines[i].message, bad.lines[i].origin, n) == 0 && bad.lines[i].message[n] == ':');
    }
    return 0;
}
