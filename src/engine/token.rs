//! `context.token`: what policies see of a verified token, as the schema directs.

use super::catalog::{ActionType, Catalog};
use super::cedar::{CedarRecord, CedarValue, RecordType, Type};
use super::convert::{Converter, Form};
use super::datum::Datum;
use super::request::InvalidRequest;
use super::subject::Subject;

/// Adds what a verified token says, where the action's context declares `token`. Members that the schema does not declare
/// are dropped, at every depth; nothing of a token becomes a reference to an entity.
///
/// # Errors
/// [`InvalidRequest`] if the token lacks a member that the schema requires, or has one of another type.
pub(super) fn fill(
    catalog: &Catalog,
    action: &ActionType,
    context: &mut CedarRecord,
    subject: Option<&Subject>,
) -> Result<(), InvalidRequest> {
    let declared = action.filled.attributes.get("token").map(|attribute| &attribute.ty);
    if let (Some(subject), Some(Type::Record(declared))) = (subject, declared) {
        let mut converter = Converter::new(catalog, Form::Typed, "context.token");
        let token = converter.record(&known(&subject.facts, declared), declared)?;
        context.insert("token", CedarValue::record(token));
    }
    Ok(())
}

/// The members that are declared, and of them the members that are.
fn known(members: &[(String, Datum)], declared: &RecordType) -> Vec<(String, Datum)> {
    let known = members.iter().filter_map(|(name, value)| {
        let attribute = declared.attributes.get(name.as_str())?;
        let value = match (value, &attribute.ty) {
            (Datum::Record(inner), Type::Record(declared)) => Datum::Record(known(inner, declared)),
            _ => value.clone(),
        };
        Some((name.clone(), value))
    });
    known.collect()
}
