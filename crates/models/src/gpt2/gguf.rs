//! The metadata of GGUF files.

use libellus_layers::Activation;
use libellus_weights::Checkpoint;

use super::Gpt2Config;
use crate::ConfigError;
use crate::foreign_config::ForeignConfig;
use crate::gguf::{keys, vocab_size};

/// The configuration as llama.cpp's converter writes it, `None` if the file is of another architecture.
pub(super) fn read(checkpoint: &Checkpoint) -> Option<Result<Gpt2Config, ConfigError>> {
    const NAME: &str = "gpt2";
    keys(NAME, checkpoint).map(|keys| convert(&ForeignConfig::new(NAME, &keys), checkpoint))
}

fn convert(keys: &ForeignConfig, checkpoint: &Checkpoint) -> Result<Gpt2Config, ConfigError> {
    let config = Gpt2Config {
        vocab_size: vocab_size(keys, checkpoint)?,
        context: keys.required("context_length")?,
        n_layers: keys.required("block_count")?,
        n_heads: keys.required("attention.head_count")?,
        d_model: keys.required("embedding_length")?,
        d_ff: keys.required("feed_forward_length")?,
        activation: Activation::GeluTanh,
        bias: true,
        epsilon: keys.required("attention.layer_norm_epsilon")?,
        dropout: 0.0,
    };
    config.validate()?;
    Ok(config)
}
