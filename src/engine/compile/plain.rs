//! Policies by themselves, over a schema that is Mandate's own and entities that nobody stores: held to everything that
//! does not ask what is stored.

use std::sync::Arc;

use cedar_policy::{EntityUid, Validator};

use super::checks::{self, Rules};
use super::definitions::Definitions;
use super::placed::Placed;
use super::single::Examiner;
use super::workers::Workers;
use super::{Sources, policies, schema};
use crate::engine::catalog::Domain;
use crate::engine::cedar::entities as cedar_entities;
use crate::engine::cedar::{BuiltEntity, CompiledPolicy};
use crate::engine::generation::Strictness;
use crate::engine::guard;
use crate::engine::problem::{Place, Problem, Report, SourceFile};

/// Policies that are ready to evaluate.
#[derive(Debug)]
pub struct PlainSet {
    /// In the order of the files.
    pub policies: Vec<Arc<CompiledPolicy>>,
    /// The schema's actions, each with all it is in.
    pub actions: Vec<BuiltEntity>,
    /// What somebody should look at.
    pub warnings: Report,
}

/// Compiles policies over one schema, in whose `namespace` everything is declared that they are about.
///
/// # Errors
/// A [`Report`] of every problem found, warnings included.
pub fn compile_plain(
    files: Vec<SourceFile>,
    schema: SourceFile,
    namespace: &str,
) -> Result<PlainSet, Report> {
    let domain = Domain { chain_required: Vec::new(), ..Domain::in_namespace(namespace) };
    let sources = Sources { policies: files, schemas: vec![schema], ..Sources::default() };
    guard::on_parser_stack(|| compile(&sources, &domain)).unwrap_or_else(|error| Err(Report::from(error)))
}

fn compile(sources: &Sources, domain: &Domain) -> Result<PlainSet, Report> {
    let mut report = Report::default();
    let Some(loaded) = schema::load(&sources.schemas, &mut report) else { return Err(report) };
    let catalog = loaded.catalog(domain, Definitions::default(), &mut report);
    let rules = Rules { validator: Validator::new(catalog.schema.clone()), catalog: Arc::new(catalog) };
    let examiner = Examiner { rules: Some(&rules), known: Vec::new(), workers: Workers::default() };
    let policies = policies::load(sources, Strictness::Full, &examiner, &mut report)?;
    let (policies, _valid) = checks::run(&rules, policies, &mut report);
    let actions = cedar_entities::actions(&rules.catalog.schema).unwrap_or_else(|message| {
        report.push(Problem::error(&Place::new("(schema)", ""), message));
        Vec::new()
    });
    if report.rejects() {
        return Err(report);
    }
    Ok(PlainSet {
        policies: policies.iter().flat_map(Placed::policies).cloned().collect(),
        actions,
        warnings: report,
    })
}

impl PlainSet {
    /// An action of the schema.
    pub fn action(&self, uid: &EntityUid) -> Option<&BuiltEntity> {
        self.actions.iter().find(|action| action.uid() == uid)
    }
}
