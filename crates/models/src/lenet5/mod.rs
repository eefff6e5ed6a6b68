//! LeNet-5.
//!
//! LeCun, Bottou, Bengio and Haffner 1998, *Gradient-Based Learning Applied to Document Recognition*, section II.B. The
//! reference is the form in which the network is used today: two 5x5 convolutions of 6 and 16 channels, each followed
//! by a nonlinearity and 2x2 pooling, then linear layers of 120, 84 and `K` units.
//! Shapes: `B` batch, `C` channels, `H`/`W` image size, `K` classes.
//!
//! *Differences* to the paper: its subsampling layers S2 and S4 have a trainable scale and bias and a nonlinearity of
//! their own, here they are plain average or maximum pooling; its C3 connects each channel to some of S2's only (table
//! I), here to all; its nonlinearity is `1.7159 tanh(2x/3)`; its output layer measures distances to fixed bitmaps of
//! characters (radial basis functions), here it is linear, for a softmax. Its images of 28x28 pixels lie in a field of
//! 32x32; here the first convolution pads images that are smaller than 32 pixels by 2 instead.

mod config;
mod model;
#[cfg(test)]
mod tests;
mod weights;

pub use config::{LeNet5Config, Pooling};
pub use model::LeNet5;
pub use weights::PYTORCH;
