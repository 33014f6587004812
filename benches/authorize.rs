//! What one decision costs, in process, over the shipped world.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot start should say so at once")]

use std::path::PathBuf;
use std::sync::LazyLock;

use cedar_policy::EntityUid;
use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use mandate::engine::authorize::{Now, authorize};
use mandate::engine::cedar::CedarValue;
use mandate::engine::compile::{Options, compile};
use mandate::engine::datum::{Datum, Reference};
use mandate::engine::decision::Effect;
use mandate::engine::entities::StoredEntity;
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

/// Has Ana list the website's issues, or an agent at the end of so many grants that begin with her.
fn list_issues(grants: usize) -> (World, AuthzRequest) {
    const AGENTS: [&str; 3] = ["planner", "worker", "triage-bot"];
    let digest = "sha256:b602e5e96aa6d2677ed07ca875ae38986e658d94c671645024b205d9f04320a1";
    let mut request = call("github/list_issues", digest, "{}");
    let mut entities = WORLD.entities.clone();
    let model = entities.get(&uid("Delegation", "ana-planner")).unwrap().clone();
    let mut from = None;
    for (place, agent) in AGENTS.into_iter().enumerate().take(grants) {
        let parents = ["from_user", "from_agent", "to", "parent", "max_depth"];
        let kept = model.attributes().iter().filter(|(name, _)| !parents.contains(&name.as_str())).cloned();
        let named = |name: &str, kind: &str, id: &str| (name.into(), CedarValue::entity(&uid(kind, id)));
        let giver =
            from.map_or(named("from_user", "User", "ana"), |agent| named("from_agent", "Agent", agent));
        let mut attributes = vec![giver, named("to", "Agent", agent)];
        attributes.push(("max_depth".into(), CedarValue::long(5)));
        attributes.extend(
            place.checked_sub(1).map(|before| named("parent", "Delegation", &format!("bench-{before}"))),
        );
        let grant = StoredEntity::new([], kept.chain(attributes), []);
        entities.put(uid("Delegation", &format!("bench-{place}")), grant).unwrap();
        request.principal = Reference::new("Mandate::Agent", agent);
        request.delegations = vec![Reference::new("Mandate::Delegation", format!("bench-{place}"))];
        from = Some(agent);
    }
    (WORLD.with_entities(entities), request)
}

fn uid(kind: &str, id: &str) -> EntityUid {
    format!("Mandate::{kind}::\"{id}\"").parse().unwrap()
}

/// Without a grant Ana acts by herself; with n of them n + 1 hops are decided.
#[divan::bench(args = [0, 1, 2, 3])]
fn grants(bencher: Bencher<'_, '_>, grants: usize) {
    let (world, request) = list_issues(grants);
    assert_eq!(authorize(&world, &request, NOW).unwrap().effect, Effect::Allow);
    bencher.counter(ItemsCount::new(1_usize)).bench(|| authorize(&world, black_box(&request), NOW));
}

#[divan::bench]
fn unknown_principal(bencher: Bencher<'_, '_>) {
    let mut asked = request("list_tools", ("Mandate::ToolServer", "github"), &format!("{{{SESSION}}}"), None);
    "nobody".clone_into(&mut asked.principal.id);
    decide(bencher, &asked, Effect::Deny);
}
