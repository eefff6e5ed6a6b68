//! EfficientNet.
//!
//! Tan and Le 2019, *EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks*, arXiv:1905.11946, table 1
//! and section 3.3. Reference: `torchvision.models.efficientnet`.
//! Shapes: `B` batch, `C` channels, `H`/`W` image size, `D` width of the features, `K` classes.
//!
//! *Differences* to the paper, shared with torchvision: convolutions are padded at all sides alike, and batch norms have
//! PyTorch's epsilon and momentum. *Differences* to torchvision: a depthwise convolution is drawn with He's variance over
//! the outgoing connections of one channel, as in the paper's own implementation, not over those of all.

mod config;
mod model;
#[cfg(test)]
mod tests;
mod weights;

pub use config::{EfficientNetConfig, EfficientNetStage};
pub use model::{EfficientNet, Layer};
pub use weights::TORCHVISION;
