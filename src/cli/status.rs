//! `mandate status`

use clap::Args;
use serde_json::Value;

use super::Exit;
use super::control::ControlArgs;
use super::output::{self, BAD, FAINT, Format, GOOD, NAME};

/// Show what a running server serves, where it came from, and what is wrong with the files.
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    control: ControlArgs,
}

impl Status {
    /// Asks the server, and prints its answer.
    #[must_use]
    pub fn run(self, format: Format) -> Exit {
        match self.control.call(async |server| server.status().await) {
            Ok(status) => {
                match format {
                    Format::Json => output::json(&status),
                    Format::Text => print(&status),
                }
                Exit::Ok
            }
            Err(exit) => exit,
        }
    }
}

fn print(status: &Value) {
    let text = |pointer: &str| match status.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(value) if !value.is_null() => value.to_string(),
        _ => String::new(),
    };
    let stale = status.pointer("/serving_stale") == Some(&Value::Bool(true));
    if status.pointer("/following").is_some() {
        following(status);
    } else {
        let (style, word) =
            if stale { (BAD, "not what the files say") } else { (GOOD, "what the files say") };
        anstream::println!("{NAME}serving{NAME:#}    {style}{word}{style:#}, from {}", text("/source"));
    }
    anstream::println!("generation {}", text("/generation"));
    anstream::println!("published  {}  {FAINT}world {}{FAINT:#}", text("/published_at"), text("/sequence"));
    anstream::println!("holding    {} policies, {} entities", text("/policies"), text("/entities"));
    if status.pointer("/pinned").is_some_and(|pinned| !pinned.is_null()) {
        let (generation, since) = (text("/pinned/generation"), text("/pinned/since"));
        anstream::println!("{BAD}rolled back{BAD:#} to {generation} since {since}");
    }
    anstream::println!("last load  {} at {}", text("/last_load/outcome"), text("/last_load/at"));
    list(status, "/last_load/problems");
    let emergency = text("/emergency/policies");
    anstream::println!("emergency  {emergency} forbids in force");
    list(status, "/emergency/files");
    list(status, "/emergency/problems");
    anstream::println!("revoked    {} delegations", text("/revocations/count"));
    list(status, "/revocations/problems");
    let written = |part: &str| text(&format!("/entity_log/{part}"));
    anstream::println!(
        "written    {} entities at run time; {} principals suspended",
        written("entities"),
        written("suspended")
    );
    if status.pointer("/entity_log/frozen") == Some(&Value::Bool(true)) {
        anstream::println!("{BAD}frozen{BAD:#}     everything is denied until `mandate freeze --lift`");
    }
    if !written("error").is_empty() {
        anstream::println!("{BAD}the entity log takes no writes{BAD:#}: {}", written("error"));
    }
    let log = |part: &str| text(&format!("/decision_log/{part}"));
    anstream::println!(
        "records    {} issued = {} written + {} queued + {} dropped  {FAINT}{}{FAINT:#}",
        log("issued"),
        log("written"),
        log("queued"),
        log("dropped"),
        log("mode")
    );
    let error = text("/keep_error");
    if !error.is_empty() {
        anstream::println!("{BAD}not kept for a restart{BAD:#}: {error}");
    }
    anstream::println!("{NAME}kept{NAME:#}       {FAINT}mandate rollback REV{FAINT:#}");
    for kept in status.pointer("/kept").and_then(Value::as_array).into_iter().flatten() {
        let generations = kept.pointer("/generations").and_then(Value::as_array).into_iter().flatten();
        let latest = generations.last().and_then(Value::as_str).unwrap_or_default();
        let at = kept.pointer("/at").and_then(Value::as_str).unwrap_or_default();
        anstream::println!("  {latest}  {FAINT}{at}{FAINT:#}");
    }
}

/// What is known of the primary.
fn following(status: &Value) {
    let of = |name: &str| status.pointer(&format!("/following/{name}")).cloned().unwrap_or_default();
    let seconds = |name: &str| of(name).as_f64().unwrap_or_default();
    let primary = of("primary");
    let current = of("current") == Value::Bool(true);
    let (style, word) = if current { (GOOD, "current") } else { (BAD, "not current: it answers nothing") };
    anstream::println!("following  {}: {style}{word}{style:#}", primary.as_str().unwrap_or_default());
    anstream::println!(
        "lease      {:.1} s left of {:.1} s; {} worlds behind, told anew {} times",
        seconds("lease_remaining_seconds"),
        seconds("lease_seconds"),
        of("lag_worlds"),
        of("resets")
    );
    if let Some(problem) = of("problem").as_str() {
        anstream::println!("{BAD}problem{BAD:#}    {problem}");
    }
}

fn list(status: &Value, pointer: &str) {
    for line in status.pointer(pointer).and_then(Value::as_array).into_iter().flatten() {
        anstream::println!("  {}", line.as_str().unwrap_or_default());
    }
}
