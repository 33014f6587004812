//! Questions and commands as requests of Cedar's, in the words of `pep.cedarschema`.

use std::sync::Arc;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use smol_str::SmolStr;

use super::{Asking, NAMESPACE, Right};
use crate::engine::cedar::{BuiltEntity, CedarRecord, CedarValue, Members};
use crate::engine::compile::PlainSet;
use crate::engine::datum::Reference;
use crate::engine::problem::{Place, Problem};
use crate::identity::caller::{Caller, TokenHolder, Workload};

/// The type whose entities are types.
pub(super) const TYPE: &str = "Type";

/// Names of the schema, parsed once.
#[derive(Debug)]
pub(super) struct Names {
    place: EntityTypeName,
    issuer: EntityTypeName,
    caller: EntityTypeName,
    of_type: EntityTypeName,
    subject: EntityTypeName,
    fact: EntityTypeName,
    surface: EntityTypeName,
    service: BuiltEntity,
    ask: BuiltEntity,
    explain: BuiltEntity,
    supply_entity: BuiltEntity,
    assert_fact: BuiltEntity,
    /// What is no question, by the id of the action.
    rights: Vec<(&'static str, BuiltEntity)>,
}

/// One request: the caller apart.
pub(super) struct Ground<'n> {
    pub(super) action: &'n BuiltEntity,
    pub(super) resource: BuiltEntity,
    pub(super) context: CedarRecord,
}

/// The actions that are no questions.
const RIGHTS: [&str; 11] = [
    "read_info",
    "get_status",
    "rollback",
    "suspend",
    "backup",
    "read_log",
    "watch",
    "read_entities",
    "write_entities",
    "delegate",
    "revoke",
];

impl Names {
    /// The names that a compiled set has. The schema is Mandate's own: that one lacks is a defect of the build.
    pub(super) fn of(set: &PlainSet) -> Result<Self, Problem> {
        let missing = |name: &str| {
            Problem::error(&Place::new("pep.cedarschema", ""), format!("the schema has no `{name}`"))
        };
        let type_name = |name: &str| -> Result<EntityTypeName, Problem> {
            format!("{NAMESPACE}::{name}").parse().map_err(|_error| missing(name))
        };
        let action_type = type_name("Action")?;
        let action = |id: &str| {
            let uid = EntityUid::from_type_name_and_id(action_type.clone(), EntityId::new(id));
            set.action(&uid).cloned().ok_or_else(|| missing(id))
        };
        let rights: Result<Vec<_>, _> =
            RIGHTS.iter().map(|&id| action(id).map(|right| (id, right))).collect();
        Ok(Self {
            place: type_name("Place")?,
            issuer: type_name("Issuer")?,
            caller: type_name("Caller")?,
            of_type: type_name(TYPE)?,
            subject: type_name("Subject")?,
            fact: type_name("Fact")?,
            surface: type_name("Surface")?,
            service: bare(&uid(&type_name("Service")?, "mandate")),
            ask: action("ask")?,
            explain: action("explain")?,
            supply_entity: action("supply_entity")?,
            assert_fact: action("assert_fact")?,
            rights: rights?,
        })
    }

    /// The actions whose resource is the principal of a question.
    pub(super) fn asks(&self) -> impl Iterator<Item = &BuiltEntity> {
        [&self.ask, &self.explain].into_iter()
    }

    /// A caller, in every place its SPIFFE ID goes through and in the issuer of its token.
    pub(super) fn caller(&self, caller: &Caller) -> BuiltEntity {
        let mut attributes = vec![(SmolStr::new_static("name"), CedarValue::string(caller.name()))];
        let mut above = Vec::new();
        if let Some(Workload { trust_domain, path, .. }) = caller.as_workload() {
            above.extend(places(trust_domain, path).map(|place| uid(&self.place, place)));
            let members = [("trust_domain", trust_domain), ("path", path)];
            let members = members.map(|(name, text)| (name, CedarValue::string(text)));
            attributes.push((SmolStr::new_static("workload"), record(members)));
        }
        if let Some(TokenHolder { issuer, subject, scopes, .. }) = caller.as_token_holder() {
            above.push(uid(&self.issuer, issuer.clone()));
            let scopes = CedarValue::set(scopes.iter().map(|scope| CedarValue::string(scope)));
            let members = [
                ("issuer", CedarValue::string(issuer)),
                ("subject", CedarValue::string(subject)),
                ("scopes", scopes),
            ];
            attributes.push((SmolStr::new_static("token"), record(members)));
        }
        BuiltEntity::new(
            &uid(&self.caller, caller.name().as_ref()),
            Arc::new(Members::new([], attributes, [])),
            &above,
        )
    }

    /// Everything a question needs a right for, and the words for lacking it.
    pub(super) fn grounds<'n>(
        &'n self,
        asking: &'n Asking<'_>,
    ) -> impl Iterator<Item = (Ground<'n>, String)> + 'n {
        let context = self.question(asking);
        let ground = move |action, resource| Ground { action, resource, context: context.clone() };
        let of_type = &asking.principal.type_name;
        let ask = std::iter::once((&self.ask, format!("ask about a {of_type}")));
        let explain =
            asking.explain.then(|| (&self.explain, format!("ask for explanations about a {of_type}")));
        let about = ask.chain(explain).map(|(action, what)| (action, self.subject(asking.principal), what));
        let entities = asking.entity_types.iter().map(|name| {
            (
                &self.supply_entity,
                bare(&uid(&self.of_type, *name)),
                format!("supply entities of type {name:?}"),
            )
        });
        let facts = asking.facts.iter().map(|name| {
            (
                &self.assert_fact,
                bare(&uid(&self.fact, *name)),
                format!("assert `context.{}`", name.escape_debug()),
            )
        });
        about
            .chain(entities)
            .chain(facts)
            .map(move |(action, resource, what)| (ground(action, resource), what))
    }

    /// Something that is no question.
    pub(super) fn right(&self, right: &Right<'_>) -> Ground<'_> {
        let (resource, own) = match right {
            Right::ReadEntities(name) | Right::WriteEntities(name) => {
                (bare(&uid(&self.of_type, *name)), None)
            }
            Right::Delegate { delegator, own } | Right::Revoke { delegator, own } => {
                (self.subject(delegator), Some(*own))
            }
            _ => (self.service.clone(), None),
        };
        let action = self.rights.iter().find(|(id, _)| *id == right.action()).map(|(_, action)| action);
        let mut context = CedarRecord::default();
        if let Some(own) = own {
            context.insert("self", CedarValue::boolean(own));
        }
        // A right without an action is nobody's: the service is none.
        Ground { action: action.unwrap_or(&self.service), resource, context }
    }

    /// A principal, in its type.
    fn subject(&self, principal: &Reference) -> BuiltEntity {
        let of_type = uid(&self.of_type, principal.type_name.as_str());
        let name = format!("{}::{:?}", principal.type_name, principal.id);
        let attributes = [
            (SmolStr::new_static("type"), CedarValue::entity(&of_type)),
            (SmolStr::new_static("id"), CedarValue::string(&principal.id)),
        ];
        BuiltEntity::new(&uid(&self.subject, name), Arc::new(Members::new([], attributes, [])), [&of_type])
    }

    fn question(&self, asking: &Asking<'_>) -> CedarRecord {
        let of_type = |name: &str| CedarValue::entity(&uid(&self.of_type, name));
        let mut context = CedarRecord::default();
        context.insert("self", CedarValue::boolean(asking.own));
        context.insert("principal_type", of_type(&asking.principal.type_name));
        context.insert("action", CedarValue::string(&asking.action.id));
        context.insert("action_type", CedarValue::string(&asking.action.type_name));
        context.insert("resource_type", of_type(asking.resource_type));
        context.insert("surface", CedarValue::entity(&uid(&self.surface, asking.surface)));
        context.insert("observe", CedarValue::boolean(asking.observe));
        context.insert("bypass_cache", CedarValue::boolean(asking.bypass_cache));
        context.insert("with_token", CedarValue::boolean(asking.with_token));
        context.insert("with_delegations", CedarValue::boolean(asking.with_delegations));
        context
    }
}

/// A trust domain and every part of a path in it but the last, which is the workload's own.
fn places<'w>(trust_domain: &'w str, path: &'w str) -> impl Iterator<Item = String> + 'w {
    let ends = path.match_indices('/').map(|(at, _)| at);
    ends.filter_map(move |end| Some(format!("spiffe://{trust_domain}{}", path.get(..end)?)))
}

fn record<const N: usize>(members: [(&str, CedarValue); N]) -> CedarValue {
    let mut record = CedarRecord::default();
    for (name, value) in members {
        record.insert(name, value);
    }
    CedarValue::record(record)
}

fn uid(type_name: &EntityTypeName, id: impl AsRef<str>) -> EntityUid {
    EntityUid::from_type_name_and_id(type_name.clone(), EntityId::new(id))
}

fn bare(uid: &EntityUid) -> BuiltEntity {
    BuiltEntity::new(uid, Arc::default(), [])
}
