//! Key tables.

use libellus_weights::{Layout, Rule};

/// Hugging Face's `BertModel`, and any `BertFor...` whose other parts are dropped. In the latter, all names of the encoder
/// begin with `bert`.
pub const HUGGING_FACE: Layout = Layout::table("huggingface", &NOW);

/// The same as files had it that were converted from TensorFlow, the first ones of BERT among them: normalisations have
/// `gamma` and `beta`.
pub const HUGGING_FACE_OLD: Layout = Layout::table("huggingface-old", &OLD);

const NOW: [Rule; 22] = rules("**.weight", "**.bias");

const OLD: [Rule; 22] = rules("**.gamma", "**.beta");

/// The table, with what the scale and the shift of a normalisation are called.
const fn rules(gamma: &'static str, beta: &'static str) -> [Rule; 22] {
    [
        Rule::Rename { ours: "**.gamma", theirs: gamma },
        Rule::Rename { ours: "**.beta", theirs: beta },
        Rule::Rename { ours: "token_embed.*", theirs: "embeddings.word_embeddings.*" },
        Rule::Rename { ours: "pos_embed.*", theirs: "embeddings.position_embeddings.*" },
        Rule::Rename { ours: "type_embed.*", theirs: "embeddings.token_type_embeddings.*" },
        Rule::Rename { ours: "norm.*", theirs: "embeddings.LayerNorm.*" },
        Rule::Rename { ours: "pooler.*", theirs: "pooler.dense.*" },
        Rule::Split {
            ours: "blocks.*.attn.qkv.*",
            theirs: &[
                "encoder.layer.*.attention.self.query.*",
                "encoder.layer.*.attention.self.key.*",
                "encoder.layer.*.attention.self.value.*",
            ],
            dim: 0,
        },
        Rule::Rename { ours: "blocks.*.attn.proj.*", theirs: "encoder.layer.*.attention.output.dense.*" },
        Rule::Rename { ours: "blocks.*.norm1.*", theirs: "encoder.layer.*.attention.output.LayerNorm.*" },
        Rule::Rename { ours: "blocks.*.mlp.fc1.*", theirs: "encoder.layer.*.intermediate.dense.*" },
        Rule::Rename { ours: "blocks.*.mlp.fc2.*", theirs: "encoder.layer.*.output.dense.*" },
        Rule::Rename { ours: "blocks.*.norm2.*", theirs: "encoder.layer.*.output.LayerNorm.*" },
        Rule::Transpose { ours: "blocks.*.attn.*.weight" },
        Rule::Transpose { ours: "blocks.*.mlp.*.weight" },
        Rule::Transpose { ours: "pooler.weight" },
        Rule::Prefix { theirs: "bert" },
        // A buffer with the numbers from 0.
        Rule::Drop { theirs: "embeddings.position_ids" },
        // Where the configuration has no pooler.
        Rule::Drop { theirs: "pooler.**" },
        // Heads of the pre-training tasks and of others.
        Rule::Drop { theirs: "cls.**" },
        Rule::Drop { theirs: "classifier.**" },
        Rule::Drop { theirs: "qa_outputs.**" },
    ]
}
