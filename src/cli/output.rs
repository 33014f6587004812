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

/// Most problems of one severity that people are shown; machines get all of them.
const MAX_SHOWN: usize = 100;

/// Prints the problems to standard error, with excerpts of the source.
pub fn problems(report: &Report) {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode()).with_width(110);
    let (mut errors, mut warnings, mut untold) = (0, 0, 0_usize);
    for problem in &report.problems {
        let shown = match problem.severity {
            Severity::Error => &mut errors,
            Severity::Warning => &mut warnings,
        };
        if *shown == MAX_SHOWN {
            untold += 1;
            continue;
        }
        *shown += 1;
        let mut text = String::new();
        match handler.render_report(&mut text, problem) {
            Ok(()) => anstream::eprintln!("{text}"),
            Err(_) => anstream::eprintln!("{problem}"),
        }
    }
    if untold > 0 {
        anstream::eprintln!("and {untold} more; `--format json` lists all of them");
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
