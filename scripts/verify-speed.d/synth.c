// SPDX-License-Identifier: Apache-2.0
// A large sound checkpoint and its BF16 original, every layer with the weights of the first.
//   synth PRESET HIDDEN LAYERS SHARDS FOLDER ORIGINAL
#include <stdio.h>
#include <stdlib.h>

#include "synth/synth.h"

int main(int argc, char **argv) {
    qp_err err = {0};
    qp_arena *a = qp_arena_new();
    if (argc != 7 || a == NULL) return 2;
    const qp_synth_options o = {.preset = argv[1],
                                .folder = argv[5],
                                .original = argv[6],
                                .hidden = strtoll(argv[2], NULL, 10),
                                .layers = strtoll(argv[3], NULL, 10),
                                .shards = (int)strtol(argv[4], NULL, 10),
                                .seed = 1,
                                .repeat = true};
    const qp_status status = qp_synth_write(&o, a, &err);
    if (status != QP_OK) fprintf(stderr, "%s\n", err.msg);
    qp_arena_free(a);
    return status == QP_OK ? 0 : 1;
}
