//! `cargo xtask ci`

use std::env;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::cargo::{self, cargo, command};
use crate::test::Backend;
use crate::{docs, test, tidy, vulkan};

/// A check with a name.
type Step = (&'static str, fn() -> Result<()>);

/// Cheapest first, and so that later steps find what earlier ones compiled: clippy and rustdoc share the metadata of
/// all dependencies, both backends share one build.
const STEPS: [Step; 9] = [
    ("format", format),
    ("tidy", tidy::run),
    ("clippy", clippy),
    ("rustdoc", docs::api),
    ("tests", tests),
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

fn tests() -> Result<()> {
    test::run(&test::Options::default())
}

fn test_on(backend: Backend) -> Result<()> {
    test::run(&test::Options { backend: Some(backend), ..test::Options::default() })
}

/// Installs the software driver where it is missing and this may be done: as root or with `CI=true`.
fn graphics_driver() -> Result<()> {
    if vulkan::driver().is_ok() {
        println!("there is one");
        return Ok(());
    }
    let in_ci = env::var("CI").is_ok_and(|value| value == "true");
    let root = command("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    ensure!(in_ci || root, "install the driver first: apt-get install {}", vulkan::PACKAGES.join(" "));

    let apt = |arguments: &[&str]| {
        let mut words = if root { vec!["apt-get"] } else { vec!["sudo", "apt-get"] };
        words.extend(arguments);
        cargo::run(command(words[0]).args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "--quiet"])?;
    let [drivers, loader] = vulkan::PACKAGES;
    apt(&["install", "--quiet", "--yes", "--no-install-recommends", drivers, loader])?;
    vulkan::driver().map(drop)
}
