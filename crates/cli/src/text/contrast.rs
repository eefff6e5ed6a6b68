//! `libellus text contrast`.

use std::process::ExitCode;

use libellus::text::contrast::train;
use libellus::train::Interrupt;

use crate::args::{Common, TextContrast};
use crate::output::Failure;
use crate::run::{Ended, command_line, observer};

pub(super) fn run(command: &TextContrast, common: &Common) -> Result<ExitCode, Failure> {
    let options = command.place.options(&command.options)?;
    let interrupt = Interrupt::on_ctrl_c();
    let mut observer = observer(common, command.place.tui, &interrupt)?;
    let outcome = train(&options, &command.place.place(), &command_line(), &interrupt, observer.as_mut())?;
    drop(observer);
    let usage = format!("libellus text search --run {} --input FILE QUERY", outcome.run.display());
    let ended = Ended {
        verb: "libellus text contrast",
        folder: &outcome.run,
        summary: outcome.summary.as_ref(),
        metrics: &[
            ("accuracy", "own positive nearest"),
            ("accuracy_before", "before"),
            ("mean_reciprocal_rank", "mean reciprocal rank"),
            ("loss", "loss"),
        ],
        sample: "",
        usage: &usage,
    };
    ended.print(common)
}
