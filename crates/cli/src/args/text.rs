//! `libellus text` on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use libellus::text::TrainOptions as TextOptions;

use super::{Compute, Run, WeightPrecision};

#[derive(Subcommand, Debug)]
pub(crate) enum Text {
    /// Train a language model on a text
    #[command(after_help = "Examples:\n  \
        libellus text train\n  \
        libellus text train --corpus shakespeare.txt --steps 2000 --context 64 --batch-size 12\n  \
        libellus text train --corpus reviews.jsonl --tokenizer bpe:2000 --model llama\n  \
        libellus text train --resume runs/text-book-1")]
    Train(Box<TextTrain>),
    /// Continue a prompt
    #[command(after_help = "Examples:\n  \
        libellus text generate --run runs/text-book-1\n  \
        libellus text generate --weights gpt2/ --prompt 'The little book' --max-tokens 50 --top-k 40\n  \
        libellus text generate --run runs/text-book-1 --prompt 'A tensor' --temperature 0 --json")]
    Generate(Box<Generate>),
    /// Measure how well a model expects a text: perplexity, bits per character
    #[command(after_help = "Example:\n  libellus text eval --run runs/text-book-1 --corpus other.txt")]
    Eval(TextEval),
    /// Rank continuations of a prompt by how likely they are
    #[command(after_help = "Example:\n  \
        libellus text score --weights gpt2/ --prompt 'Paris is the capital of' ' France.' ' Spain.'")]
    Score(Score),
    /// Turn sentences into vectors
    #[command(after_help = "Examples:\n  \
        libellus text embed --weights all-MiniLM-L6-v2/ --input lines.txt --output vectors.safetensors\n  \
        libellus text embed --weights all-MiniLM-L6-v2/ --json 'A cat sits.' 'Ein Hund läuft.'")]
    Embed(Embed),
    /// Find the lines of a file that mean about the same as a query
    #[command(after_help = "Example:\n  \
        libellus text search --weights all-MiniLM-L6-v2/ --input lines.txt 'how do I save a model?'")]
    Search(Search),
}

#[derive(Args, Debug)]
pub(crate) struct TextTrain {
    #[command(flatten)]
    pub(crate) run: Run,

    #[command(flatten)]
    pub(crate) options: TextOptions,
}

/// A language model and where to run it.
#[derive(Args, Debug)]
pub(crate) struct TextModel {
    /// Run directory, or a model.safetensors from one
    #[arg(
        long,
        value_name = "DIR|FILE",
        required_unless_present = "weights",
        conflicts_with_all = ["weights", "config", "tokenizer"],
        help_heading = "Model"
    )]
    pub(crate) run: Option<PathBuf>,

    /// A public checkpoint of GPT-2 or Llama: a file, or a folder as on Hugging Face
    #[arg(long, value_name = "FILE|FOLDER", help_heading = "Model")]
    pub(crate) weights: Option<PathBuf>,

    /// Its configuration: a file, or a name from `libellus model list` [default: config.json beside it]
    #[arg(long, value_name = "FILE|NAME", help_heading = "Model")]
    pub(crate) config: Option<String>,

    /// Its tokenizer: tokenizer.json, vocab.json with merges.txt beside it, or *.tiktoken [default: the one beside it]
    #[arg(long, value_name = "FILE", help_heading = "Model")]
    pub(crate) tokenizer: Option<PathBuf>,

    /// A LoRA adapter of the model: a folder with adapter_config.json, as PEFT writes it
    #[arg(long, value_name = "FOLDER", help_heading = "Model")]
    pub(crate) adapter: Option<PathBuf>,

    /// In what precision linear layers compute
    #[arg(long, value_enum, default_value_t = WeightPrecision::F32, help_heading = "Model")]
    pub(crate) precision: WeightPrecision,

    #[command(flatten)]
    pub(crate) compute: Compute,
}

#[derive(Args, Debug)]
pub(crate) struct Generate {
    #[command(flatten)]
    pub(crate) model: TextModel,

    /// What the text begins with [default: an empty line]
    #[arg(long, value_name = "TEXT", help_heading = "Prompt")]
    pub(crate) prompt: Option<String>,

    /// A file with the prompt, or `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "prompt", help_heading = "Prompt")]
    pub(crate) prompt_file: Option<PathBuf>,

    /// The most tokens to generate
    #[arg(long, value_name = "N", default_value_t = 256, help_heading = "Text")]
    pub(crate) max_tokens: usize,

    /// End the text before this string; may be given several times
    #[arg(long, value_name = "TEXT", help_heading = "Text")]
    pub(crate) stop: Vec<String>,

    /// How many texts
    #[arg(long, short, value_name = "N", default_value_t = 1, help_heading = "Text")]
    pub(crate) n: usize,

    /// When the model's context is full, go on with the last half of it
    #[arg(long, help_heading = "Text")]
    pub(crate) slide: bool,

    /// 0 takes the likeliest token each time, 1 draws from the model's own probabilities
    /// [default: 0.8, with --beams 0]
    #[arg(long, allow_negative_numbers = true, value_name = "T", help_heading = "Choice of tokens")]
    pub(crate) temperature: Option<f64>,

    /// Only the K likeliest tokens
    #[arg(long, value_name = "K", help_heading = "Choice of tokens")]
    pub(crate) top_k: Option<usize>,

    /// Only the likeliest tokens that together have this probability
    #[arg(long, allow_negative_numbers = true, value_name = "P", help_heading = "Choice of tokens")]
    pub(crate) top_p: Option<f64>,

    /// Only tokens at least this many times as likely as the likeliest
    #[arg(long, allow_negative_numbers = true, value_name = "P", help_heading = "Choice of tokens")]
    pub(crate) min_p: Option<f64>,

    /// Only tokens about as surprising as the model expects, that together have this probability
    #[arg(long, allow_negative_numbers = true, value_name = "P", help_heading = "Choice of tokens")]
    pub(crate) typical_p: Option<f64>,

    /// Makes tokens less likely that are in the prompt or the text: above 1
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "FACTOR",
        default_value_t = 1.0,
        help_heading = "Choice of tokens"
    )]
    pub(crate) repetition_penalty: f64,

    /// Taken from the logits of tokens that are in the text
    #[arg(
        long,
        value_name = "X",
        default_value_t = 0.0,
        allow_negative_numbers = true,
        help_heading = "Choice of tokens"
    )]
    pub(crate) presence_penalty: f64,

    /// The same, for each time that they are in it
    #[arg(
        long,
        value_name = "X",
        default_value_t = 0.0,
        allow_negative_numbers = true,
        help_heading = "Choice of tokens"
    )]
    pub(crate) frequency_penalty: f64,

    /// Search for the likeliest texts with this many candidates, in place of drawing
    #[arg(long, value_name = "N", help_heading = "Choice of tokens")]
    pub(crate) beams: Option<usize>,

    /// Beams: above 0 favours longer texts
    #[arg(
        long,
        value_name = "X",
        default_value_t = 1.0,
        allow_negative_numbers = true,
        requires = "beams",
        help_heading = "Choice of tokens"
    )]
    pub(crate) length_penalty: f64,

    /// Seed of the random numbers
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Common")]
    pub(crate) seed: u64,
}

/// An encoder of sentences and where to run it.
#[derive(Args, Debug)]
pub(crate) struct Encoder {
    /// A public checkpoint of a BERT: a file, or a folder as on Hugging Face
    #[arg(long, value_name = "FILE|FOLDER", help_heading = "Model")]
    pub(crate) weights: PathBuf,

    /// Its configuration: a file, or a name from `libellus model list` [default: config.json beside it]
    #[arg(long, value_name = "FILE|NAME", help_heading = "Model")]
    pub(crate) config: Option<String>,

    /// Its tokenizer.json [default: the one beside it]
    #[arg(long, value_name = "FILE", help_heading = "Model")]
    pub(crate) tokenizer: Option<PathBuf>,

    /// In what precision linear layers compute
    #[arg(long, value_enum, default_value_t = WeightPrecision::F32, help_heading = "Model")]
    pub(crate) precision: WeightPrecision,

    /// Texts that are read at once
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) batch_size: usize,

    #[command(flatten)]
    pub(crate) compute: Compute,
}

#[derive(Args, Debug)]
pub(crate) struct Embed {
    #[command(flatten)]
    pub(crate) model: Encoder,

    /// A file with a text on each line, or `-` for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "texts", conflicts_with = "texts")]
    pub(crate) input: Option<PathBuf>,

    /// Write the vectors to this safetensors file, as `embeddings`, a row for each text
    #[arg(long, value_name = "FILE", required_unless_present = "json")]
    pub(crate) output: Option<PathBuf>,

    /// The texts
    #[arg(value_name = "TEXT")]
    pub(crate) texts: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Search {
    #[command(flatten)]
    pub(crate) model: Encoder,

    /// A file with a text on each line, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,

    /// How many lines to show, nearest first
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) top: usize,

    /// What to look for
    #[arg(value_name = "QUERY")]
    pub(crate) query: String,
}

#[derive(Args, Debug)]
pub(crate) struct TextEval {
    #[command(flatten)]
    pub(crate) model: TextModel,

    /// The text: a text file, a folder of .txt and .md files, or a .jsonl, .csv or .tsv file
    #[arg(long, value_name = "FILE|FOLDER")]
    pub(crate) corpus: PathBuf,

    /// jsonl, csv and tsv: the column that holds the text [default: text]
    #[arg(long, value_name = "NAME")]
    pub(crate) column: Option<String>,

    /// Tokens that the model sees at once [default: all that it can]
    #[arg(long, value_name = "TOKENS")]
    pub(crate) context: Option<usize>,

    /// How far the window moves each time; less takes longer and gives tokens more context
    /// [default: half of the context]
    #[arg(long, value_name = "TOKENS")]
    pub(crate) stride: Option<usize>,

    /// Windows that are read at once
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) batch_size: usize,
}

#[derive(Args, Debug)]
pub(crate) struct Score {
    #[command(flatten)]
    pub(crate) model: TextModel,

    /// What comes before
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: String,

    /// What may come after; mind the space in front
    #[arg(required = true, value_name = "CONTINUATION")]
    pub(crate) continuations: Vec<String>,
}
