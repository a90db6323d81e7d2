// SPDX-License-Identifier: Apache-2.0
// The ambiguity set of approximate engines: what an exact division answers is always in it, what a quotient
// within 2 ulp of a boundary may flip is in it, one scale per block, and nothing else.
#include <check.h>
#include <string.h>

#include "qp/ref.h"

static const qp_engine TRITON = QP_ENGINE_TRITON, INTERP = QP_ENGINE_TRITON_INTERP,
                       CUDA = QP_ENGINE_TORCH_CUDA, EXT = QP_ENGINE_MX_EXT;

static uint64_t mix(uint64_t i) {
    uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

// One block of fp32: 2688 as global amax makes the factor of all block scales one.
enum { B = 16, GA = 0x45280000 };

static ref_spec one_block(qp_format f, qp_engine e, uint32_t ga, const uint32_t *amax) {
    return (ref_spec){
        .format = f, .engine = e, .dtype = QP_FP32, .rows = 1, .cols = B, .amax = amax, .global_amax = ga};
}

static bool ok(qp_format f, uint32_t ga, uint32_t amax, const uint32_t *x, const uint32_t *y) {
    const ref_spec s = one_block(f, TRITON, ga, &amax);
    return ref_ambiguous_ok(&s, INTERP, amax, B, x, y);
}

// Trap 10: 4.6875 / 0.9375 is 5 exactly; div.full on a GPU gave 40a00001. Both 4 and 6 times the scale.
START_TEST(trap_10_a_tie_of_an_element_is_accepted_on_either_side) {
    static const qp_format formats[] = {QP_NVFP4, QP_NVFP4_STATIC, QP_NVFP4_46};
    for (int f = 0; f < QP_COUNT(formats); f++) {
        // block amax 5.625 makes the dynamic scale 0.9375; the static formats take it from the same place
        const uint32_t ga = formats[f] == QP_NVFP4_46 ? 0x44c00000 : GA, amax = 0x40b40000;
        uint32_t x[B] = {0x40b40000, 0x40960000, 0xc0960000, 0x40960000}, y[B], scale;
        const ref_spec s = one_block(formats[f], TRITON, ga, &amax);
        ref_fakequant(&s, 0, 1, x, y, &scale, NULL);
        ck_assert_uint_eq(scale, 0x3f700000);
        ck_assert_uint_eq(y[1], 0x40700000); // 3.75
        ck_assert(ok(formats[f], ga, amax, x, y));
        y[1] = 0x40b40000; // 5.625
        ck_assert(ok(formats[f], ga, amax, x, y));
        y[2] = 0xc0b40000; // each by itself: the third stays at 3.75
        ck_assert(ok(formats[f], ga, amax, x, y));
        y[1] = 0x40900000; // 4.5 is no level
        ck_assert(!ok(formats[f], ga, amax, x, y));
        y[1] = 0x40b40001; // one ulp off
        ck_assert(!ok(formats[f], ga, amax, x, y));
        y[1] = 0xc0b40000; // the wrong sign
        ck_assert(!ok(formats[f], ga, amax, x, y));
    }
}
END_TEST

// The other half of trap 10: of the 7 ties for each bf16 scale in [1, 2), a * fl(1/b) flips 57 of 896.
START_TEST(trap_10_a_product_with_the_reciprocal_flips_57_ties_and_all_are_accepted) {
    static const uint32_t bounds[7] = {0x3e800000, 0x3f400000, 0x3fa00000, 0x3fe00000,
                                       0x40200000, 0x40600000, 0x40a00000};
    int flipped = 0;
    for (uint32_t scale = 0x3f800000; scale < 0x40000000; scale += 0x10000) {
        const uint32_t ga = ref_mul(GA, scale), reciprocal = ref_div(0x3f800000, scale);
        uint32_t x[B] = {ref_mul(0x40c00000, scale)}, y[B] = {x[0]};
        for (int i = 0; i < 7; i++) {
            x[i + 1] = ref_mul(bounds[i], scale); // exact
            const uint8_t code = ref_e2m1_encode(ref_mul(x[i + 1], reciprocal));
            flipped += code != ref_e2m1_encode(bounds[i]);
            y[i + 1] = ref_mul(ref_e2m1_decode(code), scale);
        }
        ck_assert(ok(QP_NVFP4, ga, 0, x, y));
    }
    ck_assert_int_eq(flipped, 57);
}
END_TEST

// Every bound of E2M1 with a scale of one. A quotient 2 ulp away reaches the bound, which belongs to one
// side.
START_TEST(an_element_may_flip_within_2_ulp_of_a_bound_and_no_further) {
    static const struct {
        uint32_t bound, below, above; // answers
        bool up;                      // the tie goes up
    } rows[] = {{0x3e800000, 0, 0x3f000000, false},          {0x3f400000, 0x3f000000, 0x3f800000, true},
                {0x3fa00000, 0x3f800000, 0x3fc00000, false}, {0x3fe00000, 0x3fc00000, 0x40000000, true},
                {0x40200000, 0x40000000, 0x40400000, false}, {0x40600000, 0x40400000, 0x40800000, true},
                {0x40a00000, 0x40800000, 0x40c00000, false}};
    const uint32_t six = 0x40c00000;
    for (int i = 0; i < QP_COUNT(rows); i++) {
        for (int k = -5; k <= 5; k++) {
            uint32_t x[B] = {six, rows[i].bound + (uint32_t)k}, y[B] = {six, rows[i].below};
            const bool low = ok(QP_NVFP4, GA, six, x, y);
            y[1] = rows[i].above;
            const bool high = ok(QP_NVFP4, GA, six, x, y);
            ck_assert(low || high);
            ck_assert(low == (k <= (rows[i].up ? 1 : 2)));
            ck_assert(high == (k >= (rows[i].up ? -2 : -1)));
        }
    }
}
END_TEST

// g = 1: block amax 102 puts the quotient on 17, between the E4M3 values 16 and 18.
START_TEST(the_scale_is_decided_once_per_block) {
    uint32_t x[B], at16[B], at18[B], mixed[B], y[B];
    for (uint32_t i = 0; i < B; i++) x[i] = 0x42cc0000 - (i << 17); // 102, 101 ...
    const ref_spec s = one_block(QP_NVFP4, TRITON, GA, NULL);
    const uint32_t sixteen = 0x41800000, eighteen = 0x41900000;
    ref_fakequant_given_scale(QP_FP32, 1, B, &sixteen, x, at16);
    ref_fakequant_given_scale(QP_FP32, 1, B, &eighteen, x, at18);
    ref_fakequant(&s, 0, 1, x, y, NULL, NULL);
    ck_assert_mem_eq(y, at16, sizeof y); // the tie is even
    ck_assert(ok(QP_NVFP4, GA, 0, x, at16));
    ck_assert(ok(QP_NVFP4, GA, 0, x, at18));
    memcpy(mixed, at16, sizeof mixed);
    mixed[B - 1] = at18[B - 1];
    ck_assert_uint_ne(mixed[B - 1], at16[B - 1]);
    ck_assert(!ok(QP_NVFP4, GA, 0, x, mixed));
    memcpy(mixed, at18, sizeof mixed);
    mixed[0] = at16[0];
    ck_assert(!ok(QP_NVFP4, GA, 0, x, mixed));
    // 3 ulp of the quotient above the tie nothing is ambiguous
    for (uint32_t i = 0; i < B; i++) x[i] = i == 0 ? 0x42cc0004 : x[i];
    ck_assert(!ok(QP_NVFP4, GA, 0, x, at16));
    ck_assert(ok(QP_NVFP4, GA, 0, x, at18));
    // a static scale comes from the host and has one side only
    const uint32_t amax = 0x42cc0000;
    x[0] = 0x42cc0000;
    const bool low = ok(QP_NVFP4_STATIC, GA, amax, x, at16), high = ok(QP_NVFP4_STATIC, GA, amax, x, at18);
    ck_assert(low != high);
}
END_TEST

static void fill(uint32_t *x, qp_dtype t, int64_t n, uint64_t seed) {
    for (int64_t i = 0; i < n; i++) {
        const uint64_t r = mix(seed * 64 + (uint64_t)i);
        uint32_t v =
            (uint32_t)(r & 0x80000000u) | (118 + (uint32_t)(r >> 40) % 12) << 23 | (uint32_t)(r & 0x7fffff);
        if (r >> 60 == 0) v = (uint32_t)r & 0x80000000u;
        if (r >> 58 == 60) v = 0x7fc00000;
        if (r >> 58 == 61) v = 0xff800000;
        ref_store_f32(t, x, i, v);
    }
}

// The exact answers of the engine and one bit of each element flipped: below a sign or a last place no other
// answer is near.
START_TEST(exact_answers_are_accepted_and_a_flipped_bit_is_not) {
    static const struct {
        qp_format f;
        qp_engine e;
    } rows[] = {{QP_NVFP4, TRITON},   {QP_NVFP4_STATIC, TRITON}, {QP_NVFP4_46, TRITON}, {QP_NVFP4, EXT},
                {QP_MXFP4, EXT},      {QP_MXFP6_E3M2, EXT},      {QP_MXFP6_E2M3, EXT},  {QP_MXFP8_E4M3, EXT},
                {QP_MXFP8_E5M2, EXT}, {QP_MXINT8, EXT}};
    enum { MOST = 32 };
    for (int k = 0; k < QP_COUNT(rows); k++) {
        const int64_t n = qp_format_get(rows[k].f)->block_cols;
        int accepted = 0, caught = 0, flipped = 0;
        for (uint64_t seed = 0; seed < 300; seed++) {
            const qp_dtype t = (qp_dtype)(seed % 3);
            uint32_t x[MOST], y[MOST], amax, ga;
            fill(x, t, n, seed);
            ref_amax(QP_GRAIN_BLOCK, t, 1, n, 1, n, x, &amax);
            ga = seed % 5 ? 0x40400000 : amax;
            ref_spec s = {.format = rows[k].f,
                          .engine = rows[k].e,
                          .dtype = t,
                          .rows = 1,
                          .cols = n,
                          .amax = &amax,
                          .global_amax = ga};
            ref_fakequant(&s, 0, 1, x, y, NULL, NULL);
            ck_assert(ref_ambiguous_ok(&s, INTERP, amax, n, x, y));
            accepted++;
            for (int64_t i = 0; i < n; i += 5) {
                unsigned char *byte = (unsigned char *)y + (size_t)i * qp_dtype_bytes(t);
                if ((ref_load_f32(t, y, i) & 0x7fffffff) >= 0x7f800000) continue; // NaN is a class
                *byte ^= 1;
                caught += !ref_ambiguous_ok(&s, INTERP, amax, n, x, y);
                flipped++;
                *byte ^= 1;
            }
        }
        ck_assert_int_eq(accepted, 300);
        ck_assert_int_eq(caught, flipped);
        ck_assert_int_gt(flipped, 300);
    }
}
END_TEST

// Beside a GPU the host multiplies by reciprocals: another factor for the whole tensor, not an ambiguity.
START_TEST(the_factor_of_a_tensor_is_that_of_its_host) {
    const uint32_t ga = 0x3fc40000, b = 0x3f050000; // trap 12
    const uint32_t x[B] = {b}, codes[2] = {0x3da80001, 0x3dbaaaaa};
    uint32_t y[B];
    const ref_spec s = one_block(QP_NVFP4, TRITON, ga, NULL);
    ref_fakequant_given_scale(QP_FP32, 1, B, &codes[0], x, y); // what CUDA's spelling makes of it
    ck_assert(ref_ambiguous_ok(&s, CUDA, 0, B, x, y));
    ck_assert(!ref_ambiguous_ok(&s, INTERP, 0, B, x, y));
    ref_fakequant(&s, 0, 1, x, y, NULL, NULL);
    ck_assert(ref_ambiguous_ok(&s, INTERP, 0, B, x, y));
    ck_assert(!ref_ambiguous_ok(&s, CUDA, 0, B, x, y));
    // static: the factor and the code are CUDA's
    const uint32_t scale = 0x3dbaaaac;
    const ref_spec fixed = one_block(QP_NVFP4_STATIC, TRITON, ga, &b);
    ref_fakequant_given_scale(QP_FP32, 1, B, &scale, x, y);
    ck_assert(ref_ambiguous_ok(&fixed, CUDA, b, B, x, y));
    ck_assert(!ref_ambiguous_ok(&fixed, INTERP, b, B, x, y));
}
END_TEST

START_TEST(zeros_of_triton_are_positive_and_a_static_scale_of_zero_answers_zero) {
    uint32_t x[B] = {0x40c00000, 0x80000000, 0xbe000000}, y[B] = {0x40c00000};
    ck_assert(ok(QP_NVFP4, GA, 0, x, y));
    y[1] = 0x80000000;
    ck_assert(!ok(QP_NVFP4, GA, 0, x, y));
    y[1] = 0;
    y[2] = 0x80000000;
    ck_assert(!ok(QP_NVFP4, GA, 0, x, y));
    memset(y, 0, sizeof y);
    ck_assert(ok(QP_NVFP4_STATIC, GA, 0, x, y)); // block amax 0 whatever the values are
    y[0] = 0x40c00000;
    ck_assert(!ok(QP_NVFP4_STATIC, GA, 0, x, y));
}
END_TEST

// ---- mx-ext
// -----------------------------------------------------------------------------------------------------------------

static bool mx_ok(qp_format f, uint32_t ga, const uint32_t *x, const uint32_t *y, int64_t n) {
    const ref_spec s = {
        .format = f, .engine = EXT, .dtype = QP_FP32, .rows = 1, .cols = n, .global_amax = ga};
    return ref_ambiguous_ok(&s, INTERP, 0, n, x, y);
}

// What a block with the exponent k of another block answers: that block's largest value takes the first
// place.
static void mx_answers(qp_format f, uint32_t leader, const uint32_t *x, uint32_t *y) {
    uint32_t with_leader[32];
    memcpy(with_leader, x, sizeof with_leader);
    with_leader[0] = leader;
    const ref_spec s = {.format = f, .engine = EXT, .dtype = QP_FP32, .rows = 1, .cols = 32};
    ref_fakequant(&s, 0, 1, with_leader, y, NULL, NULL);
}

// amax = max * 2^0: the quotient 1 is a boundary of the exponent. One block, one exponent.
START_TEST(an_mx_exponent_may_go_up_where_the_quotient_is_near_a_power_of_two) {
    static const struct {
        qp_format f;
        uint32_t max, step; // the largest element and the smallest
    } rows[] = {{QP_MXFP4, 0x40c00000, 0x3f000000},      {QP_MXFP6_E3M2, 0x41e00000, 0x3d800000},
                {QP_MXFP6_E2M3, 0x40f00000, 0x3e000000}, {QP_MXFP8_E4M3, 0x43e00000, 0x3b000000},
                {QP_MXFP8_E5M2, 0x47600000, 0x37800000}, {QP_MXINT8, 0x42fe0000, 0x3f800000}};
    static const uint32_t times[4] = {0, 0x3f800000, 0x40000000, 0x40400000};
    for (int k = 0; k < QP_COUNT(rows); k++) {
        const uint32_t max = rows[k].max;
        uint32_t x[32], low[32], high[32], y[32];
        for (int i = 0; i < 32; i++) // odd multiples of the smallest element tell one exponent from the next
            x[i] = i == 0 ? max : ref_mul(rows[k].step, times[i % 4]);
        mx_answers(rows[k].f, max, x, low);
        mx_answers(rows[k].f, max + 0x1000, x, high);
        low[0] = max;
        ck_assert(memcmp(low + 1, high + 1, sizeof low - sizeof *low) != 0);
        high[0] = rows[k].f == QP_MXINT8 ? 0x43000000 : max; // 63.5 * 2 rounds to 128
        ck_assert(mx_ok(rows[k].f, 0, x, low, 32));
        ck_assert_msg(mx_ok(rows[k].f, 0, x, high, 32), "%s", qp_format_get(rows[k].f)->name);
        memcpy(y, low, sizeof y); // two exponents in one block
        int at = 1;
        while (low[at] == high[at]) at++;
        y[at] = high[at];
        for (int i = at + 1; i < 32; i++)
            if (low[i] != high[i]) {
                ck_assert(!mx_ok(rows[k].f, 0, x, y, 32));
                break;
            }
        x[0] = max - 0x40; // well below: k = 0 alone
        mx_answers(rows[k].f, x[0], x, y);
        ck_assert(mx_ok(rows[k].f, 0, x, y, 32));
        memcpy(y + 1, high + 1, sizeof y - sizeof *y);
        ck_assert(!mx_ok(rows[k].f, 0, x, y, 32));
    }
}
END_TEST

START_TEST(the_sign_of_an_mx_zero_or_nan_is_not_judged) {
    uint32_t x[32] = {0x40c00000, 0, 0x80000000, 0x7fc00000, 0x3d000000, 0x00000001}, y[32];
    const ref_spec s = {.format = QP_MXFP4, .engine = EXT, .dtype = QP_FP32, .rows = 1, .cols = 32};
    ref_fakequant(&s, 0, 1, x, y, NULL, NULL);
    ck_assert(mx_ok(QP_MXFP4, 0, x, y, 32));
    y[1] ^= 0x80000000;
    y[2] ^= 0x80000000;
    y[3] ^= 0x80000000;
    y[5] ^= 0x80000000; // a subnormal is a zero there
    ck_assert(mx_ok(QP_MXFP4, 0, x, y, 32));
    y[4] ^= 0x80000000; // a positive value that rounds to zero has its sign
    ck_assert(!mx_ok(QP_MXFP4, 0, x, y, 32));
}
END_TEST

// 6/global_amax is divided too: it stands in every answer, which moves by as many steps, the whole block
// alike.
START_TEST(nvfp4_of_the_extension_may_have_its_factor_2_ulp_off) {
    uint32_t x[B] = {0x3f800000, 0x3f000000, 0xbe800000, 0x3e000000}, y[B], z[B], low[B], high[B];
    ref_spec s = {.format = QP_NVFP4, .engine = EXT, .dtype = QP_FP32, .rows = 1, .cols = B};
    s.global_amax = 0x3fa66666;
    ref_fakequant(&s, 0, 1, x, y, NULL, NULL);
    ck_assert(mx_ok(QP_NVFP4, s.global_amax, x, y, B));
    s.global_amax -= 1;
    ref_fakequant(&s, 0, 1, x, low, NULL, NULL);
    s.global_amax += 2;
    ref_fakequant(&s, 0, 1, x, high, NULL, NULL);
    s.global_amax -= 1;
    ck_assert_uint_ne(low[0], high[0]);
    ck_assert(mx_ok(QP_NVFP4, s.global_amax, x, low, B));
    ck_assert(mx_ok(QP_NVFP4, s.global_amax, x, high, B));
    memcpy(z, low, sizeof z);
    z[1] = high[1];
    ck_assert(!mx_ok(QP_NVFP4, s.global_amax, x, z, B));
    // 6/6: under one the steps are half as long, and 2 ulp are four of them (6/40c00003 is 3f7ffffc)
    ref_spec six = s;
    six.global_amax = 0x40c00003;
    ref_fakequant(&six, 0, 1, x, z, NULL, NULL);
    ck_assert(mx_ok(QP_NVFP4, 0x40c00000, x, z, B));
    s.global_amax += 16;
    ref_fakequant(&s, 0, 1, x, z, NULL, NULL);
    s.global_amax -= 16;
    ck_assert(!mx_ok(QP_NVFP4, s.global_amax, x, z, B));
}
END_TEST

START_TEST(an_exact_engine_has_no_ambiguity_set) {
    const uint32_t amax = 0x40c00000, x[B] = {amax};
    uint32_t y[B];
    for (int e = 0; e < QP_ENGINE_COUNT; e++) {
        const ref_spec s = one_block(QP_NVFP4, (qp_engine)e, GA, &amax);
        if (e == (int)TRITON || e == (int)EXT) continue;
        ref_fakequant(&s, 0, 1, x, y, NULL, NULL);
        ck_assert(!ref_ambiguous_ok(&s, INTERP, amax, B, x, y));
    }
    const ref_spec none = one_block(QP_INT8, TRITON, GA, &amax);
    ck_assert(!ref_ambiguous_ok(&none, INTERP, amax, B, x, x));
}
END_TEST

int main(void) {
    Suite *s = suite_create("reference ambiguity");
    TCase *t = tcase_create("ambiguity");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, trap_10_a_tie_of_an_element_is_accepted_on_either_side);
    tcase_add_test(t, trap_10_a_product_with_the_reciprocal_flips_57_ties_and_all_are_accepted);
    tcase_add_test(t, an_element_may_flip_within_2_ulp_of_a_bound_and_no_further);
    tcase_add_test(t, the_scale_is_decided_once_per_block);
    tcase_add_test(t, exact_answers_are_accepted_and_a_flipped_bit_is_not);
    tcase_add_test(t, the_factor_of_a_tensor_is_that_of_its_host);
    tcase_add_test(t, zeros_of_triton_are_positive_and_a_static_scale_of_zero_answers_zero);
    tcase_add_test(t, an_mx_exponent_may_go_up_where_the_quotient_is_near_a_power_of_two);
    tcase_add_test(t, the_sign_of_an_mx_zero_or_nan_is_not_judged);
    tcase_add_test(t, nvfp4_of_the_extension_may_have_its_factor_2_ulp_off);
    tcase_add_test(t, an_exact_engine_has_no_ambiguity_set);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
