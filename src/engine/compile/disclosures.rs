//! Reading `@log` at the members of a context, from the schema's JSON form, where annotations live.

use serde_json::Value;

use crate::engine::disclosure::{Disclosure, Disclosures};
use crate::engine::guard::MAX_VALUE_DEPTH;

/// A value of `@log` that says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unknown {
    /// Path of the member, from the context on.
    pub(super) path: String,
    /// What is written there.
    pub(super) value: String,
}

/// What a declared type says of its values; `resolve` follows the names of common types. Every value of `@log` that
/// is none of the three is added to `unknown`.
pub(super) fn of_type<'a>(
    declared: &'a Value,
    resolve: &dyn Fn(&'a Value) -> &'a Value,
    unknown: &mut Vec<Unknown>,
) -> Disclosures {
    let mut found = Disclosures::default();
    members(declared, resolve, &mut vec!["context"], &mut found, unknown);
    found
}

fn members<'a>(
    declared: &'a Value,
    resolve: &dyn Fn(&'a Value) -> &'a Value,
    path: &mut Vec<&'a str>,
    found: &mut Disclosures,
    unknown: &mut Vec<Unknown>,
) {
    if path.len() > MAX_VALUE_DEPTH {
        return;
    }
    let declared = resolve(declared);
    if let Some(element) = declared.get("element") {
        return members(element, resolve, path, found, unknown);
    }
    let attributes = declared.get("attributes").and_then(Value::as_object);
    for (name, attribute) in attributes.into_iter().flatten() {
        path.push(name);
        let mut member = Disclosures::default();
        if let Some(value) = attribute.get("annotations").and_then(|annotations| annotations.get("log")) {
            let value = value.as_str().unwrap_or_default();
            member.here = Disclosure::named(value);
            if member.here.is_none() {
                unknown.push(Unknown { path: path.join("."), value: value.to_owned() });
            }
        }
        members(attribute, resolve, path, &mut member, unknown);
        found.put(name.as_str(), member);
        path.pop();
    }
}
