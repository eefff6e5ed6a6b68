//! Progress for a person: a bar on a terminal, plain lines in a log.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::clock::Clock;
use crate::history::Row;
use crate::observer::Observer;

/// Shows a run on stderr.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    terminal: bool,
    samples: u64,
    started: Instant,
    last_line: Instant,
    first_step: u64,
    train_loss: Option<f32>,
    best: &'static str,
    pending: Option<String>,
    /// Text that the weights of the pending line made.
    sample: Option<String>,
}

/// Lines in a log come at most this often between validations.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// A bar if stderr is a terminal, lines otherwise.
    pub fn new() -> Self {
        let terminal = io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let now = Instant::now();
        Self {
            bar,
            terminal,
            samples: 0,
            started: now,
            last_line: now,
            first_step: 0,
            train_loss: None,
            best: "",
            pending: None,
            sample: None,
        }
    }

    fn line(&self, text: &str) {
        if self.terminal {
            self.bar.println(text);
        } else {
            // A log can go away (a closed pipe); the run goes on without it.
            let _ = io::Write::write_all(&mut io::stderr(), format!("{text}\n").as_bytes());
        }
    }

    fn flush_pending(&mut self) {
        if let Some(text) = self.pending.take() {
            self.line(&format!("{text}{}", self.best));
            if let Some(sample) = self.sample.take() {
                self.line(&sample.lines().map(|line| format!("  | {line}\n")).collect::<String>());
            }
        }
        self.best = "";
    }

    fn rate(&self) -> f64 {
        self.samples as f64 / self.started.elapsed().as_secs_f64().max(1e-9)
    }
}

impl Observer for Progress {
    fn started(&mut self, clock: &Clock) {
        self.started = Instant::now();
        self.first_step = clock.step;
        if self.terminal {
            let style =
                ProgressStyle::with_template("{prefix} {bar:24.cyan/dim} {percent:>3}% {msg}, {eta} left");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─");
            self.bar = ProgressBar::with_draw_target(Some(clock.total_steps), ProgressDrawTarget::stderr())
                .with_style(style);
            self.bar.set_position(clock.step);
            self.bar.reset_eta();
        }
        if clock.step > 0 {
            self.line(&format!("resumed at step {} of {}", clock.step, clock.total_steps));
        }
    }

    fn stepped(&mut self, clock: &Clock, samples: usize) {
        self.samples += samples as u64;
        if self.terminal {
            let epochs = clock.total_steps.div_ceil(clock.steps_per_epoch);
            self.bar.set_prefix(format!("epoch {}/{epochs}", (clock.epoch() + 1).min(epochs)));
            let loss = self.train_loss.map(|loss| format!("loss {loss:.4}, ")).unwrap_or_default();
            self.bar.set_message(format!("{loss}{:.0}/s", self.rate()));
            self.bar.set_position(clock.step);
        } else if self.last_line.elapsed() > LINE_EVERY {
            self.flush_pending();
            self.last_line = Instant::now();
            let done = (clock.step - self.first_step).max(1) as f64;
            let left = self.started.elapsed().as_secs_f64() / done * (clock.total_steps - clock.step) as f64;
            let loss = self.train_loss.map(|loss| format!("  loss {loss:.4}")).unwrap_or_default();
            self.line(&format!(
                "step {}/{}{loss}  {:.0}/s  {} left",
                clock.step,
                clock.total_steps,
                self.rate(),
                HumanDuration(Duration::from_secs_f64(left))
            ));
        }
    }

    fn logged(&mut self, clock: &Clock, row: &Row) {
        match row {
            Row::Train { loss, .. } => self.train_loss = Some(*loss),
            Row::Evaluation { metrics, sample, .. } => {
                self.flush_pending();
                let train = self.train_loss.map(|loss| format!("  train loss {loss:.4}")).unwrap_or_default();
                let measured = if metrics.is_empty() { "" } else { "  validation" };
                let metrics: Vec<String> =
                    metrics.iter().map(|(name, value)| format!(" {name} {value:.4}")).collect();
                let metrics = format!("{measured}{}", metrics.join(" "));
                let epochs = clock.total_steps.div_ceil(clock.steps_per_epoch);
                let epoch = clock.epochs_done();
                self.pending = Some(format!("epoch {epoch:>5.1}/{epochs}{train}{metrics}"));
                self.sample.clone_from(sample);
                self.last_line = Instant::now();
            }
            Row::Flow { .. } => {}
        }
    }

    fn improved(&mut self, _clock: &Clock) {
        self.best = "  best";
        self.flush_pending();
    }

    fn finished(&mut self, _clock: &Clock) {
        self.flush_pending();
        self.bar.finish_and_clear();
    }
}
