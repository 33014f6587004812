//! The law of keys (K1, K4): two questions of one key get one decision.

use std::cell::RefCell;

use proptest::collection::vec;
use proptest::sample::select;
use serde_json::json;

use super::*;
use crate::engine::authorize::Now;
use crate::engine::hop_question::HopQuestion;
use crate::engine::key::Key;
use crate::engine::mutants::{self, Mutant};
use crate::engine::soak_for_tests::runner;

/// Ways of reading the context, and of reading less of it than it looks.
const READS: &[&str] = &[
    "context.flag",
    "context.count > 1",
    "context has about",
    "context has team.note",
    "context.team has note && context.team.note like \"a*\"",
    "context has about && context.about.level > 1",
    "context.team == {lead: context.who, refs: []}",
    "{a: context.team}.a.lead == principal",
    "{a: context.team, b: 1}.b == 1",
    "(if context.flag then context.team else {lead: context.who, refs: []}).lead == principal",
    "(if context.count == 1 then context else {who: principal}).who == principal",
    "[context.count, 2].contains(2)",
    "[context.who].containsAny([principal, resource.owner])",
    "context.who in N::Group::\"g1\"",
    "context.who.hasTag(context.key)",
    "context.who.getTag(context.key) == principal",
    "context.who is N::User",
    "context.who.level > 0",
    "!(context.key == \"a\") || context.count < 2",
    "context.team.refs.contains(context.who)",
    "context.team.lead.manager == principal",
    "context.count + context.count == 2",
    "principal.hasTag(context.key)",
    "context == {flag: true}",
    "context.key.level > 1",
    "if context has extra then context.extra == 1 else context.flag",
    "context.extra.inner.deep == 1",
    "context has extra.inner && context.extra has other",
    "(context has flag) == (context has extra)",
];

fn reader() -> impl Strategy<Value = String> {
    let scope = select(
        &[
            "principal, action, resource",
            "principal, action == N::Action::\"read\", resource",
            "principal is N::User, action in N::Action::\"all\", resource is N::Doc",
        ][..],
    );
    (any::<bool>(), scope, select(READS), any::<bool>()).prop_map(|(permit, scope, read, unless)| {
        let (effect, clause) =
            (if permit { "permit" } else { "forbid" }, if unless { "unless" } else { "when" });
        format!("{effect}({scope}) {clause} {{ {read} }};")
    })
}

/// A context that differs from another here and there.
fn changed(context: &Value, changes: &[u8]) -> Value {
    let mut context = context.clone();
    for change in changes {
        match change {
            0 => context["count"] = json!(1),
            1 => context["count"] = json!(2),
            2 => context["flag"] = json!(context["flag"] != true),
            3 => context["key"] = json!("b"),
            4 => drop(context.as_object_mut().unwrap().remove("about")),
            5 if context["team"].is_object() => context["team"]["note"] = json!("abc"),
            6 => context["extra"] = json!(1),
            7 => context["extra"] = json!({"inner": {"deep": 1}, "trace": "t"}),
            8 => context["extra"] = json!({"inner": {"deep": 1}, "trace": "u"}),
            9 => drop(context.as_object_mut().unwrap().remove("team")),
            10 if context["team"].is_object() => context["who"] = context["team"]["lead"].clone(),
            11 => context["trace"] = json!("0123"),
            _ => context["key"] = json!({"level": 2}),
        }
    }
    context
}

static TYPED: LazyLock<World> = LazyLock::new(|| {
    bare(vec![SourceFile { name: "n.cedarschema".into(), bytes: generated::SCHEMA.as_bytes().into() }])
});

fn key_and_decision(world: &World, asked: &Asked) -> (Key, HopDecision) {
    let mut question = question_of(&request_of(asked));
    let parties = Parties::of(world, &question);
    let mut hop = HopQuestion::new(world, &mut question, &parties, Now(0), false);
    (hop.key().unwrap(), hop.decide().unwrap())
}

/// Pairs of questions.
#[derive(Debug, Default)]
struct Seen {
    /// Of one key, though they differ.
    shared: usize,
    /// Of two.
    told_apart: usize,
    /// Of those: decided otherwise.
    otherwise: usize,
    /// Of one key, and decided otherwise.
    wrong: usize,
}

/// Runs the law over generated policies and pairs of contexts.
fn law(cases: u32) -> Seen {
    let seen = RefCell::new(Seen::default());
    let sets = (
        vec(prop_oneof![4 => reader(), 1 => generated::policy()], 1..5),
        generated::entities(),
        vec((generated::request(), vec(0_u8..13, 1..3), vec(0_u8..13, 1..3)), 24),
    );
    let run = runner(cases).run(&sets, |(texts, entities, requests)| {
        let world = world_beside(&TYPED, &texts.concat().parse().unwrap(), &entities);
        for (request, one, other) in &requests {
            let with = |changes| {
                let (principal, action, resource, context) = request.clone();
                (principal, action, resource, changed(&context, changes))
            };
            let (one, other) = (with(one), with(other));
            let ((key, decision), (other_key, other_decision)) =
                (key_and_decision(&world, &one), key_and_decision(&world, &other));
            let same = told(&decision) == told(&other_decision);
            let mut seen = seen.borrow_mut();
            if key == other_key {
                seen.shared += usize::from(one.3 != other.3);
                seen.wrong += usize::from(!same);
            } else {
                seen.told_apart += 1;
                seen.otherwise += usize::from(!same);
            }
        }
        Ok(())
    });
    run.unwrap();
    seen.into_inner()
}

const CASES: u32 = if cfg!(debug_assertions) { 80 } else { 2_000 };

#[test]
fn two_questions_of_one_key_get_one_decision() {
    let seen = law(CASES);
    println!("{seen:?}");
    assert_eq!(seen.wrong, 0, "{seen:?}");
    assert!(seen.shared > 300 && seen.told_apart > 300 && seen.otherwise > 100, "{seen:?}");
}

#[test]
fn a_key_that_leaves_something_out_is_noticed() {
    for mutant in [Mutant::PresenceNotRead, Mutant::TestNotRead] {
        let seen = mutants::with(mutant, || law(CASES));
        assert!(seen.wrong > 0, "{mutant:?}: {seen:?}");
    }
}

/// What a policy reads decides alone which contexts are one question.
#[test]
fn a_member_that_no_policy_reads_is_no_part_of_the_key() {
    let uid = |text: &str| -> EntityUid { text.parse().unwrap() };
    let context = json!({"flag": true, "count": 1, "key": "a", "team": {"refs": []}, "trace": "1"});
    let differ = |condition: &str, action: &str, change: &dyn Fn(&mut Value)| {
        let text = format!(
            "permit(principal, action == N::Action::\"read\", resource) when {{ {condition} }};\n\
             permit(principal, action == N::Action::\"remove\", resource) when {{ context.count == 1 }};"
        );
        let world = world_beside(&TYPED, &text.parse().unwrap(), &Entities::empty());
        let asked = |context: Value| {
            (
                uid("N::User::\"ana\""),
                uid(&format!("N::Action::\"{action}\"")),
                uid("N::Doc::\"d1\""),
                context,
            )
        };
        let mut other = context.clone();
        change(&mut other);
        key_and_decision(&world, &asked(context.clone())).0 != key_and_decision(&world, &asked(other)).0
    };
    let trace: &dyn Fn(&mut Value) = &|context| context["trace"] = json!("2");
    let count: &dyn Fn(&mut Value) = &|context| context["count"] = json!(2);
    let refs: &dyn Fn(&mut Value) = &|context| context["team"]["refs"] = json!([1]);
    for (condition, action, change, expected) in [
        ("context.flag", "read", trace, false),
        ("context.flag", "read", count, false),
        ("context.flag", "remove", count, true),
        ("context.flag", "\u{e9}crire", count, false),
        ("context has team.refs", "read", refs, false),
        ("context.team.refs == []", "read", refs, true),
        ("context.team == context.team", "read", refs, true),
        ("context == context", "read", trace, true),
        ("{a: context}.a.flag", "read", trace, false),
        ("{a: context} == {a: 1}", "read", trace, true),
        ("(if true then context else context).count == 1", "read", count, true),
    ] {
        assert_eq!(differ(condition, action, change), expected, "{condition} of {action}");
    }
}
