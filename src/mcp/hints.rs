//! What a tool says about its own risk, and the toolsets that puts it in.

use serde_json::{Map, Value};

use super::error::ImportError;
use super::json_path::JsonPath;
use super::tools_list::{fault, kind};

/// Toolsets the domain defines, which a server's own toolset must not be: `unattended` is filled by people only.
pub(super) const TOOLSETS: [&str; 6] =
    ["read-only", "changes", "destructive", "outward", "open-world", "unattended"];

/// Of these, those that a tool is put in by its hints.
pub(super) const BY_HINTS: [&str; 5] = ["read-only", "changes", "destructive", "outward", "open-world"];

/// The hints that are read as risk; `idempotentHint` is only checked to be a boolean.
const RISK_HINTS: [&str; 3] = ["readOnlyHint", "destructiveHint", "openWorldHint"];

/// The MCP annotations about risk, as given. They are the server's word, no proof.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Hints {
    read_only: Option<bool>,
    destructive: Option<bool>,
    open_world: Option<bool>,
}

impl Hints {
    pub(super) fn read(tool: &str, members: &Map<String, Value>) -> Result<Self, ImportError> {
        let path = JsonPath::TOP.member("annotations");
        let annotations = match members.get("annotations") {
            None => return Ok(Hints::default()),
            Some(Value::Object(annotations)) => annotations,
            Some(other) => {
                let reason = format!("expected an object, found {}; remove it", kind(other));
                return Err(fault(tool, path, reason));
            }
        };
        let hint = |name: &str| hint(tool, annotations, path.member(name), name);
        hint("idempotentHint")?;
        let [read_only, destructive, open_world] = RISK_HINTS.map(hint);
        Ok(Hints { read_only: read_only?, destructive: destructive?, open_world: open_world? })
    }

    /// Whether anything was said at all; if not, MCP's defaults make the tool destructive and outward.
    pub(super) fn given(self) -> bool {
        self != Hints::default()
    }

    pub(super) fn read_only(self) -> bool {
        self.read_only.unwrap_or(false)
    }

    /// Whether what the tool answers may come from anywhere: it is in `outward` or `open-world`.
    pub(super) fn reaches_outside(self) -> bool {
        self.toolsets().iter().any(|toolset| matches!(*toolset, "outward" | "open-world"))
    }

    /// The toolsets the hints put a tool in. MCP's defaults assume the worst; a tool that only reads cannot destroy,
    /// and is in `open-world` only if it says so itself, since the default would put every local reader there.
    pub(super) fn toolsets(self) -> Vec<&'static str> {
        if self.read_only() {
            let open_world = self.open_world == Some(true);
            return chosen([("read-only", true), ("open-world", open_world)]);
        }
        chosen([
            ("changes", true),
            ("destructive", self.destructive.unwrap_or(true)),
            ("outward", self.open_world.unwrap_or(true)),
        ])
    }
}

fn chosen<const N: usize>(toolsets: [(&'static str, bool); N]) -> Vec<&'static str> {
    let chosen = toolsets.into_iter().filter(|(_, holds)| *holds);
    chosen.map(|(name, _)| name).collect()
}

fn hint(
    tool: &str,
    annotations: &Map<String, Value>,
    path: JsonPath<'_>,
    name: &str,
) -> Result<Option<bool>, ImportError> {
    match annotations.get(name) {
        None => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(other) => {
            let reason = format!("expected true or false, found {}; correct or remove it", kind(other));
            Err(fault(tool, path, reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn toolsets(annotations: &Value) -> Vec<&'static str> {
        let tool = json!({ "annotations": annotations });
        Hints::read("t", tool.as_object().unwrap()).unwrap().toolsets()
    }

    #[test]
    fn hints_become_toolsets() {
        let table = [
            (json!({}), vec!["changes", "destructive", "outward"]),
            (json!({"title": "T"}), vec!["changes", "destructive", "outward"]),
            (json!({"readOnlyHint": true}), vec!["read-only"]),
            (json!({"readOnlyHint": true, "destructiveHint": true}), vec!["read-only"]),
            (json!({"readOnlyHint": true, "openWorldHint": true}), vec!["read-only", "open-world"]),
            (json!({"readOnlyHint": true, "openWorldHint": false}), vec!["read-only"]),
            (json!({"destructiveHint": false}), vec!["changes", "outward"]),
            (json!({"openWorldHint": false}), vec!["changes", "destructive"]),
            (json!({"destructiveHint": false, "openWorldHint": false}), vec!["changes"]),
        ];
        for (annotations, expected) in table {
            assert_eq!(toolsets(&annotations), expected, "{annotations}");
        }
    }

    #[test]
    fn only_booleans_are_hints() {
        for name in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
            for value in [json!("true"), json!(1), json!(null), json!([true])] {
                let tool = json!({ "annotations": { name: value } });
                let error = Hints::read("t\n", tool.as_object().unwrap()).unwrap_err();
                let text = error.to_string();
                assert!(
                    text.starts_with(&format!(r#"tool "t\n": $.annotations.{name}: expected true or false"#)),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn annotations_are_an_object() {
        let tool = json!({ "annotations": [] });
        let error = Hints::read("t", tool.as_object().unwrap()).unwrap_err();
        assert!(error.to_string().contains("expected an object, found an array"));
    }
}
