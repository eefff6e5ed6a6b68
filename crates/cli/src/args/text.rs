//! `libellus text` on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use libellus::text::classify::TextClassifyOptions;
use libellus::text::contrast::ContrastOptions;
use libellus::text::translate::TranslateOptions;
use libellus::text::{FinetuneOptions, TrainOptions as TextOptions};

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
    /// Train a model further: all of it, or a low-rank change (LoRA)
    #[command(after_help = "Examples:\n  \
        libellus text finetune --weights gpt2/ --corpus answers.jsonl --lora r=8,alpha=16\n  \
        libellus text finetune --weights smollm2-instruct/ --corpus chats.jsonl --lora targets=all-linear --merge\n  \
        libellus text finetune --run runs/text-book-1 --corpus letters.txt --epochs 1")]
    Finetune(Box<TextFinetune>),
    /// Continue a prompt
    #[command(after_help = "Examples:\n  \
        libellus text generate --run runs/text-book-1\n  \
        libellus text generate --weights gpt2/ --prompt 'The little book' --max-tokens 50 --top-k 40\n  \
        libellus text generate --weights smollm2-instruct/ --chat --prompt 'What is a tensor?'\n  \
        libellus text generate --weights smollm2-instruct/ --chat\n  \
        libellus text generate --run runs/text-book-1 --prompt 'A tensor' --temperature 0 --json")]
    Generate(Box<Generate>),
    /// Measure how well a model expects a text: perplexity, bits per character
    #[command(after_help = "Example:\n  libellus text eval --run runs/text-book-1 --corpus other.txt")]
    Eval(TextEval),
    /// Rank continuations of a prompt by how likely they are
    #[command(after_help = "Example:\n  \
        libellus text score --weights gpt2/ --prompt 'Paris is the capital of' ' France.' ' Spain.'")]
    Score(Score),
    /// Learn to write one text from another, as a translation or the sounds of a word
    #[command(subcommand)]
    Translate(Translate),
    /// Tell which class a text belongs to
    #[command(subcommand)]
    Classify(TextClassify),
    /// Turn sentences into vectors
    #[command(after_help = "Examples:\n  \
        libellus text embed --weights all-MiniLM-L6-v2/ --input lines.txt --output vectors.safetensors\n  \
        libellus text embed --weights all-MiniLM-L6-v2/ --json 'A cat sits.' 'Ein Hund läuft.'")]
    Embed(Embed),
    /// Teach a sentence encoder which texts are near each other
    #[command(after_help = "Examples:\n  \
        libellus text contrast --weights all-MiniLM-L6-v2/ --data questions-answers.csv\n  \
        libellus text contrast --weights all-MiniLM-L6-v2/ --data triplets.jsonl --loss triplet")]
    Contrast(Box<TextContrast>),
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

#[derive(Args, Debug)]
pub(crate) struct TextFinetune {
    #[command(flatten)]
    pub(crate) place: Run,

    #[command(flatten)]
    pub(crate) options: FinetuneOptions,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Translate {
    /// Train a model on pairs of texts
    #[command(after_help = "Examples:\n  \
        libellus text translate train --data english-german.tsv\n  \
        libellus text translate train --data cmudict.dict --model gru\n  \
        libellus text translate train --source train.en --target train.de --tokenizer bpe:16000")]
    Train(Box<TranslateTrain>),
    /// Measure a trained model: BLEU, error rates
    #[command(
        after_help = "Example:\n  libellus text translate eval --run runs/translate-cmudict-1 --beams 8"
    )]
    Eval(TranslateEval),
    /// Translate texts
    #[command(after_help = "Examples:\n  \
        libellus text translate predict --run runs/translate-cmudict-1 libellus\n  \
        libellus text translate predict --run runs/translate-english-german-1 --input letter.txt")]
    Predict(TranslatePredict),
}

#[derive(Args, Debug)]
pub(crate) struct TranslateTrain {
    #[command(flatten)]
    pub(crate) place: Run,

    #[command(flatten)]
    pub(crate) options: TranslateOptions,
}

#[derive(Subcommand, Debug)]
pub(crate) enum TextClassify {
    /// Train a model on a table of texts and their classes
    #[command(after_help = "Examples:\n  \
        libellus text classify train --data reviews.csv\n  \
        libellus text classify train --data reviews.csv --weights all-MiniLM-L6-v2/\n  \
        libellus text classify train --data mails.jsonl --text-column body --label-column folder --model lstm")]
    Train(Box<TextClassifyTrain>),
    /// Measure a trained model on another table
    #[command(
        after_help = "Example:\n  libellus text classify eval --run runs/classify-reviews-1 --data more.csv"
    )]
    Eval(TextClassifyEval),
    /// Classify texts
    #[command(after_help = "Examples:\n  \
        libellus text classify predict --run runs/classify-reviews-1 'I would read it again.'\n  \
        libellus text classify predict --run runs/classify-reviews-1 --input lines.txt --json")]
    Predict(TextClassifyPredict),
}

#[derive(Args, Debug)]
pub(crate) struct TextClassifyTrain {
    #[command(flatten)]
    pub(crate) place: Run,

    #[command(flatten)]
    pub(crate) options: TextClassifyOptions,
}

/// A model that classifies texts, and where to run it.
#[derive(Args, Debug)]
pub(crate) struct TextClassifierModel {
    /// Run directory, or a model.safetensors from one
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) run: PathBuf,

    /// Texts that are read at once
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) batch_size: usize,

    /// In what precision linear layers compute
    #[arg(long, value_enum, default_value_t = WeightPrecision::F32)]
    pub(crate) precision: WeightPrecision,

    #[command(flatten)]
    pub(crate) compute: Compute,
}

#[derive(Args, Debug)]
pub(crate) struct TextClassifyEval {
    #[command(flatten)]
    pub(crate) model: TextClassifierModel,

    /// A .csv, .tsv or .jsonl file with a column of texts and one of classes
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,

    /// The column of texts
    #[arg(long, value_name = "NAME", default_value = "text")]
    pub(crate) text_column: String,

    /// The column of classes
    #[arg(long, value_name = "NAME", default_value = "label")]
    pub(crate) label_column: String,
}

#[derive(Args, Debug)]
pub(crate) struct TextClassifyPredict {
    #[command(flatten)]
    pub(crate) model: TextClassifierModel,

    /// A file with a text on each line, or `-` for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "texts", conflicts_with = "texts")]
    pub(crate) input: Option<PathBuf>,

    /// How many classes to name for each text, most probable first
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) top: usize,

    /// The texts
    #[arg(value_name = "TEXT")]
    pub(crate) texts: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct TextContrast {
    #[command(flatten)]
    pub(crate) place: Run,

    #[command(flatten)]
    pub(crate) options: ContrastOptions,
}

/// A model that translates, how, and where to run it.
#[derive(Args, Debug)]
pub(crate) struct TranslatorModel {
    /// Run directory, or a model.safetensors from one
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) run: PathBuf,

    /// Translations that are searched for side by side; 1 takes the likeliest token each time
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(crate) beams: usize,

    /// Beams: above 0 favours longer translations
    #[arg(long, value_name = "X", default_value_t = 1.0, allow_negative_numbers = true)]
    pub(crate) length_penalty: f64,

    /// The most tokens of a translation [default: twice those of its source and 10]
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<usize>,

    /// Texts that are translated at once
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) batch_size: usize,

    /// In what precision linear layers compute
    #[arg(long, value_enum, default_value_t = WeightPrecision::F32)]
    pub(crate) precision: WeightPrecision,

    #[command(flatten)]
    pub(crate) compute: Compute,
}

#[derive(Args, Debug)]
pub(crate) struct TranslateEval {
    #[command(flatten)]
    pub(crate) model: TranslatorModel,

    /// Pairs to measure on, in the forms that training takes [default: those that the run held back]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["source", "target"])]
    pub(crate) data: Option<PathBuf>,

    /// What is translated, line by line, in place of --data
    #[arg(long, value_name = "FILE", requires = "target")]
    pub(crate) source: Option<PathBuf>,

    /// Its translations, line by line
    #[arg(long, value_name = "FILE", requires = "source")]
    pub(crate) target: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct TranslatePredict {
    #[command(flatten)]
    pub(crate) model: TranslatorModel,

    /// A file with a text on each line, or `-` for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "texts", conflicts_with = "texts")]
    pub(crate) input: Option<PathBuf>,

    /// The texts
    #[arg(value_name = "TEXT")]
    pub(crate) texts: Vec<String>,
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

    /// Its configuration: a file, or a name from `libellus model list` [default: what it says itself, or config.json beside it]
    #[arg(long, value_name = "FILE|NAME", help_heading = "Model")]
    pub(crate) config: Option<String>,

    /// Its tokenizer: tokenizer.json, vocab.json with merges.txt beside it, *.tiktoken or *.gguf [default: the one in it or
    /// beside it]
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

    /// Let the model answer: the prompt is a user's message, which the checkpoint's chat template puts into form.
    /// Without a prompt, each line of the standard input is answered, in one conversation
    #[arg(long, help_heading = "Prompt")]
    pub(crate) chat: bool,

    /// --chat: what the model is told first, if its template has a place for that
    #[arg(long, value_name = "TEXT", requires = "chat", help_heading = "Prompt")]
    pub(crate) system: Option<String>,

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
    #[arg(long, value_name = "FILE|FOLDER", required_unless_present = "run", help_heading = "Model")]
    pub(crate) weights: Option<PathBuf>,

    /// What `libellus text contrast` made, in its place: a run directory, or a model.safetensors from one
    #[arg(
        long,
        value_name = "DIR|FILE",
        conflicts_with_all = ["weights", "config", "tokenizer"],
        help_heading = "Model"
    )]
    pub(crate) run: Option<PathBuf>,

    /// Its configuration: a file, or a name from `libellus model list` [default: what it says itself, or config.json beside it]
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
