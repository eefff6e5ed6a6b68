//! The `libellus` program: arguments, printing, exit codes. What it does is in the libraries.

#![expect(clippy::print_stderr, reason = "a program says on stderr what went wrong")]

mod args;
mod classify;
mod data;
mod device;
mod model;
mod output;
mod run;
mod text;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use libellus::kernels::{CacheLineAllocator, keep_freed_memory};

use crate::args::{Application, Cli};
use crate::output::Failure;

#[global_allocator]
static ALLOCATOR: CacheLineAllocator = CacheLineAllocator;

fn main() -> ExitCode {
    keep_freed_memory();
    let cli = Cli::parse();
    start_log(&cli);
    let result = match &cli.application {
        Application::Classify(command) => classify::run(command, &cli.common),
        Application::Text(command) => text::run(command, &cli.common),
        Application::Data(command) => data::run(command, &cli.common),
        Application::Model(command) => model::run(command, &cli.common),
        Application::Device(command) => device::run(command, &cli.common),
    };
    match result {
        Ok(code) => code,
        // A reader that has seen enough (`| head`) is no failure.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

/// Events of the libraries go to stderr: warnings always, more with `LIBELLUS_LOG` (such as `debug` or `libellus_train=trace`).
fn start_log(cli: &Cli) {
    let default = if cli.common.quiet { "error" } else { "warn" };
    let filter = std::env::var("LIBELLUS_LOG").unwrap_or_else(|_| default.to_owned());
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        .init();
}
