//! Key tables.

use libellus_weights::{Layout, Rule};

/// `torch.nn.Transformer`, whose names may begin with `transformer`, beside `embedding.weight` of both languages and, with a
/// layer of its own for the output, `output.weight` and `output.bias`.
pub const PYTORCH: Layout = Layout::table(
    "pytorch",
    &[
        Rule::Rename { ours: "**.gamma", theirs: "**.weight" },
        Rule::Rename { ours: "**.beta", theirs: "**.bias" },
        Rule::Rename { ours: "*.layers.*.attn.qkv.weight", theirs: "*.layers.*.self_attn.in_proj_weight" },
        Rule::Rename { ours: "*.layers.*.attn.qkv.bias", theirs: "*.layers.*.self_attn.in_proj_bias" },
        Rule::Rename { ours: "*.layers.*.attn.proj.*", theirs: "*.layers.*.self_attn.out_proj.*" },
        Rule::Join {
            ours: &[
                "decoder.layers.*.cross_attn.query.weight",
                "decoder.layers.*.cross_attn.key.weight",
                "decoder.layers.*.cross_attn.value.weight",
            ],
            theirs: "decoder.layers.*.multihead_attn.in_proj_weight",
            dim: 0,
        },
        Rule::Join {
            ours: &[
                "decoder.layers.*.cross_attn.query.bias",
                "decoder.layers.*.cross_attn.key.bias",
                "decoder.layers.*.cross_attn.value.bias",
            ],
            theirs: "decoder.layers.*.multihead_attn.in_proj_bias",
            dim: 0,
        },
        Rule::Rename {
            ours: "decoder.layers.*.cross_attn.proj.*",
            theirs: "decoder.layers.*.multihead_attn.out_proj.*",
        },
        Rule::Rename { ours: "*.layers.*.mlp.fc1.*", theirs: "*.layers.*.linear1.*" },
        Rule::Rename { ours: "*.layers.*.mlp.fc2.*", theirs: "*.layers.*.linear2.*" },
        Rule::Transpose { ours: "*.layers.*.*.*.weight" },
        Rule::Transpose { ours: "output.weight" },
        Rule::Prefix { theirs: "transformer" },
    ],
);
