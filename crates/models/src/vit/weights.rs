//! Key tables.

use libellus_weights::{Layout, Rule};

/// timm's `VisionTransformer`.
pub const TIMM: Layout = Layout::table(
    "timm",
    &[
        Rule::Rename { ours: "**.gamma", theirs: "**.weight" },
        Rule::Rename { ours: "**.beta", theirs: "**.bias" },
        Rule::Rename { ours: "patch_embed.*", theirs: "patch_embed.proj.*" },
        Rule::Transpose { ours: "blocks.*.attn.*.weight" },
        Rule::Transpose { ours: "blocks.*.mlp.*.weight" },
        Rule::Transpose { ours: "head.weight" },
    ],
);

/// torchvision's `vit_b_16` to `vit_l_32`.
pub const TORCHVISION: Layout = Layout::table(
    "torchvision",
    &[
        Rule::Rename { ours: "**.gamma", theirs: "**.weight" },
        Rule::Rename { ours: "**.beta", theirs: "**.bias" },
        Rule::Rename { ours: "cls_token", theirs: "class_token" },
        Rule::Rename { ours: "pos_embed", theirs: "encoder.pos_embedding" },
        Rule::Rename { ours: "patch_embed.*", theirs: "conv_proj.*" },
        Rule::Rename { ours: "blocks.*.**", theirs: "encoder.layers.encoder_layer_*.**" },
        Rule::Rename { ours: "encoder.layers.*.norm1.*", theirs: "encoder.layers.*.ln_1.*" },
        Rule::Rename {
            ours: "encoder.layers.*.attn.qkv.weight",
            theirs: "encoder.layers.*.self_attention.in_proj_weight",
        },
        Rule::Rename {
            ours: "encoder.layers.*.attn.qkv.bias",
            theirs: "encoder.layers.*.self_attention.in_proj_bias",
        },
        Rule::Rename {
            ours: "encoder.layers.*.attn.proj.*",
            theirs: "encoder.layers.*.self_attention.out_proj.*",
        },
        Rule::Rename { ours: "encoder.layers.*.norm2.*", theirs: "encoder.layers.*.ln_2.*" },
        Rule::Rename { ours: "encoder.layers.*.mlp.fc1.*", theirs: "encoder.layers.*.mlp.0.*" },
        Rule::Rename { ours: "encoder.layers.*.mlp.fc2.*", theirs: "encoder.layers.*.mlp.3.*" },
        Rule::Rename { ours: "norm.*", theirs: "encoder.ln.*" },
        Rule::Rename { ours: "head.*", theirs: "heads.head.*" },
        Rule::Transpose { ours: "blocks.*.attn.*.weight" },
        Rule::Transpose { ours: "blocks.*.mlp.*.weight" },
        Rule::Transpose { ours: "head.weight" },
    ],
);

/// Hugging Face's `ViTForImageClassification`, as its checkpoints are published. Their configurations often say
/// `layer_norm_eps = 1e-12` where the presets here, as timm's, have an `epsilon` of 1e-6.
pub const HUGGING_FACE: Layout = Layout::table(
    "huggingface",
    &[
        Rule::Rename { ours: "**.gamma", theirs: "**.weight" },
        Rule::Rename { ours: "**.beta", theirs: "**.bias" },
        Rule::Rename { ours: "cls_token", theirs: "vit.embeddings.cls_token" },
        Rule::Rename { ours: "pos_embed", theirs: "vit.embeddings.position_embeddings" },
        Rule::Rename { ours: "patch_embed.*", theirs: "vit.embeddings.patch_embeddings.projection.*" },
        Rule::Rename { ours: "blocks.*.norm1.*", theirs: "vit.encoder.layer.*.layernorm_before.*" },
        Rule::Split {
            ours: "blocks.*.attn.qkv.*",
            theirs: &[
                "vit.encoder.layer.*.attention.attention.query.*",
                "vit.encoder.layer.*.attention.attention.key.*",
                "vit.encoder.layer.*.attention.attention.value.*",
            ],
            dim: 0,
        },
        Rule::Rename { ours: "blocks.*.attn.proj.*", theirs: "vit.encoder.layer.*.attention.output.dense.*" },
        Rule::Rename { ours: "blocks.*.norm2.*", theirs: "vit.encoder.layer.*.layernorm_after.*" },
        Rule::Rename { ours: "blocks.*.mlp.fc1.*", theirs: "vit.encoder.layer.*.intermediate.dense.*" },
        Rule::Rename { ours: "blocks.*.mlp.fc2.*", theirs: "vit.encoder.layer.*.output.dense.*" },
        Rule::Rename { ours: "norm.*", theirs: "vit.layernorm.*" },
        Rule::Rename { ours: "head.*", theirs: "classifier.*" },
        Rule::Transpose { ours: "blocks.*.attn.*.weight" },
        Rule::Transpose { ours: "blocks.*.mlp.*.weight" },
        Rule::Transpose { ours: "head.weight" },
        Rule::Drop { theirs: "vit.pooler.**" },
    ],
);
