//! A bar for people who wait for a load.

use std::io::{IsTerminal as _, stderr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::Format;
use crate::engine::progress::Progress;

/// A load that is over by then needs no bar.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often the bar moves.
const STEP: Duration = Duration::from_millis(100);
const LOOK: &str = "loading entities [{bar:40}] {percent}% {msg}";

/// Shows how far loading has come until it is dropped: on a terminal, to people.
#[derive(Debug)]
pub struct Bar {
    running: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Bar {
    /// Begins to watch.
    pub fn watch(progress: &Arc<Progress>, format: Format) -> Self {
        let wanted = format == Format::Text && stderr().is_terminal();
        let running = wanted.then(|| {
            let (over, ends) = channel();
            let progress = Arc::clone(progress);
            (over, spawn(move || show(&progress, &ends)))
        });
        Self { running }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((over, thread)) = self.running.take() {
            drop(over);
            // A bar that could not be drawn is no reason to fail.
            drop(thread.join());
        }
    }
}

fn show(progress: &Progress, ends: &Receiver<()>) {
    if ends.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(LOOK) {
        bar.set_style(style.progress_chars("=> "));
    }
    while ends.recv_timeout(STEP) == Err(RecvTimeoutError::Timeout) {
        if progress.total() > 0 {
            bar.set_length(progress.total());
            bar.set_message(HumanCount(progress.entities()).to_string());
            bar.set_position(progress.bytes());
        }
    }
    bar.finish_and_clear();
}
