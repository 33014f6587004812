//! Tool lists of public MCP servers, everything typed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::domain_for_tests::{load, load_schema, options};
use super::{Import, Options, import};

const LISTS: [(&str, usize); 5] =
    [("fetch", 1), ("filesystem", 14), ("git", 12), ("github", 117), ("time", 2)];

/// The text of a list; none, loudly, where the data is not at hand.
fn text_of(server: &str) -> Option<String> {
    let fallback = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data");
    let data = std::env::var("MANDATE_DATA_DIR").unwrap_or_else(|_| fallback.to_owned());
    let file = PathBuf::from(data).join("mcp").join(format!("{server}.tools.json"));
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("SKIPPED: {}: {error}; set MANDATE_DATA_DIR", file.display());
            None
        }
        Err(error) => panic!("{}: {error}; set MANDATE_DATA_DIR", file.display()),
    }
}

fn imported(server: &str) -> Option<Import> {
    let options = Options { server: server.to_owned(), ..options() };
    text_of(server).map(|text| import(&text, &options).unwrap_or_else(|e| panic!("{server}: {e}")))
}

/// What the input of an action says, on one line.
fn input(import: &Import, action: &str) -> String {
    let schema = import.schema.as_deref().unwrap();
    let (_, rest) = schema.split_once(&format!("action \"{action}\"")).unwrap();
    let (_, rest) = rest.split_once("input: ").unwrap();
    let (input, _) = rest.split_once("\n    },\n").unwrap();
    input.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_list_loads_beside_the_domain() {
    for (server, tools) in LISTS {
        let Some(import) = imported(server) else { continue };
        assert_eq!((import.tools, import.typed), (tools, tools), "{server}");
        let (schema, entities) = load(&import);
        assert_eq!(schema.actions().count(), tools + 6, "{server}");
        let own = entities.iter().filter(|e| e.uid().type_name().basename() != "Action");
        assert!(own.count() >= tools + 2, "{server}");
    }
}

#[test]
fn real_schemas_become_these_inputs() {
    let Some(github) = imported("github") else { return };
    let table = [
        ("github/get_me", "{},"),
        (
            "github/update_issue_labels",
            "{ issue_number: decimal, @union labels: Set<{ string?: String, record?: { confidence?: String, \
             is_suggestion?: Bool, name: String, rationale?: String, }, }>, owner: String, repo: String, },",
        ),
    ];
    for (action, expected) in table {
        let squeezed = input(&github, action);
        assert_eq!(squeezed, expected, "{action}");
    }
    let written = input(&github, "github/issue_write");
    let value = "@union value?: { string?: String, decimal?: decimal, bool?: Bool, }";
    assert!(written.contains(value), "{written}");
    assert!(written.contains(" type?: String,"), "{written}");
    let triggered = input(&github, "github/actions_run_trigger");
    assert!(triggered.contains("@json inputs?: String,"), "{triggered}");
}

#[test]
fn real_hints_become_these_toolsets() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (server, _) in LISTS {
        let Some(import) = imported(server) else { return };
        let entities: Vec<serde_json::Value> = serde_json::from_str(&import.entities).unwrap();
        for parent in entities.iter().flat_map(|e| e["parents"].as_array().unwrap()) {
            *counts.entry(parent["id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    let counted = |toolset: &str| counts.get(toolset).copied().unwrap_or_default();
    assert_eq!(counted("read-only"), 58 + 10 + 7 + 1 + 2);
    assert_eq!(counted("open-world"), 1);
    assert_eq!(counted("changes"), 59 + 4 + 5);
}

#[test]
fn all_lists_load_together() {
    let imports: Vec<Import> = LISTS.iter().filter_map(|(server, _)| imported(server)).collect();
    let schemas: Vec<&str> = imports.iter().filter_map(|i| i.schema.as_deref()).collect();
    let tools: usize = imports.iter().map(|import| import.tools).sum();
    assert_eq!(load_schema(&schemas).actions().count(), tools + 6);
}

#[test]
fn importing_twice_gives_the_same_texts() {
    for (server, _) in LISTS {
        assert_eq!(imported(server), imported(server), "{server}");
    }
}
