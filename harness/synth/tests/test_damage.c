// SPDX-License-Identifier: Apache-2.0
// Damages change what they say and nothing else, at a place that follows from the seed.
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "synth/synth.h"
#include "synth/tests/scratch.h"
#include "tensor/st_scan.h"

enum { SECONDS = 300, HIDDEN = 128, MOST = 4096, SHARDS = 3 };

static const char *in_scratch(const char *folder, const char *name) {
    const char *path;
    OK(qp_arena_printf(arena, &path, &err, "%s/%s/%s", scratch, folder, name));
    return path;
}

static void write_sound(const char *preset) {
    const qp_synth_options o = {.preset = preset,
                                .folder = in_scratch(preset, ""),
                                .moe = true,
                                .hidden = HIDDEN,
                                .seed = 3,
                                .shards = SHARDS};
    OK(qp_synth_write(&o, arena, &err));
}

// ---- what differs between two folders
// -------------------------------------------------------------------------------------------

typedef struct tensor_sum {
    const char *name;
    uint32_t n_name;
    uint64_t hash; // of type, shape and bytes
} tensor_sum;

static int sum_order(const void *pa, const void *pb) {
    const tensor_sum *a = pa, *b = pb;
    const int c = memcmp(a->name, b->name, a->n_name < b->n_name ? a->n_name : b->n_name);
    return c != 0 ? c : (a->n_name > b->n_name) - (a->n_name < b->n_name);
}

static int sums_of(const char *folder, tensor_sum *out) {
    int n = 0;
    for (int k = 1; k <= SHARDS; k++) {
        char name[64];
        void *map;
        size_t n_bytes;
        qp_st_scan s;
        snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", k, SHARDS);
        OK(qp_st_map(in_scratch(folder, name), &map, &n_bytes, &err)); // stays mapped: names are used
        OK(qp_st_scan_bytes(name, map, n_bytes, true, arena, &s, &err));
        for (uint32_t i = 0; i < s.n_tensors; i++) {
            const qp_st_entry *e = s.by_name[i];
            uint64_t dims[8] = {0};
            const uint32_t n_dims = qp_st_entry_dims(e, dims, 8);
            const uint64_t shape = qp_hash64(dims, sizeof dims, n_dims + 100 * (uint64_t)e->dtype);
            out[n++] =
                (tensor_sum){e->name, e->n_name, qp_hash64(s.data + e->begin, e->end - e->begin, shape)};
        }
    }
    qsort(out, (size_t)n, sizeof *out, sum_order);
    return n;
}

static int tensors_changed(const char *a, const char *b) {
    static tensor_sum x[MOST], y[MOST];
    const int nx = sums_of(a, x), ny = sums_of(b, y);
    int changed = 0;
    for (int i = 0, k = 0; i < nx || k < ny;) {
        const int c = i == nx ? 1 : k == ny ? -1 : sum_order(&x[i], &y[k]);
        changed += c != 0 || x[i].hash != y[k].hash;
        i += c <= 0;
        k += c >= 0;
    }
    return changed;
}

static bool file_changed(const char *a, const char *b, const char *name) {
    const char *pa = in_scratch(a, name), *pb = in_scratch(b, name);
    char *x, *y;
    size_t nx, ny;
    if (!qp_file_exists(pa)) return qp_file_exists(pb);
    OK(qp_file_read(pa, arena, &x, &nx, &err));
    OK(qp_file_read(pb, arena, &y, &ny, &err));
    return nx != ny || memcmp(x, y, nx) != 0;
}

// ---- kinds
// -------------------------------------------------------------------------------------------------------------------------

static bool starts(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

static bool is_config(const char *name) {
    return starts(name, "config") || starts(name, "exclude") || starts(name, "kv-config");
}

static bool is_file(const char *name) {
    return starts(name, "file") || starts(name, "shard") || starts(name, "index") ||
           starts(name, "dtype-unknown") || starts(name, "tensor-in-two");
}

// Tensors that a damage may touch; 1 where no row says otherwise.
static const struct {
    const char *name;
    int most;
} many[] = {
    {"global-as-weight-scale", 2}, {"expert-missing", 40}, {"expert-linear-missing", 8},
    {"expert-ids-local", 60},      {"expert-gap", 60},     {"kv-scales-missing", 4},
    {"global-inverted", 40},       {"global-one-ulp", 40}, {"linear-all-zero", 2},
    {"linear-all-ff", 3},          {"codes-below-top", 4}, {"gate-up-scales-exchanged", 2},
    {"linear-of-one-rank", 2},
};

static int most_of(const char *name) {
    for (int i = 0; i < QP_COUNT(many); i++)
        if (!strcmp(many[i].name, name)) return many[i].most;
    return 1;
}

static void check_changes(const qp_damage *d, const char *preset, const char *to) {
    static const char *const configs[] = {"config.json", "hf_quant_config.json", "quantize_config.json"};
    int n_configs = 0;
    for (int i = 0; i < QP_COUNT(configs); i++) n_configs += file_changed(preset, to, configs[i]);
    ck_assert_msg((n_configs > 0) == is_config(d->name), "%s on %s: %d configs changed", d->name, preset,
                  n_configs);
    if (is_file(d->name)) return;
    const int n = tensors_changed(preset, to), most = most_of(d->name);
    if (is_config(d->name))
        ck_assert_msg(n == 0, "%s on %s: %d tensors changed", d->name, preset, n);
    else
        ck_assert_msg(n >= 1 && n <= most, "%s on %s: %d tensors changed, at most %d wanted", d->name, preset,
                      n, most);
}

static void try_all(const char *preset, bool *tried) {
    write_sound(preset);
    for (int k = 0; k < qp_n_damages; k++) {
        const char *where = NULL, *to = in_scratch(qp_damages[k].name, "");
        bool fits;
        OK(qp_damage_apply(&qp_damages[k], in_scratch(preset, ""), to, 17, arena, &fits, &where, &err));
        ck_assert_msg(fits == qp_file_exists(to), "%s on %s: written without a place", qp_damages[k].name,
                      preset);
        if (!fits) continue;
        tried[k] = true;
        check_changes(&qp_damages[k], preset, qp_damages[k].name);
        OK(qp_dir_remove(to, &err));
    }
}

START_TEST(each_damage_changes_what_it_says_and_nothing_else) {
    static const char *const presets[] = {"modelopt-nvfp4",     "modelopt-fp8-kv-fp8", "ct-nvfp4",
                                          "modelopt-fp8-block", "ct-pack-int4",        "gptq"};
    bool tried[256] = {false};
    for (int i = 0; i < QP_COUNT(presets); i++) try_all(presets[i], tried);
    for (int k = 0; k < qp_n_damages; k++) ck_assert_msg(tried[k], "%s fits nowhere", qp_damages[k].name);
}
END_TEST

START_TEST(the_place_follows_from_the_seed) {
    const char *a, *b, *other;
    bool fits, moved = false;
    const qp_damage *d = NULL;
    write_sound("modelopt-nvfp4");
    for (int k = 0; k < qp_n_damages; k++)
        if (!strcmp(qp_damages[k].name, "scale-nan")) d = &qp_damages[k];
    ck_assert_ptr_nonnull(d);
    const char *from = in_scratch("modelopt-nvfp4", "");
    OK(qp_damage_apply(d, from, in_scratch("a", ""), 1, arena, &fits, &a, &err));
    OK(qp_damage_apply(d, from, in_scratch("b", ""), 1, arena, &fits, &b, &err));
    ck_assert_str_eq(a, b);
    ck_assert_int_eq(tensors_changed("a", "b"), 0);
    for (uint64_t seed = 2; seed < 12; seed++) {
        OK(qp_damage_apply(d, from, in_scratch("c", ""), seed, arena, &fits, &other, &err));
        moved |= strcmp(a, other) != 0;
        OK(qp_dir_remove(in_scratch("c", ""), &err));
    }
    ck_assert(moved);
}
END_TEST

START_TEST(damage_names_are_unique_and_every_damage_has_a_rule_or_a_consequence) {
    ck_assert_int_ge(qp_n_damages, 40);
    for (int i = 0; i < qp_n_damages; i++) {
        ck_assert_msg(qp_damages[i].rule != NULL || qp_damages[i].consequence != NULL, "%s",
                      qp_damages[i].name);
        for (int k = 0; k < i; k++) ck_assert_str_ne(qp_damages[i].name, qp_damages[k].name);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("damage");
    TCase *t = tcase_create("damages");
    tcase_set_timeout(t, SECONDS);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, each_damage_changes_what_it_says_and_nothing_else);
    tcase_add_test(t, the_place_follows_from_the_seed);
    tcase_add_test(t, damage_names_are_unique_and_every_damage_has_a_rule_or_a_consequence);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
