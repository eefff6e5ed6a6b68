//! Multilayer perceptron.
//!
//! Rumelhart, Hinton and Williams 1986, *Learning representations by back-propagating errors*; with dropout, Srivastava
//! et al. 2014. Reference: `torch.nn.Linear`, an activation and `torch.nn.Dropout` in turn.
//! Shapes: `B` batch, `C` channels, `H`/`W` image size, `D` width of the last hidden layer, `K` classes.

mod config;
mod model;
#[cfg(test)]
mod tests;
mod weights;

pub use config::MlpConfig;
pub use model::Mlp;
pub use weights::PYTORCH;
