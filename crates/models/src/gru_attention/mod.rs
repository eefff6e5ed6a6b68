//! The recurrent encoder-decoder with attention, which turns one sequence into another.
//!
//! Bahdanau, Cho and Bengio 2015, *Neural Machine Translation by Jointly Learning to Align and Translate*, arXiv:1409.0473,
//! section 3 and appendix A. Reference: `torch.nn.GRU` for the encoder, `torch.nn.GRUCell` and linear layers for the decoder,
//! put together in the script `gru_attention.py` that makes the golden files.
//! Shapes: `B` batch, `S` source tokens, `T` target tokens, `E` width of the embedding, `D` width of a state, `V` vocabulary.
//!
//! *Differences* to the paper: source and target share one vocabulary and one embedding; the reset gate stands behind the
//! product, as in PyTorch; the output has a layer of `E` hyperbolic tangents where the paper has 500 maxout units, and sees
//! the new state, as in the paper's equation 4; weights start as in PyTorch. The encoder may have several layers.

mod architecture;
mod attention;
mod config;
mod decoder;
mod encoder;
mod model;
#[cfg(test)]
mod tests;
mod weights;

pub use attention::{AdditiveAttention, Memory};
pub use config::GruAttentionConfig;
pub use decoder::{Decoder, GruAttentionState};
pub use encoder::{Encoder, EncoderLayer};
pub use model::GruAttention;
pub use weights::PYTORCH;
