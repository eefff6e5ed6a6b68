//! `libellus text contrast`.

use std::process::ExitCode;

use libellus::text::contrast::{ContrastOptions, train};
use libellus::train::Interrupt;

use crate::args::{Common, TextContrast};
use crate::output::{Failure, INTERRUPTED, print, print_json};
use crate::run::{command_line, observer};

pub(super) fn run(command: &TextContrast, common: &Common) -> Result<ExitCode, Failure> {
    let file = match &command.place.config {
        Some(path) => ContrastOptions::from_file(path)?,
        None => ContrastOptions::default(),
    };
    let options = command.options.or(&file);
    let interrupt = Interrupt::on_ctrl_c();
    let mut observer = observer(common, command.place.tui, &interrupt)?;
    let outcome = train(&options, &command.place.place(), &command_line(), &interrupt, observer.as_mut())?;
    drop(observer);
    let folder = outcome.run.display();
    let Some(summary) = outcome.summary else {
        eprintln!("stopped; a checkpoint is saved. Go on with: libellus text contrast --resume {folder}");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    if common.json {
        print_json(&summary)?;
        return Ok(ExitCode::SUCCESS);
    }
    let metrics: Vec<String> = [
        ("accuracy", "own positive nearest"),
        ("accuracy_before", "before"),
        ("mean_reciprocal_rank", "mean reciprocal rank"),
        ("loss", "loss"),
    ]
    .into_iter()
    .filter_map(|(name, label)| Some(format!("{label} {:.4}", summary.metrics.get(name)?)))
    .collect();
    print(&format!(
        "{}\nreport: {folder}/report.html\nuse it: libellus text search --run {folder} --input FILE QUERY\n",
        metrics.join("   "),
    ))?;
    Ok(ExitCode::SUCCESS)
}
