//! What was executed, by whoever executes, against what was decided.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::gathered::Gathered;
use super::query::{Field, Query, Term};
use super::search::{Hit, Indexes};
use super::seen::Seen;
use crate::audit::spool::reader::ReadError;

/// Longest line of executions, in bytes.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// Something that was executed: a line of JSON. Members that are not named here mean nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Execution {
    /// The decision that it rests on.
    pub decision_id: String,
    /// Id of the tool.
    pub tool: String,
    /// When: RFC 3339.
    #[serde(deserialize_with = "time")]
    pub time: Option<Timestamp>,
    /// Digest of the arguments it was executed with: `sha256:…` over RFC 8785.
    pub input_digest: String,
    /// Its line in the file, from 1.
    #[serde(skip)]
    pub line: usize,
}

/// Why executions cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ExecutionsError {
    /// The system refuses.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A line is longer than any should be.
    #[error("line {0} is longer than {MAX_LINE_BYTES} bytes")]
    Long(usize),
    /// A line is no execution.
    #[error(
        "line {line} is no execution: {error}; write {{\"decision_id\", \"tool\", \"time\", \"input_digest\"}}"
    )]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong.
        error: serde_json::Error,
    },
}

/// What does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mismatch {
    /// It was executed, and no decision of that id is in the log.
    NoDecision,
    /// It was executed, or begun, though it was denied.
    ExecutedOnDeny,
    /// It was executed again, and the decision was not to be used again, or no longer.
    Repeated,
    /// It was executed with other arguments than were decided on.
    InputMismatch,
    /// Another tool was executed than was decided on.
    OtherTool,
    /// It was allowed, and nobody says what became of it.
    NoOutcome,
}

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What.
    pub finding: Mismatch,
    /// The decision; empty if the execution names none.
    pub decision_id: String,
    /// The line of the execution, from 1; none if it is the log that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What stands against what.
    pub detail: String,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Reconciliation {
    /// How many decisions were looked at.
    pub decisions: u64,
    /// How many executions.
    pub executions: usize,
    /// How many executions name a digest that the log does not tell as it is.
    pub incomparable: u64,
    /// What does not fit.
    pub findings: BTreeSet<Finding>,
    /// What could not be read of the log.
    pub problems: Vec<ReadError>,
}

/// Reads executions, one a line. Empty lines are passed over.
///
/// # Errors
/// [`ExecutionsError`] with the line.
pub fn executions(mut from: impl BufRead) -> Result<Vec<Execution>, ExecutionsError> {
    let (mut found, mut text, mut line) = (Vec::new(), Vec::new(), 0);
    loop {
        text.clear();
        line += 1;
        let limit = MAX_LINE_BYTES as u64 + 1;
        let taken = std::io::Read::take(&mut from, limit).read_until(b'\n', &mut text)?;
        if taken > MAX_LINE_BYTES {
            return Err(ExecutionsError::Long(line));
        }
        if taken == 0 {
            return Ok(found);
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        let read = serde_json::from_slice::<Execution>(&text);
        let execution = read.map_err(|error| ExecutionsError::Line { line, error })?;
        found.push(Execution { line, ..execution });
    }
}

impl Reconciliation {
    /// Holds executions to the decisions in these folders, and decisions of this span of time to executions and outcomes.
    ///
    /// # Errors
    /// [`ReadError::Folder`].
    pub fn of(
        executions: Vec<Execution>,
        folders: &[PathBuf],
        span: &Query,
        indexes: Indexes,
    ) -> Result<Self, ReadError> {
        let mut found = Self { executions: executions.len(), ..Self::default() };
        let mut waiting: BTreeMap<String, Vec<Execution>> = BTreeMap::new();
        for execution in executions {
            waiting.entry(execution.decision_id.to_ascii_lowercase()).or_default().push(execution);
        }
        let outcomes = found.outcomes(folders, span, indexes)?;
        let decisions = Query { terms: vec![Term::new(Field::Kind, "decision")], ..span.clone() };
        for hit in Gathered::new(folders, &decisions, indexes)? {
            let Some(hit) = found.keep(hit) else { continue };
            let seen = Seen::read(&hit.line);
            found.decisions += 1;
            match waiting.remove(&*seen.decision_id) {
                Some(executions) => found.executed(&seen, executions),
                None => found.not_executed(&seen, &outcomes),
            }
        }
        found.outside(waiting, folders, indexes)?;
        Ok(found)
    }

    fn keep(&mut self, hit: Result<Hit, ReadError>) -> Option<Hit> {
        hit.map_err(|error| self.problems.push(error)).ok()
    }

    /// The decisions that outcomes were reported of, and what is wrong by what was reported.
    fn outcomes(
        &mut self,
        folders: &[PathBuf],
        span: &Query,
        indexes: Indexes,
    ) -> Result<BTreeSet<String>, ReadError> {
        // What became of a decision is reported after it.
        let query = Query { terms: vec![Term::new(Field::Kind, "outcome")], from: span.from, to: None };
        let mut reported = BTreeSet::new();
        for hit in Gathered::new(folders, &query, indexes)? {
            // The search for decisions meets the same problems.
            let Ok(hit) = hit else { continue };
            let seen = Seen::read(&hit.line);
            for finding in &seen.findings {
                let mismatch = match &**finding {
                    "executed_on_deny" => Mismatch::ExecutedOnDeny,
                    "input_mismatch" => Mismatch::InputMismatch,
                    "repeated" => Mismatch::Repeated,
                    _ => continue,
                };
                let detail = format!("reported as {}, record {}", seen.outcome, seen.decision_id);
                self.find(mismatch, &seen.of, None, detail);
            }
            reported.insert(seen.of.to_string());
        }
        Ok(reported)
    }

    fn find(&mut self, finding: Mismatch, decision: &str, line: Option<usize>, detail: String) {
        self.findings.insert(Finding { finding, decision_id: decision.to_owned(), line, detail });
    }

    fn not_executed(&mut self, seen: &Seen<'_>, outcomes: &BTreeSet<String>) {
        let enforced = seen.mode != "observe";
        if seen.decision == "allow" && enforced && !outcomes.contains(&*seen.decision_id) {
            let detail = format!(
                "{} {} {}, allowed at {}",
                seen.principal.id, seen.action.id, seen.resource.id, seen.time
            );
            self.find(Mismatch::NoOutcome, &seen.decision_id, None, detail);
        }
    }

    fn executed(&mut self, seen: &Seen<'_>, mut executions: Vec<Execution>) {
        executions.sort_by_key(|execution| (execution.time, execution.line));
        let reusable = reusable_until(seen);
        for (place, execution) in executions.iter().enumerate() {
            let (id, line) = (&*seen.decision_id, Some(execution.line));
            if seen.decision != "allow" && seen.mode != "observe" {
                self.find(
                    Mismatch::ExecutedOnDeny,
                    id,
                    line,
                    format!("{} was denied at {}", seen.resource.id, seen.time),
                );
            }
            let may_repeat = reusable.zip(execution.time).is_some_and(|(until, at)| at <= until);
            if place > 0 && !may_repeat {
                self.find(Mismatch::Repeated, id, line, format!("execution {} on one decision", place + 1));
            }
            if !execution.tool.is_empty()
                && !seen.resource.id.is_empty()
                && execution.tool != seen.resource.id
            {
                let detail = format!("{} was executed, {} was decided on", execution.tool, seen.resource.id);
                self.find(Mismatch::OtherTool, id, line, detail);
            }
            self.compare(seen, execution);
        }
    }

    /// Holds the arguments that were executed to those that were decided on.
    fn compare(&mut self, seen: &Seen<'_>, execution: &Execution) {
        let (decided, executed) = (&*seen.arguments_digest, execution.input_digest.as_str());
        if executed.is_empty() {
            return;
        }
        if !decided.starts_with("sha256:") {
            self.incomparable += 1;
        } else if decided != executed {
            let detail = format!("{executed} was executed, {decided} was decided on");
            self.find(Mismatch::InputMismatch, &seen.decision_id, Some(execution.line), detail);
        }
    }

    /// Executions whose decision was not among those of the span.
    fn outside(
        &mut self,
        mut waiting: BTreeMap<String, Vec<Execution>>,
        folders: &[PathBuf],
        indexes: Indexes,
    ) -> Result<(), ReadError> {
        let ids = waiting.keys().filter(|id| !id.is_empty()).cloned();
        let decisions = vec![Term::new(Field::Kind, "decision"), Term::one_of(Field::DecisionId, ids)];
        let query = Query { terms: decisions, ..Query::default() };
        for hit in Gathered::new(folders, &query, indexes)?.flatten() {
            let seen = Seen::read(&hit.line);
            if let Some(executions) = waiting.remove(&*seen.decision_id) {
                self.executed(&seen, executions);
            }
        }
        for Execution { decision_id, tool, line, .. } in waiting.into_values().flatten() {
            self.find(Mismatch::NoDecision, &decision_id, Some(line), format!("{tool} was executed"));
        }
        Ok(())
    }
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    String::deserialize(from)?.parse().map(Some).map_err(D::Error::custom)
}

/// Until when an answer may be used again, if it may.
fn reusable_until(seen: &Seen<'_>) -> Option<Timestamp> {
    let seconds = i64::try_from(seen.reuse_seconds?).ok()?;
    let end = seen.micros()?.checked_add(seconds.checked_mul(1_000_000)?)?;
    Timestamp::from_microsecond(end).ok()
}
