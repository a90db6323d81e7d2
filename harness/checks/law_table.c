// SPDX-License-Identifier: Apache-2.0
// Which law holds for which format, where it does not, and a counter-example of every exception. A table
// file; a test shows that each example breaks its law and that each exception has one.
#include "checks/laws.h"

static const qp_law_row laws[QP_LAW_COUNT] = {
    {"law-idempotence", "the answer to the answer is the answer"},
    {"law-code-idempotence", "the codes of the dequantized values are the codes"},
    {"law-odd-symmetry", "-x gives minus the answer"},
    {"law-homogeneity", "2x under twice the amax gives twice the answer"},
    {"law-permutation", "elements of one scale in another order give the answers in that order"},
    {"law-monotonicity", "a larger x never has a smaller answer under one scale"},
    {"law-padding", "zeros behind a row change nothing and stay zeros"},
};

const qp_law_row *qp_law_get(qp_law law) {
    return &laws[law];
}

// Formats that round and scale alike.
enum {
    INT = 1 << 0,     // rint within levels of an amax
    FP8 = 1 << 1,     // E4M3 under an amax
    DYNAMIC = 1 << 2, // block scales from the data, a global amax
    STATIC = 1 << 3,  // block amax and global amax given
    MX = 1 << 4,      // powers of two from the data
    EXPORT = 1 << 5,  // scales given, no fake-quant
    NF4 = 1 << 6,
};

static unsigned family_of(const qp_format_row *f) {
    if (f->element == QP_ELEM_NF4) return NF4;
    if (f->scale == QP_SCALE_GIVEN) return EXPORT;
    if (f->scale == QP_SCALE_E8M0) return MX;
    if (f->has_global) return qp_format_is_dynamic(f->id) ? DYNAMIC : STATIC;
    return f->element == QP_ELEM_E4M3 ? FP8 : INT;
}

typedef struct rule {
    qp_law law;
    unsigned families, but;
} rule;

static const rule rules[] = {
    // numerics 4.3: near the bottom of E4M3 the largest element may come out as 4 or 3, which has a smaller
    // scale; a NaN among zeros is -6 and from then on the largest element. MX: an answer that overflowed fp16
    // is Inf the next time, and every zero of it is -0.
    {QP_LAW_IDEMPOTENCE, DYNAMIC, QP_BUT_SMALL | QP_BUT_NAN},
    {QP_LAW_IDEMPOTENCE, MX, QP_BUT_RANGE | QP_BUT_ZERO_SIGN},
    // 4.5: nibble 8 dequantizes to +0. 2.6, 5.4: the scale is a number of the type of x and must be a normal
    // one; beyond amax 127 need not come back in bf16, whose step is half a level there. MX: a block whose
    // largest element rounds to half of the format's largest has a smaller scale the
    // next time, which gives other codes for the same values. NF4: values follow int8 scales, codes do not.
    {QP_LAW_CODES, DYNAMIC, QP_BUT_ZERO_SIGN | QP_BUT_SMALL},
    {QP_LAW_CODES, STATIC, QP_BUT_ZERO_SIGN},
    {QP_LAW_CODES, INT, QP_BUT_RANGE | QP_BUT_BEYOND},
    {QP_LAW_CODES, FP8, QP_BUT_RANGE},
    {QP_LAW_CODES, MX | NF4, QP_BUT_NEVER},
    // 1.2: -128 has no partner, and amax below 2^-24 gives +0. 4.3, 5.0: zeros have one sign, whatever the
    // sign of x, and a NaN that becomes a number is negative.
    {QP_LAW_ODD, INT, QP_BUT_BEYOND | QP_BUT_RANGE},
    {QP_LAW_ODD, DYNAMIC | STATIC | MX, QP_BUT_ZERO_SIGN | QP_BUT_NAN},
    // Absolute thresholds: 2^-24 (1.2, 2.3, 4.4), 1e-5 (4.3), 2^-127 (5.0); below them, and where the answer
    // is subnormal in its type, there is no scaling. A block of NaN alone has the scale 1.
    {QP_LAW_SCALING, INT | FP8 | STATIC, QP_BUT_RANGE},
    {QP_LAW_SCALING, MX, QP_BUT_RANGE | QP_BUT_NAN},
    {QP_LAW_SCALING, DYNAMIC, QP_BUT_RANGE | QP_BUT_SMALL | QP_BUT_NAN},
};

unsigned qp_law_exceptions(qp_law law, qp_format format) {
    const unsigned family = family_of(qp_format_get(format));
    unsigned but = 0;
    for (int i = 0; i < QP_COUNT(rules); i++)
        if (rules[i].law == law && (rules[i].families & family) != 0) but |= rules[i].but;
    return but;
}

bool qp_law_concerns(qp_law law, qp_format format) {
    const qp_format_row *f = qp_format_get(format);
    const bool no_fake = (family_of(f) & (EXPORT | NF4)) != 0 || format == QP_NVFP4_W4A8;
    const bool no_pack =
        f->element == QP_ELEM_INT4 && f->nibbles == QP_NIBBLES_NONE; // int4, int4-axis0: fake-quant only
    return law == QP_LAW_CODES ? !no_pack : !no_fake;
}

const char *qp_law_exception_name(unsigned but) {
    static const char *const names[QP_BUT_COUNT] = {
        "the sign of a zero counts for nothing",
        "not for elements that are NaN",
        "not for elements beyond their amax (odd symmetry: but with narrow_range)",
        "not for blocks whose amax is below 2^-13 of the global one, but not 0",
        "not near an end of a type or an absolute threshold",
        "does not hold",
    };
    for (int i = 0; i < QP_BUT_COUNT; i++)
        if (but == 1u << i) return names[i];
    return "?";
}

// ---- counter-examples
// --------------------------------------------------------------------------------------------------------

// clang-format off
#define ROW(n) 1, n
const qp_law_example qp_law_examples[] = {
    {QP_LAW_IDEMPOTENCE, QP_NVFP4, QP_BUT_SMALL, QP_BF16, ROW(1), {0x3c9a}, 0, false, 0x45280000,
     "1.6 steps of 2^-9 round to scale 02, the element to 4; 4 under that scale asks for scale 01"},
    {QP_LAW_IDEMPOTENCE, QP_NVFP4, QP_BUT_NAN, QP_FP32, ROW(1), {0x7fc00000}, 0, false, 0x3f800000,
     "a block of NaN alone has the scale 1 and becomes -6, which has the scale 1/6"},
    {QP_LAW_IDEMPOTENCE, QP_MXFP4, QP_BUT_RANGE, QP_FP16, ROW(2), {0x7bff, 0x7400}, 0, false, 0,
     "65504 comes out as 2^16, which is Inf in fp16; under the scale of an Inf 16384 is lost"},
    {QP_LAW_IDEMPOTENCE, QP_MXFP4, QP_BUT_ZERO_SIGN, QP_FP32, ROW(2), {0x3f800000, 0x3a800000}, 0, false, 0,
     "2^-10 rounds to +0, which comes out as -0"},
    {QP_LAW_CODES, QP_NVFP4, QP_BUT_SMALL, QP_BF16, ROW(1), {0x3c9a}, 0, false, 0x45280000,
     "the same block: codes 6 and 7 under scales 02 and 01"},
    {QP_LAW_CODES, QP_NVFP4, QP_BUT_ZERO_SIGN, QP_BF16, ROW(2), {0x3f80, 0xbc24}, 0, false, 0x3f800000,
     "nibble 8 dequantizes to +0, which packs as 0"},
    {QP_LAW_CODES, QP_NVFP4_STATIC, QP_BUT_ZERO_SIGN, QP_BF16, ROW(2), {0x3f80, 0xbc24}, 0, false, 0x3f800000,
     "nibble 8 dequantizes to +0, which packs as 0"},
    {QP_LAW_CODES, QP_INT8, QP_BUT_RANGE, QP_FP16, ROW(1), {0x0001}, 0, false, 0,
     "amax 2^-24 has the scale 0 in fp16: x/0 is code 127, 0/0 is code 0"},
    {QP_LAW_CODES, QP_INT8, QP_BUT_BEYOND, QP_BF16, ROW(1), {0x3fc0}, 0x3fbf0000, true, 0,
     "clamped to 127, which dequantizes to 3fbf in bf16; its own quotient in bf16 is 126.5, code 126"},
    {QP_LAW_CODES, QP_FP8_E4M3, QP_BUT_RANGE, QP_FP16, ROW(1), {0x0001}, 0, false, 0,
     "amax 2^-24 has the scale 0 in fp16: x/0 is code 7e, 0/0 is code 7f"},
    {QP_LAW_CODES, QP_MXFP4, QP_BUT_NEVER, QP_FP32, ROW(1), {0x40500000}, 0, false, 0,
     "3.25 is code 5 (3) under byte 7f; 3 is code 7 (6) under byte 7e: the same value"},
    {QP_LAW_CODES, QP_NF4, QP_BUT_NEVER, QP_FP32, 3, 1, {0x3f800000, 0x3f000000, 0x3b44a000}, 0, false, 0,
     "three blocks: the int8 scale of the third is two thirds of it"},
    {QP_LAW_ODD, QP_INT8, QP_BUT_BEYOND, QP_FP32, ROW(1), {0xbf8147ae}, 0x3f800000, true, 0,
     "trap 4: -1.01 under amax 1 is level -128, 1.01 is 127"},
    {QP_LAW_ODD, QP_INT8, QP_BUT_RANGE, QP_FP32, ROW(1), {0xbf800000}, 0, true, 0,
     "trap 1: under amax 0 both signs give +0"},
    {QP_LAW_ODD, QP_NVFP4, QP_BUT_ZERO_SIGN, QP_FP32, ROW(2), {0x3f800000, 0x80000000}, 0, false, 0x3f800000,
     "trap 9: every zero is +0"},
    {QP_LAW_ODD, QP_NVFP4, QP_BUT_NAN, QP_FP32, ROW(2), {0x3f800000, 0x7fc00000}, 0, false, 0x3f800000,
     "trap 19: a NaN of either sign is -6 times the scale"},
    {QP_LAW_ODD, QP_NVFP4_STATIC, QP_BUT_ZERO_SIGN, QP_FP32, ROW(2), {0x3f800000, 0x80000000}, 0, false, 0x3f800000,
     "trap 9: every zero is +0"},
    {QP_LAW_ODD, QP_NVFP4_STATIC, QP_BUT_NAN, QP_FP32, ROW(2), {0x3f800000, 0x7fc00000}, 0x3f800000, true, 0x3f800000,
     "a NaN of either sign is -6 times the scale"},
    {QP_LAW_ODD, QP_MXFP4, QP_BUT_ZERO_SIGN, QP_FP32, ROW(2), {0x3f800000, 0x80000000}, 0, false, 0,
     "every zero is -0"},
    {QP_LAW_ODD, QP_MXFP4, QP_BUT_NAN, QP_FP32, ROW(2), {0x3f800000, 0x7fc00000}, 0, false, 0,
     "a NaN of either sign is -6 times the scale"},
    {QP_LAW_SCALING, QP_INT8, QP_BUT_RANGE, QP_FP32, ROW(1), {0x337fffff}, 0, false, 0,
     "trap 1: amax below 2^-24 gives 0, twice as much does not"},
    {QP_LAW_SCALING, QP_FP8_E4M3, QP_BUT_RANGE, QP_FP32, ROW(1), {0x33800000}, 0, false, 0,
     "trap 5: amax up to 2^-24 counts as 1, so that x becomes 0; twice as much does not"},
    {QP_LAW_SCALING, QP_NVFP4, QP_BUT_RANGE, QP_FP32, ROW(1), {0x3851b717}, 0, false, 0x38d1b717,
     "trap 11: a block scale below 1e-5 counts as 1, so that x becomes 0; twice as much does not"},
    {QP_LAW_SCALING, QP_NVFP4, QP_BUT_SMALL, QP_FP32, ROW(1), {0x40b80000}, 0, false, 0x4a280000,
     "5.75 under a global amax of 2688 * 1024: the block scale is 0 and counts as 1, before and after"},
    {QP_LAW_SCALING, QP_NVFP4_STATIC, QP_BUT_RANGE, QP_FP32, ROW(1), {0x34800000}, 0, false, 0x34800000,
     "a sixth of the global amax up to 2^-24 counts as 1, so that the scale is 0; twice as much does not"},
    {QP_LAW_SCALING, QP_MXFP4, QP_BUT_RANGE, QP_FP32, ROW(1), {0x00100000}, 0, false, 0,
     "2^-129 is a quarter of the smallest scale 2^-127 and rounds to 0; twice as much does not"},
    {QP_LAW_SCALING, QP_NVFP4, QP_BUT_NAN, QP_FP32, ROW(1), {0x7fc00000}, 0, false, 0x3f800000,
     "a block of NaN alone has the scale 1, before and after"},
    {QP_LAW_SCALING, QP_MXFP4, QP_BUT_NAN, QP_FP32, ROW(1), {0x7fc00000}, 0, false, 0,
     "a block of NaN alone has the scale 1, before and after"},
};
#undef ROW
// clang-format on
const int qp_n_law_examples = QP_COUNT(qp_law_examples);
