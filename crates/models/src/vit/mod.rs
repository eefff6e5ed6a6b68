//! Vision Transformers.
//!
//! Dosovitskiy et al. 2021, *An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale*,
//! arXiv:2010.11929, section 3.1 and table 1. Reference: timm's `VisionTransformer`.
//! Shapes: `B` batch, `C` channels, `H`/`W` image size, `P` patch size, `T` tokens, `D` width, `K` classes.
//!
//! Presets have timm's names, and torchvision's as second ones (`vit_b_16`). Both mean the same network; the images are
//! prepared as timm prepares them for the weights it publishes (mean and standard deviation 0.5, bicubic). torchvision's
//! weights want ImageNet's statistics instead.
//!
//! *Differences* to the paper, shared with timm: the head is one linear layer in all cases, where the paper has a hidden
//! layer in pre-training; position embeddings of another image size are resampled with antialiasing.
//! *Differences* to timm: the width of the feed-forward network is a number of its own rather than a ratio, one dropout
//! rate serves all places that the paper names, and the first block may be dropped as well (see
//! [`linear_decay`](libellus_layers::linear_decay)).

mod config;
mod hugging_face;
mod model;
mod positions;
#[cfg(test)]
mod tests;
mod weights;

pub use config::{VitConfig, VitPooling};
pub use model::Vit;
pub use positions::resample_positions;
pub use weights::{HUGGING_FACE, TIMM, TORCHVISION};
