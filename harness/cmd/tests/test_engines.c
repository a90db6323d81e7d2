// SPDX-License-Identifier: Apache-2.0
// cases/engines/disagreements.txt: which engines legitimately differ, shown by lines; which never do, tried
// on random ones. Together they are every pair of engines that answers one op and format.
#include "cmd/tests/eval_run.h"
#include "core/file.h"
#include "core/text.h"
#include "qp/ref.h"

static const char path[] = "cases/engines/disagreements.txt";
static const char same_mark[] = "# same: ";
static const qp_op ops[] = {QP_OP_FAKEQUANT, QP_OP_BACKWARD, QP_OP_QUANT, QP_OP_DEQUANT};

typedef struct pair {
    bool differ, same;
} pair;

static pair pairs[QP_OP_COUNT][QP_FORMAT_COUNT][QP_ENGINE_COUNT][QP_ENGINE_COUNT];
static qp_arena *arena;

static void setup(void) {
    arena = qp_arena_new();
    ck_assert_ptr_nonnull(arena);
    memset(pairs, 0, sizeof pairs);
}

static void teardown(void) {
    qp_arena_free(arena);
}

static char *text_of_file(void) {
    char *text = NULL;
    size_t n = 0;
    ck_assert(qp_file_read(path, arena, &text, &n, NULL) == QP_OK);
    return text;
}

static int index_of(const char *name, const char *(*name_of)(int), int n) {
    for (int i = 0; i < n; i++)
        if (strcmp(name_of(i), name) == 0) return i;
    ck_abort_msg("%s: unknown name %s", path, name);
    return -1;
}

static const char *op_name(int i) {
    return qp_op_name((qp_op)i);
}

static const char *format_name(int i) {
    return qp_format_get((qp_format)i)->name;
}

static const char *engine_name(int i) {
    return qp_engine_name((qp_engine)i);
}

// ---- cases that differ
// ----------------------------------------------------------------------------------------------------------

enum { MAX_CASE = QP_ENGINE_COUNT };

static bool same_texts(const eval_case *a, const eval_case *b, bool answers) {
    if (a->row != b->row || a->format != b->format) return false;
    for (int k = 0; k < a->row->n_keys; k++) {
        const char *p = a->values[k].text, *q = b->values[k].text;
        if (a->row->keys[k].answer != answers || (p == NULL && q == NULL)) continue;
        if (p == NULL || q == NULL || strcmp(p, q) != 0) return false;
    }
    return true;
}

static void take_case(const eval_case *lines, int n) {
    int different = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            if (same_texts(&lines[i], &lines[j], true)) continue;
            pairs[lines[i].row->ref_op][lines[i].format][lines[i].engine][lines[j].engine].differ = true;
            different++;
        }
    ck_assert_msg(different > 0, "%s: line %d and its neighbours: no engine differs", path,
                  lines[0].place.line);
}

// Every stretch of neighbouring lines with the same input.
static int read_cases(char *text, void (*take)(const eval_case *lines, int n)) {
    static const eval_defaults none;
    int n_cases = 0;
    eval_case lines[MAX_CASE], c;
    int n = 0, number = 0;
    for (char *line = text, *stop; (stop = strchr(line, '\n')) != NULL; line = stop + 1) {
        eval_state state = EVAL_EMPTY;
        const char *message = NULL;
        eval_place place = {path, ++number};
        ck_assert(eval_parse(line, (size_t)(stop - line), place, &none, arena, &c, &state, &message, NULL) ==
                  QP_OK);
        if (state == EVAL_EMPTY) continue;
        ck_assert_msg(state == EVAL_GOOD, "%s", message);
        if (n == MAX_CASE || (n > 0 && !same_texts(&lines[0], &c, false))) {
            take(lines, n);
            n = 0;
        }
        n_cases += n == 0;
        lines[n++] = c;
    }
    if (n > 0) take(lines, n);
    return n_cases;
}

// ---- random lines of a row of the grammar
// ---------------------------------------------------------------------------------------

static uint64_t state_of_random;

static uint32_t draw(void) { // splitmix64
    uint64_t z = state_of_random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ z >> 31) >> 16);
}

// Of three values two are near one (exponents of 2^-6 .. 2^5), the third is any image.
static uint32_t random_image(qp_dtype t, bool positive) {
    const uint32_t r = draw(), sign = positive ? 0 : draw() & 1, e = 121 + draw() % 12;
    if (!positive && r % 3 == 0) return ref_from_f32(t, t == QP_FP32 ? draw() : draw() << 16);
    // Seven bits of mantissa: an amax that every type holds (fp16 has ten, bf16 seven).
    return ref_from_f32(t, sign << 31 | e << 23 | (positive ? (r & 0x7f) << 16 : r & 0x7fffff));
}

enum { COLS = 32 };

static int64_t count_of(const eval_row *row, const eval_key *key, qp_format format) {
    const int64_t rows = eval_key_index(row, "shape") >= 0 ? 2 : 1;
    const qp_format_row *f = qp_format_get(format);
    const int64_t width = f->grain == QP_GRAIN_BLOCK2D ? 8 : f->block_cols > 0 ? f->block_cols : COLS;
    if (strcmp(key->count, "N") == 0) return rows * COLS;
    if (strcmp(key->count, "N/2") == 0) return rows * COLS / 2;
    if (strcmp(key->count, "R") == 0) return rows;
    if (strcmp(key->count, "nb") == 0) return rows * ((COLS + width - 1) / width);
    return 1;
}

static void add_array(qp_text *t, const eval_case *c, const eval_key *key) {
    const bool positive =
        key->type == EVAL_F32 || key->type == EVAL_S || strcmp(key->name, "double_scale") == 0;
    const qp_dtype type = key->type == EVAL_U8 ? QP_U8 : eval_array_dtype(c, key);
    const int64_t n = count_of(c->row, key, c->format);
    ck_assert(qp_text_add(t, NULL, " %s=", key->name) == QP_OK);
    for (int64_t i = 0; i < n; i++) {
        const uint32_t bits = qp_dtype_bytes(type) == 1 ? draw() & 0xff : random_image(type, positive);
        ck_assert(qp_text_add(t, NULL, "%s%0*x", i > 0 ? "," : "", 2 * (int)qp_dtype_bytes(type), bits) ==
                  QP_OK);
    }
}

static void add_key(qp_text *t, const eval_case *c, const eval_key *key) {
    static const char *const types[] = {"bf16", "fp16", "fp32"};
    const char *word = strcmp(key->name, "in") == 0           ? types[c->in]
                       : strcmp(key->name, "out") == 0        ? types[c->out]
                       : strcmp(key->name, "shape") == 0      ? "2x32"
                       : strcmp(key->name, "bwd") == 0        ? "clip"
                       : key->type == EVAL_BLOCK2D            ? "1x8"
                       : strcmp(key->name, "amax_dtype") == 0 ? types[draw() % 3]
                                                              : NULL;
    if (word != NULL) ck_assert(qp_text_add(t, NULL, " %s=%s", key->name, word) == QP_OK);
    if (word == NULL && key->type != EVAL_WORD && key->type != EVAL_DEC) add_array(t, c, key);
}

static const eval_row *row_of(qp_op op, qp_format format) {
    for (int r = 0; r < eval_n_rows; r++) {
        const eval_row *row = &eval_rows[r];
        qp_format found = QP_FORMAT_NONE;
        if (strcmp(row->op, qp_op_name(op)) != 0) continue;
        for (const char *p = row->formats; *p != '\0'; p += strspn(p, " ")) {
            const size_t n = strcspn(p, " ");
            if (strlen(format_name(format)) == n && strncmp(p, format_name(format), n) == 0) found = format;
            p += n;
        }
        if (found == format) return row;
    }
    return NULL;
}

// Without the engine, which the caller puts in front.
static const char *random_keys(qp_op op, qp_format format, qp_engine engine) {
    eval_case c = {.row = row_of(op, format), .format = format, .engine = engine};
    qp_text t = {.arena = arena};
    c.in = (qp_dtype)(draw() % 3);
    c.out = (qp_dtype)(draw() % 3);
    ck_assert_ptr_nonnull(c.row);
    for (int k = 0; k < c.row->n_keys; k++)
        if (!c.row->keys[k].answer) add_key(&t, &c, &c.row->keys[k]);
    return t.s;
}

// How many of n random lines two engines answer differently.
static int count_differences(qp_op op, qp_format format, qp_engine a, qp_engine b, int n) {
    int different = 0;
    state_of_random = 1;
    for (int i = 0; i < n; i++) {
        const char *keys = random_keys(op, format, a), *input = NULL;
        ck_assert(qp_arena_printf(arena, &input, NULL, "op=%s fmt=%s engine=%s%s\nop=%s fmt=%s engine=%s%s\n",
                                  qp_op_name(op), format_name(format), engine_name(a), keys, qp_op_name(op),
                                  format_name(format), engine_name(b), keys) == QP_OK);
        outcome o = eval_lines(input, false, NULL, arena);
        ck_assert_msg(o.totals.answered == 2, "%s%s", o.errors, o.out);
        const char *second = strchr(o.out, '\n') + 1;
        const size_t length = (size_t)(second - o.out);
        different += strlen(second) != length || strncmp(o.out, second, length) != 0;
        done(&o);
    }
    return different;
}

// ---- the tests
// ----------------------------------------------------------------------------------------------------------------------

// "# same: OP FORMAT ENGINE ENGINE...": every two of them.
static int read_same(char *text) {
    int n_lines = 0;
    for (char *line = text, *stop; (stop = strchr(line, '\n')) != NULL; line = stop + 1) {
        if (strncmp(line, same_mark, strlen(same_mark)) != 0) continue;
        *stop = '\0';
        char *words[2 + QP_ENGINE_COUNT], *save = NULL;
        int n = 0;
        for (char *w = strtok_r(line + strlen(same_mark), " ", &save); w != NULL;
             w = strtok_r(NULL, " ", &save)) {
            ck_assert_int_lt(n, QP_COUNT(words));
            words[n++] = w;
        }
        ck_assert_int_ge(n, 4);
        const int op = index_of(words[0], op_name, QP_OP_COUNT),
                  f = index_of(words[1], format_name, QP_FORMAT_COUNT);
        for (int i = 2; i < n; i++)
            for (int j = 2; j < n; j++)
                pairs[op][f][index_of(words[i], engine_name, QP_ENGINE_COUNT)]
                     [index_of(words[j], engine_name, QP_ENGINE_COUNT)]
                         .same = i != j;
        n_lines++;
    }
    return n_lines;
}

START_TEST(every_line_is_answered_exactly_as_it_stands) {
    outcome o = eval_lines(text_of_file(), true, NULL, arena);
    ck_assert_msg(o.totals.equal == o.totals.lines && o.totals.lines >= 150, "%s%s", o.errors, o.out);
    done(&o);
}
END_TEST

START_TEST(every_case_holds_two_engines_that_differ_and_every_pair_of_engines_is_accounted_for) {
    int n_pairs = 0;
    read_cases(text_of_file(), take_case);
    read_same(text_of_file());
    for (int o = 0; o < QP_COUNT(ops); o++)
        for (int f = 0; f < QP_FORMAT_COUNT; f++)
            for (int i = 0; i < QP_ENGINE_COUNT; i++)
                for (int j = 0; j < i; j++) {
                    const unsigned have = ref_engines(ops[o], (qp_format)f);
                    const pair p = pairs[ops[o]][f][i][j];
                    const int wanted = (have >> i & 1) && (have >> j & 1);
                    ck_assert_msg(p.differ + p.same == wanted, "%s %s: %s and %s: %s", qp_op_name(ops[o]),
                                  format_name(f), engine_name(j), engine_name(i),
                                  wanted == 0 ? "do not both answer"
                                  : p.differ  ? "differ, and stand as the same"
                                              : "neither a case nor a line '# same:'");
                    n_pairs += wanted;
                }
    ck_assert_int_ge(n_pairs, 150);
}
END_TEST

// The inputs of a case once, with engine=all: the answers of its lines stand among what is printed.
static void check_all_engines(const eval_case *lines, int n) {
    qp_text input = {.arena = arena};
    const eval_row *row = lines[0].row;
    ck_assert(qp_text_add(&input, NULL, "op=%s fmt=%s engine=all", row->op, lines[0].fmt) == QP_OK);
    for (int k = 0; k < row->n_keys; k++)
        if (!row->keys[k].answer && lines[0].values[k].text != NULL)
            ck_assert(qp_text_add(&input, NULL, " %s=%s", row->keys[k].name, lines[0].values[k].text) ==
                      QP_OK);
    outcome o = eval_lines(input.s, false, NULL, arena);
    for (int i = 0; i < n; i++) {
        qp_text want = {.arena = arena};
        ck_assert(qp_text_add(&want, NULL, "engine=%s", qp_engine_name(lines[i].engine)) == QP_OK);
        for (int k = 0; k < row->n_keys; k++)
            if (row->keys[k].answer)
                ck_assert(qp_text_add(&want, NULL, " %s=%s", row->keys[k].name, lines[i].values[k].text) ==
                          QP_OK);
        ck_assert(qp_text_add(&want, NULL, "\n") == QP_OK);
        ck_assert_msg(strstr(o.out, want.s) != NULL, "%s\n wanted %s got %s", input.s, want.s, o.out);
    }
    int printed = 0;
    for (const char *at = o.out; (at = strstr(at, "engine=")) != NULL; at++) printed++;
    const unsigned have = ref_engines((qp_op)row->ref_op, lines[0].format);
    ck_assert_int_eq(printed, __builtin_popcount(have));
    done(&o);
}

START_TEST(engine_all_prints_the_answer_of_every_engine) {
    ck_assert_int_ge(read_cases(text_of_file(), check_all_engines), 40);
}
END_TEST

START_TEST(engines_that_never_differ_agree_on_random_lines) {
    int tried = 0;
    ck_assert_int_ge(read_same(text_of_file()), 30);
    for (int o = 0; o < QP_COUNT(ops); o++)
        for (int f = 0; f < QP_FORMAT_COUNT; f++)
            for (int i = 0; i < QP_ENGINE_COUNT; i++)
                for (int j = 0; j < i; j++) {
                    if (!pairs[ops[o]][f][i][j].same) continue;
                    int n = count_differences(ops[o], (qp_format)f, (qp_engine)i, (qp_engine)j, 60);
                    ck_assert_msg(n == 0, "%s %s: %s and %s differ in %d of 60 random lines",
                                  qp_op_name(ops[o]), format_name(f), engine_name(i), engine_name(j), n);
                    tried++;
                }
    ck_assert_int_ge(tried, 60);
}
END_TEST

// The random lines are able to tell engines apart.
START_TEST(random_lines_find_pairs_that_do_differ) {
    static const struct {
        qp_op op;
        qp_format format;
        qp_engine a, b;
    } known[] = {
        {QP_OP_FAKEQUANT, QP_FP8_BLOCK2D, QP_ENGINE_IEEE, QP_ENGINE_TORCH_CPU},
        {QP_OP_FAKEQUANT, QP_NVFP4, QP_ENGINE_IEEE, QP_ENGINE_MX_EXT},
        {QP_OP_QUANT, QP_INT8, QP_ENGINE_TORCH_CPU, QP_ENGINE_TORCH_CUDA},
        {QP_OP_QUANT, QP_INT4_BLOCK, QP_ENGINE_TORCH_CPU, QP_ENGINE_TORCH_CUDA},
        {QP_OP_QUANT, QP_NVFP4, QP_ENGINE_TORCH_CPU, QP_ENGINE_TORCH_CUDA},
        {QP_OP_DEQUANT, QP_NF4, QP_ENGINE_TORCH_CPU, QP_ENGINE_TORCH_CUDA},
        {QP_OP_DEQUANT, QP_FP8_E4M3, QP_ENGINE_TORCH_CPU, QP_ENGINE_COMPRESSED_TENSORS},
    };
    for (int i = 0; i < QP_COUNT(known); i++)
        ck_assert_msg(count_differences(known[i].op, known[i].format, known[i].a, known[i].b, 60) > 0,
                      "%s %s", qp_op_name(known[i].op), format_name((int)known[i].format));
}
END_TEST

int main(void) {
    Suite *s = suite_create("engines");
    TCase *t = tcase_create("engines");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_line_is_answered_exactly_as_it_stands);
    tcase_add_test(t, every_case_holds_two_engines_that_differ_and_every_pair_of_engines_is_accounted_for);
    tcase_add_test(t, engine_all_prints_the_answer_of_every_engine);
    tcase_add_test(t, engines_that_never_differ_agree_on_random_lines);
    tcase_add_test(t, random_lines_find_pairs_that_do_differ);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
