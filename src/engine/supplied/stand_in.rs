//! The principal that a verified token stands in for, where none is stored (D8).

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::EntityUid;

use super::{Supplied, convert};
use crate::engine::cedar::{BuiltEntity, Members, types};
use crate::engine::request::InvalidRequest;
use crate::engine::subject::Subject;
use crate::engine::world::World;

/// What a refusal says is wrong: the token's issuer is not the caller's to correct, but its credentials are the caller's.
const FIELD: &str = "credentials";

impl Supplied {
    /// Whether a token stands in for that principal.
    pub fn stands_in(&self, uid: &EntityUid) -> bool {
        self.principal.as_ref() == Some(uid)
    }

    /// Adds the principal that a token brings, if it brings one and none of that name is stored: a token never alters
    /// what is stored.
    ///
    /// # Errors
    /// [`InvalidRequest`] for a principal whose type the schema does not mark `@token_scoped`, that the token is not of,
    /// or that does not fit its type.
    pub fn stand_in(&mut self, world: &World, subject: &Subject) -> Result<(), InvalidRequest> {
        let Some(entity) = &subject.principal else { return Ok(()) };
        let catalog = &world.generation.catalog;
        let uid = catalog.uid(&entity.uid, FIELD)?;
        if world.stores(&uid) {
            return Ok(());
        }
        let refuse = |message: String| Err(InvalidRequest::field(FIELD, message));
        if !catalog.is_token_scoped(uid.type_name()) {
            return refuse(format!("would bring {uid}, whose type the schema does not mark `@token_scoped`"));
        }
        if entity.uid != subject.root && subject.actors.first() != Some(&entity.uid) {
            return refuse(format!("would bring {uid}, whom the token is not of"));
        }
        let mut parents = HashSet::new();
        for parent in &entity.parents {
            let parent = catalog.uid(parent, FIELD)?;
            if !types::may_be_in(&catalog.schema, uid.type_name(), parent.type_name()) {
                let (child, parent) = (uid.type_name(), parent.type_name());
                return refuse(format!(
                    "would bring a {child} in a {parent}, which the schema lets be in none"
                ));
            }
            parents.insert(parent);
        }
        let (attributes, tags) = convert(catalog, entity, &uid, FIELD, &mut self.references)?;
        let above = parents.iter().flat_map(|parent| world.entities.ancestors(parent)).chain(&parents);
        let above: HashSet<_> = above.collect();
        let members = Members::new(parents.iter().cloned(), attributes.into_members(), tags.into_members());
        let built = BuiltEntity::new(&uid, Arc::new(members), above);
        // A group that is not stored is in no other: a forbid on those would miss.
        self.references.extend(parents);
        self.built.insert(uid.clone(), built);
        self.principal = Some(uid);
        Ok(())
    }
}
