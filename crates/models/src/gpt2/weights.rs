//! Key tables.

use libellus_weights::{Layout, Rule};

/// `transformers`' `GPT2Model` and `GPT2LMHeadModel`, whose names begin with `transformer.` in some files. Its `Conv1D`
/// layers store matrices as they are held here.
pub const HUGGING_FACE: Layout = Layout::table(
    "huggingface",
    &[
        Rule::Rename { ours: "**.gamma", theirs: "**.weight" },
        Rule::Rename { ours: "**.beta", theirs: "**.bias" },
        Rule::Prefix { theirs: "transformer" },
        Rule::UnwrittenAlias { ours: "wte.weight", theirs: "lm_head.weight" },
        // The causal mask, and what hidden scores are set to.
        Rule::Drop { theirs: "h.*.attn.bias" },
        Rule::Drop { theirs: "h.*.attn.masked_bias" },
    ],
);

/// GGUF files of the architecture `gpt2`, with llama.cpp's names.
pub const GGUF: Layout = Layout::table(
    "gguf",
    &[
        Rule::Rename { ours: "**.gamma", theirs: "**.weight" },
        Rule::Rename { ours: "**.beta", theirs: "**.bias" },
        Rule::Transpose { ours: "h.*.attn.c_attn.weight" },
        Rule::Transpose { ours: "h.*.attn.c_proj.weight" },
        Rule::Transpose { ours: "h.*.mlp.c_fc.weight" },
        Rule::Transpose { ours: "h.*.mlp.c_proj.weight" },
        Rule::Rename { ours: "wte.*", theirs: "token_embd.*" },
        Rule::Rename { ours: "wpe.*", theirs: "position_embd.*" },
        Rule::Rename { ours: "ln_f.*", theirs: "output_norm.*" },
        Rule::Rename { ours: "h.*.ln_1.*", theirs: "blk.*.attn_norm.*" },
        Rule::Rename { ours: "h.*.attn.c_attn.*", theirs: "blk.*.attn_qkv.*" },
        Rule::Rename { ours: "h.*.attn.c_proj.*", theirs: "blk.*.attn_output.*" },
        Rule::Rename { ours: "h.*.ln_2.*", theirs: "blk.*.ffn_norm.*" },
        Rule::Rename { ours: "h.*.mlp.c_fc.*", theirs: "blk.*.ffn_up.*" },
        Rule::Rename { ours: "h.*.mlp.c_proj.*", theirs: "blk.*.ffn_down.*" },
        Rule::UnwrittenAlias { ours: "wte.weight", theirs: "output.weight" },
    ],
);

/// nanoGPT's `model.py`, whose names begin with `_orig_mod.` if the model was compiled.
pub const NANOGPT: Layout = Layout::table(
    "nanogpt",
    &[
        Rule::Rename { ours: "**.gamma", theirs: "**.weight" },
        Rule::Rename { ours: "**.beta", theirs: "**.bias" },
        Rule::Rename { ours: "**", theirs: "transformer.**" },
        Rule::Transpose { ours: "h.*.attn.c_attn.weight" },
        Rule::Transpose { ours: "h.*.attn.c_proj.weight" },
        Rule::Transpose { ours: "h.*.mlp.c_fc.weight" },
        Rule::Transpose { ours: "h.*.mlp.c_proj.weight" },
        Rule::Prefix { theirs: "_orig_mod" },
        Rule::Alias { ours: "wte.weight", theirs: "lm_head.weight" },
        // The causal mask.
        Rule::Drop { theirs: "transformer.h.*.attn.bias" },
    ],
);
