// SPDX-License-Identifier: Apache-2.0
// quantization_config as compressed-tensors 0.20 writes it (shapes spec 2.3).
#include <string.h>

#include "synth/parts.h"

static const char *type_of(const syn_scheme *s) {
    return s->format == QP_INT8 ? "int" : "float";
}

static const char *strategy_of(const syn_scheme *s) {
    static const char *const names[] = {
        [SYN_ONE] = "tensor",  [SYN_ROW] = "channel", [SYN_ROW_1] = "channel",
        [SYN_GROUP] = "group", [SYN_TILE] = "block",  [SYN_TILE_4D] = "block"};
    if (s->encode == syn_encode_nvfp4) return "tensor_group";
    return s->encode == syn_encode_mx ? "group" : names[s->spread];
}

static json_t *weights(const syn_scheme *s) {
    json_t *a = json_pack("{s:b, s:i, s:s, s:s, s:b, s:s}", "dynamic", 0, "num_bits", s->bits, "observer",
                          "memoryless_minmax", "strategy", strategy_of(s), "symmetric", !s->asymmetric,
                          "type", type_of(s));
    if (s->group > 0) json_object_set_new(a, "group_size", json_integer(s->group));
    if (s->spread == SYN_TILE) json_object_set_new(a, "block_structure", json_pack("[i,i]", 128, 128));
    if (s->encode == syn_encode_nvfp4)
        json_object_set_new(a, "scale_dtype", json_string("torch.float8_e4m3fn"));
    if (s->encode == syn_encode_mx) json_object_set_new(a, "scale_dtype", json_string("torch.uint8"));
    if (s->asymmetric) json_object_set_new(a, "zp_dtype", json_string("torch.int8"));
    return a;
}

static json_t *inputs(const syn_scheme *s) {
    if (s->pack == SYN_WORDS || (s->encode == syn_encode_nvfp4 && s->input == SYN_NO_INPUT))
        return json_null();
    if (s->encode != syn_encode_levels) { // blocks as the weight's
        json_t *a = weights(s);
        const bool local = s->encode == syn_encode_nvfp4;
        json_object_set_new(a, "dynamic", local ? json_string("local") : json_true());
        json_object_del(a, "observer");
        if (local) json_object_set_new(a, "observer", json_string("static_minmax"));
        return a;
    }
    const bool fixed = s->input == SYN_INPUT_BF16, tiles = s->spread == SYN_TILE;
    const char *strategy = fixed ? "tensor" : tiles ? "group" : "token";
    json_t *a = json_pack("{s:b, s:i, s:s, s:b, s:s}", "dynamic", !fixed, "num_bits", 8, "strategy", strategy,
                          "symmetric", 1, "type", type_of(s));
    if (fixed) json_object_set_new(a, "observer", json_string("static_minmax"));
    if (tiles) json_object_set_new(a, "group_size", json_integer(128));
    return a;
}

static json_t *group_of(const syn_recipe *r, const syn_part_rule *rule, json_t *targets) {
    return json_pack("{s:s, s:o, s:o, s:o}", "format", rule->said != NULL ? rule->said : r->said,
                     "input_activations", inputs(rule->scheme), "targets", targets, "weights",
                     weights(rule->scheme));
}

json_t *syn_config_ct(const syn_recipe *r, const syn_model *m) {
    const bool mixed = r->rules[1].kinds != 0;
    json_t *groups = json_object(), *ignore = json_array();
    for (int i = 0; i < m->n; i++)
        if (m->modules[i].kind == SYN_ROUTER) json_array_append_new(ignore, json_string(m->modules[i].name));
    json_array_append_new(ignore, json_string("lm_head"));
    json_object_set_new(
        groups, "group_0",
        group_of(r, &r->rules[0], json_pack("[s]", mixed ? "re:.*self_attn.*_proj$" : "Linear")));
    if (mixed)
        json_object_set_new(groups, "group_1",
                            group_of(r, &r->rules[1], json_pack("[s]", "re:.*mlp.*_proj$")));
    return json_pack("{s:o, s:s, s:n, s:o, s:n, s:s, s:s, s:{}, s:{}, s:s}", "config_groups", groups,
                     "format", r->said, "global_compression_ratio", "ignore", ignore, "kv_cache_scheme",
                     "quant_method", "compressed-tensors", "quantization_status", "compressed",
                     "sparsity_config", "transform_config", "version", "0.20.0");
}
