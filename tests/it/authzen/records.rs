//! The working group's search scenario: six people, twenty records, three actions, and who may do what to which.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::{Sources, TestServer, post};

const SCHEMA: &str = r#"namespace Library {
  entity Role enum ["manager", "employee", "contractor"];
  entity User = { role: Role, department: String };
  entity Record = { department: String, owner: User };
  action view, edit, delete appliesTo { principal: [User], resource: [Record], context: {} };
}
"#;

const POLICIES: &str = r#"
@id("own") permit (principal, action, resource) when { resource.owner == principal };
@id("managers-view") permit (principal, action == Library::Action::"view", resource)
when { principal.role == Library::Role::"manager" };
@id("department") permit (principal, action == Library::Action::"view", resource)
when { resource.department == principal.department };
@id("managers-edit") permit (principal, action == Library::Action::"edit", resource)
when { principal.role == Library::Role::"manager" && resource.department == principal.department };
"#;

const CONFIG: &str = r#"
[domain]
namespace = "Library"
[authzen.subjects]
user = "Library::User"
[authzen.resources]
record = "Library::Record"
"#;

/// Name, role, department.
const PEOPLE: [(&str, &str, &str); 6] = [
    ("alice", "manager", "Sales"),
    ("bob", "employee", "Legal"),
    ("carol", "contractor", "Legal"),
    ("dan", "manager", "Finance"),
    ("erin", "employee", "Finance"),
    ("felix", "contractor", "Accounting"),
];

/// Departments of the records from 101 on. Their owners take turns.
const DEPARTMENTS: [&str; 20] = [
    "Legal",
    "Legal",
    "Legal",
    "Accounting",
    "Legal",
    "Accounting",
    "Sales",
    "Legal",
    "Accounting",
    "Sales",
    "Accounting",
    "Legal",
    "Sales",
    "Accounting",
    "Finance",
    "Legal",
    "Legal",
    "Accounting",
    "Legal",
    "Accounting",
];

const ACTIONS: [&str; 3] = ["delete", "edit", "view"];

type Person = (&'static str, &'static str, &'static str);

/// Id, department, owner.
type Record = (String, &'static str, &'static str);

fn records() -> Vec<Record> {
    let owners = PEOPLE.iter().cycle();
    let each = DEPARTMENTS.iter().zip(owners).enumerate();
    each.map(|(at, (department, owner))| ((101 + at).to_string(), *department, owner.0)).collect()
}

/// What the scenario's rules say.
fn may((name, role, department): Person, action: &str, (_, of, owner): &Record) -> bool {
    let (manager, own, same) = (role == "manager", name == *owner, department == *of);
    own || match action {
        "view" => manager || same,
        "edit" => manager && same,
        _ => false,
    }
}

fn server() -> &'static TestServer {
    static SERVER: LazyLock<TestServer> = LazyLock::new(|| {
        let entity =
            |name: &str, id: &str| json!({"__entity": {"type": format!("Library::{name}"), "id": id}});
        let people = PEOPLE.iter().map(|(name, role, department)| {
            json!({"uid": {"type": "Library::User", "id": name}, "parents": [],
                   "attrs": {"role": entity("Role", role), "department": department}})
        });
        let records = records();
        let records = records.iter().map(|(id, department, owner)| {
            json!({"uid": {"type": "Library::Record", "id": id}, "parents": [],
                   "attrs": {"department": department, "owner": entity("User", owner)}})
        });
        let stored: Vec<_> = people.chain(records).collect();
        let sources = Sources::empty()
            .schema("library.cedarschema", SCHEMA)
            .policy("library.cedar", POLICIES)
            .entities("library.json", &json!(stored));
        TestServer::with_config(&sources.config_written(CONFIG).unwrap())
    });
    &SERVER
}

fn search(part: &str, body: &Value) -> Value {
    let url = format!("{}/access/v1/search/{part}", server().http);
    let answer = post(&url, &[("content-type", "application/json")], body.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn user(name: &str) -> Value {
    json!({"type": "user", "id": name})
}

fn record(id: &str) -> Value {
    json!({"type": "record", "id": id})
}

// Answers are compared whole, as the scenario's own harness does: there is nothing in them but results.

#[test]
fn every_subject_search() {
    for of in records() {
        for action in ACTIONS {
            let body =
                json!({"subject": {"type": "user"}, "action": {"name": action}, "resource": record(&of.0)});
            let expected: Vec<_> = PEOPLE
                .iter()
                .filter(|person| may(**person, action, &of))
                .map(|person| user(person.0))
                .collect();
            assert_eq!(search("subject", &body), json!({"results": expected}), "{action} {}", of.0);
        }
    }
}

#[test]
fn every_resource_search() {
    for person in PEOPLE {
        for action in ACTIONS {
            let body = json!({"subject": user(person.0), "action": {"name": action}, "resource": {"type": "record"}});
            let records = records();
            let expected: Vec<_> =
                records.iter().filter(|of| may(person, action, of)).map(|of| record(&of.0)).collect();
            assert_eq!(search("resource", &body), json!({"results": expected}), "{} {action}", person.0);
        }
    }
    // Among the published answers.
    let erin = json!({"subject": user("erin"), "action": {"name": "view"}, "resource": {"type": "record"}});
    let expected = ["105", "111", "115", "117"].map(record);
    assert_eq!(search("resource", &erin), json!({"results": expected}));
}

#[test]
fn every_action_search() {
    for person in PEOPLE {
        for of in records() {
            let body = json!({"subject": user(person.0), "resource": record(&of.0)});
            let expected: Vec<_> = ACTIONS
                .iter()
                .filter(|action| may(person, action, &of))
                .map(|name| json!({"name": name}))
                .collect();
            assert_eq!(search("action", &body), json!({"results": expected}), "{} {}", person.0, of.0);
        }
    }
}

#[test]
fn what_the_data_does_not_have_is_found_nowhere() {
    let nothing = json!({"results": []});
    let share = json!({"subject": {"type": "user"}, "action": {"name": "share"}, "resource": record("101")});
    assert_eq!(search("subject", &share), nothing);
    let gone = json!({"subject": {"type": "user"}, "action": {"name": "view"}, "resource": record("121")});
    assert_eq!(search("subject", &gone), nothing);
    let nobody = json!({"subject": user("gina"), "action": {"name": "view"}, "resource": {"type": "record"}});
    assert_eq!(search("resource", &nobody), nothing);
}
