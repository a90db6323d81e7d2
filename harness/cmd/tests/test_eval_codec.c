// SPDX-License-Identifier: Apache-2.0
// eval encode and decode: the sources and what each does with overflow, NaN and zero; runs of images, where
// no image may hide behind the others.
#include "cmd/tests/eval_run.h"
#include "core/file.h"

static qp_arena *arena;

static void setup(void) {
    arena = qp_arena_new();
    ck_assert_ptr_nonnull(arena);
}

static void teardown(void) {
    qp_arena_free(arena);
}

typedef struct line {
    const char *words, *answer;
} line;

static const line lines[] = {
    // overflow: 465 and Inf
    {"encode source=ml_dtypes fmt=e4m3fn in=fp32 first=43e88000 last=43e88000", "code=7f"},
    {"encode source=torch fmt=e4m3fn in=fp32 first=43e88000 last=43e88000", "code=7e"},
    {"encode source=torch fmt=e4m3fn in=bf16 first=ff80 last=ff80", "code=fe"},
    {"encode source=torch fmt=e5m2 in=fp32 first=47700000 last=47700000", "code=7c"},
    {"encode source=torch fmt=e5m2 in=fp32 first=476fffff last=476fffff", "code=7b"},
    {"encode fmt=e3m2 in=bf16 first=7f80 last=7f80", "code=1f"},
    {"encode fmt=e2m3 in=bf16 first=ff80 last=ff80", "code=3f"},
    {"encode fmt=e2m1 in=fp16 first=7c00 last=7c00", "code=07"},
    // NaN of either sign
    {"encode source=ml_dtypes fmt=e5m2 in=bf16 first=ff81 last=ffff", "code=fe"},
    {"encode source=torch fmt=e5m2 in=bf16 first=ff81 last=ffff", "code=ff"},
    {"encode fmt=e3m2 in=fp32 first=7fc00000 last=7fc00000", "code=20"},
    {"encode fmt=e2m3 in=fp32 first=ffc00001 last=ffc00001", "code=00"},
    {"encode fmt=e2m1 in=fp16 first=7c01 last=7fff", "code=08"},
    // E8M0: to nearest; zeros and signs
    {"encode source=ml_dtypes fmt=e8m0 in=fp32 first=3fc00000 last=3fc00000", "code=80"},
    {"encode source=ml_dtypes fmt=e8m0 in=fp32 first=3fbfffff last=3fbfffff", "code=7f"},
    {"encode source=ml_dtypes fmt=e8m0 in=bf16 first=0000 last=0000", "code=ff"},
    {"encode source=ml_dtypes fmt=e8m0 in=bf16 first=8000 last=ffff", "code=ff"},
    {"encode source=torch fmt=e8m0 in=bf16 first=8000 last=8000", "code=00"},
    {"encode source=torch fmt=e8m0 in=bf16 first=bfc0 last=c03f", "code=80"},
    {"decode fmt=e8m0 code=00", "y=00400000"},
    {"decode source=torch fmt=e5m2 code=fc", "y=ff800000"},
    {"decode fmt=e2m1 code=08", "y=80000000"},
    {"decode fmt=e3m2 code=21", "y=bd800000"},
};

START_TEST(every_source_casts_as_it_does) {
    const char *input = NULL, *want = NULL;
    ck_assert(qp_arena_printf(arena, &input, NULL, "op=%s\n", lines[_i].words) == QP_OK);
    ck_assert(qp_arena_printf(arena, &want, NULL, "%s\n", lines[_i].answer) == QP_OK);
    outcome o = eval_lines(input, false, NULL, arena);
    ck_assert_msg(strcmp(o.out, want) == 0, "%s wanted %s got %s%s", input, want, o.out, o.errors);
    done(&o);
}
END_TEST

// A run of the recordings, one image longer at either end, is no longer one of that code.
START_TEST(a_run_that_is_one_image_too_long_is_found) {
    char *text = NULL;
    size_t n = 0;
    int longer = 0;
    ck_assert(qp_file_read("cases/golden/codec.txt", arena, &text, &n, NULL) == QP_OK);
    for (char *at = text, *stop; (stop = strchr(at, '\n')) != NULL; at = stop + 1) {
        char fmt[16], in[8], source[16];
        unsigned first, last, code;
        *stop = '\0';
        if (sscanf(at, "op=encode source=%15s fmt=%15s in=%7s first=%x last=%x code=%x", source, fmt, in,
                   &first, &last, &code) != 6)
            continue;
        for (int end = 0; end < 2; end++) {
            const char *input = NULL;
            if (end == 0 ? first == 0 : last == 0xffff) continue;
            ck_assert(qp_arena_printf(arena, &input, NULL,
                                      "op=encode source=%s fmt=%s in=%s first=%04x last=%04x code=%02x\n",
                                      source, fmt, in, first - (end == 0), last + (end == 1), code) == QP_OK);
            outcome o = eval_lines(input, true, NULL, arena);
            ck_assert_msg(o.totals.different == 1 && o.totals.refused == 0, "%s", input);
            longer++;
            done(&o);
        }
    }
    ck_assert_int_ge(longer, 6000);
}
END_TEST

static const line refusals[] = {
    {"encode fmt=e2m1 in=bf16 first=3e80 last=3e81",
     "t:1:44: the run has more than one code: 00 at first, 01 from 3e81 on"},
    {"encode fmt=e2m1 in=bf16 first=3e81 last=3e80",
     "t:1:44: last: wanted an image that is not before first"},
    {"encode fmt=e2m1 source=torch in=bf16 first=0000 last=0000",
     "t:1:27: source: torch has no cast to e2m1"},
    {"decode fmt=e3m2 source=torch code=00", "t:1:27: source: torch has no cast to e3m2"},
    {"decode fmt=e2m3 code=40", "t:1:25: code: e2m3 has the codes 00..3f, got 40"},
    {"decode fmt=e2m1 code=10", "t:1:25: code: e2m1 has the codes 00..0f, got 10"},
};

START_TEST(what_has_no_answer_is_refused_with_its_place) {
    const char *input = NULL, *want = NULL;
    ck_assert(qp_arena_printf(arena, &input, NULL, "op=%s\n", refusals[_i].words) == QP_OK);
    ck_assert(qp_arena_printf(arena, &want, NULL, "%s\n", refusals[_i].answer) == QP_OK);
    outcome o = eval_lines(input, false, NULL, arena);
    ck_assert_str_eq(o.errors, want);
    ck_assert_int_eq(o.totals.refused, 1);
    done(&o);
}
END_TEST

int main(void) {
    Suite *s = suite_create("eval codecs");
    TCase *t = tcase_create("codecs");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, every_source_casts_as_it_does, 0, QP_COUNT(lines));
    tcase_add_test(t, a_run_that_is_one_image_too_long_is_found);
    tcase_add_loop_test(t, what_has_no_answer_is_refused_with_its_place, 0, QP_COUNT(refusals));
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
