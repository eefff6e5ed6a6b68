//! Llama among the other architectures.

use libellus_weights::{Checkpoint, Layout};
use serde_json::Value;

use super::{Llama, LlamaConfig, gguf, hugging_face};
use crate::{Architecture, ConfigError, InputError, Preset, PresetModel, Tensors, causal_lm};

impl Architecture for LlamaConfig {
    type Model = Llama;

    fn presets() -> Vec<Preset> {
        let preset = |name, aliases, summary, config: Self| Preset {
            name,
            aliases,
            family: "Llama",
            summary,
            model: PresetModel::Other(config.into()),
        };
        vec![
            preset(
                "SmolLM2-135M",
                &["smollm2-135m"],
                "language model of 30 blocks, context 8192",
                Self::smol_lm2_135m(),
            ),
            preset(
                "SmolLM2-360M",
                &["smollm2-360m"],
                "language model of 32 blocks, context 8192",
                Self::smol_lm2_360m(),
            ),
            preset(
                "TinyLlama-1.1B",
                &["tinyllama-1.1b"],
                "language model of 22 blocks, context 2048",
                Self::tiny_llama_1_1b(),
            ),
            preset(
                "Llama-3.2-1B",
                &["llama-3.2-1b"],
                "language model of 16 blocks, context 131,072",
                Self::llama_3_2_1b(),
            ),
        ]
    }

    fn layouts(&self) -> Vec<Layout> {
        vec![self.hugging_face_layout(), self.gguf_layout()]
    }

    fn example(&self) -> Result<Tensors, InputError> {
        causal_lm::example(self.context)
    }

    fn run(&self, model: &Llama, inputs: &Tensors) -> Result<Tensors, InputError> {
        causal_lm::run(model, inputs)
    }

    fn from_hugging_face(config: &Value) -> Option<Result<Self, ConfigError>> {
        hugging_face::read(config)
    }

    fn from_gguf(checkpoint: &Checkpoint) -> Option<Result<Self, ConfigError>> {
        gguf::read(checkpoint)
    }
}
