// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: any bytes as model.safetensors.index.json beside two sound shards. Beyond the sanitizers
// it holds that a refusal says why, that nothing outside the folder is named, and that an accepted index
// finds each tensor of the shards it names once.
#include "core/fuzz/fuzz.h"
#include "tensor/safetensors.h"

static const char *const names[2][2] = {{"x", "y"}, {"z", "y.\303\251"}};

static void make_shards(void) {
    static const char *const files[2] = {"a.safetensors", "b.safetensors"};
    static const uint8_t data[4] = {1, 2, 3, 4};
    for (int f = 0; f < 2; f++) {
        qp_st_tensor t[2];
        qp_err err = {0};
        for (int i = 0; i < 2; i++)
            t[i] = (qp_st_tensor){
                .name = names[f][i], .dtype = QP_U8, .n_dims = 1, .dims = {4}, .data = data, .n_bytes = 4};
        hold(qp_st_write(fuzz_in_folder(files[f]), t, 2, NULL, 0, &err) == QP_OK);
    }
}

static void check_accepted(const qp_st_set *s) {
    hold(s->n_files >= 0 && s->n_files <= 2);
    for (int f = 0; f < s->n_files; f++)
        for (int i = 0; i < s->files[f].n_tensors; i++) {
            const char *file = NULL;
            const qp_st_tensor *t = &s->files[f].tensors[i];
            hold(qp_st_set_find(s, t->name, &file) == t && strcmp(file, s->files[f].path) == 0);
            hold(strncmp(file, fuzz_folder(), strlen(fuzz_folder())) == 0 && strstr(file, "/..") == NULL);
        }
    (void)qp_st_set_hash(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes) {
    static bool made;
    if (!made) make_shards();
    made = true;
    fuzz_put(fuzz_in_folder("model.safetensors.index.json"), bytes, n_bytes);
    qp_st_set set;
    qp_err err = {0};
    qp_status status = qp_st_set_open(fuzz_folder(), fuzz_arena(), &set, &err);
    if (status == QP_OK)
        check_accepted(&set);
    else
        hold_refused(status, status == QP_IO ? QP_IO : QP_CORRUPT, &err, fuzz_folder());
    if (status == QP_OK) qp_st_set_close(&set);
    return 0;
}
