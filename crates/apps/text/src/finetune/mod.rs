//! Training a model further: all of it, or a low-rank change of it.
//!
//! References: Hugging Face's `Trainer` and TRL for the data and the defaults, PEFT for adapters.

mod lessons;
mod options;

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use libellus_backend::set_threads;
use libellus_losses::CrossEntropyConfig;
use libellus_models::{LanguageModel, Precision};
use libellus_optim::{AdamWConfig, ScheduleConfig};
use libellus_train::report::thousands;
use libellus_train::{
    Circumstances, Ending, FitConfig, Interrupt, Learner, Observer, Place, RunDir, RunOptions, fit,
};
use serde_json::json;

use crate::common::{
    AdamW, Intervals, at_least_one, epochs, keep, name_of, option, refuse_idle, share, steps,
};
use crate::data::MOST_MEASURED;
use crate::error::TextError;
use crate::infer::{Generation, generate};
use crate::lora::{adapter_in, add_lora};
use crate::metrics::mean_loss;
use crate::options::Keep;
use crate::report::{Finished, Story, write_report, write_samples};
use crate::saved::{Base, Description, Origin, TASK, Trained, default_prompt};
use crate::task::{Product, TextTask};
use crate::train::{TOKENS_FILE, TrainOutcome, sample_options};

pub use options::FinetuneOptions;

use lessons::Lessons;

/// Prompts that the report shows the finished model's completions of.
const SHOWN: usize = 4;

/// Trains a model further and writes its report; `command` is what the report says the run was started with, and `tokenizing` hears
/// the bytes of text that are tokenised, and how many there are.
///
/// With [`lora`](FinetuneOptions::lora), the run directory holds the change as `adapter/`; a `model.safetensors` is there without it, or
/// with [`merge`](FinetuneOptions::merge).
///
/// # Errors
/// Everything that can go wrong with options, text, model, training and files. What was saved before stays.
pub fn finetune(
    options: &FinetuneOptions,
    place: &Place,
    command: &str,
    interrupt: &Interrupt,
    observer: &mut dyn Observer,
    tokenizing: &mut dyn FnMut(u64, u64),
) -> Result<TrainOutcome, TextError> {
    let options = options.at::<TextError>(place)?;
    let options = resolve(&options)?;
    let threads = set_threads(options.threads);
    let device_name = options.device.unwrap_or_default();
    let device = device_name.open()?;
    let origin = origin(&options)?;
    // Parameters have gradients where they were made on a device that keeps them.
    let base = Base::open(&origin, &device.clone().autodiff())?;
    let corpus = options.corpus.clone().unwrap_or_default();
    let name = name_of(&corpus);
    let run = match place {
        Place::New(folder) => {
            let free = || RunDir::free_path(Path::new("runs"), &format!("finetune-{name}"));
            RunDir::create(&folder.clone().unwrap_or_else(free), &options.to_toml())?
        }
        Place::Resume(folder) => RunDir::open(folder)?,
    };
    let begun = Lessons::read(&options, &base, &run, tokenizing)
        .and_then(|lessons| Ok((prepare(&options, &base, &name, &lessons, &device)?, lessons)));
    let ((mut task, fit_config), lessons) = match (begun, place) {
        (Ok(begun), _) => begun,
        (Err(error), Place::New(_)) => {
            run.discard(&[TOKENS_FILE]);
            return Err(error);
        }
        (Err(error), Place::Resume(_)) => return Err(error),
    };
    let before = match &lessons.validation {
        Some(validation) => {
            Some(mean_loss(&base.model.valid(), validation.in_order(Some(MOST_MEASURED)), &device)?.mean())
        }
        None => None,
    };
    let parameters = [task.learner.model().num_params(), trained_parameters(task.learner.model())];
    drop(base);
    let outcome = fit(&mut task, &fit_config, options.seed.unwrap_or(0), &run, interrupt, observer)?;
    let path = run.path().to_path_buf();
    if outcome.ending == Ending::Interrupted {
        return Ok(TrainOutcome { run: path, finished: None });
    }
    let description = task.description.clone();
    drop(task);
    let trained = match options.lora {
        None => Trained::open(&Origin::Run(path.clone()), None, &device, Precision::F32)?,
        Some(_) => Trained::open(&origin, Some(&adapter_in(&path)), &device, Precision::F32)?,
    };
    let texts = completions(&trained, &options, &lessons)?;
    let sample = texts.first().map(|(_, text)| text.clone()).unwrap_or_default();
    let what = match options.lora {
        None => format!("Language model: all of {} parameters", thousands(parameters[0])),
        Some(_) => format!(
            "Language model: a change of {} parameters to {} that stay",
            thousands(parameters[1]),
            thousands(parameters[0] - parameters[1])
        ),
    };
    let story = Story {
        title: format!("{} on {name}", base_name(&origin)),
        what: format!("{what}, fine-tuned"),
        verb: "libellus text finetune",
        config: json!(options),
        toml: options.to_toml(),
        seed: options.seed.unwrap_or(0),
        dataset: lessons.dataset(&name),
        data: lessons.described(&name),
        validation: lessons.validation.clone(),
        description: &description,
        before,
        texts,
        texts_caption: if lessons.shown.is_empty() {
            "Texts of the finished model, made token by token from an empty line at temperature 0.8."
        } else {
            "Completions by the finished model of prompts that it has not learnt, the likeliest token each time."
        },
    };
    let circumstances = Circumstances { command, device: device_name, threads };
    let summary = write_report(&run, &story, &trained, outcome, &circumstances)?;
    Ok(TrainOutcome { run: path, finished: Some(Finished { summary, sample }) })
}

/// Decides what the options leave open, but for what depends on the model and the data.
fn resolve(options: &FinetuneOptions) -> Result<FinetuneOptions, TextError> {
    if options.corpus.is_none() {
        return Err(option("corpus", "", "name a file to learn from"));
    }
    let idle = options.merge == Some(true) && options.lora.is_none();
    refuse_idle(&[("merge", idle, "without --lora there is nothing to merge")])?;
    let validation = share("validation", options.validation.unwrap_or(0.1))?;
    let keep = keep(validation, options.keep, options.patience)?;
    at_least_one(&[
        ("context", options.context),
        ("batch-size", options.batch_size),
        ("accumulate", options.accumulate),
        ("validation-tokens", options.validation_tokens),
    ])?;
    let lora = options.lora.is_some();
    Ok(FinetuneOptions {
        validation: Some(validation),
        epochs: epochs(options.epochs, options.steps, 3.0)?,
        batch_size: Some(options.batch_size.unwrap_or(8)),
        accumulate: Some(options.accumulate.unwrap_or(1)),
        validation_tokens: Some(options.validation_tokens.unwrap_or(1 << 15)),
        sample: Some(options.sample.unwrap_or(60)),
        log_every: Some(options.log_every.unwrap_or(10)),
        keep: Some(keep),
        lr: Some(options.lr.unwrap_or(if lora { 2e-4 } else { 5e-5 })),
        final_factor: Some(options.final_factor.unwrap_or(0.0)),
        weight_decay: Some(options.weight_decay.unwrap_or(if lora { 0.0 } else { 0.01 })),
        clip_norm: Some(options.clip_norm.unwrap_or(1.0)),
        seed: Some(options.seed.unwrap_or(0)),
        device: Some(options.device.unwrap_or_default()),
        ..options.clone()
    })
}

fn origin(options: &FinetuneOptions) -> Result<Origin, TextError> {
    match (&options.weights, &options.run) {
        (Some(weights), None) => Ok(Origin::Public {
            weights: weights.clone(),
            config: options.model_config.clone(),
            tokenizer: options.tokenizer.clone(),
        }),
        (None, Some(run)) => Ok(Origin::Run(run.clone())),
        _ => {
            Err(option("weights", "", "name a model to begin with: --weights, or --run for one of your own"))
        }
    }
}

/// What to call the model that a run begins with.
fn base_name(origin: &Origin) -> String {
    let path = origin.path();
    let path = match path.file_stem() {
        Some(stem) if path.is_dir() || stem != "model" => path,
        _ => path.parent().unwrap_or(path),
    };
    path.file_stem().map_or_else(|| path.display().to_string(), |stem| stem.to_string_lossy().into_owned())
}

/// Builds the task and the loop's configuration.
fn prepare(
    options: &FinetuneOptions,
    base: &Base,
    corpus: &str,
    lessons: &Lessons,
    device: &Device,
) -> Result<(TextTask, FitConfig), TextError> {
    let seed = options.seed.unwrap_or(0);
    let accumulate = options.accumulate.unwrap_or(1);
    let per_epoch = lessons.train.batches_per_epoch().div_ceil(accumulate as u64);
    let steps = steps(options.steps, options.epochs, per_epoch);
    let intervals = Intervals {
        validate_every: options.validate_every,
        checkpoint_every: options.checkpoint_every,
        log_every: options.log_every,
        patience: options.patience,
    };
    let fit_config = intervals.fit_config(steps)?;

    libellus_backend::seed(device, seed, 0);
    let model = base.model.clone();
    let (model, product) = match &options.lora {
        None => (model, Product::Model),
        Some(lora) => {
            let model = add_lora(model.no_grad(), lora, &device.clone().autodiff())?.materialize();
            let base = base.path.display().to_string();
            let merge = options.merge == Some(true);
            (model, Product::Adapter { lora: lora.clone(), base, merge })
        }
    };
    let adam = AdamW {
        betas: AdamWConfig::default().betas,
        lr: options.lr.unwrap_or(5e-5),
        schedule: ScheduleConfig::WarmupCosine {
            warmup: options.warmup.unwrap_or(steps / 20),
            final_factor: options.final_factor.unwrap_or(0.0),
        },
        weight_decay: options.weight_decay.unwrap_or(0.0),
        clip_norm: options.clip_norm.unwrap_or(0.0),
        ema: 0.0,
        flow_every: options.flow_every,
    };
    let learner = Learner::new("model", model, &adam.learner_config(steps)?, steps)?;
    let (sample, prompt) = match lessons.shown.first() {
        Some(example) => (greedy(options, lessons), example.prompt.clone()),
        None => (sampling(options), default_prompt(&base.tokenizer)),
    };
    let task = TextTask {
        learner,
        loss: CrossEntropyConfig::default().init()?,
        train: lessons.train.clone(),
        validation: lessons.validation.clone(),
        validation_tokens: options.validation_tokens.unwrap_or(1 << 15),
        sample,
        prompt,
        tokenizer: base.tokenizer.clone(),
        keep: options.keep.unwrap_or(Keep::Last),
        accumulate,
        seed,
        description: Description {
            task: TASK.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: base.config.clone(),
            corpus: corpus.to_owned(),
            characters_per_token: lessons.characters_per_token,
            chat: base.chat.clone(),
        },
        product,
        device: device.clone(),
    };
    Ok((task, fit_config))
}

/// How a text is made of nothing.
fn sampling(options: &FinetuneOptions) -> Generation {
    sample_options(options.sample, options.seed)
}

/// How a completion is made, or an answer up to the mark that ends it.
fn greedy(options: &FinetuneOptions, lessons: &Lessons) -> Generation {
    let (ends, special) = (lessons.ends.clone(), lessons.special);
    let mut sample = Generation { ends, special, ..sampling(options) };
    sample.sampling.temperature = 0.0;
    sample
}

/// Parameters that have a gradient.
fn trained_parameters(model: &LanguageModel) -> usize {
    crate::lora::changes(model).iter().map(Module::num_params).sum()
}

/// What the finished model makes of prompts that were held back, or of nothing.
fn completions(
    trained: &Trained,
    options: &FinetuneOptions,
    lessons: &Lessons,
) -> Result<Vec<(String, String)>, TextError> {
    if lessons.shown.is_empty() {
        let texts = write_samples(trained, &sampling(options))?;
        let texts = texts.into_iter().enumerate();
        return Ok(texts.map(|(index, text)| (format!("text {}", index + 1), text)).collect());
    }
    let generation = Generation { max_tokens: 128, ..greedy(options, lessons) };
    let shown = lessons.shown.iter().map(|example| {
        let (model, tokenizer) = (&trained.model, &trained.tokenizer);
        let texts =
            generate(model, tokenizer, &example.prompt, &generation, &trained.device, &mut |_, _| {})?;
        let text = texts.into_iter().next().map(|generated| generated.text).unwrap_or_default();
        Ok((format!("{}\n→ expected: {}", example.prompt.trim_end(), example.completion.trim()), text))
    });
    shown.collect()
}

impl Origin {
    /// The file or folder that it names.
    pub fn path(&self) -> &PathBuf {
        match self {
            Self::Run(path) => path,
            Self::Public { weights, .. } => weights,
        }
    }
}
