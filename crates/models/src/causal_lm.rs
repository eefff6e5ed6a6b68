//! Language models that read from left to right.

use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor};
use libellus_layers::KvCache;

use crate::architecture::EXAMPLE_TOKENS;
use crate::{InputError, Tensors, device_of};

/// A language model in which every token sees those before it, with or without a cache of what it has read.
///
/// Shapes: `B` sequences, `T` tokens, `D` width, `V` vocabulary.
///
/// Sequences of different lengths share a batch by padding, on either side. A `mask` is then true where a token is real,
/// `[B, T]`; without it all are. Padding is seen by no token and has no position, so that a sequence gives what it gives
/// alone; what a model puts out at padding means nothing.
pub trait CausalLm {
    /// Number of tokens `V` in the vocabulary.
    fn vocab_size(&self) -> usize;

    /// The most tokens that the model can read.
    fn context(&self) -> usize;

    /// An empty cache for `batch` sequences of up to `capacity` tokens, padding included.
    ///
    /// # Panics
    /// If `capacity` exceeds [`context`](Self::context).
    fn new_cache(&self, batch: usize, capacity: usize) -> KvCache;

    /// The normalised output of the last block at each token.
    ///
    /// # Shapes
    /// - `tokens`: `[B, T]`, each less than `V`
    /// - output: `[B, T, D]`
    ///
    /// # Panics
    /// If there are more tokens than the context.
    fn forward_features(&self, tokens: Tensor<2, Int>, mask: Option<Tensor<2, Bool>>) -> Tensor<3>;

    /// The same for tokens that follow those that `cache` has seen; they are added to it.
    ///
    /// Meant for inference. Under autodiff it works, but copies the cache at each step.
    ///
    /// # Shapes
    /// - `tokens`: `[B, T]`, each less than `V`
    /// - output: `[B, T, D]`
    ///
    /// # Panics
    /// If less than `T` tokens [remain](KvCache::remaining) in the cache, or it is another model's.
    fn forward_cached(
        &self,
        tokens: Tensor<2, Int>,
        mask: Option<Tensor<2, Bool>>,
        cache: &mut KvCache,
    ) -> Tensor<3>;

    /// Logits of the next token. To generate, compute them for the last real token alone: those of a long prompt take a
    /// lot of memory.
    ///
    /// # Shapes
    /// - `features`: `[B, T, D]`
    /// - output: `[B, T, V]`
    fn logits(&self, features: Tensor<3>) -> Tensor<3>;

    /// Logits of the token after each token.
    ///
    /// # Shapes
    /// - `tokens`: `[B, T]`, each less than `V`
    /// - output: `[B, T, V]`
    ///
    /// # Panics
    /// As [`forward_features`](Self::forward_features).
    fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        self.logits(self.forward_features(tokens, None))
    }
}

/// Applies a model to `tokens` and, if it is there, `mask` (1 where a token is real); puts out `logits` and `hidden`.
pub(crate) fn run<M: CausalLm + Module>(model: &M, inputs: &Tensors) -> Result<Tensors, InputError> {
    inputs.only(&["tokens", "mask"])?;
    let device = device_of(model);
    let tokens = inputs.ints::<2>("tokens", model.vocab_size(), &device)?;
    inputs.length_within("tokens", 0, 1, usize::MAX)?;
    inputs.length_within("tokens", 1, 1, model.context())?;
    let mask = inputs.optional_ints::<2>("mask", 2, &device)?;
    for (dim, length) in tokens.dims().into_iter().enumerate() {
        inputs.length("mask", dim, length)?;
    }
    let hidden = model.forward_features(tokens, mask.map(|mask| mask.bool()));
    Ok(Tensors::new().with("logits", model.logits(hidden.clone())).with("hidden", hidden))
}

/// What costs are counted for: one sequence of as many tokens as the context has, but not more than [`EXAMPLE_TOKENS`].
pub(crate) fn example(context: usize) -> Result<Tensors, InputError> {
    Tensors::new().with_zeros::<i64, 2>("tokens", [1, context.min(EXAMPLE_TOKENS)])
}
