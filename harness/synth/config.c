// SPDX-License-Identifier: Apache-2.0
// config.json and its companions as Model Optimizer and the single-method dialects write them (shapes spec
// 2.2, 2.4 to 2.6).
#include <string.h>

#include "synth/parts.h"

static json_t *base(const syn_model *m) {
    static const char *const types[] = {"llama", "mixtral", "deepseek_v3", "gpt_oss"};
    static const char *const classes[] = {"LlamaForCausalLM", "MixtralForCausalLM", "DeepseekV3ForCausalLM",
                                          "GptOssForCausalLM"};
    const qp_synth_options *o = m->o;
    json_t *c =
        json_pack("{s:[s], s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:s, s:s}", "architectures",
                  classes[m->style], "model_type", types[m->style], "hidden_size", (json_int_t)o->hidden,
                  "intermediate_size", (json_int_t)o->hidden + 128, "num_hidden_layers",
                  (json_int_t)o->layers, "num_attention_heads", (json_int_t)8, "num_key_value_heads",
                  (json_int_t)2, "head_dim", (json_int_t)o->hidden / 8, "vocab_size", (json_int_t)o->hidden,
                  "tie_word_embeddings", o->tied, "dtype", "bfloat16", "transformers_version", "5.23.0");
    if (!o->moe) return c;
    const char *key =
        m->style == SYN_DEEPSEEK || m->style == SYN_LLAMA ? "n_routed_experts" : "num_local_experts";
    json_object_set_new(c, key, json_integer(o->experts));
    if (m->style != SYN_MIXTRAL && m->style != SYN_GPT_OSS)
        json_object_set_new(c, "first_k_dense_replace", json_integer(1));
    return c;
}

// ---- Model Optimizer
// -------------------------------------------------------------------------------------------------------

static const syn_scheme *scheme_of(const syn_recipe *r) {
    return r->rules[0].scheme;
}

static bool attention_left(const syn_recipe *r) {
    return !((r->rules[0].kinds | r->rules[1].kinds) & SYN_ATTN);
}

// Full names; a block left whole by "name*"; lm_head first, also when it is tied.
static json_t *excluded(const syn_recipe *r, const syn_model *m) {
    json_t *list = json_array();
    json_array_append_new(list, json_string("lm_head"));
    json_array_append_new(list, json_string("model.embed_tokens"));
    for (int i = 0; i < m->n; i++) {
        const syn_module *mod = &m->modules[i];
        if (mod->kind == SYN_ROUTER) json_array_append_new(list, json_string(mod->name));
        if (mod->kind != SYN_ATTN || !attention_left(r) || strstr(mod->name, ".o_proj") == NULL) continue;
        const char *end = strstr(mod->name, ".self_attn") + strlen(".self_attn");
        json_array_append_new(list, json_sprintf("%.*s*", (int)(end - mod->name), mod->name));
    }
    return list;
}

static json_t *number_args(const syn_scheme *s) {
    json_t *a = json_pack("{s:b, s:i, s:s}", "dynamic", 0, "num_bits", s->bits, "type", "float");
    if (s->group > 0) json_object_set_new(a, "group_size", json_integer(s->group));
    return a;
}

static json_t *config_group(const syn_recipe *r, const syn_scheme *s, json_t *targets) {
    json_t *g = json_object();
    if (s->input != SYN_NO_INPUT) json_object_set_new(g, "input_activations", number_args(s));
    json_object_set_new(g, "weights", number_args(s));
    if (r->awq_words) {
        json_object_set_new(g, "has_zero_point", json_false());
        json_object_set_new(g, "pre_quant_scale", json_true());
    }
    json_object_set_new(g, "targets", targets);
    return g;
}

static json_t *names_of(const syn_recipe *r, const syn_model *m, const syn_part_rule *rule) {
    json_t *names = json_array();
    for (int i = 0; i < m->n; i++)
        if (syn_rule_of(r, &m->modules[i]) == rule)
            json_array_append_new(names, json_string(m->modules[i].name));
    return names;
}

static json_t *quantized_layers(const syn_recipe *r, const syn_model *m) {
    json_t *layers = json_object();
    for (int i = 0; i < m->n; i++) {
        const syn_part_rule *rule = syn_rule_of(r, &m->modules[i]);
        if (rule == NULL) continue;
        json_t *one = json_pack("{s:s}", "quant_algo", rule->said != NULL ? rule->said : r->said);
        if (rule->scheme->group > 0)
            json_object_set_new(one, "group_size", json_integer(rule->scheme->group));
        json_object_set_new(layers, m->modules[i].name, one);
    }
    return layers;
}

static json_t *kv_scheme(const char *kv) {
    if (strcmp(kv, "FP8") != 0) return json_string(kv);
    return json_pack("{s:b, s:i, s:s}", "dynamic", 0, "num_bits", 8, "type", "float");
}

static bool is_mixed(const syn_recipe *r) {
    return r->rules[1].kinds != 0;
}

static json_t *producer(void) {
    return json_pack("{s:s, s:s}", "name", "modelopt", "version", "0.47.0");
}

static json_t *hf_quant_of(const syn_recipe *r, const syn_model *m) {
    json_t *q = json_pack("{s:s, s:o}", "quant_algo", r->said, "kv_cache_quant_algo",
                          r->kv != NULL ? json_string(r->kv) : json_null());
    if (is_mixed(r)) {
        json_object_set_new(q, "quantized_layers", quantized_layers(r, m));
    } else {
        if (!r->no_group_size) json_object_set_new(q, "group_size", json_integer(scheme_of(r)->group));
        if (r->awq_words) {
            json_object_set_new(q, "has_zero_point", json_false());
            json_object_set_new(q, "pre_quant_scale", json_true());
        }
        json_object_set_new(q, "exclude_modules", excluded(r, m));
    }
    return json_pack("{s:o, s:o}", "producer", producer(), "quantization", q);
}

json_t *syn_config_modelopt(const syn_recipe *r, const syn_model *m, json_t **hf_quant) {
    json_t *q = json_object(), *groups = json_object();
    *hf_quant = hf_quant_of(r, m);
    if (is_mixed(r)) {
        for (int i = 0; i < QP_COUNT(r->rules); i++)
            json_object_set_new(groups, i == 0 ? "group_0" : "group_1",
                                config_group(r, r->rules[i].scheme, names_of(r, m, &r->rules[i])));
        json_object_set_new(q, "quantized_layers", quantized_layers(r, m));
    } else if (r->groups) {
        json_object_set_new(groups, "group_0", config_group(r, scheme_of(r), json_pack("[s]", "Linear")));
    }
    if (json_object_size(groups) > 0) json_object_set(q, "config_groups", groups);
    json_decref(groups);
    json_object_set_new(q, "ignore", is_mixed(r) ? json_array() : excluded(r, m));
    json_object_set_new(q, "quant_algo", json_string(r->said));
    if (r->kv != NULL) json_object_set_new(q, "kv_cache_scheme", kv_scheme(r->kv));
    json_object_set_new(q, "producer", producer());
    json_object_set_new(q, "quant_method", json_string("modelopt"));
    return q;
}

// ---- one method for everything
// ----------------------------------------------------------------------------------------------

json_t *syn_config_other(const syn_recipe *r, const syn_model *m) {
    const syn_scheme *s = scheme_of(r);
    if (s->pack == SYN_AWQ)
        return json_pack("{s:i, s:i, s:o, s:s, s:s, s:b}", "bits", s->bits, "group_size", s->group,
                         "modules_to_not_convert", m->o->moe ? json_pack("[s]", "gate") : json_null(),
                         "quant_method", "awq", "version", "gemm", "zero_point", 1);
    if (s->pack == SYN_GPTQ)
        return json_pack("{s:i, s:s, s:b, s:i, s:b, s:s, s:s, s:b}", "bits", s->bits, "checkpoint_format",
                         s->v2 ? "gptq_v2" : "gptq", "desc_act", s->act_order, "group_size", s->group,
                         "lm_head", 0, "pack_dtype", "int32", "quant_method", "gptq", "sym", !s->asymmetric);
    if (r->style == SYN_GPT_OSS)
        return json_pack("{s:[s,s,s,s], s:s}", "modules_to_not_convert", "model.layers.*.self_attn",
                         "model.layers.*.mlp.router", "model.embed_tokens", "lm_head", "quant_method",
                         "mxfp4");
    return json_pack("{s:s, s:s, s:s, s:[i,i]}", "activation_scheme", "dynamic", "fmt", "e4m3",
                     "quant_method", "fp8", "weight_block_size", 128, 128);
}

qp_status syn_write_configs(const syn_recipe *r, const syn_model *m, const char *folder, bool original,
                            qp_arena *a, qp_err *err) {
    qp_status status = QP_OK;
    json_t *config = base(m), *q = NULL, *hf_quant = NULL;
    if (!original && r->config == SYN_CFG_MODELOPT) q = syn_config_modelopt(r, m, &hf_quant);
    if (!original && r->config == SYN_CFG_CT) q = syn_config_ct(r, m);
    if (!original && r->config == SYN_CFG_OTHER) q = syn_config_other(r, m);
    if (q != NULL) json_object_set(config, "quantization_config", q);
    QP_TRY_GOTO(status, syn_write_json(folder, "config.json", config, a, err), out);
    if (hf_quant != NULL)
        QP_TRY_GOTO(status, syn_write_json(folder, "hf_quant_config.json", hf_quant, a, err), out);
    if (q != NULL && scheme_of(r)->pack == SYN_GPTQ)
        QP_TRY_GOTO(status, syn_write_json(folder, "quantize_config.json", q, a, err), out);
out:
    json_decref(config);
    json_decref(q);
    json_decref(hf_quant);
    return status;
}
