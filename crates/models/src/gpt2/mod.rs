//! GPT-2.
//!
//! Radford et al. 2019, *Language Models are Unsupervised Multitask Learners*, section 2.3; after Radford et al. 2018,
//! *Improving Language Understanding by Generative Pre-Training*. References: `transformers`' `GPT2LMHeadModel`, and
//! nanoGPT, which is the same without biases and with the exact GELU; for GGUF files, llama.cpp.
//! Shapes: `B` sequences, `T` tokens, `D` width, `H` heads, `V` vocabulary.
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

pub use block::{Gpt2Attention, Gpt2Block, Gpt2Mlp};
pub use config::Gpt2Config;
pub use model::Gpt2;
pub use weights::{GGUF, HUGGING_FACE, NANOGPT};
