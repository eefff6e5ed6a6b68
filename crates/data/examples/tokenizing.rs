//! Megabytes a second of tokenising: a text as one, for its ids, and line by line, for ids and places.
//!
//! `cargo run --release -p libellus-data --example tokenizing -- TOKENIZER TEXT`
//!
//! The tokeniser is a `tokenizer.json` or any other file that `Tokenizer::open` reads. `tokenizing.py` beside this file runs it in
//! turn with Python's `tokenizers` on the same files.

use std::{env, error::Error, fs, hint::black_box, time::Instant};

use libellus_data::{BatchOptions, SpecialTokens, Tokenizer};

#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let [_, tokenizer, text] = &arguments[..] else {
        return Err("usage: tokenizing TOKENIZER TEXT".into());
    };
    let tokenizer = Tokenizer::open(tokenizer)?;
    let text = fs::read_to_string(text)?;
    let lines: Vec<&str> = text.lines().collect();
    let options = BatchOptions { special: SpecialTokens::Omit, ..BatchOptions::default() };
    let whole = rate(&text, || tokenizer.encode(&text).map(|ids| ids.len()))?;
    let by_line = rate(&text, || {
        tokenizer.encode_batch(&lines, &options).map(|lines| lines.iter().map(|line| line.ids.len()).sum())
    })?;
    println!("{whole:.2} {by_line:.2}");
    Ok(())
}

/// The median of five.
fn rate<E>(text: &str, mut encode: impl FnMut() -> Result<usize, E>) -> Result<f64, E> {
    let mut seconds = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        black_box(encode()?);
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(text.len() as f64 / 1e6 / seconds[2])
}
