//! `mandate validate`

use clap::Args;
use serde_json::json;

use super::Exit;
use super::output::{self, FAINT, Format, GOOD};
use super::sources::SourceArgs;

/// Check policies, schema and entities, and report every problem.
#[derive(Debug, Args)]
pub struct Validate {
    #[command(flatten)]
    sources: SourceArgs,
    /// Reject warnings too.
    #[arg(long)]
    strict: bool,
}

impl Validate {
    /// Loads everything as `serve` would.
    #[must_use]
    pub fn run(self, format: Format) -> Exit {
        let loaded = match self.sources.try_load(format) {
            Ok(loaded) => loaded,
            Err(exit) => return exit,
        };
        let summary = loaded.as_ref().ok().map(|loaded| {
            let generation = &loaded.world.generation;
            let reading: Vec<_> = generation.reading_delegation().map(|policy| policy.id.clone()).collect();
            (generation.policies.len(), loaded.world.entities.len(), generation.hash.clone(), reading)
        });
        let report = match loaded {
            Ok(loaded) => loaded.warnings,
            Err(report) => report,
        };
        let valid = summary.is_some() && !(self.strict && report.warnings().next().is_some());
        match format {
            Format::Json => output::json(&json!({
                "valid": valid,
                "generation": summary.as_ref().map(|(_, _, hash, _)| hash),
                "reading_delegation": summary.as_ref().map(|(_, _, _, reading)| reading),
                "problems": output::report_json(&report),
            })),
            Format::Text => {
                output::problems(&report);
                if let Some((policies, entities, hash, reading)) = summary {
                    anstream::println!(
                        "{GOOD}valid{GOOD:#}: {policies} policies, {entities} entities, {hash}"
                    );
                    if !reading.is_empty() {
                        anstream::println!(
                            "{FAINT}judge by the place in a chain (`context.delegation`): {}{FAINT:#}",
                            reading.join(", ")
                        );
                    }
                }
            }
        }
        if valid { Exit::Ok } else { Exit::Rejected }
    }
}
