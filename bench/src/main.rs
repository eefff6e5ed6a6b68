//! What `cargo xtask bench` measures of this project, as a process that waits to be told, on two threads or `--threads N`.
//!
//! It reads a command per line and answers with a line, so that two processes can be measured in turns:
//!
//! | command | answer |
//! |---|---|
//! | `list` | the names of all cases |
//! | `prepare NAME` | `ready`, once the case's tensors are made and it has run twice, or `unknown` |
//! | `run SECONDS` | the milliseconds of each repetition, of which there is at least one |
//! | `repeat N` | the same for N repetitions |
//! | `memory` | the most memory that the process has had so far, in bytes |
//!
//! A case is named for what it does and its shape, such as `gelu/8x256x3072` or `resnet18/train/b8`.
#![expect(clippy::print_stdout, reason = "the answers")]

mod case;
mod networks;
mod operations;

use std::env::args;
use std::error::Error;
use std::io::stdin;
use std::time::{Duration, Instant};

use libellus_backend::{DeviceName, set_threads};
use libellus_kernels::{CacheLineAllocator, keep_freed_memory};

use case::{Case, Run};

/// The program's.
#[global_allocator]
static ALLOCATOR: CacheLineAllocator = CacheLineAllocator;

fn main() -> Result<(), Box<dyn Error>> {
    // As the program does.
    keep_freed_memory();
    let arguments: Vec<String> = args().skip(1).collect();
    set_threads(Some(match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => 2,
        ["--threads", threads] => threads.parse()?,
        _ => return Err("usage: libellus-bench [--threads N]".into()),
    }));
    let device = "flex".parse::<DeviceName>()?.open()?;
    let cases: Vec<Case> = operations::cases().into_iter().chain(networks::cases()).collect();
    let mut prepared: Option<Run> = None;
    for line in stdin().lines() {
        let line = line?;
        let (command, argument) = line.split_once(' ').unwrap_or((&line, ""));
        match command {
            "list" => println!("{}", cases.iter().map(Case::name).collect::<Vec<_>>().join(" ")),
            "prepare" => {
                // The one before makes room first.
                prepared = None;
                match cases.iter().find(|case| case.name() == argument) {
                    Some(case) => {
                        device.seed(0);
                        let mut run = case.prepare(&device);
                        run();
                        run();
                        prepared = Some(run);
                        println!("ready");
                    }
                    None => println!("unknown"),
                }
            }
            "run" => {
                let run = prepared.as_mut().ok_or("nothing is prepared")?;
                let (begin, time) = (Instant::now(), Duration::from_secs_f64(argument.parse()?));
                let mut times = vec![repetition(run)];
                while begin.elapsed() < time {
                    times.push(repetition(run));
                }
                println!("{}", times.join(" "));
            }
            "repeat" => {
                let run = prepared.as_mut().ok_or("nothing is prepared")?;
                let times: Vec<String> = (0..argument.parse()?).map(|_: u64| repetition(run)).collect();
                println!("{}", times.join(" "));
            }
            "memory" => println!("{}", peak_memory()?),
            _ => return Err(format!("unknown command: {line}").into()),
        }
    }
    Ok(())
}

/// The milliseconds that it takes.
fn repetition(run: &mut Run) -> String {
    let start = Instant::now();
    run();
    format!("{:.5}", start.elapsed().as_secs_f64() * 1e3)
}

/// Linux's high-water mark of this process.
fn peak_memory() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}
