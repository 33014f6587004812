//! `mandate log reconcile`

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::place::{PlaceArgs, tell_problem};
use super::when::instant;
use crate::audit::reading::query::Query;
use crate::audit::reading::reconcile::{self, Finding, Reconciliation};
use crate::cli::Exit;
use crate::cli::control::ControlArgs;
use crate::cli::output::{self, BAD, FAINT, Format, GOOD};

/// Hold what was executed to what was decided: calls without a decision, denied ones executed, arguments that differ,
/// allowed ones of which nobody says what became.
///
/// Exits with 1 if something does not fit, or a part of the log cannot be read.
#[derive(Debug, Args)]
pub(super) struct Reconcile {
    /// What was executed, one JSON object a line: `decision_id`, `tool`, `time`, `input_digest`. `-`: standard input.
    #[arg(long, value_name = "FILE")]
    executions: PathBuf,
    /// Decisions at this instant or later must have been executed or reported [default: all].
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Option<Timestamp>,
    /// Decisions before this instant.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    to: Option<Timestamp>,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    control: ControlArgs,
}

impl Reconcile {
    pub(super) fn run(self, format: Format) -> Exit {
        match self.reconciled() {
            Ok((found, complete)) => {
                match format {
                    Format::Json => output::json(&as_json(&found)),
                    Format::Text => print(&found),
                }
                let fits = found.findings.is_empty() && found.problems.is_empty() && complete;
                if fits { Exit::Ok } else { Exit::Failure }
            }
            Err(problem) => {
                output::failure(&problem);
                Exit::Failure
            }
        }
    }

    fn reconciled(&self) -> Result<(Reconciliation, bool), String> {
        let file = self.executions.display();
        let from: Box<dyn BufRead> = if self.executions.as_os_str() == "-" {
            Box::new(io::stdin().lock())
        } else {
            let opened = File::open(&self.executions);
            Box::new(BufReader::new(opened.map_err(|error| format!("`{file}` cannot be read: {error}"))?))
        };
        let executions = reconcile::executions(from).map_err(|error| format!("`{file}`: {error}"))?;
        let folders = self.place.folders(&self.control)?;
        let complete = !self.place.tell_missing(&folders)?;
        let micros = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
        let span = Query { terms: Vec::new(), from: micros(self.from), to: micros(self.to) };
        let found = Reconciliation::of(executions, &folders, &span, self.place.indexes());
        Ok((found.map_err(|error| error.to_string())?, complete))
    }
}

fn as_json(found: &Reconciliation) -> Value {
    json!({
        "decisions": found.decisions,
        "executions": found.executions,
        "incomparable": found.incomparable,
        "findings": found.findings,
        "unread": found.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn print(found: &Reconciliation) {
    for Finding { finding, decision_id, line, detail } in &found.findings {
        let line = line.map(|line| format!(" (line {line})")).unwrap_or_default();
        let what = json!(finding);
        anstream::println!(
            "{BAD}{:18}{BAD:#} {decision_id}{line}  {FAINT}{detail}{FAINT:#}",
            what.as_str().unwrap_or_default()
        );
    }
    found.problems.iter().for_each(|problem| tell_problem(problem));
    let Reconciliation { decisions, executions, incomparable, findings, .. } = found;
    if *incomparable > 0 {
        anstream::println!(
            "{FAINT}{incomparable} executions name a digest that the log does not tell as it is{FAINT:#}"
        );
    }
    match findings.len() {
        0 => anstream::println!("{GOOD}all fits{GOOD:#}: {executions} executions, {decisions} decisions"),
        more => {
            anstream::println!("{BAD}{more} findings{BAD:#}: {executions} executions, {decisions} decisions")
        }
    }
}
