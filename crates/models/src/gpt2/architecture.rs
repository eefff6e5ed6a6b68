//! GPT-2 among the other architectures.

use libellus_weights::{Checkpoint, Layout};
use serde_json::Value;

use super::{GGUF, Gpt2, Gpt2Config, HUGGING_FACE, NANOGPT, gguf, hugging_face};
use crate::{Architecture, ConfigError, InputError, Preset, PresetModel, Tensors, causal_lm};

impl Architecture for Gpt2Config {
    type Model = Gpt2;

    fn presets() -> Vec<Preset> {
        let preset = |name, aliases, summary, config: Self| Preset {
            name,
            aliases,
            family: "GPT-2",
            summary,
            model: PresetModel::Other(config.into()),
        };
        vec![
            preset(
                "nanogpt-char-cpu",
                &[],
                "nanoGPT for 65 characters in the size for a CPU: 4 blocks, context 64",
                Self::nano_cpu(65, 64),
            ),
            preset(
                "nanogpt-char",
                &[],
                "nanoGPT for the 65 characters of Shakespeare: 6 blocks, context 256",
                Self::nano(65, 256),
            ),
            preset("gpt2", &["gpt2-small"], "language model of 12 blocks, context 1024", Self::gpt2()),
            preset("gpt2-medium", &[], "language model of 24 blocks, context 1024", Self::gpt2_medium()),
            preset("gpt2-large", &[], "language model of 36 blocks, context 1024", Self::gpt2_large()),
            preset("gpt2-xl", &[], "language model of 48 blocks, context 1024", Self::gpt2_xl()),
        ]
    }

    fn layouts(&self) -> Vec<Layout> {
        vec![HUGGING_FACE, NANOGPT, GGUF]
    }

    fn example(&self) -> Result<Tensors, InputError> {
        causal_lm::example(self.context)
    }

    fn run(&self, model: &Gpt2, inputs: &Tensors) -> Result<Tensors, InputError> {
        causal_lm::run(model, inputs)
    }

    fn from_hugging_face(config: &Value) -> Option<Result<Self, ConfigError>> {
        hugging_face::read(config)
    }

    fn from_gguf(checkpoint: &Checkpoint) -> Option<Result<Self, ConfigError>> {
        gguf::read(checkpoint)
    }
}
