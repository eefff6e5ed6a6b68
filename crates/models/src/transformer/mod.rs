//! The encoder-decoder Transformer, which turns one sequence into another.
//!
//! Vaswani et al. 2017, *Attention Is All You Need*, arXiv:1706.03762, section 3 and table 3. Normalisation before the
//! branches: Xiong et al. 2020, *On Layer Normalization in the Transformer Architecture*, arXiv:2002.04745. Reference:
//! `torch.nn.Transformer`.
//! Shapes: `B` batch, `S` source tokens, `T` target tokens, `D` width (`d_model`), `V` vocabulary.
//!
//! *Differences* to the reference: embeddings, positions and the output layer, which PyTorch leaves to the user, are
//! part of the model as the paper describes them; dropout acts where the paper has it, on embeddings and on what each
//! branch puts out, and neither on attention weights nor on hidden units; biases start at zero.

mod attention_map;
mod config;
mod decoder;
mod model;
mod positions;
#[cfg(test)]
mod tests;
mod weights;

pub use config::{OutputLayer, TransformerConfig};
pub use decoder::{CrossAttention, Decoder, DecoderBlock};
pub use model::{Encoder, Memory, Transformer, TransformerCache, TransformerInput, TransformerOutput};
pub use positions::sinusoidal_positions;
pub use weights::PYTORCH;
