//! Case files and tool lists that are deep.

use std::ffi::OsString;

use serde_json::json;

use super::shorten;
use crate::support::{Finished, Sources, mandate};

/// `mandate test` of one case file; fails if it ends otherwise than by itself.
#[track_caller]
fn test_cases(name: &str, text: &str) -> Finished {
    let sources = Sources::small().write("cases.yaml", text);
    let arguments = [OsString::from("test"), sources.path("cases.yaml").into()];
    let finished = mandate(arguments.into_iter().chain(sources.flags()));
    assert_eq!(finished.signal, None, "{name}: {}", shorten(&finished.stderr));
    assert!(!finished.stderr.contains("panicked"), "{name}: {}", shorten(&finished.stderr));
    finished
}

fn case(context: &str) -> String {
    format!(
        "cases:\n  - name: deep\n    now: 2026-11-22T10:00:00Z\n    principal: Mandate::User::\"ana\"\n    \
         action: Mandate::Action::\"view\"\n    resource: Mandate::Doc::\"plan\"\n    \
         context: {context}\n    expect: {{decision: allow}}\n"
    )
}

#[test]
fn case_files() {
    test_cases("a good case", &case("{count: 1}")).check_code(0);
    for levels in [1, 31, 32, 33, 64, 127, 128, 1_000, 20_000, 200_000] {
        for (open, close) in [("[", "]"), ("{a: ", "}")] {
            let text = format!("{{count: {}1{}}}", open.repeat(levels), close.repeat(levels));
            let finished = test_cases(&format!("{open} {levels}"), &case(&text));
            // A context that does not fit fails its case; a file that cannot be read fails the command.
            assert!(
                matches!(finished.code, Some(1 | 4)),
                "{levels}: {:?} {}",
                finished.code,
                shorten(&finished.stderr)
            );
        }
    }
}

#[test]
fn case_files_by_indentation() {
    for levels in [10, 100, 1_000, 3_000] {
        let mut text = "cases:\n".to_owned();
        for level in 1..=levels {
            text += &format!("{}a:\n", " ".repeat(level));
        }
        let finished = test_cases(&format!("indented {levels}"), &text);
        finished.check_code(1);
    }
}

#[test]
fn case_files_with_anchors_that_double() {
    let mut text = "defaults:\n  context:\n    a0: &a0 [x, x]\n".to_owned();
    for level in 1..40 {
        text += &format!("    a{level}: &a{level} [*a{0}, *a{0}, *a{0}]\n", level - 1);
    }
    let finished = test_cases("a billion laughs", &text);
    assert_eq!(finished.code, Some(1), "{}", shorten(&finished.stderr));
}

/// `mandate import-mcp` of one list; fails if it ends otherwise than by itself, or writes what it refuses.
#[track_caller]
fn import(name: &str, text: &str) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("odd.tools.json"), folder.path().join("out"));
    std::fs::write(&file, text).unwrap();
    let arguments: [OsString; 5] =
        ["import-mcp".into(), file.into(), "--typed-all".into(), "--out".into(), out.clone().into()];
    let finished = mandate(arguments);
    assert_eq!(finished.signal, None, "{name}: {}", shorten(&finished.stderr));
    assert!(matches!(finished.code, Some(0 | 1)), "{name}: {finished:?}");
    assert!(!finished.stderr.contains("panicked"), "{name}: {}", shorten(&finished.stderr));
    assert_eq!(out.exists(), finished.code == Some(0), "{name}: in part");
    finished
}

#[test]
fn tool_lists() {
    let tool = |schema: &str| format!(r#"{{"tools": [{{"name": "t", "inputSchema": {schema}}}]}}"#);
    import("a good list", &tool(r#"{"type": "object", "properties": {"a": {"type": "string"}}}"#))
        .check_code(0);
    for levels in [5, 30, 40, 60, 64, 127, 128, 1_000, 20_000, 200_000] {
        let open = r#"{"type": "object", "properties": {"a": "#.repeat(levels);
        let objects = format!("{open}{{\"type\": \"string\"}}{}", "}}".repeat(levels));
        let arrays = format!(
            r#"{{"type": "object", "properties": {{"a": {}{{"type": "string"}}{}}}}}"#,
            r#"{"type": "array", "items": "#.repeat(levels),
            "}".repeat(levels)
        );
        for schema in [objects, arrays] {
            let finished = import(&format!("{levels} levels"), &tool(&schema));
            if levels >= 127 {
                finished.check_code(1);
            }
        }
    }
    import("open brackets", &"[".repeat(1_000_000)).check_code(1);
    import("a reference to itself", &tool(r##"{"type": "object", "properties": {"a": {"$ref": "#"}}}"##));
}

/// What an import accepts must load: an import nobody can serve is a trap.
#[test]
fn the_deepest_tool_list_that_is_imported_loads() {
    let toolsets = std::fs::read(crate::support::repository().join("entities/toolsets.json")).unwrap();
    let mut deepest = 0;
    for levels in 1..70 {
        let mut schema = json!({"type": "string"});
        for _ in 0..levels {
            schema = json!({"type": "object", "properties": {"a": schema}});
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("odd.tools.json");
        std::fs::write(&file, json!({"tools": [{"name": "t", "inputSchema": schema}]}).to_string()).unwrap();
        let arguments: [OsString; 5] =
            ["import-mcp".into(), file.into(), "--typed-all".into(), "--out".into(), folder.path().into()];
        if mandate(arguments).code != Some(0) {
            break;
        }
        deepest = levels;
        let schema = std::fs::read(folder.path().join("schemas/odd.cedarschema")).unwrap();
        let definitions = std::fs::read(folder.path().join("schemas/odd.tools.json")).unwrap();
        let entities = std::fs::read(folder.path().join("entities/odd.json")).unwrap();
        let domain = std::fs::read(crate::support::repository().join("schemas/mandate.cedarschema")).unwrap();
        let sources = Sources::empty()
            .schema("mandate.cedarschema", domain)
            .schema("odd.cedarschema", schema)
            .schema("odd.tools.json", definitions)
            .write("entities/odd.json", entities)
            .write("entities/toolsets.json", &toolsets)
            .policy("all.cedar", "@id(\"all\")\npermit (principal, action, resource);\n");
        let verdict = sources.validate();
        assert!(verdict.valid, "{levels} levels are imported and do not load: {:#?}", verdict.errors());
    }
    assert!(deepest >= 8, "real tools are at least this deep: {deepest}");
}
