//! From sentences to vectors, and the nearest of them.
//!
//! Reimers and Gurevych 2019, arXiv:1908.10084. Reference: sentence-transformers.

use std::path::Path;

use burn::tensor::Device;
use libellus_data::Tokenizer;
use libellus_models::bert::{BertInput, sentence_embedding};
use libellus_models::{Bert, BertConfig, Model, ModelConfig, Precision, PrepareInference, Prepared};
use serde::{Deserialize, Serialize};

use crate::described::{Described, TOKENIZER, save_described};
use crate::error::TextError;
use crate::gguf::open_tokenizer_file;
use crate::padded::{encode, padded};
use crate::saved::{folder_of, public_model};

/// What a description says of a sentence encoder.
const TASK: &str = "text-embed";

/// An encoder of sentences, ready for use.
#[derive(Debug)]
pub struct Embedder {
    model: Prepared<Bert>,
    tokenizer: Tokenizer,
    /// The most tokens of a text that are read.
    max_len: usize,
    device: Device,
}

/// A vector for each of some texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    /// `[texts, width]` in row-major order; each row has length 1.
    pub values: Vec<f32>,
    /// Numbers of a vector.
    pub width: usize,
}

/// A text that is near to a query.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Neighbour {
    /// Its number among the texts.
    pub index: usize,
    /// The cosine of the angle between the vectors, from -1 to 1.
    pub similarity: f32,
}

impl Embedder {
    /// Reads a BERT from a public checkpoint: `weights` is a file or a folder, with `config.json` and `tokenizer.json` beside the
    /// weights unless they are named. Its linear layers and embeddings keep their weights in `precision`.
    ///
    /// Of longer texts, the first tokens are read: as many as `sentence_bert_config.json`, if it is there, or else the tokenizer says,
    /// at most as many as the model has positions.
    ///
    /// # Errors
    /// When something is missing or damaged, or it is no BERT.
    pub fn open(
        weights: &Path,
        config: Option<&str>,
        tokenizer: Option<&Path>,
        device: &Device,
        precision: Precision,
    ) -> Result<Self, TextError> {
        let EncoderBase { model, tokenizer, max_len, .. } =
            EncoderBase::open(weights, config, tokenizer, device)?;
        let model = model.prepare_inference_in(precision);
        Ok(Self { model, tokenizer, max_len, device: device.clone() })
    }

    /// Reads what `text contrast` made: a run directory, or a model.safetensors from one.
    ///
    /// # Errors
    /// When there is none, or a part of it is missing or damaged.
    pub fn open_run(run_or_file: &Path, device: &Device, precision: Precision) -> Result<Self, TextError> {
        const ORIGIN: &str =
            "`libellus text contrast` makes files that do; for a checkpoint from elsewhere, use --weights";
        let described: Described<EncoderDescription> = Described::open(run_or_file, TASK, ORIGIN)?;
        let tokenizer = described.tokenizer(TOKENIZER)?;
        let EncoderDescription { config, longest, .. } = &described.description;
        let model = described.load(config.init(device)?)?.prepare_inference_in(precision);
        Ok(Self { model, tokenizer, max_len: *longest, device: device.clone() })
    }

    /// What reads the texts.
    pub fn model(&self) -> &Bert {
        &self.model
    }

    /// The most tokens of a text that are read.
    pub fn max_len(&self) -> usize {
        self.max_len
    }

    /// A vector of length 1 for each text: the mean over its tokens. Texts of about the same length are read together, at most
    /// `batch_size` of them; `seen` hears how many are done.
    ///
    /// # Errors
    /// When the tokenizer can't encode a text.
    pub fn embed(
        &self,
        texts: &[&str],
        batch_size: usize,
        seen: &mut dyn FnMut(usize),
    ) -> Result<Embeddings, TextError> {
        let tokens = encode(texts, &self.tokenizer, self.max_len)?;
        // Little is padded when texts of a batch are of about the same length.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(tokens[index].len()));
        let mut embeddings = Embeddings { values: Vec::new(), width: 0 };
        let mut done = 0;
        for batch in order.chunks(batch_size.max(1)) {
            let rows: Vec<&[u32]> = batch.iter().map(|&index| &tokens[index][..]).collect();
            let is_padded = rows.iter().any(|row| row.len() < rows[0].len());
            let (tokens, mask) = padded(&rows, &self.device);
            let input = BertInput { mask: is_padded.then(|| mask.clone()), ..BertInput::new(tokens) };
            let vectors = sentence_embedding(self.model.forward_features(input), mask);
            let [_, width] = vectors.dims();
            embeddings.width = width;
            embeddings.values.resize(texts.len() * width, 0.0);
            let vectors: Vec<f32> = vectors.into_data().iter::<f32>().collect();
            for (&index, vector) in batch.iter().zip(vectors.chunks(width)) {
                embeddings.values[index * width..][..width].copy_from_slice(vector);
            }
            done += batch.len();
            seen(done);
        }
        Ok(embeddings)
    }
}

/// All that a sentence encoder takes beside its weights and its tokenizer; it travels in the same file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EncoderDescription {
    task: String,
    pub(crate) version: String,
    config: BertConfig,
    /// The most tokens of a text that are read.
    pub(crate) longest: usize,
    /// What it was trained on.
    pub(crate) data: String,
}

impl EncoderDescription {
    pub(crate) fn new(config: BertConfig, longest: usize, data: String) -> Self {
        Self { task: TASK.to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), config, longest, data }
    }

    /// Writes `model` with this description and its tokenizer, in one atomic step.
    pub(crate) fn save(&self, model: &Bert, tokenizer: &Tokenizer, path: &Path) -> Result<(), TextError> {
        save_described(model, self, &[(TOKENIZER, tokenizer)], path)
    }
}

/// A BERT as it was published, to use or to train on.
pub(crate) struct EncoderBase {
    pub(crate) model: Bert,
    pub(crate) config: BertConfig,
    pub(crate) tokenizer: Tokenizer,
    /// The most tokens of a text that it is meant to read.
    pub(crate) max_len: usize,
}

impl EncoderBase {
    /// See [`Embedder::open`].
    pub(crate) fn open(
        weights: &Path,
        config: Option<&str>,
        tokenizer: Option<&Path>,
        device: &Device,
    ) -> Result<Self, TextError> {
        let (model, config, path) = public_model(weights, config, device)?;
        let (Model::Bert(model), ModelConfig::Bert(config)) = (model, config) else {
            return Err(TextError::Incomplete { path, reason: "the model is no BERT".to_owned() });
        };
        let folder = folder_of(weights);
        let tokenizer = open_tokenizer_file(tokenizer.unwrap_or(folder))?;
        let (vocab_size, context) = (model.vocab_size(), model.context());
        if tokenizer.vocab_size() > vocab_size {
            return Err(TextError::OtherVocabulary {
                path,
                tokenizer: tokenizer.vocab_size(),
                model: vocab_size,
            });
        }
        let wanted = max_seq_length(folder).or(tokenizer.batch_options().max_len);
        let max_len = wanted.map_or(context, |wanted| wanted.min(context));
        Ok(Self { model, config, tokenizer, max_len })
    }
}

impl Embeddings {
    /// One vector after the other.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks(self.width.max(1))
    }

    /// The `top` texts that are nearest to a vector of length 1, nearest first.
    pub fn nearest(&self, query: &[f32], top: usize) -> Vec<Neighbour> {
        let mut found: Vec<Neighbour> = self
            .rows()
            .map(|row| row.iter().zip(query).map(|(a, b)| a * b).sum())
            .enumerate()
            .map(|(index, similarity)| Neighbour { index, similarity })
            .collect();
        found.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        found.truncate(top);
        found
    }
}

/// What sentence-transformers keeps beside a model.
fn max_seq_length(folder: &Path) -> Option<usize> {
    let text = std::fs::read_to_string(folder.join("sentence_bert_config.json")).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    value.get("max_seq_length")?.as_u64()?.try_into().ok()
}
