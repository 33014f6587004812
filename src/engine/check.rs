//! Deciding a question once more, by Cedar's own authorizer: every policy, no index, no slice, no cache.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use super::authorize::{self, Now};
use super::cedar::plain::{PlainAnswer, PlainAuthorizer};
use super::cedar::{CompiledPolicy, PolicyFailureKind};
use super::decision::{Decision, Effect, ReasonCode};
use super::delegation::Hop;
use super::delegation::chain::Chain;
use super::generation::Generation;
use super::parties::Parties;
use super::question::Question;
use super::request::AuthzRequest;
use super::slice;
use super::world::World;

/// What came of deciding once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// Both decide the same, by the same policies.
    Same,
    /// They do not: a defect, and what it is about.
    Different(String),
    /// Nothing to compare: the decision was not the policies', or hung on the size of a stack, or on too many entities.
    Uncompared,
}

/// One generation's policies, for deciding once more.
#[derive(Debug)]
pub struct Checker(PlainAuthorizer);

impl Checker {
    /// Takes a generation's policies; it holds them a second time. None if two have one id, which no generation has.
    pub fn of(generation: &Generation) -> Option<Self> {
        PlainAuthorizer::of(&generation.policies).map(Self)
    }

    /// Decides a question once more in the world that decided it, and compares.
    pub fn check(&self, world: &World, request: &AuthzRequest, now: Now, decision: &Decision) -> Checked {
        let Ok(mut question) = Question::of(world, request) else { return Checked::Uncompared };
        if decision.hops.is_empty() {
            let parties = Parties::of(world, &question);
            let alone = Hop::alone(&world.generation.catalog, &question.principal, parties.principal());
            let Ok(hop) = alone else { return Checked::Uncompared };
            return self.hop(world, &mut question, &hop, now, decision);
        }
        let shown = std::mem::take(&mut question.shown);
        match Chain::of(world, &shown, &question.principal) {
            Ok(Some(chain)) => self.chain(world, question, &chain, now, decision),
            _ => Checked::Uncompared,
        }
    }

    /// Every hop of a chain that the policies decided: the first that differs, or whether any could be compared.
    fn chain(
        &self,
        world: &World,
        mut question: Question,
        chain: &Chain<'_>,
        now: Now,
        decision: &Decision,
    ) -> Checked {
        let mut hop = chain.first(&world.generation.catalog);
        let mut outcome = Checked::Uncompared;
        for (place, (principal, decided)) in chain.principals().zip(&decision.hops).enumerate() {
            chain.go_to(place, &mut hop);
            question.principal.clone_from(principal);
            match self.hop(world, &mut question, &hop, now, &decided.decision) {
                Checked::Uncompared => {}
                Checked::Same => outcome = Checked::Same,
                different @ Checked::Different(_) => return different,
            }
        }
        outcome
    }

    fn hop(
        &self,
        world: &World,
        question: &mut Question,
        hop: &Hop,
        now: Now,
        decision: &Decision,
    ) -> Checked {
        if !is_comparable(decision) {
            return Checked::Uncompared;
        }
        match self.answer(world, question, hop, now) {
            Some(answer) => compare(decision, &answer),
            None => Checked::Uncompared,
        }
    }

    fn answer(&self, world: &World, question: &mut Question, hop: &Hop, now: Now) -> Option<PlainAnswer> {
        let parties = Parties::of(world, question);
        authorize::fill_chain(question, hop);
        authorize::fill_now(question, now).ok()?;
        let entities = slice::whole(world, question, &parties, self.0.literals())?;
        let (principal, action, resource) = (&question.principal, &question.action.uid, &question.resource);
        Some(self.0.answer(principal, action, resource, question.context.clone(), &entities))
    }
}

/// Whether the policies decided, and would again on any stack.
fn is_comparable(decision: &Decision) -> bool {
    use ReasonCode::{Forbidden, NoPermit, PolicyError};
    let by_policies = |code| matches!(code, Forbidden | NoPermit | PolicyError);
    decision.denial.as_ref().is_none_or(|denial| by_policies(denial.code))
        && decision.errors.iter().all(|error| error.failure.kind == PolicyFailureKind::Data)
}

fn compare(decision: &Decision, answer: &PlainAnswer) -> Checked {
    let failed: BTreeSet<_> = decision.errors.iter().map(|error| error.policy.id.clone()).collect();
    if failed != answer.failed {
        return Checked::Different(format!("policies that fail: {}", difference(&failed, &answer.failed)));
    }
    // Mandate denies for some failures, where Cedar leaves the policy out (C14): with the same failures, that is its own.
    let by_failure = decision.denial.as_ref().is_some_and(|denial| denial.code == ReasonCode::PolicyError);
    if by_failure && decision.effect == Effect::Deny {
        return if failed.is_empty() {
            Checked::Different("a denial for a policy that fails, and none does".to_owned())
        } else {
            Checked::Same
        };
    }
    let id = |policy: &std::sync::Arc<CompiledPolicy>| policy.id.clone();
    let determining: BTreeSet<_> = decision.determining.iter().map(id).collect();
    if determining != answer.determining {
        let difference = difference(&determining, &answer.determining);
        return Checked::Different(format!("determining policies: {difference}"));
    }
    match (decision.effect == Effect::Allow, answer.allows) {
        (ours, cedars) if ours == cedars => Checked::Same,
        (ours, _) => Checked::Different(
            if ours { "allowed, and Cedar denies" } else { "denied, and Cedar allows" }.to_owned(),
        ),
    }
}

fn difference(ours: &BTreeSet<SmolStr>, cedars: &BTreeSet<SmolStr>) -> String {
    let some =
        |ids: Vec<&SmolStr>| ids.into_iter().take(5).map(SmolStr::as_str).collect::<Vec<_>>().join(", ");
    format!(
        "only here [{}], only by Cedar [{}]",
        some(ours.difference(cedars).collect()),
        some(cedars.difference(ours).collect())
    )
}
