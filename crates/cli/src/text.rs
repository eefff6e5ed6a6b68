//! `libellus text`.

mod classify;
mod contrast;
mod generate;
mod translate;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use indicatif::ProgressBar;
use libellus::backend::DeviceName;
use libellus::burn::tensor::{Tensor, TensorData};
use libellus::data::Corpus;
use libellus::inspect::write_tensors;
use libellus::models::Tensors;
use libellus::text::{
    Cuts, Embedder, Embeddings, Origin, TextError, TrainOutcome, Trained, finetune, perplexity, score, train,
};
use libellus::train::{Interrupt, RunDir};
use serde_json::json;

use crate::args::{
    Common, Embed, Encoder, Score, Search, Text, TextEval, TextFinetune, TextModel, TextTrain,
};
use crate::output::{Align, Failure, Table, print, print_json, thousands};
use crate::run::{Ended, command_line, observer};

pub(crate) fn run(command: &Text, common: &Common) -> Result<ExitCode, Failure> {
    match command {
        Text::Train(command) => run_train(command, common),
        Text::Finetune(command) => run_finetune(command, common),
        Text::Generate(command) => generate::run(command, common),
        Text::Eval(command) => run_eval(command, common),
        Text::Score(command) => run_score(command, common),
        Text::Translate(command) => translate::run(command, common),
        Text::Classify(command) => classify::run(command, common),
        Text::Embed(command) => run_embed(command, common),
        Text::Contrast(command) => contrast::run(command, common),
        Text::Search(command) => run_search(command, common),
    }
}

fn run_train(command: &TextTrain, common: &Common) -> Result<ExitCode, Failure> {
    let options = command.run.options(&command.options)?;
    let interrupt = Interrupt::on_ctrl_c();
    let mut observer = observer(common, command.run.tui, &interrupt)?;
    let bar = progress_bar(common, "tokenise");
    let outcome = train(
        &options,
        &command.run.place(),
        &command_line(),
        &interrupt,
        observer.as_mut(),
        &mut tokenizing(&bar),
    )?;
    drop(observer);
    let usage = format!("libellus text generate --run {}", outcome.run.display());
    print_outcome(&outcome, "libellus text train", &usage, common)
}

fn run_finetune(command: &TextFinetune, common: &Common) -> Result<ExitCode, Failure> {
    let options = command.place.options(&command.options)?;
    let interrupt = Interrupt::on_ctrl_c();
    let mut observer = observer(common, command.place.tui, &interrupt)?;
    let bar = progress_bar(common, "tokenise");
    let outcome = finetune(
        &options,
        &command.place.place(),
        &command_line(),
        &interrupt,
        observer.as_mut(),
        &mut tokenizing(&bar),
    )?;
    drop(observer);
    let folder = outcome.run.display();
    let usage = match RunDir::model_in(&outcome.run).is_file() {
        true => format!("libellus text generate --run {folder}"),
        false => format!("libellus text generate, of the same model, with --adapter {folder}/adapter"),
    };
    print_outcome(&outcome, "libellus text finetune", &usage, common)
}

/// Shows how far the tokenisation is.
fn tokenizing(bar: &ProgressBar) -> impl FnMut(u64, u64) {
    |done, all| {
        bar.set_length(all);
        bar.set_position(done);
        if done >= all {
            bar.finish_and_clear();
        }
    }
}

fn print_outcome(
    outcome: &TrainOutcome,
    verb: &str,
    usage: &str,
    common: &Common,
) -> Result<ExitCode, Failure> {
    let finished = outcome.finished.as_ref();
    let ended = Ended {
        verb,
        folder: &outcome.run,
        summary: finished.map(|finished| &finished.summary),
        metrics: &[
            ("loss", "validation loss"),
            ("loss_before", "before"),
            ("perplexity", "perplexity"),
            ("bits_per_character", "bits per character"),
        ],
        sample: finished.map_or("", |finished| &finished.sample),
        usage,
    };
    ended.print(common)
}

fn run_eval(command: &TextEval, common: &Common) -> Result<ExitCode, Failure> {
    let corpus = Corpus::open(&command.corpus, command.column.as_deref()).map_err(TextError::from)?;
    let trained = open(&command.model)?;
    let cuts = Cuts { context: command.context, stride: command.stride, batch_size: command.batch_size };
    let bar = progress_bar(common, "read");
    let report = perplexity(&trained, &corpus, &cuts, &mut |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    if common.json {
        print_json(&report)?;
    } else {
        print(&format!(
            "perplexity {:.4}   loss {:.4}   bits per character {:.4}   ({} tokens, {} characters)\n",
            report.perplexity,
            report.loss,
            report.bits_per_character,
            thousands(report.tokens),
            thousands(report.characters),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn run_score(command: &Score, common: &Common) -> Result<ExitCode, Failure> {
    let trained = open(&command.model)?;
    let mut scores = score(&trained, &command.prompt, &command.continuations)?;
    scores.sort_by(|a, b| b.log_probability.total_cmp(&a.log_probability));
    if common.json {
        print_json(&scores)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new([
        ("log-probability", Align::Right),
        ("per token", Align::Right),
        ("tokens", Align::Right),
        ("continuation", Align::Left),
    ]);
    for score in scores {
        table.row([
            format!("{:.4}", score.log_probability),
            format!("{:.4}", score.per_token),
            score.tokens.to_string(),
            format!("{:?}", score.text),
        ]);
    }
    print(&table.render())?;
    Ok(ExitCode::SUCCESS)
}

fn run_embed(command: &Embed, common: &Common) -> Result<ExitCode, Failure> {
    let texts = texts_of(command.input.as_deref(), &command.texts)?;
    let embedder = open_encoder(&command.model)?;
    let started = Instant::now();
    let rows: Vec<&str> = texts.iter().map(String::as_str).collect();
    let embeddings = embed(&embedder, &rows, &command.model, common)?;
    let elapsed = started.elapsed().as_secs_f64();
    if let Some(path) = &command.output {
        let device = DeviceName::default().open()?;
        let shape = [texts.len(), embeddings.width];
        let tensor = Tensor::<2>::from_data(TensorData::new(embeddings.values.clone(), shape), &device);
        write_tensors(path, &Tensors::new().with("embeddings", tensor))?;
    }
    if common.json {
        let rows: Vec<_> = texts
            .iter()
            .zip(embeddings.rows())
            .map(|(text, embedding)| json!({ "text": text, "embedding": embedding }))
            .collect();
        print_json(&rows)?;
    } else if let Some(path) = &command.output {
        print(&format!(
            "{} texts as vectors of {} numbers in {} ({:.0} texts a second)\n",
            thousands(texts.len()),
            embeddings.width,
            path.display(),
            texts.len() as f64 / elapsed.max(1e-9),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn run_search(command: &Search, common: &Common) -> Result<ExitCode, Failure> {
    let text = read_text(&command.input)?;
    let lines: Vec<(usize, &str)> =
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).collect();
    let texts: Vec<&str> = lines.iter().map(|(_, line)| *line).collect();
    if texts.is_empty() {
        return Err(Failure::Input(format!("{} has no line of text", command.input.display())));
    }
    let embedder = open_encoder(&command.model)?;
    let query = embedder.embed(&[&command.query], 1, &mut |_| {})?;
    let found = embed(&embedder, &texts, &command.model, common)?.nearest(&query.values, command.top);
    if common.json {
        let rows: Vec<_> = found
            .iter()
            .map(|neighbour| {
                let (line, text) = lines[neighbour.index];
                json!({ "line": line + 1, "similarity": neighbour.similarity, "text": text })
            })
            .collect();
        return print_json(&rows).map(|()| ExitCode::SUCCESS);
    }
    let mut table = Table::new([("similarity", Align::Right), ("line", Align::Right), ("text", Align::Left)]);
    for neighbour in found {
        let (line, text) = lines[neighbour.index];
        table.row([format!("{:.4}", neighbour.similarity), thousands(line + 1), text.to_owned()]);
    }
    print(&table.render())?;
    Ok(ExitCode::SUCCESS)
}

fn embed(
    embedder: &Embedder,
    texts: &[&str],
    model: &Encoder,
    common: &Common,
) -> Result<Embeddings, Failure> {
    let bar = progress_bar(common, "embed");
    bar.set_length(texts.len() as u64);
    let embeddings = embedder.embed(texts, model.batch_size, &mut |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    Ok(embeddings)
}

fn open_encoder(model: &Encoder) -> Result<Embedder, Failure> {
    let device = model.compute.open()?;
    if let Some(run) = &model.run {
        return Ok(Embedder::open_run(run, &device, model.precision.into())?);
    }
    let weights = model.weights.as_deref().unwrap_or(Path::new(""));
    let (config, tokenizer) = (model.config.as_deref(), model.tokenizer.as_deref());
    Ok(Embedder::open(weights, config, tokenizer, &device, model.precision.into())?)
}

fn open(model: &TextModel) -> Result<Trained, Failure> {
    let device = model.compute.open()?;
    let origin = match (&model.run, &model.weights) {
        (Some(run), _) => Origin::Run(run.clone()),
        (None, weights) => Origin::Public {
            weights: weights.clone().unwrap_or_default(),
            config: model.config.clone(),
            tokenizer: model.tokenizer.clone(),
        },
    };
    Ok(Trained::open(&origin, model.adapter.as_deref(), &device, model.precision.into())?)
}

/// The lines of a file, or the texts given in its place.
fn texts_of(input: Option<&Path>, given: &[String]) -> Result<Vec<String>, Failure> {
    let Some(path) = input else { return Ok(given.to_vec()) };
    let texts: Vec<String> = read_text(path)?.lines().map(str::to_owned).collect();
    match texts.is_empty() {
        true => Err(Failure::Input(format!("{} has no line of text", path.display()))),
        false => Ok(texts),
    }
}

/// The text of a file, or of standard input for `-`.
fn read_text(path: &Path) -> Result<String, Failure> {
    let (name, bytes) = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes);
        (PathBuf::from("standard input"), read)
    } else {
        (path.to_path_buf(), std::fs::read(path))
    };
    let bytes = bytes.map_err(|error| Failure::Input(format!("cannot read {}: {error}", name.display())))?;
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        Failure::Input(format!("{} is no UTF-8 text: byte {place} is wrong", name.display()))
    })
}

fn progress_bar(common: &Common, what: &'static str) -> ProgressBar {
    use std::io::IsTerminal;
    if common.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = indicatif::ProgressStyle::with_template("{msg} {bar:24.cyan/dim} {percent:>3}%, {eta} left");
    let style = style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()).progress_chars("━╸─");
    ProgressBar::new(1).with_style(style).with_message(what)
}
