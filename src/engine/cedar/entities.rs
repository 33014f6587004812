//! Stored entities: reading them, and laying a request's own over them.

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::{Entities, Entity, EntityUid};
use cedar_policy_core::ast::{self, Literal, PartialValue, Value, ValueKind};
use cedar_policy_core::entities::{self, Dereference, NoEntitiesSchema, TCComputation};
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;

use super::value::{CedarRecord, CedarValue};

/// A reference held by an attribute or a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldReference {
    /// Name of the innermost attribute that holds it; none for a tag.
    pub attribute: Option<SmolStr>,
    /// What it refers to.
    pub to: EntityUid,
}

/// An entity made for one request, its ancestors given whole.
#[derive(Debug, Clone)]
pub struct SuppliedEntity(Arc<ast::Entity>);

impl SuppliedEntity {
    /// Puts an entity together.
    pub fn new(
        uid: &EntityUid,
        attributes: CedarRecord,
        tags: CedarRecord,
        parents: &HashSet<EntityUid>,
        ancestors: &HashSet<EntityUid>,
    ) -> Self {
        let inner = |uid: &EntityUid| AsRef::<ast::EntityUID>::as_ref(uid).clone();
        Self(Arc::new(ast::Entity::new_with_attr_partial_value(
            inner(uid),
            attributes.into_members(),
            ancestors.difference(parents).map(inner).collect(),
            parents.iter().map(inner).collect(),
            tags.into_members(),
        )))
    }
}

/// Stored entities and supplied ones together. None of the supplied is stored or above a stored one (a stored entity's
/// parents are stored): so no stored entity's ancestors change, and nothing needs to be computed again.
///
/// # Errors
/// Cedar's words, should an entity be given twice after all.
pub fn overlay(stored: &[&Entity], supplied: &[SuppliedEntity]) -> Result<Entities, String> {
    let stored = stored.iter().map(|entity| Arc::new(AsRef::<ast::Entity>::as_ref(*entity).clone()));
    entities::Entities::new()
        .add_entities(
            stored.chain(supplied.iter().map(|entity| Arc::clone(&entity.0))),
            None::<&NoEntitiesSchema>,
            TCComputation::AssumeAlreadyComputed,
            Extensions::all_available(),
        )
        .map(Entities::from)
        .map_err(|error| error.to_string())
}

/// An attribute of a stored entity.
pub fn attribute(stored: &Entities, uid: &EntityUid, name: &str) -> Option<CedarValue> {
    let stored: &entities::Entities = stored.as_ref();
    match stored.entity(uid.as_ref()) {
        Dereference::Data(entity) => match entity.get(name)? {
            PartialValue::Value(value) => Some(CedarValue(value.clone())),
            PartialValue::Residual(_) => None,
        },
        Dereference::NoSuchEntity | Dereference::Residual(_) => None,
    }
}

/// Every ancestor of a stored entity.
pub fn ancestors(stored: &Entities, uid: &EntityUid) -> Vec<EntityUid> {
    stored.ancestors(uid).into_iter().flatten().cloned().collect()
}

/// The direct parents of an entity.
pub fn parents(entity: &Entity) -> Vec<EntityUid> {
    let entity: &ast::Entity = entity.as_ref();
    entity.parents().map(|uid| uid.clone().into()).collect()
}

/// Every reference an entity's attributes and tags hold.
pub fn references(entity: &Entity) -> Vec<HeldReference> {
    let entity: &ast::Entity = entity.as_ref();
    let attributes = entity.attrs().map(|(name, value)| (Some(name), value));
    let tags = entity.tags().map(|(_, value)| (None, value));
    let mut found = Vec::new();
    for (name, value) in attributes.chain(tags) {
        if let PartialValue::Value(value) = value {
            collect(name, value, &mut found);
        }
    }
    found
}

/// Recursion is bounded by the depth of values that loading accepts.
fn collect(name: Option<&SmolStr>, value: &Value, found: &mut Vec<HeldReference>) {
    match value.value_kind() {
        ValueKind::Lit(Literal::EntityUID(uid)) => {
            found.push(HeldReference { attribute: name.cloned(), to: uid.as_ref().clone().into() });
        }
        ValueKind::Set(set) => set.iter().for_each(|element| collect(name, element, found)),
        ValueKind::Record(members) => {
            members.iter().for_each(|(member, value)| collect(name.map(|_| member), value, found));
        }
        ValueKind::Lit(_) | ValueKind::ExtensionValue(_) => {}
    }
}
