//! VGG: plain stacks of 3x3 convolutions.
//!
//! Simonyan and Zisserman 2015, *Very Deep Convolutional Networks for Large-Scale Image Recognition*, arXiv:1409.1556,
//! table 1, columns A, B, D and E. Reference: `torchvision.models.vgg`.
//! Shapes: `B` batch, `C` channels, `H`/`W` image size, `D` width of the features, `K` classes.
//!
//! *Differences* to the paper, shared with torchvision: batch norms (Ioffe and Szegedy 2015, arXiv:1502.03167) are an
//! option; the last maps are averaged to 7x7 pixels, so that images of any size from 32x32 fit; convolutions are drawn
//! with He's variance over the outgoing connections.

mod config;
mod model;
#[cfg(test)]
mod tests;
mod weights;

pub use config::VggConfig;
pub use model::{Layer, Vgg};
pub use weights::TORCHVISION;
