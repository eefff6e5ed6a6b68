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
