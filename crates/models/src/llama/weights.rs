//! Key tables. They depend on the configuration: an output that shares the embedding may stand in a file once more, and
//! GGUF files order the rows of each head for llama.cpp's way of rotating.

use libellus_weights::{Layout, Rule};

use super::LlamaConfig;

impl LlamaConfig {
    /// `transformers`' `LlamaForCausalLM`.
    pub fn hugging_face_layout(&self) -> Layout {
        let mut rules = HUGGING_FACE.to_vec();
        if self.tie_embeddings {
            rules.push(Rule::UnwrittenAlias { ours: "embed_tokens.weight", theirs: "lm_head.weight" });
        }
        Layout::new("huggingface", rules)
    }

    /// GGUF files of the architecture `llama`, with llama.cpp's names.
    pub fn gguf_layout(&self) -> Layout {
        let mut rules = GGUF.to_vec();
        for ours in ["layers.*.self_attn.q_proj.*", "layers.*.self_attn.k_proj.*"] {
            rules.push(Rule::RopePairs { ours, head_dim: self.head_dim });
        }
        if self.tie_embeddings {
            rules.push(Rule::UnwrittenAlias { ours: "embed_tokens.weight", theirs: "output.weight" });
        }
        Layout::new("gguf", rules)
    }
}

const HUGGING_FACE: &[Rule] = &[
    Rule::Transpose { ours: "layers.*.*.*.weight" },
    Rule::Transpose { ours: "lm_head.weight" },
    Rule::Rename { ours: "**.gamma", theirs: "**.weight" },
    Rule::Rename { ours: "embed_tokens.**", theirs: "model.embed_tokens.**" },
    Rule::Rename { ours: "layers.**", theirs: "model.layers.**" },
    Rule::Rename { ours: "norm.**", theirs: "model.norm.**" },
    // The frequencies of rotation, which follow from the configuration.
    Rule::Drop { theirs: "model.layers.*.self_attn.rotary_emb.inv_freq" },
];

const GGUF: &[Rule] = &[
    Rule::Transpose { ours: "layers.*.*.*.weight" },
    Rule::Transpose { ours: "lm_head.weight" },
    Rule::Rename { ours: "**.gamma", theirs: "**.weight" },
    Rule::Rename { ours: "embed_tokens.*", theirs: "token_embd.*" },
    Rule::Rename { ours: "norm.*", theirs: "output_norm.*" },
    Rule::Rename { ours: "lm_head.*", theirs: "output.*" },
    Rule::Rename { ours: "layers.*.input_layernorm.*", theirs: "blk.*.attn_norm.*" },
    Rule::Rename { ours: "layers.*.self_attn.q_proj.*", theirs: "blk.*.attn_q.*" },
    Rule::Rename { ours: "layers.*.self_attn.k_proj.*", theirs: "blk.*.attn_k.*" },
    Rule::Rename { ours: "layers.*.self_attn.v_proj.*", theirs: "blk.*.attn_v.*" },
    Rule::Rename { ours: "layers.*.self_attn.o_proj.*", theirs: "blk.*.attn_output.*" },
    Rule::Rename { ours: "layers.*.post_attention_layernorm.*", theirs: "blk.*.ffn_norm.*" },
    Rule::Rename { ours: "layers.*.mlp.gate_proj.*", theirs: "blk.*.ffn_gate.*" },
    Rule::Rename { ours: "layers.*.mlp.up_proj.*", theirs: "blk.*.ffn_up.*" },
    Rule::Rename { ours: "layers.*.mlp.down_proj.*", theirs: "blk.*.ffn_down.*" },
    // The factors by which low frequencies are slowed down, which follow from the configuration.
    Rule::Drop { theirs: "rope_freqs.weight" },
];
