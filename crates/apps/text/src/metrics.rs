//! How well a model expects a text.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};
use libellus_data::{Corpus, SpecialTokens, tokenize};
use libellus_losses::CrossEntropyConfig;
use libellus_models::LanguageModel;
use libellus_train::OptionsError;
use serde::Serialize;

use crate::data::TokenBatch;
use crate::error::TextError;
use crate::saved::Trained;
use crate::train::characters;

/// A sum over tokens, divided once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossSum {
    /// `-Σ log p`, in nats.
    pub nll: f64,
    /// Tokens in the sum.
    pub tokens: usize,
}

impl LossSum {
    /// The mean loss of a token, in nats.
    pub fn mean(&self) -> f64 {
        self.nll / self.tokens.max(1) as f64
    }

    /// Adds the loss of `logits`, `[N, V]`, at `targets`, `[N]`.
    fn add(&mut self, logits: Tensor<2>, targets: Tensor<1, Int>) {
        let [tokens] = targets.dims();
        let cross_entropy = CrossEntropyConfig::default().init().expect("no smoothing is in range");
        let mean: f32 = cross_entropy.forward(logits, targets).into_scalar();
        self.nll += f64::from(mean) * tokens as f64;
        self.tokens += tokens;
    }
}

/// The loss of `model` over `batches`, each piece of which is read from nothing.
///
/// # Errors
/// Those of the batches.
pub(crate) fn mean_loss(
    model: &LanguageModel,
    batches: impl Iterator<Item = Result<TokenBatch, TextError>>,
    device: &Device,
) -> Result<LossSum, TextError> {
    let mut sum = LossSum::default();
    for batch in batches {
        let (logits, targets) = batch?.predict(model, device);
        sum.add(logits, targets);
    }
    Ok(sum)
}

/// What [`perplexity`] found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Perplexity {
    /// Mean loss of a token, in nats.
    pub loss: f64,
    /// `exp(loss)`: among how many equally likely tokens the model is undecided, on average.
    pub perplexity: f64,
    /// Loss in bits, per character of the text.
    pub bits_per_character: f64,
    /// Tokens that were predicted.
    pub tokens: usize,
    /// Characters of the text.
    pub characters: usize,
}

/// How a text is cut for [`perplexity`]. The default suits every model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cuts {
    /// Tokens of a window; the default is the model's context, or 1024 where it has none.
    pub context: Option<usize>,
    /// Tokens from one window to the next, at most `context`; the default is half of it.
    pub stride: Option<usize>,
    /// Windows that are read at once.
    pub batch_size: usize,
}

impl Default for Cuts {
    fn default() -> Self {
        Self { context: None, stride: None, batch_size: 8 }
    }
}

/// How well a trained model expects a text. A window moves over its tokens, and each token is predicted once, from all that is
/// before it in the window: a smaller stride takes longer and gives tokens more context. `seen` hears how many tokens are done,
/// and how many there are.
///
/// The windows are those of the guide *Perplexity of fixed-length models* in the documentation of `transformers`, but for one thing:
/// a window has one token more than the model reads, which is predicted only, so that no token is left out at any stride.
///
/// # Errors
/// When the text has less than two tokens or can't be read, and when a number is out of range.
pub fn perplexity(
    trained: &Trained,
    corpus: &Corpus,
    cuts: &Cuts,
    seen: &mut dyn FnMut(usize, usize),
) -> Result<Perplexity, TextError> {
    let folder = tempfile::tempdir().map_err(|source| TextError::Temporary { source })?;
    let tokens = tokenize(corpus, &trained.tokenizer, folder.path().join("tokens.bin"), |_, _| {})?;
    let [tokens, _] = Arc::new(tokens).split(1.0);
    let characters = characters(&trained.tokenizer, &tokens)?;
    let Cuts { context, stride, batch_size } = *cuts;
    let length = match (context, trained.model.context()) {
        (Some(wanted), Some(most)) if wanted > most => {
            return Err(
                OptionsError::option("context", wanted, format!("the model reads {most} tokens")).into()
            );
        }
        (Some(wanted), _) => wanted,
        (None, most) => most.unwrap_or(1024),
    };
    if length == 0 {
        return Err(OptionsError::option("context", length, "it must be at least 1").into());
    }
    let stride = stride.unwrap_or((length / 2).max(1));
    if !(1..=length).contains(&stride) {
        let reason = format!("it must be from 1 to {length}, the tokens of a window");
        return Err(OptionsError::option("stride", stride, reason).into());
    }
    let all = tokens.len() as usize;
    if all < 2 {
        return Err(TextError::TooShort { part: "given", tokens: tokens.len(), length: 1 });
    }

    // Begin, end and first target of each window.
    let mut windows = Vec::new();
    let (mut begin, mut predicted) = (0, 1);
    while predicted < all {
        let end = (begin + length + 1).min(all);
        windows.push((begin, end, predicted));
        (begin, predicted) = (begin + stride, end);
    }
    let shape = |&(begin, end, first): &(usize, usize, usize)| (end - begin, end - first);
    let mut sum = LossSum::default();
    for same in windows.chunk_by(|a, b| shape(a) == shape(b)) {
        for group in same.chunks(batch_size.max(1)) {
            let (read, targets) = shape(&group[0]);
            let mut inputs = Vec::with_capacity(group.len() * (read - 1));
            let mut labels = Vec::with_capacity(group.len() * targets);
            for &(begin, ..) in group {
                let ids = tokens.read(begin as u64, read)?;
                inputs.extend(ids[..read - 1].iter().map(|&id| id as i32));
                labels.extend(ids[read - targets..].iter().map(|&id| id as i32));
            }
            let inputs = Tensor::from_data(TensorData::new(inputs, [group.len(), read - 1]), &trained.device);
            let labels = TensorData::new(labels, [group.len() * targets]);
            let mut state = trained.model.new_state(group.len(), read - 1);
            let features = trained.model.read(inputs, &mut state).narrow(1, read - 1 - targets, targets);
            sum.add(trained.model.logits(features).flatten(0, 1), Tensor::from_data(labels, &trained.device));
            seen(sum.tokens, all);
        }
    }
    let loss = sum.mean();
    Ok(Perplexity {
        loss,
        perplexity: loss.exp(),
        bits_per_character: sum.nll / std::f64::consts::LN_2 / characters.max(1) as f64,
        tokens: sum.tokens,
        characters,
    })
}

/// How likely a continuation of a prompt is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// The continuation.
    pub text: String,
    /// `log p(continuation | prompt)`, in nats.
    pub log_probability: f64,
    /// Its tokens.
    pub tokens: usize,
    /// The same for each token on average, which does not favour short continuations.
    pub per_token: f64,
}

/// How likely each of `continuations` is after `prompt`, in the order given.
///
/// A prompt and its continuation are tokenised together, and the tokens behind those of the prompt alone count for the
/// continuation, as in EleutherAI's evaluation harness.
///
/// # Errors
/// When the prompt is empty, a continuation has no tokens, or both together are longer than the context.
pub fn score(trained: &Trained, prompt: &str, continuations: &[String]) -> Result<Vec<Score>, TextError> {
    let prefix = trained.prompt_tokens(prompt, SpecialTokens::Add)?.len();
    continuations
        .iter()
        .map(|text| {
            let tokens = trained.prompt_tokens(&format!("{prompt}{text}"), SpecialTokens::Add)?;
            if let Some(context) = trained.model.context().filter(|&context| tokens.len() > context + 1) {
                return Err(TextError::LongPrompt { tokens: tokens.len(), context });
            }
            let count = tokens.len().saturating_sub(prefix);
            let mut sum = LossSum::default();
            if count > 0 {
                let ids: Vec<i32> = tokens.iter().map(|&id| id as i32).collect();
                let read = ids.len() - 1;
                let inputs = TensorData::new(ids[..read].to_vec(), [1, read]);
                let mut state = trained.model.new_state(1, read);
                let features = trained.model.read(Tensor::from_data(inputs, &trained.device), &mut state);
                let logits = trained.model.logits(features.narrow(1, read - count, count));
                let targets = TensorData::new(ids[ids.len() - count..].to_vec(), [count]);
                sum.add(logits.flatten(0, 1), Tensor::from_data(targets, &trained.device));
            }
            Ok(Score { text: text.clone(), log_probability: -sum.nll, tokens: count, per_token: -sum.mean() })
        })
        .collect()
}
