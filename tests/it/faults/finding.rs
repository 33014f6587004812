//! What came of a fault: a line for people, a document for machines.

use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::support::repository;

/// A fault, what was asked of the server while it lasted, and the figures that were taken.
#[derive(Debug)]
pub(crate) struct Finding {
    fault: &'static str,
    asked: String,
    figures: Map<String, Value>,
}

/// Where findings are kept: one document each, and a table of all.
fn folder() -> PathBuf {
    repository().join("target/faults")
}

impl Finding {
    /// A fault by its number in the model and a few words (`F4 disk stands still, async`), and what is asked of the server.
    pub(crate) fn of(fault: &'static str, asked: impl Into<String>) -> Self {
        Self { fault, asked: asked.into(), figures: Map::new() }
    }

    /// Keeps a figure, for machines.
    pub(crate) fn figure(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.figures.insert(name.to_owned(), value.into());
        self
    }

    /// Says what was seen, and fails unless that is what was asked.
    #[track_caller]
    pub(crate) fn seen(self, met: bool, seen: impl Display) {
        let Self { fault, asked, figures } = self;
        let verdict = if met { "met" } else { "NOT MET" };
        eprintln!("{fault} · {asked} · {seen} · {verdict}");
        let document = serde_json::json!({
            "fault": fault, "asked": asked, "seen": seen.to_string(), "met": met, "figures": figures,
        });
        fs::create_dir_all(folder()).expect("a folder");
        let name: String =
            fault.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '-' }).collect();
        fs::write(folder().join(name.to_lowercase() + ".json"), format!("{document:#}\n")).expect("written");
        let table = OpenOptions::new().create(true).append(true).open(folder().join("table.md"));
        writeln!(table.expect("a file"), "| {fault} | {asked} | {seen} | {verdict} |").expect("written");
        assert!(met, "{fault}: {seen}, and asked was: {asked}");
    }
}
