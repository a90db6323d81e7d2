// SPDX-License-Identifier: Apache-2.0
// Sound checkpoints: what is written opens strictly, has the names, types and shapes of the spec's table
// (shapes spec 2.1, 2.2), and follows from the seed alone.
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/text.h"
#include "synth/synth.h"
#include "synth/tests/scratch.h"
#include "tensor/safetensors.h"
#include "tensor/st_scan.h"

enum { SECONDS = 300, HIDDEN = 128 };

static const char *folder(const char *name) {
    const char *path;
    OK(qp_arena_printf(arena, &path, &err, "%s/%s", scratch, name));
    return path;
}

static qp_synth_options asked(const char *preset, const char *to) {
    return (qp_synth_options){
        .preset = preset, .folder = folder(to), .moe = true, .hidden = HIDDEN, .seed = 3, .shards = 2};
}

static uint64_t hash_of(const qp_synth_options *o) {
    qp_st_set set;
    OK(qp_synth_write(o, arena, &err));
    OK(qp_st_set_open(o->folder, arena, &set, &err));
    const uint64_t hash = qp_st_set_hash(&set);
    qp_st_set_close(&set);
    return hash;
}

static void scans_strictly(const char *path) {
    void *map;
    size_t n;
    qp_st_scan scan;
    OK(qp_st_map(path, &map, &n, &err));
    OK(qp_st_scan_bytes(path, map, n, true, arena, &scan, &err));
    for (int rule = 0; rule < QP_ST_RULES; rule++)
        ck_assert_msg(scan.n_deviations[rule] == 0, "%s: %s", path, qp_st_rules[rule].id);
    munmap(map, n);
}

START_TEST(every_preset_opens_strictly_with_its_index_and_its_original) {
    for (int i = 0; i < qp_synth_n_presets; i++) {
        qp_synth_options o = asked(qp_synth_presets[i].name, qp_synth_presets[i].name);
        qp_st_set set, original;
        const char *path;
        o.original = folder("original");
        OK(qp_synth_write(&o, arena, &err));
        for (int k = 1; k <= 2; k++) {
            OK(qp_arena_printf(arena, &path, &err, "%s/model-%05d-of-00002.safetensors", o.folder, k));
            scans_strictly(path);
        }
        OK(qp_st_set_open(o.folder, arena, &set, &err));
        OK(qp_st_set_open(o.original, arena, &original, &err));
        ck_assert_int_eq(set.n_files, 2);
        ck_assert_ptr_nonnull(qp_st_set_find(&set, "model.norm.weight", NULL));
        ck_assert_ptr_nonnull(qp_st_set_find(&original, "lm_head.weight", NULL));
        for (int f = 0; f < original.n_files; f++)
            for (int t = 0; t < original.files[f].n_tensors; t++)
                ck_assert_int_eq(original.files[f].tensors[t].dtype, QP_BF16);
        qp_st_set_close(&set);
        qp_st_set_close(&original);
        OK(qp_dir_remove(o.folder, &err));
        OK(qp_dir_remove(o.original, &err));
    }
}
END_TEST

// ---- names, types, shapes
// ---------------------------------------------------------------------------------------------------

// gate_proj [256, 128] of the dense layer, or what is named; suffixes in the order of names.
static const struct {
    const char *preset, *module, *parts;
} layouts[] = {
    {"modelopt-nvfp4", "mlp.gate_proj",
     ".input_scale F32 [] .weight U8 [256 64] .weight_scale F8_E4M3 [256 8] .weight_scale_2 F32 []"},
    {"modelopt-w4a16-nvfp4-g32", "mlp.gate_proj",
     ".weight U8 [256 64] .weight_scale F8_E4M3 [256 4] .weight_scale_2 F32 []"},
    {"modelopt-w4a16-nvfp4-g32", "self_attn.k_proj", ".weight BF16 [32 128]"},
    {"modelopt-w4a8-nvfp4", "mlp.gate_proj",
     ".input_scale F32 [] .weight U8 [256 64] .weight_scale F8_E4M3 [256 4] .weight_scale_2 F32 []"},
    {"modelopt-nvfp4-awq", "self_attn.o_proj",
     ".input_scale F32 [] .pre_quant_scale BF16 [128] .weight U8 [128 64] .weight_scale F8_E4M3 [128 8] "
     ".weight_scale_2 F32 []"},
    {"modelopt-nvfp4-svd", "mlp.down_proj",
     ".input_scale F32 [] .pre_quant_scale BF16 [256] .weight U8 [128 128] "
     ".weight_quantizer._svdquant_lora_a "
     "BF16 [32 256] .weight_quantizer._svdquant_lora_b BF16 [128 32] .weight_scale F8_E4M3 [128 16] "
     ".weight_scale_2 F32 []"},
    {"modelopt-fp8", "mlp.gate_proj", ".input_scale F32 [] .weight F8_E4M3 [256 128] .weight_scale F32 []"},
    {"modelopt-fp8-channel", "mlp.gate_proj", ".weight F8_E4M3 [256 128] .weight_scale F32 [256]"},
    {"modelopt-fp8-block", "mlp.gate_proj", ".weight F8_E4M3 [256 128] .weight_scale F32 [2 1 1 1]"},
    {"modelopt-fp8-block", "self_attn.k_proj", ".weight F8_E4M3 [32 128] .weight_scale F32 []"},
    {"modelopt-int8-sq", "mlp.gate_proj",
     ".input_scale F32 [] .pre_quant_scale BF16 [128] .weight I8 [256 128] .weight_scale F32 [256]"},
    {"modelopt-int8-wo", "mlp.gate_proj", ".weight I8 [256 128] .weight_scale F32 [256]"},
    {"modelopt-int4-awq", "mlp.down_proj",
     ".pre_quant_scale BF16 [256] .weight U8 [64 256] .weight_scale F32 [128 2]"},
    {"modelopt-w4a8-awq", "mlp.gate_proj",
     ".input_scale F32 [] .weight U8 [128 128] .weight_scale F32 [256 1] .weight_scale_2 F32 []"},
    {"modelopt-mxfp4", "mlp.gate_proj", ".weight U8 [256 64] .weight_scale U8 [256 4]"},
    {"modelopt-mxfp8", "mlp.gate_proj", ".weight F8_E4M3 [256 128] .weight_scale U8 [256 4]"},
    {"modelopt-fp8-kv-fp8", "self_attn.k_proj",
     ".input_scale F32 [] .k_scale F32 [] .weight F8_E4M3 [32 128] .weight_scale F32 []"},
    {"modelopt-mixed", "self_attn.q_proj",
     ".input_scale F32 [] .weight F8_E4M3 [128 128] .weight_scale F32 []"},
    {"modelopt-nvfp4-gpt-oss", "mlp.experts.gate_up_proj",
     " U8 [4 64 256] _bias BF16 [4 256] _input_scale F32 [] _weight_scale F8_E4M3 [4 8 256] _weight_scale_2 "
     "F32 []"},
    {"ct-nvfp4", "mlp.gate_proj",
     ".input_global_scale F32 [1] .weight_global_scale F32 [1] .weight_packed U8 [256 64] .weight_scale "
     "F8_E4M3 "
     "[256 8]"},
    {"ct-mxfp6", "mlp.gate_proj", ".weight_packed U8 [256 96] .weight_scale U8 [256 4]"},
    {"ct-float", "mlp.gate_proj", ".input_scale BF16 [1] .weight F8_E4M3 [256 128] .weight_scale BF16 [1]"},
    {"ct-float-channel", "mlp.gate_proj", ".weight F8_E4M3 [256 128] .weight_scale BF16 [256 1]"},
    {"ct-float-block", "self_attn.k_proj", ".weight F8_E4M3 [32 128] .weight_scale BF16 [1 1]"},
    {"ct-int8-asym", "mlp.gate_proj",
     ".weight I8 [256 128] .weight_scale BF16 [256 1] .weight_zero_point I8 [256 1]"},
    {"ct-pack-int4-asym", "mlp.down_proj",
     ".weight_packed I32 [128 32] .weight_scale BF16 [128 2] .weight_shape I64 [2] .weight_zero_point I32 "
     "[16 2]"},
    {"ct-pack-int3", "mlp.down_proj",
     ".weight_packed I32 [128 24] .weight_scale BF16 [128 2] .weight_shape I64 [2]"},
    {"deepseek-fp8", "mlp.down_proj", ".weight F8_E4M3 [128 256] .weight_scale_inv F32 [1 2]"},
    {"gpt-oss-mxfp4", "mlp.experts.down_proj",
     "_bias BF16 [4 128] _blocks U8 [4 128 4 16] _scales U8 [4 128 4]"},
    {"awq", "mlp.down_proj", ".qweight I32 [256 16] .qzeros I32 [2 16] .scales F16 [2 128]"},
    {"gptq", "mlp.down_proj",
     ".g_idx I32 [256] .qweight I32 [32 128] .qzeros I32 [2 16] .scales F16 [2 128]"},
    {"plain-bf16", "mlp.gate_proj", ".weight BF16 [256 128]"},
};

static const char *parts_of(const qp_st_set *set, const char *module) {
    const size_t n = strlen(module);
    qp_text text = {.arena = arena};
    const qp_st_tensor *found[16];
    int n_found = 0;
    for (int f = 0; f < set->n_files; f++)
        for (int t = 0; t < set->files[f].n_tensors; t++) {
            const qp_st_tensor *x = set->files[f].by_name[t];
            const char after = strncmp(x->name, module, n) == 0 ? x->name[n] : 'x';
            if (after == '.' || after == '_' || after == '\0') found[n_found++] = x;
        }
    for (int i = 0; i < n_found; i++) {
        OK(qp_text_add(&text, &err, "%s%s %s [", i > 0 ? " " : "", found[i]->name + n,
                       qp_dtype_st_name(found[i]->dtype)));
        for (int d = 0; d < found[i]->n_dims; d++)
            OK(qp_text_add(&text, &err, "%s%lld", d > 0 ? " " : "", (long long)found[i]->dims[d]));
        OK(qp_text_add(&text, &err, "]"));
    }
    return text.s;
}

START_TEST(names_types_and_shapes_are_those_of_the_table) {
    for (int i = 0; i < QP_COUNT(layouts); i++) {
        qp_synth_options o = asked(layouts[i].preset, "layout");
        qp_st_set set;
        const char *module;
        o.shards = 1; // everything of a module in one file, by name
        OK(qp_synth_write(&o, arena, &err));
        OK(qp_st_set_open(o.folder, arena, &set, &err));
        OK(qp_arena_printf(arena, &module, &err, "model.layers.0.%s", layouts[i].module));
        ck_assert_str_eq(parts_of(&set, module), layouts[i].parts);
        qp_st_set_close(&set);
        OK(qp_dir_remove(o.folder, &err));
    }
}
END_TEST

// ---- seeds and options
// -------------------------------------------------------------------------------------------------------

START_TEST(a_seed_means_its_bytes_and_another_seed_others) {
    qp_synth_options a = asked("modelopt-nvfp4", "a"), b = asked("modelopt-nvfp4", "b"), c = b;
    c.folder = folder("c");
    c.seed++;
    const uint64_t hash = hash_of(&a);
    ck_assert(hash == hash_of(&b));
    ck_assert(hash != hash_of(&c));
}
END_TEST

START_TEST(how_it_is_cut_into_shards_changes_no_tensor) {
    qp_synth_options one = asked("ct-pack-int4", "one"), five = asked("ct-pack-int4", "five");
    one.shards = 1;
    five.shards = 5;
    ck_assert(hash_of(&one) == hash_of(&five));
}
END_TEST

static uint64_t tensor_hash(const qp_st_set *set, const char *name) {
    const qp_st_tensor *t = qp_st_set_find(set, name, NULL);
    ck_assert_msg(t != NULL, "%s is absent", name);
    return qp_hash64(t->data, t->n_bytes, 0);
}

START_TEST(repeated_layers_are_equal_and_others_are_not) {
    static const char first[] = "model.layers.0.mlp.up_proj.weight",
                      last[] = "model.layers.2.mlp.up_proj.weight";
    for (int repeat = 0; repeat < 2; repeat++) {
        qp_synth_options o = asked("modelopt-nvfp4", repeat ? "repeat" : "each");
        qp_st_set set;
        o.moe = false;
        o.layers = 3;
        o.repeat = repeat;
        OK(qp_synth_write(&o, arena, &err));
        OK(qp_st_set_open(o.folder, arena, &set, &err));
        ck_assert_int_eq(tensor_hash(&set, first) == tensor_hash(&set, last), repeat);
        qp_st_set_close(&set);
    }
}
END_TEST

START_TEST(a_tied_model_has_no_head) {
    qp_synth_options o = asked("modelopt-nvfp4", "tied");
    qp_st_set set;
    o.tied = true;
    OK(qp_synth_write(&o, arena, &err));
    OK(qp_st_set_open(o.folder, arena, &set, &err));
    ck_assert_ptr_null(qp_st_set_find(&set, "lm_head.weight", NULL));
    qp_st_set_close(&set);
}
END_TEST

static float f32_of(const qp_st_set *set, const char *name) {
    const qp_st_tensor *t = qp_st_set_find(set, name, NULL);
    float v;
    ck_assert_msg(t != NULL && t->n_bytes == sizeof v, "%s", name);
    memcpy(&v, t->data, sizeof v);
    return v;
}

START_TEST(members_of_a_group_share_the_global_and_groups_do_not) {
    qp_synth_options o = asked("modelopt-nvfp4", "shared");
    qp_st_set set;
    OK(qp_synth_write(&o, arena, &err));
    OK(qp_st_set_open(o.folder, arena, &set, &err));
    const float q = f32_of(&set, "model.layers.0.self_attn.q_proj.weight_scale_2");
    const float gate = f32_of(&set, "model.layers.0.mlp.gate_proj.weight_scale_2");
    ck_assert(q == f32_of(&set, "model.layers.0.self_attn.v_proj.weight_scale_2"));
    ck_assert(gate == f32_of(&set, "model.layers.0.mlp.up_proj.weight_scale_2"));
    ck_assert(gate != q);
    ck_assert(f32_of(&set, "model.layers.1.mlp.experts.0.gate_proj.weight_scale_2") !=
              f32_of(&set, "model.layers.1.mlp.experts.1.gate_proj.weight_scale_2"));
    qp_st_set_close(&set);
}
END_TEST

START_TEST(an_unknown_preset_and_an_odd_size_are_refused) {
    qp_synth_options o = asked("modelopt-nvfp5", "no");
    ck_assert_int_eq(qp_synth_write(&o, arena, &err), QP_USAGE);
    qp_err_clear(&err);
    o = asked("modelopt-nvfp4", "no");
    o.hidden = 100;
    ck_assert_int_eq(qp_synth_write(&o, arena, &err), QP_USAGE);
}
END_TEST

int main(void) {
    Suite *s = suite_create("synth");
    TCase *t = tcase_create("writer");
    tcase_set_timeout(t, SECONDS);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, every_preset_opens_strictly_with_its_index_and_its_original);
    tcase_add_test(t, names_types_and_shapes_are_those_of_the_table);
    tcase_add_test(t, a_seed_means_its_bytes_and_another_seed_others);
    tcase_add_test(t, how_it_is_cut_into_shards_changes_no_tensor);
    tcase_add_test(t, repeated_layers_are_equal_and_others_are_not);
    tcase_add_test(t, a_tied_model_has_no_head);
    tcase_add_test(t, members_of_a_group_share_the_global_and_groups_do_not);
    tcase_add_test(t, an_unknown_preset_and_an_odd_size_are_refused);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
