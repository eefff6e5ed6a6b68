//! Hugging Face's `config.json` of BERT.

use libellus_layers::Activation;
use serde_json::Value;

use super::BertConfig;
use crate::ConfigError;
use crate::foreign_config::ForeignConfig;

/// Model classes that have no pooler.
const WITHOUT_POOLER: [&str; 4] =
    ["BertForMaskedLM", "BertForTokenClassification", "BertForQuestionAnswering", "BertLMHeadModel"];

/// The configuration, `None` if it is of another `model_type`. What Hugging Face fills in where a key is missing is filled
/// in here too, but for sizes.
pub(super) fn read(config: &Value) -> Option<Result<BertConfig, ConfigError>> {
    ForeignConfig::of_hugging_face("bert", config).map(|keys| convert(&keys))
}

fn convert(keys: &ForeignConfig) -> Result<BertConfig, ConfigError> {
    keys.only("position_embedding_type", "absolute", |value| value == "absolute")?;
    keys.only_flag("is_decoder", false)?;
    keys.only_flag("add_cross_attention", false)?;
    let architectures: Vec<String> = keys.optional("architectures")?.unwrap_or_default();
    let config = BertConfig {
        vocab_size: keys.required("vocab_size")?,
        context: keys.required("max_position_embeddings")?,
        token_types: keys.optional("type_vocab_size")?.unwrap_or(2),
        d_model: keys.required("hidden_size")?,
        n_layers: keys.required("num_hidden_layers")?,
        n_heads: keys.required("num_attention_heads")?,
        d_ff: keys.required("intermediate_size")?,
        activation: activation(keys.optional::<String>("hidden_act")?.as_deref().unwrap_or("gelu"))?,
        epsilon: keys.optional("layer_norm_eps")?.unwrap_or(1e-12),
        pooler: !architectures.iter().any(|name| WITHOUT_POOLER.contains(&name.as_str())),
        dropout: keys.optional("hidden_dropout_prob")?.unwrap_or(0.1),
        attention_dropout: keys.optional("attention_probs_dropout_prob")?.unwrap_or(0.1),
    };
    config.validate()?;
    Ok(config)
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
