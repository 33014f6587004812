//! A population, its policies, and requests about it, all from one seed; as sources to compile, and as files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mandate::engine::compile::{Options, Sources, compile};
use mandate::engine::problem::SourceFile;
use mandate::engine::world::World;
use mandate::store::directory::Folders;
use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Attempt;
use crate::policies::{self, Covered, Policy, dice};
use crate::population::Population;
use crate::requests::{Draw, Wire};

pub(crate) const SCHEMA: &str = include_str!("schema.cedarschema");
/// Policies in one file.
const POLICIES_A_FILE: usize = 500;
/// Entities in one file.
const ENTITIES_A_FILE: usize = 20_000;
/// Requests over which candidates are counted.
const COUNTED: usize = 1_000;

/// Everything that is decided over, and the dice that requests are drawn with.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) population: Population,
    pub(crate) policies: Vec<Policy>,
    random: Xoshiro256PlusPlus,
}

/// Which scopes policies have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scopes {
    /// Principals, groups, types, resources, folders.
    Mixed,
    /// None.
    None,
}

/// How many policies have a scope that covers a request: counted by comparing scopes, without any engine.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Candidates {
    pub(crate) mean: f64,
    pub(crate) most: usize,
}

impl Workload {
    /// The same for the same sizes, always.
    ///
    /// # Errors
    /// A defect.
    pub(crate) fn new(policies: usize, entities: usize, scopes: Scopes) -> Attempt<Self> {
        let mut random = dice(u64::MAX / 2);
        let population = Population::of(policies, entities, &mut random)?;
        let policies = match scopes {
            Scopes::Mixed => policies::mixed(policies, &population),
            Scopes::None => policies::scopeless(policies),
        };
        Ok(Self { population, policies, random })
    }

    /// The next request.
    ///
    /// # Errors
    /// A defect.
    pub(crate) fn ask(&mut self, draw: Draw) -> Attempt<Wire> {
        let asked = draw.ask(&self.population, &mut self.random)?;
        asked.wire(&self.population).ok_or_else(|| "a request is about nothing".into())
    }

    /// Counts the candidates of requests drawn like those that are measured.
    ///
    /// # Errors
    /// A defect.
    pub(crate) fn candidates(&mut self, draw: Draw) -> Attempt<Candidates> {
        let (mut all, mut most) = (0, 0);
        for _ in 0..COUNTED {
            let asked = draw.ask(&self.population, &mut self.random)?;
            let covered = Covered::new(&asked, &self.population);
            let candidates = self.policies.iter().filter(|policy| policy.covers(&covered)).count();
            all += candidates;
            most = most.max(candidates);
        }
        Ok(Candidates { mean: all as f64 / COUNTED as f64, most })
    }

    /// Policies as texts, some hundred a file.
    ///
    /// # Errors
    /// A defect.
    pub(crate) fn policy_files(&self) -> Attempt<Vec<SourceFile>> {
        let files = self.policies.chunks(POLICIES_A_FILE).enumerate().map(|(file, policies)| {
            let texts = policies.iter().enumerate().map(|(number, policy)| {
                let id = format!("p{:06}", file * POLICIES_A_FILE + number);
                policy.text(&id, &self.population).ok_or("a policy names what there is not")
            });
            let text = texts.collect::<Result<Vec<_>, _>>()?.join("\n");
            Ok(SourceFile { name: format!("policies/{file:04}.cedar"), bytes: text.into() })
        });
        files.collect()
    }

    fn entity_files(&self) -> Attempt<Vec<SourceFile>> {
        let mut files = Vec::new();
        let mut entities = self.population.entities();
        loop {
            let some: Vec<Value> = entities.by_ref().take(ENTITIES_A_FILE).collect();
            if some.is_empty() {
                return Ok(files);
            }
            let name = format!("entities/{:04}.json", files.len());
            files.push(SourceFile { name, bytes: serde_json::to_vec(&some)?.into() });
        }
    }

    /// Everything as sources.
    ///
    /// # Errors
    /// A defect.
    pub(crate) fn sources(&self) -> Attempt<Sources> {
        let schema = SourceFile { name: "schemas/scale.cedarschema".to_owned(), bytes: SCHEMA.into() };
        Ok(Sources {
            policies: self.policy_files()?,
            schemas: vec![schema],
            entities: self.entity_files()?,
            ..Sources::default()
        })
    }

    /// The world that a server would serve.
    ///
    /// # Errors
    /// The sources do not compile, which is a defect of the workload.
    pub(crate) fn world(&self) -> Attempt<World> {
        compiled(&self.sources()?)
    }

    /// Writes the sources into folders.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn write(&self, root: &Path) -> Attempt<Folders> {
        let sources = self.sources()?;
        let folders = folders(root);
        for folder in [&folders.policies, &folders.schemas, &folders.entities] {
            fs::create_dir_all(folder)?;
        }
        for file in [&sources.policies, &sources.schemas, &sources.entities].into_iter().flatten() {
            fs::write(root.join(&file.name), &*file.bytes)?;
        }
        Ok(folders)
    }
}

/// Where [`Workload::write`] writes.
pub(crate) fn folders(root: &Path) -> Folders {
    Folders {
        policies: root.join("policies"),
        schemas: root.join("schemas"),
        entities: root.join("entities"),
    }
}

/// The world of some sources.
///
/// # Errors
/// They do not compile: the first problems, and how many more there are of each kind.
pub(crate) fn compiled(sources: &Sources) -> Attempt<World> {
    match compile(sources, &Options::default()) {
        Ok(loaded) => Ok(loaded.world),
        Err(report) => {
            let mut kinds = BTreeMap::<String, usize>::new();
            report.errors().for_each(|problem| *kinds.entry(problem.message.clone()).or_default() += 1);
            let first = report.errors().next().map(ToString::to_string);
            Err(format!("the workload does not compile: {first:?}, {} kinds of problems", kinds.len()).into())
        }
    }
}
