//! U-Net, for segmentation.
//!
//! Ronneberger, Fischer and Brox 2015, *U-Net: Convolutional Networks for Biomedical Image Segmentation*,
//! arXiv:1505.04597, figure 1. Reference: milesial's *Pytorch-UNet*, which pads and normalises.
//! Shapes: `B` batch, `C` channels, `H`/`W` image size, `K` classes.
//!
//! The paper's convolutions are not padded, so that each logit depends on real pixels alone, and the logits cover less
//! than the image: 388x388 pixels in the middle of 572x572. Most later versions pad, normalise each batch, and have
//! logits for every pixel. Both are presets, and every combination is a configuration.
//!
//! *Differences* to the paper: images may have a size that is odd before a pooling, which then leaves the last row or
//! column out. *Differences* to the reference: weights are drawn as in the paper, from He's normal distribution over the
//! incoming connections, with biases of zero.

mod blocks;
mod config;
mod model;
#[cfg(test)]
mod tests;
mod weights;

pub use blocks::{DoubleConv, Norm, Up, UpSample};
pub use config::{Convolutions, UNetConfig, Upsampling};
pub use model::UNet;
pub use weights::PYTORCH_UNET;
