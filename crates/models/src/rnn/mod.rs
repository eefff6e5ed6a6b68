//! Recurrent networks: plain, LSTM and GRU.
//!
//! Elman 1990, *Finding Structure in Time*; Hochreiter and Schmidhuber 1997, *Long Short-Term Memory*; Cho et al. 2014,
//! arXiv:1406.1078. Reference: `torch.nn.RNN`, `LSTM` and `GRU` with `batch_first=True`, and a linear layer at each step.
//! The layers are `libellus_layers`' [`Rnn`](libellus_layers::Rnn), [`Lstm`](libellus_layers::Lstm) and
//! [`Gru`](libellus_layers::Gru), whose documentation lists what differs.
//! Shapes: `B` sequences, `T` steps, `I` width of the input, `D` width of the state, `L` layers, `N` directions, `O` outputs.

mod architecture;
mod config;
mod model;
#[cfg(test)]
mod tests;
mod weights;

pub use config::{RecurrentCell, RnnConfig};
pub use model::{Recurrent, Rnn, RnnFeatures, RnnOutput, RnnState};
pub use weights::PYTORCH;
