//! Texts that belong together, from a table to batches.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Bool, Device, Int, Tensor};
use libellus_data::{Tokenizer, read_table, table_columns};

use super::options::ContrastOptions;
use crate::error::TextError;
use crate::examples::shuffled_batches;
use crate::padded::{encode, padded};

/// An anchor, a text that belongs to it, and perhaps one that doesn't, in tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What others are near to or far from.
    pub anchor: Vec<u32>,
    /// What belongs to it.
    pub positive: Vec<u32>,
    /// What doesn't.
    pub negative: Option<Vec<u32>>,
}

/// Rows of a table.
#[derive(Clone, Debug)]
pub struct Rows {
    all: Arc<[Row]>,
    batch_size: usize,
}

/// Rows side by side; still on the host. Either all have a negative or none has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowBatch(Vec<Row>);

/// Reads a table of rows, of each text at most `longest` tokens.
///
/// # Errors
/// When it can't be read, or has no such columns.
pub(super) fn read(
    options: &ContrastOptions,
    path: &Path,
    tokenizer: &Tokenizer,
    longest: usize,
) -> Result<Vec<Row>, TextError> {
    let name = |given: &Option<String>, default: &str| given.clone().unwrap_or_else(|| default.to_owned());
    let anchor = name(&options.anchor_column, "anchor");
    let positive = name(&options.positive_column, "positive");
    let negative = name(&options.negative_column, "negative");
    let has_negative = options.negative_column.is_some() || table_columns(path)?.contains(&negative);
    let encode = |texts: Vec<String>| {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        encode(&texts, tokenizer, longest)
    };
    let (mut anchors, mut positives, mut negatives) = (Vec::new(), Vec::new(), Vec::new());
    if has_negative {
        for row in read_table(path, [&anchor[..], &positive, &negative])? {
            let [anchor, positive, negative] = row.fields;
            anchors.push(anchor);
            positives.push(positive);
            negatives.push(negative);
        }
    } else {
        for row in read_table(path, [&anchor[..], &positive])? {
            let [anchor, positive] = row.fields;
            anchors.push(anchor);
            positives.push(positive);
        }
    }
    let pairs = encode(anchors)?.into_iter().zip(encode(positives)?);
    let mut negatives = encode(negatives)?.into_iter();
    Ok(pairs.map(|(anchor, positive)| Row { anchor, positive, negative: negatives.next() }).collect())
}

impl Rows {
    pub(super) fn new(rows: Vec<Row>, batch_size: usize) -> Self {
        Self { all: rows.into(), batch_size }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Batches of an epoch. A last one of a single row is left out: it has nothing to be told from.
    pub(super) fn batches_per_epoch(&self) -> u64 {
        let count = self.all.len().div_ceil(self.batch_size);
        let last_is_alone = self.all.len() % self.batch_size == 1 && self.batch_size > 1;
        (count - usize::from(last_is_alone && count > 1)) as u64
    }

    /// The batches of an epoch, in random order: rows of similar lengths together.
    pub(super) fn random(&self, seed: u64, epoch: u64) -> impl Iterator<Item = RowBatch> + Send + use<> {
        let lengths: Vec<usize> = self.all.iter().map(|row| row.anchor.len() + row.positive.len()).collect();
        let all = Arc::clone(&self.all);
        let mut batches = shuffled_batches(&lengths, self.batch_size, seed, epoch);
        if batches.len() as u64 > self.batches_per_epoch() {
            batches.retain(|rows| rows.len() > 1);
        }
        batches.into_iter().map(move |rows| RowBatch(rows.into_iter().map(|row| all[row].clone()).collect()))
    }

    /// The batches of all rows in their order.
    pub(super) fn in_order(&self) -> impl Iterator<Item = RowBatch> {
        self.all.chunks(self.batch_size).map(|rows| RowBatch(rows.to_vec()))
    }
}

impl RowBatch {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its anchors, positives, and negatives if there are any: tokens, `[B, T]`, and what of them is no padding.
    pub(super) fn to_device(&self, device: &Device) -> Vec<(Tensor<2, Int>, Tensor<2, Bool>)> {
        let anchors: Vec<&[u32]> = self.0.iter().map(|row| &row.anchor[..]).collect();
        let positives = self.0.iter().map(|row| &row.positive[..]).collect();
        let negatives: Vec<&[u32]> = self.0.iter().filter_map(|row| row.negative.as_deref()).collect();
        let mut columns = vec![anchors, positives];
        if !negatives.is_empty() {
            columns.push(negatives);
        }
        columns.iter().map(|texts| padded(texts, device)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_row_that_is_alone_is_left_out() {
        let row = |id: u32| Row { anchor: vec![id; 1 + id as usize % 3], positive: vec![id], negative: None };
        let rows = |count: u32| Rows::new((0..count).map(row).collect(), 4);
        for (count, batches) in [(8, 2), (9, 2), (10, 3), (1, 1)] {
            let rows = rows(count);
            assert_eq!(rows.batches_per_epoch(), batches);
            assert_eq!(rows.random(3, 0).count() as u64, batches);
            assert!(count == 1 || rows.random(3, 0).all(|batch| batch.len() > 1));
            assert_eq!(rows.in_order().map(|batch| batch.len()).sum::<usize>(), count as usize);
        }
    }
}
