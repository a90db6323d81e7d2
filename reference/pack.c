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
static uint8_t encode(float z) {
    const uint32_t image = ref_image(z);
    if (ref_is_nan(image)) return REF_E2M1_MAX;
    return (uint8_t)((z < 0.0f ? 8 : 0) | (ref_e2m1_encode(image) & 7));
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

static void quantize_block(const block *b, float scale, qp_coverage *cov) {
    const qp_dtype t = b->spec->dtype;
    for (int64_t c = b->col0; c < b->col1; c++) {
        const uint32_t in = ref_load_f32(t, b->x, b->row_first + c);
        const float z = ref_float(in) / scale;
        const uint8_t nibble = encode(z);
        ref_cover_input(cov, in);
        ref_cover_e2m1(cov, ref_image(z), nibble);
        ref_put_nibble(b->codes, c, nibble, false);
        if (b->values != NULL) ref_store_f32(t, b->values, b->row_first + c, decode(nibble, scale));
    }
    // An odd row ends in a nibble of padding, which is quantized like any zero.
    if (b->col1 == b->spec->cols && b->col1 % 2 == 1)
        ref_put_nibble(b->codes, b->col1, encode(0.0f / scale), false);
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
