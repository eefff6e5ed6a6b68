//! The block that Transformer encoders are stacked of.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::{Bool, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::{
    Activation, Causal, DropPath, DropPathConfig, Dropout, DropoutConfig, FeedForward, FeedForwardConfig,
    LayerNorm, LayerNormConfig, SelfAttention, SelfAttentionConfig,
};

/// Self-attention, then a feed-forward network, each with a residual connection and a layer normalisation.
///
/// Vaswani et al. 2017, *Attention Is All You Need*, arXiv:1706.03762, section 3.1. References: timm's `Block`,
/// `torch.nn.TransformerEncoderLayer`. The fields are named as in timm.
///
/// burn's `TransformerEncoderLayer` has one dropout rate for all places and no stochastic depth, and see
/// [`SelfAttention`].
#[derive(Module, Debug)]
pub struct EncoderBlock {
    /// Of the attention.
    pub norm1: LayerNorm,
    /// The first branch.
    pub attn: SelfAttention,
    /// Of the feed-forward network.
    pub norm2: LayerNorm,
    /// The second branch.
    pub mlp: FeedForward,
    /// Of what a branch puts out.
    pub dropout: Dropout,
    /// Of a branch as a whole.
    pub drop_path: DropPath,
    /// Where the normalisations stand.
    #[module(skip)]
    pub norm_placement: NormPlacement,
}

/// Where a residual block normalises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormPlacement {
    /// Before each branch, `x + f(norm(x))`: the shortcut is free, and the last block is followed by a normalisation.
    /// Xiong et al. 2020, arXiv:2002.04745.
    Pre,
    /// After each sum, `norm(x + f(x))`, as in the first Transformer.
    Post,
}

impl EncoderBlock {
    /// The block's output.
    ///
    /// # Shapes
    /// - `input`: `[B, T, D]`
    /// - `mask`: true where a token is hidden, `[B or 1, H or 1, T or 1, T]`
    /// - output: `[B, T, D]`
    ///
    /// # Panics
    /// If the last dimension of `input` isn't the block's width, or the mask has another shape.
    pub fn forward(&self, input: Tensor<3>, mask: Option<Tensor<4, Bool>>) -> Tensor<3> {
        let placement = self.norm_placement;
        let tokens = placement
            .residual(&self.norm1, input, |tokens| self.drop(self.attn.forward(tokens, Causal::No, mask)));
        placement.residual(&self.norm2, tokens, |tokens| self.drop(self.mlp.forward(tokens)))
    }

    fn drop(&self, branch: Tensor<3>) -> Tensor<3> {
        self.drop_path.forward(self.dropout.forward(branch))
    }
}

impl NormPlacement {
    /// A branch with its residual connection and its normalisation.
    ///
    /// # Shapes
    /// - `input`: `[B, T, D]`
    /// - output: `[B, T, D]`
    pub fn residual(
        self,
        norm: &LayerNorm,
        input: Tensor<3>,
        branch: impl FnOnce(Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        match self {
            Self::Pre => input.clone() + branch(norm.forward(input)),
            Self::Post => norm.forward(input.clone() + branch(input)),
        }
    }
}

/// Configuration of [`EncoderBlock`].
#[derive(Config, Debug)]
pub struct EncoderBlockConfig {
    /// Width `D` of the tokens.
    pub d_model: usize,
    /// Number of heads `H`.
    pub n_heads: usize,
    /// Number of hidden units `F` of the feed-forward network.
    pub d_hidden: usize,
    /// Where the normalisations stand.
    pub norm_placement: NormPlacement,
    /// Added to the variance in the normalisations.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// Of the feed-forward network.
    #[config(default = "Activation::Gelu")]
    pub activation: Activation,
    /// Probability of an element of a branch's output being dropped in training, in `[0, 1)`.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Probability of a hidden unit of the feed-forward network being dropped in training, in `[0, 1)`.
    #[config(default = 0.0)]
    pub hidden_dropout: f64,
    /// Probability of an attention weight being dropped in training, in `[0, 1)`.
    #[config(default = 0.0)]
    pub attention_dropout: f64,
    /// Probability of a sample's whole branch being dropped in training, in `[0, 1)`.
    #[config(default = 0.0)]
    pub drop_path: f64,
    /// What the matrices start with; biases start at zero.
    #[config(default = "Initializer::Normal { mean: 0.0, std: 0.02 }")]
    pub initializer: Initializer,
}

impl EncoderBlockConfig {
    /// The block.
    ///
    /// # Panics
    /// If the width isn't a multiple of the number of heads, or a probability not in `[0, 1)`.
    pub fn init(&self, device: &Device) -> EncoderBlock {
        let norm = || LayerNormConfig::new(self.d_model).with_epsilon(self.epsilon).init(device);
        EncoderBlock {
            norm1: norm(),
            attn: SelfAttentionConfig::new(self.d_model, self.n_heads)
                .with_dropout(self.attention_dropout)
                .with_initializer(self.initializer.clone())
                .init(device),
            norm2: norm(),
            mlp: FeedForwardConfig::new(self.d_model, self.d_hidden)
                .with_activation(self.activation)
                .with_dropout(self.hidden_dropout)
                .with_initializer(self.initializer.clone())
                .init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
            drop_path: DropPathConfig::new(self.drop_path).init(),
            norm_placement: self.norm_placement,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;
    use libellus_backend::testing::{assert_close, device, read};

    const PLACEMENTS: [NormPlacement; 2] = [NormPlacement::Pre, NormPlacement::Post];

    fn config(norm_placement: NormPlacement) -> EncoderBlockConfig {
        // Weights large enough for attention to prefer some tokens.
        EncoderBlockConfig::new(6, 2, 11, norm_placement)
            .with_initializer(Initializer::Normal { mean: 0.0, std: 0.5 })
    }

    fn tokens(shape: [usize; 3], device: &Device) -> Tensor<3> {
        Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device)
    }

    /// True for the columns of hidden tokens, `[1, 1, 1, T]`.
    fn hidden(flags: &[bool], device: &Device) -> Tensor<4, Bool> {
        Tensor::<1, Bool>::from_bool(flags, device).reshape([1, 1, 1, flags.len()])
    }

    #[test]
    fn hidden_tokens_change_nothing() {
        let device = device();
        for placement in PLACEMENTS {
            let block = config(placement).init(&device);
            let input = tokens([2, 7, 6], &device);
            let mask = hidden(&[false, false, false, false, false, true, true], &device);
            let whole = block.forward(input.clone(), Some(mask)).narrow(1, 0, 5);
            let short = block.forward(input.narrow(1, 0, 5), None);
            // The same sums but for terms that are zero: a few units of f32's rounding.
            assert_close(&read(whole), &read(short), 2e-6);
        }
    }

    /// Without positions, attention has no order.
    #[test]
    fn tokens_in_another_order_give_the_same_in_that_order() {
        let device = device();
        for placement in PLACEMENTS {
            let block = config(placement).init(&device);
            let input = tokens([3, 5, 6], &device);
            let flipped = block.forward(input.clone().flip([1]), None).flip([1]);
            assert_close(&read(flipped), &read(block.forward(input, None)), 2e-6);
        }
    }

    #[test]
    fn a_block_with_silent_branches_is_the_identity_or_two_normalisations() {
        let device = device();
        let input = tokens([2, 3, 6], &device);
        for placement in PLACEMENTS {
            let block = config(placement).with_initializer(Initializer::Zeros).init(&device);
            let output = read(block.forward(input.clone(), None));
            match placement {
                NormPlacement::Pre => assert_eq!(output, read(input.clone())),
                NormPlacement::Post => {
                    let twice = block.norm2.forward(block.norm1.forward(input.clone()));
                    assert_eq!(output, read(twice));
                }
            }
        }
    }

    #[test]
    fn each_dropout_acts_in_training_only() {
        let device = device().autodiff();
        let input = tokens([5, 7, 6], &device);
        for config in [
            config(NormPlacement::Pre).with_dropout(0.5),
            config(NormPlacement::Pre).with_hidden_dropout(0.5),
            config(NormPlacement::Pre).with_attention_dropout(0.5),
            config(NormPlacement::Pre).with_drop_path(0.5),
        ] {
            device.seed(7);
            let block = config.init(&device);
            let run = |block: &EncoderBlock| read(block.forward(input.clone(), None));
            assert_ne!(run(&block), run(&block), "{config:?}");
            let frozen = block.clone().freeze();
            assert_eq!(run(&frozen), run(&frozen), "{config:?}");
            let evaluated = block.valid().forward(input.clone().without_autodiff(), None);
            assert_close(&read(evaluated), &run(&frozen), 2e-6);
        }
    }

    /// One head of width 1, one token of width 1: attention returns the value, `x Wv Wo`.
    #[test]
    fn by_hand() {
        let device = device();
        let ones = Initializer::Constant { value: 3.0 };
        let layer = SelfAttentionConfig::new(1, 1).with_initializer(ones.clone()).init(&device);
        let input = Tensor::<3>::from_floats([[[0.5]]], &device);
        assert_close(&read(layer.forward(input.clone(), Causal::No, None)), &[[[4.5f32]]].into(), 1e-6);
        let layer = FeedForwardConfig::new(1, 2)
            .with_activation(Activation::Relu)
            .with_initializer(ones)
            .init(&device);
        assert_close(&read(layer.forward(input)), &[[[9.0f32]]].into(), 1e-6);
    }

    #[test]
    #[should_panic(expected = "4 heads don't divide a width of 6")]
    fn heads_must_divide_the_width() {
        SelfAttentionConfig::new(6, 4).init(&device());
    }
}
