//! The metadata of GGUF files.

use libellus_layers::Rope;
use libellus_weights::Checkpoint;

use super::config::head_dim;
use super::{LlamaConfig, LlamaRopeScaling};
use crate::ConfigError;
use crate::foreign_config::ForeignConfig;
use crate::gguf::{keys, vocab_size};

/// What the low frequencies are divided by, one number for each pair of elements of a head.
const ROPE_FACTORS: &str = "rope_freqs.weight";

/// The configuration as llama.cpp's converter writes it, `None` if the file is of another architecture.
///
/// Refused is what isn't supported here: experts, rotation of a part of each head, another kind of scaling than Llama 3's.
pub(super) fn read(checkpoint: &Checkpoint) -> Option<Result<LlamaConfig, ConfigError>> {
    const NAME: &str = "llama";
    keys(NAME, checkpoint).map(|keys| convert(&ForeignConfig::new(NAME, &keys), checkpoint))
}

fn convert(keys: &ForeignConfig, checkpoint: &Checkpoint) -> Result<LlamaConfig, ConfigError> {
    keys.only("expert_count", "0", |count| count.as_u64() == Some(0))?;
    keys.only("rope.scaling.type", "none", |kind| kind.as_str() == Some("none"))?;
    // Without a type, llama.cpp takes the factor for one of linear scaling; 0 says that there is none.
    for key in ["rope.scaling.factor", "rope.scale_linear"] {
        keys.only(key, "1", |factor| matches!(factor.as_f64(), Some(0.0 | 1.0)))?;
    }
    let (d_model, n_heads) = (keys.required("embedding_length")?, keys.required("attention.head_count")?);
    let given = keys.optional("attention.key_length")?;
    let head_dim = head_dim(given, ("embedding_length", d_model), ("attention.head_count", n_heads))?;
    for key in ["attention.value_length", "rope.dimension_count"] {
        keys.only(key, "the width of a head", |width| width.as_u64() == Some(head_dim as u64))?;
    }
    let rope_theta = keys.optional("rope.freq_base")?.unwrap_or(10_000.0);
    let has = |tensor| checkpoint.info(tensor).is_some();
    let config = LlamaConfig {
        vocab_size: vocab_size(keys, checkpoint)?,
        context: keys.required("context_length")?,
        n_layers: keys.required("block_count")?,
        n_heads,
        n_kv_heads: keys.optional("attention.head_count_kv")?.unwrap_or(n_heads),
        head_dim,
        d_model,
        d_ff: keys.required("feed_forward_length")?,
        attention_bias: has("blk.0.attn_q.bias"),
        tie_embeddings: !has("output.weight"),
        epsilon: keys.required("attention.layer_norm_rms_epsilon")?,
        rope_theta,
        rope_scaling: None,
        dropout: 0.0,
    };
    config.validate()?;
    let rope_scaling = if has(ROPE_FACTORS) { scaling(keys, checkpoint, &config)? } else { None };
    let config = LlamaConfig { rope_scaling, ..config };
    config.validate()?;
    Ok(config)
}

/// The scaling that gives the factors in the file, `None` if all are 1. They don't tell its constants, of which all Llamas from 3.1 on share all but one.
fn scaling(
    keys: &ForeignConfig,
    checkpoint: &Checkpoint,
    config: &LlamaConfig,
) -> Result<Option<LlamaRopeScaling>, ConfigError> {
    let failed = |reason: String| keys.malformed(format!("tensor `{ROPE_FACTORS}`: {reason}"));
    let data = checkpoint.tensor(ROPE_FACTORS).map_err(|error| failed(error.to_string()))?;
    let found: Vec<f32> = data.try_to_vec().map_err(|error| failed(format!("{error:?}")))?;
    let scaling = LlamaRopeScaling {
        factor: found.iter().copied().fold(1.0, f32::max).into(),
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_context: 8192,
    };
    let plain = Rope::new(config.head_dim, config.rope_theta).frequencies;
    let scaled = Rope::scaled(config.head_dim, config.rope_theta, &(&scaling).into()).frequencies;
    let expected = plain.iter().zip(&scaled).map(|(plain, scaled)| plain / scaled);
    let agree = found.len() == plain.len()
        && found.iter().zip(expected).all(|(found, expected)| (found / expected - 1.0).abs() < 1e-4);
    if agree {
        Ok((scaling.factor > 1.0).then_some(scaling))
    } else {
        Err(failed("these aren't the factors of a Llama 3".to_owned()))
    }
}
