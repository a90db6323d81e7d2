// SPDX-License-Identifier: Apache-2.0
// NVFP4 real quantization: block scales, packed codes, dequantized values (numerics 4.5), and dequantize in
// the standard order. Where torch-cuda differs is in the block scales (nvfp4_scale.c): the elements are
// divided tensor by tensor.
#include "ref_internal.h"

typedef struct block {
    const ref_spec *spec;
    const void *x;
    void *values;      // may be NULL
    uint8_t *codes;    // of the block's row
    int64_t row_first; // index of the row's first element in x
    int64_t col0, col1;
} block;

// The sign is that of the quotient, by comparison: -0 and NaN have none, a negative value that rounds to zero
// keeps it.
static inline uint32_t encode(float z) {
    const uint32_t code = ref_e2m1_chain(ref_float(ref_abs(ref_image(z))));
    return code + (z < 0.0f ? 8 : 0);
}

static inline uint32_t unless_nan(float z, uint32_t code) {
    return z != z ? REF_E2M1_MAX : code;
}

// The table of values has +0 at nibble 8.
static uint32_t decode(uint8_t nibble, float scale) {
    const float e = nibble == 8 ? 0.0f : ref_float(ref_e2m1_decode(nibble));
    return ref_canonical(scale * e);
}

void ref_put_nibble(uint8_t *row, int64_t col, uint8_t nibble, bool even_high) {
    const bool even = col % 2 == 0, high = even == even_high;
    const uint8_t bits = high ? (uint8_t)(nibble << 4) : nibble;
    row[col / 2] = even ? bits : (uint8_t)(row[col / 2] | bits);
}

uint8_t ref_get_nibble(const uint8_t *row, int64_t col, bool even_high) {
    const bool high = (col % 2 == 0) == even_high;
    return high ? row[col / 2] >> 4 : row[col / 2] & 15;
}

static void put_run(uint8_t *row, int64_t col, int64_t n, const uint32_t nibbles[REF_RUN]) {
    int64_t i = 0;
    for (; col % 2 == 0 && i + 1 < n; i += 2)
        row[(col + i) / 2] = (uint8_t)(nibbles[i] | nibbles[i + 1] << 4);
    for (; i < n; i++) ref_put_nibble(row, col + i, (uint8_t)nibbles[i], false);
}

// n <= REF_RUN elements from col.
static void quantize_run(const block *b, int64_t col, int64_t n, float scale, qp_coverage *cov) {
    const qp_dtype t = b->spec->dtype;
    uint32_t in[REF_RUN];
    float z[REF_RUN];
    uint32_t nibbles[REF_RUN];
    ref_load_run(t, b->x, b->row_first + col, n, in);
    for (int i = 0; i < REF_RUN; i++) z[i] = ref_float(in[i]) / scale;
    for (int i = 0; i < REF_RUN; i++) nibbles[i] = encode(z[i]);
    for (int i = 0; i < REF_RUN; i++) nibbles[i] = unless_nan(z[i], nibbles[i]);
    put_run(b->codes, col, n, nibbles);
    for (int i = 0; i < n && cov != NULL; i++) {
        ref_cover_input(cov, in[i]);
        ref_cover_e2m1(cov, ref_image(z[i]), (uint8_t)nibbles[i]);
    }
    for (int i = 0; i < n && b->values != NULL; i++)
        ref_store_f32(t, b->values, b->row_first + col + i, decode((uint8_t)nibbles[i], scale));
}

static void quantize_block(const block *b, float scale, qp_coverage *cov) {
    for (int64_t c = b->col0; c < b->col1; c += REF_RUN)
        quantize_run(b, c, b->col1 - c < REF_RUN ? b->col1 - c : REF_RUN, scale, cov);
    // An odd row ends in a nibble of padding, which is quantized like any zero.
    const float pad = 0.0f / scale;
    if (b->col1 == b->spec->cols && b->col1 % 2 == 1)
        ref_put_nibble(b->codes, b->col1, (uint8_t)unless_nan(pad, encode(pad)), false);
}

void ref_quant_nvfp4(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, uint8_t *codes,
                     void *scales, void *values, qp_coverage *cov) {
    const ref_grain g = ref_grain_of_spec(s);
    const ref_nv nv = ref_nv_of(s);
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t seg = 0; seg < g.n_segs; seg++) {
            block b = {s,
                       x,
                       values,
                       codes + r * ((s->cols + 1) / 2),
                       r * s->cols,
                       seg * g.width,
                       (seg + 1) * g.width};
            if (b.col1 > s->cols) b.col1 = s->cols;
            const float amax = nv.dynamic
                                   ? ref_block_amax(s->dtype, x, b.row_first + b.col0, b.col1 - b.col0, true)
                                   : ref_float(s->amax[ref_amax_index(&g, row0 + r, seg)]);
            const ref_nv_scale scale = ref_nv_pack_scale(&nv, amax);
            ((uint8_t *)scales)[r * g.n_segs + seg] = scale.code;
            ref_cover_scale(cov, ref_image(scale.quotient), scale.code, amax == 0.0f);
            quantize_block(&b, scale.scale, cov);
        }
    }
}

// Every engine that dequantizes here does it in the standard order.
void ref_dequant_nvfp4(const ref_spec *s, qp_dtype out, int64_t n_rows, const uint8_t *codes,
                       const void *scales, uint32_t weight_scale_2, void *values) {
    const ref_grain g = ref_grain_of_spec(s);
    const uint8_t *bytes = scales;
    for (int64_t r = 0; r < n_rows; r++) {
        const uint8_t *row = codes + r * ((s->cols + 1) / 2);
        for (int64_t c = 0; c < s->cols; c++) {
            const float sf = ref_e4m3_value(bytes[ref_amax_index(&g, r, c / g.width)]);
            const float scale = sf * ref_float(weight_scale_2);
            ref_store_f32(out, values, r * s->cols + c, decode(ref_get_nibble(row, c, false), scale));
        }
    }
}
