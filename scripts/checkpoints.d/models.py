# SPDX-License-Identifier: Apache-2.0
"""Small random models of the families found on the Hub: seeded BF16 weights, real classes of transformers."""

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

# Families of shapes spec 1.1, scaled down. In-features are multiples of 128: 128 x 128 blocks and groups of 128 fit.
ATTENTION = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64}
FULL = {"hidden_size": 256, "vocab_size": 512, "num_hidden_layers": 2, "max_position_embeddings": 128}
MOE = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 256, "decoder_sparse_step": 1}
MLA = {
    "q_lora_rank": 128,
    "kv_lora_rank": 128,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 32,
    "v_head_dim": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
}
DEEPSEEK = {
    **MLA,
    "intermediate_size": 512,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 128,
    "n_shared_experts": 1,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
}
MAMBA = {
    "layers_block_type": ["linear_attention", "moe", "full_attention", "moe"],
    "num_hidden_layers": 4,
    "mamba_num_heads": 8,
    "mamba_head_dim": 64,
    "ssm_state_size": 32,
    "n_groups": 2,
    "chunk_size": 16,
    "intermediate_size": 512,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 256,
    "moe_shared_expert_intermediate_size": 512,
    "n_group": 1,
    "topk_group": 1,
}
GPT_OSS = {
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "intermediate_size": 256,
    "sliding_window": 16,
    "layer_types": ["sliding_attention", "full_attention"],
}

# name -> (model_type, fields over FULL)
MODELS = {
    "llama": ("llama", {**ATTENTION, "intermediate_size": 512}),
    "llama-wide": ("llama", {**ATTENTION, "intermediate_size": 512}),
    "qwen3": ("qwen3", {**ATTENTION, "intermediate_size": 512, "tie_word_embeddings": True}),
    "qwen3-moe": ("qwen3_moe", {**ATTENTION, **MOE, "intermediate_size": 512}),
    "mixtral": ("mixtral", {**ATTENTION, "intermediate_size": 256, "num_local_experts": 4}),
    "deepseek-v3": ("deepseek_v3", DEEPSEEK),
    "nemotron-h": ("nemotron_h", {**ATTENTION, **MAMBA}),
    "gpt-oss": ("gpt_oss", {**ATTENTION, **GPT_OSS}),
}
# The smallest that still has every kind of tensor, for the fixtures of the default tests; "wide" where groups of 128
# or 128 x 128 blocks are wanted, and more than one of them.
TINY = {"hidden_size": 64, "vocab_size": 16, "num_hidden_layers": 1, "max_position_embeddings": 32}
TINY_ATTENTION = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 64}
TINY_OF = {
    "llama": {**TINY_ATTENTION, "intermediate_size": 64},
    "llama-wide": {**HEADS, "hidden_size": 128, "intermediate_size": 256},
    "qwen3-moe": {**TINY_ATTENTION, "num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 64},
    "deepseek-v3": {
        "first_k_dense_replace": 0,
        "q_lora_rank": 32,
        "kv_lora_rank": 32,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "n_routed_experts": 4,
        "num_experts_per_tok": 1,
        "moe_intermediate_size": 32,
    },
    "nemotron-h": {
        **TINY_ATTENTION,
        "num_hidden_layers": 3,
        "layers_block_type": ["linear_attention", "moe", "full_attention"],
        "mamba_num_heads": 2,
        "mamba_head_dim": 32,
        "ssm_state_size": 16,
        "n_routed_experts": 2,
        "num_experts_per_tok": 1,
        "moe_intermediate_size": 64,
        "moe_shared_expert_intermediate_size": 64,
    },
    "gpt-oss": {
        **TINY_ATTENTION,
        "num_local_experts": 2,
        "num_experts_per_tok": 1,
        "intermediate_size": 96,
        "layer_types": ["sliding_attention"],
    },
}
TOKEN_IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
DEAD_EXPERT = 1


def supported(name):
    return MODELS[name][0] in transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES


def build(name, seed, tiny=False, zero_expert=False):
    """A seeded BF16 model. Members of fused groups get unequal ranges: a shared scale is told from an own one."""
    kind, fields = MODELS[name]
    size = {**TINY, **TINY_OF[name]} if tiny else {}
    config = AutoConfig.for_model(kind, **{**FULL, **fields, **size, **TOKEN_IDS})
    transformers.set_seed(seed)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").to(torch.bfloat16).eval()
    gen = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for path, p in sorted(model.named_parameters()):
            if p.dim() < 2 or "conv1d" in path:
                continue
            gain = 0.05 * (1.0 + 0.25 * (sum(path.encode()) % 7))
            p.copy_((torch.randn(p.shape, generator=gen) * gain).to(p.dtype))
        if zero_expert:
            silence(model)
    return model


def silence(model):
    """All weights of one routed expert of every layer become zero: a padded or dead expert."""
    for path, p in model.named_parameters():
        if f".experts.{DEAD_EXPERT}." in path:
            p.zero_()
        elif ".experts." in path and p.dim() == 3:
            p[DEAD_EXPERT].zero_()


def tokens(config, seed, batches, length):
    gen = torch.Generator().manual_seed(seed + 1)
    return [torch.randint(3, config.vocab_size, (1, length), generator=gen) for _ in range(batches)]
