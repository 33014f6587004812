//! What a decision needs to know of every policy that covers it, close together.
//!
//! Of 100,000 policies a decision reads some ten, each somewhere else. What it costs then is how often memory has to be waited for:
//! a policy with its texts, trees and scope is a dozen places, its brief is one. Plans and conjuncts, which policies share,
//! are numbered.

use std::sync::{Arc, LazyLock};

use super::cedar::{CompiledPolicy, Program, TimeUses};
use super::map::Map;
use super::plan::AccessPlan;

/// How many conjuncts a brief holds itself.
const OWN: usize = 4;

/// One policy's brief.
#[derive(Debug, Clone)]
pub struct Brief {
    plan: u32,
    time_uses: u32,
    /// Whether it reads the time.
    pub reads_now: bool,
    conjuncts: Conjuncts,
}

/// Which programs a policy's conjuncts are.
#[derive(Debug, Clone)]
enum Conjuncts {
    /// So many of these.
    Own(u8, [u32; OWN]),
    /// These of the list that all briefs share.
    Listed { from: u32, count: u32 },
    /// One of them has none: only Cedar's evaluator can tell.
    Unknown,
}

/// The briefs of a generation's policies, by place.
#[derive(Debug, Clone, Default)]
pub struct Briefs {
    briefs: Box<[Brief]>,
    plans: Box<[Arc<AccessPlan>]>,
    time_uses: Box<[Arc<TimeUses>]>,
    programs: Box<[Arc<Program>]>,
    listed: Box<[u32]>,
}

static EVERYTHING: LazyLock<AccessPlan> =
    LazyLock::new(|| AccessPlan { everything: true, ..AccessPlan::default() });

impl Briefs {
    /// The briefs of these.
    pub fn of(policies: &[Arc<CompiledPolicy>]) -> Self {
        let mut plans = Numbered::default();
        let mut time_uses = Numbered::default();
        let mut programs = Numbered::default();
        let mut listed = Vec::new();
        let briefs = policies.iter().map(|policy| Brief {
            plan: plans.number_of(&policy.plan),
            time_uses: time_uses.number_of(&policy.time_uses),
            reads_now: policy.reads_now,
            conjuncts: match policy.programs.as_deref() {
                Some(conjuncts) => {
                    let numbers: Vec<_> =
                        conjuncts.iter().map(|program| programs.number_of(program)).collect();
                    Conjuncts::of(&numbers, &mut listed)
                }
                None => Conjuncts::Unknown,
            },
        });
        Self {
            briefs: briefs.collect(),
            plans: plans.all.into_boxed_slice(),
            time_uses: time_uses.all.into_boxed_slice(),
            programs: programs.all.into_boxed_slice(),
            listed: listed.into_boxed_slice(),
        }
    }

    /// The brief of the policy at a place.
    pub fn get(&self, place: u32) -> Option<&Brief> {
        self.briefs.get(usize::try_from(place).ok()?)
    }

    /// The briefs of the policies at these places; none if one of them is not there.
    pub fn all(&self, places: &[u32]) -> Option<Vec<&Brief>> {
        let mut briefs = Vec::with_capacity(places.len());
        for place in places {
            briefs.push(self.get(*place)?);
        }
        Some(briefs)
    }

    /// Looks at the beginning of each of these policies' programs, one right after the other. Programs lie apart, and running one
    /// takes decisions that end all looking ahead: looked at first, they are waited for at once and not in turn.
    pub fn approach(&self, briefs: &[&Brief]) {
        let begins = |brief: &&Brief| self.conjuncts(brief)?.next()??.begins_with_and();
        std::hint::black_box(briefs.iter().filter(|brief| begins(brief) == Some(true)).count());
    }

    /// What a policy may look at. Of equal plans there is one.
    pub fn plan(&self, brief: &Brief) -> &AccessPlan {
        let numbered = usize::try_from(brief.plan).ok().and_then(|number| self.plans.get(number));
        // There is always one. If there were none, everything might have to be looked at, which denies.
        numbered.map_or(&*EVERYTHING, Arc::as_ref)
    }

    /// How a policy reads the time.
    pub fn time_uses(&self, brief: &Brief) -> Option<&TimeUses> {
        self.time_uses.get(usize::try_from(brief.time_uses).ok()?).map(Arc::as_ref)
    }

    /// A policy's conjuncts, in order; none if only Cedar's evaluator can tell.
    pub(super) fn conjuncts<'b>(
        &'b self,
        brief: &'b Brief,
    ) -> Option<impl Iterator<Item = Option<&'b Program>>> {
        let numbers = match &brief.conjuncts {
            Conjuncts::Own(count, own) => own.get(..usize::from(*count)),
            Conjuncts::Listed { from, count } => {
                let from = usize::try_from(*from).ok()?;
                self.listed.get(from..from.checked_add(usize::try_from(*count).ok()?)?)
            }
            Conjuncts::Unknown => None,
        };
        let program =
            |number: &u32| self.programs.get(usize::try_from(*number).ok()?).map(|program| &**program);
        Some(numbers?.iter().map(program))
    }
}

impl Conjuncts {
    fn of(numbers: &[u32], listed: &mut Vec<u32>) -> Self {
        if numbers.len() <= OWN {
            let mut own = [0; OWN];
            own.iter_mut().zip(numbers).for_each(|(own, number)| *own = *number);
            return u8::try_from(numbers.len()).map_or(Self::Unknown, |count| Self::Own(count, own));
        }
        let (Ok(from), Ok(count)) = (u32::try_from(listed.len()), u32::try_from(numbers.len())) else {
            return Self::Unknown;
        };
        listed.extend(numbers);
        Self::Listed { from, count }
    }
}

/// Things that policies share, numbered as they come up. They are interned: of equal ones there is one.
#[derive(Debug)]
struct Numbered<T> {
    numbers: Map<*const T, u32>,
    all: Vec<Arc<T>>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { numbers: Map::default(), all: Vec::new() }
    }
}

impl<T> Numbered<T> {
    fn number_of(&mut self, thing: &Arc<T>) -> u32 {
        let all = &mut self.all;
        *self.numbers.entry(Arc::as_ptr(thing)).or_insert_with(|| {
            all.push(Arc::clone(thing));
            // More than there can be: then nothing has that number, and Cedar's evaluator is asked.
            u32::try_from(all.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies(conditions: &[&str]) -> Vec<Arc<CompiledPolicy>> {
        let policy = |condition: &&str| {
            let text = format!("permit(principal, action, resource) when {{ {condition} }};");
            Arc::new(CompiledPolicy::new(&text.parse().unwrap(), ""))
        };
        conditions.iter().map(policy).collect()
    }

    #[test]
    fn a_brief_has_all_conjuncts_in_order_and_shares_equal_ones() {
        let names: Vec<_> = (0..9).map(|number| format!("context.a{number}")).collect();
        let few = names.get(..OWN).unwrap().join(" && ");
        let (many, turned) =
            (names.join(" && "), names.iter().rev().cloned().collect::<Vec<_>>().join(" && "));
        let policies = policies(&["true", &few, &many, &turned, &many]);
        let briefs = Briefs::of(&policies);
        for (place, policy) in (0..).zip(&policies) {
            let brief = briefs.get(place).unwrap();
            let conjuncts: Vec<_> = briefs.conjuncts(brief).unwrap().map(Option::unwrap).collect();
            let own: Vec<_> = policy.programs.as_deref().unwrap().iter().map(|program| &**program).collect();
            assert_eq!(conjuncts, own, "of policy {place}");
            assert!(std::ptr::eq(briefs.plan(brief), &*policy.plan));
            assert!(std::ptr::eq(briefs.time_uses(brief).unwrap(), &*policy.time_uses));
        }
        assert_eq!(briefs.programs.len(), 10, "nine conjuncts and a literal");
        assert!(briefs.get(5).is_none());
    }
}
