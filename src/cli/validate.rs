//! `mandate validate`

use clap::Args;
use serde_json::json;

use super::Exit;
use super::output::{self, Format, GOOD};
use super::sources::SourceArgs;
use crate::engine::problem::Report;
use crate::identity::rights::RightSet;
use crate::store::follow;

/// Check policies, schema and entities, and the policies about callers, and report every problem.
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
        let (loaded, rights) =
            match self.sources.try_load(format).and_then(|loaded| Ok((loaded, self.rights()?))) {
                Ok(read) => read,
                Err(exit) => return exit,
            };
        let summary = loaded.as_ref().ok().map(|loaded| {
            let generation = &loaded.world.generation;
            (generation.policies.len(), loaded.world.entities.len(), generation.hash.clone())
        });
        let mut report = match loaded {
            Ok(loaded) => loaded.warnings,
            Err(report) => report,
        };
        let callers = match rights {
            Some(Ok(set)) => {
                report.problems.extend(set.warnings().problems.iter().cloned());
                Some(set.len())
            }
            Some(Err(of_rights)) => {
                report.problems.extend(of_rights.problems);
                None
            }
            None => Some(0),
        };
        let summary = summary.zip(callers);
        let valid = summary.is_some() && !(self.strict && report.warnings().next().is_some());
        match format {
            Format::Json => output::json(&json!({
                "valid": valid,
                "generation": summary.as_ref().map(|((_, _, hash), _)| hash),
                "problems": output::report_json(&report),
            })),
            Format::Text => {
                output::problems(&report);
                if let Some(((policies, entities, hash), callers)) = summary {
                    let callers = match callers {
                        0 => String::new(),
                        callers => format!(", {callers} policies about callers"),
                    };
                    anstream::println!(
                        "{GOOD}valid{GOOD:#}: {policies} policies, {entities} entities, {hash}{callers}"
                    );
                }
            }
        }
        if valid { Exit::Ok } else { Exit::Rejected }
    }

    /// The policies about callers; none where there is no folder of them, and callers are not authenticated.
    fn rights(&self) -> Result<Option<Result<RightSet, Report>>, Exit> {
        let config = self.sources.config(self.sources.overrides())?;
        let folder = &config.callers.policies;
        let wanted = config.callers.authenticated() || self.sources.pep.is_some() || folder.exists();
        Ok(wanted.then(|| follow::read_policies(folder).and_then(RightSet::compile)))
    }
}
