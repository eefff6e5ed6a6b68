//! Ctrl-C as a request to stop at the next step.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Tells the loop that it should save a checkpoint and stop.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<State>);

#[derive(Default)]
struct State {
    requested: AtomicBool,
    before_exit: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl std::fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interrupt").field("requested", &self.is_requested()).finish_non_exhaustive()
    }
}

impl Interrupt {
    /// One that fires only when [`request`](Interrupt::request) is called.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that fires on Ctrl-C (and on a polite `kill`). A second Ctrl-C ends the process at once, with exit code 130.
    /// A process can have one only; where the handler can't be set, Ctrl-C keeps its usual effect.
    pub fn on_ctrl_c() -> Self {
        let interrupt = Self::new();
        let handler = interrupt.clone();
        let set = ctrlc::set_handler(move || {
            if handler.is_requested() {
                let restore = handler.0.before_exit.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(restore) = restore {
                    restore();
                }
                std::process::exit(130);
            }
            handler.request();
        });
        if let Err(error) = set {
            tracing::warn!(%error, "Ctrl-C will end the program without a checkpoint");
        }
        interrupt
    }

    /// Asks the loop to stop.
    pub fn request(&self) {
        self.0.requested.store(true, Ordering::Relaxed);
    }

    /// Whether the loop was asked to stop.
    pub fn is_requested(&self) -> bool {
        self.0.requested.load(Ordering::Relaxed)
    }

    /// What a second Ctrl-C does before it ends the process, such as giving the terminal back.
    pub fn before_exit(&self, restore: impl FnOnce() + Send + 'static) {
        let mut before_exit = self.0.before_exit.lock().unwrap_or_else(PoisonError::into_inner);
        *before_exit = Some(Box::new(restore));
    }
}
