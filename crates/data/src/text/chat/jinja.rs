//! Jinja as transformers sets it up, on a budget.

use std::{
    collections::BTreeMap,
    error::Error as StdError,
    fmt, io,
    sync::{LazyLock, mpsc},
    thread,
    time::Duration,
};

use chrono::format::StrftimeItems;
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, State, Value,
    syntax::SyntaxConfig,
    value::{Kwargs, Serde},
};
use minijinja_contrib::pycompat::unknown_method_callback;
use regex::Regex;
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};

use super::ChatMessage;

/// What a template may do: about so many instructions, or text of 64 times as many bytes, together. A conversation of a hundred
/// turns takes a tenth of it.
const FUEL: u64 = 200_000;

/// The engine goes down one level of its stack for each level of what a template nests, which [`FUEL`] and the length of a template
/// limit: 130,000 levels of less than a kilobyte. Memory is taken as it is used.
const STACK: usize = 256 << 20;

/// Comparing lists within lists, and writing them as text, costs less fuel than it should. A template takes milliseconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The widest that JSON is indented.
const MAX_INDENT: usize = 16;

/// Named in the messages of the engine, with a line.
const NAME: &str = "template";

/// What a template sees.
#[derive(Serialize)]
pub(super) struct Conversation<'a> {
    pub(super) messages: &'a [ChatMessage],
    pub(super) tools: (),
    pub(super) documents: (),
    pub(super) add_generation_prompt: bool,
    #[serde(flatten)]
    pub(super) special: &'a BTreeMap<String, String>,
}

/// Why a conversation can't be rendered.
pub(super) enum Problem {
    /// The template's own words.
    Refused(String),
    /// The engine's.
    Failed(Box<dyn StdError + Send + Sync>),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
        while let Some(error) = cause {
            if let Some(Refusal(reason)) = error.downcast_ref() {
                return Self::Refused(reason.clone());
            }
            cause = error.source();
        }
        Self::Failed(error.into())
    }
}

/// Renders a template, on a thread with a stack that is deep enough for any.
pub(super) fn render(
    source: &str,
    conversation: &Conversation<'_>,
    patience: Duration,
) -> Result<String, Problem> {
    let source = prepared(source);
    let context = Value::from(Serde(conversation));
    let (sender, receiver) = mpsc::sync_channel(1);
    // Not scoped: a template that doesn't end is left behind.
    let work = move || {
        let environment = environment();
        let template = environment.template_from_named_str(NAME, &source);
        // Nobody listens any more if it took too long.
        _ = sender.send(template.and_then(|template| template.render(context)));
    };
    let spawned = thread::Builder::new().name("chat template".into()).stack_size(STACK).spawn(work);
    spawned.map_err(|error| Problem::Failed(error.into()))?;
    match receiver.recv_timeout(patience) {
        Ok(rendered) => Ok(rendered?),
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Err(Problem::Failed(format!("it works for more than {} seconds", patience.as_secs()).into()))
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(Problem::Failed("the engine failed".into())),
    }
}

/// The source with line ends as Jinja reads them, and without transformers' own statement `generation`, which marks what the model
/// has said and changes nothing else.
fn prepared(source: &str) -> String {
    static GENERATION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}").expect("the pattern is a constant")
    });
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    // Like it, `with` is a scope of its own.
    GENERATION.replace_all(&source, "{%$1 ${2}with $3%}").into_owned()
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the delimiters are the usual ones"));
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.add_filter("tojson", to_json);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", strftime_now);
    environment
}

/// What a template says when it doesn't take a conversation.
#[derive(Debug)]
struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Refusal {}

fn raise_exception(reason: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, "the template raised an exception")
        .with_source(Refusal(reason)))
}

/// The local time, in C's notation.
fn strftime_now(format: &str) -> Result<String, Error> {
    let wrong = |error| {
        Error::new(ErrorKind::InvalidOperation, format!("{format:?} is no format of a date"))
            .with_source(error)
    };
    let items = StrftimeItems::new(format).parse().map_err(wrong)?;
    Ok(chrono::Local::now().format_with_items(items.iter()).to_string())
}

/// JSON as Python writes it: a space after `,` and `:`, and nothing escaped for HTML.
fn to_json(state: &State, value: &Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let wrong = |problem: &str| Err(Error::new(ErrorKind::InvalidOperation, problem.to_owned()));
    if options.get::<Option<bool>>("ensure_ascii")? == Some(true) {
        return wrong("tojson(ensure_ascii=true) isn't supported");
    }
    options.assert_all_used()?;
    let mut out = Metered { state, out: Vec::new() };
    let written = match indent {
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Spaced)),
        Some(indent @ 0..=MAX_INDENT) => {
            let indent = " ".repeat(indent);
            let formatter = PrettyFormatter::with_indent(indent.as_bytes());
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))
        }
        Some(_) => return wrong("tojson indents by 16 at most"),
    };
    written.map_err(|error| Error::new(ErrorKind::BadSerialization, "tojson failed").with_source(error))?;
    Ok(Value::from(String::from_utf8_lossy(&out.out).into_owned()))
}

/// `[1, 2]` and `{"a": 1}`.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

/// Text that is paid for while it grows: a small list of lists may be a long text.
struct Metered<'a, 'b> {
    state: &'a State<'b, 'b>,
    out: Vec<u8>,
}

impl io::Write for Metered<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.state.consume_fuel(1 + bytes.len() as u64 / 64).map_err(io::Error::other)?;
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
