//! Llama and the models built like it.
//!
//! Touvron et al. 2023, *LLaMA: Open and Efficient Foundation Language Models*, arXiv:2302.13971, section 2.2; with
//! grouped queries (Ainslie et al. 2023, arXiv:2305.13245) as in Llama 2, and the slowed rotations of Llama 3.1 (Meta
//! 2024, arXiv:2407.21783). Reference: `transformers`' `LlamaForCausalLM`; for GGUF files, llama.cpp.
//! Shapes: `B` sequences, `T` tokens, `D` width, `H` heads of queries, `G` heads of keys and values, `V` vocabulary.
//!
//! *Differences* to `transformers`: positions of padded sequences are counted without the padding, as its `generate`
//! does but its `forward` doesn't.

mod architecture;
mod block;
mod config;
mod gguf;
mod hugging_face;
mod model;
#[cfg(test)]
mod tests;
mod weights;

pub use block::{LlamaAttention, LlamaBlock, LlamaMlp};
pub use config::{LlamaConfig, LlamaRopeScaling};
pub use model::Llama;
