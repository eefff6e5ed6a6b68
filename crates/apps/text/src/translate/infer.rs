//! From sources to translations.

use burn::tensor::{Device, Int, Tensor, TensorData};
use libellus_train::OptionsError;

use super::data::is_token;
use super::model::{Translator, TranslatorState};
use super::vocabulary::{BEGIN, END, PAD, Vocabulary};
use crate::error::TextError;
use crate::sampling::{BeamSearch, Beams, Hypothesis, Sampling};

/// How translations are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decoding {
    /// Translations that are continued side by side; 1 takes the likeliest token each time.
    pub beams: usize,
    /// A translation's score is the sum of its log-probabilities divided by its length to this power.
    pub length_penalty: f64,
    /// The most tokens of a translation; the default is twice those of its source and 10.
    pub max_tokens: Option<usize>,
    /// Sources that are translated at once.
    pub batch_size: usize,
}

impl Default for Decoding {
    fn default() -> Self {
        Self { beams: 1, length_penalty: 1.0, max_tokens: None, batch_size: 64 }
    }
}

impl Decoding {
    /// # Errors
    /// The first option that is out of its range.
    pub fn validate(&self) -> Result<(), TextError> {
        let wrong = |option, value: f64, reason| Err(OptionsError::option(option, value, reason).into());
        if self.beams == 0 {
            return wrong("beams", 0.0, "it must be at least 1");
        }
        if self.batch_size == 0 {
            return wrong("batch-size", 0.0, "it must be at least 1");
        }
        if self.max_tokens == Some(0) {
            return wrong("max-tokens", 0.0, "it must be at least 1");
        }
        if !self.length_penalty.is_finite() {
            return wrong("length-penalty", self.length_penalty, "it must be finite");
        }
        Ok(())
    }
}

/// The likeliest translation of each source, in the order given; `seen` hears how many are done.
///
/// Sources of similar lengths are translated together, since what fills up the shorter ones is computed in vain.
///
/// # Errors
/// When an option is out of its range, or the model puts out numbers that are no probabilities.
///
/// # Panics
/// When a source has no tokens.
pub fn translate(
    model: &Translator,
    vocabulary: &Vocabulary,
    sources: &[Vec<u32>],
    decoding: &Decoding,
    device: &Device,
    seen: &mut dyn FnMut(usize),
) -> Result<Vec<Hypothesis>, TextError> {
    decoding.validate()?;
    let mut order: Vec<usize> = (0..sources.len()).collect();
    order.sort_by_key(|&index| sources[index].len());
    let mut found = vec![Hypothesis { tokens: Vec::new(), score: 0.0 }; sources.len()];
    let mut done = 0;
    for chunk in order.chunks(decoding.batch_size) {
        let batch: Vec<&[u32]> = chunk.iter().map(|&index| &sources[index][..]).collect();
        let translations = Batch::new(model, vocabulary, &batch, decoding, device).search(decoding)?;
        for (&index, translation) in chunk.iter().zip(translations) {
            found[index] = translation;
        }
        done += chunk.len();
        seen(done);
    }
    Ok(found)
}

/// Sources that are translated together.
struct Batch<'a> {
    model: &'a Translator,
    state: TranslatorState,
    /// The most tokens of each translation.
    limits: Vec<usize>,
    /// Translations consist of the mark of the end and of the tokens from here on.
    first_token: usize,
    device: &'a Device,
}

impl<'a> Batch<'a> {
    fn new(
        model: &'a Translator,
        vocabulary: &Vocabulary,
        sources: &[&[u32]],
        decoding: &Decoding,
        device: &'a Device,
    ) -> Self {
        let longest = sources.iter().map(|source| source.len()).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(sources.len() * longest);
        for (row, source) in sources.iter().enumerate() {
            ids.extend(source.iter().map(|&id| id as i32));
            ids.resize((row + 1) * longest, PAD as i32);
        }
        let limit = |source: &&[u32]| decoding.max_tokens.unwrap_or(2 * source.len() + 10);
        let limits: Vec<usize> = sources.iter().map(limit).collect();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [sources.len(), longest]), device);
        let capacity = limits.iter().copied().max().unwrap_or(0);
        let state = model.read(ids.clone(), is_token(ids), capacity);
        Self { model, state, limits, first_token: vocabulary.target_offset() as usize, device }
    }

    /// Logits after `tokens`, row by row: of the end, and of each of the target's tokens.
    fn step(&mut self, tokens: &[u32]) -> Vec<Vec<f32>> {
        let ids: Vec<i32> = tokens.iter().map(|&id| id as i32).collect();
        let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [tokens.len()]), self.device);
        let logits = self.model.write(ids, &mut self.state);
        let [rows, width] = logits.dims();
        let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
        assert_eq!(logits.len(), rows * width, "as many logits come back as were computed");
        let end = END as usize;
        let row =
            |row: &[f32]| std::iter::once(row[end]).chain(row[self.first_token..].iter().copied()).collect();
        logits.chunks(width).map(row).collect()
    }

    fn search(mut self, decoding: &Decoding) -> Result<Vec<Hypothesis>, TextError> {
        if decoding.beams == 1 {
            return self.greedy(decoding.length_penalty);
        }
        let search = BeamSearch {
            num_beams: decoding.beams,
            length_penalty: decoding.length_penalty,
            ..BeamSearch::default()
        };
        let mut beams = Vec::with_capacity(self.limits.len());
        for &limit in &self.limits {
            beams.push(Beams::new(search.clone(), Sampling::greedy(), &[], &[0], limit)?);
        }
        let mut last = vec![BEGIN; beams.len()];
        while !last.is_empty() {
            let logits = self.step(&last);
            let mut rows = Vec::new();
            last.clear();
            let mut start = 0;
            for beams in &mut beams {
                let own = start..start + beams.rows();
                start = own.end;
                if let Some(step) = beams.advance(&logits[own.clone()].concat())? {
                    rows.extend(step.parents.iter().map(|parent| own.start + parent));
                    last.extend(step.tokens.iter().map(|&choice| token(choice, self.first_token)));
                }
            }
            if !last.is_empty() {
                self.state.select(&rows);
            }
        }
        let best = beams.into_iter().map(|beams| {
            let best = beams.finish().into_iter().next();
            let best = best.unwrap_or(Hypothesis { tokens: Vec::new(), score: f32::NEG_INFINITY });
            let tokens = best.tokens.into_iter().map(|choice| token(choice, self.first_token));
            Hypothesis { tokens: tokens.collect(), score: best.score }
        });
        Ok(best.collect())
    }

    fn greedy(mut self, length_penalty: f64) -> Result<Vec<Hypothesis>, TextError> {
        let count = self.limits.len();
        let mut found = vec![Hypothesis { tokens: Vec::new(), score: 0.0 }; count];
        let mut alive: Vec<usize> = (0..count).collect();
        let mut last = vec![BEGIN; count];
        while !alive.is_empty() {
            let mut rows = Vec::new();
            let mut next = Vec::new();
            for (row, logits) in self.step(&last).iter().enumerate() {
                let (choice, score) = likeliest(logits)?;
                let token = token(choice, self.first_token);
                let index = alive[row];
                found[index].tokens.push(token);
                found[index].score += score;
                if token != END && found[index].tokens.len() < self.limits[index] {
                    rows.push(row);
                    next.push(token);
                }
            }
            if rows.len() < alive.len() && !rows.is_empty() {
                self.state.select(&rows);
            }
            alive = rows.iter().map(|&row| alive[row]).collect();
            last = next;
        }
        for hypothesis in &mut found {
            hypothesis.score /= (hypothesis.tokens.len() as f64).powf(length_penalty) as f32;
        }
        Ok(found)
    }
}

/// A choice among the logits of [`Batch::step`] as a token.
fn token(choice: u32, first_token: usize) -> u32 {
    if choice == 0 { END } else { choice - 1 + first_token as u32 }
}

/// The largest of some logits, the first of equals, and its log-probability.
fn likeliest(logits: &[f32]) -> Result<(u32, f32), TextError> {
    let log_z = crate::sampling::log_sum_exp(logits)?;
    let mut best = 0;
    for (index, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = index;
        }
    }
    Ok((best as u32, (f64::from(logits[best]) - log_z) as f32))
}
