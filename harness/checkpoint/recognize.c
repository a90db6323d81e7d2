// SPDX-License-Identifier: Apache-2.0
// Candidates in order; the first one that every tensor fits in word, type and shape is the scheme. Bits,
// group size and symmetry are read off the tensors before a candidate is asked for.
#include "checkpoint/recognize.h"

#include <string.h>

#include "checkpoint/names.h"

typedef struct candidate {
    qp_ck_dialect dialect;
    const char *said;
    qp_ck_spread spread;
    bool given;         // the spread is asked for
    const char *groups; // "": the default only; else one letter per size, see group_sizes
} candidate;

static const int group_sizes[] = {16, 32, 64, 128, 256, 512, 1024, -1}; // letters a to h

#define MO QP_CK_MODELOPT
#define CT QP_CK_COMPRESSED_TENSORS
static const candidate candidates[] = {
    {MO, "NVFP4", QP_CK_GROUP, false, "a"},
    {MO, "W4A8_NVFP4_FP8", QP_CK_GROUP, false, "b"},
    {MO, "W4A16_NVFP4", QP_CK_GROUP, false, "ab"},
    {MO, "NVFP4_AWQ", QP_CK_GROUP, false, "a"},
    {MO, "NVFP4_SVD", QP_CK_GROUP, false, "a"},
    {MO, "NVFP4", QP_CK_GROUP_T, true, "a"},
    {MO, "W4A8_NVFP4_FP8", QP_CK_GROUP_T, true, "b"},
    {MO, "W4A16_NVFP4", QP_CK_GROUP_T, true, "ab"},
    {MO, "FP8", QP_CK_ONE, false, ""},
    {MO, "FP8_PER_CHANNEL_PER_TOKEN", QP_CK_ROW, false, ""},
    {MO, "fp8_pb_wo", QP_CK_TILE_4D, false, ""},
    {MO, "fp8_pb_wo", QP_CK_TILE_3D, true, ""},
    {MO, "W8A16", QP_CK_ROW, false, ""},
    {MO, "W8A8_SQ_PER_CHANNEL", QP_CK_ROW, false, ""},
    {MO, "MXFP8", QP_CK_GROUP, false, "b"},
    {MO, "mxfp4", QP_CK_GROUP, false, "b"},
    {MO, "W4A16_AWQ", QP_CK_GROUP, false, "cdbe"},
    {MO, "W4A8_AWQ", QP_CK_GROUP, false, "cdbe"},
    {CT, "nvfp4-pack-quantized", QP_CK_GROUP, false, "a"},
    {CT, "mxfp4-pack-quantized", QP_CK_GROUP, false, "b"},
    {CT, "mxfp6-pack-quantized", QP_CK_GROUP, false, "b"},
    {CT, "mxfp8-quantized", QP_CK_GROUP, false, "b"},
    {CT, "float-quantized", QP_CK_ONE, true, ""},
    {CT, "float-quantized", QP_CK_ROW, true, ""},
    {CT, "float-quantized", QP_CK_TILE, true, ""},
    {CT, "float-quantized", QP_CK_GROUP, true, "dcbaefg"},
    {CT, "int-quantized", QP_CK_ONE, true, ""},
    {CT, "int-quantized", QP_CK_ROW, true, ""},
    {CT, "int-quantized", QP_CK_GROUP, true, "dcbaefg"},
    {CT, "pack-quantized", QP_CK_GROUP, true, "dcbaefg"},
    {CT, "pack-quantized", QP_CK_ROW, true, ""},
    {QP_CK_FP8, "fp8", QP_CK_TILE, true, ""},
    {QP_CK_FP8, "fp8", QP_CK_ONE, true, ""},
    {QP_CK_GPT_OSS, "mxfp4", QP_CK_GROUP, false, "b"},
    {QP_CK_AWQ, "awq", QP_CK_GROUP_T, false, "dcbaefgh"},
    {QP_CK_GPTQ, "gptq", QP_CK_GROUP_T, false, "dcbaefgh"},
};

// ---- schemes asked for once
// --------------------------------------------------------------------------------------------------

enum { ASKS_MAX = 4096 }; // more than this are looked up without being remembered

static uint64_t key_of(const qp_ck_scheme_ask *ask) {
    uint64_t h = 1469598103934665603u; // FNV-1a
    for (const char *p = ask->said; *p != '\0'; p++) h = (h ^ (uint8_t)*p) * 1099511628211u;
    const int fields[] = {(int)ask->dialect, ask->bits,         ask->group_size,
                          (int)ask->spread,  ask->spread_given, ask->asymmetric,
                          ask->input_static, ask->input_none,   ask->act_order};
    for (int i = 0; i < QP_COUNT(fields); i++) h = (h ^ (uint64_t)(uint32_t)fields[i]) * 1099511628211u;
    return h;
}

static qp_status find(qp_ck_recognizer *r, const qp_ck_scheme_ask *ask, const qp_ck_scheme **out,
                      qp_err *err) {
    const uint64_t key = key_of(ask);
    for (int i = 0; i < r->n_known; i++) {
        if (r->known[i].key != key) continue;
        *out = r->known[i].scheme;
        return QP_OK;
    }
    QP_TRY(qp_ck_scheme_find(ask, r->arena, out, err));
    if (r->n_known == r->cap && r->cap < ASKS_MAX) {
        qp_ck_known *more;
        const int cap = r->cap == 0 ? 64 : 2 * r->cap;
        QP_TRY(QP_NEW(r->arena, more, cap));
        if (r->n_known > 0) memcpy(more, r->known, sizeof *more * (size_t)r->n_known);
        r->known = more;
        r->cap = cap;
    }
    if (r->n_known < r->cap) r->known[r->n_known++] = (qp_ck_known){key, *out};
    return QP_OK;
}

// ---- stacks
// ------------------------------------------------------------------------------------------------------------------

qp_status qp_ck_scheme_for_stack(qp_ck_recognizer *r, const qp_ck_scheme *s, const qp_ck_module *m,
                                 const qp_ck_scheme **out, qp_err *err) {
    const qp_ck_tensor *w = m->part[QP_CK_WEIGHT];
    qp_ck_name name;
    *out = s;
    if (s->dialect != QP_CK_MODELOPT || w == NULL || w->n_dims != 3) return QP_OK;
    if (!qp_ck_name_split(w->name, w->n_name, w->n_dims, &name) || name.suffix != NULL) return QP_OK;
    // MXFP4, MXFP8 and FP8 per tensor are written as they lie in memory
    const bool turned = s->pack == QP_CK_PAIRS && s->scale_types == 1u << QP_ST_F8_E4M3;
    if (!turned && s->spread != QP_CK_TILE_4D) return QP_OK;
    const qp_ck_scheme_ask ask = {.dialect = s->dialect,
                                  .said = s->said,
                                  .bits = s->bits,
                                  .group_size = s->group_size,
                                  .spread = turned ? QP_CK_GROUP_T : QP_CK_TILE_3D,
                                  .spread_given = true};
    QP_TRY(find(r, &ask, out, err));
    if (*out == NULL) *out = s;
    return QP_OK;
}

// ---- what the tensors say
// ----------------------------------------------------------------------------------------------------

bool qp_ck_parts_fit(const qp_ck_scheme *s, const qp_ck_module *m, bool lax) {
    qp_ck_size z;
    if (m->part[QP_CK_WEIGHT] == NULL || m->part[QP_CK_SCALE] == NULL || !qp_ck_size_of(s, m, &z))
        return false;
    for (int role = 0; role < QP_CK_ROLES; role++) {
        const qp_ck_fit fit = qp_ck_part_fit(s, m, (qp_ck_role)role, z);
        if (fit != QP_CK_FITS && !(lax && fit == QP_CK_ABSENT)) return false;
    }
    return true;
}

static int64_t least_bits(int64_t codes, int64_t words) { // b with ceil(codes b / 32) = words; 0: none
    for (int64_t b = 2; b <= 8 && codes > 0; b++)
        if ((codes * b + 31) / 32 == words) return b;
    return 0;
}

// Bits of a dense stream: from the shape written beside it, from g_idx, from the zero points.
static int bits_of(const qp_ck_scheme *s, const qp_ck_module *m) {
    const qp_ck_tensor *w = m->part[QP_CK_WEIGHT], *g = m->part[QP_CK_G_IDX], *z = m->part[QP_CK_ZERO];
    const qp_ck_tensor *shape = m->part[QP_CK_WEIGHT_SHAPE];
    int64_t bits = 0, said;
    if (w->n_dims < 2) return 0;
    if (s->pack == QP_CK_WORDS && shape != NULL && shape->n_elems == 2 && shape->dtype == QP_ST_I64) {
        memcpy(&said, shape->data + 8, sizeof said);
        if (said > 0 && said < INT64_MAX / 8) bits = least_bits(said, (int64_t)w->dims[w->n_dims - 1]);
    }
    if (s->pack == QP_CK_WORDS_IN && g != NULL) bits = least_bits((int64_t)g->n_elems, (int64_t)w->dims[0]);
    if (s->pack == QP_CK_WORDS_IN && bits == 0 && z != NULL && z->n_dims == 2)
        bits = least_bits((int64_t)w->dims[1], (int64_t)z->dims[1]);
    return (int)bits;
}

static qp_status try_one(qp_ck_recognizer *r, const candidate *c, const qp_ck_module *m, bool lax,
                         const qp_ck_scheme **out, qp_err *err) {
    const qp_ck_tensor *w = m->part[QP_CK_WEIGHT];
    const qp_ck_scheme *s;
    qp_ck_scheme_ask ask = {.dialect = c->dialect,
                            .said = c->said,
                            .spread = c->spread,
                            .spread_given = c->given,
                            .asymmetric = c->dialect == CT && m->part[QP_CK_ZERO] != NULL,
                            .input_static = m->part[QP_CK_INPUT] != NULL,
                            .act_order = false};
    const qp_ck_scheme **plain = &r->plain[c - candidates];
    if (*plain == NULL) QP_TRY(find(r, &ask, plain, err));
    s = *plain;
    if (s == NULL || (s->weight_types >> w->dtype & 1) == 0 ||
        !qp_ck_type_fits(s, QP_CK_SCALE, m->part[QP_CK_SCALE]))
        return QP_OK;
    // weights only: activations were never looked at (NVFP4A16)
    ask.input_none = c->dialect == CT && s->input == QP_CK_INPUT_STATIC && m->part[QP_CK_INPUT] == NULL;
    ask.act_order = c->dialect == CT && m->part[QP_CK_G_IDX] != NULL;
    ask.bits = bits_of(s, m);
    const int n = c->groups[0] == '\0' ? 1 : (int)strlen(c->groups);
    for (int i = 0; i < n && *out == NULL; i++) {
        ask.group_size = c->groups[0] == '\0' ? 0 : group_sizes[c->groups[i] - 'a'];
        QP_TRY(find(r, &ask, &s, err));
        if (s != NULL && qp_ck_parts_fit(s, m, lax)) *out = s;
    }
    return QP_OK;
}

qp_status qp_ck_recognize(qp_ck_recognizer *r, const qp_ck_module *m, bool lax, const qp_ck_scheme **out,
                          qp_err *err) {
    *out = NULL;
    if (m->part[QP_CK_WEIGHT] == NULL || m->part[QP_CK_SCALE] == NULL) return QP_OK;
    if (r->last != NULL && qp_ck_parts_fit(r->last, m, false)) {
        *out = r->last;
        return QP_OK;
    }
    for (int round = 0; round < 2 && *out == NULL; round++) // the dialect of the config first
        for (int i = 0; i < QP_COUNT(candidates) && *out == NULL; i++)
            if ((candidates[i].dialect == r->first) == (round == 0))
                QP_TRY(try_one(r, &candidates[i], m, lax, out, err));
    if (*out != NULL && !lax) r->last = *out;
    return QP_OK;
}
