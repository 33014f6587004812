//! The process's own log on standard error. Nothing of a request is in it.

use std::backtrace::Backtrace;
use std::io::{self, IsTerminal as _};
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Why the log cannot be written as asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is none.
    #[error(
        "`telemetry.level`: {0}; write a level (error, warn, info, debug, trace) or directives such as `info,mandate::store=debug`"
    )]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// Something else in the process writes the log already.
    #[error("the log is written already: {0}")]
    Taken(#[from] tracing_subscriber::util::TryInitError),
}

/// Whether lines are for people or for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Begins to write the log, panics included.
///
/// # Errors
/// [`LogError`]; nothing is written then.
pub fn begin(style: Style, level: &str) -> Result<(), LogError> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(level)?)
        .with_writer(io::stderr)
        // Where nobody reads the log any more, to say so there would be a panic of whoever had something to say.
        .log_internal_errors(false);
    match style {
        Style::Pretty => {
            lines.with_target(false).with_ansi(io::stderr().is_terminal()).finish().try_init()?
        }
        Style::Json => lines.json().flatten_event(true).finish().try_init()?,
    }
    std::panic::set_hook(Box::new(panicked));
    Ok(())
}

/// Where a panic happened, and how it got there. Its message may quote a request, so it is left out.
fn panicked(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current().name().unwrap_or_default().to_owned();
    tracing::error!(location, thread, backtrace = %Backtrace::force_capture(), "panic");
}
