//! The metadata of GGUF files.

use libellus_layers::Rope;
use libellus_weights::Checkpoint;

use super::{LlamaConfig, LlamaRopeScaling};
use crate::ConfigError;
use crate::error::check_multiple;
use crate::gguf::GgufConfig;

/// What the low frequencies are divided by, one number for each pair of elements of a head.
const ROPE_FACTORS: &str = "rope_freqs.weight";

/// The configuration as llama.cpp's converter writes it, `None` if the file is of another architecture.
///
/// Refused is what isn't supported here: experts, rotation of a part of each head, another kind of scaling than Llama 3's.
pub(super) fn read(checkpoint: &Checkpoint) -> Option<Result<LlamaConfig, ConfigError>> {
    GgufConfig::of("llama", checkpoint).map(|keys| convert(&keys))
}

fn convert(keys: &GgufConfig<'_>) -> Result<LlamaConfig, ConfigError> {
    keys.only("expert_count", "0", |count| count == "0")?;
    keys.only("rope.scaling.type", "none", |kind| kind == "none")?;
    // Without a type, llama.cpp takes the factor for one of linear scaling; 0 says that there is none.
    for key in ["rope.scaling.factor", "rope.scale_linear"] {
        keys.only(key, "1", |factor| matches!(factor.parse(), Ok(0.0 | 1.0)))?;
    }
    let (d_model, n_heads) = (keys.required("embedding_length")?, keys.required("attention.head_count")?);
    let head_dim: usize = match keys.optional("attention.key_length")? {
        Some(head_dim) => head_dim,
        None => {
            check_multiple("embedding_length", d_model, "attention.head_count", n_heads)?;
            d_model / n_heads
        }
    };
    for key in ["attention.value_length", "rope.dimension_count"] {
        keys.only(key, "the width of a head", |width| width == head_dim.to_string())?;
    }
    let rope_theta = keys.optional("rope.freq_base")?.unwrap_or(10_000.0);
    let has = |tensor| keys.checkpoint.info(tensor).is_some();
    let config = LlamaConfig {
        vocab_size: keys.vocab_size()?,
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
    let rope_scaling = if has(ROPE_FACTORS) { scaling(keys, &config)? } else { None };
    let config = LlamaConfig { rope_scaling, ..config };
    config.validate()?;
    Ok(config)
}

/// The scaling that gives the factors in the file, `None` if all are 1. They don't tell its constants, of which all Llamas from 3.1 on share all but one.
fn scaling(keys: &GgufConfig<'_>, config: &LlamaConfig) -> Result<Option<LlamaRopeScaling>, ConfigError> {
    let failed = |reason: String| keys.malformed(format!("tensor `{ROPE_FACTORS}`: {reason}"));
    let data = keys.checkpoint.tensor(ROPE_FACTORS).map_err(|error| failed(error.to_string()))?;
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
