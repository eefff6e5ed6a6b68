//! From options to a run that learns classes of texts.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use libellus_backend::set_threads;
use libellus_data::Tokenizer;
use libellus_losses::CrossEntropyConfig;
use libellus_models::rnn::RecurrentCell;
use libellus_models::{Bert, BertConfig, Precision, RnnConfig};
use libellus_optim::{AdamWConfig, ScheduleConfig};
use libellus_train::{
    Circumstances, Ending, FitConfig, Interrupt, Learner, Observer, Place, RunDir, RunOptions, RunSummary,
    fit,
};

use super::data::{Labelled, LabelledTexts, classes, read};
use super::model::{Backbone, TextClassifier, TextClassifierConfig};
use super::options::{ScratchModel, TextClassifyOptions};
use super::report::write_report;
use super::saved::{Description, TASK, TrainedTextClassifier};
use super::task::TextClassifierTask;
use crate::common::{
    AdamW, Intervals, at_least_one, epochs, hold_back, keep, name_of, option, refuse_idle, share, steps,
};
use crate::embed::EncoderBase;
use crate::error::TextError;
use crate::options::Keep;
use crate::train::tokenizer_of;

/// What came of a run.
#[derive(Debug)]
pub struct ClassifyOutcome {
    /// Its folder.
    pub run: PathBuf,
    /// What `report.json` holds; `None` when the run was interrupted.
    pub summary: Option<RunSummary>,
}

/// Trains a model that classifies texts and writes its report; `command` is what the report says the run was started with.
///
/// # Errors
/// Everything that can go wrong with options, texts, model, training and files. What was saved before stays.
pub fn train(
    options: &TextClassifyOptions,
    place: &Place,
    command: &str,
    interrupt: &Interrupt,
    observer: &mut dyn Observer,
) -> Result<ClassifyOutcome, TextError> {
    let options = options.at::<TextError>(place)?;
    let options = resolve(&options)?;
    let threads = set_threads(options.threads);
    let device_name = options.device.unwrap_or_default();
    let device = device_name.open()?;
    let path = options.data.clone().unwrap_or_default();
    let columns = [options.text_column.as_deref(), options.label_column.as_deref()];
    let texts = read(&path, [columns[0].unwrap_or_default(), columns[1].unwrap_or_default()])?;
    let (mut task, fit_config) = prepare(&options, texts, &path, &device)?;
    let run = match place {
        Place::New(folder) => {
            let free =
                || RunDir::free_path(Path::new("runs"), &format!("classify-{}", task.description.data));
            RunDir::create(&folder.clone().unwrap_or_else(free), &options.to_toml())?
        }
        Place::Resume(folder) => RunDir::open(folder)?,
    };
    let outcome = fit(&mut task, &fit_config, options.seed.unwrap_or(0), &run, interrupt, observer)?;
    let path = run.path().to_path_buf();
    if outcome.ending == Ending::Interrupted {
        return Ok(ClassifyOutcome { run: path, summary: None });
    }
    let TextClassifierTask { train, validation, .. } = task;
    let trained = TrainedTextClassifier::open(&path, &device, Precision::F32)?;
    let circumstances = Circumstances { command, device: device_name, threads };
    let parts = [&train, &validation];
    let summary = write_report(&run, &options, parts, &trained, outcome, &circumstances)?;
    Ok(ClassifyOutcome { run: path, summary: Some(summary) })
}

/// Decides what the options leave open, but for what depends on the model.
fn resolve(options: &TextClassifyOptions) -> Result<TextClassifyOptions, TextError> {
    if options.data.is_none() {
        return Err(option("data", "", "name a table of texts and their classes"));
    }
    let scratch = options.weights.is_none();
    let reason = "without --weights there is no model to begin with";
    refuse_idle(&[
        ("freeze-backbone", scratch && options.freeze_backbone == Some(true), reason),
        ("model-config", scratch && options.model_config.is_some(), reason),
    ])?;
    let validation = share("validation", options.validation.unwrap_or(0.1))?;
    let keep = keep(validation, options.keep, options.patience)?;
    at_least_one(&[
        ("longest", options.longest),
        ("n-layers", options.n_layers),
        ("d-model", options.d_model),
        ("batch-size", options.batch_size),
    ])?;
    if let Some(dropout) = options.dropout.filter(|dropout| !(0.0..1.0).contains(dropout)) {
        return Err(option("dropout", dropout, "it must be at least 0 and below 1"));
    }
    let freeze = options.freeze_backbone == Some(true);
    let lr = match (scratch, freeze) {
        (true, _) => 2e-3,
        (false, true) => 5e-3,
        (false, false) => 5e-5,
    };
    Ok(TextClassifyOptions {
        text_column: Some(options.text_column.clone().unwrap_or_else(|| "text".to_owned())),
        label_column: Some(options.label_column.clone().unwrap_or_else(|| "label".to_owned())),
        validation: Some(validation),
        tokenizer: options.tokenizer.clone().or(scratch.then(|| "bpe:8000".to_owned())),
        model: options.model.or(scratch.then_some(ScratchModel::Gru)),
        n_layers: options.n_layers.or(scratch.then_some(1)),
        d_model: options.d_model.or(scratch.then_some(128)),
        dropout: Some(options.dropout.unwrap_or(if scratch { 0.3 } else { 0.1 })),
        epochs: epochs(options.epochs, options.steps, if scratch { 5.0 } else { 3.0 })?,
        batch_size: Some(options.batch_size.unwrap_or(32)),
        label_smoothing: Some(options.label_smoothing.unwrap_or(0.0)),
        log_every: Some(options.log_every.unwrap_or(10)),
        keep: Some(keep),
        lr: Some(options.lr.unwrap_or(lr)),
        final_factor: Some(options.final_factor.unwrap_or(0.0)),
        weight_decay: Some(options.weight_decay.unwrap_or(0.01)),
        clip_norm: Some(options.clip_norm.unwrap_or(1.0)),
        seed: Some(options.seed.unwrap_or(0)),
        device: Some(options.device.unwrap_or_default()),
        ..options.clone()
    })
}

/// What reads the texts before the first step.
struct Beginning {
    /// Its weights, if it is a public checkpoint.
    bert: Option<(Bert, BertConfig)>,
    tokenizer: Tokenizer,
    /// The most tokens of a text.
    longest: usize,
}

fn beginning(
    options: &TextClassifyOptions,
    texts: &[Labelled],
    device: &Device,
) -> Result<Beginning, TextError> {
    let Some(weights) = &options.weights else {
        let name = options.tokenizer.as_deref().unwrap_or("bpe");
        let tokenizer = tokenizer_of("tokenizer", name, texts.iter().map(|text| Ok(text.text.clone())))?;
        return Ok(Beginning { bert: None, tokenizer, longest: options.longest.unwrap_or(256) });
    };
    let (config, tokenizer) = (options.model_config.as_deref(), options.tokenizer.as_deref().map(Path::new));
    let EncoderBase { model: bert, config, tokenizer, max_len } =
        EncoderBase::open(weights, config, tokenizer, device)?;
    let most = bert.context();
    let longest = match options.longest {
        Some(longest) if longest > most => {
            return Err(option("longest", longest, format!("the model reads {most} tokens")));
        }
        longest => longest.unwrap_or(max_len.min(256)),
    };
    Ok(Beginning { bert: Some((bert, config)), tokenizer, longest })
}

/// Builds the task and the loop's configuration.
fn prepare(
    options: &TextClassifyOptions,
    texts: Vec<Labelled>,
    path: &Path,
    device: &Device,
) -> Result<(TextClassifierTask, FitConfig), TextError> {
    let seed = options.seed.unwrap_or(0);
    let classes = classes(&texts);
    if classes.len() < 2 {
        return Err(TextError::OneClass { path: path.to_path_buf() });
    }
    // Parameters have gradients where they were made on a device that keeps them.
    let training_device = device.clone().autodiff();
    let Beginning { bert, tokenizer, longest } = beginning(options, &texts, &training_device)?;
    let [texts, validation] = hold_back(texts, options.validation.unwrap_or(0.0), seed, "texts")?;
    let batch_size = options.batch_size.unwrap_or(1);
    let tokens =
        |texts: &[Labelled]| LabelledTexts::new(texts, &classes, &tokenizer, longest, batch_size, path);
    let [train, validation] = [tokens(&texts)?, tokens(&validation)?];

    let steps = steps(options.steps, options.epochs, train.batches_per_epoch());
    let intervals = Intervals {
        validate_every: options.validate_every,
        checkpoint_every: options.checkpoint_every,
        log_every: options.log_every,
        patience: options.patience,
    };
    let fit_config = intervals.fit_config(steps)?;

    let (num_classes, dropout) = (classes.len(), options.dropout.unwrap_or(0.0));
    let config = match &bert {
        Some((_, bert)) => TextClassifierConfig::Bert { bert: bert.clone(), num_classes, dropout },
        None => {
            let width = options.d_model.unwrap_or(1);
            let layers = RnnConfig {
                cell: match options.model.unwrap_or(ScratchModel::Gru) {
                    ScratchModel::Rnn => RecurrentCell::RnnTanh,
                    ScratchModel::Lstm => RecurrentCell::Lstm,
                    ScratchModel::Gru => RecurrentCell::Gru,
                },
                d_input: width,
                d_hidden: width,
                n_layers: options.n_layers.unwrap_or(1),
                dropout,
                ..RnnConfig::rnn()
            };
            TextClassifierConfig::Recurrent {
                layers,
                vocab_size: tokenizer.vocab_size(),
                num_classes,
                dropout,
            }
        }
    };
    libellus_backend::seed(device, seed, 0);
    let mut model = config.init(&training_device)?;
    if let Some((bert, _)) = bert {
        let bert = if options.freeze_backbone == Some(true) { bert.no_grad() } else { bert };
        model = TextClassifier { backbone: Backbone::Bert(bert), ..model };
    }
    // Parameters are drawn when first used; drawn here and now, they depend on the seed and on nothing else.
    let learner =
        Learner::new("model", model.materialize(), &adam(options, steps).learner_config(steps)?, steps)?;
    let task = TextClassifierTask {
        learner,
        loss: CrossEntropyConfig { label_smoothing: options.label_smoothing.unwrap_or(0.0) }.init()?,
        train,
        validation,
        tokenizer,
        keep: options.keep.unwrap_or(Keep::Last),
        seed,
        description: Description {
            task: TASK.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config,
            classes,
            longest,
            data: name_of(path),
        },
        device: device.clone(),
    };
    Ok((task, fit_config))
}

fn adam(options: &TextClassifyOptions, steps: u64) -> AdamW {
    AdamW {
        betas: AdamWConfig::default().betas,
        lr: options.lr.unwrap_or(1e-3),
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
