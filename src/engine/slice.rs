//! The few entities that one decision looks at, taken from the store by the access plans of its candidates.
//!
//! A slice holds every entity that evaluation could look at, so that evaluating over it comes out as over the whole store.
//! It is whole or there is none: what would be too much, or should be there and is not, denies (K9, C3).

use std::collections::HashMap;

use cedar_policy::EntityUid;
use foldhash::fast::RandomState;

use super::cedar::{BuiltEntity, CedarValue, Slice};
use super::decision::Denial;
use super::guard::MAX_SLICE;
use super::parties::Parties;
use super::plan::{AccessPlan, Step};
use super::presence;
use super::question::Question;
use super::world::World;

/// Takes what may be looked at along `plans`.
///
/// # Errors
/// The [`Denial`] `slice_limit` or `unknown_entity`.
pub fn take<'p>(
    world: &World,
    question: &Question,
    parties: &Parties,
    plans: impl IntoIterator<Item = &'p AccessPlan>,
) -> Result<Slice, Denial> {
    let mut looking = Looking { world, question, parties, found: HashMap::default() };
    let mut taken: Vec<&AccessPlan> = Vec::new();
    for plan in plans {
        // Policies written alike look alike.
        if taken.iter().rev().take(NEIGHBOURS).all(|taken| *taken != plan) {
            looking.along(plan)?;
            taken.push(plan);
        }
    }
    looking.slice()
}

/// How many plans before one it is compared with.
const NEIGHBOURS: usize = 8;

/// Takes everything that any reference leads to, from the parties, what the request refers to and `named`: without plans, to
/// hold them to. None if that is too much.
pub fn whole<'n>(
    world: &World,
    question: &Question,
    parties: &Parties,
    named: impl Iterator<Item = &'n EntityUid>,
) -> Option<Slice> {
    let looking = Looking { world, question, parties, found: HashMap::default() };
    let mut pending: Vec<EntityUid> = named.cloned().collect();
    pending.extend([&question.principal, &question.action.uid, &question.resource].map(EntityUid::clone));
    pending.extend(question.context.references());
    let mut found: HashMap<EntityUid, BuiltEntity, RandomState> = HashMap::default();
    while let Some(uid) = pending.pop() {
        if found.contains_key(&uid) {
            continue;
        }
        let Some(entity) = looking.find(&uid) else { continue };
        if found.len() == MAX_WHOLE {
            return None;
        }
        pending.extend(entity.references().into_iter().map(|held| held.to));
        found.insert(uid, entity);
    }
    Slice::of(found.into_values())
}

/// Most entities that are taken without plans.
const MAX_WHOLE: usize = 20_000;

struct Looking<'a> {
    world: &'a World,
    question: &'a Question,
    parties: &'a Parties,
    found: HashMap<EntityUid, BuiltEntity, RandomState>,
}

/// Who says that an entity should be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// A policy, which somebody was warned of when it was loaded; or the request, of which that was checked.
    ByPolicyOrRequest,
    /// An attribute or a tag of an entity.
    ByEntity,
}

impl Looking<'_> {
    fn along(&mut self, plan: &AccessPlan) -> Result<(), Denial> {
        let AccessPlan { principal, action, resource, context, literals, everything } = plan;
        if *everything {
            return Err(presence::slice_limit());
        }
        let question = self.question;
        let roots = [
            (&question.principal, principal),
            (&question.action.uid, action),
            (&question.resource, resource),
        ];
        let literals = literals.iter().map(|(uid, step)| (uid, step));
        for (uid, step) in roots.into_iter().chain(literals) {
            self.entity(uid, step, Named::ByPolicyOrRequest)?;
        }
        let members = context.members.iter();
        let members = members.filter_map(|(name, next)| Some((question.context.get(name)?, next)));
        self.members(members, Named::ByPolicyOrRequest)
    }

    /// Looks at an entity and behind it, as far as the step says.
    fn entity(&mut self, uid: &EntityUid, step: &Step, named: Named) -> Result<(), Denial> {
        if !step.looks {
            return Ok(());
        }
        let Some(entity) = self.look(uid, named)? else { return Ok(()) };
        for (name, next) in &step.members {
            if let Some(value) = entity.attribute(name) {
                self.value(&value, next, Named::ByEntity)?;
            }
        }
        if let Some(next) = &step.tags {
            entity.tags().try_for_each(|value| self.value(&value, next, Named::ByEntity))?;
        }
        Ok(())
    }

    /// Looks behind a value: the entity it refers to, or the members of the record it is.
    fn value(&mut self, value: &CedarValue, step: &Step, named: Named) -> Result<(), Denial> {
        if let Some(uid) = value.as_entity() {
            return self.entity(&uid, step, named);
        }
        let members = step.members.iter().filter_map(|(name, next)| Some((value.member(name)?, next)));
        self.members(members, named)
    }

    fn members<'s>(
        &mut self,
        members: impl IntoIterator<Item = (CedarValue, &'s Step)>,
        named: Named,
    ) -> Result<(), Denial> {
        members.into_iter().try_for_each(|(value, next)| self.value(&value, next, named))
    }

    fn look(&mut self, uid: &EntityUid, named: Named) -> Result<Option<BuiltEntity>, Denial> {
        if let Some(entity) = self.found.get(uid) {
            return Ok(Some(entity.clone()));
        }
        let Some(entity) = self.find(uid) else {
            let may_lack = named == Named::ByPolicyOrRequest || self.world.may_lack(uid);
            return if may_lack { Ok(None) } else { Err(presence::leads_nowhere()) };
        };
        if self.found.len() == MAX_SLICE {
            return Err(presence::slice_limit());
        }
        self.found.insert(uid.clone(), entity.clone());
        Ok(Some(entity))
    }

    fn find(&self, uid: &EntityUid) -> Option<BuiltEntity> {
        let known = self.parties.find(uid, self.question);
        known.or_else(|| self.question.supplied.get(uid).cloned()).or_else(|| self.world.built(uid))
    }

    fn slice(self) -> Result<Slice, Denial> {
        let supplied = &self.question.supplied;
        // What a stored entity refers to is not the caller's to say.
        let refers = |entity: &BuiltEntity| {
            !supplied.contains(&entity.uid())
                && entity.references().iter().any(|held| supplied.contains(&held.to))
        };
        if !supplied.is_empty() && self.found.values().any(refers) {
            return Err(presence::leads_nowhere());
        }
        Slice::of(self.found.into_values()).ok_or_else(presence::slice_limit)
    }
}
