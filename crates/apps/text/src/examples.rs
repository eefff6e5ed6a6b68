//! Prompts with their completions; [conversations](crate::conversations) become such too.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use libellus_data::{TextError as CorpusError, Tokenizer, read_table, sample_rng};
use rand::seq::SliceRandom;

use crate::data::TokenBatch;
use crate::error::TextError;

/// Batches whose examples are sorted by length before they are cut: the more, the less padding and the less chance.
const POOL: usize = 32;

/// Prompts with their completions, or conversations with their answers, of which only those are learnt.
#[derive(Clone, Debug)]
pub struct Examples {
    all: Arc<[Example]>,
    batch_size: usize,
}

/// A prompt and its completion, or a conversation, in tokens and as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Example {
    /// The prompt, the completion and the mark that ends a text, if the tokenizer has one; or a conversation in the form of its template.
    pub tokens: Vec<u32>,
    /// Which of `tokens` are learnt: the completion, or each answer.
    pub learnt: Vec<Range<usize>>,
    /// The prompt as text; of a conversation, all before its last answer.
    pub prompt: String,
    /// The completion as text; of a conversation, its last answer.
    pub completion: String,
}

/// Examples as they were read from a file.
#[derive(Clone, Debug)]
pub(crate) struct ReadExamples {
    pub(crate) examples: Vec<Example>,
    /// How many were too long, and lost their end.
    pub(crate) cut: usize,
    /// How many were left out, since nothing that is learnt would have remained.
    pub(crate) left_out: usize,
    /// Answers of conversations that are not learnt.
    pub(crate) unlearnt: usize,
}

/// Reads a table of prompts and completions, each of which keeps at most `length` tokens.
///
/// # Errors
/// When the table can't be read, a text can't be tokenised, or no example remains.
pub(crate) fn read_examples(
    path: &Path,
    columns: [&str; 2],
    tokenizer: &Tokenizer,
    length: usize,
) -> Result<ReadExamples, TextError> {
    let examples = read_table(path, columns)?.into_iter().map(|row| {
        let [prompt, completion] = row.fields;
        example(prompt, completion, tokenizer).map_err(|error| in_line(path, row.line, error))
    });
    ReadExamples::collect(examples, path, length)
}

fn example(prompt: String, completion: String, tokenizer: &Tokenizer) -> Result<Example, CorpusError> {
    let begin = tokenizer.begin_of_text();
    let mut tokens = [begin, &tokenizer.encode(&format!("{prompt}{completion}"))?].concat();
    tokens.extend(tokenizer.end_of_text());
    let learnt = begin.len() + tokenizer.encode(&prompt)?.len()..tokens.len();
    Ok(Example { tokens, learnt: vec![learnt], prompt, completion })
}

/// What is wrong with a line of a table.
pub(crate) fn in_line(path: &Path, line: u64, error: CorpusError) -> TextError {
    CorpusError::Document { path: path.to_owned(), line: Some(line), source: Box::new(error) }.into()
}

impl ReadExamples {
    /// Cuts examples at `length` tokens, and leaves out those of which nothing is left to learn.
    pub(crate) fn collect(
        examples: impl Iterator<Item = Result<Example, TextError>>,
        path: &Path,
        length: usize,
    ) -> Result<Self, TextError> {
        let mut read = Self { examples: Vec::new(), cut: 0, left_out: 0, unlearnt: 0 };
        let mut too_long = false;
        for example in examples {
            let mut example = example?;
            too_long |= example.tokens.len() > length;
            let kept = example.tokens.len().min(length);
            // Before the first token nothing is read that could tell it.
            let learnt = example.learnt.iter().map(|learnt| learnt.start.max(1)..learnt.end.min(kept));
            example.learnt = learnt.filter(|learnt| !learnt.is_empty()).collect();
            if example.learnt.is_empty() {
                read.left_out += 1;
                continue;
            }
            read.cut += usize::from(example.tokens.len() > length);
            example.tokens.truncate(length);
            read.examples.push(example);
        }
        let path = path.to_path_buf();
        match read.examples.is_empty() {
            false => Ok(read),
            true if too_long => Err(TextError::LongExamples { path, length }),
            true => Err(TextError::NoExamples { path }),
        }
    }
}

impl Examples {
    /// Examples that come in batches of `batch_size`.
    pub(crate) fn new(examples: Vec<Example>, batch_size: usize) -> Self {
        Self { all: examples.into(), batch_size }
    }

    pub(crate) fn batches_per_epoch(&self) -> u64 {
        self.all.len().div_ceil(self.batch_size) as u64
    }

    /// See [`Pieces::random`](crate::data::Pieces::random): each example once in each epoch.
    pub(crate) fn random(self, seed: u64, first: u64) -> impl Iterator<Item = TokenBatch> + Send {
        let per_epoch = self.batches_per_epoch();
        let lengths: Vec<usize> = self.all.iter().map(|example| example.tokens.len()).collect();
        let epochs = (first / per_epoch..)
            .flat_map(move |epoch| shuffled_batches(&lengths, self.batch_size, seed, epoch));
        let all = self.all;
        epochs.skip((first % per_epoch) as usize).map(move |rows| batch(rows.iter().map(|&row| &all[row])))
    }

    /// See [`Pieces::in_order`](crate::data::Pieces::in_order).
    pub(crate) fn in_order(&self, most: Option<usize>) -> impl Iterator<Item = TokenBatch> {
        let tokens: usize = self.all.iter().map(|example| example.tokens.len()).sum();
        let step = most.map_or(1, |most| tokens.div_ceil(most.max(1)));
        let mut chosen: Vec<&Example> = self.all.iter().step_by(step).collect();
        chosen.sort_by_key(|example| example.tokens.len());
        let batches: Vec<Vec<&Example>> = chosen.chunks(self.batch_size).map(<[_]>::to_vec).collect();
        batches.into_iter().map(|rows| batch(rows.into_iter()))
    }
}

/// The rows of an epoch's batches: in random order, and yet of similar lengths in each batch.
pub(crate) fn shuffled_batches(
    lengths: &[usize],
    batch_size: usize,
    seed: u64,
    epoch: u64,
) -> Vec<Vec<usize>> {
    let mut rng = sample_rng(seed, epoch, 0);
    let mut rows: Vec<usize> = (0..lengths.len()).collect();
    rows.shuffle(&mut rng);
    for pool in rows.chunks_mut(batch_size * POOL) {
        pool.sort_by_key(|&row| lengths[row]);
    }
    let mut batches: Vec<Vec<usize>> = rows.chunks(batch_size).map(<[_]>::to_vec).collect();
    batches.shuffle(&mut rng);
    batches
}

/// Examples side by side. What fills the shorter ones up stands behind all that is read, where nothing sees it.
fn batch<'a>(examples: impl Iterator<Item = &'a Example> + Clone) -> TokenBatch {
    let length = examples.clone().map(|example| example.tokens.len()).max().unwrap_or(2) - 1;
    let (mut inputs, mut targets, mut learnt) = (Vec::new(), Vec::new(), Vec::new());
    let mut rows = 0;
    for example in examples {
        let tokens = &example.tokens;
        let last = tokens.len() - 1;
        let start = rows * length;
        for part in &example.learnt {
            targets.extend(tokens[part.clone()].iter().map(|&id| id as i32));
            learnt.extend(part.clone().map(|position| (start + position - 1) as i32));
        }
        inputs.extend(tokens[..last].iter().map(|&id| id as i32));
        inputs.resize(start + length, 0);
        rows += 1;
    }
    TokenBatch { inputs, targets, learnt: Some(learnt), shape: [rows, length] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(tokens: &[u32], learnt: Range<usize>) -> Example {
        let (prompt, completion) = (String::new(), String::new());
        Example { tokens: tokens.to_vec(), learnt: vec![learnt], prompt, completion }
    }

    #[test]
    fn completions_alone_are_learnt() {
        let mut examples = [example(&[1, 2, 3, 4], 2..4), example(&[5, 6], 1..2), example(&[7, 8, 9], 2..3)];
        let of_prompts = batch(examples.iter());
        assert_eq!(of_prompts.shape, [3, 3]);
        assert_eq!(of_prompts.inputs, [1, 2, 3, 5, 0, 0, 7, 8, 0]);
        assert_eq!(of_prompts.learnt, Some(vec![1, 2, 3, 7]));
        assert_eq!(of_prompts.targets, [3, 4, 6, 9]);
        // A conversation has several answers.
        examples[0].learnt = vec![1..2, 3..4];
        let of_turns = batch(examples.iter());
        assert_eq!(of_turns.learnt, Some(vec![0, 2, 3, 7]));
        assert_eq!(of_turns.targets, [2, 4, 6, 9]);
    }

    #[test]
    fn an_epoch_has_each_example_once_wherever_it_begins() {
        let lengths: Vec<usize> = (0..101).map(|row| 2 + row * 7 % 30).collect();
        let epoch = shuffled_batches(&lengths, 4, 1, 0);
        let mut rows: Vec<usize> = epoch.iter().flatten().copied().collect();
        rows.sort_unstable();
        assert_eq!(rows, (0..101).collect::<Vec<_>>());
        assert_ne!(epoch, shuffled_batches(&lengths, 4, 1, 1));
        assert_ne!(epoch, shuffled_batches(&lengths, 4, 2, 0));
        let spread: usize = epoch
            .iter()
            .map(|rows| {
                let lengths = rows.iter().map(|&row| lengths[row]);
                lengths.clone().max().unwrap() - lengths.min().unwrap()
            })
            .sum();
        assert!(spread < 2 * epoch.len(), "{spread}");

        let all: Vec<Example> = (0..10).map(|id| example(&[id, id + 1, id], 1..3)).collect();
        let examples = Examples::new(all, 3);
        let from = |first: u64| examples.clone().random(7, first).take(9).collect::<Vec<_>>();
        assert_eq!(from(0)[5..], from(5)[..4]);
    }
}
