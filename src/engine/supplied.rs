//! Entities that exist for one request only (C4).

mod stand_in;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::EntityUid;

use super::catalog::Catalog;
use super::cedar::{BuiltEntity, CedarRecord, EntityKind, Members, types};
use super::convert::Converter;
use super::guard::{MAX_REQUEST_ANCESTORS, MAX_VALUE_DEPTH};
use super::request::{InvalidRequest, RequestEntity};
use super::world::World;

/// A request's own entities.
#[derive(Debug, Clone, Default)]
pub struct Supplied {
    built: HashMap<EntityUid, BuiltEntity>,
    /// The principal that a token stands in for.
    principal: Option<EntityUid>,
    /// What their attributes and tags refer to.
    pub references: Vec<EntityUid>,
}

impl Supplied {
    /// Whether the request supplies that entity.
    pub fn contains(&self, uid: &EntityUid) -> bool {
        self.built.contains_key(uid)
    }

    /// Whether the request supplies any.
    pub fn is_empty(&self) -> bool {
        self.built.is_empty()
    }

    /// Every entity that the request supplies, or its token, in no order.
    pub fn entities(&self) -> impl Iterator<Item = &BuiltEntity> {
        self.built.values()
    }

    /// The entity of that name, if the request supplies it. None of the supplied is stored or above a stored one (a stored
    /// entity's parents are stored): so no stored entity's ancestors change.
    pub fn get(&self, uid: &EntityUid) -> Option<&BuiltEntity> {
        self.built.get(uid)
    }
}

/// Builds a request's entities.
///
/// # Errors
/// [`InvalidRequest`] for an entity whose type the schema does not mark `@request_scoped`, whose name is stored or
/// given twice, whose parents are not supplied too, or whose attributes do not fit its type.
pub fn build(world: &World, supplied: &[RequestEntity]) -> Result<Supplied, InvalidRequest> {
    let limit = world.generation.catalog.limits.entities;
    if supplied.len() > limit {
        let message =
            format!("has {} entities; the limit is {limit} (`limits.request_entities`)", supplied.len());
        return Err(InvalidRequest::field("entities", message));
    }
    if supplied.is_empty() {
        return Ok(Supplied::default());
    }
    let names = names(world, supplied)?;
    let family = Family::of(world, supplied, &names)?;
    let mut references = Vec::new();
    let mut related = 0;
    let mut built = HashMap::with_capacity(supplied.len());
    for (index, (entity, uid)) in supplied.iter().zip(&names).enumerate() {
        let field = format!("entities[{index}]");
        let (attributes, tags) = convert(&world.generation.catalog, entity, uid, &field, &mut references)?;
        let parents = family.parents.get(uid).cloned().unwrap_or_default();
        let ancestors = family.ancestors(uid, index)?;
        related += ancestors.len();
        if related > MAX_REQUEST_ANCESTORS {
            let message = format!("are in each other more than {MAX_REQUEST_ANCESTORS} times in all");
            return Err(InvalidRequest::field("entities", message));
        }
        let members = Members::new(parents, attributes.into_members(), tags.into_members());
        let entity = BuiltEntity::new(uid, Arc::new(members), &ancestors);
        built.insert(uid.clone(), entity);
    }
    Ok(Supplied { built, principal: None, references })
}

/// The entities' names, in order: of types that may be supplied, none stored, none twice.
fn names(world: &World, supplied: &[RequestEntity]) -> Result<Vec<EntityUid>, InvalidRequest> {
    let catalog = &world.generation.catalog;
    let mut seen = HashSet::new();
    let mut names = Vec::with_capacity(supplied.len());
    for (index, entity) in supplied.iter().enumerate() {
        let field = format!("entities[{index}].uid");
        let uid = catalog.uid(&entity.uid, &field)?;
        let refusal = if !catalog.is_request_scoped(uid.type_name()) {
            Some(format!("{uid}: the schema does not mark its type `@request_scoped`"))
        } else if world.stores(&uid) {
            Some(format!("{uid} is stored; a request cannot replace it"))
        } else if !seen.insert(uid.clone()) {
            Some(format!("{uid} is given twice"))
        } else {
            None
        };
        if let Some(message) = refusal {
            return Err(InvalidRequest::field(field, message));
        }
        names.push(uid);
    }
    Ok(names)
}

fn convert(
    catalog: &Catalog,
    entity: &RequestEntity,
    uid: &EntityUid,
    field: &str,
    references: &mut Vec<EntityUid>,
) -> Result<(CedarRecord, CedarRecord), InvalidRequest> {
    let Some(EntityKind::Standard(declared, tag_type)) = catalog.entity_kind(uid.type_name()) else {
        return Err(InvalidRequest::field(format!("{field}.uid"), "has no attributes to supply"));
    };
    let root = format!("{field}.attributes");
    let mut converter = Converter::new(catalog, entity.form, &root);
    let attributes = converter.record(&entity.attributes, declared)?;
    references.append(&mut converter.references);
    let mut tags = CedarRecord::default();
    let field = format!("{field}.tags");
    let mut converter = Converter::new(catalog, entity.form, &field);
    for (name, value) in &entity.tags {
        let Some(ty) = tag_type else {
            return Err(InvalidRequest::field(field, "the schema declares no tags for this type"));
        };
        tags.insert(name.as_str(), converter.value(value, ty)?);
    }
    references.append(&mut converter.references);
    Ok((attributes, tags))
}

/// Who is in whom among the supplied.
struct Family {
    parents: HashMap<EntityUid, HashSet<EntityUid>>,
}

impl Family {
    fn of(world: &World, supplied: &[RequestEntity], names: &[EntityUid]) -> Result<Self, InvalidRequest> {
        let catalog = &world.generation.catalog;
        let known: HashSet<_> = names.iter().collect();
        let mut parents: HashMap<EntityUid, HashSet<EntityUid>> = HashMap::new();
        for (index, (entity, uid)) in supplied.iter().zip(names).enumerate() {
            for (at, parent) in entity.parents.iter().enumerate() {
                let field = format!("entities[{index}].parents[{at}]");
                let parent = catalog.uid(parent, &field)?;
                if !known.contains(&parent) {
                    let message =
                        format!("{parent} is not supplied: a request's entities are in each other only");
                    return Err(InvalidRequest::field(field, message));
                }
                if !types::may_be_in(&catalog.schema, uid.type_name(), parent.type_name()) {
                    let message =
                        format!("the schema lets no {} be in a {}", uid.type_name(), parent.type_name());
                    return Err(InvalidRequest::field(field, message));
                }
                parents.entry(uid.clone()).or_default().insert(parent);
            }
        }
        Ok(Self { parents })
    }

    /// Everything above an entity, level by level; a cycle never runs out of levels.
    fn ancestors(&self, uid: &EntityUid, index: usize) -> Result<HashSet<EntityUid>, InvalidRequest> {
        let mut ancestors = HashSet::new();
        let mut level: Vec<&EntityUid> = vec![uid];
        for _ in 0..=MAX_VALUE_DEPTH {
            let above = level.iter().filter_map(|uid| self.parents.get(*uid)).flatten();
            level = above.filter(|parent| ancestors.insert((*parent).clone())).collect();
            if level.is_empty() && !ancestors.contains(uid) {
                return Ok(ancestors);
            }
        }
        let message = format!("{uid} is in itself, or more than {MAX_VALUE_DEPTH} levels deep");
        Err(InvalidRequest::field(format!("entities[{index}].parents"), message))
    }
}
