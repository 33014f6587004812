//! What operators put into files. A set compiles or is reported, whatever is in one of its files.

use std::fs;
use std::path::{Path, PathBuf};

use mandate::cases;
use mandate::engine::authorize::{Now, authorize};
use mandate::engine::compile::{Options, Sources, compile};
use mandate::engine::datum::{Datum, Reference};
use mandate::engine::decision::Effect;
use mandate::engine::guard::{self, Syntax};
use mandate::engine::problem::SourceFile;
use mandate::engine::request::AuthzRequest;
use mandate::engine::world::World;
use mandate::store::directory::{Folders, read};
use mandate::store::revocations;

use super::text;

const SCHEMA: &str = r#"namespace Mandate {
  entity Team in [Team];
  entity User in [Team] = { level: Long, name?: String };
  entity Agent = { autonomous: Bool };
  entity Doc in [Doc] = { owner?: User, level: Long };
  action view, edit appliesTo { principal: [User, Agent], resource: [Doc], context: { n?: Long, now?: datetime } };
}
"#;
const TOOLS: &str = r#"namespace Mandate {
  entity Tool = { level: Long };
  action call_tool appliesTo { principal: [User], resource: [Tool], context: {} };
  @tool("fetch/fetch")
  action "fetch/fetch" in [Action::"call_tool"]
    appliesTo { principal: [User], resource: [Tool], context: { input: { url: String } } };
}
"#;
const TOOL: &str =
    r#"{"uid": {"type": "Mandate::Tool", "id": "fetch/fetch"}, "attrs": {"level": 1}, "parents": []}"#;
const POLICIES: &str = r#"@id("base") forbid (principal, action, resource is Mandate::Doc) when { resource.level > 3 };
@id("slot") permit (principal == ?principal, action, resource);
"#;
const LINKS: &str =
    r#"[{"template_id": "slot", "link_id": "l", "args": {"?principal": "Mandate::User::\"ana\""}}]"#;
const ENTITIES: &str = r#"[{"uid": {"type": "Mandate::User", "id": "ana"}, "attrs": {"level": 1}, "parents": []},
 {"uid": {"type": "Mandate::Doc", "id": "plan"}, "attrs": {"level": 1}, "parents": []}]"#;

/// The folders of the repository.
pub(super) fn shipped() -> Folders {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().find(|folder| folder.join("schemas/mandate.cedarschema").exists()).unwrap();
    Folders {
        policies: root.join("policies"),
        schemas: root.join("schemas"),
        entities: root.join("entities"),
    }
}

fn file(name: &str, bytes: &[u8]) -> SourceFile {
    SourceFile { name: name.to_owned(), bytes: bytes.to_vec().into() }
}

fn base() -> Sources {
    Sources {
        policies: vec![file("base.cedar", POLICIES.as_bytes())],
        links: vec![file("base.links.json", LINKS.as_bytes())],
        schemas: vec![file("base.cedarschema", SCHEMA.as_bytes())],
        entities: vec![file("base.json", ENTITIES.as_bytes())],
        ..Sources::default()
    }
}

/// What becomes of a set, if it loads.
fn load(sources: &Sources) -> Option<World> {
    match compile(sources, &Options::default()) {
        Ok(loaded) => Some(loaded.world),
        Err(report) => {
            assert!(!report.problems.is_empty(), "rejected for nothing");
            drop(report.to_string());
            None
        }
    }
}

fn decide(world: &World) -> Option<Effect> {
    let named = |type_name: &str, id: &str| Reference::new(format!("Mandate::{type_name}"), id);
    let mut request =
        AuthzRequest::new(named("User", "ana"), Reference::new("", "view"), named("Doc", "plan"));
    request.context = vec![("n".to_owned(), Datum::Long(7))];
    Some(authorize(world, &request, Now(1_764_000_000_000)).ok()?.effect)
}

/// Policies beside others. What has no permit permits nothing.
pub(super) fn policies(bytes: &[u8]) {
    if let Some(policies) = text(bytes) {
        let measured = guard::nesting(policies, Syntax::Policy).is_ok();
        if let (true, Ok(spans)) = (measured, guard::policies(policies)) {
            assert!(
                spans.iter().all(|span| policies.get(span.clone()).is_some()),
                "a policy ends within a letter"
            );
        }
    }
    let sources = Sources { policies: vec![file("fuzz.cedar", bytes)], links: Vec::new(), ..base() };
    let Some(world) = load(&sources) else { return };
    if decide(&world) == Some(Effect::Allow) {
        assert!(text(bytes).is_some_and(|policies| policies.contains("permit")), "allowed without a permit");
    }
}

/// A fragment of the schema beside another.
pub(super) fn schema(bytes: &[u8]) {
    for name in ["fuzz.cedarschema", "fuzz.cedarschema.json"] {
        let mut sources = base();
        sources.schemas.push(file(name, bytes));
        load(&sources).as_ref().and_then(decide);
    }
}

/// Links of a template.
pub(super) fn links(bytes: &[u8]) {
    load(&Sources { links: vec![file("fuzz.links.json", bytes)], ..base() }).as_ref().and_then(decide);
}

/// Entities, as one array.
pub(super) fn entities(bytes: &[u8]) {
    stored("fuzz.json", bytes);
}

/// Entities, one a line.
pub(super) fn entity_lines(bytes: &[u8]) {
    stored("fuzz.jsonl", bytes);
}

/// What loads can be decided on, and permits nothing by itself: only Ana is linked.
fn stored(name: &str, bytes: &[u8]) {
    let mut sources = base();
    sources.links.clear();
    sources.entities.push(file(name, bytes));
    if let Some(world) = load(&sources) {
        assert_ne!(decide(&world), Some(Effect::Allow), "allowed without a permit");
    }
}

/// Definitions of tools, with the JSON Schemas that arguments are held to.
pub(super) fn definitions(bytes: &[u8]) {
    let mut sources = base();
    sources.schemas.push(file("tools.cedarschema", TOOLS.as_bytes()));
    sources.entities.push(file("tools.jsonl", TOOL.as_bytes()));
    sources.definitions = vec![file("fetch.tools.json", bytes)];
    let Some(world) = load(&sources) else { return };
    let named = |type_name: &str, id: &str| Reference::new(format!("Mandate::{type_name}"), id);
    let (user, tool) = (named("User", "ana"), named("Tool", "fetch/fetch"));
    let mut request = AuthzRequest::new(user, Reference::new("", "call_tool"), tool);
    let url = Datum::String("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!".to_owned());
    request.arguments = Some(Datum::Record(vec![("url".to_owned(), url)]));
    drop(authorize(&world, &request, Now(1_764_000_000_000)));
}

/// `mandate.sum` beside the folders. A set that loads under one is vouched for by it.
pub(super) fn manifest(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    for name in ["policies", "schemas", "entities"] {
        fs::create_dir(at(name)).unwrap();
    }
    fs::write(at("policies/base.cedar"), b"// nothing\n").unwrap();
    fs::write(at("mandate.sum"), bytes).unwrap();
    let folders = Folders { policies: at("policies"), schemas: at("schemas"), entities: at("entities") };
    if read(&folders).is_ok() {
        const SUM: &str = "a187a86831786f9f14799492412ddecea1b4db767d97e40e01f87e1f5dc942bd";
        let vouched = String::from_utf8_lossy(bytes).to_lowercase().contains(SUM);
        assert!(vouched, "a file is served that the manifest does not vouch for");
    }
}

/// `revocations.json`. What it revokes is a delegation, or something is said.
pub(super) fn revocations(bytes: &[u8]) {
    let parsed = revocations::parse(&file("revocations.json", bytes), "Mandate::Delegation");
    let mut types = parsed.grants.iter().map(|grant| grant.type_name().to_string());
    assert!(
        !parsed.problems.is_empty() || types.all(|name| name == "Mandate::Delegation"),
        "revoked in silence"
    );
}

/// Cases of policies, in YAML.
pub(super) fn cases(bytes: &[u8]) {
    if let Some(yaml) = text(bytes) {
        drop(cases::parse("fuzz.yaml", yaml));
    }
}
