//! ConvNeXt.
//!
//! Liu, Mao, Wu, Feichtenhofer, Darrell and Xie 2022, *A ConvNet for the 2020s*, arXiv:2201.03545, section 2 and
//! appendix A. Reference: `torchvision.models.convnext`.
//! Shapes: `B` batch, `C` channels, `H`/`W` image size, `D` width of the features, `K` classes.

mod block;
mod config;
mod model;
#[cfg(test)]
mod tests;
mod weights;

pub use block::ConvNeXtBlock;
pub use config::ConvNeXtConfig;
pub use model::{ConvNeXt, ConvNeXtStage, Downsample, Stem};
pub use weights::TORCHVISION;
