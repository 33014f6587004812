//! `mandate validate`

use clap::Args;
use serde_json::json;

use super::Exit;
use super::output::{self, Format, GOOD};
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
            (generation.policies.len(), loaded.world.entities.len(), generation.hash.clone())
        });
        let report = match loaded {
            Ok(loaded) => loaded.warnings,
            Err(report) => report,
        };
        let valid = summary.is_some() && !(self.strict && report.warnings().next().is_some());
        match format {
            Format::Json => output::json(&json!({
                "valid": valid,
                "generation": summary.as_ref().map(|(_, _, hash)| hash),
                "problems": output::report_json(&report),
            })),
            Format::Text => {
                output::problems(&report);
                if let Some((policies, entities, hash)) = summary {
                    anstream::println!(
                        "{GOOD}valid{GOOD:#}: {policies} policies, {entities} entities, {hash}"
                    );
                }
            }
        }
        if valid { Exit::Ok } else { Exit::Rejected }
    }
}
