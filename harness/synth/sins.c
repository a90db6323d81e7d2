// SPDX-License-Identifier: Apache-2.0
// Exporters that sin: checkpoints that are sound in form and were quantized by a wrong rule. They cannot be
// made by editing a sound one, so the writer itself follows them (NVFP4 of Model Optimizer only).
#include <string.h>

#include "qp/ref.h"
#include "synth/parts.h"

const qp_damage qp_synth_sins[] = {
    {"global-of-each-member", "E-118", "shared-weight-scale", NULL, false, NULL},
    {"codes-by-unrounded-scale", "E-109", "codes-differ", NULL, true, NULL},
    {"scale-in-two-divisions", "", "scales-differ", NULL, true, "codes-differ"},
};
const int qp_n_synth_sins = QP_COUNT(qp_synth_sins);

bool syn_sins(const syn_model *m, const char *sin) {
    return m->o->sin != NULL && !strcmp(m->o->sin, sin);
}

static uint8_t code_of(uint16_t w, uint32_t scale) {
    const uint32_t z = ref_div(syn_bf16(w), scale);
    return (uint8_t)(z > 0x80000000u ? 8 : 0) | (ref_e2m1_encode(z) & 7);
}

// One block of 16 again: the scale by amax / 6 / s2, or the codes by a scale that was never rounded.
static void sin_block(const syn_model *m, const uint16_t *w, uint32_t s2, uint8_t *codes, uint8_t *scale) {
    const uint32_t six = 0x40c00000;
    uint32_t amax, used;
    ref_amax(QP_GRAIN_TENSOR, QP_BF16, 1, 16, 0, 0, w, &amax);
    if (syn_sins(m, "codes-by-unrounded-scale")) {
        used = ref_div(amax, six);
    } else {
        *scale = ref_e4m3_encode(ref_div(ref_div(amax, six), s2), true);
        used = ref_mul(ref_e4m3_decode(*scale), s2);
    }
    for (int i = 0; i < 16; i += 2)
        codes[i / 2] = (uint8_t)(code_of(w[i], used) | code_of(w[i + 1], used) << 4);
}

void syn_sin_blocks(const syn_model *m, int64_t n_blocks, const uint16_t *w, uint32_t s2, uint8_t *codes,
                    uint8_t *scales) {
    if (!syn_sins(m, "codes-by-unrounded-scale") && !syn_sins(m, "scale-in-two-divisions")) return;
    for (int64_t b = 0; b < n_blocks; b++) sin_block(m, w + b * 16, s2, codes + b * 8, scales + b);
}
