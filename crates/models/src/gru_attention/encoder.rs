//! The encoder (section 3.2).

use burn::module::Module;
use burn::tensor::{Bool, Tensor};
use libellus_layers::{Dropout, Gru, reverse_padded, trace};

/// Gated recurrent units that read the source in both directions.
#[derive(Module, Debug)]
pub struct Encoder {
    pub(super) layers: Vec<EncoderLayer>,
    /// Between layers.
    pub(super) dropout: Dropout,
}

/// The two directions of a layer.
#[derive(Module, Debug)]
pub struct EncoderLayer {
    pub(super) forward: Gru,
    pub(super) reverse: Gru,
}

impl Encoder {
    /// The last layer's states at each token, those of both directions side by side.
    ///
    /// # Shapes
    /// - `input`: `[B, S, E]`
    /// - `mask`: true for tokens, false for the padding behind them, `[B, S]`
    /// - output: `[B, S, 2 D]`
    pub(super) fn forward(&self, input: Tensor<3>, mask: Option<&Tensor<2, Bool>>) -> Tensor<3> {
        self.layers.iter().enumerate().fold(input, |sequence, (index, layer)| {
            let sequence = match index {
                0 => sequence,
                _ => self.dropout.forward(sequence),
            };
            let turned = |sequence: Tensor<3>| match mask {
                Some(mask) => reverse_padded(sequence, mask),
                None => sequence.flip([1]),
            };
            let forward = layer.forward.forward(sequence.clone(), None).output;
            let reverse = turned(layer.reverse.forward(turned(sequence), None).output);
            trace::tap(format_args!("layers.{index}"), Tensor::cat(vec![forward, reverse], 2))
        })
    }
}
