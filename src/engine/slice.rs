//! The few entities that one decision looks at, taken from the store by the access plans of its candidates.
//!
//! They are every entity that evaluation could look at, so that evaluating over them comes out as over the whole store. They are
//! looked at before anything is evaluated: what would be too much, or should be there and is not, denies (K9, C3). Cedar's own
//! form of them is made only if its evaluator has to be asked.

use std::borrow::Cow;
use std::collections::HashMap;

use cedar_policy::EntityUid;
use foldhash::fast::RandomState;

use super::cedar::{BuiltEntity, CedarValue, Look, Members, Sight, Slice};
use super::decision::Denial;
use super::guard::MAX_SLICE;
use super::parties::Parties;
use super::plan::{AccessPlan, Step};
use super::presence;
use super::question::Question;
use super::world::World;

/// Looks at what may be looked at along `plans`.
///
/// # Errors
/// The [`Denial`] `slice_limit` or `unknown_entity`.
pub fn look<'w>(
    world: &'w World,
    question: &'w Question,
    parties: &'w Parties,
    plans: impl IntoIterator<Item = &'w AccessPlan>,
) -> Result<Sight<'w>, Denial> {
    let mut looking = Looking { world, question, parties, sight: Sight::default() };
    let mut taken: Vec<&AccessPlan> = Vec::with_capacity(NEIGHBOURS);
    for plan in plans {
        // Of equal plans there is one copy.
        if taken.iter().rev().take(NEIGHBOURS).all(|taken| !std::ptr::eq(*taken, plan)) {
            looking.along(plan)?;
            taken.push(plan);
        }
    }
    looking.finish()
}

/// How many plans before one it is compared with.
const NEIGHBOURS: usize = 16;

/// What was looked at, as Cedar's evaluator takes it. None if that cannot be, which is a defect.
pub fn slice(world: &World, sight: &Sight<'_>) -> Option<Slice> {
    let built = sight.iter().map(|(uid, look)| match &look.built {
        Some(built) => Some(BuiltEntity::clone(built)),
        None => world.built(uid),
    });
    Slice::of(built.collect::<Option<Vec<_>>>()?)
}

/// Takes everything that any reference leads to, from the parties, what the request refers to and `named`: without plans, to
/// hold them to. None if that is too much.
pub fn whole<'n>(
    world: &World,
    question: &Question,
    parties: &Parties,
    named: impl Iterator<Item = &'n EntityUid>,
) -> Option<Slice> {
    let mut pending: Vec<EntityUid> = named.cloned().collect();
    pending.extend([&question.principal, &question.action.uid, &question.resource].map(EntityUid::clone));
    pending.extend(question.context.references());
    let mut found: HashMap<EntityUid, BuiltEntity, RandomState> = HashMap::default();
    while let Some(uid) = pending.pop() {
        if found.contains_key(&uid) {
            continue;
        }
        let Some(entity) = find(world, question, parties, &uid) else { continue };
        if found.len() == MAX_WHOLE {
            return None;
        }
        pending.extend(entity.members().references().into_iter().map(|held| held.to));
        found.insert(uid, entity);
    }
    Slice::of(found.into_values())
}

/// Most entities that are taken without plans.
const MAX_WHOLE: usize = 20_000;

fn find(world: &World, question: &Question, parties: &Parties, uid: &EntityUid) -> Option<BuiltEntity> {
    let known = parties.find(uid, question).or_else(|| question.supplied.get(uid));
    known.cloned().or_else(|| world.built(uid))
}

struct Looking<'w> {
    world: &'w World,
    question: &'w Question,
    parties: &'w Parties,
    sight: Sight<'w>,
}

/// Who says that an entity should be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// A policy, which somebody was warned of when it was loaded; or the request, of which that was checked.
    ByPolicyOrRequest,
    /// An attribute or a tag of an entity.
    ByEntity,
}

impl<'w> Looking<'w> {
    fn along(&mut self, plan: &'w AccessPlan) -> Result<(), Denial> {
        let AccessPlan { principal, action, resource, context, literals, everything } = plan;
        if *everything {
            return Err(presence::slice_limit());
        }
        let question = self.question;
        self.entity(&question.principal, principal, Named::ByPolicyOrRequest)?;
        self.entity(&question.action.uid, action, Named::ByPolicyOrRequest)?;
        self.entity(&question.resource, resource, Named::ByPolicyOrRequest)?;
        for (uid, step) in literals {
            self.entity(uid, step, Named::ByPolicyOrRequest)?;
        }
        for (name, next) in &context.members {
            if let Some(value) = question.context.value(name) {
                self.value(value, next, Named::ByPolicyOrRequest)?;
            }
        }
        Ok(())
    }

    /// Looks at an entity and behind it, as far as the step says.
    fn entity(&mut self, uid: &'w EntityUid, step: &Step, named: Named) -> Result<(), Denial> {
        if !step.looks {
            return Ok(());
        }
        let Some(look) = self.look(uid, step.above, named)? else { return Ok(()) };
        for (name, next) in &step.members {
            if let Some(value) = look.attribute(name) {
                self.value(value, next, Named::ByEntity)?;
            }
        }
        if let Some(next) = &step.tags {
            look.tags().iter().try_for_each(|(_, value)| self.value(value, next, Named::ByEntity))?;
        }
        Ok(())
    }

    /// Looks behind a value: the entity it refers to, or the members of the record it is.
    fn value(&mut self, value: &'w CedarValue, step: &Step, named: Named) -> Result<(), Denial> {
        if let Some(uid) = value.entity_ref() {
            return self.entity(uid, step, named);
        }
        for (name, next) in &step.members {
            if let Some(value) = value.member(name) {
                self.value(value, next, named)?;
            }
        }
        Ok(())
    }

    fn look(&mut self, uid: &'w EntityUid, above: bool, named: Named) -> Result<Option<&'w Members>, Denial> {
        match self.sight.find(uid) {
            Some(Some(look)) if look.built.is_some() || !above => return Ok(Some(look.members)),
            Some(None) if named == Named::ByPolicyOrRequest => return Ok(None),
            _ => {}
        }
        let found = self.find(uid, above);
        if found.is_none() && named == Named::ByEntity && !self.world.may_lack(uid) {
            return Err(presence::leads_nowhere());
        }
        let members = found.as_ref().map(|look| look.members);
        self.sight.put(uid, found);
        if self.sight.found() > MAX_SLICE {
            return Err(presence::slice_limit());
        }
        Ok(members)
    }

    fn find(&self, uid: &'w EntityUid, above: bool) -> Option<Look<'w>> {
        let known = self.parties.find(uid, self.question).or_else(|| self.question.supplied.get(uid));
        if let Some(built) = known {
            return Some(Look::at(built));
        }
        let Some(stored) = self.world.entities.get(uid) else {
            return self.world.generation.actions.get(uid).map(Look::at);
        };
        let built = above.then(|| self.world.built(uid)).flatten().map(Cow::Owned);
        Some(Look { members: stored.members(), built })
    }

    fn finish(self) -> Result<Sight<'w>, Denial> {
        let supplied = &self.question.supplied;
        // What a stored entity refers to is not the caller's to say.
        let refers = |(uid, look): (&EntityUid, &Look<'_>)| {
            !supplied.contains(uid)
                && look.members.references().iter().any(|held| supplied.contains(&held.to))
        };
        if !supplied.is_empty() && self.sight.iter().any(refers) {
            return Err(presence::leads_nowhere());
        }
        Ok(self.sight)
    }
}
