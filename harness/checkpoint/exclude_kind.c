// SPDX-License-Identifier: Apache-2.0
// What a module is by its name alone, as far as quantizers and loaders care.
#include <string.h>

#include "checkpoint/exclude.h"

typedef enum where { LAST, LAST_HAS, ANY } where; // the last segment, a part of it, any segment

static const struct {
    where where;
    const char *word;
    qp_ck_kind kind;
} words[] = {
    // the first that fits
    {ANY, "visual", QP_CK_KIND_VISION},
    {ANY, "vision_tower", QP_CK_KIND_VISION},
    {ANY, "vision_model", QP_CK_KIND_VISION},
    {ANY, "vision_encoder", QP_CK_KIND_VISION},
    {ANY, "audio_tower", QP_CK_KIND_VISION},
    {ANY, "multi_modal_projector", QP_CK_KIND_VISION},
    {ANY, "mm_projector", QP_CK_KIND_VISION},
    {LAST_HAS, "norm", QP_CK_KIND_NORM},
    {LAST, "ln_f", QP_CK_KIND_NORM},
    {LAST, "ln_1", QP_CK_KIND_NORM},
    {LAST, "ln_2", QP_CK_KIND_NORM},
    {LAST_HAS, "conv1d", QP_CK_KIND_CONV},
    {LAST_HAS, "conv2d", QP_CK_KIND_CONV},
    {LAST_HAS, "conv3d", QP_CK_KIND_CONV},
    {LAST, "conv", QP_CK_KIND_CONV},
    {LAST, "embed_out", QP_CK_KIND_HEAD},
    {LAST_HAS, "embed", QP_CK_KIND_EMBEDDING},
    {LAST, "wte", QP_CK_KIND_EMBEDDING},
    {LAST, "wpe", QP_CK_KIND_EMBEDDING},
    {LAST, "A_log", QP_CK_KIND_STATE},
    {LAST, "D", QP_CK_KIND_STATE},
    {LAST, "dt_bias", QP_CK_KIND_STATE},
    {LAST, "sinks", QP_CK_KIND_STATE},
    {LAST_HAS, "rotary", QP_CK_KIND_STATE},
    {LAST_HAS, "correction_bias", QP_CK_KIND_STATE},
    {LAST, "gate", QP_CK_KIND_ROUTER},
    {LAST, "router", QP_CK_KIND_ROUTER},
    {ANY, "router", QP_CK_KIND_ROUTER},
    {LAST, "shared_expert_gate", QP_CK_KIND_ROUTER},
    {LAST, "lm_head", QP_CK_KIND_HEAD},
    {LAST, "eh_proj", QP_CK_KIND_MTP_GLUE},
    {ANY, "shared_head", QP_CK_KIND_MTP_GLUE},
    {LAST, "weights_proj", QP_CK_KIND_MTP_GLUE}, // of the sparse attention's indexer, BF16 as well
};

static bool holds(const char *s, size_t n, const char *word, size_t m) {
    return n >= m && memmem(s, n, word, m) != NULL;
}

bool qp_ck_has_segment(const char *name, size_t n, const char *segment) {
    const size_t m = strlen(segment);
    for (const char *at = name, *end = name + n; at <= end;) {
        const char *dot = memchr(at, '.', (size_t)(end - at));
        const size_t len = (size_t)((dot != NULL ? dot : end) - at);
        if (len == m && memcmp(at, segment, m) == 0) return true;
        if (dot == NULL) return false;
        at = dot + 1;
    }
    return false;
}

qp_ck_kind qp_ck_kind_of(const char *name, size_t n) {
    const char *dot = n > 0 ? memrchr(name, '.', n) : NULL;
    const char *last = dot != NULL ? dot + 1 : name;
    const size_t n_last = n - (size_t)(last - name);
    for (int i = 0; i < QP_COUNT(words); i++) {
        const size_t m = strlen(words[i].word);
        const bool fits = words[i].where == ANY    ? qp_ck_has_segment(name, n, words[i].word)
                          : words[i].where == LAST ? n_last == m && memcmp(last, words[i].word, m) == 0
                                                   : holds(last, n_last, words[i].word, m);
        if (fits) return words[i].kind;
    }
    return QP_CK_KIND_LINEAR;
}
