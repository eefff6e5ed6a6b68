//! Conversations, written the way a chat model was trained to read them.
//!
//! Each model has its own marks for who speaks and where a turn ends. Checkpoints of Hugging Face say them as a template in
//! Jinja, in `chat_template.jinja` or in `tokenizer_config.json`.
//!
//! Reference: `apply_chat_template` of transformers 5.24. *Differences:* there are no tools and no documents, a message's
//! content is text, and a template is stopped when it works too long.

mod jinja;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    TextError, Tokenizer,
    files::{self, CONFIG_FILE, is_there, read_object},
};

/// The template, where it has a file of its own.
const TEMPLATE_FILE: &str = "chat_template.jinja";

/// Special tokens, in older checkpoints.
const SPECIAL_FILE: &str = "special_tokens_map.json";

/// What may say which tokens end an answer, the most particular first.
const END_FILES: [&str; 2] = ["generation_config.json", "config.json"];

/// The one of several templates that is for conversations without tools.
const DEFAULT: &str = "default";

/// The longest template, in bytes. The longest public ones have some tens of thousands.
const MAX_TEMPLATE: usize = 1 << 17;

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Who speaks: `system`, `user`, `assistant`, or what else the template knows.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl ChatMessage {
    /// A message from someone.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

/// How a model wants conversations to be written.
///
/// ```
/// use libellus_data::{ChatMessage, ChatTemplate, TextError};
///
/// # fn main() -> Result<(), TextError> {
/// let source = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ eos_token }}{% endfor %}\
///     {% if add_generation_prompt %}<|assistant|>{% endif %}";
/// let template = ChatTemplate::new("model.gguf", source)?.with_special("eos_token", "</s>");
/// let text = template.render(&[ChatMessage::new("user", "Hello!")], true)?;
/// assert_eq!(text, "<|user|>Hello!</s><|assistant|>");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatTemplate {
    /// Where it comes from, for messages; another file when it is read from there.
    #[serde(skip)]
    path: PathBuf,
    source: String,
    /// `bos_token`, `eos_token` and so on, which templates name.
    special: BTreeMap<String, String>,
    /// The tokens that end an answer, as far as ids are given.
    ends: Vec<u32>,
}

impl ChatTemplate {
    /// A template in Jinja, without special tokens. Mistakes in it show when it is rendered. `name` is the file that it comes from,
    /// for messages.
    ///
    /// # Errors
    /// [`TextError::ChatTemplate`] if it is longer than 128 KiB.
    pub fn new(name: impl Into<PathBuf>, source: impl Into<String>) -> Result<Self, TextError> {
        let (path, source) = (name.into(), source.into());
        match source.len() {
            0..=MAX_TEMPLATE => Ok(Self { path, source, special: BTreeMap::new(), ends: Vec::new() }),
            bytes => Err(unusable(&path, format!("it has {bytes} bytes, more than {MAX_TEMPLATE}"))),
        }
    }

    /// Names a special token for the template: `bos_token` is `<s>`.
    #[must_use]
    pub fn with_special(mut self, name: impl Into<String>, token: impl Into<String>) -> Self {
        self.special.insert(name.into(), token.into());
        self
    }

    /// Says which file it was read from, for messages: one that was deserialised doesn't know.
    #[must_use]
    pub fn from_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = path.into();
        self
    }

    /// Adds tokens that end an answer.
    #[must_use]
    pub fn with_ends(mut self, ids: impl IntoIterator<Item = u32>) -> Self {
        self.ends.extend(ids);
        self
    }

    /// Reads the template of a checkpoint's folder: `chat_template.jinja`, else `chat_template` in `tokenizer_config.json`, of
    /// several the one called `default`. `None` if there is none.
    ///
    /// The special tokens are those of `tokenizer_config.json` and `special_tokens_map.json`; `generation_config.json`, or else
    /// `config.json`, says which tokens end an answer.
    ///
    /// # Errors
    /// [`TextError::Read`], [`TextError::Utf8`] and [`TextError::Invalid`] for a file that can't be read or is no JSON;
    /// [`TextError::ChatTemplate`] for a template that is no text, longer than 128 KiB, or has several names but no `default`.
    pub fn open(folder: impl AsRef<Path>) -> Result<Option<Self>, TextError> {
        let folder = folder.as_ref();
        let own = folder.join(TEMPLATE_FILE);
        let config = read_object(&folder.join(CONFIG_FILE))?;
        let mut template = if is_there(&own)? {
            Self::new(&own, files::read(&own)?)?
        } else {
            let path = folder.join(CONFIG_FILE);
            match config.get("chat_template") {
                None | Some(Value::Null) => return Ok(None),
                Some(template) => match the_default(template) {
                    Ok(source) => Self::new(path, source)?,
                    Err(problem) => return Err(unusable(&path, problem)),
                },
            }
        };
        template.special.extend(special_tokens(read_object(&folder.join(SPECIAL_FILE))?));
        template.special.extend(special_tokens(config));
        for file in END_FILES {
            template.ends = end_ids(&read_object(&folder.join(file))?);
            if !template.ends.is_empty() {
                break;
            }
        }
        Ok(Some(template))
    }

    /// The conversation as one text, with `add_generation_prompt` up to where the model's answer begins.
    ///
    /// It has all special tokens that the model expects, so it is encoded without any more ([`Tokenizer::encode`]). A special
    /// token that is written out in a message becomes that token too, as in transformers.
    ///
    /// # Errors
    /// [`TextError::ChatRefused`] if the template raises an exception, as many do for roles that don't take turns;
    /// [`TextError::ChatTemplate`] if it is no valid template, needs what isn't there, or works too long.
    pub fn render(&self, messages: &[ChatMessage], add_generation_prompt: bool) -> Result<String, TextError> {
        let conversation = jinja::Conversation {
            messages,
            // Templates tell "none given" from "not known", and expect the former.
            tools: (),
            documents: (),
            add_generation_prompt,
            special: &self.special,
        };
        jinja::render(&self.source, &conversation, jinja::PATIENCE).map_err(|problem| match problem {
            jinja::Problem::Refused(reason) => {
                let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
                TextError::ChatRefused { path: self.path.clone(), reason }
            }
            jinja::Problem::Failed(source) => TextError::ChatTemplate { path: self.path.clone(), source },
        })
    }

    /// The tokens that end an answer: those that the checkpoint names, its `eos_token`, and the tokeniser's end of text.
    pub fn ends(&self, tokenizer: &Tokenizer) -> Vec<u32> {
        let named = self.special.get("eos_token").and_then(|token| tokenizer.id(token));
        let mut ends: Vec<u32> =
            self.ends.iter().copied().chain(named).chain(tokenizer.end_of_text()).collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }
}

/// The source of a template, or of the default one of several.
fn the_default(template: &Value) -> Result<&str, String> {
    let templates = match template {
        Value::String(source) => return Ok(source),
        Value::Array(templates) => templates,
        _ => return Err("`chat_template` is neither a text nor a list of templates with names".into()),
    };
    let named =
        templates.iter().filter_map(|entry| entry.get("name")?.as_str().zip(entry.get("template")?.as_str()));
    let named: Vec<(&str, &str)> = named.collect();
    named.iter().find(|(name, _)| *name == DEFAULT).map(|(_, source)| *source).ok_or_else(|| {
        let names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
        format!("`chat_template` has no template called `{DEFAULT}`, only: {}", names.join(", "))
    })
}

/// The values of `bos_token` and the like: a text, or an object with the text as its `content`.
fn special_tokens(config: Map<String, Value>) -> impl Iterator<Item = (String, String)> {
    config.into_iter().filter(|(name, _)| name.ends_with("_token")).filter_map(|(name, token)| {
        let content = token.get("content").unwrap_or(&token);
        Some((name, content.as_str()?.to_owned()))
    })
}

/// The value of `eos_token_id`: an id or a list of them.
fn end_ids(config: &Map<String, Value>) -> Vec<u32> {
    let ids = match config.get("eos_token_id") {
        Some(Value::Array(ids)) => &ids[..],
        Some(id) => std::slice::from_ref(id),
        None => &[],
    };
    ids.iter().filter_map(|id| id.as_u64()?.try_into().ok()).collect()
}

fn unusable(path: &Path, problem: String) -> TextError {
    TextError::ChatTemplate { path: path.to_owned(), source: problem.into() }
}
