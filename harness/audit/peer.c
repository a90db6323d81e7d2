// SPDX-License-Identifier: Apache-2.0
// The same linear in a neighbouring layer or expert: what its size is there.
#include <stdio.h>
#include <string.h>

#include "audit/structure.h"
#include "checkpoint/names.h"

enum { NAME_MAX_BYTES = 512, STEPS = 4 };

// Where the number `value` of `list` (layers., experts.) stands in the name; 0: nowhere.
static uint32_t number_at(const qp_ck_module *m, int value, bool last, uint32_t *end) {
    char word[16];
    uint32_t found = 0;
    const int len = snprintf(word, sizeof word, ".%d", value);
    for (uint32_t i = 1; i + (uint32_t)len <= m->n_name; i++) {
        if (memcmp(m->name + i, word, (size_t)len) != 0) continue;
        const uint32_t after = i + (uint32_t)len;
        if (after < m->n_name && m->name[after] != '.') continue;
        found = i + 1;
        *end = after;
        if (!last) break;
    }
    return found;
}

static const qp_ck_module *with_number(const qp_str *s, const qp_ck_module *m, uint32_t at, uint32_t end,
                                       int value) {
    char name[NAME_MAX_BYTES];
    if (value < 0 || m->n_name >= sizeof name - 16) return NULL;
    memcpy(name, m->name, at);
    const int n = snprintf(name + at, 16, "%d", value);
    memcpy(name + at + n, m->name + end, m->n_name - end);
    return qp_ck_module_find(&s->audit->modules, name, at + (uint32_t)n + m->n_name - end);
}

static bool near(const qp_str *s, const qp_ck_module *m, int value, bool last, qp_ck_size *out) {
    static const int steps[STEPS] = {1, -1, 2, -2};
    uint32_t end = 0;
    const uint32_t at = value < 0 ? 0 : number_at(m, value, last, &end);
    for (int i = 0; i < STEPS && at != 0; i++) {
        const qp_ck_module *peer = with_number(s, m, at, end, value + steps[i]);
        if (peer == NULL || !peer->sound || peer->scheme == NULL || peer->scheme->pack != m->scheme->pack)
            continue;
        *out = (qp_ck_size){peer->stack, peer->out, peer->in};
        return true;
    }
    return false;
}

bool qp_str_peer(const qp_str *s, const qp_ck_module *m, qp_ck_size *out) {
    return near(s, m, m->expert, true, out) || near(s, m, m->layer, false, out);
}
