// SPDX-License-Identifier: Apache-2.0
// What every libFuzzer target of harness/*/fuzz shares: the entry point, the check beyond the sanitizers, an
// arena for one input, and a folder for parsers that only read files.
#ifndef CORE_FUZZ_FUZZ_H
#define CORE_FUZZ_FUZZ_H

#include "core/arena.h"
#include "core/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static inline void hold(bool truth) {
    if (!truth) abort();
}

// Emptied at every call: what the input before this one took is gone.
static inline qp_arena *fuzz_arena(void) {
    static qp_arena *a;
    if (a == NULL) a = qp_arena_new();
    hold(a != NULL);
    qp_arena_reset(a);
    return a;
}

// The input as a text at its exact size, with the NUL that qp_file_read puts behind it. To be freed.
static inline char *fuzz_text(const uint8_t *bytes, size_t n_bytes) {
    char *text = malloc(n_bytes + 1);
    hold(text != NULL);
    if (n_bytes > 0) memcpy(text, bytes, n_bytes);
    text[n_bytes] = '\0';
    return text;
}

// A refusal says why, and first of all where.
static inline void hold_refused(qp_status status, qp_status wanted, const qp_err *err, const char *place) {
    hold(status == wanted && strncmp(err->msg, place, strlen(place)) == 0);
    hold(strlen(err->msg) > strlen(place) + 2);
}

static inline void fuzz_put(const char *path, const void *bytes, size_t n_bytes) {
    FILE *f = fopen(path, "wb");
    hold(f != NULL);
    hold(fwrite(bytes, 1, n_bytes, f) == n_bytes);
    hold(fclose(f) == 0);
}

static char fuzz_folder_path[64];
static inline void fuzz_folder_remove(void) {
    qp_err err = {0};
    (void)qp_dir_remove(fuzz_folder_path, &err);
}

// A folder of this process, removed at its end.
static inline const char *fuzz_folder(void) {
    if (fuzz_folder_path[0] != '\0') return fuzz_folder_path;
    const bool memory = access("/dev/shm", W_OK) == 0;
    snprintf(fuzz_folder_path, sizeof fuzz_folder_path, "%s/qp-fuzz-XXXXXX", memory ? "/dev/shm" : "/tmp");
    hold(mkdtemp(fuzz_folder_path) != NULL);
    atexit(fuzz_folder_remove);
    return fuzz_folder_path;
}

// The path of a file in it, until the next call.
static inline const char *fuzz_in_folder(const char *name) {
    static char path[sizeof fuzz_folder_path + 64];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    return path;
}

#endif
