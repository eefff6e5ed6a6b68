//! Hugging Face's `config.json` of BERT.

use libellus_layers::Activation;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::BertConfig;
use crate::ConfigError;

/// Model classes that have no pooler.
const WITHOUT_POOLER: [&str; 4] =
    ["BertForMaskedLM", "BertForTokenClassification", "BertForQuestionAnswering", "BertLMHeadModel"];

/// The configuration in `config`, `None` if it is of another model type. What Hugging Face fills in where a key is missing
/// is filled in here too, but for sizes.
pub(super) fn read(config: &Value) -> Option<Result<BertConfig, ConfigError>> {
    (config.get("model_type").and_then(Value::as_str) == Some("bert")).then(|| convert(config))
}

fn convert(config: &Value) -> Result<BertConfig, ConfigError> {
    only(config, "position_embedding_type", &"absolute".into(), "absolute")?;
    only(config, "is_decoder", &false.into(), "false")?;
    only(config, "add_cross_attention", &false.into(), "false")?;
    let architectures = optional::<Vec<String>>(config, "architectures")?.unwrap_or_default();
    Ok(BertConfig {
        vocab_size: required(config, "vocab_size")?,
        max_positions: required(config, "max_position_embeddings")?,
        token_types: optional(config, "type_vocab_size")?.unwrap_or(2),
        width: required(config, "hidden_size")?,
        depth: required(config, "num_hidden_layers")?,
        n_heads: required(config, "num_attention_heads")?,
        mlp_width: required(config, "intermediate_size")?,
        activation: activation(optional::<String>(config, "hidden_act")?.as_deref().unwrap_or("gelu"))?,
        epsilon: optional(config, "layer_norm_eps")?.unwrap_or(1e-12),
        pooler: !architectures.iter().any(|name| WITHOUT_POOLER.contains(&name.as_str())),
        dropout: optional(config, "hidden_dropout_prob")?.unwrap_or(0.1),
        attention_dropout: optional(config, "attention_probs_dropout_prob")?.unwrap_or(0.1),
    })
}

fn activation(name: &str) -> Result<Activation, ConfigError> {
    match name {
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        "silu" | "swish" => Ok(Activation::Silu),
        other => Err(ConfigError::Unsupported {
            field: "hidden_act",
            value: format!("\"{other}\""),
            supported: "gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, relu, silu or swish",
        }),
    }
}

/// Checks that `field` has the only value that is supported, if it is there.
fn only(
    config: &Value,
    field: &'static str,
    value: &Value,
    supported: &'static str,
) -> Result<(), ConfigError> {
    match config.get(field) {
        None | Some(Value::Null) => Ok(()),
        Some(found) if found == value => Ok(()),
        Some(found) => Err(ConfigError::Unsupported { field, value: found.to_string(), supported }),
    }
}

fn required<T: DeserializeOwned>(config: &Value, field: &'static str) -> Result<T, ConfigError> {
    optional(config, field)?.ok_or_else(|| malformed(format!("`{field}` is missing")))
}

fn optional<T: DeserializeOwned>(config: &Value, field: &'static str) -> Result<Option<T>, ConfigError> {
    match config.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            T::deserialize(value).map(Some).map_err(|error| malformed(format!("`{field}`: {error}")))
        }
    }
}

fn malformed(reason: String) -> ConfigError {
    ConfigError::Malformed { architecture: "bert".to_owned(), reason }
}
