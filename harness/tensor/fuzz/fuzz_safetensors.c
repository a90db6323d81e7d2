// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: any bytes as a safetensors file. Beyond the sanitizers it holds that strict never takes
// what the default refuses, that a refusal says why, and that an accepted file is covered by its tensors.
#include "tensor/st_scan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static void hold(bool truth) {
    if (!truth) abort();
}

static void check_accepted(const qp_st_scan *s, qp_arena *a, qp_err *err) {
    uint64_t covered = 0, dims[4];
    const char *format;
    size_t n;
    for (uint32_t i = 0; i < s->n_tensors; i++) {
        const qp_st_entry *e = s->by_place[i];
        hold(e->begin == covered && e->end >= e->begin && !e->replaced);
        hold(qp_st_scan_find(s, e->name, e->n_name) == e);
        hold(qp_st_entry_dims(e, dims, 4) == e->n_dims);
        covered = e->end;
    }
    hold(covered == s->n_data);
    hold(qp_st_scan_meta(s, "format", a, &format, &n, err) == QP_OK);
    hold(format == NULL || format[n] == '\0');
}

static void scan_both_ways(const uint8_t *bytes, size_t n_bytes) {
    static qp_arena *a;
    qp_st_scan s;
    qp_err err = {0}, strict_err = {0};
    if (a == NULL) a = qp_arena_new();
    qp_arena_reset(a);
    qp_status strict = qp_st_scan_bytes("fuzz", bytes, n_bytes, true, a, &s, &strict_err);
    qp_status status = qp_st_scan_bytes("fuzz", bytes, n_bytes, false, a, &s, &err);
    hold(status == QP_OK || (status == QP_CORRUPT && strict == QP_CORRUPT));
    hold((status == QP_OK) == (err.msg[0] == '\0') && (strict == QP_OK) == (strict_err.msg[0] == '\0'));
    if (status == QP_OK) check_accepted(&s, a, &err);
}

// As it is, and once more with a length field that fits: few changed inputs still have a true one.
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes) {
    scan_both_ways(bytes, n_bytes);
    if (n_bytes < 8) return 0;
    const size_t rest = n_bytes - 8, n_data = bytes[7] % 16u < rest ? bytes[7] % 16u : 0;
    uint8_t *fitted = malloc(n_bytes);
    hold(fitted != NULL);
    memcpy(fitted, bytes, n_bytes);
    for (int i = 0; i < 8; i++) fitted[i] = (uint8_t)((rest - n_data) >> 8 * i);
    scan_both_ways(fitted, n_bytes);
    free(fitted);
    return 0;
}
