//! What of a request's context its policies may read, for each kind of request (K1): by action, and types of principal and
//! resource.
//!
//! A decision depends on nothing else of the context. Requests that differ elsewhere, in a trace id or a prompt, are one
//! question to the policies.

use cedar_policy::{EntityTypeName, EntityUid};

use super::catalog::Catalog;
use super::cedar::{CompiledPolicy, Reach};
use super::generation::Strictness;
use super::map::{Map, Set};
use super::plan::ContextPlan;
use std::sync::Arc;

/// The plans of a generation.
#[derive(Debug, Clone, Default)]
pub struct KeyPlans(Map<EntityUid, Box<[KeyPlan]>>);

/// What may be read of the context of one kind of request.
#[derive(Debug, Clone)]
pub struct KeyPlan {
    principal: EntityTypeName,
    resource: EntityTypeName,
    /// Names the kind: no other of the generation has it.
    pub number: u32,
    /// What may be read.
    pub context: ContextPlan,
}

impl KeyPlans {
    /// The plans for everything that the schema's actions apply to.
    pub fn of(catalog: &Catalog, policies: &[Arc<CompiledPolicy>]) -> Self {
        let readers = Readers::of(policies);
        let mut number = 0_u32;
        let plans = catalog.actions().map(|action| {
            let readers = readers.of_action(&action.uid, action.ancestors.iter());
            let kinds = action.principals.iter().flat_map(|principal| {
                action.resources.iter().map(move |resource| (principal.clone(), resource.clone()))
            });
            let plans = kinds.map(|(principal, resource)| {
                number += 1;
                let mut context = read(&readers, &principal, &resource);
                // The time is Mandate's to tell, and remembered decisions say at which instants they hold (K7).
                if catalog.strictness == Strictness::Full && action.filled.attributes.contains_key("now") {
                    context = context.without("now");
                }
                KeyPlan { principal, resource, number, context }
            });
            (action.uid.clone(), plans.collect())
        });
        Self(plans.collect())
    }

    /// The plan of a kind of request; none for one that the schema does not know.
    pub fn get(
        &self,
        action: &EntityUid,
        principal: &EntityTypeName,
        resource: &EntityTypeName,
    ) -> Option<&KeyPlan> {
        let plans = self.0.get(action)?;
        plans.iter().find(|plan| plan.resource == *resource && plan.principal == *principal)
    }
}

/// Those of the policies that read the context: of many alike one.
#[derive(Debug, Default)]
struct Readers<'p> {
    of_any: Vec<Reader<'p>>,
    by_action: Map<&'p EntityUid, Vec<Reader<'p>>>,
}

type Reader<'p> = (Reach<'p>, &'p ContextPlan);

impl<'p> Readers<'p> {
    fn of(policies: &'p [Arc<CompiledPolicy>]) -> Self {
        let mut readers = Self::default();
        let mut known: Set<(*const ContextPlan, Reach<'p>)> = Set::default();
        for policy in policies.iter().filter(|policy| !policy.context.is_idle()) {
            let (reach, plan) = (policy.reach(), &*policy.context);
            // Of equal plans there is one copy.
            if known.insert((Arc::as_ptr(&policy.context), reach)) {
                match reach.actions() {
                    None => readers.of_any.push((reach, plan)),
                    Some(actions) => actions
                        .for_each(|action| readers.by_action.entry(action).or_default().push((reach, plan))),
                }
            }
        }
        readers
    }

    /// Those that may cover an action, which is in these.
    fn of_action<'a>(
        &self,
        action: &'a EntityUid,
        above: impl Iterator<Item = &'a EntityUid>,
    ) -> Vec<Reader<'p>> {
        let named = above.chain([action]).filter_map(|uid| self.by_action.get(uid)).flatten();
        self.of_any.iter().chain(named).copied().collect()
    }
}

fn read(readers: &[Reader<'_>], principal: &EntityTypeName, resource: &EntityTypeName) -> ContextPlan {
    let covering = readers.iter().filter(|(reach, _)| reach.allows(principal, resource));
    covering.fold(ContextPlan::default(), |read, (_, plan)| read.and(plan))
}
