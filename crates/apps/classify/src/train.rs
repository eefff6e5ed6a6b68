//! From options to a run.

use std::path::{Path, PathBuf};

use burn::module::{Module, ParamGroup};
use burn::tensor::Device;
use libellus_backend::set_threads;
use libellus_data::{
    BatchSize, Channels, ImageCollate, LastBatch, Loader, LoaderConfig, Mix, Order, Pipeline,
};
use libellus_losses::CrossEntropyConfig;
use libellus_models::{Classifier, ClassifierConfig, Precision, Preset, preset, presets};
use libellus_optim::{
    AdamConfig, AdamWConfig, DecayPolicy, LionConfig, OptimizerConfig, RmsPropConfig, ScheduleConfig,
    SgdConfig,
};
use libellus_train::{
    Circumstances, Clock, Ending, FitConfig, Interrupt, Learner, LearnerConfig, Length, Observer,
    OptionsError, Place, RunDir, RunOptions, fit,
};
use libellus_weights::{Checkpoint, Layout, LoadOptions, WeightsError, load, parameter_ids};

use crate::data::{ImageLoader, Parts, inference_pipeline, mixing, training_pipeline};
use crate::error::ClassifyError;
use crate::options::{Augment, Decay, Keep, OptimizerName, ScheduleName, TrainOptions};
use crate::report::{Finished, write_report};
use crate::saved::{Description, TASK, TestSplit, Trained};
use crate::task::ClassifyTask;

/// A run that is ready to begin, or to go on.
#[derive(Debug)]
pub struct Plan {
    /// Everything decided.
    pub options: TrainOptions,
    /// The data.
    pub parts: Parts,
    /// What the saved model will say of itself.
    pub description: Description,
    /// Weights to start from. A resumed run needs none: its checkpoint has them all.
    pub weights: Option<PathBuf>,
}

/// Decides what the options leave open, from the data set and the model.
///
/// # Errors
/// When an option is out of its range, the data isn't there or is damaged, or there is no such model.
pub fn resolve(options: &TrainOptions, data_dir: &Path) -> Result<Plan, ClassifyError> {
    refuse_idle_options(options)?;
    let seed = options.seed.unwrap_or(0);
    let validation = options.validation.map(|share| fraction("validation", share)).transpose()?;
    let test_fraction = fraction("test-fraction", options.test_fraction.unwrap_or(0.2))?;
    let data = options.data.clone().unwrap_or_else(|| "digits".to_owned());
    let parts = Parts::open(&data, data_dir, seed, test_fraction, validation)?;

    let sample = parts.train.get(0)?.image;
    let grey = sample.channels() == Channels::Grey;
    let side = sample.width().max(sample.height());
    let name = options.model.clone().unwrap_or_else(|| suggested_model(side, grey).to_owned());
    let preset = preset(&name)?;
    let channels = sample.channels().count();
    let made_for = preset.classifier()?;
    let size = options.image_size.map_or([made_for.input.height, made_for.input.width], |size| [size; 2]);
    let input = made_for.input.clone().with_channels(channels).with_size(size[0], size[1]);
    let mut config = (made_for.build)(parts.classes.len(), channels).with_input_size(size[0], size[1]);
    for (name, probability, dropping) in [
        ("dropout", options.dropout, ClassifierConfig::with_dropout as Dropping),
        ("drop-path", options.drop_path, ClassifierConfig::with_drop_path),
    ] {
        if let Some(probability) = probability.filter(|&probability| probability != 0.0) {
            config =
                dropping(config, probability).ok_or_else(|| lacks(preset, name, probability, dropping))?;
        }
    }
    config.validate()?;
    config.check_input(&input)?;

    let is_digits = data == "digits";
    let length = match (options.epochs, options.steps) {
        (None, None) => (Some(if is_digits { 30 } else { 10 }), None),
        given => given,
    };
    let augment = match options.augment.unwrap_or(Augment::Auto) {
        Augment::Auto if side > 40 => Augment::ResizedCropFlip,
        Augment::Auto if grey => Augment::Shift,
        Augment::Auto => Augment::CropFlip,
        chosen => chosen,
    };
    let optimizer = options.optimizer.unwrap_or(OptimizerName::AdamW);
    let constants = optimizer_config(optimizer, options)?;
    let keep = options.keep.unwrap_or(match optimizer {
        _ if parts.validation.is_none() => Keep::Last,
        _ if options.patience.is_some() => Keep::Best,
        // Their 145 validation images are too few to tell one epoch from another.
        OptimizerName::AdamW if is_digits => Keep::Last,
        _ => Keep::Best,
    });
    if keep == Keep::Best && parts.validation.is_none() {
        return Err(option("keep", "best", "without validation images nothing tells which weights are best"));
    }
    let decided = TrainOptions {
        data: Some(data),
        validation: parts.held_back,
        test_fraction: Some(test_fraction),
        image_size: options.image_size,
        workers: Some(options.workers.unwrap_or(1)),
        augment: Some(augment),
        model: Some(name),
        freeze_backbone: Some(options.freeze_backbone.unwrap_or(false)),
        epochs: length.0,
        steps: length.1,
        batch_size: Some(options.batch_size.unwrap_or(BatchSize::Of(64))),
        accumulate: Some(options.accumulate.unwrap_or(1)),
        label_smoothing: Some(options.label_smoothing.unwrap_or(0.0)),
        log_every: Some(options.log_every.unwrap_or(10)),
        optimizer: Some(optimizer),
        // The few steps on the digits are better large and averaged.
        lr: Some(options.lr.unwrap_or(match optimizer {
            OptimizerName::AdamW if is_digits => 5e-3,
            OptimizerName::Sgd => 0.1,
            OptimizerName::RmsProp => 1e-3,
            _ => constants.default_lr(),
        })),
        ema: Some(options.ema.unwrap_or(match optimizer {
            OptimizerName::AdamW if is_digits => 0.98,
            _ => 0.0,
        })),
        keep: Some(keep),
        schedule: Some(options.schedule.unwrap_or(ScheduleName::Cosine)),
        weight_decay: Some(constants.weight_decay()),
        decay: Some(options.decay.unwrap_or(Decay::Weights)),
        seed: Some(seed),
        device: Some(options.device.unwrap_or_default()),
        ..options.clone()
    };
    let description = Description {
        task: TASK.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        preset: preset.name.to_owned(),
        config,
        input,
        classes: parts.classes.clone(),
        data: decided.data.clone().unwrap_or_default(),
        split: TestSplit { seed, fraction: test_fraction },
    };
    let weights = decided.weights.clone();
    Ok(Plan { options: decided, parts, description, weights })
}

/// Sets a probability of dropping, in the architectures that can drop.
type Dropping = fn(ClassifierConfig, f64) -> Option<ClassifierConfig>;

/// Says which architectures can drop what this one can't.
fn lacks(preset: &Preset, name: &'static str, probability: f64, dropping: Dropping) -> ClassifyError {
    let can = |other: &&Preset| {
        other.classifier().is_ok_and(|classifier| dropping(classifier.config(), probability).is_some())
    };
    let mut families: Vec<&str> = presets().iter().filter(can).map(|other| other.family).collect();
    families.dedup();
    let reason = format!("{} has nothing to drop in this way, unlike {}", preset.name, families.join(", "));
    option(name, probability, &reason)
}

/// A model that learns the data set in minutes on a CPU.
fn suggested_model(side: usize, grey: bool) -> &'static str {
    match (side, grey) {
        (..=8, _) => "resnet8_digits",
        (..=40, true) => "lenet5",
        (..=40, false) => "resnet20",
        _ => "resnet18",
    }
}

/// Trains a classifier and writes its report; `command` is what the report says the run was started with.
///
/// # Errors
/// Everything that can go wrong with options, data, model, training and files. What was saved before stays.
pub fn train(
    options: &TrainOptions,
    place: &Place,
    data_dir: &Path,
    command: &str,
    interrupt: &Interrupt,
    observer: &mut dyn Observer,
) -> Result<TrainOutcome, ClassifyError> {
    let options = options.at::<ClassifyError>(place)?;
    let mut plan = resolve(&options, data_dir)?;
    if matches!(place, Place::Resume(_)) {
        plan.weights = None;
    }
    let device_name = plan.options.device.unwrap_or_default();
    let threads = set_threads(plan.options.threads);
    let device = device_name.open()?;
    let (mut task, fit_config) = prepare(&plan, &device)?;

    let run = match place {
        Place::New(folder) => {
            let folder = folder.clone().unwrap_or_else(|| {
                RunDir::free_path(Path::new("runs"), &format!("classify-{}", plan.parts.name))
            });
            RunDir::create(&folder, &plan.options.to_toml())?
        }
        Place::Resume(folder) => RunDir::open(folder)?,
    };
    let seed = plan.options.seed.unwrap_or(0);
    let outcome = fit(&mut task, &fit_config, seed, &run, interrupt, observer)?;
    if outcome.ending == Ending::Interrupted {
        return Ok(TrainOutcome { run: run.path().to_path_buf(), finished: None });
    }
    let trained = Trained::open(run.path(), &device, Precision::F32)?;
    let circumstances = Circumstances { command, device: device_name, threads };
    let finished = write_report(&run, &plan, &trained, outcome, &circumstances)?;
    Ok(TrainOutcome { run: run.path().to_path_buf(), finished: Some(finished) })
}

/// What came of a run.
#[derive(Debug)]
pub struct TrainOutcome {
    /// Its folder.
    pub run: PathBuf,
    /// The result; `None` when the run was interrupted.
    pub finished: Option<Finished>,
}

/// Builds the task and the loop's configuration.
///
/// # Errors
/// When an option is out of its range, or the weights to start from don't fit.
pub fn prepare(plan: &Plan, device: &Device) -> Result<(ClassifyTask, FitConfig), ClassifyError> {
    let options = &plan.options;
    let input = &plan.description.input;
    let seed = options.seed.unwrap_or(0);
    let num_classes = plan.parts.classes.len();
    let batch_size = options.batch_size.unwrap_or(BatchSize::Of(64));
    let workers = options.workers.unwrap_or(1);
    let loader =
        |images: &std::sync::Arc<_>, pipeline: Pipeline, mix: Option<Mix>, order| -> Result<ImageLoader, _> {
            let collate = ImageCollate { pipeline, mix, num_classes };
            let batch_size = match order {
                Order::Sequential => BatchSize::Of(batch_size.samples(256).min(256)),
                Order::Shuffled { .. } => batch_size,
            };
            let config = LoaderConfig { batch_size, order, last: LastBatch::Keep, workers, prefetch: 4 };
            Loader::new(std::sync::Arc::clone(images), collate, config)
        };
    let train = loader(
        &plan.parts.train,
        training_pipeline(input, options)?,
        mixing(options)?,
        Order::Shuffled { seed },
    )?;
    let validation = plan
        .parts
        .validation
        .as_ref()
        .map(|images| {
            loader(images, inference_pipeline(input)?, None, Order::Sequential).map_err(ClassifyError::from)
        })
        .transpose()?;

    let accumulate = options.accumulate.unwrap_or(1);
    if accumulate == 0 {
        return Err(option("accumulate", accumulate, "it must be at least 1"));
    }
    let length = match options.steps {
        Some(steps) => Length::Steps(steps),
        None => Length::Epochs(options.epochs.unwrap_or(1)),
    };
    let fit_config = FitConfig {
        length,
        validate_every: options.validate_every,
        checkpoint_every: options.checkpoint_every,
        log_every: options.log_every.unwrap_or(10),
        patience: options.patience,
    };
    fit_config.validate()?;
    let total_steps = Clock::start(length, train.batches_per_epoch().div_ceil(accumulate) as u64).total_steps;

    libellus_backend::seed(device, seed, 0);
    let model = initial_model(plan, &device.clone().autodiff())?;
    let learner = Learner::new("model", model, &learner_config(options, total_steps)?, total_steps)?;
    let loss = CrossEntropyConfig { label_smoothing: options.label_smoothing.unwrap_or(0.0) };
    let task = ClassifyTask {
        learner,
        loss: loss.init()?,
        train,
        validation,
        keep: options.keep.unwrap_or(Keep::Last),
        accumulate,
        description: plan.description.clone(),
        device: device.clone(),
    };
    Ok((task, fit_config))
}

/// The model before its first step: from a file where one is given, drawn otherwise.
fn initial_model(plan: &Plan, device: &Device) -> Result<Classifier, ClassifyError> {
    // Parameters are drawn when first used; drawn here and now, they depend on the seed and on nothing else.
    let mut model = plan.description.config.init(device)?.materialize();
    let head = model.head_pattern();
    if let Some(file) = &plan.weights {
        model = pretrained(model, file, &plan.description.config)?;
    }
    if plan.options.freeze_backbone == Some(true) {
        let head = ParamGroup::from_ids(parameter_ids(&model, head));
        model = model.freeze_group(ParamGroup::all().exclude(head));
    }
    Ok(model)
}

/// The model with the weights of a file, in our layout or in one that the preset knows. A head for another number of
/// classes stays as it is.
fn pretrained(
    model: Classifier,
    file: &Path,
    config: &ClassifierConfig,
) -> Result<Classifier, ClassifyError> {
    let checkpoint = Checkpoint::open(file)?;
    let head = model.head_pattern();
    let ours = Description::of(&checkpoint)?.is_some();
    let foreign = if ours { Vec::new() } else { config.layouts() };
    let mut failure = None;
    for layout in foreign.iter().chain([&Layout::NATIVE]) {
        match load(model.clone(), &checkpoint, layout, &LoadOptions::default()) {
            Ok(loaded) => return Ok(loaded),
            Err(WeightsError::Mismatch(mismatch)) if mismatch.is_only_shape_of(head) => {
                tracing::warn!("{} has another number of classes: the head starts anew", file.display());
                return Ok(load(model, &checkpoint, layout, &LoadOptions { ignore: vec![head.to_owned()] })?);
            }
            // Where no layout fits, the first one tried is the likeliest.
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.expect("the native layout was tried").into())
}

/// Refuses options that the chosen optimiser, schedule or data leave without effect.
fn refuse_idle_options(options: &TrainOptions) -> Result<(), ClassifyError> {
    use {OptimizerName as O, ScheduleName as S};
    let optimizer = options.optimizer.unwrap_or(O::AdamW);
    let schedule = options.schedule.unwrap_or(S::Cosine);
    let adam = matches!(optimizer, O::Adam | O::AdamW);
    let idle = [
        (
            "momentum",
            options.momentum.is_some() && !matches!(optimizer, O::Sgd | O::RmsProp),
            "sgd and rmsprop have it",
        ),
        ("nesterov", options.nesterov.is_some() && optimizer != O::Sgd, "sgd has it"),
        ("betas", options.betas.is_some() && !adam && optimizer != O::Lion, "adam, adamw and lion have them"),
        (
            "epsilon",
            options.epsilon.is_some() && !adam && optimizer != O::RmsProp,
            "adam, adamw and rmsprop have it",
        ),
        ("alpha", options.alpha.is_some() && optimizer != O::RmsProp, "rmsprop has it"),
        ("warmup", options.warmup.is_some() && schedule != S::Cosine, "--schedule cosine has it"),
        ("decay-every", options.decay_every.is_some() && schedule != S::Step, "--schedule step has it"),
        ("gamma", options.gamma.is_some() && schedule != S::Step, "--schedule step has it"),
        ("pct-start", options.pct_start.is_some() && schedule != S::Onecycle, "--schedule onecycle has it"),
        ("div-factor", options.div_factor.is_some() && schedule != S::Onecycle, "--schedule onecycle has it"),
        (
            "final-div-factor",
            options.final_div_factor.is_some() && schedule != S::Onecycle,
            "--schedule onecycle has it",
        ),
        (
            "rand-augment-magnitude",
            options.rand_augment_magnitude.is_some() && options.rand_augment.unwrap_or(0) == 0,
            "--rand-augment N turns RandAugment on",
        ),
        (
            "patience",
            options.patience.is_some() && options.validation == Some(0.0),
            "without validation images nothing tells when to stop",
        ),
        (
            "patience",
            options.patience.is_some() && options.keep == Some(Keep::Last),
            "with --keep last no validation is better than another",
        ),
    ];
    match idle.into_iter().find(|(_, is_idle, _)| *is_idle) {
        Some((name, _, reason)) => Err(option(name, "", &format!("it has no effect here: {reason}"))),
        None => Ok(()),
    }
}

fn learner_config(options: &TrainOptions, total_steps: u64) -> Result<LearnerConfig, ClassifyError> {
    let share = |name, value: f64| -> Result<u64, ClassifyError> {
        Ok((fraction(name, value)? * total_steps as f64).round() as u64)
    };
    let schedule = match options.schedule.unwrap_or(ScheduleName::Cosine) {
        ScheduleName::Constant => ScheduleConfig::Constant {},
        ScheduleName::Cosine => ScheduleConfig::WarmupCosine {
            warmup: share("warmup", options.warmup.unwrap_or(0.05))?,
            final_factor: 0.0,
        },
        ScheduleName::Step => ScheduleConfig::Step {
            every: share("decay-every", options.decay_every.unwrap_or(1.0 / 3.0))?.max(1),
            gamma: options.gamma.unwrap_or(0.1),
        },
        ScheduleName::Onecycle => ScheduleConfig::OneCycle {
            pct_start: options.pct_start.unwrap_or(0.3),
            div_factor: options.div_factor.unwrap_or(25.0),
            final_div_factor: options.final_div_factor.unwrap_or(1e4),
        },
    };
    let positive = |name, value: Option<f64>| match value {
        Some(value) if !(value > 0.0 && value.is_finite()) => Err(option(name, value, "it must be above 0")),
        value => Ok(value),
    };
    let flow_every = match options.flow_every {
        Some(0) => None,
        Some(steps) => Some(steps),
        None => Some((total_steps / 20).max(1)),
    };
    Ok(LearnerConfig {
        optimizer: optimizer_config(options.optimizer.unwrap_or(OptimizerName::AdamW), options)?,
        lr: positive("lr", options.lr)?.unwrap_or(1e-3),
        schedule,
        decay: match options.decay.unwrap_or(Decay::Weights) {
            Decay::Weights => DecayPolicy::NoNormsAndBiases,
            Decay::All => DecayPolicy::All,
        },
        clip_norm: positive("clip-norm", options.clip_norm)?,
        ema_decay: options.ema.filter(|&decay| decay != 0.0),
        flow_every,
    })
}

/// The optimiser with PyTorch's defaults for what the options leave open.
fn optimizer_config(name: OptimizerName, options: &TrainOptions) -> Result<OptimizerConfig, ClassifyError> {
    let decay = |default: f64| options.weight_decay.unwrap_or(default);
    let betas = |default: [f64; 2]| match options.betas.as_deref() {
        None => Ok(default),
        Some(&[first, second]) => Ok([first, second]),
        Some(given) => Err(option("betas", format!("{given:?}"), "two numbers, as in 0.9,0.999")),
    };
    Ok(match name {
        OptimizerName::Sgd => {
            let default = SgdConfig::default();
            OptimizerConfig::Sgd(SgdConfig {
                momentum: options.momentum.unwrap_or(0.9),
                nesterov: options.nesterov.unwrap_or(default.nesterov),
                weight_decay: decay(default.weight_decay),
                ..default
            })
        }
        OptimizerName::Adam => {
            let default = AdamConfig::default();
            OptimizerConfig::Adam(AdamConfig {
                betas: betas(default.betas)?,
                eps: options.epsilon.unwrap_or(default.eps),
                weight_decay: decay(default.weight_decay),
                ..default
            })
        }
        OptimizerName::AdamW => {
            let default = AdamWConfig::default();
            OptimizerConfig::AdamW(AdamWConfig {
                betas: betas(default.betas)?,
                eps: options.epsilon.unwrap_or(default.eps),
                weight_decay: decay(default.weight_decay),
                ..default
            })
        }
        OptimizerName::RmsProp => {
            let default = RmsPropConfig::default();
            OptimizerConfig::RmsProp(RmsPropConfig {
                alpha: options.alpha.unwrap_or(default.alpha),
                eps: options.epsilon.unwrap_or(default.eps),
                momentum: options.momentum.unwrap_or(default.momentum),
                weight_decay: decay(default.weight_decay),
                ..default
            })
        }
        OptimizerName::Lion => {
            let default = LionConfig::default();
            OptimizerConfig::Lion(LionConfig {
                betas: betas(default.betas)?,
                weight_decay: decay(default.weight_decay),
            })
        }
    })
}

fn fraction(name: &'static str, value: f64) -> Result<f64, ClassifyError> {
    if (0.0..1.0).contains(&value) {
        Ok(value)
    } else {
        Err(option(name, value, "it must be at least 0 and below 1"))
    }
}

fn option(option: &'static str, value: impl ToString, reason: &str) -> ClassifyError {
    OptionsError::option(option, value, reason).into()
}
