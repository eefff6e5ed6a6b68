//! BLEU: how much of a translation stands in reference translations.
//!
//! Papineni et al. 2002, *BLEU: a Method for Automatic Evaluation of Machine Translation*; Post 2018, *A Call for Clarity
//! in Reporting BLEU Scores*, arXiv:1804.08771. Reference: sacreBLEU 2 with its default settings (order 4, exponential
//! smoothing), whose numbers these are.

#[cfg(test)]
mod tests;
mod tokenize;

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use tokenize::BleuTokenizer;
use tokenize::{trim_end, words};

/// The longest n-grams that are counted.
const ORDER: usize = 4;

/// BLEU of a corpus: counts over all its segments, divided once.
///
/// ```
/// use libellus_text::translate::bleu::{Bleu, BleuOptions};
///
/// let mut bleu = Bleu::new(BleuOptions::default());
/// bleu.add("The cat sat on the mat.", &["The cat sat on a mat."]);
/// bleu.add("It was raining, again.", &["It rained again.", "It was raining again."]);
/// assert_eq!(
///     bleu.finish().to_string(),
///     "BLEU = 40.02 84.6/63.6/33.3/14.3 (BP = 1.000 ratio = 1.083 hyp_len = 13 ref_len = 12)"
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Bleu {
    options: BleuOptions,
    counts: Counts,
}

/// How segments are read. The default is sacreBLEU's: `13a`, with case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BleuOptions {
    /// What makes tokens of a segment.
    pub tokenizer: BleuTokenizer,
    /// Whether upper and lower case are the same.
    pub lowercase: bool,
}

/// What [`Bleu`] found. Its `Display` is sacreBLEU's line; the precision of the format (two digits unless it is given) is
/// that of the score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BleuScore {
    /// The score in percent, from 0 to 100.
    pub score: f64,
    /// The share of the n-grams that stand in a reference, for n from 1 to 4, in percent. Where no n-gram does, what
    /// smoothing puts in its place; where there is none, 0.
    pub precisions: [f64; ORDER],
    /// What the score is multiplied by because hypotheses are too short, in `[0, 1]`.
    pub brevity_penalty: f64,
    /// Tokens of the hypotheses.
    pub hypothesis_length: usize,
    /// Tokens of the references; of several, of the one whose length is nearest.
    pub reference_length: usize,
}

/// What a score is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    /// n-grams of the hypotheses that stand in a reference, each at most as often as there.
    matches: [usize; ORDER],
    /// n-grams of the hypotheses.
    totals: [usize; ORDER],
    hypothesis_length: usize,
    reference_length: usize,
}

/// Over which n the precisions are averaged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Orders {
    /// 1 to 4.
    All,
    /// Up to the longest n-grams that there are.
    Effective,
}

impl Bleu {
    /// Of no segments yet.
    pub fn new(options: BleuOptions) -> Self {
        Self { options, counts: Counts::default() }
    }

    /// Counts a segment in. An n-gram counts as found as often as it stands in the reference that has it most often.
    ///
    /// # Panics
    /// If there is no reference.
    pub fn add<R: AsRef<str>>(&mut self, hypothesis: &str, references: &[R]) {
        assert!(!references.is_empty(), "a hypothesis without references");
        let hypothesis = self.options.prepare(hypothesis);
        let references: Vec<_> = references.iter().map(|text| self.options.prepare(text.as_ref())).collect();
        let hypothesis: Vec<_> = words(&hypothesis).collect();
        let references: Vec<Vec<_>> = references.iter().map(|text| words(text).collect()).collect();

        let length = hypothesis.len();
        let nearest = references.iter().map(Vec::len).min_by_key(|&other| (other.abs_diff(length), other));
        self.counts.hypothesis_length += length;
        self.counts.reference_length += nearest.unwrap_or(0);
        for order in 1..=ORDER {
            let mut known = HashMap::new();
            for reference in &references {
                for (ngram, count) in ngrams(reference, order) {
                    let most = known.entry(ngram).or_default();
                    *most = count.max(*most);
                }
            }
            let found = ngrams(&hypothesis, order);
            let matches = found.iter().map(|(ngram, &count)| count.min(*known.get(ngram).unwrap_or(&0)));
            self.counts.matches[order - 1] += matches.sum::<usize>();
            self.counts.totals[order - 1] += found.values().sum::<usize>();
        }
    }

    /// The score of all segments so far.
    pub fn finish(&self) -> BleuScore {
        self.counts.score(Orders::All)
    }
}

/// BLEU of one segment, as sacreBLEU's `sentence_bleu` has it: n-grams longer than the hypothesis are left out of the mean.
///
/// # Panics
/// If there is no reference.
pub fn sentence_bleu<R: AsRef<str>>(hypothesis: &str, references: &[R], options: BleuOptions) -> BleuScore {
    let mut bleu = Bleu::new(options);
    bleu.add(hypothesis, references);
    bleu.counts.score(Orders::Effective)
}

impl BleuOptions {
    /// A segment whose tokens are separated by white space.
    fn prepare(&self, segment: &str) -> String {
        match self.lowercase {
            true => self.tokenizer.tokenize(trim_end(&segment.to_lowercase())),
            false => self.tokenizer.tokenize(trim_end(segment)),
        }
    }
}

/// How often each n-gram stands among `words`.
fn ngrams<'a>(words: &'a [&'a str], order: usize) -> HashMap<&'a [&'a str], usize> {
    let mut counts = HashMap::new();
    for ngram in words.windows(order) {
        *counts.entry(ngram).or_default() += 1;
    }
    counts
}

impl Counts {
    fn score(&self, orders: Orders) -> BleuScore {
        let (hypothesis, reference) = (self.hypothesis_length as f64, self.reference_length as f64);
        let brevity_penalty = match self.hypothesis_length {
            length if length >= self.reference_length => 1.0,
            0 => 0.0,
            _ => (1.0 - reference / hypothesis).exp(),
        };
        let precisions = self.precisions();
        let averaged = match orders {
            Orders::All => ORDER,
            Orders::Effective => self.totals.iter().take_while(|total| **total > 0).count().max(1),
        };
        // A precision of zero makes the logarithm negative infinity, and the score zero.
        let sum: f64 = precisions[..averaged].iter().map(|precision| precision.ln()).sum();
        BleuScore {
            score: brevity_penalty * (sum / averaged as f64).exp(),
            precisions,
            brevity_penalty,
            hypothesis_length: self.hypothesis_length,
            reference_length: self.reference_length,
        }
    }

    /// In percent. Of the orders of which nothing was found, the first counts as if half an n-gram had been, the next a
    /// quarter, and so on; without any match at all, nothing is smoothed.
    fn precisions(&self) -> [f64; ORDER] {
        let mut precisions = [0.0; ORDER];
        if self.matches == [0; ORDER] {
            return precisions;
        }
        let mut share = 1.0;
        let counts = self.matches.iter().zip(&self.totals);
        for (precision, (&matches, &total)) in
            precisions.iter_mut().zip(counts).filter(|(_, (_, total))| **total > 0)
        {
            *precision = match matches {
                0 => {
                    share *= 2.0;
                    100.0 / (share * total as f64)
                }
                _ => 100.0 * matches as f64 / total as f64,
            };
        }
        precisions
    }
}

impl fmt::Display for BleuScore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            score,
            precisions: [p1, p2, p3, p4],
            brevity_penalty,
            hypothesis_length,
            reference_length,
        } = self;
        let digits = formatter.precision().unwrap_or(2);
        let ratio = match reference_length {
            0 => 0.0,
            _ => *hypothesis_length as f64 / *reference_length as f64,
        };
        write!(formatter, "BLEU = {score:.digits$} {p1:.1}/{p2:.1}/{p3:.1}/{p4:.1} ")?;
        write!(formatter, "(BP = {brevity_penalty:.3} ratio = {ratio:.3} ")?;
        write!(formatter, "hyp_len = {hypothesis_length} ref_len = {reference_length})")
    }
}
