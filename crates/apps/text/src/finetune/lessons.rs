//! What fine-tuning learns, and what is held back.

use std::path::Path;

use libellus_data::{Corpus, SpecialTokens, table_columns};
use libellus_train::RunDir;
use libellus_train::report::thousands;
use serde_json::{Value, json};

use super::{FinetuneOptions, SHOWN};
use crate::common::{hold_back, option};
use crate::conversations::read_chats;
use crate::data::{Pieces, Windows};
use crate::error::TextError;
use crate::examples::{Example, Examples, ReadExamples, read_examples};
use crate::saved::{Base, chat_template};
use crate::train::{characters, tokens_of};

/// The columns of a table of examples, where none are named.
const PROMPT: &str = "prompt";
const COMPLETION: &str = "completion";

/// The column of conversations, where none is named.
const MESSAGES: &str = "messages";

/// What is learnt of a table, by the names of its columns.
enum Columns<'a> {
    Completions([&'a str; 2]),
    Answers(&'a str),
}

/// What is learnt, and what is held back.
pub(super) struct Lessons {
    pub(super) train: Pieces,
    pub(super) validation: Option<Pieces>,
    /// Examples whose prompts show what the model has learnt; none of a text.
    pub(super) shown: Vec<Example>,
    /// What ends an answer, where conversations are learnt.
    pub(super) ends: Vec<u32>,
    /// What is before a prompt: of conversations, templates write it.
    pub(super) special: SpecialTokens,
    pub(super) characters_per_token: f64,
    /// Tokens, or examples, to learn and held back.
    counts: [usize; 2],
    /// What was left out or cut, for people.
    remark: String,
}

impl Lessons {
    /// # Errors
    /// When the data can't be read, or there is too little of it.
    pub(super) fn read(
        options: &FinetuneOptions,
        base: &Base,
        run: &RunDir,
        tokenizing: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, TextError> {
        let path = options.corpus.as_deref().unwrap_or(Path::new(""));
        let most = base.model.context();
        let context = match (options.context, most) {
            (Some(context), Some(most)) if context > most => {
                return Err(option("context", context, format!("the model reads {most} tokens")));
            }
            (Some(context), _) => context,
            (None, most) => most.map_or(512, |most| most.min(512)),
        };
        match columns(options, path)? {
            Some(columns) => Self::of_examples(options, path, columns, base, context),
            None => Self::of_text(options, path, base, context, run, tokenizing),
        }
    }

    fn of_text(
        options: &FinetuneOptions,
        path: &Path,
        base: &Base,
        context: usize,
        run: &RunDir,
        tokenizing: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, TextError> {
        let corpus = Corpus::open(path, options.column.as_deref())?;
        let tokens = tokens_of(run, &corpus, &base.tokenizer, tokenizing)?;
        let characters_per_token = {
            let [all, _] = tokens.split(1.0);
            characters(&base.tokenizer, &all)? as f64 / all.len().max(1) as f64
        };
        let held_back = options.validation.unwrap_or(0.0);
        let [train, validation] = tokens.split(1.0 - held_back);
        let counts = [train.len() as usize, validation.len() as usize];
        let batch_size = options.batch_size.unwrap_or(1);
        let train = Windows::new(train, context, batch_size, "training")?;
        let validation = (held_back > 0.0)
            .then(|| Windows::new(validation, context, batch_size, "held back"))
            .transpose()?;
        Ok(Self {
            train: Pieces::Text(train),
            validation: validation.map(Pieces::Text),
            shown: Vec::new(),
            ends: Vec::new(),
            special: SpecialTokens::Add,
            characters_per_token,
            counts,
            remark: String::new(),
        })
    }

    fn of_examples(
        options: &FinetuneOptions,
        path: &Path,
        columns: Columns<'_>,
        base: &Base,
        context: usize,
    ) -> Result<Self, TextError> {
        let (tokenizer, length) = (&base.tokenizer, context + 1);
        let (read, ends, special) = match columns {
            Columns::Completions(columns) => {
                (read_examples(path, columns, tokenizer, length)?, Vec::new(), SpecialTokens::Add)
            }
            Columns::Answers(column) => {
                let instead = "give the data the columns prompt and completion, or name a --column of texts";
                let template = chat_template(base.chat.as_ref(), &base.path, instead)?;
                let read = read_chats(path, column, template, tokenizer, length)?;
                (read, template.ends(tokenizer), SpecialTokens::Omit)
            }
        };
        let ReadExamples { examples, cut, left_out, unlearnt } = read;
        let tokens: usize = examples.iter().map(|example| example.tokens.len()).sum();
        let characters: usize = examples
            .iter()
            .map(|example| example.prompt.chars().count() + example.completion.chars().count())
            .sum();
        let held_back = options.validation.unwrap_or(0.0);
        let [examples, validation] = hold_back(examples, held_back, options.seed.unwrap_or(0), "examples")?;
        let shown = if validation.is_empty() { &examples } else { &validation };
        let shown = shown.iter().take(SHOWN).cloned().collect();
        let mut remarks = Vec::new();
        if cut > 0 {
            remarks.push(format!("{} were cut at {context} tokens", thousands(cut)));
        }
        if left_out > 0 {
            remarks.push(format!("{} were left out, with nothing to learn within that", thousands(left_out)));
        }
        if unlearnt > 0 {
            let why = "which the chat template writes otherwise once there is more";
            remarks.push(format!("{} answers are not learnt, {why}", thousands(unlearnt)));
        }
        let batch_size = options.batch_size.unwrap_or(1);
        let counts = [examples.len(), validation.len()];
        Ok(Self {
            train: Pieces::Examples(Examples::new(examples, batch_size)),
            validation: (counts[1] > 0).then(|| Pieces::Examples(Examples::new(validation, batch_size))),
            shown,
            ends,
            special,
            characters_per_token: characters as f64 / tokens.max(1) as f64,
            counts,
            remark: remarks.iter().map(|remark| format!("; {remark}")).collect(),
        })
    }

    pub(super) fn dataset(&self, name: &str) -> Value {
        let [train, validation] = self.counts;
        json!({ "name": name, "unit": self.unit(), "train": train, "validation": validation })
    }

    pub(super) fn described(&self, name: &str) -> String {
        let [train, validation] = self.counts.map(thousands);
        format!("{name}: {train} {} to learn, {validation} held back{}", self.unit(), self.remark)
    }

    fn unit(&self) -> &'static str {
        match self.train {
            Pieces::Text(_) => "tokens",
            Pieces::Examples(_) => "examples",
        }
    }
}

/// The columns of examples, if `path` is a table that has them and no other column is asked for.
fn columns<'a>(options: &'a FinetuneOptions, path: &Path) -> Result<Option<Columns<'a>>, TextError> {
    if options.column.is_some() {
        return Ok(None);
    }
    // What was asked for by name and isn't there is named by who reads it.
    if let Some(column) = &options.messages_column {
        return Ok(Some(Columns::Answers(column)));
    }
    let wanted = [(&options.prompt_column, PROMPT), (&options.completion_column, COMPLETION)];
    let wanted = wanted.map(|(named, default)| named.as_deref().unwrap_or(default));
    if options.prompt_column.is_some() || options.completion_column.is_some() {
        return Ok(Some(Columns::Completions(wanted)));
    }
    if !path.is_file() {
        return Ok(None);
    }
    let columns = table_columns(path)?;
    let has = |wanted: &str| columns.iter().any(|column| column == wanted);
    if wanted.into_iter().all(has) {
        return Ok(Some(Columns::Completions(wanted)));
    }
    let is_jsonl = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("jsonl"));
    Ok((is_jsonl && has(MESSAGES)).then_some(Columns::Answers(MESSAGES)))
}
