//! Beam search.
//!
//! The length penalty is a power of the length, a simple form of that of Wu et al. 2016, arXiv:1609.08144, section 7.
//!
//! Reference implementation: `GenerationMixin._beam_search` of `transformers` 5.24, without sampling, for one prompt.

use serde::{Deserialize, Serialize};

use super::error::{SamplingError, check};
use super::options::Sampling;
use super::penalties::penalise;
use super::sampler::{keep_first, log_sum_exp};

/// How the likeliest sequences are searched for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BeamSearch {
    /// Sequences that are continued side by side, at least 2.
    pub num_beams: usize,
    /// Sequences in the result, from 1 to `num_beams`.
    pub num_return: usize,
    /// A sequence's score is the sum of its log-probabilities, divided by its length in tokens to this power. Since the
    /// sum is negative, more favours longer sequences; at 0 the likeliest wins. Finite.
    pub length_penalty: f64,
    /// When to stop.
    pub early_stopping: EarlyStopping,
}

/// When a beam search stops, of the times at which `num_beams` sequences have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EarlyStopping {
    /// When the best running sequence, at its present length, scores no better than the worst that has ended: a good
    /// guess that nothing better will come (`False` in `transformers`).
    #[default]
    Heuristic,
    /// At once (`True` in `transformers`).
    WhenFull,
    /// When the best running sequence can't come to score better than the worst that has ended, at whatever length
    /// (`"never"` in `transformers`).
    Never,
}

/// A beam search for one prompt, apart from the model.
///
/// In turn, the model gives the logits of the next token of each running sequence, and [`advance`](Self::advance) says
/// how the sequences go on:
///
/// ```
/// use libellus_text::sampling::{BeamSearch, Beams, Sampling};
///
/// // A model in which token 1 follows token 0, which 2, the end, follows.
/// let model = |last: u32| (0..3).map(move |next| if next == last + 1 { 3.0 } else { 0.0 });
/// let search = BeamSearch { num_beams: 2, ..BeamSearch::default() };
/// let mut beams = Beams::new(search, Sampling::greedy(), &[0], &[2], 5)?;
/// let mut last = vec![0];
/// loop {
///     let logits: Vec<f32> = last.iter().flat_map(|&last| model(last)).collect();
///     let Some(step) = beams.advance(&logits)? else { break };
///     // Here, the model's caches would be reordered by `step.parents`.
///     last = step.tokens;
/// }
/// assert_eq!(beams.finish()[0].tokens, [1, 2]);
/// # Ok::<(), libellus_text::sampling::SamplingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Beams {
    search: BeamSearch,
    sampling: Sampling,
    prompt: Vec<u32>,
    end_tokens: Vec<u32>,
    max_new_tokens: usize,
    /// Best first. `score` is the sum of log-probabilities; minus infinity for one that is there to fill the batch.
    running: Vec<Hypothesis>,
    /// At most `num_beams`, best first.
    ended: Vec<Hypothesis>,
    counts: Vec<u32>,
}

/// A sequence that beam search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// The generated tokens, with the end token if there was one.
    pub tokens: Vec<u32>,
    /// The sum of the log-probabilities (natural logarithm), divided by a power of the length, see
    /// [`BeamSearch::length_penalty`].
    pub score: f32,
}

/// How the running sequences go on, one entry each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The row of the logits that the sequence continues: caches are gathered by it.
    pub parents: Vec<usize>,
    /// The token that was added: the model's next input.
    pub tokens: Vec<u32>,
}

impl Default for BeamSearch {
    fn default() -> Self {
        Self { num_beams: 4, num_return: 1, length_penalty: 1.0, early_stopping: EarlyStopping::Heuristic }
    }
}

impl BeamSearch {
    /// Looks for options out of range, and for such that contradict each other or `sampling`, whose penalties can go
    /// with beams, but not its temperature.
    ///
    /// # Errors
    /// [`SamplingError::Option`] with the first one found.
    pub fn validate(&self, sampling: &Sampling) -> Result<(), SamplingError> {
        let &Self { num_beams, num_return, length_penalty, early_stopping: _ } = self;
        sampling.validate()?;
        check(num_beams >= 2, "beams", num_beams, "must be at least 2; one beam is --temperature 0")?;
        check(num_return >= 1, "n", num_return, "must be at least 1")?;
        check(num_return <= num_beams, "n", num_return, format!("must be at most --beams {num_beams}"))?;
        check(length_penalty.is_finite(), "length-penalty", length_penalty, "must be finite")?;
        check(
            sampling.is_greedy(),
            "beams",
            num_beams,
            format!("needs --temperature 0 instead of {}: beams are not drawn", sampling.temperature),
        )
    }
}

impl Beams {
    /// A search for what follows `prompt`, up to one of the `end_tokens` or until `max_new_tokens` were generated.
    ///
    /// # Errors
    /// What [`BeamSearch::validate`] finds, and when `max_new_tokens` is 0.
    pub fn new(
        search: BeamSearch,
        sampling: Sampling,
        prompt: &[u32],
        end_tokens: &[u32],
        max_new_tokens: usize,
    ) -> Result<Self, SamplingError> {
        search.validate(&sampling)?;
        check(max_new_tokens >= 1, "max-tokens", 0, "must be at least 1")?;
        Ok(Self {
            search,
            sampling,
            prompt: prompt.to_vec(),
            end_tokens: end_tokens.to_vec(),
            max_new_tokens,
            running: vec![Hypothesis { tokens: Vec::new(), score: 0.0 }],
            ended: Vec::new(),
            counts: Vec::new(),
        })
    }

    /// Rows of logits that the next step needs: 1 at first, since all beams begin as the prompt, `num_beams` after
    /// that, 0 when the search is over.
    pub fn rows(&self) -> usize {
        self.running.len()
    }

    /// Takes the logits of the next token, `[rows, vocabulary]` in row-major order, and gives the next sequences, or
    /// `None` when the search is over.
    ///
    /// # Errors
    /// When a logit is NaN or positive infinity, or a whole row is negative infinity.
    ///
    /// # Panics
    /// When the length of `logits` is not a multiple of [`rows`](Self::rows).
    pub fn advance(&mut self, logits: &[f32]) -> Result<Option<Step>, SamplingError> {
        self.advance_until(logits, |_| false)
    }

    /// As [`advance`](Self::advance), with a further reason for a sequence to end: `stops` is asked about the generated
    /// tokens of each that may be continued.
    ///
    /// # Errors
    /// As `advance`.
    ///
    /// # Panics
    /// As `advance`.
    pub fn advance_until(
        &mut self,
        logits: &[f32],
        mut stops: impl FnMut(&[u32]) -> bool,
    ) -> Result<Option<Step>, SamplingError> {
        let rows = self.rows();
        if rows == 0 {
            return Ok(None);
        }
        assert!(logits.len().is_multiple_of(rows), "{} logits are no {rows} rows", logits.len());
        let length = self.running[0].tokens.len() + 1;
        let num_beams = self.search.num_beams;
        let mut running = Vec::with_capacity(num_beams);
        let mut step = Step { parents: Vec::new(), tokens: Vec::new() };
        for (rank, Extension { parent, token, score }) in self.extensions(logits)?.into_iter().enumerate() {
            let mut tokens = Vec::with_capacity(length);
            tokens.extend_from_slice(&self.running[parent].tokens);
            tokens.push(token);
            if length == self.max_new_tokens || self.end_tokens.contains(&token) || stops(&tokens) {
                // The others are there only so that enough sequences are left to run.
                if rank < num_beams {
                    self.end(Hypothesis { tokens, score });
                }
            } else if running.len() < num_beams {
                running.push(Hypothesis { tokens, score });
                step.parents.push(parent);
                step.tokens.push(token);
            }
        }
        self.running = running;
        if self.is_over() {
            self.running.clear();
            return Ok(None);
        }
        while self.running.len() < num_beams {
            self.running.push(Hypothesis { score: f32::NEG_INFINITY, ..self.running[0].clone() });
            step.parents.push(step.parents[0]);
            step.tokens.push(step.tokens[0]);
        }
        Ok(Some(step))
    }

    /// The best sequences, `num_return` or, if so many don't exist, fewer; best first.
    ///
    /// When the search is not over yet, the running sequences count as if they had ended.
    pub fn finish(mut self) -> Vec<Hypothesis> {
        for hypothesis in std::mem::take(&mut self.running) {
            if hypothesis.score > f32::NEG_INFINITY && !hypothesis.tokens.is_empty() {
                self.end(hypothesis);
            }
        }
        self.ended.truncate(self.search.num_return);
        self.ended
    }

    /// The best continuations of all running sequences, best first: so many that `num_beams` don't end here, even if
    /// each sequence can end in any end token.
    fn extensions(&mut self, logits: &[f32]) -> Result<Vec<Extension>, SamplingError> {
        let count = self.search.num_beams * (1 + self.end_tokens.len()).max(2);
        let order = |a: &Extension, b: &Extension| {
            b.score.total_cmp(&a.score).then(a.parent.cmp(&b.parent)).then(a.token.cmp(&b.token))
        };
        let mut best = Vec::new();
        let rows = logits.chunks_exact(logits.len() / self.rows());
        for (parent, (row, hypothesis)) in rows.zip(&self.running).enumerate() {
            if hypothesis.score == f32::NEG_INFINITY {
                continue;
            }
            let log_z = log_sum_exp(row)?;
            let mut log_probabilities: Vec<f32> =
                row.iter().map(|&logit| (f64::from(logit) - log_z) as f32).collect();
            penalise(
                &mut log_probabilities,
                &self.prompt,
                &hypothesis.tokens,
                &self.sampling,
                &mut self.counts,
            );
            let mut extensions: Vec<Extension> = log_probabilities
                .iter()
                .zip(0..)
                .map(|(&next, token)| Extension { parent, token, score: hypothesis.score + next })
                .filter(|extension| extension.score > f32::NEG_INFINITY)
                .collect();
            keep_first(&mut extensions, count, order);
            best.extend(extensions);
        }
        keep_first(&mut best, count, order);
        Ok(best)
    }

    /// Puts a sequence among those that have ended, if it is one of the best.
    fn end(&mut self, Hypothesis { tokens, score }: Hypothesis) {
        let score = score / self.norm(tokens.len());
        let place = self.ended.partition_point(|ended| ended.score >= score);
        self.ended.insert(place, Hypothesis { tokens, score });
        self.ended.truncate(self.search.num_beams);
    }

    fn is_over(&self) -> bool {
        let Some(best) = self.running.first() else {
            return true;
        };
        let Some(worst) = self.ended.last().filter(|_| self.ended.len() == self.search.num_beams) else {
            return false;
        };
        let length = match self.search.early_stopping {
            EarlyStopping::WhenFull => return true,
            EarlyStopping::Never if self.search.length_penalty > 0.0 => self.max_new_tokens,
            EarlyStopping::Never | EarlyStopping::Heuristic => best.tokens.len(),
        };
        best.score / self.norm(length) <= worst.score
    }

    /// What divides the sum of the log-probabilities of a sequence of this length.
    fn norm(&self, length: usize) -> f32 {
        (length as f64).powf(self.search.length_penalty) as f32
    }
}

/// A running sequence with a further token.
#[derive(Clone, Copy, Debug)]
struct Extension {
    parent: usize,
    token: u32,
    /// The sum of the log-probabilities.
    score: f32,
}
