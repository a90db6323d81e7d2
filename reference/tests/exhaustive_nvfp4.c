// SPDX-License-Identifier: Apache-2.0
// NVFP4 on bf16, exhaustive by factorization: (block amax, global amax) -> scale byte over one octave of the
// global amax x 12 octaves of the block amax, and (global amax, scale byte, x) -> code over all x that can
// tell two codes apart. Both maps are invariant under powers of two while every step stays normal; that is
// checked too.
#if QP_HAVE_WITNESS
#include "tests/exhaustive.h"

enum { MANTISSAS = 128, OCTAVES = 12, N_AMAX = OCTAVES * MANTISSAS + 1, N_X = 7 * MANTISSAS + 2 };

static const qp_format formats[] = {QP_NVFP4, QP_NVFP4_STATIC, QP_NVFP4_46};

static float levels_of(qp_format f) {
    return f == QP_NVFP4_46 ? 256.0f : 448.0f;
}

// numerics 4.5 with true divisions, in the second arithmetic.
static float wanted_quotient(qp_format f, float block_amax, float global_amax) {
    const float m = levels_of(f), ws2 = part_div(global_amax, 6.0f * m);
    if (f == QP_NVFP4) return part_div(block_amax, part_mul(6.0f, ws2));
    return part_div(part_mul(part_div(block_amax, 6.0f), m), part_div(global_amax, 6.0f));
}

static uint8_t wanted_byte(float quotient) {
    const float clamped = fminf(fmaxf(quotient, 0x1p-9f), 448.0f);
    const uint32_t in = part_image(clamped);
    uint16_t out;
    witness_e4m3(&in, &out, 1);
    return (uint8_t)out;
}

static bool is_midpoint(float q, uint8_t byte) {
    for (int step = -1; step <= 1; step += 2) {
        const int other = byte + step;
        if (other < 0 || other > 0x7e) continue;
        const double mid = ((double)part_float(witness_e4m3_decode(byte)) +
                            (double)part_float(witness_e4m3_decode((uint8_t)other))) /
                           2;
        if ((double)q == mid) return true;
    }
    return false;
}

// One block whose first element is block_amax: its scale byte, by the reference.
static uint8_t answered_byte(qp_format f, uint32_t block_amax, uint32_t global_amax) {
    const uint16_t x[16] = {(uint16_t)(block_amax >> 16)};
    const ref_spec s = {.format = f,
                        .dtype = QP_BF16,
                        .rows = 1,
                        .cols = 16,
                        .amax = &block_amax,
                        .global_amax = global_amax};
    uint8_t codes[8], scale;
    ref_quant(&s, 0, 1, x, codes, &scale, NULL, NULL);
    return scale;
}

static uint32_t global_of(int mantissa, int shift) {
    return (uint32_t)(127 + shift) << 23 | (uint32_t)mantissa << 16;
}

static void compare_bytes(qp_format f, int mantissa, int shift, bool plant, part *p) {
    const uint32_t global = global_of(mantissa, shift);
    for (int i = 0; i < N_AMAX; i++) {
        const uint32_t block = global - ((uint32_t)i << 16);
        const float q = wanted_quotient(f, part_float(block), part_float(global));
        const uint8_t want = wanted_byte(q);
        uint8_t got = answered_byte(f, block, global);
        if (plant && i == 5) got ^= 1;
        p->compared++;
        p->ties += is_midpoint(q, want);
        if (want == got) continue;
        if (p->wrong++ == 0)
            snprintf(p->first, sizeof p->first, "%s ga %08x b %08x: want %02x got %02x",
                     qp_format_get(f)->name, global, block, want, got);
    }
}

static bool all_bytes(qp_format f, int shift) {
    const double start = omp_get_wtime();
    part total = {0};
#pragma omp parallel for schedule(dynamic)
    for (int g = 0; g < MANTISSAS; g++) {
        part p = {0};
        compare_bytes(f, g, shift, false, &p);
#pragma omp critical
        part_add(&total, &p);
    }
    char name[96];
    snprintf(name, sizeof name, "%s bf16: block amax, global amax x 2^%d -> scale byte",
             qp_format_get(f)->name, shift);
    return part_say(name, &total, (uint64_t)MANTISSAS * N_AMAX, start);
}

// ---- scale byte and x -> code
// ------------------------------------------------------------------------------------------------

// A block amax that gets this byte under static rules: found by trying, 0 when there is none.
static uint32_t block_for(qp_format f, uint32_t global, uint8_t byte) {
    for (int i = -MANTISSAS; i < 24 * MANTISSAS; i++) {
        const uint32_t block = global - ((uint32_t)i << 16);
        if (answered_byte(f, block, global) == byte) return block;
    }
    return 0;
}

static uint8_t wanted_nibble(float z) {
    const uint32_t in = part_image(fabsf(z));
    uint16_t out;
    witness_e2m1(&in, &out, 1);
    return (uint8_t)((out & 7) | (z < 0 ? 8 : 0));
}

static bool is_code_tie(float z) {
    static const float mids[] = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f};
    for (int i = 0; i < QP_COUNT(mids); i++)
        if (fabsf(z) == mids[i]) return true;
    return false;
}

static void compare_codes(int mantissa, uint8_t byte, bool plant, part *p) {
    enum { N = (2 * N_X + 15) / 16 * 16 };
    const uint32_t global = global_of(mantissa, 0), block = block_for(QP_NVFP4_STATIC, global, byte);
    const float ws2 = part_div(part_float(global), 2688.0f),
                scale = part_mul(part_float(witness_e4m3_decode(byte)), ws2);
    uint16_t x[N] = {0};
    uint32_t amax[N / 16];
    uint8_t codes[N / 2], scales[N / 16];
    const uint32_t low = (part_image(scale) >> 16) - 3 * MANTISSAS; // an eighth of the scale and up
    for (int i = 0; i < N_X; i++) {
        x[2 * i] = (uint16_t)(low + (uint32_t)i);
        x[2 * i + 1] = (uint16_t)(x[2 * i] | 0x8000);
    }
    for (int i = 0; i < N / 16; i++) amax[i] = block;
    const ref_spec s = {.format = QP_NVFP4_STATIC,
                        .dtype = QP_BF16,
                        .rows = 1,
                        .cols = N,
                        .amax = amax,
                        .global_amax = global};
    ref_quant(&s, 0, 1, x, codes, scales, NULL, NULL);
    for (int i = 0; i < 2 * N_X; i++) {
        const float z = part_div(part_float((uint32_t)x[i] << 16), scale);
        const uint8_t want = wanted_nibble(z);
        uint8_t got = i % 2 == 0 ? codes[i / 2] & 15 : codes[i / 2] >> 4;
        if (plant && i == 700) got ^= 1;
        p->compared++;
        p->ties += is_code_tie(z);
        if (want == got && scales[i / 16] == byte) continue;
        if (p->wrong++ == 0)
            snprintf(p->first, sizeof p->first, "ga %08x scale byte %02x x %04x: want %x got %x (byte %02x)",
                     global, byte, x[i], want, got, scales[i / 16]);
    }
}

static bool all_codes(void) {
    const double start = omp_get_wtime();
    part total = {0};
#pragma omp parallel for schedule(dynamic)
    for (int g = 0; g < MANTISSAS; g++) {
        part p = {0};
        for (int byte = 1; byte <= 0x7e; byte++) compare_codes(g, (uint8_t)byte, false, &p);
#pragma omp critical
        part_add(&total, &p);
    }
    return part_say("nvfp4 bf16: global amax, scale byte, x of both signs -> code", &total,
                    (uint64_t)MANTISSAS * 126 * 2 * N_X, start);
}

static bool plants_are_found(void) {
    part bytes = {0}, codes = {0};
    compare_bytes(QP_NVFP4, 3, 0, true, &bytes);
    compare_codes(3, 0x41, true, &codes);
    const bool found = bytes.wrong == 1 && codes.wrong == 1;
    printf("  planted byte and code: %s (%s; %s)\n", found ? "found" : "NOT FOUND", bytes.first, codes.first);
    return found;
}

bool exhaustive_nvfp4(void) {
    static const int shifts[] = {0, -40, -9, 33};
    bool good = true;
    for (int f = 0; f < QP_COUNT(formats); f++)
        for (int k = 0; k < QP_COUNT(shifts); k++) good &= all_bytes(formats[f], shifts[k]);
    good &= all_codes();
    return plants_are_found() && good;
}
#endif
