//! What the commands print: problems for people or machines, and colours where there is a terminal.

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use miette::{GraphicalReportHandler, GraphicalTheme};
use serde_json::{Value, json};

use crate::engine::problem::{Problem, Report, Severity};

/// For whom to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For machines: one JSON document on standard output.
    Json,
}

/// Good news.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Bad news.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Neither.
pub const FAINT: Style = Style::new().dimmed();
/// A name worth finding.
pub const NAME: Style = Style::new().bold();

/// Prints every problem to standard error, with excerpts of the source.
pub fn problems(report: &Report) {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode()).with_width(110);
    for problem in &report.problems {
        let mut text = String::new();
        match handler.render_report(&mut text, problem) {
            Ok(()) => anstream::eprintln!("{text}"),
            Err(_) => anstream::eprintln!("{problem}"),
        }
    }
    let (errors, warnings) = (report.errors().count(), report.warnings().count());
    if errors > 0 {
        anstream::eprintln!("{BAD}rejected{BAD:#}: {errors} errors, {warnings} warnings");
    }
}

/// A report for machines.
#[must_use]
pub fn report_json(report: &Report) -> Value {
    report.problems.iter().map(problem_json).collect()
}

fn problem_json(problem: &Problem) -> Value {
    let severity = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    json!({
        "severity": severity,
        "file": problem.file(),
        "line": problem.line(),
        "message": problem.message,
        "help": problem.help,
    })
}

/// Prints a JSON document to standard output.
pub fn json(value: &Value) {
    anstream::println!("{value:#}");
}

/// Prints why a command could not do its work.
pub fn failure(error: &dyn std::fmt::Display) {
    anstream::eprintln!("{BAD}error{BAD:#}: {error}");
}

/// What an error comes down to: the last of its causes.
pub fn innermost(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source()).last().unwrap_or(error).to_string()
}
