// SPDX-License-Identifier: Apache-2.0
// All 65,536 bf16 and fp16 inputs, NaN and Inf among them, against every scale that a format can give them:
// NVFP4 under all 126 scale bytes, FP8 and INT8 under all 128 mantissas of a bf16 amax. Fake-quant and codes,
// judged in the second arithmetic.
#if QP_HAVE_WITNESS
#include "tests/exhaustive.h"

enum { INPUTS = 1 << 16, BLOCK = 16, MANTISSAS = 128 };

static float input(qp_dtype t, int i) {
    return part_float(t == QP_BF16 ? witness_bf16_decode((uint16_t)i) : witness_fp16_decode((uint16_t)i));
}

static uint16_t stored(qp_dtype t, float y) {
    const uint32_t in = part_image(y);
    uint16_t out;
    (t == QP_BF16 ? witness_bf16 : witness_fp16)(&in, &out, 1);
    return out;
}

static bool same(qp_dtype t, uint16_t a, uint16_t b) {
    const uint16_t inf = t == QP_BF16 ? 0x7f80 : 0x7c00;
    return a == b || ((a & 0x7fff) > inf && (b & 0x7fff) > inf);
}

static void judge(part *p, const char *what, uint32_t scale, qp_dtype t, int i, uint16_t want, uint16_t got) {
    p->compared++;
    if (same(t, want, got)) return;
    if (p->wrong++ == 0)
        snprintf(p->first, sizeof p->first, "%s, scale of %08x, %s x %04x: want %04x got %04x", what, scale,
                 qp_dtype_name(t), (unsigned)i, want, got);
}

// ---- fake-quant under one amax per tensor: numerics 1.2 and 2.3
// ----------------------------------------------------------------

static float want_int8(float x, float amax) {
    const float s = part_div(127.0f, amax);
    double r = rint((double)part_mul(x, s));
    r = r > 127 ? 127 : r < -128 ? -128 : r;
    return part_div((float)r, s);
}

static float want_fp8(float x, float amax) {
    const float s = part_div(448.0f, amax);
    const uint32_t t = part_image(part_mul(x, s));
    uint16_t code;
    witness_e4m3(&t, &code, 1);
    return part_mul(part_float(witness_e4m3_decode((uint8_t)code)), part_div(1.0f, s));
}

static void plain_inputs(qp_format f, qp_dtype t, int mantissa, part *p) {
    static _Thread_local uint16_t x[INPUTS], y[INPUTS];
    const uint32_t amax = 127u << 23 | (uint32_t)mantissa << 16;
    const ref_spec s = {.format = f, .dtype = t, .rows = 1, .cols = INPUTS, .amax = &amax};
    for (int i = 0; i < INPUTS; i++) x[i] = (uint16_t)i;
    ref_fakequant(&s, 0, 1, x, y, NULL, NULL);
    for (int i = 0; i < INPUTS; i++) {
        const float v = input(t, i),
                    want = f == QP_INT8 ? want_int8(v, part_float(amax)) : want_fp8(v, part_float(amax));
        judge(p, qp_format_get(f)->name, amax, t, i, stored(t, want), y[i]);
    }
}

// ---- NVFP4 under one scale byte: numerics 4.4 and 4.5
// ----------------------------------------------------------------------------

static uint16_t want_code(float x, float scale) {
    const float z = part_div(x, scale);
    const uint32_t in = part_image(fabsf(z));
    uint16_t out;
    witness_e2m1(&in, &out, 1);
    return (uint16_t)((out & 7) | (z < 0 ? 8 : 0));
}

// Zeros are +0, NaN is -6 times the scale (numerics 4.3).
static float want_value(float x, float scale) {
    const float q = part_div(fabsf(x), scale);
    const uint32_t in = part_image(q);
    uint16_t out;
    witness_e2m1(&in, &out, 1);
    const float y = part_mul(part_float(witness_e2m1_decode(out & 7)), scale);
    return x >= 0 ? y : 0.0f - y;
}

static void block_inputs(qp_dtype t, uint32_t global, uint32_t block, part *p) {
    static _Thread_local uint16_t x[INPUTS], y[INPUTS];
    static _Thread_local uint32_t amax[INPUTS / BLOCK], scale[INPUTS / BLOCK];
    static _Thread_local uint8_t codes[INPUTS / 2], bytes[INPUTS / BLOCK];
    const ref_spec s = {.format = QP_NVFP4_STATIC,
                        .dtype = t,
                        .rows = 1,
                        .cols = INPUTS,
                        .amax = amax,
                        .global_amax = global};
    for (int i = 0; i < INPUTS; i++) x[i] = (uint16_t)i;
    for (int i = 0; i < INPUTS / BLOCK; i++) amax[i] = block;
    ref_quant(&s, 0, 1, x, codes, bytes, NULL, NULL);
    ref_fakequant(&s, 0, 1, x, y, scale, NULL);
    const float packed = part_mul(part_float(witness_e4m3_decode(bytes[0])),
                                  part_div(part_float(global), 2688.0f)),
                fake = part_float(scale[0]);
    for (int i = 0; i < INPUTS; i++) {
        const float v = input(t, i);
        const uint16_t nibble = i % 2 == 0 ? codes[i / 2] & 15 : codes[i / 2] >> 4;
        judge(p, "nvfp4-static codes", block, t, i, want_code(v, packed), nibble);
        judge(p, "nvfp4-static values", block, t, i, stored(t, want_value(v, fake)), y[i]);
    }
}

// Block amax of every scale byte, for a global amax with an awkward mantissa.
static int all_scales(uint32_t global, uint32_t *blocks) {
    bool seen[256] = {false};
    int n = 0;
    for (uint32_t block = global; n < 126 && block > global - (24u << 23); block -= 1u << 16) {
        const uint16_t x[BLOCK] = {(uint16_t)(block >> 16)};
        const ref_spec s = {.format = QP_NVFP4_STATIC,
                            .dtype = QP_BF16,
                            .rows = 1,
                            .cols = BLOCK,
                            .amax = &block,
                            .global_amax = global};
        uint8_t codes[BLOCK / 2], byte;
        ref_quant(&s, 0, 1, x, codes, &byte, NULL, NULL);
        if (byte < 1 || byte > 0x7e || seen[byte]) continue;
        seen[byte] = true;
        blocks[n++] = block;
    }
    return n;
}

bool exhaustive_inputs(void) {
    static const qp_format plain[] = {QP_INT8, QP_FP8_E4M3};
    static const uint32_t global[] = {0x45280000, 0x3fc40000}; // 2688: the second scale is 1; 1.53125
    static uint32_t blocks[2][126];
    bool good = true;
    for (int f = 0; f < QP_COUNT(plain); f++) {
        const double start = omp_get_wtime();
        part total = {0};
#pragma omp parallel for schedule(dynamic)
        for (int k = 0; k < 2 * MANTISSAS; k++) {
            part p = {0};
            plain_inputs(plain[f], k % 2 == 0 ? QP_BF16 : QP_FP16, k / 2, &p);
#pragma omp critical
            part_add(&total, &p);
        }
        char name[96];
        snprintf(name, sizeof name, "%s: all bf16 and fp16 inputs x 128 amax -> value",
                 qp_format_get(plain[f])->name);
        good &= part_say(name, &total, UINT64_C(2) * MANTISSAS * INPUTS, start);
    }
    const double start = omp_get_wtime();
    part total = {0};
    for (int g = 0; g < 2; g++)
        if (all_scales(global[g], blocks[g]) != 126) return false;
#pragma omp parallel for schedule(dynamic)
    for (int k = 0; k < 4 * 126; k++) {
        part p = {0};
        block_inputs(k % 2 == 0 ? QP_BF16 : QP_FP16, global[k / 2 % 2], blocks[k / 2 % 2][k / 4], &p);
#pragma omp critical
        part_add(&total, &p);
    }
    good &=
        part_say("nvfp4-static: all bf16 and fp16 inputs x 126 scale bytes x 2 global amax -> code, value",
                 &total, UINT64_C(8) * 126 * INPUTS, start);
    return good;
}
#endif
