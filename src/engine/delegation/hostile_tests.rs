//! Chains that somebody made up, tore apart or took too far: each differs from an allowed one in one thing, and none is
//! allowed.

use super::mutants::{self, Mutant};
use super::scene_for_tests::{self, HOUR, NOW, Scene, Written, uid};
use crate::engine::authorize::{Now, authorize};
use crate::engine::convert::Form;
use crate::engine::datum::{Datum, Reference};
use crate::engine::decision::{Effect, ReasonCode};
use crate::engine::request::RequestEntity;
use crate::engine::suspensions::{Suspended, Suspensions};

type Change = fn(&mut Scene);

/// What is changed, the code of the denial, and the hop that denies first.
type Hostile = (&'static str, Change, &'static str, usize);

const HOSTILE: [Hostile; 52] = [
    ("a leaf that nobody stored", |s| s.shown = vec![("Delegation", "g4")], "grant_unknown", 1),
    ("a leaf that is an agent", |s| s.shown = vec![("Agent", "a3")], "grant_unknown", 1),
    ("a leaf that is a tool", |s| s.shown = vec![("Tool", "t1")], "grant_unknown", 1),
    ("a leaf of a type that nobody declared", |s| s.shown = vec![("Grant", "g3")], "grant_unknown", 1),
    ("a root that is gone", |s| drop(s.grants.remove(0)), "grant_unknown", 1),
    ("a grant in the middle that is gone", |s| drop(s.grants.remove(1)), "grant_unknown", 1),
    ("the leaf is revoked", |s| s.revoked = vec!["g3"], "grant_revoked", 3),
    ("the grant above the leaf is revoked", |s| s.revoked = vec!["g2"], "grant_revoked", 2),
    ("the root grant is revoked", |s| s.revoked = vec!["g1"], "grant_revoked", 1),
    ("the leaf expires this instant", |s| s.grants[2].expires = NOW, "grant_expired", 3),
    ("the grant above the leaf has expired", |s| s.grants[1].expires = NOW - 1, "grant_expired", 2),
    ("the root grant expires this instant", |s| s.grants[0].expires = NOW, "grant_expired", 1),
    ("everything has expired", |s| s.now = NOW + HOUR, "grant_expired", 1),
    ("the leaf begins an instant later", |s| s.grants[2].not_before = NOW + 1, "grant_not_yet", 3),
    ("the grant above the leaf begins later", |s| s.grants[1].not_before = NOW + 1, "grant_not_yet", 2),
    ("the root grant begins later", |s| s.grants[0].not_before = NOW + 1, "grant_not_yet", 1),
    ("before anything began", |s| s.now = NOW - HOUR - 1, "grant_not_yet", 1),
    ("stolen by another agent", |s| s.principal = ("Agent", "a4"), "grant_delegate", 3),
    ("shown by the agent that gave it", |s| s.principal = ("Agent", "a2"), "grant_delegate", 3),
    ("shown by the person it began with", |s| s.principal = ("User", "ana"), "grant_delegate", 3),
    ("shown by another person", |s| s.principal = ("User", "eve"), "grant_delegate", 3),
    ("stolen by an agent that may act alone", |s| s.principal = ("Agent", "free"), "grant_delegate", 3),
    (
        "given by somebody the parent was not given to",
        |s| s.grants[1].from = vec![("Agent", "a4")],
        "grant_broken_chain",
        2,
    ),
    (
        "given by a person in the middle",
        |s| s.grants[1].from = vec![("User", "eve")],
        "grant_broken_chain",
        2,
    ),
    ("given over a delegator's head", |s| s.grants[2].from = vec![("Agent", "a1")], "grant_broken_chain", 3),
    (
        "a leaf given by the person it began with",
        |s| s.grants[2].from = vec![("User", "ana")],
        "grant_broken_chain",
        3,
    ),
    ("the parent was given to somebody else", |s| s.grants[0].to = "a4", "grant_broken_chain", 2),
    ("hung under another's grant", |s| s.grants[2].parent = Some("g1".to_owned()), "grant_broken_chain", 2),
    ("given by two", |s| s.grants[0].from = vec![("User", "ana"), ("Agent", "free")], "grant_delegator", 1),
    ("given by nobody", |s| s.grants[1].from.clear(), "grant_delegator", 1),
    ("a leaf given by nobody", |s| s.grants[2].from.clear(), "grant_delegator", 1),
    (
        "begun by an agent that may not act alone",
        |s| s.grants[0].from = vec![("Agent", "a5")],
        "chain_root",
        0,
    ),
    ("cut loose from its parent", |s| s.grants[1].parent = None, "chain_root", 0),
    ("passed on once too often", |s| s.grants[0].max_depth = 1, "grant_too_deep", 1),
    ("passed on though it may not be", |s| s.grants[1].max_depth = 0, "grant_too_deep", 2),
    ("of less than no depth", |s| s.grants[2].max_depth = -1, "grant_too_deep", 3),
    ("above itself", |s| s.grants[0].parent = Some("g1".to_owned()), "chain_cycle", 1),
    ("a circle of three", |s| s.grants[0].parent = Some("g3".to_owned()), "chain_cycle", 1),
    ("another action", |s| s.grants[0].actions = vec!["list_tools", "read_data"], "grant_not_covering", 1),
    ("no action at all", |s| s.grants[2].actions.clear(), "grant_not_covering", 3),
    ("no action in the middle", |s| s.grants[1].actions.clear(), "grant_not_covering", 2),
    ("another toolset", |s| s.grants[1].toolsets = vec!["other"], "grant_not_covering", 2),
    ("another toolset at the root", |s| s.grants[0].toolsets = vec!["other"], "grant_not_covering", 1),
    ("a smaller toolset beside", |s| s.grants[2].toolsets = vec!["other"], "grant_not_covering", 3),
    ("no resource at all", |s| s.grants[1].toolsets.clear(), "grant_not_covering", 2),
    ("a tool beside", |s| s.tool = "t3", "grant_not_covering", 1),
    ("data beside", |s| s.touches = vec!["d9"], "grant_not_covering", 1),
    ("data beside, behind data that is covered", |s| s.touches = vec!["d1", "d9"], "grant_not_covering", 1),
    ("no data at all", |s| s.grants[2].data.clear(), "grant_not_covering", 3),
    ("other data in the middle", |s| s.grants[1].data = vec!["d9"], "grant_not_covering", 2),
    ("no data at the root", |s| s.grants[0].data.clear(), "grant_not_covering", 1),
    ("no chain at all", |s| s.shown.clear(), "chain_required", 0),
];

/// What each differs from is allowed: one chain for these, a twin of its own for each of the others.
#[test]
fn there_are_at_least_sixty_hostile_chains() {
    let count = HOSTILE.len() + TWINS.len();
    assert!(count >= 60, "{count}");
    let mut names: Vec<_> = HOSTILE.iter().map(|hostile| hostile.0).chain(TWINS.map(|twin| twin.0)).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "each is told by its name");
}

#[test]
fn no_hostile_chain_is_allowed() {
    assert!(
        Scene::allowed().is_allowed(),
        "the chain they differ from is allowed: {:?}",
        Scene::allowed().decide()
    );
    for (name, change, code, hop) in HOSTILE {
        let mut scene = Scene::allowed();
        change(&mut scene);
        check(name, &scene, code, hop);
    }
}

#[track_caller]
fn check(name: &str, scene: &Scene, code: &str, hop: usize) {
    let decision = scene.decide();
    assert_eq!(decision.effect, Effect::Deny, "{name}");
    let denial = decision.denial.as_ref().expect("a deny says why");
    assert_eq!(denial.code.as_str(), code, "{name}: {}", denial.message);
    assert_eq!(decision.denied_hop().map_or(0, |denied| denied.hop), hop, "{name}");
}

/// Chains whose allowed twin is another: a change that is allowed, and one more that is not.
const TWINS: [(&str, Change, Change, &str, usize); 13] = [
    (
        "a child wider than its parent",
        |s| s.grants[2].toolsets = vec!["all", "other"],
        |s| s.tool = "t3",
        "grant_not_covering",
        1,
    ),
    (
        "a tool above the toolset that is granted",
        |s| s.grants[1].toolsets = vec!["some"],
        |s| s.tool = "t2",
        "grant_not_covering",
        2,
    ),
    (
        "data above the data that is granted",
        |s| s.grants[1].data = vec!["d1"],
        |s| s.touches = vec!["d0"],
        "grant_not_covering",
        2,
    ),
    (
        "another tool than the one granted",
        |s| grant_tool(s, "t1"),
        |s| s.tool = "t2",
        "grant_not_covering",
        2,
    ),
    (
        "a person inactive at the root",
        |s| s.grants[0].from = vec![("User", "eve")],
        |s| s.grants[0].from = vec![("User", "gone")],
        "forbidden",
        0,
    ),
    ("a quarantined agent in the middle", |s| through(s, "a4"), |s| through(s, "ill"), "forbidden", 2),
    (
        "an agent in the middle that is no more",
        |s| through(s, "a4"),
        |s| s.without = vec![uid("Agent", "a4")],
        "unknown_principal",
        2,
    ),
    (
        "a person at the root who is no more",
        |s| s.touches.clear(),
        |s| s.without = vec![uid("User", "ana")],
        "unknown_principal",
        0,
    ),
    (
        "a tool that is no more",
        |s| s.touches.clear(),
        |s| s.without = vec![uid("Tool", "t1")],
        "unknown_resource",
        0,
    ),
    (
        "others than the walk, in its length",
        |s| s.shown = vec![("Delegation", "g1"), ("Delegation", "g2"), ("Delegation", "g3")],
        |s| s.shown[0] = ("Delegation", "g2"),
        "chain_mismatch",
        0,
    ),
    (
        "the walk with a grant left out",
        |s| s.shown = vec![("Delegation", "g1"), ("Delegation", "g2"), ("Delegation", "g3")],
        |s| s.shown = vec![s.shown[0], s.shown[2]],
        "chain_mismatch",
        0,
    ),
    ("six grants", |s| lengthen(s, 5), |s| lengthen(s, 6), "chain_too_long", 1),
    (
        "the same agent twice",
        |s| lengthen(s, 4),
        |s| {
            s.grants[3].to = "a1";
            s.principal = ("Agent", "a1");
        },
        "chain_cycle",
        4,
    ),
];

fn grant_tool(scene: &mut Scene, tool: &'static str) {
    scene.grants[1].toolsets.clear();
    scene.grants[1].tools = vec![tool];
}

/// Has another agent in the middle.
fn through(scene: &mut Scene, agent: &'static str) {
    scene.grants[1].to = agent;
    scene.grants[2].from = vec![("Agent", agent)];
}

/// A chain of so many grants.
fn lengthen(scene: &mut Scene, length: usize) {
    const AGENTS: [&str; 7] = ["a1", "a2", "a3", "a4", "a5", "a6", "free"];
    const NAMES: [&str; 6] = ["g1", "g2", "g3", "g4", "g5", "g6"];
    scene.grants = (0..length)
        .map(|place| match place.checked_sub(1) {
            None => Written::new(NAMES[0], ("User", "ana"), AGENTS[0], None),
            Some(before) => {
                Written::new(NAMES[place], ("Agent", AGENTS[before]), AGENTS[place], Some(NAMES[before]))
            }
        })
        .collect();
    scene.principal = ("Agent", AGENTS[length - 1]);
    scene.shown = vec![("Delegation", NAMES[length - 1])];
}

#[test]
fn no_hostile_twin_is_allowed() {
    for (name, allowed, hostile, code, hop) in TWINS {
        let mut scene = Scene::allowed();
        allowed(&mut scene);
        assert!(scene.is_allowed(), "the twin of {name}: {:?}", scene.decide().denial);
        hostile(&mut scene);
        check(name, &scene, code, hop);
    }
}

#[test]
fn what_holds_all_that_a_delegation_holds_is_none_under_another_type() {
    let world = Scene::allowed().world();
    let mut entities = world.entities.clone();
    let grant = entities.get(&uid("Delegation", "g3")).unwrap().clone();
    for kind in ["Delegation", "Toolset"] {
        entities.put(uid(kind, "copy"), grant.clone()).unwrap();
    }
    let world = world.with_entities(entities);
    let ask = |kind: &str| {
        let mut request = Scene::allowed().request();
        request.delegations = vec![Reference::new(format!("Mandate::{kind}"), "copy")];
        authorize(&world, &request, Now(NOW)).unwrap()
    };
    assert_eq!(ask("Delegation").effect, Effect::Allow);
    assert_eq!(ask("Toolset").denial.unwrap().code.as_str(), "grant_unknown");
}

#[test]
fn more_delegations_than_a_chain_may_have_are_no_question() {
    let ask = |count: usize| {
        let mut request = Scene::allowed().request();
        request.delegations = vec![Reference::new("Mandate::Delegation", "g3"); count];
        authorize(&Scene::allowed().world(), &request, Now(NOW))
    };
    assert_eq!(ask(5).unwrap().denial.unwrap().code.as_str(), "chain_mismatch");
    let error = ask(6).unwrap_err();
    assert!(error.to_string().contains("has 6 delegations; the limit is 5"), "{error}");
}

#[test]
fn what_a_request_supplies_is_covered_by_no_grant() {
    let world = scene_for_tests::world(|schema| {
        schema.replacen("  entity Data in", "  @request_scoped\n  entity Data in", 1)
    });
    let mut scene = Scene::allowed();
    scene.grants.iter_mut().for_each(|grant| grant.data = vec!["d0", "brought"]);
    scene.touches = vec!["brought"];
    let stored = scene.world().entities;
    let mut request = scene.request();
    let owner = |name: &str| (name.to_owned(), Datum::Entity(Reference::new("Mandate::User", "ana")));
    let owned = vec![owner("business"), owner("technical"), ("reviewed".to_owned(), Datum::Datetime(NOW))];
    request.entities = vec![RequestEntity {
        uid: Reference::new("Mandate::Data", "brought"),
        form: Form::Typed,
        attributes: vec![
            ("owned".to_owned(), Datum::Record(owned)),
            ("env".to_owned(), Datum::Entity(Reference::new("Mandate::Env", "prod"))),
            ("level".to_owned(), Datum::Long(0)),
        ],
        tags: Vec::new(),
        parents: Vec::new(),
    }];
    let decision = authorize(&world.with_entities(stored), &request, Now(NOW)).unwrap();
    assert_eq!(decision.denial.unwrap().code.as_str(), "grant_not_covering");
}

#[test]
fn every_planted_defect_allows_a_hostile_chain() {
    let mut expired = Scene::allowed();
    expired.grants[1].expires = NOW;
    let mut revoked = Scene::allowed();
    revoked.revoked = vec!["g1"];
    let mut inactive = Scene::allowed();
    inactive.grants[0].from = vec![("User", "gone")];
    for (mutant, scene) in [
        (Mutant::GrantNotChecked, expired),
        (Mutant::RevokedAncestorIgnored, revoked),
        (Mutant::ChainDropped, inactive),
    ] {
        assert!(!scene.is_allowed(), "{mutant:?}");
        assert!(mutants::with(mutant, || scene.is_allowed()), "{mutant:?} would be noticed");
    }
}

#[test]
fn an_answer_holds_no_longer_than_the_first_grant_does() {
    let mut scene = Scene::allowed();
    scene.grants[1].expires = NOW + 5;
    let ends = |scene: &Scene| scene.decide().validity.ends_after(Now(NOW)).map(|end| end.0);
    assert_eq!(ends(&scene), Some(NOW + 5));
    scene.grants[2].not_before = NOW + 2;
    assert_eq!(ends(&scene), Some(NOW + 2), "then it may be allowed");
    scene.now = NOW + 5;
    let expired = scene.decide().validity;
    assert!(
        expired.contains(Now(NOW + 6)) && !expired.contains(Now(NOW + 4)),
        "expired from then on: {expired:?}"
    );
    scene.now = NOW;
    scene.shown.clear();
    assert_eq!(ends(&scene), None);
}

#[test]
fn no_member_of_a_chain_may_be_suspended() {
    let scene = Scene::allowed();
    let parties =
        [("User", "ana", 0), ("Agent", "a1", 1), ("Agent", "a2", 2), ("Agent", "a3", 3), ("Tool", "t1", 0)];
    for (kind, id, hop) in parties {
        let mut suspensions = Suspensions::default();
        suspensions.suspend(Suspended::Principal(uid(kind, id)), "odd".into());
        let world = scene.world().with_suspensions(suspensions);
        let decision = authorize(&world, &scene.request(), Now(scene.now)).unwrap();
        assert_eq!(decision.effect, Effect::Deny, "{id}");
        assert_eq!(decision.denial.unwrap().code, ReasonCode::Suspended, "{id}");
        let first = decision.hops.iter().find(|hop| hop.decision.effect == Effect::Deny);
        assert!(first.is_none_or(|first| first.hop == hop), "{id}");
    }
}
