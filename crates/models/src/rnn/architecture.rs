//! Recurrent networks among the other architectures.

use burn::tensor::Tensor;
use libellus_weights::Layout;

use super::{PYTORCH, RecurrentCell, Rnn, RnnConfig, RnnOutput, RnnState};
use crate::{Architecture, InputError, Preset, PresetModel, Tensors, device_of};

impl Architecture for RnnConfig {
    type Model = Rnn;

    fn presets() -> Vec<Preset> {
        let preset = |name, summary, config: Self| Preset {
            name,
            aliases: &[],
            family: "RNN",
            summary,
            model: PresetModel::Other(config.into()),
        };
        vec![
            preset("rnn", "a layer of 256 plain recurrent cells", Self::rnn()),
            preset("lstm", "a layer of 256 LSTM cells", Self::lstm()),
            preset("gru", "a layer of 256 gated recurrent units", Self::gru()),
        ]
    }

    fn layouts(&self) -> Vec<Layout> {
        vec![PYTORCH]
    }

    /// A sequence of 128 steps.
    fn example(&self) -> Result<Tensors, InputError> {
        Tensors::new().with_zeros::<f32, 3>("sequence", [1, 128, self.d_input])
    }

    /// Takes `sequence` and, if they are there, `hidden` and (an LSTM only) `cell`; puts out `output`, `hidden`, `cell`
    /// and, if there is a linear layer, `logits`.
    fn run(&self, model: &Rnn, inputs: &Tensors) -> Result<Tensors, InputError> {
        let is_lstm = self.cell == RecurrentCell::Lstm;
        inputs.only(if is_lstm { &["sequence", "hidden", "cell"] } else { &["sequence", "hidden"] })?;
        let device = device_of(model);
        let sequence = inputs.float::<3>("sequence", &device)?;
        inputs.length_within("sequence", 0, 1, usize::MAX)?;
        inputs.length_within("sequence", 1, 1, usize::MAX)?;
        inputs.length("sequence", 2, self.d_input)?;

        let shape = [self.n_layers * self.directions(), sequence.dims()[0], self.d_hidden];
        let hidden = inputs.optional_float::<3>("hidden", &device)?;
        let cell = inputs.optional_float::<3>("cell", &device)?;
        for (dim, length) in shape.into_iter().enumerate() {
            inputs.length("hidden", dim, length)?;
            inputs.length("cell", dim, length)?;
        }
        let state = match (hidden, cell) {
            (None, None) => None,
            (hidden, cell) => {
                Some(RnnState { hidden: hidden.unwrap_or_else(|| Tensor::zeros(shape, &device)), cell })
            }
        };

        let RnnOutput { output, state, logits } = model.forward(sequence, state);
        let mut outputs = Tensors::new().with("output", output).with("hidden", state.hidden);
        if let Some(cell) = state.cell {
            outputs = outputs.with("cell", cell);
        }
        if let Some(logits) = logits {
            outputs = outputs.with("logits", logits);
        }
        Ok(outputs)
    }
}
