//! From options to a run that learns to translate.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use libellus_backend::set_threads;
use libellus_losses::CrossEntropyConfig;
use libellus_models::{GruAttentionConfig, Precision, TransformerConfig};
use libellus_optim::ScheduleConfig;
use libellus_train::{
    Circumstances, Ending, FitConfig, Interrupt, Learner, Observer, Place, RunDir, RunOptions, RunSummary,
    fit,
};

use super::data::TokenPairs;
use super::model::TranslatorConfig;
use super::options::{ModelKind, ScheduleKind, TranslateOptions};
use super::pairs::{Pair, Parallel, hold_back, without_stress};
use super::report::write_report;
use super::saved::{Description, TASK, TrainedTranslator};
use super::task::TranslateTask;
use super::vocabulary::Vocabulary;
use crate::common::{AdamW, Intervals, at_least_one, epochs, keep, option, refuse_idle, share, steps};
use crate::error::TextError;
use crate::options::Keep;

/// What came of a run.
#[derive(Debug)]
pub struct TranslateOutcome {
    /// Its folder.
    pub run: PathBuf,
    /// What `report.json` holds; `None` when the run was interrupted.
    pub summary: Option<RunSummary>,
    /// Whether the data is a pronouncing dictionary.
    pub is_dictionary: bool,
}

/// Pairs, parted, with their tokens.
pub(super) struct Lessons {
    pub(super) name: String,
    pub(super) vocabulary: Vocabulary,
    pub(super) train: TokenPairs,
    pub(super) validation: TokenPairs,
    pub(super) translated: Vec<Pair>,
    pub(super) test: Vec<Pair>,
    /// Pairs with a side that is too long.
    pub(super) left_out: usize,
    pub(super) is_dictionary: bool,
}

/// Trains a model that translates and writes its report; `command` is what the report says the run was started with.
///
/// # Errors
/// Everything that can go wrong with options, texts, model, training and files. What was saved before stays.
pub fn train(
    options: &TranslateOptions,
    place: &Place,
    command: &str,
    interrupt: &Interrupt,
    observer: &mut dyn Observer,
) -> Result<TranslateOutcome, TextError> {
    let options = options.at::<TextError>(place)?;
    let parallel = parallel(&options)?;
    let options = resolve(&options, parallel.is_dictionary())?;
    let threads = set_threads(options.threads);
    let device_name = options.device.unwrap_or_default();
    let device = device_name.open()?;
    let lessons = lessons(&options, &parallel)?;
    let (mut task, fit_config) = prepare(&options, &lessons, &device)?;
    let run = match place {
        Place::New(folder) => {
            let free = || RunDir::free_path(Path::new("runs"), &format!("translate-{}", lessons.name));
            RunDir::create(&folder.clone().unwrap_or_else(free), &options.to_toml())?
        }
        Place::Resume(folder) => RunDir::open(folder)?,
    };
    if !lessons.test.is_empty() {
        run.write("test.jsonl", table(&lessons.test).as_bytes())?;
    }
    let outcome = fit(&mut task, &fit_config, options.seed.unwrap_or(0), &run, interrupt, observer)?;
    let is_dictionary = lessons.is_dictionary;
    let path = run.path().to_path_buf();
    if outcome.ending == Ending::Interrupted {
        return Ok(TranslateOutcome { run: path, summary: None, is_dictionary });
    }
    drop(task);
    let trained = TrainedTranslator::open(&path, &device, Precision::F32)?;
    let circumstances = Circumstances { command, device: device_name, threads };
    let summary = write_report(&run, &options, &lessons, &trained, outcome, &circumstances)?;
    Ok(TranslateOutcome { run: path, summary: Some(summary), is_dictionary })
}

/// Held back pairs as a table that `text translate eval` reads: a line for each translation.
fn table(pairs: &[Pair]) -> String {
    let lines = pairs.iter().flat_map(|pair| {
        let line = |target| serde_json::json!({ "source": pair.source, "target": target }).to_string() + "\n";
        pair.targets.iter().map(line)
    });
    lines.collect()
}

fn parallel(options: &TranslateOptions) -> Result<Parallel, TextError> {
    match (&options.data, &options.source, &options.target) {
        (Some(path), None, None) => Ok(Parallel::Table(path.clone())),
        (None, Some(source), Some(target)) => {
            Ok(Parallel::Lines { source: source.clone(), target: target.clone() })
        }
        _ => Err(option("data", "", "name a file of pairs, or two with --source and --target")),
    }
}

/// Decides what the options leave open.
fn resolve(options: &TranslateOptions, is_dictionary: bool) -> Result<TranslateOptions, TextError> {
    let model = options.model.unwrap_or(ModelKind::Transformer);
    let recurrent = model == ModelKind::Gru;
    refuse_idle(&[
        ("n-heads", recurrent && options.n_heads.is_some(), "a recurrent model has one attention"),
        (
            "drop-stress",
            !is_dictionary && options.drop_stress.is_some(),
            "only a .dict file has marks of stress",
        ),
    ])?;
    let validation = share("validation", options.validation.unwrap_or(0.02))?;
    let test = share("test", options.test.unwrap_or(0.1))?;
    if validation + test >= 1.0 {
        return Err(option("test", test, format!("with --validation {validation} nothing is left to learn")));
    }
    let keep = keep(validation, options.keep, options.patience)?;
    at_least_one(&[
        ("longest", options.longest),
        ("n-layers", options.n_layers),
        ("n-heads", options.n_heads),
        ("d-model", options.d_model),
        ("d-ff", options.d_ff),
        ("batch-size", options.batch_size),
        ("beams", options.beams),
    ])?;
    let named = |given: &Option<String>, of_dictionary: &str| {
        given.clone().or((is_dictionary && options.tokenizer.is_none()).then(|| of_dictionary.to_owned()))
    };
    let source_tokenizer = named(&options.source_tokenizer, "char");
    let target_tokenizer = named(&options.target_tokenizer, "space");
    let needs_both = source_tokenizer.is_none() || target_tokenizer.is_none();
    let d_model = options.d_model.unwrap_or(256);
    Ok(TranslateOptions {
        tokenizer: options.tokenizer.clone().or(needs_both.then(|| "bpe:8000".to_owned())),
        source_tokenizer,
        target_tokenizer,
        longest: Some(options.longest.unwrap_or(128)),
        validation: Some(validation),
        test: Some(test),
        model: Some(model),
        n_layers: Some(options.n_layers.unwrap_or(if recurrent { 2 } else { 3 })),
        n_heads: options.n_heads.or((!recurrent).then_some(4)),
        d_model: Some(d_model),
        d_ff: Some(options.d_ff.unwrap_or(if recurrent { d_model } else { 4 * d_model })),
        dropout: Some(options.dropout.unwrap_or(0.1)),
        epochs: epochs(options.epochs, options.steps, 10.0)?,
        batch_size: Some(options.batch_size.unwrap_or(128)),
        label_smoothing: Some(options.label_smoothing.unwrap_or(0.1)),
        validation_pairs: Some(options.validation_pairs.unwrap_or(500)),
        log_every: Some(options.log_every.unwrap_or(10)),
        keep: Some(keep),
        lr: Some(options.lr.unwrap_or(1e-3)),
        schedule: Some(options.schedule.unwrap_or(ScheduleKind::Noam)),
        weight_decay: Some(options.weight_decay.unwrap_or(0.0)),
        clip_norm: Some(options.clip_norm.unwrap_or(1.0)),
        ema: Some(options.ema.unwrap_or(0.999)),
        beams: Some(options.beams.unwrap_or(4)),
        seed: Some(options.seed.unwrap_or(0)),
        device: Some(options.device.unwrap_or_default()),
        ..options.clone()
    })
}

fn lessons(options: &TranslateOptions, parallel: &Parallel) -> Result<Lessons, TextError> {
    let mut pairs = parallel.read()?;
    if options.drop_stress == Some(true) {
        pairs = without_stress(pairs);
    }
    let vocabulary = Vocabulary::train(
        &pairs,
        options.tokenizer.as_deref().unwrap_or_default(),
        options.source_tokenizer.as_deref(),
        options.target_tokenizer.as_deref(),
    )?;
    let shares = [options.validation.unwrap_or(0.0), options.test.unwrap_or(0.0)];
    let [train, validation, test] = hold_back(pairs, shares, options.seed.unwrap_or(0));
    let tokens = |pairs: &[Pair]| {
        let (longest, batch_size) = (options.longest.unwrap_or(1), options.batch_size.unwrap_or(1));
        TokenPairs::new(pairs, &vocabulary, longest, batch_size)
    };
    let (train, left_out) = tokens(&train)?;
    if train.is_empty() {
        let (Parallel::Table(path) | Parallel::Lines { source: path, .. }) = parallel;
        return Err(TextError::NoPairs { path: path.clone() });
    }
    Ok(Lessons {
        name: parallel.name(),
        train,
        validation: tokens(&validation)?.0,
        translated: validation.into_iter().take(options.validation_pairs.unwrap_or(0)).collect(),
        test,
        left_out,
        vocabulary,
        is_dictionary: parallel.is_dictionary(),
    })
}

/// The architecture that resolved options describe, for a vocabulary.
fn model_config(options: &TranslateOptions, vocab_size: usize) -> TranslatorConfig {
    let n_layers = options.n_layers.unwrap_or(1);
    let d_model = options.d_model.unwrap_or(1);
    let d_ff = options.d_ff.unwrap_or(1);
    let dropout = options.dropout.unwrap_or(0.0);
    match options.model.unwrap_or(ModelKind::Transformer) {
        // Normalisation before each layer learns without the long warm-up that the paper's needs.
        ModelKind::Transformer => TranslatorConfig::Transformer(TransformerConfig {
            vocab_size,
            n_encoder_layers: n_layers,
            n_decoder_layers: n_layers,
            d_model,
            d_ff,
            n_heads: options.n_heads.unwrap_or(1),
            norm_placement: libellus_layers::NormPlacement::Pre,
            final_norm: true,
            dropout,
            ..TransformerConfig::tiny()
        }),
        ModelKind::Gru => TranslatorConfig::Gru(GruAttentionConfig {
            vocab_size,
            d_model,
            d_hidden: d_ff,
            n_layers,
            dropout,
            ..GruAttentionConfig::tiny()
        }),
    }
}

/// Builds the task and the loop's configuration.
fn prepare(
    options: &TranslateOptions,
    lessons: &Lessons,
    device: &Device,
) -> Result<(TranslateTask, FitConfig), TextError> {
    let seed = options.seed.unwrap_or(0);
    let steps = steps(options.steps, options.epochs, lessons.train.batches_per_epoch());
    let intervals = Intervals {
        validate_every: options.validate_every,
        checkpoint_every: options.checkpoint_every,
        log_every: options.log_every,
        patience: options.patience,
    };
    let fit_config = intervals.fit_config(steps)?;
    let config = model_config(options, lessons.vocabulary.len());
    libellus_backend::seed(device, seed, 0);
    // Parameters are drawn when first used; drawn here and now, they depend on the seed and on nothing else.
    let model = config.init(&device.clone().autodiff())?.materialize();
    let learner = Learner::new("model", model, &adam(options, steps).learner_config(steps)?, steps)?;
    let loss = CrossEntropyConfig { label_smoothing: options.label_smoothing.unwrap_or(0.0) }.init()?;
    let task = TranslateTask {
        learner,
        loss,
        train: lessons.train.clone(),
        validation: lessons.validation.clone(),
        translated: lessons.translated.clone(),
        vocabulary: lessons.vocabulary.clone(),
        keep: options.keep.unwrap_or(Keep::Last),
        seed,
        description: Description {
            task: TASK.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config,
            data: lessons.name.clone(),
            is_dictionary: lessons.is_dictionary,
        },
        device: device.clone(),
    };
    Ok((task, fit_config))
}

fn adam(options: &TranslateOptions, steps: u64) -> AdamW {
    let warmup = options.warmup.unwrap_or(steps / 20);
    AdamW {
        // Section 5.3 of the Transformer's paper.
        betas: [0.9, 0.98],
        lr: options.lr.unwrap_or(1e-3),
        schedule: match options.schedule.unwrap_or(ScheduleKind::Noam) {
            ScheduleKind::Noam => ScheduleConfig::Noam { warmup: warmup.max(1) },
            ScheduleKind::Cosine => ScheduleConfig::WarmupCosine { warmup, final_factor: 0.0 },
        },
        weight_decay: options.weight_decay.unwrap_or(0.0),
        clip_norm: options.clip_norm.unwrap_or(0.0),
        ema: options.ema.unwrap_or(0.0),
        flow_every: options.flow_every,
    }
}
