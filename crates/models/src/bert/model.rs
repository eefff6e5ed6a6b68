//! The module.

use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor};
use libellus_layers::{Activation, Dropout, Embedding, EncoderBlock, LayerNorm, Linear, trace};

/// BERT without a task: embeddings of tokens, positions and token types, post-norm encoder blocks, and a layer for the
/// first token.
///
/// ```
/// use burn::tensor::{Int, Tensor};
/// use libellus_models::{BertConfig, bert::BertInput};
///
/// let device = libellus_backend::testing::device();
/// let model = BertConfig::tiny().init(&device)?;
/// let tokens = Tensor::<2, Int>::from_ints([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]], &device);
/// let output = model.forward(BertInput::new(tokens));
/// assert_eq!(output.hidden.dims(), [2, 5, 10]);
/// # Ok::<(), libellus_models::ConfigError>(())
/// ```
#[derive(Module, Debug)]
pub struct Bert {
    pub(super) token_embed: Embedding,
    pub(super) pos_embed: Embedding,
    pub(super) type_embed: Embedding,
    /// Of the sum of the embeddings.
    pub(super) norm: LayerNorm,
    pub(super) dropout: Dropout,
    pub(super) blocks: Vec<EncoderBlock>,
    pub(super) pooler: Option<Linear>,
}

/// What goes into a [`Bert`].
#[derive(Debug, Clone)]
pub struct BertInput {
    /// `[B, T]`.
    pub tokens: Tensor<2, Int>,
    /// True for tokens, false for padding, `[B, T]`; without it nothing is padding.
    pub mask: Option<Tensor<2, Bool>>,
    /// `[B, T]`; without them all are of type 0.
    pub token_types: Option<Tensor<2, Int>>,
}

/// What a [`Bert`] puts out.
#[derive(Debug, Clone)]
pub struct BertOutput {
    /// What the last block puts out, `[B, T, D]`. It means nothing where the input is padding.
    pub hidden: Tensor<3>,
    /// What the pooler makes of the first token, `[B, D]`.
    pub pooled: Option<Tensor<2>>,
}

impl BertInput {
    /// Tokens of type 0, none of them padding.
    pub fn new(tokens: Tensor<2, Int>) -> Self {
        Self { tokens, mask: None, token_types: None }
    }
}

impl Bert {
    /// Number of tokens in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.token_embed.weight.lazy_shape()[0]
    }

    /// The most tokens that the model can read.
    pub fn context(&self) -> usize {
        self.pos_embed.weight.lazy_shape()[0]
    }

    /// The tokens in their context, and what the pooler makes of the first.
    ///
    /// # Shapes
    /// - `input`: tokens `[B, T]`
    /// - output: hidden `[B, T, D]`, pooled `[B, D]`
    ///
    /// # Panics
    /// If there are more tokens than positions, or the parts of `input` differ in shape.
    pub fn forward(&self, input: BertInput) -> BertOutput {
        let hidden = self.forward_features(input);
        let pooled = self.pooler.as_ref().map(|pooler| {
            let first = hidden.clone().narrow(1, 0, 1).squeeze_dim(1);
            trace::tap("pooler", Activation::Tanh.forward(pooler.forward(first)))
        });
        BertOutput { hidden, pooled }
    }

    /// The tokens in their context alone.
    ///
    /// # Shapes
    /// - `input`: tokens `[B, T]`
    /// - output: `[B, T, D]`
    ///
    /// # Panics
    /// As [`Bert::forward`].
    pub fn forward_features(&self, input: BertInput) -> Tensor<3> {
        let [batch, length] = input.tokens.dims();
        let padding = input.mask.map(|mask| {
            assert_eq!(mask.dims(), [batch, length], "a mask of another shape than the tokens");
            mask.bool_not().reshape([batch, 1, 1, length])
        });
        let embedded = self.embed(input.tokens, input.token_types);
        self.blocks.iter().enumerate().fold(embedded, |tokens, (index, block)| {
            trace::tap(format_args!("blocks.{index}"), block.forward(tokens, padding.clone()))
        })
    }

    fn embed(&self, tokens: Tensor<2, Int>, token_types: Option<Tensor<2, Int>>) -> Tensor<3> {
        let [batch, length] = tokens.dims();
        let device = tokens.device();
        let context = self.context();
        assert!(length <= context, "{length} tokens, but only {context} positions");
        let positions = Tensor::<1, Int>::arange(0..length as i64, &device).unsqueeze();
        let token_types = token_types.unwrap_or_else(|| Tensor::zeros([batch, length], &device));
        assert_eq!(token_types.dims(), [batch, length], "token types of another shape than the tokens");
        let sum = self.token_embed.forward(tokens)
            + self.type_embed.forward(token_types)
            + self.pos_embed.forward(positions);
        self.dropout.forward(trace::tap("norm", self.norm.forward(sum)))
    }
}
