//! Residual networks for images of the size of ImageNet's.
//!
//! He, Zhang, Ren and Sun 2016, *Deep Residual Learning for Image Recognition*, arXiv:1512.03385, table 1, with
//! projection shortcuts where the shape changes (option B). With groups: Xie et al. 2017, *Aggregated Residual
//! Transformations for Deep Neural Networks*, arXiv:1611.05431. With more channels in the 3x3 convolutions: Zagoruyko and
//! Komodakis 2016, *Wide Residual Networks*, arXiv:1605.07146. Reference: `torchvision.models.resnet`.
//! Shapes: `B` batch, `C` channels, `H`/`W` image size, `D` width of the features, `K` classes.
//!
//! *Differences* to the paper, shared with torchvision: a bottleneck that reduces the size has its stride on the 3x3
//! convolution instead of the first 1x1 ("ResNet v1.5"). Stochastic depth and zero-initialised last scales are options,
//! off by default.

mod bottleneck;
mod config;
mod model;
#[cfg(test)]
mod tests;
mod weights;

pub use bottleneck::Bottleneck;
pub use config::{BlockKind, ResNetConfig};
pub use model::{Block, FeatureMaps, ResNet};
pub use weights::TORCHVISION;
