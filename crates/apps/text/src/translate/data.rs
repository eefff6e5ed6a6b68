//! Pairs as a model learns them: from tokens to batches on the device.

use std::sync::Arc;

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use libellus_models::TransformerInput;

use super::pairs::Pair;
use super::vocabulary::{BEGIN, PAD, Vocabulary};
use crate::error::TextError;
use crate::examples::shuffled_batches;

/// A source and one of its translations, in tokens; both end with the mark of the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPair {
    /// The source's tokens.
    pub source: Vec<u32>,
    /// The translation's tokens.
    pub target: Vec<u32>,
}

/// Pairs side by side, filled up to the same lengths; still on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairBatch {
    /// `[B, S]` in row-major order.
    pub sources: Vec<i32>,
    /// `[B, T]`: the mark of the beginning, and the translations without their ends.
    pub inputs: Vec<i32>,
    /// What follows each of `inputs` that is no padding.
    pub targets: Vec<i32>,
    /// Which of `inputs` are no padding.
    pub learnt: Vec<i32>,
    /// `[B, S, T]`.
    pub shape: [usize; 3],
}

/// Pairs in tokens.
#[derive(Clone, Debug)]
pub struct TokenPairs {
    all: Arc<[TokenPair]>,
    batch_size: usize,
}

impl TokenPairs {
    /// Each pair with each of its translations, and how many were left out, one side of which has more than `longest` tokens.
    ///
    /// # Errors
    /// When a tokenizer doesn't know a character.
    pub(super) fn new(
        pairs: &[Pair],
        vocabulary: &Vocabulary,
        longest: usize,
        batch_size: usize,
    ) -> Result<(Self, usize), TextError> {
        let mut all = Vec::new();
        let mut left_out = 0;
        for pair in pairs {
            let source = vocabulary.encode_source(&pair.source)?;
            for target in &pair.targets {
                let target = vocabulary.encode_target(target)?;
                if source.len().max(target.len()) > longest {
                    left_out += 1;
                } else {
                    all.push(TokenPair { source: source.clone(), target });
                }
            }
        }
        Ok((Self { all: all.into(), batch_size }, left_out))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn batches_per_epoch(&self) -> u64 {
        self.all.len().div_ceil(self.batch_size) as u64
    }

    /// The batches of an epoch: pairs of similar lengths together, otherwise in random order.
    pub(super) fn random(&self, seed: u64, epoch: u64) -> impl Iterator<Item = PairBatch> + Send + use<> {
        let lengths: Vec<usize> = self.all.iter().map(|pair| pair.source.len() + pair.target.len()).collect();
        let all = Arc::clone(&self.all);
        shuffled_batches(&lengths, self.batch_size, seed, epoch)
            .into_iter()
            .map(move |rows| PairBatch::new(rows.iter().map(|&row| &all[row])))
    }

    /// The batches of all pairs, the shortest first.
    pub(super) fn in_order(&self) -> impl Iterator<Item = PairBatch> {
        let mut rows: Vec<&TokenPair> = self.all.iter().collect();
        rows.sort_by_key(|pair| pair.source.len() + pair.target.len());
        let batches: Vec<Vec<&TokenPair>> = rows.chunks(self.batch_size).map(<[_]>::to_vec).collect();
        batches.into_iter().map(|rows| PairBatch::new(rows.into_iter()))
    }
}

impl PairBatch {
    /// # Panics
    /// When there are no pairs.
    pub(super) fn new<'a>(pairs: impl Iterator<Item = &'a TokenPair> + Clone) -> Self {
        let longest = |length: fn(&TokenPair) -> usize| pairs.clone().map(length).max().unwrap_or(0);
        let [source_length, target_length] =
            [longest(|pair| pair.source.len()), longest(|pair| pair.target.len())];
        let (mut sources, mut inputs, mut targets, mut learnt) = (vec![], vec![], vec![], vec![]);
        let mut rows = 0;
        for TokenPair { source, target } in pairs {
            let start = rows * target_length;
            sources.extend(source.iter().map(|&id| id as i32));
            inputs.push(BEGIN as i32);
            inputs.extend(target[..target.len() - 1].iter().map(|&id| id as i32));
            targets.extend(target.iter().map(|&id| id as i32));
            learnt.extend((start..start + target.len()).map(|place| place as i32));
            rows += 1;
            sources.resize(rows * source_length, PAD as i32);
            inputs.resize(rows * target_length, PAD as i32);
        }
        assert!(rows > 0, "a batch has at least one pair");
        Self { sources, inputs, targets, learnt, shape: [rows, source_length, target_length] }
    }

    /// Brings it to the device: what the model reads; which of its logits count, `[N]`, and what they should say, `[N]`.
    pub fn to_device(self, device: &Device) -> (TransformerInput, Tensor<1, Int>, Tensor<1, Int>) {
        let [rows, source_length, target_length] = self.shape;
        let count = self.targets.len();
        let source =
            Tensor::<2, Int>::from_data(TensorData::new(self.sources, [rows, source_length]), device);
        let input = TransformerInput {
            source_mask: Some(is_token(source.clone())),
            source,
            target: Tensor::from_data(TensorData::new(self.inputs, [rows, target_length]), device),
            // Padding of the target stands behind its tokens, where none of them sees it.
            target_mask: None,
        };
        let learnt = Tensor::from_data(TensorData::new(self.learnt, [count]), device);
        (input, learnt, Tensor::from_data(TensorData::new(self.targets, [count]), device))
    }
}

/// True for tokens and false for padding.
pub(super) fn is_token(tokens: Tensor<2, Int>) -> Tensor<2, Bool> {
    tokens.not_equal_elem(PAD as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_filled_up_and_the_ends_are_learnt() {
        let pairs = [
            TokenPair { source: vec![5, 6, 2], target: vec![8, 2] },
            TokenPair { source: vec![7, 2], target: vec![9, 8, 2] },
        ];
        let batch = PairBatch::new(pairs.iter());
        assert_eq!(batch.shape, [2, 3, 3]);
        assert_eq!(batch.sources, [5, 6, 2, 7, 2, 0]);
        assert_eq!(batch.inputs, [1, 8, 0, 1, 9, 8]);
        assert_eq!(batch.targets, [8, 2, 9, 8, 2]);
        assert_eq!(batch.learnt, [0, 1, 3, 4, 5]);
    }
}
