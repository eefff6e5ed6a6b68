//! The table of embeddings.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Int, Tensor};

use crate::trace;

/// A vector for each of a number of tokens.
///
/// The same as burn's layer, which can't be looked on from outside (see [`trace`]).
#[derive(Module, Debug)]
pub struct Embedding {
    /// `[n_embedding, d_model]`.
    pub weight: Param<Tensor<2>>,
}

impl Embedding {
    /// The vectors of the tokens.
    ///
    /// # Shapes
    /// - `tokens`: `[B, T]`, each less than `n_embedding`
    /// - output: `[B, T, d_model]`
    ///
    /// # Panics
    /// On flex, if a token is out of range.
    pub fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let [_, d_model] = self.weight.lazy_shape().dims();
        let [batch, length] = tokens.dims();
        let device = tokens.device();
        // What is traced are floating-point tensors; the tokens are passed around it.
        let like = Tensor::<1>::empty([0], &device);
        trace::layer("Embedding", &self.weight, like, [batch, length, d_model], 0, |_| {
            libellus_kernels::embedding(self.weight.val(), tokens)
        })
    }

    /// The product of each vector with every embedding: the logits of an output that shares the table (Press and Wolf
    /// 2017, arXiv:1608.05859).
    ///
    /// # Shapes
    /// - `vectors`: `[B, T, d_model]`
    /// - output: `[B, T, n_embedding]`
    ///
    /// # Panics
    /// If the vectors have another width.
    pub fn project(&self, vectors: Tensor<3>) -> Tensor<3> {
        let [n_embedding, d_model] = self.weight.lazy_shape().dims();
        let [batch, length, width] = vectors.dims();
        assert_eq!(width, d_model, "embeddings of {d_model} values got vectors of {width}");
        let macs = (batch * length * d_model * n_embedding) as u64;
        let output = [batch, length, n_embedding];
        trace::layer("Embedding", &self.weight, vectors, output, macs, |vectors| {
            let flat = vectors.reshape([batch * length, d_model]);
            libellus_kernels::linear_transposed(flat, self.weight.val()).reshape(output)
        })
    }
}

/// Configuration of [`Embedding`].
#[derive(Config, Debug)]
pub struct EmbeddingConfig {
    /// Number of tokens.
    pub n_embedding: usize,
    /// Size of each vector.
    pub d_model: usize,
    /// What the vectors start with.
    #[config(default = "Initializer::Normal { mean: 0.0, std: 1.0 }")]
    pub initializer: Initializer,
}

impl EmbeddingConfig {
    /// The table.
    pub fn init(&self, device: &Device) -> Embedding {
        Embedding { weight: self.initializer.init([self.n_embedding, self.d_model], device) }
    }
}
