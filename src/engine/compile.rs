//! Sources to a world: everything parsed, checked and indexed, or every problem of it.
//!
//! Whole or not at all: nothing of a rejected set is ever served. Parsing, validating and dropping rejected trees
//! happen on one thread with a large stack (see [`guard`]).

mod ancestry;
mod catalog;
mod checks;
mod common_types;
mod compiler;
mod definitions;
mod emergency;
mod entities;
mod links;
mod policies;
mod schema;
mod single;
mod workers;

#[cfg(test)]
mod compiler_tests;

use std::ops::Range;
use std::sync::Arc;

use checks::Rules;
pub use compiler::Compiler;
pub use emergency::{EMERGENCY, is_emergency};
use policies::LoadedPolicies;
use sha2::{Digest, Sha256};
pub use workers::Workers;

use super::catalog::Domain;
use super::cedar::walk::{self, Followed};
use super::digest;
use super::generation::{Generation, OnPolicyError};
use super::guard::{self, Refused, StackUnavailable};
use super::problem::{Place, Problem, Report, SourceFile};
use super::world::World;

/// Everything a world is made of, as bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// `*.cedar`: policies and templates.
    pub policies: Vec<SourceFile>,
    /// `*.links.json`: links of templates.
    pub links: Vec<SourceFile>,
    /// `*.cedarschema` and `*.cedarschema.json`: fragments of one schema.
    pub schemas: Vec<SourceFile>,
    /// `*.tools.json`: definitions of the tools that have typed actions.
    pub definitions: Vec<SourceFile>,
    /// `*.json`: entities.
    pub entities: Vec<SourceFile>,
    /// `*.cedar`: forbids that join whatever is served (W5), in the order of their names.
    pub emergency: Vec<SourceFile>,
    /// Files and folders beside them that are not sources by their name: somebody may think they are.
    pub unread: Vec<String>,
}

/// What compilation is told besides the sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// What happens when a policy cannot be evaluated.
    pub on_policy_error: OnPolicyError,
    /// Names of the agent domain.
    pub domain: Domain,
}

/// A world, and what somebody should look at.
#[derive(Debug)]
pub struct Loaded {
    /// The world.
    pub world: World,
    /// Warnings.
    pub warnings: Report,
}

/// Compiles sources to a world, once. Whoever compiles again keeps a [`Compiler`].
///
/// # Errors
/// A [`Report`] of every problem found, warnings included.
pub fn compile(sources: &Sources, options: &Options) -> Result<Loaded, Report> {
    Compiler::new(options.clone(), Workers::default()).compile(sources)
}

/// From policies that parsed and a schema, whatever was found in them, to a world.
fn finish(
    sources: &Sources,
    options: &Options,
    rules: &Rules,
    policies: LoadedPolicies,
    mut report: Report,
) -> Result<Loaded, Report> {
    let catalog = &rules.catalog;
    let policies = checks::run(rules, policies, &mut report);
    let mut followed = Followed::default();
    policies.iter().for_each(|policy| followed.add(&policy.compiled));
    let store = entities::load(&sources.entities, catalog, &followed, &mut report);
    let literals = checks::literals(catalog, &policies, &store.entities, &mut report);
    checks::typed_tools(catalog, &store.entities, &mut report);
    for name in &sources.unread {
        let place = Place::new(name, "");
        report.push(Problem::warning(&place, "is not read: its name is none that sources have"));
    }
    if report.rejects() {
        return Err(report);
    }
    let policies: Vec<_> = policies.into_iter().map(|policy| policy.compiled).collect();
    let generation = Generation {
        hash: Arc::from(content_hash(sources, options)),
        literals,
        timed: policies.iter().filter(|policy| walk::reads_now(policy)).cloned().collect(),
        policies,
        catalog: Arc::clone(catalog),
        on_policy_error: options.on_policy_error,
        followed,
    };
    let world = World {
        generation: Arc::new(generation),
        entities: store.entities,
        dangling: store.dangling,
        stored: store.count,
    };
    Ok(Loaded { world, warnings: report })
}

/// Names a generation by what compiles to it (W1): same sources and configuration, same name on every replica.
/// Entities are not part of a generation.
fn content_hash(sources: &Sources, options: &Options) -> String {
    let mut hasher = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(bytes);
    };
    add(format!("{options:?}").as_bytes());
    let Sources { policies, links, schemas, definitions, emergency, .. } = sources;
    let kinds = [policies, links, schemas, definitions, emergency];
    for (kind, files) in kinds.into_iter().enumerate() {
        add(&kind.to_be_bytes());
        for file in files {
            add(base_name(&file.name).as_bytes());
            add(&file.bytes);
        }
    }
    digest::named(&hasher.finalize())
}

/// The same files in another folder are the same generation.
pub fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Reads a file's text, or reports why it has none.
fn place(file: &SourceFile, report: &mut Report) -> Option<Place> {
    match guard::text(&file.bytes) {
        Ok(text) => Some(Place::new(&file.name, text)),
        Err(refused) => {
            let place = Place::new(&file.name, &String::from_utf8_lossy(&file.bytes));
            // What stands before the offence is text: its offset is the same in the replacement.
            report.push(match refused.span() {
                Some(span) => Problem::error(&place, format!("{refused} (byte {})", span.start))
                    .at(span.start..span.start, None),
                None => Problem::error(&place, refused.to_string()),
            });
            None
        }
    }
}

/// Refuses a schema's text that is too deep for the parser.
fn check_schema(place: &Place, report: &mut Report) -> bool {
    let refused = guard::nesting(place.text(), guard::Syntax::Schema);
    refused.map_err(|refused| report.push(too_much(place, &refused))).is_ok()
}

/// The segments of a text that holds policies. Refuses what is too deep or too long for the parser.
fn check_policies(place: &Place, report: &mut Report) -> Option<Vec<Range<usize>>> {
    guard::policies(place.text()).map_err(|refused| report.push(too_much(place, &refused))).ok()
}

fn too_much(place: &Place, refused: &Refused) -> Problem {
    let problem = Problem::error(place, refused.to_string()).help("split the expression");
    match refused.span() {
        Some(span) => problem.at(span, "one level too deep".to_owned()),
        None => problem,
    }
}

impl From<StackUnavailable> for Report {
    fn from(error: StackUnavailable) -> Self {
        Self { problems: vec![Problem::error(&Place::new("(loader)", ""), error.to_string())] }
    }
}
