//! MobileNetV2.
//!
//! Sandler, Howard, Zhu, Zhmoginov and Chen 2018, *MobileNetV2: Inverted Residuals and Linear Bottlenecks*,
//! arXiv:1801.04381, table 2. Reference: `torchvision.models.mobilenet_v2`.
//! Shapes: `B` batch, `C` channels, `H`/`W` image size, `D` width of the features, `K` classes.
//!
//! *Differences* to the paper, shared with torchvision: the last layer is linear instead of a 1x1 convolution, after
//! dropout. *Differences* to torchvision: a depthwise convolution is drawn with He's variance over the outgoing
//! connections of one channel, as in the paper's own implementation, not over those of all.

mod config;
mod model;
#[cfg(test)]
mod tests;
mod weights;

pub use config::{MobileNetV2Config, MobileNetV2Stage};
pub use model::{Layer, MobileNetV2};
pub use weights::TORCHVISION;
