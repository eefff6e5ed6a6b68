//! Error rates by edit distance: of words, phonemes or other tokens.
//!
//! Levenshtein 1966, *Binary Codes Capable of Correcting Deletions, Insertions, and Reversals*. The rate is errors by
//! tokens of the references, summed over all sequences before they are divided, so that it may exceed 1.
//!
//! For words, it is the word error rate of speech recognition. For grapheme-to-phoneme conversion, [`ErrorRate::rate`] over
//! phonemes is the phoneme error rate, and [`ErrorRate::wrong_share`], the share of words whose phonemes aren't all right,
//! is what that field calls the word error rate.

#[cfg(test)]
mod tests;

use serde::Serialize;

/// Errors over sequences, divided once.
///
/// ```
/// use libellus_text::translate::wer::ErrorRate;
///
/// let mut phonemes = ErrorRate::default();
/// phonemes.add(&["t", "ə", "m", "eɪ", "t", "oʊ"], &[["t", "ə", "m", "ɑː", "t", "əʊ"], ["t", "ə", "m", "eɪ", "t", "oʊ"]]);
/// phonemes.add(&["k", "æ"], &[["k", "æ", "t"]]);
/// assert_eq!(phonemes.rate(), 1.0 / 9.0);
/// assert_eq!(phonemes.wrong_share(), 0.5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ErrorRate {
    /// All errors.
    pub edits: Edits,
    /// Tokens of the references.
    pub reference_length: usize,
    /// Sequences that were added.
    pub sequences: usize,
    /// Sequences that are not exactly a reference.
    pub wrong: usize,
}

/// What has to be done to a reference to get a hypothesis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Edits {
    /// Tokens that stand in place of another one.
    pub substitutions: usize,
    /// Tokens of the hypothesis that are too many.
    pub insertions: usize,
    /// Tokens of the reference that are left out.
    pub deletions: usize,
}

impl ErrorRate {
    /// Counts a sequence in. Of several references the one with the fewest edits counts, of those the first.
    ///
    /// # Panics
    /// If there is no reference.
    pub fn add<T: PartialEq, R: AsRef<[T]>>(&mut self, hypothesis: &[T], references: &[R]) {
        let edits = references.iter().map(|reference| {
            let reference = reference.as_ref();
            (edits(hypothesis, reference), reference.len())
        });
        let (edits, length) =
            edits.min_by_key(|(edits, _)| edits.total()).expect("a hypothesis without references");
        self.edits.substitutions += edits.substitutions;
        self.edits.insertions += edits.insertions;
        self.edits.deletions += edits.deletions;
        self.reference_length += length;
        self.sequences += 1;
        self.wrong += usize::from(edits.total() > 0);
    }

    /// Errors by tokens of the references: the word, phoneme or token error rate. Infinite if there are errors but no tokens.
    pub fn rate(&self) -> f64 {
        match self.edits.total() {
            0 => 0.0,
            errors => errors as f64 / self.reference_length as f64,
        }
    }

    /// The share of sequences that are not exactly a reference, in `[0, 1]`; 0 if there are none.
    pub fn wrong_share(&self) -> f64 {
        self.wrong as f64 / self.sequences.max(1) as f64
    }
}

impl Edits {
    /// The edit distance.
    pub fn total(&self) -> usize {
        self.substitutions + self.insertions + self.deletions
    }
}

/// The fewest edits that make `hypothesis` of `reference`. Where an insertion and a deletion could as well be two
/// substitutions, they are.
pub fn edits<T: PartialEq>(hypothesis: &[T], reference: &[T]) -> Edits {
    // Edits, and how many of them are insertions or deletions, of the first tokens of `hypothesis` with the first `i` of
    // `reference`.
    let mut costs: Vec<(usize, usize)> =
        (0..=reference.len()).map(|deletions| (deletions, deletions)).collect();
    let shifted = |(total, shifts): (usize, usize)| (total + 1, shifts + 1);
    for (row, token) in (1..).zip(hypothesis) {
        let mut diagonal = std::mem::replace(&mut costs[0], (row, row));
        for (index, expected) in (1..).zip(reference) {
            let matched = (diagonal.0 + usize::from(token != expected), diagonal.1);
            diagonal = costs[index];
            costs[index] = matched.min(shifted(costs[index - 1])).min(shifted(diagonal));
        }
    }
    let (total, shifts) = costs[reference.len()];
    // Insertions exceed deletions by as much as the hypothesis exceeds the reference.
    let insertions = (shifts + hypothesis.len() - reference.len()) / 2;
    Edits { substitutions: total - shifts, insertions, deletions: shifts - insertions }
}
