// SPDX-License-Identifier: Apache-2.0
// The table of kernels against the folders kernels/cuda and kernels/cpu and against the formats: nothing
// forgotten, nothing invented.
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

// A cpu launcher is a file of its own too; the other files of that folder are what launchers share.
START_TEST(every_row_has_a_cpu_file) {
    for (int i = 0; i < qp_n_kernels; i++) {
        if (qp_kernels[i].device != QP_DEVICE_CPU) continue;
        char stems[32][64];
        int n = stems_in("kernels/cpu", ".c", stems), found = 0;
        const char *name = qp_kernels[i].name + strlen(device_prefix[QP_DEVICE_CPU]);
        for (int s = 0; s < n; s++) {
            size_t l = strlen(stems[s]);
            found += strncmp(name, stems[s], l) == 0 && (name[l] == 0 || name[l] == '_');
        }
        ck_assert_msg(found == 1, "%s: %d files", qp_kernels[i].name, found);
    }
}
END_TEST

START_TEST(names_are_unique_and_begin_with_their_device) {
    for (int i = 0; i < qp_n_kernels; i++) {
        const qp_kernel_row *a = &qp_kernels[i];
        ck_assert_msg(strncmp(a->name, device_prefix[a->device], strlen(device_prefix[a->device])) == 0, "%s",
                      a->name);
        for (int j = 0; j < i; j++) {
            const qp_kernel_row *b = &qp_kernels[j];
            ck_assert_str_ne(a->name, b->name);
            ck_assert(a->device != b->device || a->op != b->op || a->format != b->format ||
                      a->engine != b->engine);
        }
    }
}
END_TEST

#define E(engine) (1u << QP_ENGINE_##engine)

// Product page, section 5: fake-quant ieee; pack ieee (NVFP4, MX), torch-cpu and torch-cuda. Of the MX
// formats torch has real tensors of two; exports, AWQ and NF4 have no fake-quant, INT4 without blocks no
// packed form.
static unsigned due(qp_op op, qp_format f) {
    const qp_format_row *row = qp_format_get(f);
    const bool packed_only = row->scale == QP_SCALE_GIVEN || f == QP_NF4 || f == QP_NVFP4_W4A8;
    const bool fake_only = f == QP_INT4 || f == QP_INT4_AXIS0;
    if (!row->kernels) return 0;
    if (op == QP_OP_AMAX) return E(IEEE);
    if (op == QP_OP_FAKEQUANT || op == QP_OP_BACKWARD) return packed_only ? 0 : E(IEEE);
    if (fake_only) return 0;
    const bool torch = row->scale != QP_SCALE_E8M0 || f == QP_MXFP4 || f == QP_MXFP8_E4M3;
    const bool ieee = row->scale == QP_SCALE_E4M3 || row->scale == QP_SCALE_E8M0;
    return (ieee ? E(IEEE) : 0) | (torch ? E(TORCH_CPU) | E(TORCH_CUDA) : 0);
}

START_TEST(every_format_with_kernels_has_every_op_and_engine_on_every_device) {
    for (int d = 0; d < QP_DEVICE_COUNT; d++)
        for (int op = 0; op < QP_OP_COUNT; op++)
            for (int f = 0; f < QP_FORMAT_COUNT; f++) {
                unsigned have = 0;
                for (int i = 0; i < qp_n_kernels; i++)
                    if (qp_kernels[i].device == (qp_device_kind)d && qp_kernels[i].op == (qp_op)op &&
                        qp_kernels[i].format == (qp_format)f)
                        have |= 1u << qp_kernels[i].engine;
                ck_assert_msg(have == due((qp_op)op, (qp_format)f), "%s %s %s: engines %x, due %x",
                              qp_device_kind_name((qp_device_kind)d), qp_op_name((qp_op)op),
                              qp_format_get((qp_format)f)->name, have, due((qp_op)op, (qp_format)f));
            }
}
END_TEST

START_TEST(every_format_has_kernels) {
    for (int f = 0; f < QP_FORMAT_COUNT; f++)
        ck_assert_msg(qp_format_get((qp_format)f)->kernels, "%s", qp_format_get((qp_format)f)->name);
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
    tcase_add_test(c, every_format_with_kernels_has_every_op_and_engine_on_every_device);
    tcase_add_test(c, every_format_has_kernels);
    tcase_add_test(c, every_row_has_a_cpu_file);
    tcase_add_test(c, only_cuda_may_be_absent_and_only_without_the_toolkit);
    suite_add_tcase(s, c);
    return kit_main(s);
}
