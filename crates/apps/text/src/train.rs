//! From options to a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;
use libellus_backend::set_threads;
use libellus_data::{Corpus, Scheme, TokenRange, Tokenizer, Tokens, tokenize};
use libellus_losses::CrossEntropyConfig;
use libellus_models::rnn::RecurrentCell;
use libellus_models::{Gpt2Config, LanguageModelConfig, LlamaConfig, Precision, RnnLmConfig};
use libellus_optim::{AdamWConfig, DecayPolicy, OptimizerConfig, ScheduleConfig};
use libellus_train::{
    Circumstances, Ending, FitConfig, Interrupt, Learner, LearnerConfig, Length, Observer, OptionsError,
    Place, RunDir, fit, refuse_other_options,
};

use crate::data::{Windows, book};
use crate::error::TextError;
use crate::infer::Generation;
use crate::options::{Keep, ModelName, TrainOptions};
use crate::report::{Finished, write_report};
use crate::sampling::Sampling;
use crate::saved::{Description, Origin, TASK, Trained};
use crate::task::TextTask;

/// The folder's tokenizer and text as tokens, so that a run that goes on needs neither trained nor read again.
const TOKENIZER_FILE: &str = "tokenizer.json";
const TOKENS_FILE: &str = "tokens.bin";

/// Decides what the options leave open.
///
/// # Errors
/// When an option is out of its range, or has no effect on the chosen model.
pub fn resolve(options: &TrainOptions) -> Result<TrainOptions, TextError> {
    let model = options.model.unwrap_or(ModelName::Gpt);
    let recurrent = !matches!(model, ModelName::Gpt | ModelName::Llama);
    let idle = [
        ("n-heads", options.n_heads.is_some() && recurrent, "gpt and llama have attention heads"),
        (
            "tie-embeddings",
            options.tie_embeddings.is_some() && model == ModelName::Gpt,
            "gpt always ties them",
        ),
        ("column", options.column.is_some() && options.corpus.is_none(), "the book has no columns"),
        (
            "patience",
            options.patience.is_some()
                && (options.validation == Some(0.0) || options.keep == Some(Keep::Last)),
            "without validation, or with --keep last, no validation is better than another",
        ),
    ];
    if let Some((name, _, reason)) = idle.into_iter().find(|(_, is_idle, _)| *is_idle) {
        return Err(option(name, "", format!("it has no effect here: {reason}")));
    }
    let validation = options.validation.unwrap_or(0.1);
    if !(0.0..1.0).contains(&validation) {
        return Err(option("validation", validation, "it must be at least 0 and below 1"));
    }
    let keep = options.keep.unwrap_or(if validation > 0.0 { Keep::Best } else { Keep::Last });
    if keep == Keep::Best && validation == 0.0 {
        return Err(option("keep", "best", "without held back text nothing tells which weights are best"));
    }
    for (name, value) in [
        ("context", options.context),
        ("batch-size", options.batch_size),
        ("accumulate", options.accumulate),
        ("validation-tokens", options.validation_tokens),
        ("n-layers", options.n_layers),
        ("n-heads", options.n_heads),
        ("d-model", options.d_model),
    ] {
        if value == Some(0) {
            return Err(option(name, 0, "it must be at least 1"));
        }
    }
    let steps = options.steps.unwrap_or(1000);
    Ok(TrainOptions {
        tokenizer: Some(options.tokenizer.clone().unwrap_or_else(|| Scheme::Char.to_string())),
        validation: Some(validation),
        model: Some(model),
        context: Some(options.context.unwrap_or(128)),
        n_layers: Some(options.n_layers.unwrap_or(if recurrent { 2 } else { 4 })),
        n_heads: options.n_heads.or((!recurrent).then_some(4)),
        d_model: Some(options.d_model.unwrap_or(if recurrent { 256 } else { 128 })),
        dropout: Some(options.dropout.unwrap_or(0.0)),
        tie_embeddings: options.tie_embeddings.or((model != ModelName::Gpt).then_some(true)),
        steps: Some(steps),
        batch_size: Some(options.batch_size.unwrap_or(16)),
        accumulate: Some(options.accumulate.unwrap_or(1)),
        validate_every: Some(options.validate_every.unwrap_or((steps / 10).max(1))),
        validation_tokens: Some(options.validation_tokens.unwrap_or(1 << 15)),
        sample: Some(options.sample.unwrap_or(160)),
        log_every: Some(options.log_every.unwrap_or(10)),
        keep: Some(keep),
        lr: Some(options.lr.unwrap_or(2e-3)),
        final_factor: Some(options.final_factor.unwrap_or(0.1)),
        warmup: Some(options.warmup.unwrap_or(steps / 20)),
        weight_decay: Some(options.weight_decay.unwrap_or(0.1)),
        betas: Some(options.betas.clone().unwrap_or_else(|| vec![0.9, 0.99])),
        clip_norm: Some(options.clip_norm.unwrap_or(1.0)),
        seed: Some(options.seed.unwrap_or(0)),
        device: Some(options.device.unwrap_or_default()),
        ..options.clone()
    })
}

/// The architecture that resolved options describe, for a vocabulary.
///
/// # Errors
/// When it describes no model.
pub fn model_config(options: &TrainOptions, vocab_size: usize) -> Result<LanguageModelConfig, TextError> {
    let context = options.context.unwrap_or(128);
    let n_layers = options.n_layers.unwrap_or(1);
    let n_heads = options.n_heads.unwrap_or(1);
    let d_model = options.d_model.unwrap_or(1);
    let dropout = options.dropout.unwrap_or(0.0);
    let tie_embeddings = options.tie_embeddings.unwrap_or(true);
    let recurrent = |cell| RnnLmConfig {
        vocab_size,
        d_model,
        cell,
        d_hidden: d_model,
        n_layers,
        dropout,
        tie_embeddings,
    };
    let config: LanguageModelConfig = match options.model.unwrap_or(ModelName::Gpt) {
        ModelName::Gpt => Gpt2Config {
            n_layers,
            n_heads,
            d_model,
            d_ff: 4 * d_model,
            dropout,
            ..Gpt2Config::nano(vocab_size, context)
        }
        .into(),
        ModelName::Llama => LlamaConfig {
            vocab_size,
            context,
            n_layers,
            n_heads,
            n_kv_heads: n_heads,
            head_dim: d_model / n_heads,
            d_model,
            // Two thirds of four times the width: as many weights as a perceptron without a gate.
            d_ff: (8 * d_model / 3).next_multiple_of(16),
            tie_embeddings,
            rope_theta: 10_000.0,
            dropout,
            ..LlamaConfig::tiny()
        }
        .into(),
        ModelName::Rnn => recurrent(RecurrentCell::RnnTanh).into(),
        ModelName::Lstm => recurrent(RecurrentCell::Lstm).into(),
        ModelName::Gru => recurrent(RecurrentCell::Gru).into(),
    };
    config.validate()?;
    Ok(config)
}

/// Trains a language model and writes its report; `command` is what the report says the run was started with, and
/// `tokenizing` hears the bytes of text that are tokenised, and how many there are.
///
/// # Errors
/// Everything that can go wrong with options, text, model, training and files. What was saved before stays.
pub fn train(
    options: &TrainOptions,
    place: &Place,
    command: &str,
    interrupt: &Interrupt,
    observer: &mut dyn Observer,
    tokenizing: &mut dyn FnMut(u64, u64),
) -> Result<TrainOutcome, TextError> {
    let options = match place {
        Place::New(_) => options.clone(),
        // Only what can't change the result may be chosen anew.
        Place::Resume(folder) => {
            let saved = TrainOptions::from_toml(&RunDir::read_config(folder)?, &folder.join("config.toml"))?;
            let free = TrainOptions { device: None, threads: None, ..options.clone() };
            refuse_other_options(&free, &saved)?;
            TrainOptions {
                device: options.device.or(saved.device),
                threads: options.threads.or(saved.threads),
                ..saved
            }
        }
    };
    let options = resolve(&options)?;
    let threads = set_threads(options.threads);
    let device_name = options.device.unwrap_or_default();
    let device = device_name.open()?;
    let corpus = open_corpus(&options)?;
    let (run, tokenizer) = match place {
        Place::New(folder) => {
            // What is wrong with the text or the tokenizer shows before there is a folder.
            let tokenizer = new_tokenizer(&options, &corpus)?;
            let folder = folder
                .clone()
                .unwrap_or_else(|| RunDir::free_path(Path::new("runs"), &format!("text-{}", corpus.name())));
            let run = RunDir::create(&folder, &options.to_toml())?;
            run.write(TOKENIZER_FILE, tokenizer.to_json().as_bytes())?;
            (run, tokenizer)
        }
        Place::Resume(folder) => {
            let run = RunDir::open(folder)?;
            let file = folder.join(TOKENIZER_FILE);
            // A run that was killed while it learnt its tokenizer has none yet.
            let tokenizer = if file.is_file() {
                Tokenizer::open(&file)?
            } else {
                let tokenizer = new_tokenizer(&options, &corpus)?;
                run.write(TOKENIZER_FILE, tokenizer.to_json().as_bytes())?;
                tokenizer
            };
            (run, tokenizer)
        }
    };
    let begun = tokens_of(&run, &corpus, &tokenizer, tokenizing)
        .and_then(|tokens| Plan::new(options, corpus.name().to_owned(), tokenizer, tokens))
        .and_then(|plan| prepare(&plan, &device).map(|(task, config)| (plan, task, config)));
    let (plan, mut task, fit_config) = match (begun, place) {
        (Ok(begun), _) => begun,
        (Err(error), Place::New(_)) => {
            run.discard(&[TOKENIZER_FILE, TOKENS_FILE]);
            return Err(error);
        }
        (Err(error), Place::Resume(_)) => return Err(error),
    };
    let seed = plan.options.seed.unwrap_or(0);
    let outcome = fit(&mut task, &fit_config, seed, &run, interrupt, observer)?;
    if outcome.ending == Ending::Interrupted {
        return Ok(TrainOutcome { run: run.path().to_path_buf(), finished: None });
    }
    let trained = Trained::open(&Origin::Run(run.path().to_path_buf()), None, &device, Precision::F32)?;
    let circumstances = Circumstances { command, device: device_name, threads };
    let finished = write_report(&run, &plan, &trained, outcome, &circumstances)?;
    Ok(TrainOutcome { run: run.path().to_path_buf(), finished: Some(finished) })
}

/// The text as the run's file of tokens, which is made if it isn't there.
fn tokens_of(
    run: &RunDir,
    corpus: &Corpus,
    tokenizer: &Tokenizer,
    tokenizing: &mut dyn FnMut(u64, u64),
) -> Result<Arc<Tokens>, TextError> {
    let file = run.path().join(TOKENS_FILE);
    let kept = if file.is_file() { Some(Tokens::open(&file)?) } else { None };
    let tokens = match kept.filter(|tokens| tokens.vocab_size() == tokenizer.vocab_size()) {
        Some(tokens) => tokens,
        // There are none, or another tokenizer made them.
        None => tokenize(corpus, tokenizer, &file, tokenizing)?,
    };
    Ok(Arc::new(tokens))
}

/// What came of a run.
#[derive(Debug)]
pub struct TrainOutcome {
    /// Its folder.
    pub run: PathBuf,
    /// The result; `None` when the run was interrupted.
    pub finished: Option<Finished>,
}

/// A run that is ready to begin, or to go on.
#[derive(Debug)]
pub struct Plan {
    /// Everything decided.
    pub options: TrainOptions,
    /// Name of the text.
    pub corpus: String,
    /// How it became tokens.
    pub tokenizer: Tokenizer,
    /// What is learnt from.
    pub train: TokenRange,
    /// What is held back, at the end of the text; it may be empty.
    pub validation: TokenRange,
    /// What the saved model will say of itself.
    pub description: Description,
}

impl Plan {
    /// From resolved options and a text in tokens.
    ///
    /// # Errors
    /// When the options describe no model, or the text doesn't fit its tokenizer.
    pub fn new(
        options: TrainOptions,
        corpus: String,
        tokenizer: Tokenizer,
        tokens: Arc<Tokens>,
    ) -> Result<Self, TextError> {
        let config = model_config(&options, tokenizer.vocab_size())?;
        let [train, validation] = tokens.split(1.0 - options.validation.unwrap_or(0.0));
        let measured = if validation.is_empty() { &train } else { &validation };
        let description = Description {
            task: TASK.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config,
            corpus: corpus.clone(),
            characters_per_token: characters(&tokenizer, measured)? as f64 / measured.len().max(1) as f64,
        };
        Ok(Self { options, corpus, tokenizer, train, validation, description })
    }
}

/// Characters of a text in tokens.
pub(crate) fn characters(tokenizer: &Tokenizer, tokens: &TokenRange) -> Result<usize, TextError> {
    const AT_ONCE: u64 = 1 << 16;
    let mut stream = tokenizer.stream();
    let mut count = 0;
    for start in (0..tokens.len()).step_by(AT_ONCE as usize) {
        for id in tokens.read(start, AT_ONCE.min(tokens.len() - start) as usize)? {
            count += stream.push(id)?.map_or(0, |piece| piece.chars().count());
        }
    }
    Ok(count + stream.finish()?.chars().count())
}

fn open_corpus(options: &TrainOptions) -> Result<Corpus, TextError> {
    match &options.corpus {
        Some(path) => Ok(Corpus::open(path, options.column.as_deref())?),
        None => Ok(Corpus::from_text("book", book())),
    }
}

/// A tokenizer that is learnt from the text, or read from a file.
fn new_tokenizer(options: &TrainOptions, corpus: &Corpus) -> Result<Tokenizer, TextError> {
    let name = options.tokenizer.as_deref().unwrap_or("char");
    match name.parse::<Scheme>() {
        Ok(scheme) => Ok(Tokenizer::train(scheme, corpus.documents().map(|piece| Ok(piece?.text)))?),
        Err(_) if Path::new(name).exists() => Ok(Tokenizer::open(Path::new(name))?),
        Err(error) => Err(option("tokenizer", name, error.to_string())),
    }
}

/// Builds the task and the loop's configuration.
///
/// # Errors
/// When an option is out of its range, or the text is too short.
pub fn prepare(plan: &Plan, device: &Device) -> Result<(TextTask, FitConfig), TextError> {
    let options = &plan.options;
    let seed = options.seed.unwrap_or(0);
    let steps = options.steps.unwrap_or(1);
    let (context, batch_size) = (options.context.unwrap_or(128), options.batch_size.unwrap_or(16));
    let fit_config = FitConfig {
        length: Length::Steps(steps),
        validate_every: options.validate_every,
        checkpoint_every: options.checkpoint_every,
        log_every: options.log_every.unwrap_or(10),
        patience: options.patience,
    };
    fit_config.validate()?;
    let train = Windows::new(plan.train.clone(), context, batch_size, "training")?;
    let validation = (options.validation != Some(0.0))
        .then(|| Windows::new(plan.validation.clone(), context, batch_size.max(32), "held back"))
        .transpose()?;

    libellus_backend::seed(device, seed, 0);
    // Parameters are drawn when first used; drawn here and now, they depend on the seed and on nothing else.
    let model = plan.description.config.init(&device.clone().autodiff())?.materialize();
    let learner = Learner::new("model", model, &learner_config(options, steps)?, steps)?;
    let task = TextTask {
        learner,
        loss: CrossEntropyConfig::default().init()?,
        train,
        validation,
        validation_tokens: options.validation_tokens.unwrap_or(1 << 15),
        sample: sample_options(options),
        tokenizer: plan.tokenizer.clone(),
        keep: options.keep.unwrap_or(Keep::Last),
        accumulate: options.accumulate.unwrap_or(1),
        seed,
        description: plan.description.clone(),
        device: device.clone(),
    };
    Ok((task, fit_config))
}

/// How text is made while a model learns: a little below its own temperature, where a small model is easier to read.
pub(crate) fn sample_options(options: &TrainOptions) -> Generation {
    Generation {
        max_tokens: options.sample.unwrap_or(0),
        sampling: Sampling { temperature: 0.8, ..Sampling::default() },
        seed: options.seed.unwrap_or(0),
        slide: true,
        ..Generation::default()
    }
}

fn learner_config(options: &TrainOptions, total_steps: u64) -> Result<LearnerConfig, TextError> {
    let default = AdamWConfig::default();
    let betas = match options.betas.as_deref() {
        None => default.betas,
        Some(&[first, second]) => [first, second],
        Some(given) => return Err(option("betas", format!("{given:?}"), "two numbers, as in 0.9,0.99")),
    };
    let lr = options.lr.unwrap_or(1e-3);
    if !(lr > 0.0 && lr.is_finite()) {
        return Err(option("lr", lr, "it must be above 0"));
    }
    let clip_norm = options.clip_norm.unwrap_or(0.0);
    if clip_norm.is_nan() || clip_norm < 0.0 {
        return Err(option("clip-norm", clip_norm, "it must be at least 0"));
    }
    Ok(LearnerConfig {
        optimizer: OptimizerConfig::AdamW(AdamWConfig {
            betas,
            weight_decay: options.weight_decay.unwrap_or(default.weight_decay),
            ..default
        }),
        lr,
        schedule: ScheduleConfig::WarmupCosine {
            warmup: options.warmup.unwrap_or(0),
            final_factor: options.final_factor.unwrap_or(0.0),
        },
        decay: DecayPolicy::NoNormsAndBiases,
        clip_norm: (clip_norm > 0.0).then_some(clip_norm),
        ema_decay: options.ema.filter(|&decay| decay != 0.0),
        flow_every: match options.flow_every {
            Some(0) => None,
            Some(steps) => Some(steps),
            None => Some((total_steps / 20).max(1)),
        },
    })
}

fn option(option: &'static str, value: impl ToString, reason: impl Into<String>) -> TextError {
    OptionsError::option(option, value, reason).into()
}
