//! Progress as a dashboard on the whole terminal: burn-train's, driven from this loop.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, take_hook};
use std::sync::Arc;

use burn_train::Interrupter;
use burn_train::logger::TrainingProgressLogger;
use burn_train::metric::{
    MetricDefinition, MetricEntry, MetricId, NumericAttributes, NumericEntry, SerializedEntry,
};
use burn_train::renderer::tui::TuiMetricsRendererWrapper;
use burn_train::renderer::{MetricState, MetricsRenderer, MetricsRendererTraining};

use crate::clock::Clock;
use crate::history::Row;
use crate::interrupt::Interrupt;
use crate::observer::Observer;

/// Shows a run as burn-train's terminal dashboard, on stdout: progress, and a plot of each metric.
///
/// Its key `q` asks whether to stop; both of its answers save a checkpoint first, as Ctrl-C does. The terminal is back to
/// what it was when the run ends or the dashboard is dropped.
pub struct Dashboard {
    // Gone before the run begins and after it ends.
    renderer: Option<TuiMetricsRendererWrapper>,
    stopper: Interrupter,
    interrupt: Interrupt,
    metrics: BTreeMap<String, MetricId>,
    killed: bool,
}

impl std::fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dashboard").field("metrics", &self.metrics).finish_non_exhaustive()
    }
}

impl Dashboard {
    /// A dashboard that fires `interrupt` when a person stops the run with its keys.
    ///
    /// It opens when the run begins, so that errors before it are seen.
    pub fn new(interrupt: Interrupt) -> Self {
        Self {
            renderer: None,
            stopper: Interrupter::new(),
            interrupt,
            metrics: BTreeMap::new(),
            killed: false,
        }
    }

    /// Tells the renderer something.
    ///
    /// Its answer "stop the training immediately" is a panic, in its thread and in whichever thread calls it next. That
    /// panic ends here, as a request to stop like any other.
    fn tell(&mut self, what: impl FnOnce(&mut TuiMetricsRendererWrapper)) {
        let Some(mut renderer) = self.renderer.take() else { return };
        match catch_unwind(AssertUnwindSafe(|| what(&mut renderer))) {
            Ok(()) => self.renderer = Some(renderer),
            Err(_) => {
                // Dropping it would panic once more. Its thread is gone, and the terminal is as it was.
                std::mem::forget(renderer);
                // The hook that it left behind says nothing of any later panic.
                drop(take_hook());
                self.killed = true;
                self.interrupt.request();
            }
        }
    }

    fn show(&mut self, split: Split, name: &str, value: f64) {
        let metric = self.metrics.get(name).cloned();
        let metric = metric.unwrap_or_else(|| {
            let metric = MetricId::new(Arc::new(name.to_owned()));
            let definition = MetricDefinition {
                metric_id: metric.clone(),
                name: Arc::new(name.to_owned()),
                description: None,
                attributes: NumericAttributes { unit: None, higher_is_better: false }.into(),
            };
            self.tell(|renderer| renderer.register_metric(definition));
            self.metrics.insert(name.to_owned(), metric.clone());
            metric
        });
        let entry = MetricEntry::new(metric, SerializedEntry::new(format!("{value:.4e}"), value.to_string()));
        // A plot has no place for what is not a number.
        let point = value.is_finite().then_some(NumericEntry::Value(value));
        let state = MetricState::Numeric(entry, point);
        self.tell(|renderer| match split {
            Split::Train => renderer.update_train(state),
            Split::Validation => renderer.update_valid(state),
        });
    }
}

#[derive(Clone, Copy)]
enum Split {
    Train,
    Validation,
}

impl Observer for Dashboard {
    fn started(&mut self, clock: &Clock) {
        let before = terminal::settings();
        self.renderer = Some(TuiMetricsRendererWrapper::new(self.stopper.clone(), None));
        if let Some(before) = before {
            terminal::keep_ctrl_c(&before);
            self.interrupt.before_exit(move || terminal::restore(&before));
        }
        let epochs = clock.total_steps.div_ceil(clock.steps_per_epoch) as usize;
        let steps = clock.steps_per_epoch as usize;
        // It counts epochs from 1.
        let epoch = clock.epoch() as usize;
        self.tell(|renderer| {
            renderer.start(epochs, epoch + 1, None, None);
            renderer.start_split("train", steps);
        });
    }

    fn stepped(&mut self, clock: &Clock, _samples: usize) {
        if self.stopper.should_stop() {
            self.interrupt.request();
        }
        // The last step of an epoch belongs to it, not to the next one.
        let done = clock.step.saturating_sub(1);
        let (epoch, step) = (done / clock.steps_per_epoch, done % clock.steps_per_epoch + 1);
        self.tell(|renderer| {
            renderer.update_epoch(epoch as usize);
            renderer.update_split(step as usize);
        });
    }

    fn logged(&mut self, _clock: &Clock, row: &Row) {
        match row {
            Row::Train { loss, parts, gradient_norm, learning_rate, .. } => {
                self.show(Split::Train, "loss", f64::from(*loss));
                for (name, value) in parts {
                    self.show(Split::Train, name, f64::from(*value));
                }
                self.show(Split::Train, "gradient norm", f64::from(*gradient_norm));
                self.show(Split::Train, "learning rate", *learning_rate);
            }
            Row::Evaluation { metrics, .. } => {
                for (name, value) in metrics {
                    self.show(Split::Validation, name, *value);
                }
            }
            Row::Flow { .. } => {}
        }
    }

    fn finished(&mut self, _clock: &Clock) {
        self.close();
    }
}

impl Dashboard {
    fn close(&mut self) {
        // A stop that was asked for since the last step is still one.
        if self.stopper.should_stop() {
            self.interrupt.request();
        }
        // Dropping it says so to its thread, which can panic as above.
        if let Some(renderer) = self.renderer.take()
            && catch_unwind(AssertUnwindSafe(|| drop(renderer))).is_err()
        {
            drop(take_hook());
            self.killed = true;
            self.interrupt.request();
        }
        if std::mem::take(&mut self.killed) {
            terminal::erase_below();
        }
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.close();
    }
}

/// The terminal beside the dashboard's own handling of it.
#[cfg(unix)]
mod terminal {
    use std::io::{Write, stdin, stdout};
    use std::time::{Duration, Instant};

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    /// Leaves the alternate screen, stops the mouse's reports, shows the cursor.
    const PLAIN: &[u8] = b"\x1b[?1006l\x1b[?1015l\x1b[?1003l\x1b[?1002l\x1b[?1000l\x1b[?1049l\x1b[?25h";

    /// The settings from before the dashboard; `None` where stdin is no terminal.
    pub(super) fn settings() -> Option<Termios> {
        tcgetattr(stdin()).ok()
    }

    /// Gives Ctrl-C its meaning back, which the dashboard's raw mode takes away.
    ///
    /// The dashboard enters that mode in its own thread: wait for it, but not for ever.
    pub(super) fn keep_ctrl_c(before: &Termios) {
        if !before.local_modes.contains(LocalModes::ICANON) {
            return;
        }
        let deadline = Instant::now() + Duration::from_secs(1);
        while Instant::now() < deadline {
            let Ok(mut settings) = tcgetattr(stdin()) else { return };
            if !settings.local_modes.contains(LocalModes::ICANON) {
                settings.local_modes |= before.local_modes & LocalModes::ISIG;
                // Should it fail, the keys of the dashboard still stop the run.
                let _ = tcsetattr(stdin(), OptionalActions::Now, &settings);
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Removes the message of a kill. Both of its panics leave the alternate screen, and the second puts the cursor in front
    /// of what the first one said.
    pub(super) fn erase_below() {
        let mut out = stdout();
        let _ = out.write_all(b"\x1b[J").and_then(|()| out.flush());
    }

    /// Brings back what the dashboard found, without its help.
    pub(super) fn restore(before: &Termios) {
        let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        let mut out = stdout();
        let _ = out.write_all(PLAIN).and_then(|()| out.flush());
    }
}

/// Elsewhere the keys of the dashboard stop the run.
#[cfg(not(unix))]
mod terminal {
    pub(super) fn settings() -> Option<()> {
        None
    }

    pub(super) fn keep_ctrl_c((): &()) {}

    pub(super) fn restore((): &()) {}

    pub(super) fn erase_below() {}
}
