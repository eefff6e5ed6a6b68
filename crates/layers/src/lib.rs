//! Building blocks that several architectures share.
//!
//! Architectures take every layer from here, never from burn directly, so that a faster one can be put beneath all of
//! them in one place. Where burn-nn's layer computes what PyTorch's does, it is re-exported; where it doesn't, or where
//! burn has none, the layer is written here and its module says why:
//!
//! | here | why not burn's |
//! |---|---|
//! | [`BatchNorm`], [`RunningStatistic`] | burn feeds the biased variance to the running statistics, shares them between clones, and records them one update late |
//! | [`Activation`] | a choice that reads well in a configuration file (`activation = "relu"`) |
//! | [`DropPath`], [`Residual`], [`BasicBlock`] | burn has none |
//! | [`EncoderBlock`], [`SelfAttention`], [`FeedForward`] | burn's have separate projections, one dropout rate, no stochastic depth, and don't use the fused attention |
//! | [`attention()`] | burn's lacks grouped queries and dropout, and in training keeps all scores |
//! | [`resize_bilinear`] | burn's has no gradient on ndarray, and takes longer on flex |
//! | [`KvCache`] | burn's copies everything at each step, and knows no padding |
//! | [`Rope`] | burn's rotates neighbours, checkpoints of the Llama family expect halves |
//! | [`Rnn`], [`Lstm`], [`Gru`] | burn's have one layer, no dropout, and a tensor for each gate where PyTorch's checkpoints have one for all |
//! | [`Linear`], [`Conv1d`], [`Conv2d`], [`ConvTranspose2d`], [`Embedding`], [`LayerNorm`], [`RmsNorm`], [`GroupNorm`] | burn's compute the same, but can't be looked on from outside: see [`trace`] |
//! | [`MaxPool2d`], [`AvgPool2d`], [`AdaptiveAvgPool2d`] | burn's take many times as long on a CPU |
//! | [`Dropout`] | burn's draws on one thread and keeps a float for each element |
//! | [`MaxPool2d`] | burn's takes twelve times as long on a CPU |
//! | [`ConvNorm`], [`SqueezeExcitation`], [`InvertedResidual`], [`ZeroBias`] | burn has none |
//!
//! Layers have burn's parameter names and shapes, and PyTorch's initial distributions.
//!
//! Parameters are drawn when they are first used, not in `init`: a model that is about to be loaded draws nothing.

mod activation;
mod attention;
mod batch_norm;
mod conv;
mod conv_norm;
mod drop_path;
mod dropout;
mod embedding;
mod encoder_block;
mod feed_forward;
mod group_norm;
mod inverted_residual;
mod kv_cache;
mod linear;
mod lora;
mod norm;
mod pool;
mod recurrent;
mod residual;
mod resize;
mod rope;
mod running;
mod self_attention;
mod squeeze;
pub mod trace;
mod zero_bias;

pub use activation::Activation;
pub use attention::{
    AttentionOptions, Causal, attention, merge_heads, packed_attention, split_heads, split_packed,
};
pub use batch_norm::{BatchNorm, BatchNormConfig};
pub use conv::{
    AfterConv, Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig,
    conv_before_norm,
};
pub use conv_norm::{ConvNorm, ConvNormConfig};
pub use drop_path::{DropPath, DropPathConfig, linear_decay};
pub use dropout::{Dropout, DropoutConfig};
pub use embedding::{Embedding, EmbeddingConfig};
pub use encoder_block::{EncoderBlock, EncoderBlockConfig, NormPlacement};
pub use feed_forward::{FeedForward, FeedForwardConfig};
pub use group_norm::{GroupNorm, GroupNormConfig};
pub use inverted_residual::{Expand, InvertedResidual, InvertedResidualConfig};
pub use kv_cache::{KeysValues, KvCache, Span};
pub use linear::{Linear, LinearConfig};
pub use lora::{Lora, LoraConfig};
pub use norm::{LayerNorm, LayerNormConfig, RmsNorm, RmsNormConfig};
pub use pool::{
    AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, AvgPool2d, AvgPool2dConfig, MaxPool2d, MaxPool2dConfig,
};
pub use recurrent::{
    Gru, GruConfig, Lstm, LstmConfig, LstmOutput, LstmState, RecurrentLayer, RecurrentWeights, Rnn,
    RnnConfig, RnnNonlinearity, RnnOutput, reverse_padded,
};
pub use residual::{
    BasicBlock, BasicBlockConfig, GammaInit, Projection, Residual, ResidualConfig, ShapeChange, Shortcut,
    Subsample,
};
pub use resize::resize_bilinear;
pub use rope::{Rope, RopeScaling, Rotation};
pub use running::RunningStatistic;
pub use self_attention::{SelfAttention, SelfAttentionConfig};
pub use squeeze::{SqueezeExcitation, SqueezeExcitationConfig};
pub use zero_bias::ZeroBias;

pub use libellus_kernels::{Precision, PrepareInference, Prepared, concat_channels};

pub use burn::nn::{Identity, Initializer, PaddingConfig2d, Relu};
