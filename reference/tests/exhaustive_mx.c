// SPDX-License-Identifier: Apache-2.0
// The six MX formats: every bf16 and fp16 input that a block can hold under each E8M0 scale of that type. The
// block's first element is the largest code times 2^k, so its scale is 2^k; the other 31 run over all inputs
// up to it. Fake-quant under ieee, judged in the second arithmetic (numerics 5.0).
#if QP_HAVE_WITNESS
#include "tests/exhaustive.h"

enum { INPUTS = 1 << 15, BLOCK = 32, REST = BLOCK - 1, CELLS = (INPUTS * 2 / REST + 1) * BLOCK };

typedef struct mx_row {
    qp_format format;
    float max;
    void (*encode)(const uint32_t *in, uint16_t *out, int64_t n); // NULL: integers
    uint32_t (*decode)(uint8_t code);
} mx_row;

static const mx_row rows[] = {
    {QP_MXFP4, 6.0f, witness_e2m1, witness_e2m1_decode},
    {QP_MXFP6_E3M2, 28.0f, witness_e3m2, witness_e3m2_decode},
    {QP_MXFP6_E2M3, 7.5f, witness_e2m3, witness_e2m3_decode},
    {QP_MXFP8_E4M3, 448.0f, witness_e4m3, witness_e4m3_decode},
    {QP_MXFP8_E5M2, 57344.0f, witness_e5m2, witness_e5m2_decode},
    {QP_MXINT8, 127.0f, NULL, NULL},
};

static float input(qp_dtype t, int i) {
    return part_float(t == QP_BF16 ? witness_bf16_decode((uint16_t)i) : witness_fp16_decode((uint16_t)i));
}

static uint16_t stored(qp_dtype t, float y) {
    const uint32_t in = part_image(y);
    uint16_t out;
    (t == QP_BF16 ? witness_bf16 : witness_fp16)(&in, &out, 1);
    return out;
}

static float want(const mx_row *m, float x, int k) {
    const float q = (float)ldexp(fabs((double)x), -k); // exact: at most the largest code, 11 bits
    double value = fmin(rint((double)q), 127.0);
    if (m->encode != NULL) {
        const uint32_t in = part_image(q);
        uint16_t code;
        m->encode(&in, &code, 1);
        value = (double)part_float(m->decode((uint8_t)code));
    }
    const float y = (float)ldexp(value, k);
    return x > 0 ? y : -y;
}

// Cells of all inputs of t up to the largest, in blocks led by it. 0: no such number in t.
static int fill(const mx_row *m, qp_dtype t, int k, uint16_t *x) {
    const double largest = ldexp((double)m->max, k);
    const uint16_t lead = stored(t, (float)largest);
    if ((double)input(t, lead) != largest) return 0;
    int n = 0;
    for (int i = 0; i < 2 * INPUTS; i++) {
        if (!(fabs((double)input(t, i)) <= largest)) continue;
        if (n % BLOCK == 0) x[n++] = lead;
        x[n++] = (uint16_t)i;
    }
    return n;
}

static void under_scale(const mx_row *m, qp_dtype t, int k, bool plant, part *p) {
    static _Thread_local uint16_t x[CELLS + BLOCK], y[CELLS + BLOCK];
    const int n = fill(m, t, k, x);
    const ref_spec s = {.format = m->format, .dtype = t, .rows = 1, .cols = n};
    ref_fakequant(&s, 0, 1, x, y, NULL, NULL);
    for (int i = 0; i < n; i++) {
        const uint16_t must = stored(t, want(m, input(t, x[i]), k));
        const uint16_t got = y[i] ^ (plant && i == 77);
        p->compared++;
        if (must == got) continue;
        if (p->wrong++ == 0)
            snprintf(p->first, sizeof p->first, "%s %s 2^%d x %04x: want %04x got %04x",
                     qp_format_get(m->format)->name, qp_dtype_name(t), k, x[i], must, got);
    }
}

static bool one_format(const mx_row *m) {
    const double start = omp_get_wtime();
    part total = {0};
    int n_scales = 0;
#pragma omp parallel for schedule(dynamic)
    for (int k = -127; k <= 127; k++)
        for (int t = 0; t < 2; t++) {
            part p = {0};
            under_scale(m, t == 0 ? QP_BF16 : QP_FP16, k, false, &p);
#pragma omp critical
            {
                part_add(&total, &p);
                n_scales += p.compared > 0;
            }
        }
    char name[96];
    snprintf(name, sizeof name, "%s: all bf16 and fp16 inputs x %d scales -> value",
             qp_format_get(m->format)->name, n_scales);
    part plant = {0};
    under_scale(m, QP_BF16, 3, true, &plant);
    printf("  planted value: %s (%s)\n", plant.wrong == 1 ? "found" : "NOT FOUND", plant.first);
    return part_say(name, &total, total.compared, start) && n_scales > 200 && plant.wrong == 1;
}

bool exhaustive_mx(void) {
    bool good = true;
    for (int i = 0; i < QP_COUNT(rows); i++) good &= one_format(&rows[i]);
    return good;
}
#endif
