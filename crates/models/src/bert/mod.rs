//! BERT, an encoder of text.
//!
//! Devlin, Chang, Lee and Toutanova 2019, *BERT: Pre-training of Deep Bidirectional Transformers for Language
//! Understanding*, arXiv:1810.04805, section 3. Sentence embeddings: Reimers and Gurevych 2019, *Sentence-BERT*,
//! arXiv:1908.10084, section 3. References: Hugging Face's `BertModel`, sentence-transformers.
//! Shapes: `B` batch, `T` tokens, `D` width ("hidden size").
//!
//! *Differences* to Hugging Face: queries, keys and values come from one fused layer; a sequence of which every token is
//! padding attends to nothing instead of to all; the vector of the padding token learns like any other.

mod config;
mod embed;
mod hugging_face;
mod model;
#[cfg(test)]
mod tests;
mod weights;

pub use config::BertConfig;
pub use embed::{masked_mean, sentence_embedding};
pub use model::{Bert, BertInput, BertOutput};
pub use weights::{HUGGING_FACE, HUGGING_FACE_OLD};
