//! Stored entities, to and from the contract's messages.

use std::collections::HashMap;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use prost_types::Timestamp;

use super::pb;
use super::wire::{self, Read};
use crate::engine::datum::{Datum, Reference};
use crate::engine::request::InvalidRequest;
use crate::engine::suspensions::Suspended;
use crate::engine::world::World;
use crate::engine::written::Plain;

/// The entity that a message holds, as an entity file writes it. `path` is where it stands in its request.
///
/// # Errors
/// [`InvalidRequest`] at the first field that cannot be one.
pub fn text(entity: pb::Entity, path: &str) -> Result<String, InvalidRequest> {
    let pb::Entity { uid, attributes, parents, tags } = entity;
    let at = |part: &str| format!("{path}.{part}");
    let uid = uid.ok_or_else(|| InvalidRequest::field(at("uid"), "is required"))?;
    let plain = Plain {
        uid: wire::reference(uid),
        attributes: wire::entity_attributes(attributes.unwrap_or_default(), &at("attributes"))?,
        parents: parents.into_iter().map(wire::reference).collect(),
        tags: wire::entity_attributes(tags.unwrap_or_default(), &at("tags"))?,
    };
    plain.text().map_err(|error| InvalidRequest::field(path, error.to_string()))
}

/// The message that an entity of an entity file makes. What its values are is the schema's to say.
///
/// # Errors
/// What is no entity about it.
pub fn of_json(entity: &Datum) -> Result<pb::Entity, String> {
    const KNOWN: [&str; 4] = ["uid", "attrs", "parents", "tags"];
    let members = entity.members().ok_or_else(|| format!("an entity is an object, not {}", entity.kind()))?;
    if let Some((odd, _)) = members.iter().find(|(name, _)| !KNOWN.contains(&name.as_str())) {
        return Err(format!(
            "`{}` is no member of an entity; those are {}",
            odd.escape_debug(),
            KNOWN.join(", ")
        ));
    }
    let named = |uid: &Datum| named(uid).ok_or_else(|| "a name is {\"type\": …, \"id\": …}".to_owned());
    let record = |name: &str| match entity.member(name) {
        None => Ok(None),
        Some(Datum::Record(members)) => {
            let members = members.iter().map(|(name, value)| (name.clone(), value_message(value.clone())));
            Ok(Some(pb::Record { attributes: members.collect() }))
        }
        Some(other) => Err(format!("`{name}` is an object, not {}", other.kind())),
    };
    let parents = match entity.member("parents") {
        None => Vec::new(),
        Some(Datum::List(parents)) => parents.iter().map(named).collect::<Result<_, _>>()?,
        Some(other) => return Err(format!("`parents` is a list, not {}", other.kind())),
    };
    let uid = named(entity.member("uid").ok_or("it has no `uid`")?)?;
    Ok(pb::Entity { uid: Some(uid), attributes: record("attrs")?, parents, tags: record("tags")? })
}

fn named(uid: &Datum) -> Option<pb::EntityRef> {
    let uid = uid.member("__entity").unwrap_or(uid);
    match (uid.members()?.len(), uid.member("type")?, uid.member("id")?) {
        (2, Datum::String(name), Datum::String(id)) => {
            Some(pb::EntityRef { r#type: name.clone(), id: id.clone() })
        }
        _ => None,
    }
}

/// A name that the schema knows the type of.
///
/// # Errors
/// [`InvalidRequest`], at `field`.
pub(super) fn uid(world: &World, reference: &Reference, field: &str) -> Read<EntityUid> {
    wire::check_length(field, &reference.id)?;
    let name = entity_type(world, &reference.type_name, &format!("{field}.type"))?;
    Ok(EntityUid::from_type_name_and_id(name.clone(), EntityId::new(&reference.id)))
}

/// A type that the schema declares.
///
/// # Errors
/// [`InvalidRequest`], at `field`.
pub(super) fn entity_type<'w>(world: &'w World, name: &str, field: &str) -> Read<&'w EntityTypeName> {
    wire::check_length(field, name)?;
    world.generation.catalog.entity_type(name).ok_or_else(|| {
        let message = if name.is_empty() {
            "is required".to_owned()
        } else {
            format!("the schema declares no entity type `{}`", name.escape_debug())
        };
        InvalidRequest::field(field, message)
    })
}

/// A stored entity as a message; none if nothing of that name is stored.
pub(super) fn message(world: &World, uid: &EntityUid) -> Option<pb::Entity> {
    let Plain { uid, attributes, parents, tags } = Plain::of(uid, world.entities.get(uid)?.members())?;
    let record = |members: Vec<(String, Datum)>| {
        let attributes: HashMap<_, _> =
            members.into_iter().map(|(name, value)| (name, value_message(value))).collect();
        pb::Record { attributes: attributes.into_iter().collect() }
    };
    Some(pb::Entity {
        uid: Some(reference(uid)),
        attributes: Some(record(attributes)),
        parents: parents.into_iter().map(reference).collect(),
        tags: (!tags.is_empty()).then(|| record(tags)),
    })
}

/// A name as a message.
pub(super) fn name(uid: &EntityUid) -> pb::EntityRef {
    reference(crate::engine::written::reference(uid))
}

/// Whom a suspension is of as a message: an empty name is everybody.
pub(super) fn party(suspended: &Suspended) -> pb::EntityRef {
    match suspended {
        Suspended::All => pb::EntityRef::default(),
        Suspended::Principal(uid) => name(uid),
    }
}

fn reference(Reference { type_name, id }: Reference) -> pb::EntityRef {
    pb::EntityRef { r#type: type_name, id }
}

/// A value as a message, which says its own type.
fn value_message(value: Datum) -> pb::Value {
    use pb::value::Kind;
    let kind = match value {
        Datum::Null | Datum::Number(_) => None,
        Datum::Bool(value) => Some(Kind::Boolean(value)),
        Datum::Long(value) => Some(Kind::Long(value)),
        Datum::String(text) => Some(Kind::String(text)),
        Datum::List(elements) => {
            Some(Kind::Set(pb::Set { elements: elements.into_iter().map(value_message).collect() }))
        }
        Datum::Record(members) => {
            let members = members.into_iter().map(|(name, value)| (name, value_message(value)));
            Some(Kind::Record(pb::Record { attributes: members.collect() }))
        }
        Datum::Entity(uid) => Some(Kind::Entity(reference(uid))),
        Datum::Decimal(text) => Some(Kind::Decimal(text)),
        Datum::Ip(text) => Some(Kind::Ipaddr(text)),
        Datum::Duration(text) => Some(Kind::Duration(text)),
        Datum::Datetime(millis) => {
            let nanos = i32::try_from(millis.rem_euclid(1000)).unwrap_or(0) * 1_000_000;
            Some(Kind::Datetime(Timestamp { seconds: millis.div_euclid(1000), nanos }))
        }
    };
    pb::Value { kind }
}
