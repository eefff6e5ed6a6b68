//! What all training commands have in common.

use std::path::Path;
use std::process::ExitCode;

use libellus::train::{Interrupt, Observer, OptionsError, Progress, RunSummary};

use crate::args::Common;
use crate::output::{Failure, INTERRUPTED, print, print_json};

/// Who watches a run: nobody, lines or a bar on stderr, or the dashboard on the whole terminal.
pub(crate) fn observer(
    common: &Common,
    tui: bool,
    interrupt: &Interrupt,
) -> Result<Box<dyn Observer>, Failure> {
    match (common.quiet, tui) {
        (true, _) => Ok(Box::new(())),
        (false, true) => dashboard(interrupt),
        (false, false) => Ok(Box::new(Progress::new())),
    }
}

#[cfg(feature = "tui")]
fn dashboard(interrupt: &Interrupt) -> Result<Box<dyn Observer>, Failure> {
    use std::io::{IsTerminal, stdin, stdout};
    if stdin().is_terminal() && stdout().is_terminal() {
        Ok(Box::new(libellus::train::Dashboard::new(interrupt.clone())))
    } else {
        Err(no_dashboard("the dashboard needs a terminal for both input and output"))
    }
}

#[cfg(not(feature = "tui"))]
fn dashboard(_interrupt: &Interrupt) -> Result<Box<dyn Observer>, Failure> {
    Err(no_dashboard(
        "this build has no dashboard; `cargo build --release --features tui` makes one that has",
    ))
}

fn no_dashboard(reason: &str) -> Failure {
    Failure::Options(OptionsError::option("tui", "", reason))
}

/// The command as it was typed, for the report.
pub(crate) fn command_line() -> String {
    let words = std::env::args().skip(1).map(|word| {
        if word.chars().any(|c| c.is_whitespace() || "'\"$\\*?".contains(c)) {
            format!("'{word}'")
        } else {
            word
        }
    });
    std::iter::once("libellus".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// What a training command says of its run.
pub(crate) struct Ended<'a> {
    /// The command, without its options.
    pub(crate) verb: &'a str,
    pub(crate) folder: &'a Path,
    /// `None` when it was interrupted.
    pub(crate) summary: Option<&'a RunSummary>,
    /// Which metrics to print, and what to call them.
    pub(crate) metrics: &'a [(&'a str, &'a str)],
    /// A text that the model made.
    pub(crate) sample: &'a str,
    /// The command that uses the model.
    pub(crate) usage: &'a str,
}

impl Ended<'_> {
    pub(crate) fn print(&self, common: &Common) -> Result<ExitCode, Failure> {
        let Self { verb, folder, metrics, sample, usage, .. } = self;
        let folder = folder.display();
        let Some(summary) = self.summary else {
            eprintln!("stopped; a checkpoint is saved. Go on with: {verb} --resume {folder}");
            return Ok(ExitCode::from(INTERRUPTED));
        };
        if common.json {
            print_json(summary)?;
            return Ok(ExitCode::SUCCESS);
        }
        let metrics: Vec<String> = metrics
            .iter()
            .filter_map(|(name, label)| Some(format!("{label} {:.4}", summary.metrics.get(*name)?)))
            .collect();
        let sample = match sample.trim_matches('\n') {
            "" => String::new(),
            sample => format!("\n{sample}\n\n"),
        };
        print(&format!("{}\n{sample}report: {folder}/report.html\nuse it: {usage}\n", metrics.join("   ")))?;
        Ok(ExitCode::SUCCESS)
    }
}
