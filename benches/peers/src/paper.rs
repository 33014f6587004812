//! The three applications by which the Cedar paper (OOPSLA 2024) measures, made anew from their description: a drive for
//! documents, repositories of organizations, shared lists of tasks.

mod gdrive;
mod github;
mod tinytodo;

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus;
use serde_json::Value;

use crate::Attempt;
use crate::world::{CerbosFile, Name, Policy, Question, Told, World, members};

/// How many there are of what most there is of, and of groups of them.
const MANY: usize = 50;
const FEW: usize = 8;
/// How probable each connection is.
const CONNECTED: f64 = 0.05;
/// Why Cedarling is left out.
const NO_HIERARCHY: &str = "requests bring no hierarchy, and at most 1,000 entities are kept";

/// Which is in which: names, and the names of their parents.
#[derive(Debug, Default)]
struct Graph(BTreeMap<String, Vec<Name>>);

impl Graph {
    fn put(&mut self, name: &Name, parents: Vec<Name>) {
        self.0.insert(name.uid(), parents);
    }

    fn parents(&self, name: &Name) -> &[Name] {
        self.0.get(&name.uid()).map_or(&[], Vec::as_slice)
    }

    /// Everything that something is in, of one kind, itself included.
    fn reached(&self, from: &Name, kind: &str) -> BTreeSet<String> {
        let (mut seen, mut ahead, mut found) = (BTreeSet::new(), vec![from.clone()], BTreeSet::new());
        while let Some(name) = ahead.pop() {
            if !seen.insert(name.uid()) {
                continue;
            }
            ahead.extend(self.parents(&name).iter().cloned());
            if name.kind == kind {
                found.insert(name.id);
            }
        }
        found
    }
}

fn numbered(kind: &'static str, count: usize) -> Vec<Name> {
    let lower = kind.to_lowercase();
    (0..count).map(|number| Name::new(kind, format!("{lower}-{number}"))).collect()
}

/// Some of them, each as probable as the others.
fn some(dice: &mut Xoshiro256PlusPlus, of: &[Name]) -> Vec<Name> {
    of.iter().filter(|_| dice.random_bool(CONNECTED)).cloned().collect()
}

/// The policies of a text, each told apart by its `@id`.
fn policies(text: &str) -> Vec<Policy> {
    let parts = text.split("@id(\"").skip(1);
    let policy = |part: &str| Policy {
        id: part.split('"').next().unwrap_or_default().to_owned(),
        group: "bench".to_owned(),
        text: format!("@id(\"{part}"),
    };
    parts.map(policy).collect()
}

/// Texts of one application.
struct Texts {
    name: &'static str,
    schema: &'static str,
    policies: &'static str,
    cerbos: &'static str,
}

impl Texts {
    fn world(self, entities: Vec<Value>, questions: Vec<Question>) -> World {
        World {
            name: self.name,
            schema: self.schema.to_owned(),
            policies: policies(self.policies),
            entities,
            shipped: None,
            cerbos: Ok(vec![CerbosFile { name: "bench.yaml".to_owned(), text: self.cerbos.to_owned() }]),
            cedarling: Err(NO_HIERARCHY),
            old_cedar: Ok(()),
            questions,
            never_twice: false,
        }
    }
}

/// What is asked, of whom: `told` is what Cerbos has to be told of both sides.
fn asked(sides: (&Name, &str, &Name), allowed: bool, principal: &Value, resource: &Value) -> Question {
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let (principal_name, action, resource_name) = sides;
    Question {
        principal: principal_name.clone(),
        action: action.to_owned(),
        resource: resource_name.clone(),
        context: members([]),
        arguments: None,
        delegation: None,
        allowed,
        told: Told {
            roles: vec!["user".to_owned()],
            principal: object(principal),
            kind: "thing".to_owned(),
            resource: object(resource),
        },
    }
}

/// All three.
///
/// # Errors
/// A defect.
pub(crate) fn worlds() -> Attempt<Vec<World>> {
    Ok(vec![gdrive::world()?, github::world()?, tinytodo::world()?])
}
