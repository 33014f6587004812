//! Properties that a caller gives of the parts of its question, put where the schema has a place for them.
//!
//! AuthZEN 1.0 lets subject, action and resource carry properties of any name, and a context of any members. A property is
//! the caller's word. It becomes `context.asserted.<part>.<name>` where the action's context declares that, and an
//! attribute of the resource where the request supplies the resource (C4): of a type marked `@request_scoped`, and
//! not stored. Nothing that is stored is altered. What the schema declares nowhere no policy can read, and is left out.

use super::catalog::{ActionType, RESERVED};
use super::cedar::{Attribute, EntityKind, RecordType, Type};
use super::convert::Form;
use super::datum::{Datum, Reference};
use super::generation::Strictness;
use super::question;
use super::request::{AuthzRequest, InvalidRequest, RequestEntity};
use super::world::World;

/// The member of an action's context that properties go to: a record of records, one for each part that it has.
pub const ASSERTED: &str = "asserted";

/// The parts of a question that have properties, as `context.asserted` names them.
pub const PARTS: [&str; 3] = ["subject", "action", "resource"];

/// Most names that are told of what was left out.
const MAX_LEFT_OUT: usize = 32;

/// What happens to what the schema declares nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Undeclared {
    /// It is left out, and told of.
    #[default]
    Ignore,
    /// The question is refused.
    Refuse,
}

/// Properties of the parts of a question, unconverted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Properties {
    /// Of who acts.
    pub subject: Vec<(String, Datum)>,
    /// Of what it does.
    pub action: Vec<(String, Datum)>,
    /// Of what it is done to.
    pub resource: Vec<(String, Datum)>,
    /// What happens to those that have no place, and to such members of the context.
    pub undeclared: Undeclared,
}

/// Puts properties into the question, and takes out of its context what the action does not declare. Gives back the paths
/// of what was left out. Where nothing need be declared, nothing is done.
///
/// # Errors
/// [`InvalidRequest`] if the question's action or resource cannot be, if `context.asserted` was given besides, or at the first path that would be
/// left out where that is refused.
pub fn place(
    world: &World,
    request: &mut AuthzRequest,
    properties: &Properties,
) -> Result<Vec<String>, InvalidRequest> {
    let catalog = &world.generation.catalog;
    if catalog.strictness != Strictness::Full {
        return Ok(Vec::new());
    }
    let action = question::decided_by(catalog, request)?;
    let mut placing = Placing { parts: parts(&action), asserted: Vec::new(), left_out: Vec::new() };
    placing.keep_declared(request, &action)?;
    let supplied = supplied_resource(world, request, &properties.resource)?;
    let known = |name: &str| {
        supplied.as_ref().is_some_and(|entity| entity.attributes.iter().any(|(known, _)| known == name))
    };
    for (part, given) in
        PARTS.into_iter().zip([&properties.subject, &properties.action, &properties.resource])
    {
        placing.assert(part, given, |name| part == "resource" && known(name));
    }
    let Placing { parts, asserted, left_out } = placing;
    let wanted = parts.is_some_and(|(_, required)| required);
    if wanted || !asserted.is_empty() {
        request.context.push((ASSERTED.to_owned(), Datum::Record(asserted)));
    }
    request.entities.extend(supplied);
    match left_out.first() {
        Some(path) if properties.undeclared == Undeclared::Refuse => {
            let message = "is declared neither by the context of this action nor, where the request supplies it, by the resource's type";
            Err(InvalidRequest::field(path, message))
        }
        _ => Ok(left_out),
    }
}

/// Properties on their way.
struct Placing<'a> {
    /// What `context.asserted` is declared as, if it is, and whether it is required.
    parts: Option<(&'a RecordType, bool)>,
    asserted: Vec<(String, Datum)>,
    left_out: Vec<String>,
}

impl Placing<'_> {
    /// Takes out of the context what the action does not declare. What Mandate fills stays, to be refused (C5).
    fn keep_declared(
        &mut self,
        request: &mut AuthzRequest,
        action: &ActionType,
    ) -> Result<(), InvalidRequest> {
        let declared = |name: &str| action.supplied.attributes.contains_key(name) || RESERVED.contains(&name);
        let (kept, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut request.context).into_iter().partition(|(name, _)| declared(name));
        request.context = kept;
        for (name, _) in others.iter().filter(|(_, value)| *value != Datum::Null) {
            self.leave_out(format!("context.{name}"));
        }
        let made = |(name, value): &(String, Datum)| name == ASSERTED && *value != Datum::Null;
        if self.parts.is_some() && request.context.iter().any(made) {
            let message = "is made of the properties of subject, action and resource: give them there";
            return Err(InvalidRequest::field("context.asserted", message));
        }
        if self.parts.is_some() {
            request.context.retain(|(name, _)| name != ASSERTED);
        }
        Ok(())
    }

    /// Asserts what is declared of a part. `known` says what else has a place.
    fn assert(&mut self, part: &'static str, given: &[(String, Datum)], known: impl Fn(&str) -> bool) {
        let attribute = self.parts.and_then(|(parts, _)| parts.attributes.get(part));
        let declared = attribute.and_then(record);
        let chosen = chosen(given, declared);
        for (name, _) in given.iter().filter(|(_, value)| *value != Datum::Null) {
            if !known(name) && !chosen.iter().any(|(chosen, _)| chosen == name) {
                self.leave_out(format!("{part}.properties.{name}"));
            }
        }
        if !chosen.is_empty() || attribute.is_some_and(|attribute| attribute.required) {
            self.asserted.push((part.to_owned(), Datum::Record(chosen)));
        }
    }

    fn leave_out(&mut self, path: String) {
        if self.left_out.len() < MAX_LEFT_OUT {
            self.left_out.push(path);
        }
    }
}

/// What `context.asserted` is declared as, and whether it is required; none if it is not declared, or as something else.
fn parts(action: &ActionType) -> Option<(&RecordType, bool)> {
    let attribute = action.supplied.attributes.get(ASSERTED)?;
    let parts = record(attribute)?;
    let ours = |(name, part): (&smol_str::SmolStr, &Attribute)| {
        PARTS.contains(&name.as_str()) && record(part).is_some()
    };
    parts.attributes.iter().all(ours).then_some((parts, attribute.required))
}

fn record(attribute: &Attribute) -> Option<&RecordType> {
    match &attribute.ty {
        Type::Record(record) => Some(record),
        _ => None,
    }
}

/// The members that are declared. A null member is an absent one.
fn chosen(given: &[(String, Datum)], declared: Option<&RecordType>) -> Vec<(String, Datum)> {
    let Some(declared) = declared else { return Vec::new() };
    let has_place = |(name, value): &&(String, Datum)| {
        *value != Datum::Null && declared.attributes.contains_key(name.as_str())
    };
    given.iter().filter(has_place).cloned().collect()
}

/// The resource, if the request may supply it (C4) and says enough of it. Of one that is whole without a single attribute its name
/// is enough.
fn supplied_resource(
    world: &World,
    request: &AuthzRequest,
    given: &[(String, Datum)],
) -> Result<Option<RequestEntity>, InvalidRequest> {
    let catalog = &world.generation.catalog;
    let uid = catalog.uid(&request.resource, "resource")?;
    let named = |reference: &Reference| *reference == request.resource;
    if !catalog.is_request_scoped(uid.type_name())
        || world.stores(&uid)
        || request.entities.iter().any(|entity| named(&entity.uid))
    {
        return Ok(None);
    }
    let Some(EntityKind::Standard(declared, _)) = catalog.entity_kind(uid.type_name()) else {
        return Ok(None);
    };
    let attributes = chosen(given, Some(declared));
    if attributes.is_empty() && declared.attributes.values().any(|attribute| attribute.required) {
        return Ok(None);
    }
    Ok(Some(RequestEntity {
        uid: request.resource.clone(),
        form: Form::Plain,
        attributes,
        tags: Vec::new(),
        parents: Vec::new(),
    }))
}
