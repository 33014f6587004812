//! Whether a grant covers what is asked (D5). Attenuation is checked here, at use: every grant of a chain must cover the
//! request by itself, so one that is wider than its parent gains nothing.

use std::sync::Arc;

use cedar_policy::EntityUid;

use super::grant::{Covers, Named};
use crate::engine::cedar::BuiltEntity;
use crate::engine::parties::Parties;
use crate::engine::prepared::Prepared;
use crate::engine::question::Question;
use crate::engine::world::World;

/// What a request reaches for: its action, its resource and the data it touches, each with everything it is in. Looked up
/// once, and held to every grant.
#[derive(Debug)]
pub struct Reach<'q> {
    question: &'q Question,
    resource: Option<&'q BuiltEntity>,
    /// Of each that the call touches, in order.
    touched: Vec<Option<Arc<Prepared>>>,
}

impl<'q> Reach<'q> {
    /// What a question reaches for.
    pub fn of(world: &World, question: &'q Question, parties: &'q Parties) -> Self {
        let touched = question.touched.iter().map(|uid| world.prepared(uid)).collect();
        Self { question, resource: parties.resource(), touched }
    }

    /// The first thing that is not covered.
    pub fn beyond(&self, covers: &Covers<'_>) -> Option<&EntityUid> {
        let Question { action, resource, touched, .. } = self.question;
        let actions = covers.actions();
        if !actions.has(&action.uid) && !action.ancestors.iter().any(|uid| actions.has(uid)) {
            return Some(&action.uid);
        }
        if !covers.resources().any(|named| self.is_in(resource, self.resource, named)) {
            return Some(resource);
        }
        let data = covers.data();
        let mut touched = touched.iter().zip(&self.touched);
        let beyond = touched.find(|(uid, prepared)| {
            let built = prepared.as_ref().map(|prepared| &prepared.built);
            !self.is_in(uid, built, data)
        });
        beyond.map(|(uid, _)| uid)
    }

    /// Whether an entity, or anything it is in, is named. What the request itself supplies is not: no grant could have meant
    /// it.
    fn is_in(&self, uid: &EntityUid, built: Option<&BuiltEntity>, named: Named<'_>) -> bool {
        let mut above = built.into_iter().flat_map(BuiltEntity::ancestors);
        !self.question.supplied.contains(uid) && (named.has(uid) || above.any(|uid| named.has(uid)))
    }
}
