//! The exponential moving average of a model's weights.
//!
//! Polyak and Juditsky 1992, *Acceleration of Stochastic Approximation by Averaging*; for networks, Tarvainen and Valpola
//! 2017, *Mean Teachers are Better Role Models*, arXiv:1703.01780. Reference implementation: `timm.utils.ModelEmaV3`.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::container::TensorContainer;

use crate::error::{OptimError, require_decay};

/// A second copy of a model, whose weights follow those in training: `average ← d average + (1 - d) weights` after each
/// step.
///
/// All floating-point tensors are averaged, batch norm's running statistics too; integers, booleans and flags are
/// copied. The copy is in inference mode, without gradients, and shares nothing with the model in training.
///
/// ```
/// use burn::nn::LinearConfig;
/// use libellus_optim::Ema;
///
/// let device = libellus_backend::testing::device().autodiff();
/// let model = LinearConfig::new(3, 2).init(&device);
/// let mut ema = Ema::new(&model, 0.999)?.with_warmup();
/// // after each optimiser step
/// ema.update(&model);
/// assert_eq!(ema.updates(), 1);
/// # Ok::<(), libellus_optim::OptimError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ema<M> {
    // Empty only while it is being updated, so that the average changes in place.
    model: Option<M>,
    decay: f64,
    warmup: Warmup,
    updates: u64,
}

/// How the decay begins.
#[derive(Clone, Copy, Debug)]
enum Warmup {
    None,
    Hyperbolic,
}

impl<M: Module> Ema<M> {
    /// An average that starts at the weights of `model`, with `decay` (`d`) in [0, 1).
    ///
    /// # Errors
    /// When `decay` isn't.
    pub fn new(model: &M, decay: f64) -> Result<Self, OptimError> {
        require_decay("ema_decay", decay)?;
        Ok(Self { model: Some(model.valid()), decay, warmup: Warmup::None, updates: 0 })
    }

    /// Begins with a short memory: update `n`, counted from 0, has the decay `min(d, (1 + n) / (10 + n))`, so that the
    /// weights from before training are soon forgotten.
    pub fn with_warmup(mut self) -> Self {
        self.warmup = Warmup::Hyperbolic;
        self
    }

    /// The average, in inference mode.
    pub fn model(&self) -> &M {
        self.model.as_ref().expect("the average is only away during an update")
    }

    /// How many updates the average has taken in.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Takes in the weights of `model`, which has the parameters that [`new`](Ema::new) saw. Nothing is read to the host.
    pub fn update(&mut self, model: &M) {
        let decay = match self.warmup {
            Warmup::None => self.decay,
            Warmup::Hyperbolic => {
                let n = self.updates as f64;
                self.decay.min((1.0 + n) / (10.0 + n))
            }
        };
        let mut average = Averages { tensors: TensorContainer::new() };
        self.model.take().expect("the average is only away during an update").visit(&mut average);
        self.model = Some(model.valid().map(&mut Blend { average, decay }));
        self.updates += 1;
    }

    /// Goes on from a saved average and its number of updates.
    pub fn restore(&mut self, model: M, updates: u64) {
        self.model = Some(model.valid());
        self.updates = updates;
    }
}

/// The floating-point tensors of the average so far.
struct Averages {
    tensors: TensorContainer<ParamId>,
}

impl ModuleVisitor for Averages {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.tensors.register(param.id, param.base());
    }
}

/// Turns the weights in training into the new average.
struct Blend {
    average: Averages,
    decay: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let average = self.average.tensors.remove::<Tensor<D>>(&param.id);
        param.map(|weights| match average {
            Some(average) => average.mul_scalar(self.decay) + weights.mul_scalar(1.0 - self.decay),
            None => weights,
        })
    }
}
