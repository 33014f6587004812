//! Compiling one set after another: only what changed is parsed and validated.

use std::fmt;
use std::sync::Arc;

use cedar_policy::Validator;

use super::checks::Rules;
use super::definitions::Definitions;
use super::entities::{Beside, EntityMemory};
use super::known::Known;
use super::policies;
use super::single::Examiner;
use super::workers::Workers;
use super::{Loaded, Options, Remains, Sources, language, schema};
use crate::engine::generation::Strictness;
use crate::engine::guard;
use crate::engine::problem::{Report, SourceFile};
use crate::engine::progress::Progress;

/// Compiles sets of sources, and remembers of the last ones what it need not do again: the schema, and policies that
/// were entirely clean under it, by their files and by their text. What comes out is what compiling afresh would come to.
/// A copy costs next to nothing, and remembers the same.
#[derive(Clone)]
pub struct Compiler {
    options: Options,
    workers: Workers,
    /// The last set that compiled.
    accepted: Option<Arc<Memory>>,
    /// The set that was rejected since, if its schema was not.
    rejected: Option<Arc<Memory>>,
    remains: Remains,
}

/// What is remembered of a set.
struct Memory {
    schema: Arc<CompiledSchema>,
    policies: Known,
}

/// A schema, and what was found in it.
struct CompiledSchema {
    schemas: Vec<SourceFile>,
    definitions: Vec<SourceFile>,
    /// None if there is no schema.
    rules: Option<Rules>,
    of_schema: Report,
    of_definitions: Report,
    of_catalog: Report,
}

impl fmt::Debug for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remembered =
            |memory: &Option<Arc<Memory>>| memory.as_ref().map_or(0, |memory| memory.policies.len());
        f.debug_struct("Compiler")
            .field("options", &self.options)
            .field("workers", &self.workers)
            .field("accepted", &remembered(&self.accepted))
            .field("rejected", &remembered(&self.rejected))
            .finish()
    }
}

impl Compiler {
    /// A compiler that remembers nothing yet.
    pub fn new(options: Options, workers: Workers) -> Self {
        let remains = Remains { entities: EntityMemory::new(workers), ..Remains::default() };
        Self { options, workers, accepted: None, rejected: None, remains }
    }

    /// Counts there, from now on, how far the loading of entities has come.
    pub fn report_to(&mut self, progress: Arc<Progress>) {
        self.remains.entities.report_to(progress);
    }

    /// Stores these, from now on, beside the entities of files.
    pub fn store_beside(&mut self, beside: Beside) {
        self.remains.beside = beside;
    }

    /// Compiles sources to a world.
    ///
    /// # Errors
    /// A [`Report`] of every problem found, warnings included.
    pub fn compile(&mut self, sources: &Sources) -> Result<Loaded, Report> {
        guard::on_parser_stack(|| self.compile_here(sources)).unwrap_or_else(|error| Err(Report::from(error)))
    }

    /// `compile`, on whatever stack this is. A rejected set is dropped here too: dropping recurses.
    fn compile_here(&mut self, sources: &Sources) -> Result<Loaded, Report> {
        let schema = self.schema(sources);
        let mut report = schema.of_schema.clone();
        let examiner = self.examiner(&schema);
        let mut policies = policies::load(sources, self.options.strictness, &examiner, &mut report)?;
        report.problems.extend(schema.of_definitions.problems.iter().cloned());
        let parsed = report.problems.len();
        let Some(rules) = &schema.rules else { return Err(report) };
        report.problems.extend(schema.of_catalog.problems.iter().cloned());
        let clean = policies.take_clean();
        let remains = &mut self.remains;
        let loaded = super::finish(sources, &self.options, rules, policies, remains, report, parsed);
        self.remember(schema, clean, loaded.is_ok());
        loaded
    }

    fn memories(&self) -> impl Iterator<Item = &Memory> {
        self.accepted.iter().chain(&self.rejected).map(|memory| &**memory)
    }

    /// The schema, as it was if its files are what they were.
    fn schema(&self, sources: &Sources) -> Arc<CompiledSchema> {
        let known = self.memories().find(|memory| memory.schema.is_of(sources));
        known.map_or_else(
            || Arc::new(CompiledSchema::new(sources, &self.options)),
            |memory| Arc::clone(&memory.schema),
        )
    }

    fn examiner<'a>(&'a self, schema: &'a Arc<CompiledSchema>) -> Examiner<'a> {
        let same = self.memories().filter(|memory| Arc::ptr_eq(&memory.schema, schema));
        Examiner {
            rules: schema.rules.as_ref(),
            known: same.map(|memory| &memory.policies).collect(),
            workers: self.workers,
        }
    }

    /// A set that was rejected leaves the one before it remembered: that is what is served, and joined by emergency
    /// forbids.
    fn remember(&mut self, schema: Arc<CompiledSchema>, policies: Known, accepted: bool) {
        if schema.rejects() {
            return;
        }
        let memory = Some(Arc::new(Memory { schema, policies }));
        if accepted {
            (self.accepted, self.rejected) = (memory, None);
        } else {
            self.rejected = memory;
        }
    }
}

impl CompiledSchema {
    fn new(sources: &Sources, options: &Options) -> Self {
        let [mut of_schema, mut of_definitions, mut of_catalog] = <[Report; 3]>::default();
        let schema = match options.strictness {
            Strictness::Language(_) if sources.schemas.is_empty() => language::no_schema(&mut of_schema),
            _ => schema::load(&sources.schemas, &mut of_schema),
        };
        let definitions = Definitions::load(&sources.definitions, &mut of_definitions);
        let rules = schema.map(|schema| {
            let catalog = schema.catalog(&options.domain, definitions, &mut of_catalog);
            Rules { validator: Validator::new(catalog.schema.clone()), catalog: Arc::new(catalog) }
        });
        let (schemas, definitions) = (sources.schemas.clone(), sources.definitions.clone());
        Self { schemas, definitions, rules, of_schema, of_definitions, of_catalog }
    }

    fn is_of(&self, sources: &Sources) -> bool {
        (&self.schemas, &self.definitions) == (&sources.schemas, &sources.definitions)
    }

    fn rejects(&self) -> bool {
        let found = [&self.of_schema, &self.of_definitions, &self.of_catalog];
        self.rules.is_none() || found.into_iter().any(Report::rejects)
    }
}
