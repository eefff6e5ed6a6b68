//! Residual networks for small images.
//!
//! He, Zhang, Ren and Sun 2016, *Deep Residual Learning for Image Recognition*, arXiv:1512.03385, section 4.2: a 3x3
//! convolution, three stages of `n` basic blocks with 16, 32 and 64 channels, and shortcuts without parameters (option
//! A). Reference: Y. Idelbayev, *pytorch_resnet_cifar10*, whose parameter counts are the published ones.
//! Shapes: `B` batch, `C` channels, `H`/`W` image size, `D` width of the features, `K` classes.
//!
//! *Differences* to the paper: convolutions are drawn with He's variance over the outgoing instead of the incoming
//! connections, as in [`crate::resnet`]. The stride of the first convolution is an option, for larger images on slow
//! machines.

mod config;
mod model;
#[cfg(test)]
mod tests;
mod weights;

pub use config::CifarResNetConfig;
pub use model::CifarResNet;
pub use weights::IDELBAYEV;
