//! Labelled texts, from a table to batches on the device.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Bool, Device, Int, Tensor};
use libellus_data::{Tokenizer, read_table};

use crate::error::TextError;
use crate::examples::shuffled_batches;
use crate::padded::{encode, padded};

/// A text and the name of its class, as they stand in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Labelled {
    pub(super) text: String,
    pub(super) class: String,
}

/// Reads a table with a column of texts and one of classes.
///
/// # Errors
/// When it can't be read, or has no such columns.
pub(super) fn read(path: &Path, columns: [&str; 2]) -> Result<Vec<Labelled>, TextError> {
    let rows = read_table(path, columns)?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let [text, class] = row.fields;
            Labelled { text, class }
        })
        .collect())
}

/// The names of the classes, in order.
pub(super) fn classes(texts: &[Labelled]) -> Vec<String> {
    let names: BTreeSet<&str> = texts.iter().map(|labelled| labelled.class.as_str()).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// Texts in tokens, with their classes.
#[derive(Clone, Debug)]
pub struct LabelledTexts {
    /// Tokens and class of each text.
    all: Arc<[(Vec<u32>, usize)]>,
    batch_size: usize,
}

/// Texts that are read together; still on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextBatch {
    /// The tokens of each text.
    pub tokens: Vec<Vec<u32>>,
    /// The class of each text.
    pub labels: Vec<usize>,
}

impl LabelledTexts {
    /// Tokenises texts, of each at most `longest` tokens.
    ///
    /// # Errors
    /// When the tokenizer doesn't know a character, or a class is none of `classes`; `path` is for messages.
    pub(super) fn new(
        texts: &[Labelled],
        classes: &[String],
        tokenizer: &Tokenizer,
        longest: usize,
        batch_size: usize,
        path: &Path,
    ) -> Result<Self, TextError> {
        let rows: Vec<&str> = texts.iter().map(|labelled| labelled.text.as_str()).collect();
        let tokens = encode(&rows, tokenizer, longest)?;
        let all = tokens.into_iter().zip(texts).map(|(tokens, labelled)| {
            let label = classes.binary_search(&labelled.class).map_err(|_| TextError::UnknownClass {
                path: path.to_path_buf(),
                class: labelled.class.clone(),
                classes: classes.to_vec(),
            })?;
            Ok((tokens, label))
        });
        Ok(Self { all: all.collect::<Result<_, TextError>>()?, batch_size })
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

    /// The batches of an epoch: texts of similar lengths together, otherwise in random order.
    pub(super) fn random(&self, seed: u64, epoch: u64) -> impl Iterator<Item = TextBatch> + Send + use<> {
        let lengths: Vec<usize> = self.all.iter().map(|(tokens, _)| tokens.len()).collect();
        let all = Arc::clone(&self.all);
        shuffled_batches(&lengths, self.batch_size, seed, epoch)
            .into_iter()
            .map(move |rows| TextBatch::new(rows.iter().map(|&row| &all[row])))
    }

    /// The batches of all texts in their order.
    pub(super) fn in_order(&self) -> impl Iterator<Item = TextBatch> {
        self.all.chunks(self.batch_size).map(|rows| TextBatch::new(rows.iter()))
    }
}

impl TextBatch {
    pub(super) fn new<'a>(texts: impl Iterator<Item = &'a (Vec<u32>, usize)>) -> Self {
        let (tokens, labels) = texts.cloned().unzip();
        Self { tokens, labels }
    }

    /// Brings it to the device: tokens, `[B, T]`, what of them is no padding, and the classes, `[B]`.
    pub fn to_device(self, device: &Device) -> (Tensor<2, Int>, Tensor<2, Bool>, Tensor<1, Int>) {
        let rows: Vec<&[u32]> = self.tokens.iter().map(Vec::as_slice).collect();
        let (tokens, mask) = padded(&rows, device);
        let labels: Vec<i32> = self.labels.iter().map(|&label| label as i32).collect();
        (tokens, mask, Tensor::from_data(labels.as_slice(), device))
    }
}
