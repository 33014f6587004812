//! `mandate validate`

use clap::Args;
use serde_json::json;

use super::Exit;
use super::output::{self, FAINT, Format, GOOD};
use super::sources::SourceArgs;
use crate::app;
use crate::engine::compile::Loaded;
use crate::engine::problem::Report;
use crate::engine::world::World;
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
        let sound = loaded.as_ref().ok().map(|loaded| Sound::of(&loaded.world));
        let of_authzen = match self.of_authzen(loaded.as_ref().ok()) {
            Ok(report) => report,
            Err(exit) => return exit,
        };
        let mut report = match loaded {
            Ok(loaded) => loaded.warnings,
            Err(report) => report,
        };
        report.problems.extend(of_authzen.problems);
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
        let sound = sound.zip(callers);
        let valid = sound.is_some() && !(self.strict && report.warnings().next().is_some());
        match format {
            Format::Json => output::json(&json!({
                "valid": valid,
                "generation": sound.as_ref().map(|(sound, _)| &sound.generation),
                "reading_delegation": sound.as_ref().map(|(sound, _)| &sound.reading_delegation),
                "problems": output::report_json(&report),
            })),
            Format::Text => {
                output::problems(&report);
                if let Some((sound, callers)) = sound {
                    sound.print(callers);
                }
            }
        }
        if valid { Exit::Ok } else { Exit::Rejected }
    }

    /// What is configured of AuthZEN's names, and means nothing in a schema that loads.
    fn of_authzen(&self, loaded: Option<&Loaded>) -> Result<Report, Exit> {
        let config = self.sources.config(self.sources.overrides())?;
        let catalog = loaded.map(|loaded| &loaded.world.generation.catalog);
        Ok(catalog.map_or_else(Report::default, |catalog| app::check_authzen(&config, catalog)))
    }

    /// The policies about callers; none where there is no folder of them, and callers are not authenticated.
    fn rights(&self) -> Result<Option<Result<RightSet, Report>>, Exit> {
        let config = self.sources.config(self.sources.overrides())?;
        let folder = &config.callers.policies;
        let wanted = config.callers.authenticated() || self.sources.pep.is_some() || folder.exists();
        Ok(wanted.then(|| follow::read_policies(folder).and_then(RightSet::compile)))
    }
}

/// What sources come to that nothing is wrong with.
struct Sound {
    policies: usize,
    entities: usize,
    generation: String,
    /// Policies that judge by the place in a chain (D12).
    reading_delegation: Vec<String>,
}

impl Sound {
    fn of(world: &World) -> Self {
        let generation = &world.generation;
        Self {
            policies: generation.policies.len(),
            entities: world.entities.len(),
            generation: generation.hash.to_string(),
            reading_delegation: generation.reading_delegation().map(|policy| policy.id.to_string()).collect(),
        }
    }

    fn print(&self, callers: usize) {
        let Self { policies, entities, generation, reading_delegation } = self;
        let callers = match callers {
            0 => String::new(),
            callers => format!(", {callers} policies about callers"),
        };
        anstream::println!(
            "{GOOD}valid{GOOD:#}: {policies} policies, {entities} entities, {generation}{callers}"
        );
        if !reading_delegation.is_empty() {
            let reading = reading_delegation.join(", ");
            anstream::println!(
                "{FAINT}judge by the place in a chain (`context.delegation`): {reading}{FAINT:#}"
            );
        }
    }
}
