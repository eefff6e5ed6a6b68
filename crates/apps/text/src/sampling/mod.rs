//! How the next token is chosen from a model's logits.
//!
//! Read [`Sampling`] first: it is what a person chooses. [`Sampler`] makes a choice of it for one sequence at a time,
//! [`Beams`] searches for the likeliest sequences instead, and [`StopStrings`] says where the text ends. All of it
//! works on logits in host memory and knows nothing of the model.
//!
//! Reference implementation: `transformers` 5.24 (`generation/logits_process.py` and `GenerationMixin._beam_search`).
//! The options mean the same, and are applied in the same order: penalties, temperature, top-k, top-p, min-p, typical.
//! Presence and frequency penalties, which it lacks, are those of OpenAI's interface, after the repetition penalty as in
//! vLLM.
//!
//! *Differences.* A NaN or positive infinity among the logits is an error, where `transformers` draws nonsense or takes
//! it for the largest. Beams that don't exist yet, in the first steps on a tiny vocabulary, have no score instead of
//! minus 10⁹, so that they can't be returned.

mod beam;
mod error;
mod filters;
mod options;
mod penalties;
mod sampler;
mod stop;
#[cfg(test)]
mod tests;

pub use beam::{BeamSearch, Beams, EarlyStopping, Hypothesis, Step};
pub use error::SamplingError;
pub use options::Sampling;
pub(crate) use sampler::log_sum_exp;
pub use sampler::{Choice, Sampler, TokenProbability, sequence_rng, top_log_probabilities};
pub use stop::{StopStrings, Text};
