//! Text as a model learns it: from tokens to batches on the device.

use burn::tensor::{Device, Int, Tensor, TensorData};
use libellus_data::{TokenRange, sample_rng};
use libellus_models::LanguageModel;
use rand::RngExt;

use crate::error::TextError;
use crate::examples::Examples;

/// The chapters of Libellus's own book.
const CHAPTERS: [&str; 11] = [
    include_str!("../../../../docs/src/introduction.md"),
    include_str!("../../../../docs/src/first-run.md"),
    include_str!("../../../../docs/src/training.md"),
    include_str!("../../../../docs/src/text.md"),
    include_str!("../../../../docs/src/data.md"),
    include_str!("../../../../docs/src/models.md"),
    include_str!("../../../../docs/src/weights.md"),
    include_str!("../../../../docs/src/backends.md"),
    include_str!("../../../../docs/src/parity.md"),
    include_str!("../../../../docs/src/architecture.md"),
    include_str!("../../../../docs/src/kernels.md"),
];

/// What `text train` learns unless told otherwise: the book without its tables, whose numbers nobody could guess.
pub(crate) fn book() -> String {
    let lines = CHAPTERS.iter().flat_map(|chapter| chapter.lines());
    lines.filter(|line| !line.starts_with('|')).map(|line| format!("{line}\n")).collect()
}

/// Pieces of text of one length, and what follows their tokens; still on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenBatch {
    /// `[B, T]` in row-major order.
    pub inputs: Vec<i32>,
    /// The token after each of `inputs`, or of those in `learnt`.
    pub targets: Vec<i32>,
    /// Of which of `inputs`, in row-major order, the next token is learnt; `None` for all.
    pub learnt: Option<Vec<i32>>,
    /// `[B, T]`.
    pub shape: [usize; 2],
}

impl TokenBatch {
    /// From pieces of `T + 1` tokens.
    fn new(pieces: &[Vec<u32>]) -> Self {
        let length = pieces.first().map_or(1, Vec::len) - 1;
        // Ids are below 2^20: `validate` of every configuration sees to it.
        let tokens =
            |skip| pieces.iter().flat_map(move |piece| &piece[skip..][..length]).map(|&id| id as i32);
        Self {
            inputs: tokens(0).collect(),
            targets: tokens(1).collect(),
            learnt: None,
            shape: [pieces.len(), length],
        }
    }

    /// What `model` expects after each token that is learnt, and what came.
    ///
    /// # Shapes
    /// - logits: `[N, V]`
    /// - targets: `[N]`
    ///
    /// # Panics
    /// When a piece is longer than the model's context.
    pub(crate) fn predict(self, model: &LanguageModel, device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
        let count = self.targets.len();
        let inputs = Tensor::from_data(TensorData::new(self.inputs, self.shape), device);
        let targets = Tensor::from_data(TensorData::new(self.targets, [count]), device);
        let mut features = model.forward_features(inputs).flatten::<2>(0, 1);
        if let Some(learnt) = self.learnt {
            features = features.select(0, Tensor::from_data(TensorData::new(learnt, [count]), device));
        }
        (model.logits(features.unsqueeze()).squeeze_dim(0), targets)
    }
}

/// Where batches come from.
#[derive(Clone, Debug)]
pub enum Pieces {
    /// A text, of which every token is learnt.
    Text(Windows),
    /// Prompts with their completions, of which those are learnt.
    Examples(Examples),
}

impl Pieces {
    /// How many batches have as many tokens, or examples, as there are.
    pub(crate) fn batches_per_epoch(&self) -> u64 {
        match self {
            Self::Text(windows) => windows.batches_per_epoch(),
            Self::Examples(examples) => examples.batches_per_epoch(),
        }
    }

    /// The batches of a run from number `first` on, without end. They depend on `seed` and their number alone.
    pub(crate) fn random(
        self,
        seed: u64,
        first: u64,
    ) -> Box<dyn Iterator<Item = Result<TokenBatch, TextError>> + Send> {
        match self {
            Self::Text(windows) => Box::new((first..).map(move |index| windows.random(seed, index))),
            Self::Examples(examples) => Box::new(examples.random(seed, first).map(Ok)),
        }
    }

    /// All, or about `most` tokens of them, evenly spread.
    pub(crate) fn in_order(
        &self,
        most: Option<usize>,
    ) -> Box<dyn Iterator<Item = Result<TokenBatch, TextError>> + '_> {
        match self {
            Self::Text(windows) => Box::new(windows.in_order(most)),
            Self::Examples(examples) => Box::new(examples.in_order(most).map(Ok)),
        }
    }
}

/// The most tokens of a held back text by which a model is measured at its end, evenly spread: more change nothing that can be seen,
/// and would take hours of a text of gigabytes.
pub(crate) const MOST_MEASURED: usize = 1 << 20;

/// A text that is cut into pieces of `length` tokens and the one after them.
#[derive(Clone, Debug)]
pub struct Windows {
    tokens: TokenRange,
    length: u64,
    batch_size: usize,
}

impl Windows {
    /// # Errors
    /// When there are no `length + 1` tokens; `part` says of what text.
    pub fn new(
        tokens: TokenRange,
        length: usize,
        batch_size: usize,
        part: &'static str,
    ) -> Result<Self, TextError> {
        let length = length as u64;
        if tokens.len() <= length {
            return Err(TextError::TooShort { part, tokens: tokens.len(), length });
        }
        Ok(Self { tokens, length, batch_size })
    }

    /// How many batches have as many tokens as the text.
    pub fn batches_per_epoch(&self) -> u64 {
        (self.tokens.len() / (self.length * self.batch_size as u64)).max(1)
    }

    /// The batch number `index` of a run: pieces that begin anywhere, as in nanoGPT. It depends on `seed` and `index` alone.
    ///
    /// # Errors
    /// When the file of tokens can't be read or is damaged.
    pub fn random(&self, seed: u64, index: u64) -> Result<TokenBatch, TextError> {
        let mut rng = sample_rng(seed, 0, index);
        let begins = self.tokens.len() - self.length;
        let pieces = (0..self.batch_size).map(|_| self.piece(rng.random_range(0..begins)));
        Ok(TokenBatch::new(&pieces.collect::<Result<Vec<_>, _>>()?))
    }

    /// Pieces one after the other from beginning to end, of which the last may be shorter, so that every token but the first is
    /// a target once. With `most`, only about as many tokens, in pieces that are evenly spread.
    pub fn in_order(
        &self,
        most: Option<usize>,
    ) -> impl Iterator<Item = Result<TokenBatch, TextError>> + use<'_> {
        let pieces = (self.tokens.len() - 1).div_ceil(self.length);
        let wanted = most.map_or(pieces, |most| (most as u64).div_ceil(self.length).clamp(1, pieces));
        let starts: Vec<u64> = (0..wanted).map(|piece| piece * pieces / wanted * self.length).collect();
        // The last piece, if it is shorter, is a batch of its own.
        let whole = starts.partition_point(|start| start + self.length < self.tokens.len());
        let (whole, rest) = starts.split_at(whole);
        let batches: Vec<Vec<u64>> =
            whole.chunks(self.batch_size).chain(rest.chunks(1)).map(<[_]>::to_vec).collect();
        batches.into_iter().map(|starts| {
            let pieces = starts.into_iter().map(|start| self.piece(start));
            Ok(TokenBatch::new(&pieces.collect::<Result<Vec<_>, _>>()?))
        })
    }

    /// The tokens of a piece and the one after it, as far as there are any.
    fn piece(&self, start: u64) -> Result<Vec<u32>, TextError> {
        let count = (self.length + 1).min(self.tokens.len() - start);
        Ok(self.tokens.read(start, count as usize)?)
    }
}
