//! The working group's to-do scenario: five people, two kinds of things, five actions, as its enforcement points ask.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::{HttpAnswer, Sources, TestServer, post};

const SCHEMA: &str = include_str!("todo/todo.cedarschema");
const POLICIES: &str = include_str!("todo/todo.cedar");
const CONFIG: &str = include_str!("todo/mandate.toml");

/// Somebody: the opaque id by which they are asked about, their address, their roles.
struct Person {
    id: &'static str,
    email: &'static str,
    roles: &'static [&'static str],
}

const PEOPLE: [Person; 5] = [
    Person {
        id: "CiRmZDA2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
        email: "rick@the-citadel.com",
        roles: &["admin", "evil_genius"],
    },
    Person {
        id: "CiRmZDE2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
        email: "morty@the-citadel.com",
        roles: &["editor"],
    },
    Person {
        id: "CiRmZDI2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
        email: "summer@the-smiths.com",
        roles: &["editor"],
    },
    Person {
        id: "CiRmZDM2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
        email: "beth@the-smiths.com",
        roles: &["viewer"],
    },
    Person {
        id: "CiRmZDQ2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
        email: "jerry@the-smiths.com",
        roles: &["viewer"],
    },
];

impl Person {
    fn is(&self, role: &str) -> bool {
        self.roles.contains(&role)
    }

    /// What the scenario's rules say.
    fn may(&self, action: &str, owner: Option<&str>) -> bool {
        let own = self.is("editor") && owner == Some(self.email);
        match action {
            "can_read_user" | "can_read_todos" => true,
            "can_create_todo" => self.is("admin") || self.is("editor"),
            "can_update_todo" => self.is("evil_genius") || own,
            "can_delete_todo" => self.is("admin") || own,
            other => panic!("no action {other}"),
        }
    }

    fn stored(&self) -> Value {
        let role = |role: &&str| json!({"__entity": {"type": "Todo::Role", "id": role}});
        let roles: Vec<_> = self.roles.iter().map(role).collect();
        json!({"uid": {"type": "Todo::User", "id": self.id}, "attrs": {"email": self.email, "roles": roles},
               "parents": []})
    }

    fn subject(&self) -> Value {
        json!({"type": "user", "id": self.id})
    }
}

fn server() -> &'static TestServer {
    static SERVER: LazyLock<TestServer> = LazyLock::new(|| {
        let people: Vec<_> = PEOPLE.iter().map(Person::stored).collect();
        let sources = Sources::empty()
            .schema("todo.cedarschema", SCHEMA)
            .policy("todo.cedar", POLICIES)
            .entities("people.json", &json!(people));
        TestServer::with_config(&sources.config_written(CONFIG).unwrap())
    });
    &SERVER
}

fn ask(path: &str, body: &Value) -> HttpAnswer {
    post(&format!("{}{path}", server().http), &[("content-type", "application/json")], body.to_string())
}

/// What is asked of each person: an action, a resource, and whose it is.
fn questions(person: &Person) -> Vec<(&'static str, Value, Option<&'static str>)> {
    let mut questions = vec![
        ("can_read_user", json!({"type": "user", "id": "beth@the-smiths.com"}), None),
        ("can_read_user", json!({"type": "user", "id": person.email}), None),
        ("can_read_todos", json!({"type": "todo", "id": "todo-1"}), None),
        ("can_create_todo", json!({"type": "todo", "id": "todo-1"}), None),
    ];
    for action in ["can_update_todo", "can_delete_todo"] {
        for owner in PEOPLE.iter().map(|person| person.email) {
            let properties = json!({ "ownerID": owner });
            let item = json!({"type": "todo", "id": "7240d0db-8ff0-41ec-98b2-34a096273b9f", "properties": properties});
            questions.push((action, item, Some(owner)));
        }
        questions.push((action, json!({"type": "todo", "id": "todo-1"}), None));
    }
    questions
}

#[test]
fn every_decision_of_the_scenario() {
    for person in &PEOPLE {
        for (action, resource, owner) in questions(person) {
            let body = json!({"subject": person.subject(), "action": {"name": action}, "resource": resource});
            let answer = ask("/access/v1/evaluation", &body);
            assert_eq!(answer.decision(), person.may(action, owner), "{}: {body}: {answer:?}", person.email);
        }
    }
}

#[test]
fn every_decision_of_the_scenario_in_batches() {
    for person in &PEOPLE {
        let questions = questions(person);
        let items = questions
            .iter()
            .map(|(action, resource, _)| json!({"action": {"name": action}, "resource": resource}));
        let body = json!({"subject": person.subject(), "evaluations": items.collect::<Vec<_>>()});
        let answer = ask("/access/v1/evaluations", &body).json();
        let decided: Vec<_> = answer["evaluations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["decision"] == json!(true))
            .collect();
        let expected: Vec<_> =
            questions.iter().map(|(action, _, owner)| person.may(action, *owner)).collect();
        assert_eq!(decided, expected, "{}", person.email);
    }
}

/// The same people, as API gateways ask about them: a method, and a path as the API's description writes it.
#[test]
fn every_decision_of_the_gateways_scenario() {
    let routes = [
        ("GET", "/users/{userId}"),
        ("GET", "/todos"),
        ("POST", "/todos"),
        ("PUT", "/todos/{todoId}"),
        ("DELETE", "/todos/{todoId}"),
    ];
    for person in &PEOPLE {
        for (method, route) in routes {
            let body = json!({
                "subject": {"type": "identity", "id": person.id},
                "action": {"name": method},
                "resource": {"type": "route", "id": route, "properties": {"uri": "http://todo.example/todos", "params": null}},
                "context": {"headers": {"accept": "*/*"}},
            });
            let expected = method == "GET" || !person.is("viewer");
            assert_eq!(ask("/access/v1/evaluation", &body).decision(), expected, "{}: {body}", person.email);
        }
    }
}

#[test]
fn the_published_decisions() {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/conformance");
    let folder = std::env::var("MANDATE_CONFORMANCE_DIR").unwrap_or_else(|_| default.to_owned());
    let Ok(published) = std::fs::read_to_string(format!("{folder}/authzen/todo-decisions.json")) else {
        assert!(std::env::var_os("CI").is_none(), "no published decisions in {folder}");
        eprintln!("SKIPPED: no published decisions in {folder}");
        return;
    };
    let published: Value = serde_json::from_str(&published).unwrap();
    for case in published["evaluation"].as_array().unwrap() {
        let answer = ask("/access/v1/evaluation", &case["request"]);
        assert_eq!(json!(answer.decision()), case["expected"], "{case}");
    }
    for case in published["evaluations"].as_array().unwrap() {
        let answer = ask("/access/v1/evaluations", &case["request"]).json();
        let items = answer["evaluations"].as_array().unwrap();
        let decided: Vec<_> = items.iter().map(|item| json!({"decision": item["decision"]})).collect();
        assert_eq!(json!(decided), case["expected"], "{case}");
    }
}
