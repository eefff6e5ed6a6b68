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
//!
//! burn's [`Linear`] and [`Conv2d`] draw their weights and biases from `U(-1/sqrt(fan_in), 1/sqrt(fan_in))`, which is
//! what PyTorch's `kaiming_uniform_(a=sqrt(5))` and its bias bound come to; they are used as they are.
//!
//! Parameters are drawn when they are first used, not in `init`: a model that is about to be loaded draws nothing.

mod activation;
mod batch_norm;
mod conv;
mod drop_path;
mod residual;
mod running;

pub use activation::Activation;
pub use batch_norm::{BatchNorm, BatchNormConfig};
pub use conv::conv_before_norm;
pub use drop_path::{DropPath, DropPathConfig, linear_decay};
pub use residual::{
    BasicBlock, BasicBlockConfig, GammaInit, Projection, Residual, ResidualConfig, ShapeChange, Shortcut,
    Subsample,
};
pub use running::RunningStatistic;

pub use burn::nn::conv::{Conv2d, Conv2dConfig};
pub use burn::nn::pool::{
    AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, AvgPool2d, AvgPool2dConfig, MaxPool2d, MaxPool2dConfig,
};
pub use burn::nn::{Dropout, DropoutConfig, Identity, Initializer, Linear, LinearConfig, PaddingConfig2d};
