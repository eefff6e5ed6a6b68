//! Hugging Face's `config.json`.

use serde_json::Value;

use super::config::head_dim;
use super::{LlamaConfig, LlamaRopeScaling};
use crate::ConfigError;
use crate::foreign_config::ForeignConfig;

/// The configuration as `transformers` 4 and 5 write it, `None` if it is of another `model_type`.
///
/// Refused is what isn't supported here: another activation, biases in the perceptrons, rotation of a part of each head,
/// another kind of scaling than Llama 3's.
pub(super) fn read(config: &Value) -> Option<Result<LlamaConfig, ConfigError>> {
    ForeignConfig::of_hugging_face("llama", config).map(|keys| convert(&keys))
}

fn convert(keys: &ForeignConfig) -> Result<LlamaConfig, ConfigError> {
    keys.only("hidden_act", "silu", |value| value.as_str() == Some("silu"))?;
    keys.only_flag("mlp_bias", false)?;
    // transformers 5 has one object for all that concerns the rotation, 4 a base and an object for the scaling.
    let rope = keys.inner("rope_parameters")?.or(keys.inner("rope_scaling")?);
    for keys in rope.iter().chain([keys]) {
        keys.only("partial_rotary_factor", "1", |value| value.as_f64() == Some(1.0))?;
    }
    let mut theta = keys.optional("rope_theta")?;
    let mut rope_scaling = None;
    if let Some(rope) = rope {
        theta = rope.optional("rope_theta")?.or(theta);
        let mut is_llama3 = false;
        for key in ["type", "rope_type"] {
            rope.only(key, "default or llama3", |value| {
                is_llama3 |= value.as_str() == Some("llama3");
                matches!(value.as_str(), Some("default" | "llama3"))
            })?;
        }
        if is_llama3 {
            rope_scaling = Some(LlamaRopeScaling {
                factor: rope.required("factor")?,
                low_freq_factor: rope.required("low_freq_factor")?,
                high_freq_factor: rope.required("high_freq_factor")?,
                original_context: rope.required("original_max_position_embeddings")?,
            });
        }
    }

    let (d_model, n_heads) = (keys.required("hidden_size")?, keys.required("num_attention_heads")?);
    let given = keys.optional("head_dim")?;
    let head_dim = head_dim(given, ("hidden_size", d_model), ("num_attention_heads", n_heads))?;
    let config = LlamaConfig {
        vocab_size: keys.required("vocab_size")?,
        context: keys.required("max_position_embeddings")?,
        n_layers: keys.required("num_hidden_layers")?,
        n_heads,
        n_kv_heads: keys.optional("num_key_value_heads")?.unwrap_or(n_heads),
        head_dim,
        d_model,
        d_ff: keys.required("intermediate_size")?,
        attention_bias: keys.optional("attention_bias")?.unwrap_or(false),
        tie_embeddings: keys.optional("tie_word_embeddings")?.unwrap_or(false),
        epsilon: keys.optional("rms_norm_eps")?.unwrap_or(1e-6),
        rope_theta: theta.unwrap_or(10_000.0),
        rope_scaling,
        dropout: keys.optional("attention_dropout")?.unwrap_or(0.0),
    };
    config.validate()?;
    Ok(config)
}
