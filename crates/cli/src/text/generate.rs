//! `libellus text generate`

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use libellus::data::{ChatMessage, SpecialTokens};
use libellus::text::sampling::{BeamSearch, Sampling};
use libellus::text::{Ending, Generated, Generation, TextError, Trained, generate};
use serde_json::json;

use super::{open, read_text};
use crate::args::{Common, Generate};
use crate::output::{Failure, print, print_json};

pub(super) fn run(command: &Generate, common: &Common) -> Result<ExitCode, Failure> {
    let mut options = generation(command);
    // What is wrong with them shows before a large model is read.
    options.validate()?;
    let prompt = match (&command.prompt, &command.prompt_file) {
        (Some(prompt), _) => Some(prompt.clone()),
        (None, Some(path)) => Some(read_text(path)?),
        (None, None) if command.chat && (common.json || command.n > 1) => {
            let problem = "--chat with --json or -n answers one message: give --prompt or --prompt-file";
            return Err(Failure::Arguments(problem.into()));
        }
        (None, None) => None,
    };
    let trained = open(&command.model)?;
    options.ends = trained.ends();
    if !command.chat {
        let prompt = prompt.unwrap_or_else(|| trained.default_prompt());
        return write(&trained, &prompt, &prompt, &options, common);
    }
    options.special = SpecialTokens::Omit;
    // Nobody is to say something before it shows that the model can't answer.
    trained.chat_template()?;
    let mut messages: Vec<ChatMessage> =
        command.system.iter().map(|text| ChatMessage::new("system", text)).collect();
    match prompt {
        Some(prompt) => {
            messages.push(ChatMessage::new("user", prompt));
            write(&trained, &asked(&trained, &messages)?, "", &options, common)
        }
        None => converse(&trained, messages, &options, common),
    }
}

fn generation(command: &Generate) -> Generation {
    Generation {
        max_tokens: command.max_tokens,
        sampling: Sampling {
            temperature: command.temperature.unwrap_or(if command.beams.is_some() { 0.0 } else { 0.8 }),
            top_k: command.top_k,
            top_p: command.top_p,
            min_p: command.min_p,
            typical_p: command.typical_p,
            repetition_penalty: command.repetition_penalty,
            presence_penalty: command.presence_penalty,
            frequency_penalty: command.frequency_penalty,
            ..Sampling::default()
        },
        beams: command.beams.map(|num_beams| BeamSearch {
            num_beams,
            length_penalty: command.length_penalty,
            ..BeamSearch::default()
        }),
        n: command.n,
        stop: command.stop.clone(),
        ends: Vec::new(),
        special: SpecialTokens::Add,
        seed: command.seed,
        slide: command.slide,
    }
}

/// A conversation in the form in which the model answers it.
fn asked(trained: &Trained, messages: &[ChatMessage]) -> Result<String, Failure> {
    Ok(trained.chat_template()?.render(messages, true).map_err(TextError::from)?)
}

/// Answers each line of the standard input, knowing all that was said before.
fn converse(
    trained: &Trained,
    mut messages: Vec<ChatMessage>,
    options: &Generation,
    common: &Common,
) -> Result<ExitCode, Failure> {
    let input = std::io::stdin();
    let asks = input.is_terminal() && !common.quiet;
    if asks {
        eprintln!("Say something. Ctrl-D ends the conversation.");
    }
    loop {
        if asks {
            eprint!("> ");
        }
        let mut line = String::new();
        let read = input.read_line(&mut line);
        if read.map_err(|error| Failure::Input(format!("cannot read standard input: {error}")))? == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        if line.trim().is_empty() {
            continue;
        }
        messages.push(ChatMessage::new("user", line.trim()));
        let answers = generated(trained, &asked(trained, &messages)?, options, true)?.texts;
        print("\n")?;
        let answer = answers.first().map_or("", |answer| answer.text.trim());
        messages.push(ChatMessage::new("assistant", answer));
        note_full_context(&answers, common);
    }
}

/// Generates texts, and writes each behind `shown`.
fn write(
    trained: &Trained,
    prompt: &str,
    shown: &str,
    options: &Generation,
    common: &Common,
) -> Result<ExitCode, Failure> {
    let prompt_tokens = trained.prompt_tokens(prompt, options.special)?.len();
    let streams = options.n == 1 && !common.json;
    if streams {
        print(shown)?;
    }
    let Timed { texts, first, elapsed } = generated(trained, prompt, options, streams)?;
    if common.json {
        print_json(&json!({
            "prompt": prompt,
            "prompt_tokens": prompt_tokens,
            "texts": texts,
            "first_text_s": first.map(|first| first.as_secs_f64()),
            "duration_s": elapsed.as_secs_f64(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if streams {
        print("\n")?;
    } else {
        for (index, generated) in texts.iter().enumerate() {
            print(&format!("--- {} ---\n{shown}{}\n", index + 1, generated.text))?;
        }
    }
    if !common.quiet {
        let tokens: usize = texts.iter().map(|generated| generated.tokens.len()).sum();
        eprintln!("{}", speed(prompt_tokens, tokens, first.unwrap_or(elapsed), elapsed));
    }
    note_full_context(&texts, common);
    Ok(ExitCode::SUCCESS)
}

/// Texts, and how long they took.
struct Timed {
    texts: Vec<Generated>,
    /// Until there was something to show.
    first: Option<Duration>,
    elapsed: Duration,
}

/// Generates texts, and with `streams` prints them as they come.
fn generated(trained: &Trained, prompt: &str, options: &Generation, streams: bool) -> Result<Timed, Failure> {
    let started = Instant::now();
    let mut first = None;
    let mut failure = Ok(());
    let mut heard = |_: usize, piece: &str| {
        first.get_or_insert_with(|| started.elapsed());
        if streams && failure.is_ok() {
            failure = print(piece).and_then(|()| std::io::stdout().flush().map_err(Failure::Output));
        }
    };
    let texts = generate(&trained.model, &trained.tokenizer, prompt, options, &trained.device, &mut heard)?;
    failure?;
    Ok(Timed { texts, first, elapsed: started.elapsed() })
}

fn note_full_context(texts: &[Generated], common: &Common) {
    if !common.quiet && texts.iter().any(|generated| generated.ending == Ending::Context) {
        eprintln!("the model's context is full; --slide goes on with the last half of it");
    }
}

/// `prompt of 256 tokens, first text after 0.31 s, 128 tokens in all, 45.2 a second`
fn speed(prompt: usize, tokens: usize, first: Duration, elapsed: Duration) -> String {
    let rate = tokens.saturating_sub(1) as f64 / (elapsed - first).as_secs_f64().max(1e-9);
    format!(
        "prompt of {prompt} tokens, first text after {:.2} s, {tokens} tokens in all, {rate:.1} a second",
        first.as_secs_f64()
    )
}
