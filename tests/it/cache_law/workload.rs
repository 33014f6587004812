//! Questions about the shipped world: every shipped case's, and each of them changed in one place at a time.

use std::collections::HashMap;
use std::fs;

use mandate::cases::{self, Case};
use mandate::engine::datum::{Datum, Reference};
use mandate::server::pb;
use serde_json::{Map, Value, json};

use crate::support::{Question as _, reference, repository};

/// The questions, most of them twice from different cases.
pub(super) fn requests() -> Vec<pb::AuthorizeRequest> {
    let digests = digests();
    let mut requests = Vec::new();
    for case in cases() {
        let base = Base::of(&case, &digests);
        requests.push(base.request());
        requests.extend(base.neighbours());
    }
    requests
}

fn cases() -> Vec<Case> {
    let files = fs::read_dir(repository().join("policies/tests")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let parsed = |file: &std::path::PathBuf| {
        cases::parse(&file.display().to_string(), &fs::read_to_string(file).unwrap()).unwrap()
    };
    files.iter().flat_map(parsed).collect()
}

/// The digest stored for each tool.
fn digests() -> HashMap<String, Value> {
    let files = fs::read_dir(repository().join("entities")).unwrap();
    let files = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let entities = files.flat_map(|text| serde_json::from_str::<Vec<Value>>(&text).unwrap());
    let digest = |entity: Value| {
        let id = entity["uid"]["id"].as_str()?.to_owned();
        Some((id, entity["attrs"].get("digest")?.clone()))
    };
    entities.filter_map(digest).collect()
}

/// A context, and arguments.
type Facts = (Map<String, Value>, Option<Map<String, Value>>);

/// A case's question, in parts that can be changed.
#[derive(Clone)]
struct Base {
    principal: Reference,
    action: Reference,
    resource: Reference,
    context: Map<String, Value>,
    arguments: Option<Map<String, Value>>,
}

impl Base {
    fn of(case: &Case, digests: &HashMap<String, Value>) -> Self {
        let mut context: Map<_, _> =
            case.context.iter().map(|(name, value)| (name.clone(), json_of(value))).collect();
        if case.digest.is_some() {
            context.insert("digest".to_owned(), digests[&case.resource.id].clone());
        }
        let arguments = case.arguments.as_ref().map(|arguments| match json_of(arguments) {
            Value::Object(members) => members,
            other => panic!("arguments are an object: {other}"),
        });
        let Case { principal, action, resource, .. } = case.clone();
        Self { principal, action, resource, context, arguments }
    }

    fn request(&self) -> pb::AuthorizeRequest {
        let named = |reference: &Reference| Some(self::reference(&reference.type_name, &reference.id));
        let request = pb::AuthorizeRequest {
            principal: named(&self.principal),
            action: named(&self.action),
            resource: named(&self.resource),
            ..pb::AuthorizeRequest::default()
        };
        let request = request.struct_context(&Value::Object(self.context.clone()));
        match &self.arguments {
            Some(arguments) => request.struct_arguments(&Value::Object(arguments.clone())),
            None => request,
        }
    }

    /// The question changed in one place: every field, and every member of every record.
    fn neighbours(&self) -> Vec<pb::AuthorizeRequest> {
        let mut found = Vec::new();
        let mut with = |change: &dyn Fn(&mut Self)| {
            let mut other = self.clone();
            change(&mut other);
            found.push(other.request());
        };
        // An agent without a chain is denied before any policy is asked: people and one that needs none say more.
        for (type_name, id) in
            [("User", "ana"), ("User", "bea"), ("User", "dov"), ("Agent", "night-watch"), ("User", "nobody")]
        {
            with(&|base| base.principal = Reference::new(format!("Mandate::{type_name}"), id));
        }
        for person in ["ana", "night-watch"] {
            let kind = if person == "ana" { "Mandate::User" } else { "Mandate::Agent" };
            let mut acting = self.clone();
            acting.principal = Reference::new(kind, person);
            for (context, arguments) in acting.changed_facts() {
                with(&|base| {
                    base.principal = Reference::new(kind, person);
                    base.context.clone_from(&context);
                    base.arguments.clone_from(&arguments);
                });
            }
        }
        with(&|base| base.action = Reference::new("", "list_tools"));
        with(&|base| base.action = Reference::new("", base.action.id.clone()));
        with(&|base| base.action = Reference::new("Mandate::Action", "no_such"));
        with(&|base| base.resource = Reference::new("Mandate::Tool", "github/list_issues"));
        with(&|base| base.resource = Reference::new(base.resource.type_name.clone(), "no-such"));
        found.push(self.supplying("Mandate::Data", "docs"));
        found.push(self.supplying("Mandate::Approval", "x"));
        found
    }

    /// The question with an entity of its own, which the shipped schema refuses.
    fn supplying(&self, type_name: &str, id: &str) -> pb::AuthorizeRequest {
        let uid = Some(reference(type_name, id));
        pb::AuthorizeRequest { entities: vec![pb::Entity { uid, ..pb::Entity::default() }], ..self.request() }
    }

    /// Context and arguments with one member left out or changed.
    fn changed_facts(&self) -> Vec<Facts> {
        let contexts = changed(&self.context).into_iter().map(|context| (context, self.arguments.clone()));
        let arguments = self.arguments.iter().flat_map(changed);
        let arguments = arguments.map(|arguments| (self.context.clone(), Some(arguments)));
        contexts.chain(arguments).collect()
    }
}

/// A record with one member changed, at any depth.
fn changed(record: &Map<String, Value>) -> Vec<Map<String, Value>> {
    let mut all = Vec::new();
    for (name, value) in record {
        let mut put = |value: Option<Value>| {
            let mut other = record.clone();
            match value {
                Some(value) => drop(other.insert(name.clone(), value)),
                None => drop(other.remove(name)),
            }
            all.push(other);
        };
        match value {
            Value::Object(members) => {
                changed(members).into_iter().for_each(|members| put(Some(Value::Object(members))));
            }
            Value::Bool(value) => put(Some(json!(!value))),
            Value::Number(number) => put(Some(json!(number.as_f64().unwrap() + 1000.0))),
            Value::String(text) => put(Some(json!(format!("{text}x")))),
            Value::Array(elements) if elements.is_empty() => {
                put(Some(json!([{"type": "Mandate::Data", "id": "secrets"}])));
            }
            Value::Array(_) | Value::Null => put(Some(json!([]))),
        }
        if !value.is_object() {
            put(None);
        }
    }
    all
}

fn json_of(datum: &Datum) -> Value {
    match datum {
        Datum::Null => Value::Null,
        Datum::Bool(value) => json!(value),
        Datum::Long(value) => json!(value),
        Datum::Number(value) => json!(value),
        Datum::String(text) => json!(text),
        Datum::List(elements) => elements.iter().map(json_of).collect(),
        Datum::Record(members) => {
            members.iter().map(|(name, value)| (name.clone(), json_of(value))).collect()
        }
        other => panic!("a case file has only plain values: {other:?}"),
    }
}
