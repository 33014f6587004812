//! Stored entities as Cedar evaluates them, and the few of them that one decision looks at.

use std::sync::{Arc, OnceLock};

use cedar_policy::{Entity, EntityUid, Schema};
use cedar_policy_core::ast::{self, Literal, PartialValue, Value, ValueKind};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::extensions::Extensions;
use ref_cast::RefCast as _;
use smol_str::SmolStr;

use super::ancestors::Ancestors;
use super::members::Members;
use super::value::{CedarRecord, CedarValue};

/// A reference held by an attribute or a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldReference {
    /// Name of the innermost attribute that holds it; none for a tag.
    pub attribute: Option<SmolStr>,
    /// What it refers to.
    pub to: EntityUid,
}

/// An entity with everything it is in. Cloning shares it.
#[derive(Debug, Clone)]
pub struct BuiltEntity(Arc<Built>);

#[derive(Debug)]
struct Built {
    uid: EntityUid,
    members: Arc<Members>,
    /// Together, everything it is in.
    above: Box<[Arc<Ancestors>]>,
    /// In Cedar's form, once something is evaluated that needs it.
    cedars: OnceLock<Arc<ast::Entity>>,
}

/// The entities that one decision looks at.
#[derive(Debug, Default)]
pub struct Slice(pub(super) Entities);

impl BuiltEntity {
    /// Puts an entity together. `above` is everything it is in, its parents included.
    pub fn new<'a>(
        uid: &EntityUid,
        members: Arc<Members>,
        above: impl IntoIterator<Item = &'a EntityUid>,
    ) -> Self {
        Self::below(uid, members, [Arc::new(Ancestors::of(above))])
    }

    /// Puts an entity together. The lists are, together, everything it is in; they may have some of it in common.
    pub fn below(
        uid: &EntityUid,
        members: Arc<Members>,
        above: impl IntoIterator<Item = Arc<Ancestors>>,
    ) -> Self {
        let above = above.into_iter().collect();
        Self(Arc::new(Built { uid: uid.clone(), members, above, cedars: OnceLock::new() }))
    }

    /// Its name.
    pub fn uid(&self) -> &EntityUid {
        &self.0.uid
    }

    /// What it holds.
    pub fn members(&self) -> &Members {
        &self.0.members
    }

    /// Everything it is in; some of it may come more than once.
    pub fn ancestors(&self) -> impl Iterator<Item = &EntityUid> {
        self.0.above.iter().flat_map(|list| list.iter())
    }

    /// Whether it is in another, at any distance.
    pub fn is_in(&self, other: &EntityUid) -> bool {
        Ancestors::any_contains(&self.0.above, other)
    }

    fn cedars(&self) -> Arc<ast::Entity> {
        let Built { uid, members, above, cedars } = &*self.0;
        Arc::clone(cedars.get_or_init(|| Arc::new(cedars_form(uid, members, above))))
    }
}

fn cedars_form(uid: &EntityUid, members: &Members, above: &[Arc<Ancestors>]) -> ast::Entity {
    let inner = |uid: &EntityUid| AsRef::<ast::EntityUID>::as_ref(uid).clone();
    let known = |(name, value): &(SmolStr, CedarValue)| (name.clone(), PartialValue::Value(value.0.clone()));
    let above = above.iter().flat_map(|list| list.iter());
    let indirect = above.filter(|uid| members.parents().binary_search(uid).is_err());
    ast::Entity::new_with_attr_partial_value(
        inner(uid),
        members.attributes().iter().map(known),
        indirect.map(inner).collect(),
        members.parents().iter().map(inner).collect(),
        members.tags().iter().map(known),
    )
}

impl Slice {
    /// Exactly these; none if two different ones have the same name, of which a decision could see one only.
    pub fn of(entities: impl IntoIterator<Item = BuiltEntity>) -> Option<Self> {
        let slice = Entities::new().add_entities(
            entities.into_iter().map(|entity| entity.cedars()),
            None::<&NoEntitiesSchema>,
            // Each was built with all it is in.
            TCComputation::AssumeAlreadyComputed,
            Extensions::all_available(),
        );
        slice.ok().map(Self)
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
        .map(|entity| {
            let above: Vec<_> = AsRef::<ast::Entity>::as_ref(entity).ancestors().collect();
            let parents = AsRef::<ast::Entity>::as_ref(entity).parents().map(|uid| uid.clone().into());
            let above = above.into_iter().map(EntityUid::ref_cast);
            BuiltEntity::new(&entity.uid(), Arc::new(Members::new(parents, [], [])), above)
        })
        .collect())
}

/// What an entity of Cedar's public interface is made of: parents, attributes, tags. None for one that holds unknowns.
pub fn parts(entity: &Entity) -> Option<(Vec<EntityUid>, CedarRecord, CedarRecord)> {
    let entity: &ast::Entity = entity.as_ref();
    let record = |(name, value): (&SmolStr, &PartialValue)| Some((name.clone(), known(value)?.0));
    let attributes = entity.attrs().map(record).collect::<Option<_>>()?;
    let tags = entity.tags().map(record).collect::<Option<_>>()?;
    let parents = entity.parents().map(|uid| uid.clone().into()).collect();
    Some((parents, CedarRecord(Arc::new(attributes)), CedarRecord(Arc::new(tags))))
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

impl Members {
    /// Every reference that attributes and tags hold.
    pub fn references(&self) -> Vec<HeldReference> {
        let mut found = Vec::new();
        self.attributes().iter().for_each(|(name, value)| collect(Some(name), &value.0, &mut found));
        self.tags().iter().for_each(|(_, value)| collect(None, &value.0, &mut found));
        found
    }
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
