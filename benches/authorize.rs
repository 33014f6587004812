//! What one decision costs, in process, over the shipped world.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot start should say so at once")]

use std::path::PathBuf;
use std::sync::LazyLock;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use mandate::engine::authorize::{Now, authorize};
use mandate::engine::compile::{Options, compile};
use mandate::engine::datum::{Datum, Reference};
use mandate::engine::decision::Effect;
use mandate::engine::request::AuthzRequest;
use mandate::engine::world::World;
use mandate::store::directory::{self, Folders};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folders = Folders {
        policies: root.join("policies"),
        schemas: root.join("schemas"),
        entities: root.join("entities"),
    };
    compile(&directory::read(&folders).unwrap(), &Options::default()).unwrap().world
});

/// 2026-11-22T10:00:00Z
const NOW: Now = Now(1_795_341_600_000);

fn main() {
    divan::main();
}

fn request(action: &str, resource: (&str, &str), context: &str, arguments: Option<&str>) -> AuthzRequest {
    let mut request = AuthzRequest::new(
        Reference::new("Mandate::User", "ana"),
        Reference::new("Mandate::Action", action),
        Reference::new(resource.0, resource.1),
    );
    let Datum::Record(members) = serde_json::from_str(context).unwrap() else { return request };
    request.context = members;
    request.arguments = arguments.map(|text| serde_json::from_str(text).unwrap());
    request
}

const SESSION: &str = r#""session":{"id":"s","purpose":"p","attended":true,"untrusted":false,"read_level":0,"calls":1,"spent_cents":0}"#;

fn call(tool: &str, digest: &str, arguments: &str) -> AuthzRequest {
    let context = format!(r#"{{{SESSION},"digest":"{digest}","touches":[]}}"#);
    request("call_tool", ("Mandate::Tool", tool), &context, Some(arguments))
}

fn decide(bencher: Bencher<'_, '_>, request: &AuthzRequest, expected: Effect) {
    assert_eq!(authorize(&WORLD, request, NOW).unwrap().effect, expected);
    bencher.counter(ItemsCount::new(1_usize)).bench(|| authorize(&WORLD, black_box(request), NOW));
}

#[divan::bench]
fn list_tools_allowed(bencher: Bencher<'_, '_>) {
    let context = format!("{{{SESSION}}}");
    decide(bencher, &request("list_tools", ("Mandate::ToolServer", "github"), &context, None), Effect::Allow);
}

#[divan::bench]
fn plain_tool_call_denied(bencher: Bencher<'_, '_>) {
    decide(bencher, &call("github/get_me", "sha256:other", "{}"), Effect::Deny);
}

#[divan::bench]
fn typed_tool_call_allowed(bencher: Bencher<'_, '_>) {
    let digest = "sha256:b42e97944eb73d00dde73513506acd37155857b094a7030af64c702a116fa93c";
    decide(bencher, &call("fetch/fetch", digest, r#"{"url":"https://docs.rs/mandate"}"#), Effect::Allow);
}

#[divan::bench]
fn unknown_principal(bencher: Bencher<'_, '_>) {
    let mut asked = request("list_tools", ("Mandate::ToolServer", "github"), &format!("{{{SESSION}}}"), None);
    "nobody".clone_into(&mut asked.principal.id);
    decide(bencher, &asked, Effect::Deny);
}
