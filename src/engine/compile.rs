//! Sources to a world: everything parsed, checked and indexed, or every problem of it.
//!
//! Whole or not at all: nothing of a rejected set is ever served. Parsing, validating and dropping rejected trees
//! happen on one thread with a large stack (see [`guard`]).

mod catalog;
mod checks;
mod common_types;
mod compiler;
mod definitions;
mod delegations;
mod disclosures;
mod emergency;
pub mod entities;
mod known;
mod language;
mod links;
mod marks;
mod origin;
mod parsing;
mod placed;
mod plain;
mod policies;
mod schema;
mod single;
mod workers;

#[cfg(test)]
mod compiler_tests;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use checks::Rules;
pub use compiler::Compiler;
pub use emergency::{EMERGENCY, is_emergency};
pub use entities::Beside;
use entities::{EntityMemory, Stored};
use placed::Placed;
pub use plain::{PlainSet, compile_plain};
use policies::LoadedPolicies;
use sha2::{Digest, Sha256};
pub use workers::Workers;

use super::brief::Briefs;
use super::catalog::Domain;
use super::cedar::entities as cedar_entities;
use super::digest;
use super::generation::{Generation, OnPolicyError, Strictness};
use super::guard::{self, Refused, StackUnavailable};
use super::index::{ScopeIndex, ScopeKeys};
use super::key_plans::KeyPlans;
use super::problem::{Place, Problem, Report, SourceFile};
use super::request::RequestLimits;
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
    /// `*.json` and `*.jsonl`: entities.
    pub entities: Vec<SourceFile>,
    /// `*.cedar`: forbids that join whatever is served (W5), in the order of their names.
    pub emergency: Vec<SourceFile>,
    /// Files and folders beside them that are not sources by their name: somebody may think they are.
    pub unread: Vec<String>,
    /// Where they come from. Decides nothing.
    pub provenance: Provenance,
}

/// Where a set of sources comes from, as the manifest over all of it says. Empty where it does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The commit that it was made from, in whatever words the manifest has for it.
    pub commit: String,
    /// Who signed the manifest, name and number of the key: verified.
    pub signer: String,
}

impl Sources {
    /// What a generation is compiled from. The files' contents are shared.
    fn without_entities(&self) -> Self {
        let Self { policies, links, schemas, definitions, emergency, .. } = self.clone();
        Self { policies, links, schemas, definitions, emergency, ..Self::default() }
    }
}

/// What compilation is told besides the sources.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// What happens when a policy cannot be evaluated.
    pub on_policy_error: OnPolicyError,
    /// Names of the agent domain.
    pub domain: Domain,
    /// How much is asked of the sources, and then of requests.
    pub strictness: Strictness,
    /// How much requests may hold.
    pub limits: RequestLimits,
}

/// What names a generation, with the sources: the only strictness that is served leaves no trace in it, nor do the usual limits.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { on_policy_error, domain, strictness, limits } = self;
        let mut shown = f.debug_struct("Options");
        shown.field("on_policy_error", on_policy_error).field("domain", domain);
        if *strictness != Strictness::Full {
            shown.field("strictness", strictness);
        }
        if *limits != RequestLimits::default() {
            shown.field("limits", limits);
        }
        shown.finish()
    }
}

/// A world, and what somebody should look at.
#[derive(Debug)]
pub struct Loaded {
    /// The world.
    pub world: World,
    /// Warnings.
    pub warnings: Report,
    /// Whether Cedar's strict validator accepts the policies. Where everything is asked, nothing loads without.
    pub valid: bool,
}

/// Compiles sources to a world, once. Whoever compiles again keeps a [`Compiler`].
///
/// # Errors
/// A [`Report`] of every problem found, warnings included.
pub fn compile(sources: &Sources, options: &Options) -> Result<Loaded, Report> {
    Compiler::new(options.clone(), Workers::default()).compile(sources)
}

/// What is left of the set before for the next one.
#[derive(Clone, Default)]
struct Remains {
    entities: EntityMemory,
    /// What is stored beside the entities of files.
    beside: Beside,
    /// What scopes ask for.
    keys: Arc<ScopeKeys>,
}

/// From policies that parsed and a schema, whatever was found in them, to a world. What is reported after the first
/// `parsed` problems is more than the language asks.
fn finish(
    sources: &Sources,
    options: &Options,
    rules: &Rules,
    policies: LoadedPolicies,
    remains: &mut Remains,
    mut report: Report,
    parsed: usize,
) -> Result<Loaded, Report> {
    let (policies, valid) = checks::run(rules, policies, &mut report);
    let mut catalog = Arc::clone(&rules.catalog);
    if options.limits != catalog.limits {
        Arc::make_mut(&mut catalog).limits = options.limits;
    }
    if options.strictness != Strictness::Full {
        language::forgive(&mut report, parsed);
        language::keep_to(Arc::make_mut(&mut catalog), options.strictness);
    }
    let Stored { entities, ownership, files } =
        remains.entities.load(&sources.entities, &remains.beside, &catalog, &mut report)?;
    let related = report.problems.len();
    checks::literals(&catalog, &policies, (&entities, entities.version()), &mut report);
    checks::typed_tools(&catalog, &entities, &mut report);
    if options.strictness != Strictness::Full {
        language::forgive(&mut report, related);
    }
    for name in &sources.unread {
        let place = Place::new(name, "");
        report.push(Problem::warning(&place, "is not read: its name is none that sources have"));
    }
    let actions = cedar_entities::actions(&catalog.schema).unwrap_or_else(|message| {
        report.push(Problem::error(&Place::new("schemas", ""), message));
        Vec::new()
    });
    if report.rejects() {
        return Err(report);
    }
    let index = index(&policies, &mut remains.keys);
    let policies: Vec<_> = policies.iter().flat_map(Placed::policies).cloned().collect();
    let generation = Generation {
        hash: Arc::from(content_hash(sources, options)),
        index,
        briefs: Briefs::of(&policies),
        key_plans: KeyPlans::of(&catalog, &policies),
        actions: actions.into_iter().map(|action| (action.uid().clone(), action)).collect(),
        policies,
        catalog,
        on_policy_error: options.on_policy_error,
        sources: Arc::new(sources.without_entities()),
    };
    let world = World::new(Arc::new(generation), entities).owned(ownership, files);
    Ok(Loaded { world, warnings: report, valid })
}

/// Indexes policies; scopes of files that were taken over are as they were told.
fn index(policies: &[Placed], keys: &mut Arc<ScopeKeys>) -> ScopeIndex {
    let count = |placed: &Placed| placed.policies().len();
    if keys.is_outgrown(policies.iter().map(count).sum()) {
        *keys = Arc::default();
    }
    let mut first = 0_usize;
    let mut scopes = Vec::with_capacity(policies.len());
    for placed in policies {
        // There are never so many: they would not fit into memory.
        scopes.push((u32::try_from(first).unwrap_or(u32::MAX), placed.scopes(keys)));
        first += count(placed);
    }
    ScopeIndex::joined(Arc::clone(keys), scopes.iter().map(|(first, scopes)| (*first, &**scopes)))
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
            add(file.bytes.sum());
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

#[cfg(test)]
mod options_tests;
