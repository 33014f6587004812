//! The information model (AuthZEN 1.0, "Information Model"): subject, action, resource, context. A member that is null is
//! absent, and one that AuthZEN does not name is ignored.

use crate::engine::datum::{Datum, Reference};
use crate::engine::request::InvalidRequest;

/// Members of an object, in the order they came.
pub(super) type Members = Vec<(String, Datum)>;

pub(super) type Read<T> = Result<T, InvalidRequest>;

/// A subject or resource.
#[derive(Debug)]
pub(super) struct Party {
    pub(super) type_name: String,
    pub(super) id: String,
    pub(super) properties: Members,
}

/// An action.
#[derive(Debug)]
pub(super) struct Deed {
    pub(super) name: String,
    pub(super) properties: Members,
}

/// The members of a request's body.
pub(super) fn body(body: Datum) -> Read<Members> {
    object(Some(body), "the body")?.ok_or_else(|| missing("the body"))
}

/// Takes a member out of an object; none if it is absent or null.
pub(super) fn take(members: &mut Members, name: &str) -> Option<Datum> {
    let at = members.iter().position(|(member, _)| member == name)?;
    Some(members.swap_remove(at).1).filter(|value| *value != Datum::Null)
}

/// An object's members; none if it is absent or null.
pub(super) fn object(value: Option<Datum>, field: &str) -> Read<Option<Members>> {
    match value {
        None | Some(Datum::Null) => Ok(None),
        Some(Datum::Record(members)) => Ok(Some(members)),
        Some(other) => {
            Err(InvalidRequest::field(field, format!("must be an object; it is {}", other.kind())))
        }
    }
}

/// The members of an object that must be there.
pub(super) fn required(members: &mut Members, field: &str) -> Read<Members> {
    object(take(members, field), field)?.ok_or_else(|| missing(field))
}

/// The subject or resource that an object is.
pub(super) fn party(mut members: Members, field: &str) -> Read<Party> {
    Ok(Party {
        type_name: text(&mut members, field, "type")?,
        id: text(&mut members, field, "id")?,
        properties: properties(&mut members, field)?,
    })
}

/// The subject or resource that is searched for: of it the type counts, and nothing else.
pub(super) fn sought(mut members: Members, field: &str) -> Read<Party> {
    let type_name = text(&mut members, field, "type")?;
    Ok(Party { type_name, id: String::new(), properties: Vec::new() })
}

/// The action that an object is.
pub(super) fn deed(mut members: Members) -> Read<Deed> {
    let field = "action";
    Ok(Deed { name: text(&mut members, field, "name")?, properties: properties(&mut members, field)? })
}

/// The context; one that is absent is empty.
pub(super) fn context(members: &mut Members) -> Read<Members> {
    Ok(object(take(members, "context"), "context")?.unwrap_or_default())
}

pub(super) fn properties(members: &mut Members, field: &str) -> Read<Members> {
    let properties = object(take(members, "properties"), &format!("{field}.properties"))?;
    Ok(properties.unwrap_or_default())
}

/// The delegations that a subject shows, the leaf last: `{type, id}` each, in the schema's own words.
pub(super) fn delegations(shown: Option<Datum>) -> Read<Vec<Reference>> {
    const FIELD: &str = "subject.properties.delegations";
    let elements = match shown {
        None => return Ok(Vec::new()),
        Some(Datum::List(elements)) => elements,
        Some(other) => {
            return Err(InvalidRequest::field(FIELD, format!("must be a list; it is {}", other.kind())));
        }
    };
    let element = |(index, element)| {
        let field = format!("{FIELD}[{index}]");
        let mut members = object(Some(element), &field)?.ok_or_else(|| missing(&field))?;
        let type_name = text(&mut members, &field, "type")?;
        Ok(Reference { type_name, id: text(&mut members, &field, "id")? })
    };
    elements.into_iter().enumerate().map(element).collect()
}

pub(super) fn text(members: &mut Members, owner: &str, name: &str) -> Read<String> {
    let field = format!("{owner}.{name}");
    match take(members, name) {
        None => Err(missing(&field)),
        Some(Datum::String(text)) => Ok(text),
        Some(other) => Err(InvalidRequest::field(field, format!("must be a string; it is {}", other.kind()))),
    }
}

pub(super) fn missing(field: &str) -> InvalidRequest {
    InvalidRequest::field(field, "is required")
}
