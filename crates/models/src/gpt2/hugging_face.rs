//! Hugging Face's `config.json`.

use libellus_layers::Activation;
use serde_json::Value;

use super::Gpt2Config;
use crate::ConfigError;
use crate::foreign_config::ForeignConfig;

/// The configuration, `None` if it is of another `model_type`.
///
/// Refused is what isn't supported here: another activation, cross attention, scores scaled otherwise, an output of its
/// own, different probabilities of dropping.
pub(super) fn read(config: &Value) -> Option<Result<Gpt2Config, ConfigError>> {
    ForeignConfig::of_hugging_face("gpt2", config).map(|keys| convert(&keys))
}

fn convert(keys: &ForeignConfig) -> Result<Gpt2Config, ConfigError> {
    let activation = match keys.optional::<String>("activation_function")?.as_deref() {
        None | Some("gelu_new" | "gelu_pytorch_tanh") => Activation::GeluTanh,
        Some("gelu") => Activation::Gelu,
        Some(other) => {
            return Err(ConfigError::Unsupported {
                field: "activation_function",
                value: format!("\"{other}\""),
                supported: "gelu_new, gelu_pytorch_tanh or gelu",
            });
        }
    };
    keys.only_flag("scale_attn_weights", true)?;
    keys.only_flag("scale_attn_by_inverse_layer_idx", false)?;
    keys.only_flag("add_cross_attention", false)?;
    keys.only_flag("tie_word_embeddings", true)?;
    let dropout = keys.optional("resid_pdrop")?.unwrap_or(0.1);
    for key in ["embd_pdrop", "attn_pdrop"] {
        keys.only(key, "the value of `resid_pdrop`", |value| value.as_f64() == Some(dropout))?;
    }
    let d_model: usize = keys.required("n_embd")?;
    let config = Gpt2Config {
        vocab_size: keys.required("vocab_size")?,
        context: keys.required("n_positions")?,
        n_layers: keys.required("n_layer")?,
        n_heads: keys.required("n_head")?,
        d_model,
        d_ff: keys.optional("n_inner")?.unwrap_or(d_model.saturating_mul(4)),
        activation,
        bias: true,
        epsilon: keys.optional("layer_norm_epsilon")?.unwrap_or(1e-5),
        dropout,
    };
    config.validate()?;
    Ok(config)
}
