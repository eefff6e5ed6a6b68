//! One token from the logits of one sequence.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::error::SamplingError;
use super::filters::{self, Candidate, Place};
use super::options::Sampling;
use super::penalties::penalise;

/// A token that was chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Its id.
    pub token: u32,
    /// The natural logarithm of its probability in the model's own distribution, before penalties, temperature and
    /// filters; at most 0.
    pub log_probability: f32,
}

/// A token that may be drawn, and how likely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenProbability {
    /// Its id.
    pub token: u32,
    /// Its probability, from 0 to 1.
    pub probability: f32,
}

/// Chooses tokens as a [`Sampling`] says.
///
/// It holds room to work in, but nothing of a sequence: one sampler can serve a whole batch, each sequence with a
/// generator of its own from [`sequence_rng`].
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    logits: Vec<f32>,
    counts: Vec<u32>,
    candidates: Vec<Candidate>,
    places: Vec<Place>,
    distribution: Vec<TokenProbability>,
}

impl Sampler {
    /// A sampler of these options.
    ///
    /// # Errors
    /// What [`Sampling::validate`] finds.
    pub fn new(sampling: Sampling) -> Result<Self, SamplingError> {
        sampling.validate()?;
        Ok(Self {
            sampling,
            logits: Vec::new(),
            counts: Vec::new(),
            candidates: Vec::new(),
            places: Vec::new(),
            distribution: Vec::new(),
        })
    }

    /// The options.
    pub fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    /// The next token of a sequence, from the `logits` after its tokens: the `prompt` and what was `generated` since.
    ///
    /// Takes one number (of 64 bits) from `rng`, or none at temperature 0. There, the lowest id of equals is chosen.
    ///
    /// # Errors
    /// When a logit is NaN or positive infinity, or all are negative infinity.
    ///
    /// # Example
    /// ```
    /// use libellus_text::sampling::{Sampler, Sampling, sequence_rng};
    ///
    /// let mut sampler = Sampler::new(Sampling { top_k: Some(2), ..Sampling::default() })?;
    /// let mut rng = sequence_rng(17, 0);
    /// let choice = sampler.choose(&[0.5, 2.0, -1.0, 1.0], &[0], &[], &mut rng)?;
    /// assert!([1, 3].contains(&choice.token));
    /// # Ok::<(), libellus_text::sampling::SamplingError>(())
    /// ```
    pub fn choose(
        &mut self,
        logits: &[f32],
        prompt: &[u32],
        generated: &[u32],
        rng: &mut impl Rng,
    ) -> Result<Choice, SamplingError> {
        let log_z = log_sum_exp(logits)?;
        let greedy = self.sampling.is_greedy();
        let token = match self.distribution(logits, prompt, generated)? {
            [only] if greedy => only.token,
            distribution => draw(distribution, rng),
        };
        let log_probability = (f64::from(logits[token as usize]) - log_z) as f32;
        Ok(Choice { token, log_probability })
    }

    /// The distribution that [`choose`](Self::choose) draws from, in the order of the ids: the tokens that passed all
    /// filters, with probabilities that sum to 1. A single token at temperature 0.
    ///
    /// # Errors
    /// When a logit is NaN or positive infinity, or all are negative infinity.
    pub fn distribution(
        &mut self,
        logits: &[f32],
        prompt: &[u32],
        generated: &[u32],
    ) -> Result<&[TokenProbability], SamplingError> {
        let Self { sampling, logits: penalised, counts, candidates, places, distribution } = self;
        let keep = sampling.min_tokens_to_keep;
        penalised.clear();
        penalised.extend_from_slice(logits);
        penalise(penalised, prompt, generated, sampling, counts);
        let max = checked_max(penalised)?;
        distribution.clear();
        if sampling.is_greedy() {
            let first = penalised.iter().zip(0..).find(|&(&logit, _)| logit == max);
            distribution.extend(first.map(|(_, token)| TokenProbability { token, probability: 1.0 }));
            return Ok(distribution);
        }
        candidates.clear();
        candidates.extend(penalised.iter().zip(0..).filter_map(|(&logit, token)| {
            // From the largest, so that no temperature, however small, makes it infinite.
            let logit = (f64::from(logit - max) / sampling.temperature) as f32;
            logit.is_finite().then_some(Candidate { token, logit })
        }));
        if let Some(k) = sampling.top_k.filter(|&k| k > 0) {
            filters::top_k(candidates, k, keep, places);
        }
        if let Some(mass) = sampling.top_p.filter(|&mass| mass < 1.0) {
            filters::top_p(candidates, mass, keep, places);
        }
        if let Some(share) = sampling.min_p {
            filters::min_p(candidates, share, keep, places);
        }
        if let Some(mass) = sampling.typical_p.filter(|&mass| mass < 1.0) {
            filters::typical_p(candidates, mass, keep, places);
        }
        distribution.extend(
            candidates.iter().map(|candidate| TokenProbability {
                token: candidate.token,
                probability: candidate.weight(),
            }),
        );
        // In 64 bits, because a vocabulary has 10⁵ terms.
        let total: f64 = distribution.iter().map(|next| f64::from(next.probability)).sum();
        for next in distribution.iter_mut() {
            next.probability = (f64::from(next.probability) / total) as f32;
        }
        Ok(distribution)
    }
}

/// The `n` likeliest tokens of the model's own distribution, likeliest first, of equals the lowest id first.
///
/// Fewer, if the vocabulary has fewer tokens that are possible at all.
///
/// # Errors
/// When a logit is NaN or positive infinity, or all are negative infinity.
pub fn top_log_probabilities(logits: &[f32], n: usize) -> Result<Vec<Choice>, SamplingError> {
    let log_z = log_sum_exp(logits)?;
    let mut choices: Vec<Choice> = logits
        .iter()
        .zip(0..)
        .filter(|&(&logit, _)| logit > f32::NEG_INFINITY)
        .map(|(&logit, token)| Choice { token, log_probability: (f64::from(logit) - log_z) as f32 })
        .collect();
    keep_first(&mut choices, n, |a, b| {
        b.log_probability.total_cmp(&a.log_probability).then(a.token.cmp(&b.token))
    });
    Ok(choices)
}

/// The generator of one sequence of a batch: it depends on the seed and the sequence's index alone, not on the other
/// sequences or when they end.
pub fn sequence_rng(seed: u64, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(index);
    rng
}

/// The logarithm of the sum of the exponentials: what the softmax of these logits divides by.
pub(crate) fn log_sum_exp(logits: &[f32]) -> Result<f64, SamplingError> {
    let max = checked_max(logits)?;
    let sum: f64 = logits.iter().map(|&logit| f64::from((logit - max).exp())).sum();
    Ok(f64::from(max) + sum.ln())
}

/// The `n` first items in this order, sorted.
pub(super) fn keep_first<T>(items: &mut Vec<T>, n: usize, order: impl Fn(&T, &T) -> std::cmp::Ordering) {
    if n < items.len() {
        items.select_nth_unstable_by(n, &order);
        items.truncate(n);
    }
    items.sort_unstable_by(order);
}

/// The largest logit, which is finite.
fn checked_max(logits: &[f32]) -> Result<f32, SamplingError> {
    if let Some(token) = logits.iter().position(|logit| logit.is_nan() || *logit == f32::INFINITY) {
        return Err(SamplingError::NotFinite { token, value: logits[token] });
    }
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if max == f32::NEG_INFINITY {
        return Err(SamplingError::NothingToChoose { vocabulary: logits.len() });
    }
    Ok(max)
}

/// A token at random: the first at which the sum of the probabilities passes a random share of it.
fn draw(distribution: &[TokenProbability], rng: &mut impl Rng) -> u32 {
    let total: f64 = distribution.iter().map(|next| f64::from(next.probability)).sum();
    let mark = rng.random::<f64>() * total;
    let mut sum = 0.0;
    let mut chosen = 0;
    for next in distribution.iter().filter(|next| next.probability > 0.0) {
        chosen = next.token;
        sum += f64::from(next.probability);
        if sum > mark {
            break;
        }
    }
    chosen
}
