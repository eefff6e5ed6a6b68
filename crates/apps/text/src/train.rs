//! From options to a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;
use libellus_backend::set_threads;
use libellus_data::{Corpus, Scheme, TextError as CorpusError, TokenRange, Tokenizer, Tokens, tokenize};
use libellus_losses::CrossEntropyConfig;
use libellus_models::rnn::RecurrentCell;
use libellus_models::{Gpt2Config, LanguageModelConfig, LlamaConfig, Precision, RnnLmConfig};
use libellus_optim::{AdamWConfig, ScheduleConfig};
use libellus_train::report::thousands;
use libellus_train::{
    Circumstances, Ending, FitConfig, Interrupt, Learner, LearnerConfig, Observer, Place, RunDir, RunOptions,
    fit,
};
use serde_json::json;

use crate::common::{AdamW, Intervals, at_least_one, keep, option, refuse_idle, share};
use crate::data::{Pieces, Windows, book};
use crate::error::TextError;
use crate::infer::Generation;
use crate::options::{Keep, ModelName, TrainOptions};
use crate::report::{Finished, Story, write_report, write_samples};
use crate::sampling::Sampling;
use crate::saved::{Description, Origin, TASK, Trained, default_prompt};
use crate::task::{Product, TextTask};

/// The folder's tokenizer and text as tokens, so that a run that goes on needs neither trained nor read again.
const TOKENIZER_FILE: &str = "tokenizer.json";
pub(crate) const TOKENS_FILE: &str = "tokens.bin";

/// Decides what the options leave open.
///
/// # Errors
/// When an option is out of its range, or has no effect on the chosen model.
pub fn resolve(options: &TrainOptions) -> Result<TrainOptions, TextError> {
    let model = options.model.unwrap_or(ModelName::Gpt);
    let recurrent = !matches!(model, ModelName::Gpt | ModelName::Llama);
    refuse_idle(&[
        ("n-heads", options.n_heads.is_some() && recurrent, "gpt and llama have attention heads"),
        (
            "tie-embeddings",
            options.tie_embeddings.is_some() && model == ModelName::Gpt,
            "gpt always ties them",
        ),
        ("column", options.column.is_some() && options.corpus.is_none(), "the book has no columns"),
    ])?;
    let validation = share("validation", options.validation.unwrap_or(0.1))?;
    let keep = keep(validation, options.keep, options.patience)?;
    at_least_one(&[
        ("context", options.context),
        ("batch-size", options.batch_size),
        ("accumulate", options.accumulate),
        ("validation-tokens", options.validation_tokens),
        ("n-layers", options.n_layers),
        ("n-heads", options.n_heads),
        ("d-model", options.d_model),
    ])?;
    let steps = options.steps.unwrap_or(1250);
    let d_model = options.d_model.unwrap_or(if recurrent { 256 } else { 128 });
    Ok(TrainOptions {
        tokenizer: Some(options.tokenizer.clone().unwrap_or_else(|| Scheme::Char.to_string())),
        validation: Some(validation),
        model: Some(model),
        context: Some(options.context.unwrap_or(128)),
        n_layers: Some(options.n_layers.unwrap_or(if recurrent { 2 } else { 4 })),
        n_heads: options.n_heads.or((!recurrent).then_some(4)),
        d_model: Some(d_model),
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
        // The wider a model, the smaller the changes that it takes (Yang et al. 2022, arXiv:2203.03466).
        lr: Some(options.lr.unwrap_or(4e-3 * 128.0 / d_model.max(128) as f64)),
        final_factor: Some(options.final_factor.unwrap_or(0.0)),
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
    let options = options.at::<TextError>(place)?;
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
    let texts = write_samples(&trained, &sample_options(None, plan.options.seed))?;
    let sample = texts.first().cloned().unwrap_or_default();
    let story = story(&plan, &trained, task.validation, texts);
    let summary = write_report(&run, &story, &trained, outcome, &circumstances)?;
    Ok(TrainOutcome { run: run.path().to_path_buf(), finished: Some(Finished { summary, sample }) })
}

/// What the report tells of the run.
fn story<'a>(plan: &'a Plan, trained: &Trained, validation: Option<Pieces>, texts: Vec<String>) -> Story<'a> {
    let model = match plan.options.model.unwrap_or(ModelName::Gpt) {
        ModelName::Gpt => "GPT",
        ModelName::Llama => "Llama",
        ModelName::Rnn => "RNN",
        ModelName::Lstm => "LSTM",
        ModelName::Gru => "GRU",
    };
    let texts = texts.into_iter().enumerate().map(|(index, text)| (format!("text {}", index + 1), text));
    Story {
        title: format!("{model} on {}", plan.corpus),
        what: format!(
            "Language model: {} parameters, trained on {} tokens",
            thousands(trained.model.num_params()),
            thousands(plan.train.len() as usize),
        ),
        verb: "libellus text train",
        config: json!(plan.options),
        toml: plan.options.to_toml(),
        seed: plan.options.seed.unwrap_or(0),
        dataset: json!({
            "name": plan.corpus,
            "vocabulary": plan.tokenizer.vocab_size(),
            "train": plan.train.len(),
            "validation": plan.validation.len(),
            "characters_per_token": plan.description.characters_per_token,
        }),
        data: format!(
            "{}: {} tokens to learn, {} held back, of {} different ones; {:.2} characters each",
            plan.corpus,
            thousands(plan.train.len() as usize),
            thousands(plan.validation.len() as usize),
            thousands(plan.tokenizer.vocab_size()),
            plan.description.characters_per_token,
        ),
        validation,
        description: &plan.description,
        before: None,
        texts: texts.collect(),
        texts_caption: "Texts of the finished model, made token by token from an empty line at temperature 0.8.",
    }
}

/// The text as the run's file of tokens, which is made if it isn't there.
pub(crate) fn tokens_of(
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
            chat: None,
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
    tokenizer_of("tokenizer", name, corpus.documents().map(|piece| Ok(piece?.text)))
}

/// The tokenizer that the option `flag` names: a scheme, whose tokens are learnt from `texts`, or a file.
pub(crate) fn tokenizer_of(
    flag: &'static str,
    name: &str,
    texts: impl Iterator<Item = Result<String, CorpusError>> + Send,
) -> Result<Tokenizer, TextError> {
    match name.parse::<Scheme>() {
        Ok(scheme) => Ok(Tokenizer::train(scheme, texts)?),
        Err(_) if Path::new(name).exists() => crate::gguf::open_tokenizer_file(Path::new(name)),
        Err(error) => Err(option(flag, name, error.to_string())),
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
    let intervals = Intervals {
        validate_every: options.validate_every,
        checkpoint_every: options.checkpoint_every,
        log_every: options.log_every,
        patience: options.patience,
    };
    let fit_config = intervals.fit_config(steps)?;
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
        train: Pieces::Text(train),
        validation: validation.map(Pieces::Text),
        validation_tokens: options.validation_tokens.unwrap_or(1 << 15),
        sample: sample_options(options.sample, options.seed),
        prompt: default_prompt(&plan.tokenizer),
        tokenizer: plan.tokenizer.clone(),
        keep: options.keep.unwrap_or(Keep::Last),
        accumulate: options.accumulate.unwrap_or(1),
        seed,
        description: plan.description.clone(),
        product: Product::Model,
        device: device.clone(),
    };
    Ok((task, fit_config))
}

/// How text is made while a model learns: a little below its own temperature, where a small model is easier to read.
pub(crate) fn sample_options(tokens: Option<usize>, seed: Option<u64>) -> Generation {
    Generation {
        max_tokens: tokens.unwrap_or(0),
        sampling: Sampling { temperature: 0.8, ..Sampling::default() },
        seed: seed.unwrap_or(0),
        slide: true,
        ..Generation::default()
    }
}

fn learner_config(options: &TrainOptions, steps: u64) -> Result<LearnerConfig, TextError> {
    let default = AdamWConfig::default();
    let betas = match options.betas.as_deref() {
        None => default.betas,
        Some(&[first, second]) => [first, second],
        Some(given) => return Err(option("betas", format!("{given:?}"), "two numbers, as in 0.9,0.99")),
    };
    let adam = AdamW {
        betas,
        lr: options.lr.unwrap_or(1e-3),
        schedule: ScheduleConfig::WarmupCosine {
            warmup: options.warmup.unwrap_or(0),
            final_factor: options.final_factor.unwrap_or(0.0),
        },
        weight_decay: options.weight_decay.unwrap_or(default.weight_decay),
        clip_norm: options.clip_norm.unwrap_or(0.0),
        ema: options.ema.unwrap_or(0.0),
        flow_every: options.flow_every,
    };
    adam.learner_config(steps)
}
