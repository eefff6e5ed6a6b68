//! Recurrent layers over whole sequences: [`Rnn`], [`Lstm`], [`Gru`].
//!
//! Elman 1990, *Finding Structure in Time*; Hochreiter and Schmidhuber 1997, *Long Short-Term Memory*; Cho et al. 2014,
//! arXiv:1406.1078. Reference: `torch.nn.RNN`, `LSTM` and `GRU` with `batch_first=True`.
//! Shapes: `B` batch, `T` steps, `I` width of the input, `D` width of the state, `L` layers, `N` directions (1, or 2 if
//! bidirectional), `G` gates.
//!
//! burn's layers hold one linear layer per gate, where PyTorch packs all gates of a layer, have one layer and at most (for
//! the LSTM) two directions, and no dropout. Here the input is projected once for the whole sequence, and a step costs one
//! product. The steps of [LSTM](libellus_kernels::lstm()) and [GRU](libellus_kernels::gru()) are kernels.
//!
//! *Differences* to PyTorch: batch first only, no packed sequences of different lengths, no projected LSTM; the matrices
//! are held as `[I, G D]`, the transposes of PyTorch's.

mod gru;
mod layer;
mod lstm;
mod reverse;
mod rnn;
#[cfg(test)]
mod tests;

pub use gru::{Gru, GruConfig};
pub use layer::{RecurrentLayer, RecurrentWeights};
pub use lstm::{Lstm, LstmConfig, LstmOutput, LstmState};
pub use reverse::reverse_padded;
pub use rnn::{Rnn, RnnConfig, RnnNonlinearity, RnnOutput};
