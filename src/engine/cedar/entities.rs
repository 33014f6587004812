//! Stored entities as Cedar evaluates them, and the few of them that one decision looks at.

use std::sync::Arc;

use cedar_policy::{Entity, EntityUid, Schema};
use cedar_policy_core::ast::{self, Literal, PartialValue, Value, ValueKind};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
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

/// An entity as Cedar evaluates it: with everything it is in.
#[derive(Debug, Clone)]
pub struct BuiltEntity(pub(super) Arc<ast::Entity>);

/// The entities that one decision looks at.
#[derive(Debug, Default)]
pub struct Slice(pub(super) Entities);

impl BuiltEntity {
    /// Puts an entity together. `ancestors` are those that are no parents.
    pub fn new<'a>(
        uid: &EntityUid,
        attributes: impl IntoIterator<Item = (SmolStr, CedarValue)>,
        tags: impl IntoIterator<Item = (SmolStr, CedarValue)>,
        parents: impl IntoIterator<Item = &'a EntityUid>,
        ancestors: impl IntoIterator<Item = &'a EntityUid>,
    ) -> Self {
        let inner = |uid: &EntityUid| AsRef::<ast::EntityUID>::as_ref(uid).clone();
        let members = |(name, value): (SmolStr, CedarValue)| (name, PartialValue::Value(value.0));
        Self(Arc::new(ast::Entity::new_with_attr_partial_value(
            inner(uid),
            attributes.into_iter().map(members),
            ancestors.into_iter().map(inner).collect(),
            parents.into_iter().map(inner).collect(),
            tags.into_iter().map(members),
        )))
    }

    /// Its name.
    pub fn uid(&self) -> EntityUid {
        self.0.uid().clone().into()
    }

    /// Everything it is in.
    pub fn ancestors(&self) -> impl Iterator<Item = EntityUid> {
        self.0.ancestors().map(|uid| uid.clone().into())
    }

    /// Whether it is in another, at any distance.
    pub fn is_in(&self, other: &EntityUid) -> bool {
        self.0.is_descendant_of(other.as_ref())
    }

    /// An attribute.
    pub fn attribute(&self, name: &str) -> Option<CedarValue> {
        self.0.get(name).and_then(known)
    }

    /// The values of its tags.
    pub fn tags(&self) -> impl Iterator<Item = CedarValue> {
        self.0.tags().filter_map(|(_, value)| known(value))
    }

    /// Every reference its attributes and tags hold.
    pub fn references(&self) -> Vec<HeldReference> {
        references_of(&self.0)
    }
}

impl Slice {
    /// Exactly these; none if two different ones have the same name, of which a decision could see one only.
    pub fn of(entities: impl IntoIterator<Item = BuiltEntity>) -> Option<Self> {
        let slice = Entities::new().add_entities(
            entities.into_iter().map(|entity| entity.0),
            None::<&NoEntitiesSchema>,
            // Each was built with all it is in.
            TCComputation::AssumeAlreadyComputed,
            Extensions::all_available(),
        );
        slice.ok().map(Self)
    }

    /// How many.
    #[cfg(test)]
    pub(in crate::engine) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The schema's actions, each with all it is in.
///
/// # Errors
/// Cedar's words, if the schema's hierarchy of actions is none.
pub fn actions(schema: &Schema) -> Result<Vec<BuiltEntity>, String> {
    let actions = schema.action_entities().map_err(|error| error.to_string())?;
    Ok(actions
        .iter()
        .map(|entity| BuiltEntity(Arc::new(AsRef::<ast::Entity>::as_ref(entity).clone())))
        .collect())
}

/// What an entity of Cedar's public interface is made of: parents, attributes, tags. None for one that holds unknowns.
pub fn parts(entity: &Entity) -> Option<(Vec<EntityUid>, CedarRecord, CedarRecord)> {
    let entity: &ast::Entity = entity.as_ref();
    let record = |(name, value): (&SmolStr, &PartialValue)| Some((name.clone(), known(value)?.0));
    let attributes = entity.attrs().map(record).collect::<Option<_>>()?;
    let tags = entity.tags().map(record).collect::<Option<_>>()?;
    let parents = entity.parents().map(|uid| uid.clone().into()).collect();
    Some((parents, CedarRecord(attributes), CedarRecord(tags)))
}

fn known(value: &PartialValue) -> Option<CedarValue> {
    match value {
        PartialValue::Value(value) => Some(CedarValue(value.clone())),
        PartialValue::Residual(_) => None,
    }
}

impl CedarRecord {
    /// Every reference that its members hold, at any depth.
    pub fn references(&self) -> impl Iterator<Item = EntityUid> {
        let mut found = Vec::new();
        self.0.iter().for_each(|(name, value)| collect(Some(name), value, &mut found));
        found.into_iter().map(|held| held.to)
    }
}

/// Every reference that attributes and tags hold.
pub fn held(attributes: &[(SmolStr, CedarValue)], tags: &[(SmolStr, CedarValue)]) -> Vec<HeldReference> {
    let mut found = Vec::new();
    attributes.iter().for_each(|(name, value)| collect(Some(name), &value.0, &mut found));
    tags.iter().for_each(|(_, value)| collect(None, &value.0, &mut found));
    found
}

fn references_of(entity: &ast::Entity) -> Vec<HeldReference> {
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
