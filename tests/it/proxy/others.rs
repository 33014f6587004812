//! Servers and clients of other makers on both sides of the proxy.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rmcp::ServiceExt as _;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::TokioChildProcess;
use serde_json::{Value, json};

use super::agent::{Agent, denial, text};
use super::world::{OPEN, World};
use crate::support::{binary, repository};

/// Where servers and clients of other makers are; none where they are not installed, which continuous integration does not accept.
fn installed() -> Option<PathBuf> {
    let folder = repository().join("target/tools/mcp");
    let parts = [
        "node_modules/.bin/mcp-server-filesystem",
        "node_modules/.bin/mcp-server-everything",
        "py/bin/mcp-server-git",
    ];
    if parts.iter().all(|part| folder.join(part).exists()) {
        return Some(folder);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "MCP servers are missing in {}: run `make mcp`",
        folder.display()
    );
    eprintln!("SKIPPED: no MCP servers of other makers; run `make mcp`");
    None
}

/// The tools of a server, as it lists them itself.
fn listed(command: &[OsString]) -> Value {
    let (program, arguments) = command.split_first().unwrap();
    let mut server = Command::new(program);
    let server = server.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = server.spawn().expect("the server starts");
    let mut to_server = server.stdin.take().unwrap();
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}),
    ] {
        writeln!(to_server, "{message}").unwrap();
    }
    let lines = BufReader::new(server.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut messages = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    let answer = messages.find(|message| message["id"] == 2).expect("a list");
    drop(to_server);
    server.wait().unwrap();
    answer["result"]["tools"].clone()
}

/// What a proxy in front of this server is told.
fn in_front_of(world: &World, command: &[OsString], more: &[&str]) -> Vec<OsString> {
    let mut arguments = world.arguments(more);
    let end = arguments.iter().position(|argument| argument == "--").unwrap();
    arguments.truncate(end + 1);
    arguments.extend_from_slice(command);
    arguments
}

fn filesystem(servers: &std::path::Path, folder: &std::path::Path) -> Vec<OsString> {
    vec![servers.join("node_modules/.bin/mcp-server-filesystem").into(), folder.into()]
}

/// Reads everything; writes what ends with `.md`.
const NOTES: &str = r#"
@id("see") permit (principal, action == Mandate::Action::"list_tools", resource);
@id("read") permit (principal, action == Mandate::Action::"call_tool", resource in Mandate::Toolset::"read-only");
@id("write") @reason("Only notes are written here.")
permit (principal, action == Mandate::Action::"rogue/write_file", resource) when { context.input.path like "*.md" };
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_reads_and_writes_what_it_may_through_the_filesystem_server() {
    let Some(servers) = installed() else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    std::fs::write(folder.join("plan.txt"), "the plan").unwrap();
    let command = filesystem(&servers, &folder);
    let world = World::new(&listed(&command), &["write_file"], NOTES);
    let mut proxy = tokio::process::Command::new(binary());
    proxy.arg("proxy").args(in_front_of(&world, &command, &[]));
    let client = ().serve(TokioChildProcess::new(proxy).unwrap()).await.unwrap();
    let tools = client.list_all_tools().await.unwrap();
    let mut names: Vec<_> = tools.iter().map(|tool| tool.name.to_string()).collect();
    names.sort();
    assert!(
        names.contains(&"read_text_file".to_owned()) && names.contains(&"write_file".to_owned()),
        "{names:?}"
    );
    assert!(
        !names.contains(&"move_file".to_owned()) && !names.contains(&"edit_file".to_owned()),
        "{names:?}"
    );
    let call = async |tool: &'static str, arguments: Value| {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let result =
            client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await.unwrap();
        serde_json::to_value(result).unwrap()
    };
    let path = |name: &str| folder.join(name).display().to_string();
    let read = call("read_text_file", json!({"path": path("plan.txt")})).await;
    assert_eq!(text(&read), "the plan");
    let written = call("write_file", json!({"path": path("note.md"), "content": "noted"})).await;
    assert_ne!(written["isError"], true, "{written}");
    assert_eq!(std::fs::read_to_string(folder.join("note.md")).unwrap(), "noted");
    let refused = call("write_file", json!({"path": path("plan.txt"), "content": "gone"})).await;
    assert_eq!(denial(&refused).0, "no_permit");
    let moved = call("move_file", json!({"source": path("plan.txt"), "destination": path("x.md")})).await;
    assert_eq!(denial(&moved).0, "no_permit");
    assert_eq!(std::fs::read_to_string(folder.join("plan.txt")).unwrap(), "the plan");
    client.cancel().await.unwrap();
}

/// Runs the SDK's own client in Python; what it printed, line by line.
fn python(servers: &std::path::Path, steps: &Value, command: &[OsString]) -> Vec<Value> {
    let output = Command::new(servers.join("py/bin/python"))
        .arg(repository().join("tests/mcp/client.py"))
        .arg(steps.to_string())
        .args(command)
        .output()
        .expect("the client runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{said}")))
        .collect()
}

#[test]
fn the_python_client_uses_the_everything_server_as_far_as_it_may() {
    let Some(servers) = installed() else { return };
    let command: Vec<OsString> =
        vec![servers.join("node_modules/.bin/mcp-server-everything").into(), "stdio".into()];
    let tools = listed(&command);
    let policies = r#"
@id("open") permit (principal, action, resource)
unless { resource == Mandate::Tool::"rogue/get-env" };
@id("two") forbid (principal, action == Mandate::Action::"get_prompt", resource) unless { context.prompt like "simple*" };
@id("none") forbid (principal, action == Mandate::Action::"read_resource", resource) when { context.uri like "*text*" };
"#;
    let world = World::new(&tools, &[], policies);
    let mut proxy: Vec<OsString> = vec![binary().into(), "proxy".into()];
    proxy.extend(in_front_of(&world, &command, &[]));
    let steps = json!([
        ["list_tools", {}],
        ["call_tool", {"name": "echo", "arguments": {"message": "hi"}}],
        ["call_tool", {"name": "get-env", "arguments": {}}],
        ["list_prompts", {}],
        ["list_resources", {}],
        ["get_prompt", {"name": "args-prompt", "arguments": {"city": "Bern"}}],
    ]);
    let came = python(&servers, &steps, &proxy);
    let names = |came: &Value, list: &str, name: &str| -> Vec<String> {
        let listed = came[list].as_array().unwrap_or_else(|| panic!("no list: {came}"));
        listed.iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
    };
    let shown = names(&came[1], "tools", "name");
    assert!(shown.contains(&"echo".to_owned()) && !shown.contains(&"get-env".to_owned()), "{shown:?}");
    assert!(text(&came[2]).contains("hi"), "{}", came[2]);
    assert_eq!(denial(&came[3]).0, "no_permit");
    let prompts = names(&came[4], "prompts", "name");
    assert!(!prompts.is_empty() && prompts.iter().all(|prompt| prompt.starts_with("simple")), "{prompts:?}");
    let resources = names(&came[5], "resources", "uri");
    assert!(resources.iter().all(|uri| !uri.contains("text")), "{resources:?}");
    assert!(came[6]["said"].as_str().unwrap_or_default().contains("Denied"), "{}", came[6]);
}

#[test]
fn the_git_server_shows_and_does_what_it_may() {
    let Some(servers) = installed() else { return };
    let folder = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let identity =
            ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"];
        let done =
            Command::new("git").arg("-C").arg(folder.path()).args(identity).args(arguments).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    git(&["init", "--quiet"]);
    std::fs::write(folder.path().join("a"), "1").unwrap();
    git(&["add", "a"]);
    git(&["commit", "--quiet", "--message", "first words"]);
    let command: Vec<OsString> =
        vec![servers.join("py/bin/mcp-server-git").into(), "--repository".into(), folder.path().into()];
    let world = World::new(&listed(&command), &[], NOTES.split("@id(\"write\")").next().unwrap());
    let (mut agent, _) = Agent::begin(&in_front_of(&world, &command, &[]));
    let shown = agent.tools();
    assert!(shown.contains(&"git_log".to_owned()) && !shown.contains(&"git_commit".to_owned()), "{shown:?}");
    let repository = folder.path().display().to_string();
    let log = agent.call("git_log", json!({"repo_path": repository}));
    assert!(text(&log).contains("first words"), "{log}");
    let reset = agent.call("git_create_branch", json!({"repo_path": repository, "branch_name": "x"}));
    assert_eq!(denial(&reset).0, "no_permit");
}

/// The everything server over streamable HTTP, ended with the test.
struct Served {
    server: Child,
    url: String,
}

impl Served {
    fn start(servers: &std::path::Path) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let server = Command::new(servers.join("node_modules/.bin/mcp-server-everything"))
            .arg("streamableHttp")
            .env("PORT", port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { server, url: format!("http://127.0.0.1:{port}/mcp") }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ended = self.server.kill();
        let _status = self.server.wait();
    }
}

#[test]
fn a_server_at_a_url_is_governed_like_one_that_the_proxy_starts() {
    let Some(servers) = installed() else { return };
    let command: Vec<OsString> =
        vec![servers.join("node_modules/.bin/mcp-server-everything").into(), "stdio".into()];
    let policies = OPEN.replace(';', " unless { resource == Mandate::Tool::\"rogue/get-env\" };");
    let world = World::new(&listed(&command), &[], &policies);
    let served = Served::start(&servers);
    let mut arguments = world.arguments(&["--url", &served.url]);
    let end = arguments.iter().position(|argument| argument == "--").unwrap();
    arguments.truncate(end);
    let (mut agent, hello) = Agent::begin(&arguments);
    assert!(hello["result"]["serverInfo"]["name"].is_string(), "{hello}");
    let shown = agent.tools();
    assert!(shown.contains(&"echo".to_owned()), "definitions have one digest however they come: {shown:?}");
    assert!(!shown.contains(&"get-env".to_owned()), "{shown:?}");
    assert!(text(&agent.call("echo", json!({"message": "hi"}))).contains("hi"));
    assert_eq!(denial(&agent.call("get-env", json!({}))).0, "no_permit");
    let resources = agent.ask("resources/list", json!({}));
    assert!(!resources["result"]["resources"].as_array().unwrap().is_empty(), "{resources}");
    drop(served);
    let gone = agent.ask("tools/call", json!({"name": "echo", "arguments": {"message": "hi"}}));
    assert_eq!(gone["error"]["code"], -32003, "{gone}");
}
