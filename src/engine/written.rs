//! Entities as text that any schema they fit reads back: what is kept of those that callers write.

use cedar_policy::EntityUid;
use serde_json::{Map, Value, json};

use super::cedar::{CedarValue, Members, datums};
use super::convert::datetime;
use super::datum::{Datum, Reference};
use smol_str::SmolStr;

/// An entity that cannot be written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is a datetime outside years 0 to 9999, which has no text")]
pub struct Unwritable(pub String);

/// An entity, taken apart: as a caller gives it, or as it is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Plain {
    /// Its name.
    pub uid: Reference,
    /// Its attributes, by name.
    pub attributes: Vec<(String, Datum)>,
    /// What it is directly in.
    pub parents: Vec<Reference>,
    /// Its tags, by name.
    pub tags: Vec<(String, Datum)>,
}

impl Plain {
    /// A stored entity; none if it holds what nothing stored holds.
    pub fn of(uid: &EntityUid, members: &Members) -> Option<Self> {
        let named =
            |(name, value): &(SmolStr, CedarValue)| Some((name.to_string(), datums::of_value(value)?));
        Some(Self {
            uid: reference(uid),
            attributes: members.attributes().iter().map(named).collect::<Option<_>>()?,
            parents: members.parents().iter().map(reference).collect(),
            tags: members.tags().iter().map(named).collect::<Option<_>>()?,
        })
    }

    /// The entity as entity files write it.
    ///
    /// # Errors
    /// [`Unwritable`], by the path of the value.
    pub fn text(&self) -> Result<String, Unwritable> {
        let entity = |uid: &Reference| json!({"type": uid.type_name, "id": uid.id});
        let parents: Vec<Value> = self.parents.iter().map(entity).collect();
        let mut written = Map::new();
        written.insert("uid".to_owned(), entity(&self.uid));
        written.insert("attrs".to_owned(), members(&self.attributes)?);
        written.insert("parents".to_owned(), parents.into());
        if !self.tags.is_empty() {
            written.insert("tags".to_owned(), members(&self.tags)?);
        }
        Ok(Value::from(written).to_string())
    }
}

/// A name as callers write it.
pub fn reference(uid: &EntityUid) -> Reference {
    Reference::new(uid.type_name().to_string(), uid.id().unescaped())
}

fn members(members: &[(String, Datum)]) -> Result<Value, Unwritable> {
    let written = members.iter().map(|(name, value)| {
        let value = value_of(value).map_err(|Unwritable(path)| Unwritable(format!("{name}{path}")))?;
        Ok((name.clone(), value))
    });
    Ok(Value::Object(written.collect::<Result<Map<_, _>, _>>()?))
}

/// A value as the schema's type reads it: a datetime by its text, and everything within.
fn value_of(datum: &Datum) -> Result<Value, Unwritable> {
    match datum {
        Datum::Datetime(millis) => {
            datetime(*millis).map(Value::from).ok_or_else(|| Unwritable(String::new()))
        }
        Datum::List(elements) => elements.iter().map(value_of).collect::<Result<_, _>>().map(Value::Array),
        Datum::Record(named) => members(named).map_err(|Unwritable(path)| Unwritable(format!(".{path}"))),
        other => Ok(other.to_json()),
    }
}
