// SPDX-License-Identifier: Apache-2.0
// The pass over values: the same answer with any number of threads, a mapped file that shrinks, and every
// rule with the damage that it is there for. The module each starts from is sound and finds nothing.
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "by_hand.h"

// ---- windows and threads ------------------------------------------------------------------------

enum { BIG_ROWS = 1100, BIG_IN = 16384 }; // 9 MB of codes: three windows

static void plant(uint8_t *codes, uint8_t *scales) {
    hand_fill(codes, BIG_ROWS * BIG_IN / 2, 1);
    for (size_t i = 0; i < BIG_ROWS * BIG_IN / 16; i++) scales[i] = (uint8_t)(i % 100 + 1);
    memset(codes + 777 * 8, 0, 8);
    scales[777] = 0;    // dead
    scales[900000] = 0; // live
    scales[500] = 0xff;
    scales[1000000] = 0x7f;
    scales[1000001] = 0x81;
}

START_TEST(any_number_of_threads_finds_the_same) {
    uint8_t *codes = malloc(BIG_ROWS * BIG_IN / 2), *scales = malloc(BIG_ROWS * BIG_IN / 16);
    const float global = 0.0001f;
    qp_ck_stats first;
    plant(codes, scales);
    for (int threads = 1; threads <= 8; threads++) {
        const qp_ck_scheme s = hand_nvfp4();
        qp_ck_module m = hand_module("m", &s, 1, BIG_ROWS, BIG_IN);
        hand_audit h = hand_new(&m, 1);
        m.part[QP_CK_WEIGHT] = hand_tensor(h.a, "m.weight", QP_ST_U8, "[1100, 8192]", codes);
        m.part[QP_CK_SCALE] = hand_tensor(h.a, "m.weight_scale", QP_ST_F8_E4M3, "[1100, 1024]", scales);
        m.part[QP_CK_GLOBAL] = hand_tensor(h.a, "m.weight_scale_2", QP_ST_F32, "[]", &global);
        hand_values(&h, threads);
        if (threads == 1) first = h.u.stats[0];
        ck_assert_mem_eq(&h.u.stats[0], &first, sizeof first);
        ck_assert_uint_eq(h.u.findings.n, 4); // NaN, negative, zero live, zero block
        qp_arena_free(h.a);
    }
    ck_assert(first.scanned);
    ck_assert_uint_eq(first.n_scales, BIG_ROWS * BIG_IN / 16);
    ck_assert_uint_eq(first.n_blocks, BIG_ROWS * BIG_IN / 16);
    ck_assert_uint_eq(first.n_zero_blocks, 1);
    ck_assert_uint_eq(first.n_nan, 2);
    ck_assert_uint_eq(first.first_nan, 500);
    ck_assert_uint_eq(first.first_negative, 1000001);
    ck_assert_uint_eq(first.first_zero_dead, 777);
    ck_assert_uint_eq(first.first_zero_live, 900000);
    free(codes);
    free(scales);
}
END_TEST

typedef struct told {
    uint64_t calls, done, all;
    bool backwards;
} told;

static void hear(void *ctx, const char *pass, uint64_t done, uint64_t all) {
    told *t = ctx;
    t->calls++;
    t->backwards |= done < t->done || done > all || pass[0] == '\0';
    t->done = done;
    t->all = all;
}

// A file of one FP8 tensor, mapped; cut to `left` bytes before the pass when left >= 0.
static qp_status scan_file(int64_t left, told *progress, qp_err *err) {
    enum { N = 9 << 20 };
    char path[] = "/tmp/values-XXXXXX";
    const int fd = mkstemp(path);
    ck_assert_int_eq(ftruncate(fd, N), 0);
    ck_assert_int_eq(pwrite(fd, "\x7f", 1, N - 5), 1);
    void *map = mmap(NULL, N, PROT_READ, MAP_SHARED, fd, 0);
    if (left >= 0) ck_assert_int_eq(ftruncate(fd, left), 0);
    const float scale = 0.001f;
    const qp_ck_scheme s = {.name = "fp8", .element = QP_ELEM_E4M3, .bits = 8, .symmetric = true};
    qp_ck_module m = hand_module("m", &s, 1, 9, 1 << 20);
    qp_ck_file file = {.path = path, .name = path, .map = map, .n_bytes = N};
    hand_audit h = hand_new(&m, 1);
    h.u.ckpt.files = &file;
    h.u.ckpt.n_files = 1;
    m.part[QP_CK_WEIGHT] = hand_tensor(h.a, "m.weight", QP_ST_F8_E4M3, "[9, 1048576]", map);
    m.part[QP_CK_SCALE] = hand_tensor(h.a, "m.weight_scale", QP_ST_F32, "[]", &scale);
    const qp_audit_options o = {.threads = 2, .progress = hear, .progress_ctx = progress};
    const qp_status status = qp_pass_values(&o, &h.u, h.a, &h.u.findings, err);
    if (status == QP_OK) hand_found(&h, 1, QP_CK_SCALE_NAN, "m.weight", "[8, 1048571]");
    munmap(map, N);
    close(fd);
    unlink(path);
    qp_arena_free(h.a);
    return status;
}

START_TEST(a_mapped_file_is_scanned_to_its_end_and_the_last_progress_is_all_of_it) {
    told progress = {0};
    qp_err err = {0};
    ck_assert_int_eq(scan_file(-1, &progress, &err), QP_OK);
    ck_assert_uint_ge(progress.calls, 1);
    ck_assert_uint_eq(progress.done, (9 << 20) + 4);
    ck_assert_uint_eq(progress.done, progress.all);
    ck_assert(!progress.backwards);
}
END_TEST

#ifdef MADV_POPULATE_READ
START_TEST(a_file_cut_short_while_mapped_is_an_error_that_names_it_and_no_crash) {
    told progress = {0};
    qp_err err = {0};
    ck_assert_int_eq(scan_file(5 << 20, &progress, &err), QP_IO);
    ck_assert_ptr_nonnull(strstr(err.msg, "/tmp/values-"));
}
END_TEST
#endif

// ---- rules --------------------------------------------------------------------------------------

// A sound NVFP4 linear of [4, 32]: eight blocks, amax 0.5.
typedef struct linear {
    uint8_t codes[64], scales[8];
    uint32_t global, input, k_scale;
    qp_ck_scheme scheme;
} linear;

static linear sound(void) {
    linear x = {.scheme = hand_nvfp4()};
    hand_fill(x.codes, sizeof x.codes, 3);
    x.codes[0] = 0x07;
    memset(x.scales, 0x70, sizeof x.scales); // 128
    x.scales[0] = 0x7e;                      // 448
    x.global = qp_image_of(0.5f / 2688.0f);
    x.input = qp_image_of(3.0f / 2688.0f);
    x.k_scale = qp_image_of(0.25f);
    return x;
}

static hand_audit audit_of(linear *x, qp_ck_module *m) {
    *m = hand_module("m", &x->scheme, 1, 4, 32);
    hand_audit h = hand_new(m, 1);
    m->part[QP_CK_WEIGHT] = hand_tensor(h.a, "m.weight", QP_ST_U8, "[4, 16]", x->codes);
    m->part[QP_CK_SCALE] = hand_tensor(h.a, "m.weight_scale", QP_ST_F8_E4M3, "[4, 2]", x->scales);
    m->part[QP_CK_GLOBAL] = hand_tensor(h.a, "m.weight_scale_2", QP_ST_F32, "[]", &x->global);
    m->part[QP_CK_INPUT] = hand_tensor(h.a, "m.input_scale", QP_ST_F32, "[]", &x->input);
    m->part[QP_CK_K_SCALE] = hand_tensor(h.a, "m.k_scale", QP_ST_F32, "[]", &x->k_scale);
    hand_values(&h, 2);
    return h;
}

typedef struct damage {
    const char *what;
    void (*apply)(linear *x);
    size_t findings;
    qp_ck_rule rule;
    const char *tensor, *words;
} damage;

static void nothing(linear *x) {
    (void)x;
}
static void scale_7f(linear *x) {
    x->scales[5] = 0x7f;
}
static void scale_ff(linear *x) {
    x->scales[3] = 0xff;
}
static void scale_negative(linear *x) {
    x->scales[3] = 0xb0;
}
static void scale_zero(linear *x) {
    x->scales[7] = 0;
}
static void scale_minus_zero(linear *x) {
    x->scales[7] = 0x80;
}
static void zero_block(linear *x) {
    x->scales[7] = 0, memset(x->codes + 56, 0x80, 8);
}
static void zero_block_ct(linear *x) {
    x->scales[7] = 0x20, memset(x->codes + 56, 0, 8);
}
static void global_nan(linear *x) {
    x->global = 0x7fc00000;
}
static void global_inf(linear *x) {
    x->global = 0x7f800000;
}
static void global_zero(linear *x) {
    x->global = 0;
}
static void global_negative(linear *x) {
    x->global |= 0x80000000;
}
static void input_zero(linear *x) {
    x->input = 0;
}
static void input_nan(linear *x) {
    x->input = 0xffc00000;
}
static void k_zero(linear *x) {
    x->k_scale = 0;
}
static void k_one(linear *x) {
    x->k_scale = qp_image_of(1.0f);
}
static void dead(linear *x) {
    memset(x->scales, 0xff, sizeof x->scales);
    memset(x->codes, 0x77, sizeof x->codes);
    x->global = 0;
}
static void nans_under_a_global(linear *x) {
    memset(x->scales, 0xff, sizeof x->scales);
}
static void no_top(linear *x) {
    for (size_t i = 0; i < sizeof x->codes; i++) x->codes[i] = 0x56;
}
static void low_scales(linear *x) {
    memset(x->scales, 0x77, sizeof x->scales);
} // 240
static void scales_of_46(linear *x) {
    x->scales[0] = 0x78;
} // 256
static void w4a8(linear *x) {
    memset(x->scales, 0x69, sizeof x->scales), x->scheme.divisor = 448.0f;
} // 72
static void w4a8_low(linear *x) {
    memset(x->scales, 0x67, sizeof x->scales), x->scheme.divisor = 448.0f;
} // 60
static void inverted(linear *x) {
    x->global = qp_image_of(2688.0f / 0.5f);
}
static void divides_as_it_should(linear *x) {
    inverted(x), x->scheme.global = QP_CK_DIVIDES, x->input = qp_image_of(2688.0f / 3.0f);
}
static void divides_inverted(linear *x) {
    x->scheme.global = QP_CK_DIVIDES, x->input = qp_image_of(2688.0f / 3.0f);
}
static void input_inverted(linear *x) {
    x->input = qp_image_of(2688.0f / 3.0f);
}
static void massive_activations(linear *x) {
    x->input = qp_image_of(60000.0f / 2688.0f);
}
static void large_both_ways(linear *x) {
    x->global = qp_image_of(0.8f);
} // 2150 and 3360

static const damage damages[] = {
    {"nothing", nothing, 0, 0, "", ""},
    {"byte 7f", scale_7f, 1, QP_CK_SCALE_NAN, "m.weight_scale", "[2, 1] is NaN (byte 7f"},
    {"byte ff", scale_ff, 1, QP_CK_SCALE_NAN, "m.weight_scale", "[1, 1] is NaN (byte ff) (1 of 8)"},
    {"negative", scale_negative, 1, QP_CK_SCALE_NEGATIVE, "m.weight_scale", "[1, 1] is negative"},
    {"zero", scale_zero, 1, QP_CK_SCALE_ZERO, "m.weight_scale", "[3, 1] is zero and its codes are not"},
    {"minus zero", scale_minus_zero, 1, QP_CK_SCALE_ZERO, "m.weight_scale", "[3, 1]"},
    {"zero block", zero_block, 1, QP_CK_SCALE_ZERO_BLOCK, "m.weight_scale", "[3, 1]"},
    {"zero block as compressed-tensors writes it", zero_block_ct, 0, 0, "", ""},
    {"global NaN", global_nan, 1, QP_CK_SCALE_NAN, "m.weight_scale_2", "is NaN"},
    {"global Inf", global_inf, 1, QP_CK_SCALE_INF, "m.weight_scale_2", "is infinite"},
    {"global zero", global_zero, 1, QP_CK_SCALE_ZERO, "m.weight_scale_2", "is zero"},
    {"global negative", global_negative, 1, QP_CK_SCALE_NEGATIVE, "m.weight_scale_2", "is negative"},
    {"input zero", input_zero, 1, QP_CK_SCALE_ZERO, "m.input_scale", "is zero"},
    {"input NaN", input_nan, 1, QP_CK_SCALE_NAN, "m.input_scale", "is NaN"},
    {"k zero", k_zero, 1, QP_CK_SCALE_ZERO, "m.k_scale", "is zero"},
    {"k clamped", k_one, 1, QP_CK_STATISTICS, "m.k_scale", "exactly 1.0, as are 1 of 1"},
    {"all-zero expert", dead, 1, QP_CK_SCALE_NAN, "m.weight_scale", "all 8 block scales are NaN"},
    {"all NaN, global sound", nans_under_a_global, 1, QP_CK_SCALE_NAN, "m.weight_scale", "(8 of 8)"},
    {"no code of 6", no_top, 1, QP_CK_BLOCK_STATS, "m.weight", "no code of magnitude 6 in the 8 blocks"},
    {"scales stop at 240", low_scales, 1, QP_CK_BLOCK_STATS, "m.weight_scale", "is 240: at least 256"},
    {"4/6", scales_of_46, 1, QP_CK_STATISTICS, "m.weight_scale", "each of the 1 groups lies in 256..384"},
    {"W4A8", w4a8, 0, 0, "", ""},
    {"W4A8 stops at 60", w4a8_low, 1, QP_CK_BLOCK_STATS, "m.weight_scale", "is 60: at least 64"},
    {"inverted", inverted, 1, QP_CK_RECIPROCAL, "m.weight_scale_2", "multiply"},
    {"divides", divides_as_it_should, 0, 0, "", ""},
    {"divides, inverted", divides_inverted, 1, QP_CK_RECIPROCAL, "m.weight_scale_2", "divide"},
    {"input inverted", input_inverted, 1, QP_CK_RECIPROCAL, "m.input_scale", "activations up to"},
    {"massive activations", massive_activations, 0, 0, "", ""},
    {"outside both ways", large_both_ways, 0, 0, "", ""},
};

START_TEST(each_damage_is_found_once_by_its_rule_at_its_tensor) {
    const damage *d = &damages[_i];
    linear x = sound();
    qp_ck_module m;
    d->apply(&x);
    hand_audit h = audit_of(&x, &m);
    fprintf(stderr, d->findings != h.u.findings.n ? "%s:\n" : "", d->what);
    hand_found(&h, d->findings, d->rule, d->tensor, d->words);
    qp_arena_free(h.a);
}
END_TEST

START_TEST(a_smaller_member_of_a_group_is_no_finding_but_the_whole_group_or_a_single_one_is) {
    linear x[2] = {sound(), sound()};
    for (int low = 1; low <= 3; low++) { // 3: the second is low and stands alone
        qp_ck_module m[2];
        memset(x[1].scales, 0x60, sizeof x[1].scales); // 32
        if (low == 3) x[0] = sound();
        if (low == 2) memset(x[0].scales, 0x68, sizeof x[0].scales); // 64
        static const char *const names[2][3] = {{"a", "a.weight", "a.weight_scale"},
                                                {"b", "b.weight", "b.weight_scale"}};
        hand_audit h = hand_new(m, 2);
        for (int i = 0; i < 2; i++) {
            m[i] = hand_module(names[i][0], &x[i].scheme, 1, 4, 32);
            m[i].share = low == 3 ? -1 : 7;
            m[i].part[QP_CK_WEIGHT] = hand_tensor(h.a, names[i][1], QP_ST_U8, "[4, 16]", x[i].codes);
            m[i].part[QP_CK_SCALE] = hand_tensor(h.a, names[i][2], QP_ST_F8_E4M3, "[4, 2]", x[i].scales);
            m[i].part[QP_CK_GLOBAL] = hand_tensor(h.a, "g", QP_ST_F32, "[]", &x[i].global);
        }
        hand_values(&h, 1);
        hand_found(&h, low == 1 ? 0 : 1, QP_CK_BLOCK_STATS, low == 3 ? "b.weight_scale" : "a.weight_scale",
                   low == 3 ? "its group of 1 is 32" : "its group of 2 is 64");
        qp_arena_free(h.a);
    }
}
END_TEST

// FP8 per tensor: the all-zero expert is scale 0 and every byte ff.
START_TEST(an_all_zero_fp8_expert_is_one_finding_and_a_single_nan_code_another) {
    uint8_t codes[16];
    uint32_t scale = 0;
    memset(codes, 0xff, sizeof codes);
    for (int one = 0; one < 2; one++) {
        const qp_ck_scheme s = {.name = "fp8", .element = QP_ELEM_E4M3, .bits = 8, .symmetric = true};
        qp_ck_module m = hand_module("m", &s, 1, 4, 4);
        hand_audit h = hand_new(&m, 1);
        m.part[QP_CK_WEIGHT] = hand_tensor(h.a, "m.weight", QP_ST_F8_E4M3, "[4, 4]", codes);
        m.part[QP_CK_SCALE] = hand_tensor(h.a, "m.weight_scale", QP_ST_F32, "[]", &scale);
        hand_values(&h, 1);
        hand_found(&h, 1, QP_CK_SCALE_NAN, "m.weight",
                   one ? "[1, 2] of the codes is NaN (1 of 16)" : "all 16 codes are NaN");
        qp_arena_free(h.a);
        memset(codes, 0x11, sizeof codes);
        codes[6] = 0x7f;
        scale = qp_image_of(0.001f);
    }
}
END_TEST

// Model Optimizer W4A8 AWQ: the group scales are whole, the global beside them is the amax over 448.
START_TEST(the_global_of_w4a8_awq_is_judged_by_itself) {
    uint8_t codes[8];
    hand_fill(codes, sizeof codes, 2);
    for (int inverted = 0; inverted < 2; inverted++) {
        const float scales[2] = {0.5f / 7, 0.3f / 7}, global = inverted ? 448.0f / 0.5f : 0.5f / 448.0f;
        const qp_ck_scheme s = {.name = "w4a8-awq",
                                .element = QP_ELEM_INT4,
                                .bits = 4,
                                .group_size = 8,
                                .pack = QP_CK_ROW_PAIRS,
                                .spread = QP_CK_GROUP,
                                .symmetric = true,
                                .global = QP_CK_MULTIPLIES,
                                .divisor = 448.0f};
        qp_ck_module m = hand_module("m", &s, 1, 2, 8);
        hand_audit h = hand_new(&m, 1);
        m.part[QP_CK_WEIGHT] = hand_tensor(h.a, "m.weight", QP_ST_U8, "[1, 8]", codes);
        m.part[QP_CK_SCALE] = hand_tensor(h.a, "m.weight_scale", QP_ST_F32, "[2, 1]", scales);
        m.part[QP_CK_GLOBAL] = hand_tensor(h.a, "m.weight_scale_2", QP_ST_F32, "[]", &global);
        hand_values(&h, 1);
        hand_found(&h, inverted ? 1 : 0, QP_CK_RECIPROCAL, "m.weight_scale_2", "0.5 as its reciprocal");
        qp_arena_free(h.a);
    }
}
END_TEST

START_TEST(what_is_not_sound_in_shape_is_not_scanned) {
    linear x = sound();
    x.scales[0] = 0xff;
    const qp_ck_scheme s = hand_nvfp4();
    qp_ck_module m = hand_module("m", &s, 1, 4, 32);
    hand_audit h = hand_new(&m, 1);
    m.sound = false;
    m.part[QP_CK_WEIGHT] = hand_tensor(h.a, "m.weight", QP_ST_U8, "[3, 16]", x.codes);
    m.part[QP_CK_SCALE] = hand_tensor(h.a, "m.weight_scale", QP_ST_F8_E4M3, "[4, 2]", x.scales);
    hand_values(&h, 1);
    hand_found(&h, 0, 0, "", "");
    ck_assert(!h.u.stats[0].scanned);
    qp_arena_free(h.a);
}
END_TEST

int main(void) {
    Suite *s = suite_create("values");
    TCase *t = tcase_create("values");
    tcase_add_test(t, any_number_of_threads_finds_the_same);
    tcase_add_test(t, a_mapped_file_is_scanned_to_its_end_and_the_last_progress_is_all_of_it);
#ifdef MADV_POPULATE_READ
    tcase_add_test(t, a_file_cut_short_while_mapped_is_an_error_that_names_it_and_no_crash);
#endif
    tcase_add_loop_test(t, each_damage_is_found_once_by_its_rule_at_its_tensor, 0, QP_COUNT(damages));
    tcase_add_test(t, a_smaller_member_of_a_group_is_no_finding_but_the_whole_group_or_a_single_one_is);
    tcase_add_test(t, an_all_zero_fp8_expert_is_one_finding_and_a_single_nan_code_another);
    tcase_add_test(t, the_global_of_w4a8_awq_is_judged_by_itself);
    tcase_add_test(t, what_is_not_sound_in_shape_is_not_scanned);
    suite_add_tcase(s, t);
    return hand_main(s);
}
