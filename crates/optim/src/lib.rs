//! Optimisers with PyTorch's semantics and defaults, learning-rate schedules, global-norm clipping, gradient
//! accumulation, the exponential moving average of weights, and the flow of gradients through the layers.
//!
//! Everything works on burn's own types: a model is any [`Module`](burn::module::Module), gradients are
//! [`GradientsParams`](burn::optim::GradientsParams), and an optimiser is a
//! [`ModuleOptimizer`](burn::optim::ModuleOptimizer), whose record is saved and loaded as burn does it.
//!
//! | for | take |
//! |---|---|
//! | SGD, Adam, AdamW, RMSprop, Lion | [`OptimizerConfig`] |
//! | weight decay on some parameters only | [`DecayPolicy`] |
//! | a learning rate that depends on the step | [`ScheduleConfig`], [`Schedule`] |
//! | gradients that explode | [`clip_global_norm`], [`global_norm`] |
//! | a batch that doesn't fit into memory | [`GradientAccumulator`] |
//! | evaluating smoother weights | [`Ema`] |
//! | seeing what each layer learns | [`layer_flow`] |
//!
//! # Example
//!
//! One step of AdamW on a linear layer, with warm-up and clipping:
//!
//! ```
//! use burn::nn::LinearConfig;
//! use burn::optim::GradientsParams;
//! use burn::tensor::Tensor;
//! use libellus_optim::{AdamWConfig, DecayPolicy, OptimizerConfig, ScheduleConfig, clip_global_norm};
//!
//! let device = libellus_backend::testing::device().autodiff();
//! let mut model = LinearConfig::new(3, 2).init(&device);
//! let mut optimizer = OptimizerConfig::AdamW(AdamWConfig::default()).init(DecayPolicy::NoNormsAndBiases)?;
//! let schedule = ScheduleConfig::WarmupCosine { warmup: 10, final_factor: 0.0 }.init(100, 1e-3)?;
//!
//! let loss = model.forward(Tensor::<2>::ones([5, 3], &device)).square().mean();
//! let gradients = GradientsParams::from_grads(loss.backward(), &model);
//! let clipped = clip_global_norm(&model, gradients, 1.0);
//! model = optimizer.step(schedule.lr(0), model, clipped.gradients);
//! assert!(clipped.norm.into_scalar::<f32>() > 0.0);
//! # let _ = model;
//! # Ok::<(), libellus_optim::OptimError>(())
//! ```

mod accumulate;
mod adam;
mod clip;
mod config;
mod decay;
mod ema;
mod error;
mod flow;
mod gradients;
mod lion;
mod rmsprop;
mod schedule;
mod sgd;
mod slot;

pub use accumulate::GradientAccumulator;
pub use adam::{AdamConfig, AdamWConfig};
pub use clip::{Clipped, clip_global_norm, global_norm};
pub use config::OptimizerConfig;
pub use decay::DecayPolicy;
pub use ema::Ema;
pub use error::OptimError;
pub use flow::{LayerFlow, layer_flow};
pub use lion::LionConfig;
pub use rmsprop::RmsPropConfig;
pub use schedule::{Schedule, ScheduleConfig};
pub use sgd::SgdConfig;
