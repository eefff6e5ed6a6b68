//! Recurrent language models among the other architectures.

use libellus_weights::Layout;

use super::{RnnLm, RnnLmConfig};
use crate::architecture::EXAMPLE_TOKENS;
use crate::rnn::RecurrentCell;
use crate::{Architecture, InputError, Preset, PresetModel, Tensors, causal_lm, device_of};

impl Architecture for RnnLmConfig {
    type Model = RnnLm;

    fn presets() -> Vec<Preset> {
        vec![Preset {
            name: "lstm_lm",
            aliases: &[],
            family: "RNN",
            summary: "LSTM, 2 layers of 650 units, for Penn Treebank's 10,000 words",
            model: PresetModel::Other(Self::lstm_lm().into()),
        }]
    }

    fn layouts(&self) -> Vec<Layout> {
        vec![self.pytorch_layout()]
    }

    fn example(&self) -> Result<Tensors, InputError> {
        causal_lm::example(EXAMPLE_TOKENS)
    }

    /// Takes `tokens` and, if they are there, `hidden` and (an LSTM only) `cell`; puts out `output`, `hidden`, `cell` and
    /// `logits`.
    fn run(&self, model: &RnnLm, inputs: &Tensors) -> Result<Tensors, InputError> {
        let is_lstm = self.cell == RecurrentCell::Lstm;
        inputs.only(if is_lstm { &["tokens", "hidden", "cell"] } else { &["tokens", "hidden"] })?;
        let device = device_of(model);
        let tokens = inputs.ints::<2>("tokens", self.vocab_size, &device)?;
        inputs.length_within("tokens", 0, 1, usize::MAX)?;
        inputs.length_within("tokens", 1, 1, usize::MAX)?;
        let state = self.rnn().read_state(inputs, tokens.dims()[0], &device)?;
        let features = model.forward_features(tokens, state);
        let logits = model.logits(features.output.clone());
        Ok(features.into_tensors().with("logits", logits))
    }
}
