// SPDX-License-Identifier: Apache-2.0
// The table of kernels against the folder kernels/cuda and against the formats: nothing forgotten, nothing
// invented.
#include <dirent.h>

#include "tests/kit.h"

static const char *const device_prefix[] = {"k_cpu_", "k_simt_", "k_cuda_"};

// Does a row of this device begin with the prefix and the stem, at a word's end?
static int rows_of(qp_device_kind device, const char *stem) {
    int n = 0;
    for (int i = 0; i < qp_n_kernels; i++) {
        const char *name = qp_kernels[i].name;
        size_t p = strlen(device_prefix[device]), l = strlen(stem);
        if (qp_kernels[i].device == device && strncmp(name + p, stem, l) == 0 &&
            (name[p + l] == 0 || name[p + l] == '_'))
            n++;
    }
    return n;
}

static int stems_in(const char *folder, const char *ending, char stems[32][64]) {
    DIR *d = opendir(folder);
    ck_assert_msg(d != NULL, "tests run from the repository root: no %s", folder);
    int n = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        size_t l = strlen(e->d_name), m = strlen(ending);
        if (l <= m || strcmp(e->d_name + l - m, ending) != 0 || n == 32) continue;
        snprintf(stems[n++], 64, "%.*s", (int)(l - m < 63 ? l - m : 63), e->d_name);
    }
    closedir(d);
    return n;
}

START_TEST(every_cu_file_has_rows_on_every_device_and_every_row_a_file) {
    char stems[32][64];
    int n = stems_in("kernels/cuda", ".cu", stems);
    ck_assert_int_gt(n, 0);
    int covered[QP_DEVICE_COUNT] = {0};
    for (int i = 0; i < n; i++)
        for (int d = 0; d < QP_DEVICE_COUNT; d++) {
            int rows = rows_of((qp_device_kind)d, stems[i]);
            ck_assert_msg(rows > 0, "kernels/cuda/%s.cu has no row for device %s", stems[i],
                          qp_device_kind_name((qp_device_kind)d));
            covered[d] += rows;
        }
    for (int d = 0; d < QP_DEVICE_COUNT; d++) ck_assert_int_eq(covered[d], qp_n_kernels / QP_DEVICE_COUNT);
}
END_TEST

START_TEST(names_are_unique_and_begin_with_their_device) {
    for (int i = 0; i < qp_n_kernels; i++) {
        const qp_kernel_row *a = &qp_kernels[i];
        ck_assert_msg(strncmp(a->name, device_prefix[a->device], strlen(device_prefix[a->device])) == 0, "%s",
                      a->name);
        ck_assert_int_eq(a->engine, QP_ENGINE_IEEE);
        for (int j = 0; j < i; j++) {
            const qp_kernel_row *b = &qp_kernels[j];
            ck_assert_str_ne(a->name, b->name);
            ck_assert(a->device != b->device || a->op != b->op || a->format != b->format);
        }
    }
}
END_TEST

static bool due(qp_op op, qp_format f) {
    bool packs = f == QP_NVFP4 || f == QP_NVFP4_STATIC;
    return qp_format_get(f)->kernels && (packs || (op != QP_OP_QUANT && op != QP_OP_DEQUANT));
}

START_TEST(every_format_with_kernels_has_every_op_on_every_device) {
    for (int d = 0; d < QP_DEVICE_COUNT; d++)
        for (int op = 0; op < QP_OP_COUNT; op++)
            for (int f = 0; f < QP_FORMAT_COUNT; f++) {
                int n = 0;
                for (int i = 0; i < qp_n_kernels; i++)
                    n += qp_kernels[i].device == (qp_device_kind)d && qp_kernels[i].op == (qp_op)op &&
                         qp_kernels[i].format == (qp_format)f;
                ck_assert_msg(n == due((qp_op)op, (qp_format)f), "%s %s %s: %d rows",
                              qp_device_kind_name((qp_device_kind)d), qp_op_name((qp_op)op),
                              qp_format_get((qp_format)f)->name, n);
            }
}
END_TEST

START_TEST(only_cuda_may_be_absent_and_only_without_the_toolkit) {
    for (int i = 0; i < qp_n_kernels; i++)
        ck_assert_msg((qp_kernels[i].fn == NULL) == (qp_kernels[i].device == QP_DEVICE_CUDA && !QP_HAVE_CUDA),
                      "%s", qp_kernels[i].name);
}
END_TEST

int main(void) {
    Suite *s = suite_create("kernel table");
    TCase *c = tcase_create("table");
    tcase_add_test(c, every_cu_file_has_rows_on_every_device_and_every_row_a_file);
    tcase_add_test(c, names_are_unique_and_begin_with_their_device);
    tcase_add_test(c, every_format_with_kernels_has_every_op_on_every_device);
    tcase_add_test(c, only_cuda_may_be_absent_and_only_without_the_toolkit);
    suite_add_tcase(s, c);
    return kit_main(s);
}
