//! Ctrl-C as a request to stop at the next step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells the loop that it should save a checkpoint and stop.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

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
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the loop was asked to stop.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
