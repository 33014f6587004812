//! `mandate entity put`

use std::io::Read as _;
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::io::{IsTerminal as _, stderr};
use tonic::{Code, Status};

use super::super::Exit;
use super::super::control::ControlArgs;
use super::super::output::{self, Format, GOOD};
use crate::engine::datum::Datum;
use crate::server::{pb, stored};

/// Entities in one write: as many as a server takes.
const TOGETHER: usize = 1_000;

/// Store entities, in place of those that have their names: all of them, or none.
#[derive(Debug, Args)]
pub(super) struct Put {
    /// Files as entity files are: an array, one entity, or one a line (`.jsonl`); `-` is standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The revision that the store must be at.
    #[arg(long, value_name = "REV", default_value = "")]
    if_revision: String,
    /// Accept more entities than one write takes (1,000): then each 1,000, in the order of the files, are a write of their own.
    #[arg(long, conflicts_with = "if_revision")]
    in_parts: bool,
    #[command(flatten)]
    control: ControlArgs,
}

impl Put {
    pub(super) fn run(self, format: Format) -> Exit {
        let entities = match self.read() {
            Ok(entities) => entities,
            Err(message) => {
                output::failure(&message);
                return Exit::Rejected;
            }
        };
        let count = entities.len();
        let parts: Vec<_> = entities.chunks(if self.in_parts { TOGETHER } else { count.max(1) }).collect();
        let bar = bar(parts.len(), format);
        let put = self.control.call(async |server| {
            let mut revision = String::new();
            for part in &parts {
                let if_revision = self.if_revision.clone();
                let request =
                    server.entitled(pb::PutEntitiesRequest { entities: part.to_vec(), if_revision });
                match server.entities().put_entities(request).await {
                    Ok(written) => revision = written.into_inner().revision,
                    Err(status) if is_rejected(&status) => return Ok(Err(status)),
                    Err(status) => return Err(status),
                }
                bar.inc(1);
            }
            Ok(Ok(revision))
        });
        bar.finish_and_clear();
        match put {
            Ok(Ok(revision)) => {
                match format {
                    Format::Json => output::json(&json!({ "put": count, "revision": revision })),
                    Format::Text => anstream::println!("{GOOD}stored{GOOD:#} {count}\nrevision {revision}"),
                }
                Exit::Ok
            }
            Ok(Err(rejected)) => {
                output::failure(&rejected.message());
                Exit::Rejected
            }
            Err(exit) => exit,
        }
    }

    fn read(&self) -> Result<Vec<pb::Entity>, String> {
        let mut entities = Vec::new();
        for file in &self.files {
            let named = |message: &str| format!("{}: {message}", file.display());
            let text = if file.as_os_str() == "-" {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).map(|_length| text)
            } else {
                std::fs::read_to_string(file)
            };
            let text = text.map_err(|error| named(&error.to_string()))?;
            let is_lines = file.extension().is_some_and(|extension| extension == "jsonl");
            for (at, entity) in data(&text, is_lines).map_err(|error| named(&error))?.iter().enumerate() {
                let entity = stored::of_json(entity);
                entities.push(entity.map_err(|error| named(&format!("entity {}: {error}", at + 1)))?);
            }
        }
        Ok(entities)
    }
}

fn data(text: &str, is_lines: bool) -> Result<Vec<Datum>, String> {
    if is_lines {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let read = |(at, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| format!("line {}: {error}", at + 1))
        };
        return lines.map(read).collect();
    }
    match serde_json::from_str(text).map_err(|error| error.to_string())? {
        Datum::List(entities) => Ok(entities),
        entity => Ok(vec![entity]),
    }
}

/// Whether the entities are at fault.
fn is_rejected(status: &Status) -> bool {
    matches!(status.code(), Code::InvalidArgument | Code::FailedPrecondition | Code::AlreadyExists)
}

/// A bar for people who wait for several writes.
fn bar(parts: usize, format: Format) -> ProgressBar {
    if parts < 2 || format != Format::Text || !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let length = u64::try_from(parts).unwrap_or(u64::MAX);
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("storing [{bar:40}] {percent}%") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}
