//! What all training commands have in common.

use libellus::train::{Interrupt, Observer, OptionsError, Progress};

use crate::args::Common;
use crate::output::Failure;

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
