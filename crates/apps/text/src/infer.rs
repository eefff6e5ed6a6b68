//! From a prompt to text.

use burn::tensor::{Device, Int, Tensor, TensorData};
use libellus_data::{SpecialTokens, TextStream, Tokenizer};
use libellus_models::{LanguageModel, LanguageState};
use libellus_train::OptionsError;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::error::TextError;
use crate::sampling::{BeamSearch, Beams, Sampler, Sampling, StopStrings, sequence_rng};
use crate::saved::prompt_tokens;

/// What to generate, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// The most tokens of a text.
    pub max_tokens: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Searches for the likeliest texts in place of sampling.
    pub beams: Option<BeamSearch>,
    /// How many texts.
    pub n: usize,
    /// Where a text ends, without these strings.
    pub stop: Vec<String>,
    /// The tokens that end a text; if there are none, the tokenizer's end of text does.
    pub ends: Vec<u32>,
    /// Whether the tokens that the model expects before a text come before the prompt; not where a chat template has written it.
    pub special: SpecialTokens,
    /// Seed of the random numbers; each text has its own sequence of them.
    pub seed: u64,
    /// Whether a text may be longer than the model's context: the model then reads the last half of its context anew, each time
    /// the context is full.
    pub slide: bool,
}

impl Default for Generation {
    fn default() -> Self {
        Self {
            max_tokens: 256,
            sampling: Sampling::default(),
            beams: None,
            n: 1,
            stop: Vec::new(),
            ends: Vec::new(),
            special: SpecialTokens::Add,
            seed: 0,
            slide: false,
        }
    }
}

/// A text that a model made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Generated {
    /// The text behind the prompt.
    pub text: String,
    /// Its tokens, with the one that ended it if there was one.
    pub tokens: Vec<u32>,
    /// The model's log-probability of each of `tokens`, in nats, before penalties, temperature and filters; empty with beams.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log_probabilities: Vec<f32>,
    /// With beams, what they were ranked by: the sum of the log-probabilities, divided by a power of the length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
    /// Why it ends.
    pub ending: Ending,
}

/// Why a text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The model put out the token that ends texts.
    EndOfText,
    /// A stop string came.
    Stop,
    /// It has as many tokens as were wanted.
    Length,
    /// The model's context is full.
    Context,
}

impl Generation {
    fn ends(&self, tokenizer: &Tokenizer) -> Vec<u32> {
        if self.ends.is_empty() { tokenizer.end_of_text().into_iter().collect() } else { self.ends.clone() }
    }

    /// Looks for options that are out of range or contradict each other.
    ///
    /// # Errors
    /// The first one found.
    pub fn validate(&self) -> Result<(), TextError> {
        let wrong =
            |option, value: usize, reason: &str| Err(OptionsError::option(option, value, reason).into());
        self.sampling.validate()?;
        StopStrings::new(self.stop.iter().cloned())?;
        if self.n == 0 {
            return wrong("n", 0, "it must be at least 1");
        }
        match &self.beams {
            Some(beams) => {
                BeamSearch { num_return: self.n, ..beams.clone() }.validate(&self.sampling)?;
                if self.slide {
                    return wrong(
                        "beams",
                        beams.num_beams,
                        "beams stay within the model's context, unlike --slide",
                    );
                }
                Ok(())
            }
            None if self.sampling.is_greedy() && self.n > 1 => {
                wrong("n", self.n, "at --temperature 0 all texts would be the same")
            }
            None => Ok(()),
        }
    }
}

/// Continues `prompt`. `heard` gets each piece of text as it comes, with the number of its text; with beams, all at the end.
///
/// # Errors
/// When an option is out of range, the prompt has no tokens or more than the model reads, or the model puts out numbers that
/// are no probabilities.
pub fn generate(
    model: &LanguageModel,
    tokenizer: &Tokenizer,
    prompt: &str,
    options: &Generation,
    device: &Device,
    heard: &mut dyn FnMut(usize, &str),
) -> Result<Vec<Generated>, TextError> {
    options.validate()?;
    let mut prompt = prompt_tokens(tokenizer, prompt, options.special)?;
    if let Some(context) = model.context() {
        match prompt.len() {
            // With a full context, nothing could be generated.
            tokens if tokens >= context && options.slide => {
                drop(prompt.drain(..tokens - context.div_ceil(2)))
            }
            tokens if tokens > context => return Err(TextError::LongPrompt { tokens, context }),
            _ => {}
        }
    }
    let reader = Reader { model, vocab_size: tokenizer.vocab_size(), device };
    match &options.beams {
        Some(beams) => search(&reader, tokenizer, &prompt, beams, options, heard),
        None => sample(&reader, tokenizer, &prompt, options, heard),
    }
}

/// A model, and how it reads tokens that are on the host.
struct Reader<'a> {
    model: &'a LanguageModel,
    /// Of the tokenizer: outputs behind these have no token.
    vocab_size: usize,
    device: &'a Device,
}

impl Reader<'_> {
    /// An empty state for one sequence of `tokens` tokens, or as many as the model reads.
    fn state(&self, batch: usize, tokens: usize) -> LanguageState {
        self.model.new_state(batch, self.model.context().map_or(tokens, |context| context.min(tokens)))
    }

    /// The logits after the last of some tokens of each sequence, row by row.
    fn read(&self, sequences: &[&[u32]], state: &mut LanguageState) -> Vec<Vec<f32>> {
        let length = sequences[0].len();
        let ids: Vec<i32> = sequences.iter().copied().flatten().map(|&id| id as i32).collect();
        let tokens =
            Tensor::<2, Int>::from_data(TensorData::new(ids, [sequences.len(), length]), self.device);
        let last = self.model.read(tokens, state).narrow(1, length - 1, 1);
        let logits: Vec<f32> = self.model.logits(last).into_data().iter::<f32>().collect();
        let width = logits.len() / sequences.len();
        logits.chunks(width).map(|row| row[..self.vocab_size.min(width)].to_vec()).collect()
    }
}

/// A text in the making.
struct Sequence<'a> {
    rng: ChaCha8Rng,
    tokens: Vec<u32>,
    log_probabilities: Vec<f32>,
    stream: TextStream<'a>,
    stops: StopStrings,
    text: String,
    ending: Option<Ending>,
}

impl Sequence<'_> {
    /// Takes the text of the newest token; returns what can be shown of it.
    fn push(&mut self, token: u32, ends: &[u32]) -> Result<String, TextError> {
        if ends.contains(&token) {
            self.ending = Some(Ending::EndOfText);
            return Ok(String::new());
        }
        let Some(piece) = self.stream.push(token)? else { return Ok(String::new()) };
        let piece = self.stops.push(&piece);
        if piece.stopped {
            self.ending = Some(Ending::Stop);
        }
        self.text.push_str(&piece.emit);
        Ok(piece.emit)
    }

    /// What was held back, at the end.
    fn finish(mut self, index: usize, heard: &mut dyn FnMut(usize, &str)) -> Result<Generated, TextError> {
        let mut ending = self.ending.unwrap_or(Ending::Length);
        let rest = self.stops.push(&self.stream.finish()?).emit;
        let last = self.stops.finish();
        if last.stopped {
            ending = Ending::Stop;
        }
        let rest = rest + &last.emit;
        if !rest.is_empty() {
            heard(index, &rest);
        }
        Ok(Generated {
            text: self.text + &rest,
            tokens: self.tokens,
            log_probabilities: self.log_probabilities,
            score: None,
            ending,
        })
    }
}

fn sample(
    reader: &Reader<'_>,
    tokenizer: &Tokenizer,
    prompt: &[u32],
    options: &Generation,
    heard: &mut dyn FnMut(usize, &str),
) -> Result<Vec<Generated>, TextError> {
    let mut sampler = Sampler::new(options.sampling.clone())?;
    let ends = options.ends(tokenizer);
    let mut sequences = Vec::with_capacity(options.n);
    for index in 0..options.n {
        sequences.push(Sequence {
            rng: sequence_rng(options.seed, index as u64),
            tokens: Vec::new(),
            log_probabilities: Vec::new(),
            stream: tokenizer.stream(),
            stops: StopStrings::new(options.stop.iter().cloned())?,
            text: String::new(),
            ending: None,
        });
    }

    // The prompt is read once, for all.
    let capacity = prompt.len().saturating_add(options.max_tokens);
    let mut state = reader.state(1, capacity);
    let mut logits = reader.read(&[prompt], &mut state);
    if options.n > 1 {
        state.select(&vec![0; options.n]);
        logits = vec![logits.swap_remove(0); options.n];
    }
    let mut alive: Vec<usize> = (0..options.n).collect();
    for step in 1..=options.max_tokens {
        for (&index, logits) in alive.iter().zip(&logits) {
            let sequence = &mut sequences[index];
            let choice = sampler.choose(logits, prompt, &sequence.tokens, &mut sequence.rng)?;
            sequence.tokens.push(choice.token);
            sequence.log_probabilities.push(choice.log_probability);
            let shown = sequence.push(choice.token, &ends)?;
            if !shown.is_empty() {
                heard(index, &shown);
            }
        }
        let rows: Vec<usize> =
            (0..alive.len()).filter(|&row| sequences[alive[row]].ending.is_none()).collect();
        alive = rows.iter().map(|&row| alive[row]).collect();
        if alive.is_empty() || step == options.max_tokens {
            break;
        }
        if state.remaining() == Some(0) {
            if !options.slide {
                alive.iter().for_each(|&index| sequences[index].ending = Some(Ending::Context));
                break;
            }
            let half = state.len().div_ceil(2);
            let windows: Vec<Vec<u32>> = alive
                .iter()
                .map(|&index| {
                    let all = [prompt, &sequences[index].tokens].concat();
                    all[all.len() - half..].to_vec()
                })
                .collect();
            state = reader.state(alive.len(), half.saturating_add(options.max_tokens - step));
            logits = reader.read(&windows.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut state);
        } else {
            state.select(&rows);
            let newest: Vec<&[u32]> =
                alive.iter().map(|&index| &sequences[index].tokens[step - 1..]).collect();
            logits = reader.read(&newest, &mut state);
        }
    }
    sequences.into_iter().enumerate().map(|(index, sequence)| sequence.finish(index, heard)).collect()
}

fn search(
    reader: &Reader<'_>,
    tokenizer: &Tokenizer,
    prompt: &[u32],
    beams: &BeamSearch,
    options: &Generation,
    heard: &mut dyn FnMut(usize, &str),
) -> Result<Vec<Generated>, TextError> {
    if options.max_tokens == 0 {
        return Ok(Vec::new());
    }
    // The last token of a text needn't be read.
    let fits = reader.model.context().map_or(usize::MAX, |context| context + 1 - prompt.len());
    let max_tokens = options.max_tokens.min(fits);
    let ends = options.ends(tokenizer);
    let stops = |tokens: &[u32]| {
        !options.stop.is_empty()
            && tokenizer
                .decode(tokens)
                .is_ok_and(|text| options.stop.iter().any(|stop| text.contains(stop.as_str())))
    };
    let search = BeamSearch { num_return: options.n, ..beams.clone() };
    let mut beams = Beams::new(search, options.sampling.clone(), prompt, &ends, max_tokens)?;
    let mut state = reader.state(1, prompt.len().saturating_add(max_tokens));
    let mut logits = reader.read(&[prompt], &mut state);
    while let Some(step) = beams.advance_until(&logits.concat(), stops)? {
        state.select(&step.parents);
        logits = reader.read(&step.tokens.chunks(1).collect::<Vec<_>>(), &mut state);
    }
    let found = beams.finish().into_iter().enumerate().map(|(index, hypothesis)| {
        let tokens = hypothesis.tokens;
        let ended = tokens.last().is_some_and(|last| ends.contains(last));
        let text = tokenizer.decode(&tokens[..tokens.len() - usize::from(ended)])?;
        let stop = options.stop.iter().filter_map(|stop| text.find(stop.as_str())).min();
        let ending = match (stop, ended) {
            (Some(_), _) => Ending::Stop,
            (None, true) => Ending::EndOfText,
            (None, false) if tokens.len() < options.max_tokens => Ending::Context,
            (None, false) => Ending::Length,
        };
        let text = text[..stop.unwrap_or(text.len())].to_owned();
        heard(index, &text);
        Ok(Generated { text, tokens, log_probabilities: Vec::new(), score: Some(hypothesis.score), ending })
    });
    found.collect()
}
