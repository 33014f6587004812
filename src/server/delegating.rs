//! `Delegate` as a question: may this delegator hand this on? (D9)

use super::pb;
use super::wire::{self, Read};
use crate::audit::record::Mode;
use crate::engine::convert::Form;
use crate::engine::datum::{Datum, Reference};
use crate::engine::delegation::names::DelegationNames;
use crate::engine::request::{AuthzRequest, InvalidRequest};
use crate::engine::written::Plain;
use crate::identity::credentials::Credentials;
use crate::pdp::Asked;

/// The action that policies decide delegations by.
const DELEGATE: &str = "delegate";

/// A grant that somebody wants to cut, taken apart.
#[derive(Debug)]
pub(super) struct Delegating {
    /// The grant, as it is kept.
    pub(super) text: String,
    /// Who delegates.
    pub(super) delegator: Reference,
    /// May they?
    pub(super) asked: Asked,
}

impl Delegating {
    /// Reads a message.
    ///
    /// # Errors
    /// [`InvalidRequest`] at the first field that no delegation has, or that contradicts another.
    pub(super) fn read(message: pb::DelegateRequest, names: &DelegationNames) -> Read<Self> {
        let pb::DelegateRequest { parent, grant, credentials } = message;
        let pb::Entity { uid, attributes, parents, tags } =
            grant.ok_or_else(|| InvalidRequest::field("grant", "is required"))?;
        let uid = uid.ok_or_else(|| InvalidRequest::field("grant.uid", "is required"))?;
        if uid.r#type != names.type_name {
            let message = format!("must be a {}; it is a {}", names.type_name, uid.r#type);
            return Err(InvalidRequest::field("grant.uid.type", message));
        }
        if !parents.is_empty() || tags.is_some_and(|tags| !tags.attributes.is_empty()) {
            let message = "has neither parents nor tags: what it is cut from is `parent`";
            return Err(InvalidRequest::field("grant", message));
        }
        let mut said = wire::entity_attributes(attributes.unwrap_or_default(), "grant.attributes")?;
        let mut whole = said.clone();
        let delegator = giver(&mut said, names)?;
        let to = entity(take(&mut said, &names.to), &names.to)?
            .ok_or_else(|| InvalidRequest::field(path(&names.to), "is required"))?;
        let within = entity(take(&mut said, &names.parent), &names.parent)?;
        let parent = parent.map(wire::reference);
        if within.is_some() && within != parent {
            return Err(InvalidRequest::field(path(&names.parent), "is not the message's `parent`"));
        }
        if let Some(parent) = parent.clone().filter(|_| within.is_none()) {
            whole.push((names.parent.clone(), Datum::Entity(parent)));
        }
        let grant =
            Plain { uid: wire::reference(uid), attributes: whole, parents: Vec::new(), tags: Vec::new() };
        let text =
            grant.text().map_err(|error| InvalidRequest::field("grant.attributes", error.to_string()))?;
        let question = AuthzRequest {
            context_form: Form::Typed,
            context: vec![("grant".to_owned(), Datum::Record(said))],
            delegations: parent.into_iter().collect(),
            // An empty type is the default namespace's `Action` (C8).
            ..AuthzRequest::new(delegator.clone(), Reference::new("", DELEGATE), to)
        };
        let asked = Asked {
            credentials: Credentials::shown(credentials),
            mode: Mode::Enforce,
            ..Asked::from(question)
        };
        Ok(Self { text, delegator, asked })
    }
}

/// Who delegates: the one attribute of those that may name it.
fn giver(said: &mut Vec<(String, Datum)>, names: &DelegationNames) -> Read<Reference> {
    let mut named = Vec::new();
    for name in &names.from {
        named.extend(entity(take(said, name), name)?);
    }
    match <[Reference; 1]>::try_from(named) {
        Ok([giver]) => Ok(giver),
        Err(named) => {
            let message =
                format!("exactly one of {} says who delegates; {} do", names.from.join(", "), named.len());
            Err(InvalidRequest::field("grant.attributes", message))
        }
    }
}

fn take(said: &mut Vec<(String, Datum)>, name: &str) -> Option<Datum> {
    let at = said.iter().position(|(member, _)| member == name)?;
    Some(said.swap_remove(at).1)
}

fn entity(value: Option<Datum>, name: &str) -> Read<Option<Reference>> {
    match value {
        None => Ok(None),
        Some(Datum::Entity(reference)) => Ok(Some(reference)),
        Some(other) => {
            Err(InvalidRequest::field(path(name), format!("must be an entity; it is {}", other.kind())))
        }
    }
}

fn path(name: &str) -> String {
    format!("grant.attributes.{name}")
}
