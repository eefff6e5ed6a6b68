//! Recurrent language models.
//!
//! Mikolov et al. 2010, *Recurrent Neural Network Based Language Model*, section 2; Zaremba et al. 2014, *Recurrent
//! Neural Network Regularization*, arXiv:1409.2329, section 3.1 (what is dropped); Press and Wolf 2017, *Using the Output
//! Embedding to Improve Language Models*, arXiv:1608.05859 (an output that shares the embedding). Reference: PyTorch's
//! example `word_language_model`.
//! Shapes: `B` sequences, `T` tokens, `E` width of the embedding, `D` width of the state, `L` layers, `V` vocabulary.
//!
//! *Differences* to the example: batches come first, logits are not normalised.

mod architecture;
mod config;
mod model;
#[cfg(test)]
mod tests;
mod weights;

pub use config::RnnLmConfig;
pub use model::{RnnLm, RnnLmDecoder, TiedDecoder};
