//! Worlds with an agent that needs nobody behind it, and the tools of one server, imported from its list.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::agent::Agent;
use crate::support::{Sources, all_records, mandate, repository};

/// A server of tests, its tools, and what policies say of them.
pub(super) struct World {
    pub(super) sources: Sources,
    pub(super) folder: TempDir,
    pub(super) data: PathBuf,
}

/// Permits whatever the shipped policies about the supply chain do not forbid.
pub(super) const OPEN: &str = "@id(\"open\") permit (principal, action, resource);";

impl World {
    /// The tools of this list at the server `rogue`, some with typed actions, and these policies beside those shipped about the
    /// supply chain.
    pub(super) fn new(tools: &Value, typed: &[&str], policies: &str) -> Self {
        let shipped = |path: &str| std::fs::read(repository().join(path)).unwrap();
        let user = |id: &str| json!({"uid": {"type": "Mandate::User", "id": id}, "attrs": {"active": true, "clearance": 3}, "parents": []});
        let sources = Sources::empty()
            .schema("mandate.cedarschema", shipped("schemas/mandate.cedarschema"))
            .policy("supply-chain.cedar", shipped("policies/supply-chain.cedar"))
            .policy("test.cedar", policies)
            .entities("who.json", &json!([user("ana"), agent("bot"), agent("other")]))
            .write("entities/toolsets.json", shipped("entities/toolsets.json"));
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let world = Self { sources, folder, data };
        world.serve(tools);
        world.import(typed, &[]).check_code(0);
        world
    }

    /// What the server says its tools are, from now on.
    pub(super) fn serve(&self, tools: &Value) {
        std::fs::write(self.list(), tools.to_string()).unwrap();
    }

    pub(super) fn list(&self) -> PathBuf {
        self.folder.path().join("rogue.tools.json")
    }

    /// `mandate import-mcp` of what the server says.
    pub(super) fn import(&self, typed: &[&str], more: &[&str]) -> crate::support::Finished {
        let mut arguments: Vec<OsString> =
            vec!["import-mcp".into(), self.list().into(), "--server".into(), "rogue".into()];
        arguments.extend(["--owner", "ana", "--trusted", "--out"].map(OsString::from));
        arguments.push(self.sources.path("").into());
        arguments.extend(typed.iter().flat_map(|tool| ["--typed".into(), OsString::from(tool)]));
        arguments.extend(more.iter().map(OsString::from));
        mandate(arguments)
    }

    /// Everything that reached the server.
    pub(super) fn reached(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The names of the tools that were called at the server.
    pub(super) fn called(&self) -> Vec<String> {
        let calls = self.reached().into_iter().filter(|message| message["method"] == "tools/call");
        calls.map(|call| call["params"]["name"].as_str().unwrap().to_owned()).collect()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("reached.jsonl")
    }

    /// Records of the proxy's decision log, once it has ended.
    pub(super) fn records(&self) -> Vec<Value> {
        all_records(&self.data.join("log"))
    }

    /// The command that starts the server.
    pub(super) fn server(&self) -> Vec<OsString> {
        let script = repository().join("tests/mcp/rogue.py");
        vec!["python3".into(), script.into(), self.list().into(), self.log().into()]
    }

    /// What a proxy that decides itself is told.
    pub(super) fn arguments(&self, more: &[&str]) -> Vec<OsString> {
        let mut arguments = embedded(&self.sources, &self.data);
        arguments.extend(["--agent", "bot", "--name", "rogue", "--session", "s1"].map(OsString::from));
        arguments.extend(more.iter().map(OsString::from));
        arguments.push("--".into());
        arguments.extend(self.server());
        arguments
    }

    /// What a proxy that asks a server is told.
    pub(super) fn asking(&self, server: &str, more: &[&str]) -> Vec<OsString> {
        let arguments = ["--server", server, "--agent", "bot", "--name", "rogue", "--session", "s1"];
        let mut arguments: Vec<OsString> = arguments.iter().chain(more).map(OsString::from).collect();
        arguments.push("--".into());
        arguments.extend(self.server());
        arguments
    }

    /// An agent in a session through a proxy that decides itself.
    pub(super) fn agent(&self, more: &[&str]) -> Agent {
        Agent::begin(&self.arguments(more)).0
    }
}

fn agent(id: &str) -> Value {
    let ana = json!({"type": "Mandate::User", "id": "ana"});
    let attrs = json!({
        "owned": {"business": ana, "technical": ana, "reviewed": "2026-09-01"},
        "status": {"type": "Mandate::Status", "id": "active"},
        "env": {"type": "Mandate::Env", "id": "dev"},
        "clearance": 1,
        "expires": "2100-01-01",
        "autonomous": true,
    });
    json!({"uid": {"type": "Mandate::Agent", "id": id}, "attrs": attrs, "parents": []})
}

/// Flags for a proxy that decides from these sources.
pub(super) fn embedded(sources: &Sources, data: &Path) -> Vec<OsString> {
    let folders = ["policies", "schemas", "entities"];
    let mut flags: Vec<OsString> = Vec::new();
    for folder in folders {
        flags.extend([format!("--{folder}").into(), sources.path(folder).into()]);
    }
    flags.extend(["--data-dir".into(), data.into()]);
    flags
}

/// A tool without arguments that matter.
pub(super) fn tool(name: &str) -> Value {
    json!({"name": name, "description": "A tool.", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}})
}

/// Tools of these names.
pub(super) fn tools(names: &[&str]) -> Value {
    names.iter().map(|name| tool(name)).collect()
}
