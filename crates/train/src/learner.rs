//! A model with all that improves it.

use std::time::Instant;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use libellus_losses::{Loss, Part};
use libellus_optim::{
    DecayPolicy, Ema, GradientAccumulator, OptimError, OptimizerConfig, Schedule, ScheduleConfig,
    clip_global_norm, global_norm, layer_flow,
};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{CheckpointReader, CheckpointWriter};
use crate::clock::Clock;
use crate::error::TrainError;
use crate::task::StepLog;

/// How a model is improved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnerConfig {
    /// The optimiser and its constants.
    pub optimizer: OptimizerConfig,
    /// Peak learning rate.
    pub lr: f64,
    /// How the learning rate goes over the run.
    pub schedule: ScheduleConfig,
    /// Which parameters decay.
    pub decay: DecayPolicy,
    /// Largest global gradient norm; larger gradients are scaled down to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Decay of the exponential moving average of the weights, which is evaluated and saved in their place. The first steps
    /// have a smaller one, see [`Ema::with_warmup`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema_decay: Option<f64>,
    /// Steps between measurements of each parameter's gradient norm and update ratio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow_every: Option<u64>,
}

/// A model, its optimiser, its learning-rate schedule, and the moving average of its weights.
///
/// A task has one, or several: a GAN has one for each of its two networks.
pub struct Learner<M: Module> {
    name: &'static str,
    // Empty only while the optimiser has the model, so that it can update the weights in place.
    model: Option<M>,
    optimizer: ModuleOptimizer,
    schedule: Schedule,
    clip_norm: Option<f64>,
    ema: Option<Ema<M>>,
    flow_every: Option<u64>,
}

impl<M: Module> Learner<M> {
    /// Prepares `model`, whose tensors live on an autodiff device, for a run of `total_steps`. The `name` tells its files
    /// in a checkpoint from those of other learners.
    ///
    /// # Errors
    /// When a number of the configuration is out of its range.
    pub fn new(
        name: &'static str,
        model: M,
        config: &LearnerConfig,
        total_steps: u64,
    ) -> Result<Self, OptimError> {
        let schedule = config.schedule.init(total_steps, config.lr)?;
        let ema = config.ema_decay.map(|decay| Ok(Ema::new(&model, decay)?.with_warmup())).transpose()?;
        Ok(Self {
            name,
            optimizer: config.optimizer.init(config.decay)?,
            model: Some(model),
            schedule,
            clip_norm: config.clip_norm,
            ema,
            flow_every: config.flow_every,
        })
    }

    /// The model as it is trained.
    pub fn model(&self) -> &M {
        self.model.as_ref().expect("the model is only away during the optimiser's step")
    }

    /// The model as it is used: the moving average if there is one, in inference mode.
    pub fn trained(&self) -> M {
        self.ema.as_ref().map_or(self.model(), Ema::model).valid()
    }

    /// Takes one optimiser step on the mean gradient of `batches`, each of which goes through `loss` on its own, so that
    /// only one of them is in memory at a time.
    ///
    /// # Panics
    /// When `batches` is empty.
    pub fn step<B>(
        &mut self,
        clock: &Clock,
        batches: Vec<B>,
        mut loss: impl FnMut(&M, B) -> Loss,
    ) -> StepLog {
        assert!(!batches.is_empty(), "a step needs a batch");
        let started = Instant::now();
        let model = self.model.take().expect("the model is only away during the optimiser's step");
        let mut gradients = GradientAccumulator::new();
        let mut losses = Vec::with_capacity(batches.len());
        for batch in batches {
            let loss = loss(&model, batch);
            losses.push(detached(&loss));
            gradients.accumulate(&model, GradientsParams::from_grads(loss.total.backward(), &model));
        }
        let gradients = gradients.average(&model);
        let (gradients, gradient_norm) = match self.clip_norm {
            Some(max_norm) => {
                let clipped = clip_global_norm(&model, gradients, max_norm);
                (clipped.gradients, clipped.norm)
            }
            None => {
                let norm = global_norm(&model, &gradients);
                (gradients, norm)
            }
        };

        let learning_rate = self.schedule.lr(clock.step);
        let (model, flow) = match self.flow_every {
            // The first step of a run says most about a model's initialisation.
            Some(every) if clock.step.is_multiple_of(every) => {
                let before = model.clone();
                let seen = copied(&model, &gradients);
                let model = self.optimizer.step(learning_rate, model, gradients);
                let flow = layer_flow(&before, &model, &seen);
                (model, Some(flow))
            }
            _ => (self.optimizer.step(learning_rate, model, gradients), None),
        };
        if let Some(ema) = &mut self.ema {
            ema.update(&model);
        }
        self.model = Some(model);
        tracing::trace!(learner = self.name, step = clock.step, elapsed = ?started.elapsed(), "step");
        StepLog { loss: mean(losses), gradient_norm, learning_rate, samples: 0, flow }
    }

    /// Writes the state into a checkpoint.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn save(&self, checkpoint: &mut CheckpointWriter) -> Result<(), TrainError> {
        checkpoint.module(self.name, self.model())?;
        checkpoint.optimizer(&format!("{}.optimizer", self.name), &self.optimizer)?;
        if let Some(ema) = &self.ema {
            checkpoint.module(&format!("{}.ema", self.name), ema.model())?;
            checkpoint.state(&format!("{}.ema", self.name), &ema.updates())?;
        }
        Ok(())
    }

    /// Takes up the state that [`save`](Learner::save) wrote.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    pub fn load(&mut self, checkpoint: &CheckpointReader) -> Result<(), TrainError> {
        let model = self.model.take().expect("the model is only away during the optimiser's step");
        self.model = Some(checkpoint.module(self.name, model)?);
        self.optimizer = checkpoint.optimizer(&format!("{}.optimizer", self.name), self.optimizer.clone())?;
        if let Some(ema) = &mut self.ema {
            let model = checkpoint.module(&format!("{}.ema", self.name), ema.model().clone())?;
            ema.restore(model, checkpoint.state(&format!("{}.ema", self.name))?);
        }
        Ok(())
    }
}

/// For a model most of which is frozen, and comes from elsewhere when the run goes on.
impl<M: Module> Learner<M> {
    /// Writes `part` of the model, which is all that is trained, and the optimiser's state into a checkpoint.
    ///
    /// # Errors
    /// When a file can't be written.
    ///
    /// # Panics
    /// When the model has a moving average, which is of the whole model.
    pub fn save_part<P: Module>(
        &self,
        part: &P,
        checkpoint: &mut CheckpointWriter,
    ) -> Result<(), TrainError> {
        assert!(self.ema.is_none(), "a moving average is of the whole model");
        checkpoint.module(self.name, part)?;
        checkpoint.optimizer(&format!("{}.optimizer", self.name), &self.optimizer)
    }

    /// Takes up the state that [`save_part`](Learner::save_part) wrote: `put` brings `part`, as it was then, into the model.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    pub fn load_part<P: Module>(
        &mut self,
        part: P,
        checkpoint: &CheckpointReader,
        put: impl FnOnce(&mut M, P),
    ) -> Result<(), TrainError> {
        let part = checkpoint.module(self.name, part)?;
        put(self.model.as_mut().expect("the model is only away during the optimiser's step"), part);
        self.optimizer = checkpoint.optimizer(&format!("{}.optimizer", self.name), self.optimizer.clone())?;
        Ok(())
    }
}

impl<M: Module> std::fmt::Debug for Learner<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Learner")
            .field("name", &self.name)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// The gradients once more: the optimiser takes its own away.
fn copied<M: Module>(model: &M, gradients: &GradientsParams) -> GradientsParams {
    struct Copy<'a> {
        from: &'a GradientsParams,
        to: GradientsParams,
    }
    impl ModuleVisitor for Copy<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.from.get::<D>(param.id) {
                self.to.register(param.id, gradient);
            }
        }
    }
    let mut copy = Copy { from: gradients, to: GradientsParams::new() };
    model.visit(&mut copy);
    copy.to
}

/// The loss without its graph, so that the log doesn't keep activations alive; its parts have left it already.
fn detached(loss: &Loss) -> Loss {
    Loss { total: loss.total.clone().inner(), parts: loss.parts.clone() }
}

/// The mean of the losses of a step's batches, part by part.
fn mean(losses: Vec<Loss>) -> Loss {
    let count = losses.len() as f64;
    let sum = losses.into_iter().reduce(|sum, loss| Loss {
        total: sum.total + loss.total,
        parts: sum
            .parts
            .into_iter()
            .zip(loss.parts)
            .map(|(sum, part)| Part { name: sum.name, value: sum.value + part.value })
            .collect(),
    });
    let sum = sum.expect("a step has at least one batch");
    Loss {
        total: sum.total / count,
        parts: sum
            .parts
            .into_iter()
            .map(|part| Part { name: part.name, value: part.value / count })
            .collect(),
    }
}
