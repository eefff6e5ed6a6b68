//! The tokeniser that a GGUF file brings along.
//!
//! Format: `docs/gguf.md` of ggml. Of the two kinds that are read, `gpt2` is byte-level BPE, and `llama` is BPE as SentencePiece has
//! it (Kudo and Richardson 2018, arXiv:1808.06226), which merges the pair whose token has the highest score.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::{BytePattern, TextError, Tokenizer, byte_level, files::describe};

/// The longest token of SentencePiece, in bytes. Its own limit is far below.
const MAX_PIECE: usize = 512;

/// What SentencePiece writes for a space.
const SPACE: &str = "▁";

/// The metadata of a GGUF file that describe its tokeniser, each named by the end of its key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GgufVocabulary {
    /// `model`: `gpt2` or `llama`.
    pub model: String,
    /// `pre`: how a text is cut into words, by name. Without it, GPT-2's way.
    pub pre: Option<String>,
    /// `tokens`, in the order of their ids.
    pub tokens: Vec<String>,
    /// `merges`, of `gpt2`: two tokens with a space between them.
    pub merges: Vec<String>,
    /// `scores`, of `llama`: a number for each token.
    pub scores: Vec<f64>,
    /// `token_type`: a number for each token, or nothing if all are normal.
    pub types: Vec<i64>,
    /// `add_space_prefix`, of `llama`: whether a text begins with a space more.
    pub space_prefix: bool,
    /// `bos_token_id`.
    pub bos_token_id: Option<u32>,
    /// `add_bos_token`: whether a text begins with that. Without it, it does in `llama` and with Llama 3's pattern.
    pub add_bos_token: Option<bool>,
}

impl GgufVocabulary {
    /// The token that a text begins with.
    fn begin(&self) -> Option<u32> {
        let begins = self.add_bos_token.unwrap_or_else(|| {
            self.model == "llama"
                || self.pre.as_deref().and_then(BytePattern::of_gguf) == Some(BytePattern::Llama3)
        });
        self.bos_token_id.filter(|_| begins)
    }
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Normal,
    Unknown,
    /// Never text: it marks where something begins or ends.
    Control,
    /// Found in a text before anything else.
    Whole,
    Unused,
    Byte,
}

impl Tokenizer {
    /// The tokeniser of a GGUF file.
    ///
    /// It is the same as that of the model's `tokenizer.json`, if that is byte-level BPE with one of the patterns of GPT-2
    /// (`gpt-2`, `default`), SmolLM (`smollm`), Llama 3 (`llama-bpe`) and Qwen 2 (`qwen2`), or Llama 2's.
    ///
    /// # Errors
    /// [`TextError::UnknownGguf`] for another kind of tokeniser or pattern, [`TextError::Gguf`] for a part that is missing or doesn't
    /// fit, [`TextError::DuplicateToken`] and [`TextError::NotMergeable`] for a vocabulary that can't be one, and
    /// [`TextError::Json`] for a merge of what is no token.
    pub fn from_gguf(vocabulary: &GgufVocabulary) -> Result<Self, TextError> {
        let uses = uses(vocabulary)?;
        let mut seen = HashSet::new();
        if let Some(id) = vocabulary.tokens.iter().position(|token| !seen.insert(token)) {
            return Err(TextError::DuplicateToken { token: vocabulary.tokens[id].clone(), id });
        }
        let mut description = match &vocabulary.model[..] {
            "gpt2" => byte_level_description(vocabulary, &uses)?,
            "llama" => piece_description(vocabulary, &uses)?,
            _ => {
                let value = vocabulary.model.clone();
                return Err(TextError::UnknownGguf { key: "tokenizer.ggml.model", value });
            }
        };
        if let Some(id) = vocabulary.begin() {
            let Some(token) = vocabulary.tokens.get(id as usize) else {
                return Err(TextError::Gguf {
                    part: "bos_token_id",
                    problem: format!("is {id}, which is none of {} tokens", vocabulary.tokens.len()),
                });
            };
            let text = json!({ "Sequence": { "id": "A", "type_id": 0 } });
            let begin = json!({ "SpecialToken": { "id": token, "type_id": 0 } });
            description["post_processor"] = json!({
                "type": "TemplateProcessing",
                "single": [begin, text],
                "pair": [begin, text, begin, { "Sequence": { "id": "B", "type_id": 0 } }],
                "special_tokens": { token.as_str(): { "id": token, "ids": [id], "tokens": [token] } },
            });
        }
        Self::from_description(description)
    }
}

fn uses(vocabulary: &GgufVocabulary) -> Result<Vec<Use>, TextError> {
    let (tokens, types) = (vocabulary.tokens.len(), &vocabulary.types);
    if tokens == 0 {
        return Err(TextError::Gguf { part: "tokens", problem: "is missing".into() });
    }
    if types.is_empty() {
        return Ok(vec![Use::Normal; tokens]);
    }
    same_count("token_type", types.len(), tokens)?;
    let named = types.iter().map(|kind| {
        Ok(match kind {
            1 => Use::Normal,
            2 => Use::Unknown,
            3 => Use::Control,
            4 => Use::Whole,
            5 => Use::Unused,
            6 => Use::Byte,
            _ => {
                return Err(TextError::Gguf {
                    part: "token_type",
                    problem: format!("has {kind}, which is none"),
                });
            }
        })
    });
    named.collect()
}

fn same_count(part: &'static str, found: usize, tokens: usize) -> Result<(), TextError> {
    if found == tokens {
        return Ok(());
    }
    Err(TextError::Gguf { part, problem: format!("has {found} values for {tokens} tokens") })
}

fn ids(tokens: &[String]) -> Map<String, Value> {
    tokens.iter().zip(0_u32..).map(|(token, id)| (token.clone(), id.into())).collect()
}

/// The tokens that are used so.
fn used<'a>(vocabulary: &'a GgufVocabulary, uses: &[Use], wanted: &[Use]) -> Vec<&'a str> {
    let tokens = vocabulary.tokens.iter().zip(uses);
    tokens.filter(|(_, found)| wanted.contains(found)).map(|(token, _)| token.as_str()).collect()
}

fn byte_level_description(vocabulary: &GgufVocabulary, uses: &[Use]) -> Result<Value, TextError> {
    let name = vocabulary.pre.as_deref().unwrap_or("default");
    let pattern = BytePattern::of_gguf(name)
        .ok_or_else(|| TextError::UnknownGguf { key: "tokenizer.ggml.pre", value: name.to_owned() })?;
    let vocab = ids(&vocabulary.tokens);
    byte_level::check_bytes(&vocab)?;
    let merges = vocabulary.merges.iter().map(|merge| match merge.split_once(' ') {
        Some((left, right)) => Ok((left.to_owned(), right.to_owned())),
        None => Err(TextError::Gguf {
            part: "merges",
            problem: format!("has {merge:?}, which is not two tokens"),
        }),
    });
    let merges: Vec<(String, String)> = merges.collect::<Result<_, _>>()?;
    let special = used(vocabulary, uses, &[Use::Control, Use::Unknown]);
    describe(vocab, &merges, &special, &used(vocabulary, uses, &[Use::Whole]), &pattern)
}

/// As Hugging Face has Llama 2's tokeniser.
fn piece_description(vocabulary: &GgufVocabulary, uses: &[Use]) -> Result<Value, TextError> {
    let merges = merges_of_scores(vocabulary, uses)?;
    let unknown = used(vocabulary, uses, &[Use::Unknown]).first().copied();
    let added: Vec<Value> = vocabulary
        .tokens
        .iter()
        .zip(uses)
        .zip(0_u32..)
        .filter(|((_, used), _)| matches!(used, Use::Control | Use::Unknown | Use::Whole))
        .map(|((token, used), id)| {
            json!({
                "id": id, "content": token, "special": *used != Use::Whole,
                "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            })
        })
        .collect();
    let spaces = json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE });
    let normalizers = match vocabulary.space_prefix {
        true => vec![json!({ "type": "Prepend", "prepend": SPACE }), spaces],
        false => vec![spaces],
    };
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if vocabulary.space_prefix {
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    Ok(json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": { "type": "Sequence", "normalizers": normalizers },
        "decoder": { "type": "Sequence", "decoders": decoders },
        "model": {
            "type": "BPE",
            "vocab": ids(&vocabulary.tokens),
            "merges": merges,
            "unk_token": unknown,
            "fuse_unk": true,
            "byte_fallback": true,
        },
    }))
}

/// All pairs of tokens that make a token, those whose token has the highest score first.
fn merges_of_scores<'a>(
    vocabulary: &'a GgufVocabulary,
    uses: &[Use],
) -> Result<Vec<(&'a str, &'a str)>, TextError> {
    let (tokens, scores) = (&vocabulary.tokens, &vocabulary.scores);
    same_count("scores", scores.len(), tokens.len())?;
    if let Some(long) = tokens.iter().find(|token| token.len() > MAX_PIECE) {
        let problem = format!("has one of {} bytes, more than {MAX_PIECE}", long.len());
        return Err(TextError::Gguf { part: "tokens", problem });
    }
    let normal: HashMap<&str, u32> = tokens
        .iter()
        .zip(uses)
        .zip(0..)
        .filter(|((_, used), _)| **used == Use::Normal)
        .map(|((token, _), id)| (token.as_str(), id))
        .collect();
    let mut merges = Vec::new();
    for (&token, &id) in &normal {
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(&left_id), Some(&right_id)) = (normal.get(left), normal.get(right)) {
                merges.push((scores[id as usize], left_id, right_id, left, right));
            }
        }
    }
    // Between pairs for the same token, as Hugging Face's converter has them: the longest first, then by ids.
    merges.sort_by(|(score_a, left_a, right_a, text_a, end_a), (score_b, left_b, right_b, text_b, end_b)| {
        let length = |text: &str| text.chars().count();
        score_b
            .total_cmp(score_a)
            .then_with(|| length(text_b).cmp(&length(text_a)))
            .then_with(|| length(end_b).cmp(&length(end_a)))
            .then_with(|| (left_a, right_a).cmp(&(left_b, right_b)))
    });
    Ok(merges.into_iter().map(|(_, _, _, left, right)| (left, right)).collect())
}
