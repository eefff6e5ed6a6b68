//! Decoding, transforms, data sets, loaders, tokenisers.
//!
//! A datum goes one way: file, [`Sample`], transformed and normalised [`Planes`], [`ImageBatch`]. Everything here is on
//! the host and knows neither models nor devices.
//!
//! - [`open`] turns a name or a folder ([`Source`]) into an [`ImageClasses`]: training and test images with their
//!   labels. [`catalog`] lists the known data sets, [`fetch`] gets them.
//! - [`Pipeline`] applies [`transform`]s and normalisation to one image, [`Mix`] mixes those of a batch.
//! - [`Loader`] goes through a [`Dataset`] in batches, prepared on worker threads by a [`Collate`].
//! - [`contact_sheet`] shows samples with their labels as one picture.
//! - [`Tokenizer`] turns text into ids and back, [`tokenize`] a [`Corpus`] into a file of [`Tokens`].
//!
//! ```
//! use libellus_data::*;
//!
//! # fn main() -> Result<(), DataError> {
//! let digits = open(&Source::parse("digits")?, &default_data_dir(), &OpenOptions::default())?;
//! let normalize = Normalize { mean: vec![0.5], std: vec![0.5] };
//! let pipeline = Pipeline::from_config(&[], normalize)?;
//! let collate = ImageCollate { pipeline, mix: None, num_classes: digits.classes.len() };
//! let config = LoaderConfig { order: Order::Shuffled { seed: 7 }, workers: 2, ..LoaderConfig::default() };
//! let loader = Loader::new(digits.train, collate, config)?;
//! for batch in loader.epoch(0, 0) {
//!     let batch = batch?;
//!     assert_eq!(batch.shape[1..], [1, 8, 8]);
//! }
//! # Ok(())
//! # }
//! ```

mod bounded;
pub mod catalog;
mod cifar;
mod dataset;
mod decode;
mod digits;
mod error;
mod fetch;
mod folder;
mod idx;
mod image;
mod images;
mod loader;
mod memory;
mod mix;
mod png;
mod rng;
mod sheet;
mod source;
mod split;
mod text;
pub mod transform;

pub use crate::image::{Channels, Image, ImageBatch, Planes};
pub use cifar::{Cifar, open_cifar};
pub use dataset::{Dataset, ImageClasses, LabelledImages, Sample, Subset};
pub use decode::{DecodeError, MAX_PIXELS, decode, decode_file};
pub use digits::open_digits;
pub use error::DataError;
pub use fetch::{Progress, fetch};
pub use folder::{image_files, open_folder};
pub use idx::open_idx;
pub use images::{ImageCollate, PreparedImage};
pub use loader::{BatchSize, Collate, Epoch, LastBatch, Loader, LoaderConfig, Order};
pub use memory::{CacheLimits, Cached};
pub use mix::{Mix, cutmix, mixup};
pub use png::encode_png;
pub use rng::{SampleRng, sample_rng};
pub use sheet::{contact_sheet, sheet_samples};
pub use source::{OpenOptions, Source, default_data_dir, open};
pub use split::{Split, stratified};
pub use text::{
    BatchOptions, BytePattern, ChatMessage, ChatTemplate, Conversation, Corpus, Documents, Encoding,
    GgufVocabulary, Padding, Scheme, SpecialTokens, TableRow, TextError, TextPiece, TextStream, TokenRange,
    TokenWriter, Tokenizer, Tokens, read_conversations, read_table, table_columns, tokenize,
};
pub use transform::{Normalize, Pipeline, Transform, TransformConfig, TransformError};
