//! From options to a run that learns which texts are near each other.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use libellus_backend::set_threads;
use libellus_losses::{InfoNceConfig, TripletConfig};
use libellus_optim::{AdamWConfig, ScheduleConfig};
use libellus_train::{
    Circumstances, Ending, FitConfig, Interrupt, Learner, Observer, Place, RunDir, RunOptions, RunSummary,
    fit,
};

use super::data::{Rows, read};
use super::options::{ContrastOptions, Objective};
use super::report::write_report;
use super::task::{Contrast, ContrastTask, measure};
use crate::common::{
    AdamW, Intervals, at_least_one, epochs, hold_back, keep, name_of, option, refuse_idle, share, steps,
};
use crate::embed::{EncoderBase, EncoderDescription};
use crate::error::TextError;
use crate::options::Keep;

/// What came of a run.
#[derive(Debug)]
pub struct ContrastOutcome {
    /// Its folder.
    pub run: PathBuf,
    /// What `report.json` holds; `None` when the run was interrupted.
    pub summary: Option<RunSummary>,
}

/// Trains a sentence encoder further and writes its report; `command` is what the report says the run was started with.
///
/// # Errors
/// Everything that can go wrong with options, texts, model, training and files. What was saved before stays.
pub fn train(
    options: &ContrastOptions,
    place: &Place,
    command: &str,
    interrupt: &Interrupt,
    observer: &mut dyn Observer,
) -> Result<ContrastOutcome, TextError> {
    let options = options.at::<TextError>(place)?;
    let options = resolve(&options)?;
    let threads = set_threads(options.threads);
    let device_name = options.device.unwrap_or_default();
    let device = device_name.open()?;
    let (mut task, fit_config) = prepare(&options, &device)?;
    let run = match place {
        Place::New(folder) => {
            let free =
                || RunDir::free_path(Path::new("runs"), &format!("contrast-{}", task.description.data));
            RunDir::create(&folder.clone().unwrap_or_else(free), &options.to_toml())?
        }
        Place::Resume(folder) => RunDir::open(folder)?,
    };
    let before = (!task.validation.is_empty())
        .then(|| measure(&task.learner.trained(), &task.validation, &task.objective, &device));
    let outcome = fit(&mut task, &fit_config, options.seed.unwrap_or(0), &run, interrupt, observer)?;
    let path = run.path().to_path_buf();
    if outcome.ending == Ending::Interrupted {
        return Ok(ContrastOutcome { run: path, summary: None });
    }
    let circumstances = Circumstances { command, device: device_name, threads };
    let summary = write_report(&run, &options, task, before, outcome, &circumstances)?;
    Ok(ContrastOutcome { run: path, summary: Some(summary) })
}

/// Decides what the options leave open, but for what depends on the model and the data.
fn resolve(options: &ContrastOptions) -> Result<ContrastOptions, TextError> {
    if options.data.is_none() {
        return Err(option("data", "", "name a table of texts that belong together"));
    }
    if options.weights.is_none() {
        return Err(option("weights", "", "name a BERT to begin with"));
    }
    let loss = options.loss.unwrap_or(Objective::InfoNce);
    refuse_idle(&[
        ("temperature", options.temperature.is_some() && loss == Objective::Triplet, "triplet has a margin"),
        ("margin", options.margin.is_some() && loss == Objective::InfoNce, "info-nce has a temperature"),
    ])?;
    let validation = share("validation", options.validation.unwrap_or(0.1))?;
    let keep = keep(validation, options.keep, options.patience)?;
    at_least_one(&[("longest", options.longest), ("batch-size", options.batch_size)])?;
    let batch_size = options.batch_size.unwrap_or(32);
    if batch_size < 2 && loss == Objective::InfoNce {
        return Err(option(
            "batch-size",
            batch_size,
            "a row is told from the others of its batch: take 2 or more",
        ));
    }
    Ok(ContrastOptions {
        validation: Some(validation),
        loss: Some(loss),
        temperature: options.temperature.or((loss == Objective::InfoNce).then_some(0.05)),
        margin: options.margin.or((loss == Objective::Triplet).then_some(0.5)),
        epochs: epochs(options.epochs, options.steps, 1.0)?,
        batch_size: Some(batch_size),
        log_every: Some(options.log_every.unwrap_or(10)),
        keep: Some(keep),
        lr: Some(options.lr.unwrap_or(2e-5)),
        final_factor: Some(options.final_factor.unwrap_or(0.0)),
        weight_decay: Some(options.weight_decay.unwrap_or(0.01)),
        clip_norm: Some(options.clip_norm.unwrap_or(1.0)),
        seed: Some(options.seed.unwrap_or(0)),
        device: Some(options.device.unwrap_or_default()),
        ..options.clone()
    })
}

/// Builds the task and the loop's configuration.
fn prepare(options: &ContrastOptions, device: &Device) -> Result<(ContrastTask, FitConfig), TextError> {
    let seed = options.seed.unwrap_or(0);
    let objective = match options.loss.unwrap_or(Objective::InfoNce) {
        Objective::InfoNce => {
            Contrast::InfoNce(InfoNceConfig { temperature: options.temperature.unwrap_or(0.05) }.init()?)
        }
        Objective::Triplet => {
            Contrast::Triplet(TripletConfig { margin: options.margin.unwrap_or(0.5) }.init()?)
        }
    };
    let weights = options.weights.as_deref().unwrap_or(Path::new(""));
    let (config, tokenizer) = (options.model_config.as_deref(), options.tokenizer.as_deref());
    let EncoderBase { model, config, tokenizer, max_len } =
        // Parameters have gradients where they were made on a device that keeps them.
        EncoderBase::open(weights, config, tokenizer, &device.clone().autodiff())?;
    let longest = match options.longest {
        Some(longest) if longest > model.context() => {
            return Err(option("longest", longest, format!("the model reads {} tokens", model.context())));
        }
        longest => longest.unwrap_or(max_len.min(128)),
    };
    let path = options.data.as_deref().unwrap_or(Path::new(""));
    let rows = read(options, path, &tokenizer, longest)?;
    if matches!(objective, Contrast::Triplet(_)) && rows.iter().any(|row| row.negative.is_none()) {
        let reason = "the data has no column of negatives, which --negative-column would name";
        return Err(option("loss", "triplet", reason));
    }
    let [rows, validation] = hold_back(rows, options.validation.unwrap_or(0.0), seed, "rows")?;
    let batch_size = options.batch_size.unwrap_or(1);
    let [train, validation] = [rows, validation].map(|rows| Rows::new(rows, batch_size));

    let steps = steps(options.steps, options.epochs, train.batches_per_epoch());
    let intervals = Intervals {
        validate_every: options.validate_every,
        checkpoint_every: options.checkpoint_every,
        log_every: options.log_every,
        patience: options.patience,
    };
    let fit_config = intervals.fit_config(steps)?;

    let learner = Learner::new("model", model, &adam(options, steps).learner_config(steps)?, steps)?;
    let task = ContrastTask {
        learner,
        objective,
        train,
        validation,
        tokenizer,
        keep: options.keep.unwrap_or(Keep::Last),
        seed,
        description: EncoderDescription::new(config, longest, name_of(path)),
        device: device.clone(),
    };
    Ok((task, fit_config))
}

fn adam(options: &ContrastOptions, steps: u64) -> AdamW {
    AdamW {
        betas: AdamWConfig::default().betas,
        lr: options.lr.unwrap_or(2e-5),
        schedule: ScheduleConfig::WarmupCosine {
            warmup: options.warmup.unwrap_or(steps / 10),
            final_factor: options.final_factor.unwrap_or(0.0),
        },
        weight_decay: options.weight_decay.unwrap_or(0.0),
        clip_norm: options.clip_norm.unwrap_or(0.0),
        ema: 0.0,
        flow_every: options.flow_every,
    }
}
