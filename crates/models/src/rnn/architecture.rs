//! Recurrent networks among the other architectures.

use burn::tensor::{Device, Tensor};
use libellus_weights::Layout;

use super::{PYTORCH, RecurrentCell, Rnn, RnnConfig, RnnFeatures, RnnOutput, RnnState};
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

        let state = self.read_state(inputs, sequence.dims()[0], &device)?;
        let RnnOutput { output, state, logits } = model.forward(sequence, state);
        let outputs = RnnFeatures { output, state }.into_tensors();
        Ok(match logits {
            Some(logits) => outputs.with("logits", logits),
            None => outputs,
        })
    }
}

impl RnnConfig {
    /// The state in `hidden` and `cell`, if one of them is there.
    pub(crate) fn read_state(
        &self,
        inputs: &Tensors,
        batch: usize,
        device: &Device,
    ) -> Result<Option<RnnState>, InputError> {
        let shape = [self.n_layers * self.directions(), batch, self.d_hidden];
        let hidden = inputs.optional_float::<3>("hidden", device)?;
        let cell = inputs.optional_float::<3>("cell", device)?;
        for (dim, length) in shape.into_iter().enumerate() {
            inputs.length("hidden", dim, length)?;
            inputs.length("cell", dim, length)?;
        }
        Ok(match (hidden, cell) {
            (None, None) => None,
            (hidden, cell) => {
                Some(RnnState { hidden: hidden.unwrap_or_else(|| Tensor::zeros(shape, device)), cell })
            }
        })
    }
}

impl RnnFeatures {
    /// `output`, `hidden` and, of an LSTM, `cell`.
    pub(crate) fn into_tensors(self) -> Tensors {
        let outputs = Tensors::new().with("output", self.output).with("hidden", self.state.hidden);
        match self.state.cell {
            Some(cell) => outputs.with("cell", cell),
            None => outputs,
        }
    }
}
