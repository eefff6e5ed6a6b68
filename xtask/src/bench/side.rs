//! A process that is measured.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::root;

/// A process that answers the commands that `bench/src/main.rs` describes.
pub(super) struct Side {
    name: String,
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// ONNX Runtime's threads use a core for 50 ms after the end of a run, in case that there is another.
const PAUSE: Duration = Duration::from_millis(100);

/// The times of a case.
#[derive(Default)]
pub(super) struct Timing {
    /// The median of each turn, in milliseconds.
    pub(super) turns: Vec<f64>,
}

impl Timing {
    /// The lower quartile of the turns: other programs make some of them slower and none faster.
    pub(super) fn typical(&self) -> f64 {
        let mut turns = self.turns.clone();
        turns.sort_by(f64::total_cmp);
        turns.get(turns.len() / 4).copied().unwrap_or(f64::NAN)
    }
}

impl Side {
    pub(super) fn start(program: &OsStr, script: Option<&str>) -> Result<Self> {
        let name = script.map_or_else(|| program.to_string_lossy().into_owned(), str::to_owned);
        let mut child = Command::new(program)
            .args(script)
            .current_dir(root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't start {name}"))?;
        let (Some(commands), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("{name} has no input or output");
        };
        Ok(Self { name, child, commands, answers: BufReader::new(answers) })
    }

    pub(super) fn cases(&mut self) -> Result<Vec<String>> {
        Ok(self.ask("list")?.split_whitespace().map(str::to_owned).collect())
    }

    pub(super) fn prepare(&mut self, case: &str) -> Result<()> {
        let answer = self.ask(&format!("prepare {case}"))?;
        ensure!(answer == "ready", "{} says of {case}: {answer}", self.name);
        Ok(())
    }

    /// The median of the times of a turn, in milliseconds. It begins when the other side's threads are idle.
    pub(super) fn turn(&mut self, seconds: f64) -> Result<f64> {
        thread::sleep(PAUSE);
        let answer = self.ask(&format!("run {seconds}"))?;
        let mut times = answer.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().with_context(|| format!("{} gave no time", self.name))
    }

    /// The most memory that the process has had so far, in megabytes.
    pub(super) fn memory(&mut self) -> Result<f64> {
        let answer = self.ask("memory")?;
        let bytes: f64 =
            answer.parse().with_context(|| format!("{} says of its memory: {answer}", self.name))?;
        Ok(bytes / 1e6)
    }

    fn ask(&mut self, command: &str) -> Result<String> {
        writeln!(self.commands, "{command}").with_context(|| format!("{} has ended", self.name))?;
        self.commands.flush()?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        ensure!(answer.ends_with('\n'), "{} ended at `{command}`", self.name);
        Ok(answer.trim_end().to_owned())
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // It has nothing to save.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
