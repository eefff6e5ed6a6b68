//! How good translations are.

use std::collections::BTreeMap;

use burn::tensor::Device;
use serde::Serialize;

use super::bleu::{Bleu, BleuOptions};
use super::infer::{Decoding, translate};
use super::model::Translator;
use super::pairs::Pair;
use super::vocabulary::Vocabulary;
use super::wer::ErrorRate;
use crate::error::TextError;

/// What translations of held back texts are worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quality {
    /// Share of the sources whose translation is not exactly one of those that are right; of a pronouncing dictionary, the word
    /// error rate.
    pub sequence_error_rate: f64,
    /// Edits of tokens by tokens of the translations that are right; of a pronouncing dictionary, the phoneme error rate.
    pub token_error_rate: f64,
    /// Edits of what white space separates, by how many of them are right.
    pub word_error_rate: f64,
    /// BLEU, from 0 to 100.
    pub bleu: f64,
    /// Sources that were translated.
    pub sources: usize,
}

/// A source, what a model made of it, and what is right.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Example {
    /// What was translated.
    pub source: String,
    /// Into what.
    pub translation: String,
    /// What would have been right.
    pub references: Vec<String>,
}

impl Quality {
    /// Its numbers by name.
    pub(super) fn metrics(&self) -> BTreeMap<String, f64> {
        let metrics = [
            ("sequence_error_rate", self.sequence_error_rate),
            ("token_error_rate", self.token_error_rate),
            ("word_error_rate", self.word_error_rate),
            ("bleu", self.bleu),
        ];
        metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Translates the sources of `pairs` and compares. `seen` hears how many are done.
///
/// # Errors
/// When a tokenizer doesn't know a character, and those of [`translate`].
pub fn measure(
    model: &Translator,
    vocabulary: &Vocabulary,
    pairs: &[Pair],
    decoding: &Decoding,
    device: &Device,
    seen: &mut dyn FnMut(usize),
) -> Result<(Quality, Vec<Example>), TextError> {
    let sources: Vec<Vec<u32>> =
        pairs.iter().map(|pair| vocabulary.encode_source(&pair.source)).collect::<Result<_, _>>()?;
    let translations = translate(model, vocabulary, &sources, decoding, device, seen)?;
    let (mut tokens, mut words) = (ErrorRate::default(), ErrorRate::default());
    let mut bleu = Bleu::new(BleuOptions::default());
    let mut wrong = 0;
    let mut examples = Vec::with_capacity(pairs.len());
    for (pair, translation) in pairs.iter().zip(translations) {
        let text = vocabulary.decode_target(&translation.tokens)?;
        let text = text.trim().to_owned();
        let references: Vec<Vec<u32>> =
            pair.targets.iter().map(|target| vocabulary.encode_target(target)).collect::<Result<_, _>>()?;
        tokens.add(
            without_end(&translation.tokens),
            &references.iter().map(|ids| without_end(ids)).collect::<Vec<_>>(),
        );
        let split = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        words.add(&split(&text), &pair.targets.iter().map(|target| split(target)).collect::<Vec<_>>());
        bleu.add(&text, &pair.targets);
        wrong += usize::from(!pair.targets.contains(&text));
        examples.push(Example {
            source: pair.source.clone(),
            translation: text,
            references: pair.targets.clone(),
        });
    }
    let quality = Quality {
        sequence_error_rate: wrong as f64 / pairs.len().max(1) as f64,
        token_error_rate: tokens.rate(),
        word_error_rate: words.rate(),
        bleu: bleu.finish().score,
        sources: pairs.len(),
    };
    Ok((quality, examples))
}

fn without_end(tokens: &[u32]) -> &[u32] {
    match tokens {
        [tokens @ .., super::vocabulary::END] => tokens,
        tokens => tokens,
    }
}
