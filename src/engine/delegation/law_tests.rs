//! The laws of delegation (D12), on generated chains: held by the engine, and broken by each planted defect.
//!
//! What a chain should come to is told by a model that shares nothing with the engine but Cedar: grants as the test wrote
//! them, and for every hop Cedar's own authorizer over all policies.

use std::mem::discriminant;
use std::str::FromStr as _;
use std::sync::Arc;

use cedar_policy::{Policy, PolicyId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::mutants::{self, Mutant};
use super::scene_for_tests::{HOUR, NOW, Scene, WORLD, Written, uid};
use super::{Hop, Role};
use crate::engine::authorize::{Now, authorize, fill_now};
use crate::engine::cedar::plain::PlainAuthorizer;
use crate::engine::cedar::{CedarValue, CompiledPolicy};
use crate::engine::check::{Checked, Checker};
use crate::engine::convert::{Converter, Form};
use crate::engine::decision::{Decision, Effect};
use crate::engine::parties::Parties;
use crate::engine::question::Question;
use crate::engine::slice;
use crate::engine::soak_for_tests;
use crate::engine::world::World;

/// Policies that do not ask about the chain, and in how many of a hundred sets each is.
const PLAIN: [(&str, u32); 9] = [
    (r#"permit (principal, action, resource);"#, 65),
    (r#"permit (principal is Mandate::User, action, resource);"#, 60),
    (r#"permit (principal is Mandate::Agent, action, resource in Mandate::Toolset::"all");"#, 50),
    (r#"permit (principal == Mandate::Agent::"a2", action, resource);"#, 30),
    (r#"permit (principal, action, resource == Mandate::Tool::"t1");"#, 30),
    (r#"forbid (principal == Mandate::Agent::"a1", action, resource in Mandate::Toolset::"other");"#, 15),
    (r#"forbid (principal == Mandate::Agent::"a3", action, resource == Mandate::Tool::"t2");"#, 15),
    (r#"forbid (principal == Mandate::User::"eve", action, resource);"#, 20),
    (r#"forbid (principal, action, resource) when { context.touches.contains(Mandate::Data::"d9") };"#, 15),
];

/// Policies that do.
const READING: [(&str, u32); 7] = [
    (
        r#"permit (principal, action, resource) when { context.delegation.role == Mandate::Role::"actor" };"#,
        25,
    ),
    (r#"permit (principal, action, resource) when { context.delegation.length <= 2 };"#, 25),
    (
        r#"permit (principal, action, resource) when { context.delegation.role == Mandate::Role::"self" };"#,
        15,
    ),
    (
        r#"forbid (principal is Mandate::User, action, resource in Mandate::Toolset::"other")
           when { context.delegation.role == Mandate::Role::"delegator" };"#,
        30,
    ),
    (
        r#"forbid (principal == Mandate::Agent::"a2", action, resource)
           when { context.delegation.role == Mandate::Role::"delegator" };"#,
        20,
    ),
    (r#"forbid (principal, action, resource) when { context.delegation.hop > 2 };"#, 10),
    (r#"forbid (principal is Mandate::Agent, action, resource) unless { context.delegation has user };"#, 25),
];

const AGENTS: [&str; 4] = ["a1", "a2", "a3", "a4"];
const NAMES: [&str; 4] = ["g1", "g2", "g3", "g4"];

/// A world, a chain in it, and a request.
#[derive(Debug, Clone)]
struct Case {
    policies: Vec<&'static str>,
    scene: Scene,
}

/// Numbers that everything is made from.
struct Dice(std::vec::IntoIter<u32>);

impl Dice {
    fn below(&mut self, limit: u32) -> u32 {
        self.0.next().unwrap_or(0) % limit
    }

    fn hits(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(u32::try_from(all.len()).unwrap()) as usize]
    }
}

fn case(dice: &mut Dice, reading: bool) -> Case {
    let pool = PLAIN.iter().chain(READING.iter().filter(|_| reading));
    let policies = pool.filter(|(_, percent)| dice.hits(*percent)).map(|(text, _)| *text).collect();
    Case { policies, scene: scene(dice) }
}

fn scene(dice: &mut Dice) -> Scene {
    let length = 1 + dice.below(4) as usize;
    let root =
        dice.one_of(&[("User", "ana"), ("User", "ana"), ("User", "eve"), ("Agent", "free"), ("Agent", "a5")]);
    let grants: Vec<_> = (0..length)
        .map(|place| {
            let from = place.checked_sub(1).map_or(root, |before| ("Agent", AGENTS[before]));
            let parent = place.checked_sub(1).map(|before| NAMES[before]);
            grant(dice, Written::new(NAMES[place], from, AGENTS[place], parent))
        })
        .collect();
    let revoked = if dice.hits(12) { vec![NAMES[dice.below(4) as usize]] } else { Vec::new() };
    Scene {
        grants,
        revoked,
        principal: ("Agent", if dice.hits(3) { "a6" } else { AGENTS[length - 1] }),
        tool: dice.one_of(&["t1", "t1", "t1", "t1", "t2", "t3"]),
        touches: dice.one_of(&[&[][..], &[], &["d1"], &["d1"], &["d0"], &["d1", "d9"]]).to_vec(),
        shown: vec![("Delegation", NAMES[length - 1])],
        ..Scene::allowed()
    }
}

/// A grant with something of it changed, now and then.
fn grant(dice: &mut Dice, mut grant: Written) -> Written {
    grant.toolsets = dice.one_of(&[&["all", "other"][..], &["all", "other"], &["all"], &["some"]]).to_vec();
    grant.data = dice.one_of(&[&["d0", "d9"][..], &["d0", "d9"], &["d0"], &["d1"]]).to_vec();
    match dice.below(60) {
        0 => grant.expires = NOW,
        1 => grant.not_before = NOW + 1,
        2 => grant.max_depth = i64::from(dice.below(3)),
        3 => grant.actions = vec!["list_tools"],
        4 => grant.from = vec![("Agent", "a6")],
        _ => {}
    }
    grant
}

fn cases(count: usize, reading: bool) -> impl Iterator<Item = Case> {
    let mut runner = soak_for_tests::runner(CASES);
    let numbers = vec(any::<u32>(), 80);
    (0..count).map(move |_| {
        let numbers = numbers.new_tree(&mut runner).unwrap().current();
        case(&mut Dice(numbers.into_iter()), reading)
    })
}

const CASES: u32 = if cfg!(debug_assertions) { 400 } else { 2_000 };

/// How many chains a law is held to.
fn count() -> usize {
    soak_for_tests::cases(CASES) as usize
}

impl Case {
    fn world(&self) -> World {
        let compiled = self.policies.iter().enumerate().map(|(place, text)| {
            let id = PolicyId::from_str(&format!("policy{place}")).unwrap();
            Arc::new(CompiledPolicy::new(&Policy::parse(Some(id), *text).unwrap(), ""))
        });
        let stored = self.scene.world();
        let generation = WORLD.generation.with_policies(compiled.collect());
        let revocations = stored.revocations.clone();
        World::new(Arc::new(generation), stored.entities).with_revocations(revocations)
    }

    fn is_allowed(&self) -> bool {
        let decision = authorize(&self.world(), &self.scene.request(), Now(self.scene.now)).unwrap();
        decision.effect == Effect::Allow
    }

    /// What the model says.
    fn should_be_allowed(&self) -> bool {
        let Some(chain) = self.scene.chain() else { return false };
        let grants_hold = (0..chain.len()).all(|place| self.scene.holds(&chain, place));
        grants_hold && self.hops_allow(&chain)
    }

    /// Every hop, by Cedar's authorizer.
    fn hops_allow(&self, chain: &[&Written]) -> bool {
        let world = self.world();
        let plain = PlainAuthorizer::of(&world.generation.policies).unwrap();
        let Some(root) = chain.first().and_then(|grant| grant.from.first()) else { return false };
        let agents = chain.iter().map(|grant| uid("Agent", grant.to));
        let principals: Vec<_> = [uid(root.0, root.1)].into_iter().chain(agents).collect();
        principals.iter().enumerate().all(|(place, principal)| {
            let mut question = Question::of(&world, &self.scene.request()).unwrap();
            question.principal.clone_from(principal);
            let declared = question.action.delegation.clone().expect("the action declares its delegation");
            let agents = principals.iter().filter(|uid| uid.type_name().basename() == "Agent");
            let hop = Hop {
                role: if place == chain.len() { Role::Actor } else { Role::Delegator },
                hop: i64::try_from(place).unwrap(),
                length: i64::try_from(chain.len()).unwrap(),
                user: (root.0 == "User").then(|| principals[0].clone()),
                agents: agents.cloned().collect(),
                grants: chain.iter().map(|grant| grant.uid()).collect(),
                purposes: chain.iter().map(|grant| grant.id.as_str().into()).collect(),
            };
            let mut converter = Converter::new(&world.generation.catalog, Form::Typed, "context.delegation");
            let delegation = converter.record(&hop.written(&declared), &declared).unwrap();
            question.context.insert("delegation", CedarValue::record(delegation));
            fill_now(&mut question, Now(self.scene.now)).unwrap();
            let parties = Parties::of(&world, &question);
            let entities = slice::whole(&world, &question, &parties, plain.literals()).unwrap();
            let (action, resource) = (&question.action.uid, &question.resource);
            let answer = plain.answer(principal, action, resource, question.context.clone(), &entities);
            assert!(answer.failed.is_empty(), "no policy of the pool fails");
            answer.allows
        })
    }
}

/// The model of grants.
impl Scene {
    /// The grants from the root to the leaf that is shown; none if they lead to no root, or the actor is not the leaf's.
    fn chain(&self) -> Option<Vec<&Written>> {
        let mut chain = Vec::new();
        let mut next = self.shown.last().map(|shown| shown.1.to_owned());
        while let Some(id) = next.take() {
            let grant = self.grants.iter().find(|grant| grant.id == id)?;
            chain.insert(0, grant);
            next.clone_from(&grant.parent);
        }
        let root = chain.first()?.from.first()?;
        let begins = root.0 == "User" || root.1 == "free";
        (begins && chain.last()?.to == self.principal.1).then_some(chain)
    }

    fn holds(&self, chain: &[&Written], place: usize) -> bool {
        let grant = chain[place];
        let given = place == 0 || grant.from == [("Agent", chain[place - 1].to)];
        let in_time = grant.not_before <= self.now && self.now < grant.expires;
        let revoked = self.revoked.contains(&grant.id.as_str());
        let deep = i64::try_from(chain.len() - 1 - place).unwrap() <= grant.max_depth;
        // What everything is in, as the scene's world stores it.
        let toolsets: &[&str] = match self.tool {
            "t1" => &["some", "all"],
            "t2" => &["all"],
            _ => &["other"],
        };
        let tool =
            grant.toolsets.iter().any(|set| toolsets.contains(set)) || grant.tools.contains(&self.tool);
        let data = self
            .touches
            .iter()
            .all(|touched| grant.data.contains(touched) || (*touched == "d1" && grant.data.contains(&"d0")));
        given && in_time && !revoked && deep && tool && data && grant.actions.contains(&"call_tool")
    }
}

/// The first case in which the engine allows what the model does not, or the other way round.
fn violation(count: usize) -> Option<Case> {
    cases(count, true).find(|case| case.is_allowed() != case.should_be_allowed())
}

#[test]
fn a_chain_is_allowed_if_and_only_if_every_grant_holds_and_every_hop_is() {
    let count = count();
    let allowed = cases(count, true).filter(Case::is_allowed).count();
    println!("{allowed} of {count} are allowed");
    assert!(allowed * 100 >= count * 20, "only {allowed} of {count} are allowed");
    let violation = violation(count);
    assert!(violation.is_none(), "{violation:?}");
}

#[test]
fn every_planted_defect_breaks_the_law() {
    for mutant in
        [Mutant::GrantNotChecked, Mutant::RoleIgnored, Mutant::RevokedAncestorIgnored, Mutant::ChainDropped]
    {
        let allowed = |case: &Case| case.is_allowed() && !case.should_be_allowed();
        let noticed = mutants::with(mutant, || cases(count(), true).find(allowed));
        assert!(noticed.is_some(), "{mutant:?} allows nothing that the law forbids");
    }
}

/// Takes something away from one grant.
fn take_away(dice: &mut Dice, scene: &mut Scene) {
    let place = dice.below(u32::try_from(scene.grants.len()).unwrap()) as usize;
    match dice.below(7) {
        0 => scene.revoked.push(NAMES[place]),
        1 => scene.grants[place].expires = NOW - HOUR / 2,
        2 => drop(scene.grants.remove(place)),
        3 => drop(scene.grants[place].toolsets.pop()),
        4 => drop(scene.grants[place].data.pop()),
        5 => scene.grants[place].max_depth -= 9,
        _ => scene.grants[place].actions.clear(),
    }
}

#[test]
fn taking_away_from_a_grant_never_gains() {
    let (mut lost, count) = (0, count());
    for (number, case) in cases(count, true).enumerate() {
        let mut less = case.clone();
        let number = u32::try_from(number).unwrap();
        take_away(&mut Dice(vec![number, number / 7, number / 3].into_iter()), &mut less.scene);
        let (before, after) = (case.is_allowed(), less.is_allowed());
        assert!(before || !after, "{case:?} gains as {less:?}");
        lost += usize::from(before && !after);
    }
    assert!(lost * 100 >= count * 10, "only {lost} of {count} lost anything");
}

#[test]
fn a_revoked_ancestor_that_is_ignored_would_be_noticed_as_a_gain() {
    let gains = |case: Case| {
        let mut less = case.clone();
        less.scene.revoked.push("g1");
        less.is_allowed()
    };
    assert!(!cases(count(), true).any(gains), "nothing is allowed below a revoked root");
    assert!(mutants::with(Mutant::RevokedAncestorIgnored, || cases(count(), true).any(gains)));
}

#[test]
fn handing_on_never_gains_where_no_policy_asks_about_the_chain() {
    let (mut compared, count) = (0, count());
    for case in cases(count, false).filter(|case| case.scene.grants.len() > 1) {
        let mut shorter = case.clone();
        let leaf = shorter.scene.grants.pop().unwrap();
        shorter.scene.principal = leaf.from[0];
        shorter.scene.shown = vec![("Delegation", NAMES[shorter.scene.grants.len() - 1])];
        let longer = case.is_allowed();
        assert!(!longer || shorter.is_allowed(), "{case:?} gains by its last grant");
        compared += usize::from(longer);
    }
    assert!(compared * 100 >= count * 10, "only {compared} were allowed");
}

#[test]
fn grants_that_are_not_shown_change_nothing() {
    for case in cases(count() / 4, true) {
        let mut more = case.clone();
        more.scene.grants.push(Written::new("other", ("User", "ana"), "a4", None));
        more.scene.grants.push(Written::new("below", ("Agent", case.scene.principal.1), "a5", Some("g1")));
        assert_eq!(case.is_allowed(), more.is_allowed(), "{case:?}");
    }
}

#[test]
fn an_agent_that_leaves_its_chain_out_never_gains() {
    let without = |mut case: Case| {
        case.scene.shown.clear();
        case.is_allowed()
    };
    assert!(!cases(count(), true).any(without), "none of the agents may act alone");
}

#[test]
fn the_check_by_cedars_own_authorizer_compares_every_hop() {
    let mut compared = 0;
    for case in cases(60, true) {
        let (world, request, now) = (case.world(), case.scene.request(), Now(case.scene.now));
        let decision = authorize(&world, &request, now).unwrap();
        let check = |decision: &Decision| {
            Checker::of(&world.generation).unwrap().check(&world, &request, now, decision)
        };
        assert_ne!(
            discriminant(&check(&decision)),
            discriminant(&Checked::Different(String::new())),
            "{case:?}"
        );
        for hop in 0..decision.hops.len() {
            let mut wrong = decision.clone();
            let decided = &mut wrong.hops[hop].decision;
            if decided.effect == Effect::Allow {
                decided.determining.clear();
                assert!(matches!(check(&wrong), Checked::Different(_)), "hop {hop} of {case:?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 60, "only {compared} hops were compared");
}
