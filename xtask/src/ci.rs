//! `cargo xtask ci`

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::cargo::{self, cargo};
use crate::test::Backend;
use crate::{docs, instructions, memcheck, packages, processors, test, tidy, valgrind, vulkan};

/// A check with a name.
type Step = (&'static str, fn() -> Result<()>);

/// Cheapest first, and so that later steps find what earlier ones compiled: clippy and rustdoc share the metadata of
/// all dependencies; everything from the tests on shares one build, with all backends.
const STEPS: [Step; 11] = [
    ("format", format),
    ("tidy", tidy::run),
    ("clippy", clippy),
    ("rustdoc", docs::api),
    ("tests", || test_on(Backend::Flex)),
    ("instruction counts", instruction_counts),
    ("kernels elsewhere", kernels_elsewhere),
    ("dashboard", dashboard),
    ("graphics driver", graphics_driver),
    ("tests on ndarray", || test_on(Backend::Ndarray)),
    ("tests on wgpu", || test_on(Backend::Wgpu)),
];

/// Runs every step, up to the first that fails.
pub(crate) fn run() -> Result<()> {
    let start = Instant::now();
    let mut times = Vec::new();
    for (number, (name, step)) in STEPS.iter().enumerate() {
        println!("\n==> {}/{} {name}", number + 1, STEPS.len());
        let step_start = Instant::now();
        let outcome = step();
        let time = step_start.elapsed();
        times.push((*name, time));
        println!("==> {name}: {} after {}", if outcome.is_ok() { "passed" } else { "FAILED" }, seconds(time));
        if outcome.is_err() {
            print_times(&times, start.elapsed());
            return outcome.with_context(|| format!("ci stopped at `{name}`"));
        }
    }
    print_times(&times, start.elapsed());
    println!("ci passed");
    Ok(())
}

fn print_times(times: &[(&str, Duration)], total: Duration) {
    println!();
    for (name, time) in times {
        println!("{name:<20} {:>9}", seconds(*time));
    }
    println!("{:<20} {:>9}", "together", seconds(total));
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn format() -> Result<()> {
    cargo::run(cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    cargo::run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

/// The one feature that nothing else here builds.
fn dashboard() -> Result<()> {
    cargo::run(cargo().args([
        "clippy",
        "--package",
        "libellus-cli",
        "--features",
        "tui",
        "--",
        "-D",
        "warnings",
    ]))
}

fn test_on(backend: Backend) -> Result<()> {
    test::run(&test::Options { backend: Some(backend), ..test::Options::default() })
}

/// Installs the software driver where it is missing.
fn graphics_driver() -> Result<()> {
    if vulkan::driver().is_ok() {
        println!("there is one");
        return Ok(());
    }
    packages::install(&vulkan::PACKAGES)?;
    vulkan::driver().map(drop)
}

/// Installs valgrind where it is missing.
fn instruction_counts() -> Result<()> {
    valgrind::provide()?;
    instructions::run(&instructions::Options::default())
}

/// Under valgrind, which has one thread, and meanwhile as on older processors.
fn kernels_elsewhere() -> Result<()> {
    processors::provide()?;
    let kernels = cargo::tests_of_kernels()?;
    let (memory, older) = thread::scope(|scope| {
        let older = scope.spawn(|| processors::tests(&kernels));
        (memcheck::tests(&kernels), older.join().expect("it returns its errors"))
    });
    memory.and(older)
}
