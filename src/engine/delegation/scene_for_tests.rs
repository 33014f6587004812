//! A small world of people, agents and tools under the shipped schema, and the delegations that a test puts into it.

use std::sync::LazyLock;

use cedar_policy::EntityUid;
use serde_json::{Value, json};

use crate::engine::authorize::{Now, authorize};
use crate::engine::cedar::CedarValue;
use crate::engine::cedar::value::Extension;
use crate::engine::compile::{Options, Sources, compile};
use crate::engine::convert::datetime;
use crate::engine::datum::{Datum, Reference};
use crate::engine::decision::{Decision, Effect};
use crate::engine::entities::StoredEntity;
use crate::engine::problem::SourceFile;
use crate::engine::request::AuthzRequest;
use crate::engine::revocations::Revocations;
use crate::engine::world::World;

/// 2026-11-22T10:00:00Z
pub(crate) const NOW: i64 = 1_795_341_600_000;
pub(crate) const HOUR: i64 = 3_600_000;

/// Everybody may do everything who is in good standing: what stops a chain here is a grant, or somebody's standing.
const POLICIES: &str = r#"
@id("all") permit (principal, action, resource);
@id("agent-standing")
forbid (principal is Mandate::Agent, action, resource) unless { principal.status == Mandate::Status::"active" };
@id("no-team") forbid (principal in Mandate::Team::"all", action, resource == Mandate::Tool::"t3");
@id("person-standing") forbid (principal is Mandate::User, action, resource) unless { principal.active };
"#;

fn named(kind: &str, id: &str) -> Value {
    json!({"type": format!("Mandate::{kind}"), "id": id})
}

/// An entity's name.
pub(crate) fn uid(kind: &str, id: &str) -> EntityUid {
    format!("Mandate::{kind}::\"{id}\"").parse().unwrap()
}

fn owned() -> Value {
    json!({"business": named("User", "ana"), "technical": named("User", "ana"), "reviewed": "2026-09-01T00:00:00Z"})
}

fn entities() -> Value {
    let mut all = Vec::new();
    let mut put = |kind: &str, id: &str, attrs: Value, parents: &[(&str, &str)]| {
        let parents: Vec<_> = parents.iter().map(|(kind, id)| named(kind, id)).collect();
        all.push(json!({"uid": named(kind, id), "attrs": attrs, "parents": parents}));
    };
    for (id, active) in [("ana", true), ("eve", true), ("gone", false)] {
        put("User", id, json!({"active": active, "clearance": 3}), &[]);
    }
    for id in ["a1", "a2", "a3", "a4", "a5", "a6", "free", "ill"] {
        let status = if id == "ill" { "quarantined" } else { "active" };
        let attrs = json!({"owned": owned(), "status": named("Status", status), "env": named("Env", "prod"),
            "clearance": 1, "expires": "2030-01-01T00:00:00Z", "autonomous": id == "free"});
        put("Agent", id, attrs, &[]);
    }
    put("Team", "all", json!({}), &[]);
    put("Team", "eng", json!({}), &[("Team", "all")]);
    put("ToolServer", "srv", json!({"owned": owned(), "env": named("Env", "prod"), "trusted": true}), &[]);
    put("Toolset", "all", json!({}), &[]);
    put("Toolset", "some", json!({}), &[("Toolset", "all")]);
    put("Toolset", "other", json!({}), &[]);
    for (id, set) in [("t1", "some"), ("t2", "all"), ("t3", "other")] {
        let attrs = json!({"server": named("ToolServer", "srv"), "owned": owned(), "status": named("Status", "active"),
            "env": named("Env", "prod"), "level": 0, "digest": "d"});
        put("Tool", id, attrs, &[("Toolset", set)]);
    }
    for (id, parents) in [("d0", &[][..]), ("d1", &[("Data", "d0")]), ("d9", &[])] {
        put("Data", id, json!({"owned": owned(), "env": named("Env", "prod"), "level": 0}), parents);
    }
    Value::Array(all)
}

/// The world without a delegation.
pub(crate) static WORLD: LazyLock<World> = LazyLock::new(|| world(|schema| schema));

/// The same, under a schema that was changed.
pub(crate) fn world(change: fn(String) -> String) -> World {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = std::fs::read_to_string(root.join("schemas/mandate.cedarschema")).unwrap();
    let file =
        |name: &str, text: String| SourceFile { name: name.to_owned(), bytes: text.into_bytes().into() };
    let sources = Sources {
        policies: vec![file("p.cedar", POLICIES.to_owned())],
        schemas: vec![file("s.cedarschema", change(schema))],
        entities: vec![file("e.json", entities().to_string())],
        ..Sources::default()
    };
    compile(&sources, &Options::default()).unwrap().world
}

/// A delegation, as a test writes it.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub id: String,
    pub from: Vec<(&'static str, &'static str)>,
    pub to: &'static str,
    pub parent: Option<String>,
    pub actions: Vec<&'static str>,
    pub toolsets: Vec<&'static str>,
    pub tools: Vec<&'static str>,
    pub data: Vec<&'static str>,
    pub not_before: i64,
    pub expires: i64,
    pub max_depth: i64,
}

impl Written {
    /// One that covers every scene's request.
    pub(crate) fn new(
        id: &str,
        from: (&'static str, &'static str),
        to: &'static str,
        parent: Option<&str>,
    ) -> Self {
        Self {
            id: id.to_owned(),
            from: vec![from],
            to,
            parent: parent.map(str::to_owned),
            actions: vec!["call_tool"],
            toolsets: vec!["all"],
            tools: Vec::new(),
            data: vec!["d0"],
            not_before: NOW - HOUR,
            expires: NOW + HOUR,
            max_depth: 9,
        }
    }

    pub(crate) fn uid(&self) -> EntityUid {
        uid("Delegation", &self.id)
    }

    fn stored(&self) -> StoredEntity {
        let entity = |kind: &str, id: &str| CedarValue::entity(&uid(kind, id));
        let set = |kind: &str, ids: &[&str]| CedarValue::set(ids.iter().map(|id| entity(kind, id)));
        let instant =
            |millis| CedarValue::extension(Extension::Datetime, &datetime(millis).unwrap()).unwrap();
        let mut attributes = vec![
            ("to", entity("Agent", self.to)),
            ("actions", set("Action", &self.actions)),
            ("tools", set("Tool", &self.tools)),
            ("toolsets", set("Toolset", &self.toolsets)),
            ("data", set("Data", &self.data)),
            ("agents", set("Agent", &[])),
            ("servers", set("ToolServer", &[])),
            ("not_before", instant(self.not_before)),
            ("expires", instant(self.expires)),
            ("max_depth", CedarValue::long(self.max_depth)),
            ("purpose", CedarValue::string(&self.id)),
        ];
        attributes.extend(self.parent.iter().map(|parent| ("parent", entity("Delegation", parent))));
        attributes.extend(
            self.from.iter().map(|(kind, id)| {
                (if *kind == "User" { "from_user" } else { "from_agent" }, entity(kind, id))
            }),
        );
        StoredEntity::new([], attributes.into_iter().map(|(name, value)| (name.into(), value)), [])
    }
}

/// A request, and the delegations there are.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub grants: Vec<Written>,
    pub revoked: Vec<&'static str>,
    pub without: Vec<EntityUid>,
    pub principal: (&'static str, &'static str),
    pub tool: &'static str,
    pub touches: Vec<&'static str>,
    pub shown: Vec<(&'static str, &'static str)>,
    pub now: i64,
}

impl Scene {
    /// Ana sent a1, which sent a2, which sent a3, which calls t1 and touches d1.
    pub(crate) fn allowed() -> Self {
        let grants = vec![
            Written { max_depth: 2, ..Written::new("g1", ("User", "ana"), "a1", None) },
            Written { max_depth: 1, ..Written::new("g2", ("Agent", "a1"), "a2", Some("g1")) },
            Written { max_depth: 0, ..Written::new("g3", ("Agent", "a2"), "a3", Some("g2")) },
        ];
        Self {
            grants,
            revoked: Vec::new(),
            without: Vec::new(),
            principal: ("Agent", "a3"),
            tool: "t1",
            touches: vec!["d1"],
            shown: vec![("Delegation", "g3")],
            now: NOW,
        }
    }

    pub(crate) fn world(&self) -> World {
        let mut entities = WORLD.entities.clone();
        for grant in &self.grants {
            entities.put(grant.uid(), grant.stored()).unwrap();
        }
        for uid in &self.without {
            entities.delete(uid).unwrap();
        }
        let revoked = Revocations::of(self.revoked.iter().map(|id| uid("Delegation", id)));
        WORLD.with_entities(entities).with_revocations(revoked)
    }

    pub(crate) fn request(&self) -> AuthzRequest {
        let reference = |(kind, id): (&str, &str)| Reference::new(format!("Mandate::{kind}"), id);
        let mut request = AuthzRequest::new(
            reference(self.principal),
            Reference::new("", "call_tool"),
            reference(("Tool", self.tool)),
        );
        let texts =
            [("id", "s"), ("purpose", "p")].map(|(name, text)| (name, Datum::String(text.to_owned())));
        let flags = ["attended", "untrusted"].map(|name| (name, Datum::Bool(false)));
        let numbers = ["read_level", "calls", "spent_cents"].map(|name| (name, Datum::Long(0)));
        let session = texts.into_iter().chain(flags).chain(numbers);
        let session = session.map(|(name, value)| (name.to_owned(), value)).collect();
        let touches = self.touches.iter().map(|id| Datum::Entity(reference(("Data", id)))).collect();
        request.context = vec![
            ("session".to_owned(), Datum::Record(session)),
            ("digest".to_owned(), Datum::String("d".to_owned())),
            ("touches".to_owned(), Datum::List(touches)),
        ];
        request.delegations = self.shown.iter().map(|shown| reference(*shown)).collect();
        request
    }

    pub(crate) fn decide(&self) -> Decision {
        authorize(&self.world(), &self.request(), Now(self.now)).unwrap()
    }

    pub(crate) fn is_allowed(&self) -> bool {
        self.decide().effect == Effect::Allow
    }
}
