//! The workspace's own tasks: `cargo xtask test | tidy | docs | parity | bench | instructions | memcheck | processors | ci`.
#![expect(clippy::print_stdout, reason = "the tasks report on the terminal")]

mod bench;
mod cargo;
mod ci;
mod docs;
mod instructions;
mod memcheck;
mod packages;
mod parity;
mod processors;
mod python;
mod test;
mod tidy;
mod valgrind;
mod vulkan;

use std::process::ExitCode;

use clap::Parser;

/// Tests and checks of the Libellus workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Runs the tests: unit, integration and documentation tests of every crate
    Test(test::Options),
    /// Checks what compilers don't: dependency arrows, the anatomy of crates, pins, stray files
    Tidy,
    /// Builds the API documentation, with warnings as errors, and the book where mdbook is installed
    Docs,
    /// Compares every model with its reference implementation at full size; needs Python and 20 GB of memory
    Parity(parity::Options),
    /// Times operations, layers and models, in turns with PyTorch or ONNX Runtime if asked to
    Bench(bench::Options),
    /// Counts the instructions of a few kernels, and compares them with those that are kept; needs valgrind
    Instructions(instructions::Options),
    /// Runs the unit tests of the kernels under valgrind, which watches their memory
    Memcheck,
    /// Runs the unit tests of the kernels as on older processors; needs qemu
    Processors,
    /// Everything that has to pass before a change is merged, cheapest first
    Ci,
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Test(options) => test::run(&options),
        Task::Tidy => tidy::run(),
        Task::Docs => docs::run(),
        Task::Parity(options) => parity::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Instructions(options) => instructions::run(&options),
        Task::Memcheck => memcheck::run(),
        Task::Processors => processors::run(),
        Task::Ci => ci::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
