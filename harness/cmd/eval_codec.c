// SPDX-License-Identifier: Apache-2.0
// The answers of op=encode and op=decode: what the casts of ml_dtypes and torch make of an image. The
// conversions are the reference's; what a source does otherwise (overflow, NaN, zero) stands in one table.
#include "cmd/eval.h"

#include "qp/ref.h"

#include <string.h>

// ---- encode, one image
// ---------------------------------------------------------------------------------------------------

static bool is_nan(uint32_t f32) {
    return (f32 & 0x7fffffffu) > 0x7f800000u;
}

static uint8_t e4m3_overflows(uint32_t f32) {
    return ref_e4m3_encode(f32, false);
}

// torch since 2.12.
static uint8_t e4m3_saturates(uint32_t f32) {
    return ref_e4m3_encode(f32, true);
}

static uint8_t e5m2_overflows(uint32_t f32) {
    return ref_e5m2_encode(f32, false);
}

static uint8_t e5m2_ml_dtypes(uint32_t f32) {
    return is_nan(f32) ? (uint8_t)(0x7e | (f32 >> 24 & 0x80)) : ref_e5m2_encode(f32, false);
}

// ml_dtypes makes a NaN a zero of the other sign in types that have no NaN.
static uint8_t e3m2_ml_dtypes(uint32_t f32) {
    return is_nan(f32) ? (uint8_t)(~f32 >> 26 & 0x20) : ref_e3m2_encode(f32);
}

static uint8_t e2m3_ml_dtypes(uint32_t f32) {
    return is_nan(f32) ? (uint8_t)(~f32 >> 26 & 0x20) : ref_e2m3_encode(f32);
}

static uint8_t e2m1_ml_dtypes(uint32_t f32) {
    return is_nan(f32) ? (uint8_t)(~f32 >> 28 & 8) : ref_e2m1_encode(f32);
}

static uint8_t e8m0_ml_dtypes(uint32_t f32) {
    return f32 == 0 || f32 >> 31 ? 0xff : ref_e8m0_encode(f32, REF_E8M0_NEAREST, false);
}

static uint8_t e8m0_torch(uint32_t f32) {
    return ref_e8m0_encode(f32, REF_E8M0_NEAREST, false);
}

// ---- the codecs
// -----------------------------------------------------------------------------------------------------------

enum { SOURCES = 2 }; // ml_dtypes, torch: the order of the grammar's words

typedef struct codec {
    const char *fmt;
    uint8_t (*encode[SOURCES])(uint32_t f32); // NULL: this source has no such cast
    uint32_t (*decode)(uint8_t code);
    uint8_t last; // the highest code
} codec;

static const codec codecs[] = {
    {"e4m3fn", {e4m3_overflows, e4m3_saturates}, ref_e4m3_decode, 0xff},
    {"e5m2", {e5m2_ml_dtypes, e5m2_overflows}, ref_e5m2_decode, 0xff},
    {"e3m2", {e3m2_ml_dtypes, NULL}, ref_e3m2_decode, 0x3f},
    {"e2m3", {e2m3_ml_dtypes, NULL}, ref_e2m3_decode, 0x3f},
    {"e2m1", {e2m1_ml_dtypes, NULL}, ref_e2m1_decode, 0x0f},
    {"e8m0", {e8m0_ml_dtypes, e8m0_torch}, ref_e8m0_decode, 0xff},
};

static qp_status codec_of(const eval_case *c, const codec **out, qp_err *err) {
    const eval_value *source = eval_get(c, "source");
    for (int i = 0; i < QP_COUNT(codecs); i++)
        if (strcmp(codecs[i].fmt, c->fmt) == 0) *out = &codecs[i];
    if ((*out)->encode[source->number] != NULL) return QP_OK;
    return eval_refuse(c, source->column, err, "source: torch has no cast to %s", c->fmt);
}

// A NaN keeps its sign on the way to fp32: the casts look at it.
static uint32_t widen(qp_dtype t, uint32_t bits) {
    const uint32_t sign = t == QP_FP32 ? bits & 0x80000000u : (bits & 0x8000u) << 16;
    return sign | (ref_to_f32(t, bits) & 0x7fffffffu);
}

static qp_status add(const eval_case *c, const char *name, uint32_t bits, qp_arena *a, eval_answer *out,
                     qp_err *err) {
    const eval_key *key = &c->row->keys[eval_key_index(c->row, name)];
    eval_array array;
    QP_TRY(eval_array_new(eval_array_dtype(c, key), 1, a, &array, err));
    memcpy(array.data, &bits, qp_dtype_bytes(array.dtype)); // little-endian, as the whole program
    out->items[out->n].key = key;
    out->items[out->n++].array = array;
    return QP_OK;
}

static uint32_t image_of(const eval_case *c, const char *key) {
    uint32_t bits = 0;
    memcpy(&bits, eval_get(c, key)->array.data, qp_dtype_bytes(eval_get(c, key)->array.dtype));
    return bits;
}

// The one code of a run. A line that carries a code is answered with the first other code in its run, so that
// no image of the run can hide; a line that only asks must have one answer.
qp_status eval_answer_encode(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                             qp_err *err) {
    (void)engine;
    const codec *k = NULL;
    QP_TRY(codec_of(c, &k, err));
    const uint32_t first = image_of(c, "first"), last = image_of(c, "last");
    uint8_t (*encode)(uint32_t) = k->encode[eval_get(c, "source")->number];
    if (first > last)
        return eval_refuse(c, eval_get(c, "last")->column, err,
                           "last: wanted an image that is not before first");
    const bool given = eval_given(c, "code");
    const uint8_t want = given ? (uint8_t)image_of(c, "code") : encode(widen(c->in, first));
    for (uint64_t i = first; i <= last; i++) {
        const uint8_t got = encode(widen(c->in, (uint32_t)i));
        if (got == want) continue;
        if (given) return add(c, "code", got, a, out, err);
        return eval_refuse(c, eval_get(c, "last")->column, err,
                           "the run has more than one code: %02x at first, %02x from %llx on", want, got,
                           (unsigned long long)i);
    }
    return add(c, "code", want, a, out, err);
}

qp_status eval_answer_decode(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                             qp_err *err) {
    (void)engine;
    const codec *k = NULL;
    QP_TRY(codec_of(c, &k, err));
    const uint32_t code = image_of(c, "code");
    if (code > k->last)
        return eval_refuse(c, eval_get(c, "code")->column, err, "code: %s has the codes 00..%02x, got %02x",
                           c->fmt, k->last, code);
    return add(c, "y", k->decode((uint8_t)code), a, out, err);
}
