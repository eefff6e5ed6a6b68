//! What the program says, and how it ends.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use libellus::backend::DeviceError;
use libellus::classify::ClassifyError;
use libellus::data::DataError;
use libellus::inspect::InspectError;
use libellus::text::TextError;
use libellus::train::OptionsError;
pub(crate) use libellus::train::report::thousands;
use serde::Serialize;

/// Exit code of a run that was asked to stop: 128 + SIGINT, as shells have it.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why the program ends without having done its job.
#[derive(Debug)]
pub(crate) enum Failure {
    Classify(ClassifyError),
    Text(TextError),
    Options(OptionsError),
    Data(DataError),
    Device(DeviceError),
    Inspect(InspectError),
    /// A file that was named can't be read.
    Input(String),
    /// Arguments that don't go together.
    Arguments(String),
    /// stdout could not be written.
    Output(std::io::Error),
}

impl Failure {
    /// 2 where the arguments or the configuration are wrong, 1 where the job failed.
    pub(crate) fn exit_code(&self) -> ExitCode {
        let wrong_arguments = match self {
            Self::Classify(error) => error.is_wrong_arguments(),
            Self::Text(error) => error.is_wrong_arguments(),
            Self::Inspect(error) => error.is_wrong_arguments(),
            Self::Options(error) => error.is_wrong_arguments(),
            Self::Device(_) | Self::Arguments(_) => true,
            Self::Data(_) | Self::Input(_) | Self::Output(_) => false,
        };
        ExitCode::from(if wrong_arguments { 2 } else { 1 })
    }
}

impl std::fmt::Display for Failure {
    /// One line: the error and its causes, each said once.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let error: &dyn Error = match self {
            Self::Classify(error) => error,
            Self::Text(error) => error,
            Self::Options(error) => error,
            Self::Data(error) => error,
            Self::Device(error) => error,
            Self::Inspect(error) => error,
            Self::Input(reason) | Self::Arguments(reason) => return f.write_str(reason),
            Self::Output(error) => return write!(f, "cannot write to standard output: {error}"),
        };
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let more = error.to_string();
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            cause = error.source();
        }
        f.write_str(&text.lines().map(str::trim).collect::<Vec<_>>().join(" "))
    }
}

impl From<ClassifyError> for Failure {
    fn from(error: ClassifyError) -> Self {
        Self::Classify(error)
    }
}

impl From<TextError> for Failure {
    fn from(error: TextError) -> Self {
        Self::Text(error)
    }
}

impl From<OptionsError> for Failure {
    fn from(error: OptionsError) -> Self {
        Self::Options(error)
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::Data(error)
    }
}

impl From<InspectError> for Failure {
    fn from(error: InspectError) -> Self {
        Self::Inspect(error)
    }
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}

/// Writes a result to stdout.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::Output)
}

/// Writes a result to stdout as JSON.
pub(crate) fn print_json<S: Serialize>(value: &S) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::Output(error.into()))?;
    print(&format!("{text}\n"))
}

/// A table with aligned columns: the first to the left, numbers to the right.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    align: Vec<Align>,
}

/// Which side of its column a cell keeps to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

impl Table {
    pub(crate) fn new<const N: usize>(columns: [(&str, Align); N]) -> Self {
        Self {
            rows: vec![columns.iter().map(|(title, _)| (*title).to_owned()).collect()],
            align: columns.iter().map(|(_, align)| *align).collect(),
        }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    pub(crate) fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.align.len())
            .map(|column| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), align) in row.iter().zip(&widths).zip(&self.align) {
                let padding = " ".repeat(width - cell.chars().count());
                match align {
                    Align::Left => write!(line, "{cell}{padding}  "),
                    Align::Right => write!(line, "{padding}{cell}  "),
                }
                .expect("writing to a string");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new([("name", Align::Left), ("size", Align::Right)]);
        table.row(["a".to_owned(), thousands(11_689_512)]);
        table.row(["long name".to_owned(), thousands(7)]);
        assert_eq!(table.render(), "name             size\na          11,689,512\nlong name           7\n");
    }
}
