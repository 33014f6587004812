//! Tool lists of real servers, imported, loaded and called.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mandate::engine::compile::compile;
use mandate::store::directory;
use serde_json::{Map, Value, json};
use tonic::Code;

use crate::support::{Question as _, Sources, TestServer, is_allow, mandate, question, repository};

/// The tool lists, or a loud word that they are not there.
fn tool_lists() -> Option<PathBuf> {
    let data = std::env::var_os("MANDATE_DATA_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")), PathBuf::from);
    let lists = data.join("mcp");
    if lists.is_dir() {
        return Some(lists);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is not there", lists.display());
    eprintln!("SKIPPED: {} is not there; set MANDATE_DATA_DIR", lists.display());
    None
}

const SERVERS: [&str; 5] = ["fetch", "filesystem", "git", "github", "time"];

/// The shipped schema, one list imported with every tool typed, and a policy that permits everything.
fn imported(list: &Path) -> Sources {
    let domain = std::fs::read(repository().join("schemas/mandate.cedarschema")).unwrap();
    let person = |id: &str| json!({"uid": {"type": "Mandate::User", "id": id}, "attrs": {"active": true, "clearance": 3}, "parents": []});
    let sources = Sources::empty()
        .schema("mandate.cedarschema", domain)
        .policy("all.cedar", "@id(\"all\")\npermit (principal, action, resource);\n")
        .entities("people.json", &json!([person("ana")]));
    let arguments: [OsString; 8] = [
        "import-mcp".into(),
        list.into(),
        "--typed-all".into(),
        "--owner".into(),
        "ana".into(),
        "--trusted".into(),
        "--out".into(),
        sources.path("").into(),
    ];
    mandate(arguments).check_code(0);
    let toolsets = std::fs::read(repository().join("entities/toolsets.json")).unwrap();
    sources.write("entities/toolsets.json", toolsets)
}

/// A value that a JSON Schema accepts: every property, whether required or not.
fn fitting(schema: &Value) -> Value {
    if let Some(value) = schema.get("const").or_else(|| schema.pointer("/enum/0")) {
        return value.clone();
    }
    if let Some(branch) = ["anyOf", "oneOf"].iter().find_map(|name| schema.get(name)?.get(0)) {
        return fitting(branch);
    }
    let kind = schema.get("type").map(|kind| kind.get(0).unwrap_or(kind)).and_then(Value::as_str);
    match kind {
        Some("string") => {
            json!("x".repeat(schema["minLength"].as_u64().unwrap_or(1).max(1).try_into().unwrap()))
        }
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(true),
        Some("array") => {
            let items = schema.get("items").map_or_else(|| json!("x"), fitting);
            json!(vec![items; schema["minItems"].as_u64().unwrap_or(1).max(1).try_into().unwrap()])
        }
        Some("object") | None if schema.get("properties").is_some() => {
            let properties = schema["properties"].as_object().unwrap();
            let members = properties.iter().map(|(name, schema)| (name.clone(), fitting(schema)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        _ => json!({}),
    }
}

#[test]
fn every_real_list_is_imported_and_loads_beside_the_shipped_schema() {
    let Some(lists) = tool_lists() else { return };
    for server in SERVERS {
        let sources = imported(&lists.join(format!("{server}.tools.json")));
        let verdict = sources.validate();
        assert!(verdict.valid, "{server}: {:#?}", verdict.errors());
        assert_eq!(verdict.warnings(), Vec::<String>::new(), "{server}");
    }
}

#[test]
fn a_fitting_call_of_every_real_tool_is_accepted_and_one_that_does_not_fit_is_not() {
    let Some(lists) = tool_lists() else { return };
    let mut called = 0;
    for server in SERVERS {
        let sources = imported(&lists.join(format!("{server}.tools.json")));
        let config = sources.config();
        let loaded = compile(&directory::read(&config.folders).unwrap(), &config.options).unwrap();
        let running = TestServer::start(&sources);
        for action in loaded.world.generation.catalog.actions() {
            let Some(tool) = &action.tool else { continue };
            let schema = &tool.input_schema.as_ref().expect("an import brings its definition").source;
            let id = tool.uid.id().unescaped();
            let ask = |arguments: &Value| {
                let asked = question(("User", "ana"), "call_tool", ("Tool", id));
                running.authorize(asked.struct_context(&context()).struct_arguments(arguments))
            };
            let arguments = fitting(schema);
            let answer = ask(&arguments).unwrap_or_else(|status| panic!("{id}: {arguments}: {status:?}"));
            assert!(is_allow(&answer), "{id}");
            let mut more = arguments.clone();
            more["no-such-argument"] = json!(1);
            assert_eq!(ask(&more).unwrap_err().code(), Code::InvalidArgument, "{id}");
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let mut less = arguments.clone();
                less.as_object_mut().unwrap().remove(name);
                assert_eq!(ask(&less).unwrap_err().code(), Code::InvalidArgument, "{id} without {name}");
            }
            called += 1;
        }
    }
    assert!(called > 60, "{called} tools were called");
}

fn context() -> Value {
    json!({
        "session": {"id": "s", "purpose": "p", "attended": true, "untrusted": false, "read_level": 0, "calls": 0,
                    "spent_cents": 0},
        "digest": "any",
        "touches": [],
    })
}
