//! Hugging Face's `config.json` of a Vision Transformer.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{VitConfig, VitPooling};
use crate::ConfigError;
use crate::foreign_config::ForeignConfig;

/// The configuration, `None` if it is of another `model_type`. The number of classes is that of its labels, two if it has
/// none, as there.
///
/// Refused is what isn't supported here: another activation, projections without biases, dropped attention weights.
pub(super) fn read(config: &Value) -> Option<Result<VitConfig, ConfigError>> {
    ForeignConfig::of_hugging_face("vit", config).map(|keys| convert(&keys))
}

/// One length for both sides, or both.
#[derive(Deserialize)]
#[serde(untagged)]
enum Sides {
    Square(usize),
    Both([usize; 2]),
}

fn convert(keys: &ForeignConfig) -> Result<VitConfig, ConfigError> {
    keys.only("hidden_act", "gelu", |value| value == "gelu")?;
    keys.only_flag("qkv_bias", true)?;
    keys.only("attention_probs_dropout_prob", "0", |value| value.as_f64() == Some(0.0))?;
    let labels: Option<BTreeMap<String, Value>> = keys.optional("id2label")?;
    let config = VitConfig {
        num_classes: labels.map_or(2, |labels| labels.len()),
        in_channels: keys.optional("num_channels")?.unwrap_or(3),
        image_size: match keys.required("image_size")? {
            Sides::Square(side) => [side; 2],
            Sides::Both(sides) => sides,
        },
        patch_size: keys.required("patch_size")?,
        d_model: keys.required("hidden_size")?,
        n_layers: keys.required("num_hidden_layers")?,
        n_heads: keys.required("num_attention_heads")?,
        d_ff: keys.required("intermediate_size")?,
        epsilon: keys.optional("layer_norm_eps")?.unwrap_or(1e-12),
        pooling: VitPooling::ClassToken,
        dropout: keys.optional("hidden_dropout_prob")?.unwrap_or(0.0),
        drop_path: 0.0,
    };
    config.validate()?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn base() -> Value {
        json!({
            "model_type": "vit", "architectures": ["ViTForImageClassification"], "hidden_size": 768,
            "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072, "hidden_act": "gelu",
            "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "layer_norm_eps": 1e-12,
            "image_size": 224, "patch_size": 16, "num_channels": 3, "qkv_bias": true, "encoder_stride": 16,
            "id2label": { "0": "cat", "1": "dog", "2": "owl" }
        })
    }

    #[test]
    fn the_base_model_is_read() {
        let config = read(&base()).expect("a ViT").expect("a supported one");
        assert_eq!(config, VitConfig { epsilon: 1e-12, ..VitConfig::vit_base_patch16_224(3) });
        assert_eq!(read(&json!({ "model_type": "bert" })), None);
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (key, value, says) in [
            ("hidden_act", json!("relu"), "`hidden_act` = \"relu\" isn't supported; only gelu is"),
            ("qkv_bias", json!(false), "`qkv_bias` = false isn't supported; only true is"),
            ("attention_probs_dropout_prob", json!(0.1), "`attention_probs_dropout_prob` = 0.1"),
            ("image_size", json!(null), "missing field `image_size`"),
            ("image_size", json!(225), "`image_size` (225) must be a multiple of `patch_size` (16)"),
            ("hidden_size", json!(-1), "`hidden_size`"),
            ("layer_norm_eps", json!(0.0), "`epsilon`"),
        ] {
            let mut config = base();
            config[key] = value;
            let error = read(&config).expect("a ViT").expect_err(key).to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
