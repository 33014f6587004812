//! What is asked of whom: policies, entities and questions with their answers, in the form of every peer that can express them.

use std::fs;
use std::path::{Path, PathBuf};

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom as _;
use serde_json::{Map, Value, json};

use crate::Attempt;
use crate::policies::copy_without;

/// Members of a JSON object.
pub(crate) type Members = Map<String, Value>;

/// A policy set, what it speaks of, and what is asked.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) name: &'static str,
    /// Cedar's schema.
    pub(crate) schema: String,
    pub(crate) policies: Vec<Policy>,
    /// Everything that policies look at, as Cedar's JSON.
    pub(crate) entities: Vec<Value>,
    /// The repository whose shipped schemas, policies and entities these come on top of.
    pub(crate) shipped: Option<PathBuf>,
    /// The same meaning for Cerbos, a file for each policy.
    pub(crate) cerbos: Expressed<Vec<CerbosFile>>,
    /// The same meaning for Cedarling, which has no hierarchy of what a request brings.
    pub(crate) cedarling: Expressed<Cedarling>,
    /// Why a peer with Cedar 2.4 cannot take it.
    pub(crate) old_cedar: Expressed<()>,
    pub(crate) questions: Vec<Question>,
    /// Whether a question is asked once only, so that nothing is remembered of it.
    pub(crate) never_twice: bool,
}

/// What a peer can express, or why not.
pub(crate) type Expressed<T> = Result<T, &'static str>;

/// A Cedar policy, in a file together with others of its group.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) id: String,
    pub(crate) group: String,
    pub(crate) text: String,
}

/// A policy file of Cerbos.
#[derive(Debug)]
pub(crate) struct CerbosFile {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Schema and policies whose every fact is an attribute.
#[derive(Debug)]
pub(crate) struct Cedarling {
    pub(crate) schema: String,
    pub(crate) policies: Vec<Policy>,
}

/// One question, and its answer as the generator knows it.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) principal: Name,
    pub(crate) action: String,
    pub(crate) resource: Name,
    pub(crate) context: Members,
    /// The raw arguments of a tool call.
    pub(crate) arguments: Option<Members>,
    /// The grant that the principal acts under.
    pub(crate) delegation: Option<String>,
    pub(crate) allowed: bool,
    /// What a peer without a store of entities is told with the question.
    pub(crate) told: Told,
}

/// The name of an entity; its type is without namespace.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
}

/// Facts about both sides of a question.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub(crate) roles: Vec<String>,
    pub(crate) principal: Members,
    /// What Cerbos calls the resource's kind.
    pub(crate) kind: String,
    pub(crate) resource: Members,
}

impl Name {
    pub(crate) fn new(kind: &'static str, id: impl Into<String>) -> Self {
        Self { kind, id: id.into() }
    }

    /// With its namespace.
    pub(crate) fn type_name(&self) -> String {
        format!("Mandate::{}", self.kind)
    }

    /// As Cedar writes it.
    pub(crate) fn uid(&self) -> String {
        format!("{}::{}", self.type_name(), Value::from(self.id.as_str()))
    }

    /// As Cedar's JSON has it where the schema says that it is an entity.
    pub(crate) fn json(&self) -> Value {
        json!({"type": self.type_name(), "id": self.id})
    }

    /// As Cedar's JSON has it where nothing says so.
    pub(crate) fn reference(&self) -> Value {
        json!({"__entity": self.json()})
    }

    /// This entity, with attributes and parents.
    pub(crate) fn entity(&self, attributes: Value, parents: &[Self]) -> Value {
        let parents: Vec<_> = parents.iter().map(Self::json).collect();
        json!({"uid": self.json(), "attrs": attributes, "parents": parents})
    }
}

impl World {
    /// The question whose turn it is: all of them again and again.
    ///
    /// # Errors
    /// There are none.
    pub(crate) fn turn(&self, number: usize) -> Attempt<&Question> {
        let turn = number.checked_rem(self.questions.len()).ok_or("there is nothing to ask")?;
        Ok(self.questions.get(turn).ok_or("there is nothing to ask")?)
    }

    /// Writes schema, policies and entities into folders of these names.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn write(&self, root: &Path) -> Attempt<()> {
        let [schemas, policies, entities] = ["schemas", "policies", "entities"].map(|name| root.join(name));
        for folder in [&schemas, &policies, &entities] {
            fs::create_dir_all(folder)?;
        }
        match &self.shipped {
            Some(repository) => copy_shipped(repository, root)?,
            None => fs::write(schemas.join("bench.cedarschema"), &self.schema)?,
        }
        write_groups(&policies, &self.policies)?;
        fs::write(entities.join("bench.json"), serde_json::to_vec(&self.entities)?)?;
        Ok(())
    }
}

/// What is shipped, without the policies whose answers depend on the hour and are not cached.
fn copy_shipped(repository: &Path, root: &Path) -> Attempt<()> {
    copy_without(&repository.join("policies"), &root.join("policies"), "context.now")?;
    for folder in ["schemas", "entities"] {
        for entry in fs::read_dir(repository.join(folder))? {
            let path = entry?.path();
            if let Some(name) = path.file_name().filter(|_| path.is_file()) {
                fs::copy(&path, root.join(folder).join(name))?;
            }
        }
    }
    Ok(())
}

/// Writes policies into a folder, a file for each group of them, which follow one another.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn write_groups(folder: &Path, policies: &[Policy]) -> Attempt<()> {
    for group in policies.chunk_by(|one, next| one.group == next.group) {
        let Some(first) = group.first() else { continue };
        let text: Vec<_> = group.iter().map(|policy| policy.text.as_str()).collect();
        fs::write(folder.join(&first.group).with_extension("cedar"), text.join("\n"))?;
    }
    Ok(())
}

/// Questions of each answer.
const OF_EACH: usize = 300;

/// Draws until there are as many questions of both answers as are wanted, then has them take turns.
///
/// # Errors
/// A question cannot be drawn.
pub(crate) fn half_allowed(mut draw: impl FnMut() -> Attempt<Question>) -> Attempt<Vec<Question>> {
    let (mut allowed, mut denied) = (Vec::new(), Vec::new());
    while allowed.len().min(denied.len()) < OF_EACH {
        let question = draw()?;
        let same = if question.allowed { &mut allowed } else { &mut denied };
        if same.len() < OF_EACH {
            same.push(question);
        }
    }
    Ok(allowed.into_iter().zip(denied).flat_map(|(yes, no)| [yes, no]).collect())
}

/// One of several, as the dice fall.
///
/// # Errors
/// There is none.
pub(crate) fn pick<'a, T>(dice: &mut Xoshiro256PlusPlus, of: &'a [T]) -> Attempt<&'a T> {
    Ok(of.choose(dice).ok_or("there is nothing to draw from")?)
}

/// Members from pairs.
pub(crate) fn members<const N: usize>(pairs: [(&str, Value); N]) -> Members {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
