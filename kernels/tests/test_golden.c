// SPDX-License-Identifier: Apache-2.0
// The recordings of the real packages, asked of the cpu kernels directly: every packed line of engine
// torch-cpu in cases/golden, codes, scales, second-level scales and dequantized values. A block shorter than
// the format's is a short last block of a row of its own.
#include "tests/kit.h"

enum { MOST = 4096, LINE = 1 << 20 };

typedef struct words {
    uint32_t v[MOST];
    int n; // -1: the key is not there
} words;

typedef struct line {
    qp_format format;
    qp_dtype dtype;
    qp_op op;
    int64_t rows, cols, block_rows, block_cols;
    words x, amax, global, scale, zero, codes, scales, i8, second, values;
} line;

static const char *key(const char *text, const char *name, char *out, size_t n) {
    char wanted[40];
    snprintf(wanted, sizeof wanted, " %s=", name);
    const char *at = strstr(text, wanted);
    if (at == NULL) return NULL;
    at += strlen(wanted);
    snprintf(out, n, "%.*s", (int)strcspn(at, " \n"), at);
    return out;
}

static void images(const char *text, const char *name, words *w) {
    static char list[LINE];
    w->n = -1;
    if (key(text, name, list, sizeof list) == NULL) return;
    w->n = 0;
    for (char *rest = list, *p; (p = strsep(&rest, ",")) != NULL;) {
        if (*p == '\0') continue;
        ck_assert_int_lt(w->n, MOST);
        w->v[w->n++] = (uint32_t)strtoul(p, NULL, 16);
    }
}

// "4x16", "2x8" or one number, which is the second.
static void pair(const char *text, const char *name, int64_t *a, int64_t *b) {
    char word[64];
    if (key(text, name, word, sizeof word) == NULL) return;
    char *end;
    long long first = strtoll(word, &end, 10);
    if (*end == 'x') *a = first;
    *b = *end == 'x' ? strtoll(end + 1, NULL, 10) : first;
}

static bool parse(char *text, line *l) {
    char word[64];
    memset(l, 0, sizeof *l);
    text[-1] = ' '; // every key behind a space
    if (key(text - 1, "op", word, sizeof word) == NULL) return false;
    if (strcmp(word, "quant") != 0 && strcmp(word, "dequant") != 0) return false;
    l->op = word[0] == 'q' ? QP_OP_QUANT : QP_OP_DEQUANT;
    if (strcmp(key(text, "engine", word, sizeof word), "torch-cpu") != 0) return false;
    key(text, "fmt", word, sizeof word);
    l->format = QP_FORMAT_NONE;
    for (int f = 0; f < QP_FORMAT_COUNT; f++)
        if (strcmp(word, qp_format_get((qp_format)f)->name) == 0) l->format = (qp_format)f;
    ck_assert_msg(l->format != QP_FORMAT_NONE, "%s", word);
    if (key(text, l->op == QP_OP_QUANT ? "in" : "out", word, sizeof word) == NULL) return false;
    for (int t = QP_BF16; t <= QP_FP32; t++)
        if (strcmp(word, qp_dtype_name((qp_dtype)t)) == 0) l->dtype = (qp_dtype)t;
    const char *const names[] = {"x",     "block_amax", "global_amax", "scale",          "scale_zero",
                                 "codes", "scales",     "scales_i8",   "weight_scale_2", "double_scale",
                                 "values"};
    words second;
    words *to[] = {&l->x,      &l->amax, &l->global, &l->scale, &l->zero,  &l->codes,
                   &l->scales, &l->i8,   &l->second, &second,   &l->values};
    for (int i = 0; i < QP_COUNT(names); i++) images(text, names[i], to[i]);
    if (second.n > 0) l->second = second;
    const qp_format_row *f = qp_format_get(l->format);
    l->rows = 1;
    l->cols = l->op == QP_OP_QUANT ? l->x.n : l->values.n;
    pair(text, "shape", &l->rows, &l->cols);
    l->block_rows = f->block_rows;
    l->block_cols = f->block_cols;
    pair(text, "block", &l->block_rows, &l->block_cols);
    return true;
}

// ---- one line in parts that the kernels can take: blocks of their own width

typedef struct part {
    int64_t rows, cols, row0, col0, pitch; // of the line's tensor
    int64_t scale0, scale_step;
} part;

static int parts_of(const line *l, part *out) {
    const qp_format_row *f = qp_format_get(l->format);
    int n = 0;
    if (f->block_cols == 0) {
        out[n++] = (part){l->rows, l->cols, 0, 0, l->cols, 0, 1};
    } else if (f->grain == QP_GRAIN_BLOCK && f->nibbles != QP_NIBBLES_ROW_PAIRS) {
        out[n++] = (part){l->rows * l->cols / l->block_cols, l->block_cols, 0, 0, l->block_cols, 0, 1};
    } else {
        int64_t nb = l->cols / l->block_cols, high = f->grain == QP_GRAIN_BLOCK ? l->rows : l->block_rows;
        for (int64_t r = 0; r < l->rows; r += high)
            for (int64_t c = 0; c < nb; c++)
                out[n++] = (part){high, l->block_cols, r, c * l->block_cols, l->cols, r / high * nb + c, nb};
    }
    return n;
}

static unsigned char x[MOST * 4], y[MOST * 4], codes[MOST], scales[MOST * 4], i8[MOST];
static float amax[MOST], scale[MOST], global, second;

static void store(qp_dtype t, void *to, int64_t i, uint32_t image) {
    memcpy((char *)to + (size_t)i * qp_dtype_bytes(t), &image, qp_dtype_bytes(t));
}

static uint32_t load(qp_dtype t, const void *from, int64_t i) {
    uint32_t image = 0;
    memcpy(&image, (const char *)from + (size_t)i * qp_dtype_bytes(t), qp_dtype_bytes(t));
    return image;
}

static float widen(qp_dtype t, uint32_t image) {
    float f[1];
    unsigned char one[4];
    store(t, one, 0, image);
    qp_ktensor k = {.rows = 1, .cols = 1, .ld = 1, .x = one, .amax_out = f};
    qp_launch l = {.op = QP_OP_AMAX, .format = QP_INT8, .dtype = t, .n_tensors = 1, .tensors = &k};
    ck_assert_int_eq(k_cpu_amax(&l, NULL), QP_OK); // |x|: all that is widened here is positive
    return f[0];
}

static bool is_nan(qp_dtype t, uint32_t image) {
    uint32_t a = t == QP_FP32 ? image & 0x7fffffffu : image & 0x7fffu;
    return a > (t == QP_FP32 ? 0x7f800000u : t == QP_BF16 ? 0x7f80u : 0x7c00u);
}

static void same(const char *text, const char *what, int64_t i, uint32_t got, uint32_t want, bool both_nan) {
    ck_assert_msg(got == want || both_nan, "%.60s...: %s %lld: %x, want %x", text, what, (long long)i,
                  (unsigned)got, (unsigned)want);
}

static void launch(qp_op op, const line *l, qp_ktensor *t) {
    qp_launch k = {.op = op,
                   .format = l->format,
                   .engine = op == QP_OP_AMAX ? QP_ENGINE_IEEE : QP_ENGINE_TORCH_CPU,
                   .dtype = l->dtype,
                   .n_tensors = 1,
                   .tensors = t};
    qp_err err = {0};
    ck_assert_msg(kit_kernel(QP_DEVICE_CPU, op, l->format)(&k, &err) == QP_OK, "%s", err.msg);
}

static void inputs(const line *l, const part *p, qp_ktensor *t) {
    const kit_sizes z = kit_sizes_of(l->format, l->dtype, p->rows, p->cols);
    *t = (qp_ktensor){.rows = p->rows,
                      .cols = p->cols,
                      .ld = p->cols,
                      .x = x,
                      .y = y,
                      .amax = amax,
                      .amax_out = amax,
                      .scale = scale,
                      .global_amax = &global,
                      .codes = codes,
                      .scales = scales,
                      .scales_i8 = i8,
                      .weight_scale_2 = &second};
    for (int64_t r = 0; r < p->rows; r++)
        for (int64_t c = 0; c < p->cols; c++)
            store(l->dtype, x, r * p->cols + c, l->x.v[(p->row0 + r) * p->pitch + p->col0 + c]);
    if (l->global.n > 0) global = kit_float(l->global.v[0]);
    if (l->zero.n > 0) global = widen(l->dtype, l->zero.v[0]);
    for (int64_t k = 0; k < z.n_scales; k++) {
        if (l->scale.n > 0) scale[k] = kit_float(l->scale.v[p->scale0 + k * p->scale_step]);
        if (l->amax.n > 0) amax[k] = kit_float(l->amax.v[p->scale0 + k * p->scale_step]);
    }
    if (l->amax.n < 0) launch(QP_OP_AMAX, l, t);
}

static void outputs(const char *text, const line *l, const part *p) {
    const qp_format_row *f = qp_format_get(l->format);
    const kit_sizes z = kit_sizes_of(l->format, l->dtype, p->rows, p->cols);
    for (int64_t i = 0; i < z.codes; i++) {
        int64_t at = i;
        if (p->pitch != p->cols) at = (p->row0 + i / p->cols) * p->pitch + p->col0 + i % p->cols;
        bool nan = f->element == QP_ELEM_E4M3 && (codes[i] & 0x7f) == 0x7f;
        same(text, "codes", at, codes[i], l->codes.v[at], nan && (l->codes.v[at] & 0x7f) == 0x7f);
    }
    for (int64_t k = 0; k < z.n_scales && z.scales > 0; k++) {
        int64_t at = p->scale0 + k * p->scale_step;
        if (f->scale != QP_SCALE_OF_X) {
            same(text, "scales", at, scales[k], l->scales.v[at], false);
        } else {
            uint32_t got = load(l->dtype, scales, k), want = l->scales.v[at];
            same(text, "scales", at, got, want, is_nan(l->dtype, got) && is_nan(l->dtype, want));
        }
    }
    for (int64_t k = 0; k < z.scales_i8; k++) same(text, "scales_i8", k, i8[k], l->i8.v[k], false);
    if (f->has_global) same(text, "weight_scale_2", 0, kit_bits(second), l->second.v[0], second != second);
    if (f->element == QP_ELEM_NF4) {
        float want = widen(l->dtype, l->second.v[0]);
        same(text, "double_scale", 0, kit_bits(second), kit_bits(want), second != second && want != want);
    }
}

static void values(const char *text, const line *l, const part *p) {
    for (int64_t i = 0; i < p->rows * p->cols; i++) {
        int64_t at = (p->row0 + i / p->cols) * p->pitch + p->col0 + i % p->cols;
        uint32_t got = load(l->dtype, y, i), want = l->values.v[at];
        same(text, "values", at, got, want, is_nan(l->dtype, got) && is_nan(l->dtype, want));
    }
}

static void check_line(const char *text, const line *l) {
    part parts[64];
    int n = parts_of(l, parts);
    for (int i = 0; i < n; i++) {
        qp_ktensor t;
        if (l->op == QP_OP_QUANT) {
            inputs(l, &parts[i], &t);
            memset(codes, 0xee, sizeof codes);
            launch(QP_OP_QUANT, l, &t);
            outputs(text, l, &parts[i]);
        } else {
            t = (qp_ktensor){
                .rows = 1, .cols = l->cols, .ld = l->cols, .y = y, .codes = codes, .scales = scales};
            t.weight_scale_2 = &second;
            second = kit_float(l->second.v[0]);
            for (int k = 0; k < l->codes.n; k++) codes[k] = (uint8_t)l->codes.v[k];
            for (int k = 0; k < l->scales.n; k++) scales[k] = (uint8_t)l->scales.v[k];
        }
        if (l->values.n < 0) continue;
        launch(QP_OP_DEQUANT, l, &t);
        values(text, l, &parts[i]);
    }
}

// Lines of each file that are judged here; the rest are other ops and engines.
static const struct {
    const char *file;
    int n;
} files[] = {{"mx-real", 360},     {"nf4", 60},    {"int4-block", 90}, {"fp8-int8-real", 162},
             {"nvfp4-quant", 360}, {"export", 54}, {"traps", 13}};

START_TEST(every_recorded_line_is_answered_bit_for_bit) {
    static char buffer[LINE + 1];
    static line l;
    char path[64];
    snprintf(path, sizeof path, "cases/golden/%s.txt", files[_i].file);
    FILE *in = fopen(path, "r");
    ck_assert_msg(in != NULL, "tests run from the repository root: no %s", path);
    int n = 0;
    while (fgets(buffer + 1, LINE, in) != NULL) {
        if (buffer[1] == '#' || !parse(buffer + 1, &l)) continue;
        check_line(buffer + 1, &l);
        n++;
    }
    fclose(in);
    ck_assert_msg(n == files[_i].n, "%s: %d lines", path, n);
}
END_TEST

int main(void) {
    Suite *s = suite_create("kernels against recordings");
    TCase *c = tcase_create("golden");
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, every_recorded_line_is_answered_bit_for_bit, 0, QP_COUNT(files));
    suite_add_tcase(s, c);
    return kit_main(s);
}
