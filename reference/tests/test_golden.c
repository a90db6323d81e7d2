// SPDX-License-Identifier: Apache-2.0
// The first judges: every golden line of a built op and format, bit for bit, with the number of lines pinned
// per file. Codec runs and promotion groups, which are no op of a single tensor, are read here too.
#include <check.h>

#include "tests/golden_line.h"

static golden_line line;
static golden_case work;
static char text[GOLDEN_TEXT];

typedef struct file_row {
    const char *name;
    int judged, skipped; // lines, as the table of the golden files' description counts them
} file_row;

static const file_row files[] = {
    {"int8", 180, 0},          {"int8-axis0", 90, 0},         {"fp8-e4m3", 255, 0}, {"special-amax", 18, 0},
    {"nvfp4-quant", 360, 0},   {"nvfp4-fake-interp", 270, 0}, {"backward", 180, 0}, {"amax", 180, 0},
    {"traps", 22, 5},          // skipped: mxfp4 3, int4-block 1, fp8-e4m3 quant 1
    {"fp8-int8-real", 0, 162}, // the real tensors
};

static FILE *open_golden(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "cases/golden/%s.txt", name);
    FILE *f = fopen(path, "r");
    if (f == NULL) ck_abort_msg("%s does not open", path);
    return f;
}

START_TEST(every_line_of_the_built_formats_is_equal) {
    const file_row *row = &files[_i];
    FILE *f = open_golden(row->name);
    int count[4] = {0};
    for (int number = 1; fgets(text, sizeof text, f) != NULL; number++) {
        if (text[0] == '#' || text[0] == '\n') continue;
        ck_assert_msg(golden_parse(text, &line), "%s.txt:%d does not parse", row->name, number);
        const golden_verdict v = golden_judge(&line, &work);
        if (v == GOLDEN_DIFFERENT) printf("%s.txt:%d: %.200s\n", row->name, number, text);
        count[v]++;
    }
    fclose(f);
    printf("%s.txt: %d judged, %d equal, %d different, %d skipped\n", row->name, count[0] + count[1],
           count[0], count[1], count[2]);
    ck_assert_int_eq(count[GOLDEN_MALFORMED], 0);
    ck_assert_int_eq(count[GOLDEN_DIFFERENT], 0);
    ck_assert_int_eq(count[GOLDEN_EQUAL], row->judged);
    ck_assert_int_eq(count[GOLDEN_SKIPPED], row->skipped);
}
END_TEST

START_TEST(one_changed_bit_of_any_answer_is_seen) {
    static const char *const answers[] = {
        " y=", " g=", " codes=", " scales=", " weight_scale_2=", " values=", " block_scale=", " amax="};
    int planted = 0;
    work.quiet = true;
    for (int i = 0; i < QP_COUNT(files); i++) {
        FILE *f = open_golden(files[i].name);
        while (fgets(text, sizeof text, f) != NULL) {
            if (text[0] == '#') continue;
            const bool amax_is_answer = strncmp(text, "op=amax", 7) == 0;
            for (int a = 0; a < QP_COUNT(answers); a++) {
                char *at = strstr(text, answers[a]);
                if (at == NULL || (a == 7 && !amax_is_answer)) continue;
                at += strlen(answers[a]);
                if (strspn(at, "7fF") >= 2) continue; // NaN of another payload is the same answer
                const char was = *at;
                *at = was == '3' ? '4' : '3'; // the first digit: sign and exponent
                ck_assert(golden_parse(text, &line));
                const golden_verdict v = golden_judge(&line, &work);
                ck_assert_msg(v == GOLDEN_DIFFERENT || v == GOLDEN_SKIPPED, "%s: %.60s: a changed%snot seen",
                              files[i].name, text, answers[a]);
                planted += v == GOLDEN_DIFFERENT;
                *at = was;
            }
        }
        fclose(f);
    }
    printf("planted changes seen: %d\n", planted);
    ck_assert_int_ge(planted, 2000);
}
END_TEST

// encode: every image first..last gives code. ml_dtypes does not saturate E4M3 and has zeros for an E2M1 NaN,
// which is left out.
static int judge_encode(const golden_line *l) {
    golden_list v;
    const bool e4m3 = strcmp(golden_get(l, "fmt", ""), "e4m3fn") == 0,
               e2m1 = strcmp(golden_get(l, "fmt", ""), "e2m1") == 0;
    const bool torch = strcmp(golden_get(l, "source", ""), "torch") == 0;
    const qp_dtype in = golden_dtype(l, "in");
    if (!e4m3 && !e2m1) return 0;
    ck_assert(golden_hex(l, "first", &v));
    const uint32_t first = v.v[0];
    ck_assert(golden_hex(l, "last", &v));
    const uint32_t last = v.v[0];
    ck_assert(golden_hex(l, "code", &v));
    for (uint32_t x = first; x <= last; x++) {
        const uint32_t f = ref_to_f32(in, x);
        const bool nan = (f & 0x7fffffff) > 0x7f800000;
        if (nan && (e2m1 || torch))
            continue; // torch keeps the sign of a NaN, which an fp32 image of ours does not carry
        const uint8_t got = e4m3 ? ref_e4m3_encode(f, torch) : ref_e2m1_encode(f);
        if (nan && (got & 0x7f) == 0x7f && (v.v[0] & 0x7f) == 0x7f) continue;
        ck_assert_msg(got == v.v[0], "%s %x: want %02x, got %02x", qp_dtype_name(in), x, v.v[0], got);
    }
    return 1;
}

static int judge_decode(const golden_line *l) {
    golden_list v;
    const bool e4m3 = strcmp(golden_get(l, "fmt", ""), "e4m3fn") == 0,
               e2m1 = strcmp(golden_get(l, "fmt", ""), "e2m1") == 0;
    if (!e4m3 && !e2m1) return 0;
    ck_assert(golden_hex(l, "code", &v));
    const uint32_t got = e4m3 ? ref_e4m3_decode((uint8_t)v.v[0]) : ref_e2m1_decode((uint8_t)v.v[0]);
    ck_assert(golden_answer(l, "y", QP_FP32, &got, 1, false));
    return 1;
}

START_TEST(codec_runs_of_every_16_bit_input_are_equal) {
    FILE *f = open_golden("codec");
    int encode = 0, decode = 0;
    while (fgets(text, sizeof text, f) != NULL) {
        if (text[0] == '#') continue;
        ck_assert(golden_parse(text, &line));
        if (strcmp(golden_get(&line, "op", ""), "encode") == 0) encode += judge_encode(&line);
        if (strcmp(golden_get(&line, "op", ""), "decode") == 0) decode += judge_decode(&line);
    }
    fclose(f);
    printf("codec.txt: %d runs and %d codes equal\n", encode, decode);
    ck_assert_int_eq(encode, 512 + 34 + 512); // e4m3fn, e2m1 of ml_dtypes; e4m3fn of torch
    ck_assert_int_eq(decode, 256 + 16);
}
END_TEST

// A member's global amax is the maximum over the lines of its group, which stand together.
START_TEST(promotion_groups_share_the_maximum_of_their_members) {
    FILE *f = open_golden("promotion");
    uint32_t ga[64] = {0}, want[64] = {0};
    int judged = 0;
    while (fgets(text, sizeof text, f) != NULL) {
        if (text[0] == '#') continue;
        ck_assert(golden_parse(text, &line));
        golden_list *l = &work.list;
        const int64_t group = golden_decimal(&line, "group", -1);
        ck_assert(group >= 0 && group < 64);
        ck_assert(golden_hex(&line, "x", l));
        memset(&work.spec, 0, sizeof work.spec);
        ck_assert(golden_shape(&line, l->n, &work.spec));
        const qp_dtype in = golden_dtype(&line, "in");
        golden_pack(in, l, work.x);
        const int64_t nb = work.spec.rows * ((work.spec.cols + 15) / 16);
        ref_amax(QP_GRAIN_BLOCK, in, work.spec.rows, work.spec.cols, 1, golden_decimal(&line, "block", 16),
                 work.x, work.scale);
        ck_assert(golden_answer(&line, "block_amax", QP_FP32, work.scale, nb, false));
        for (int64_t i = 0; i < nb; i++)
            if (work.scale[i] > ga[group]) ga[group] = work.scale[i];
        ck_assert(golden_hex(&line, "global_amax", l));
        want[group] = l->v[0];
        judged++;
    }
    fclose(f);
    for (int i = 0; i < 64; i++) ck_assert_uint_eq(ga[i], want[i]);
    printf("promotion.txt: %d judged, %d equal\n", judged, judged);
    ck_assert_int_eq(judged, 20);
}
END_TEST

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    Suite *s = suite_create("reference golden");
    TCase *t = tcase_create("files");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, every_line_of_the_built_formats_is_equal, 0, QP_COUNT(files));
    tcase_add_test(t, one_changed_bit_of_any_answer_is_seen);
    tcase_add_test(t, codec_runs_of_every_16_bit_input_are_equal);
    tcase_add_test(t, promotion_groups_share_the_maximum_of_their_members);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
