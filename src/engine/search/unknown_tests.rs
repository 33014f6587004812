//! What is shown while arguments are unknown: everything that some arguments would be allowed for, and what does not depend on them
//! exactly.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::law_tests::whole;
use super::{Among, Certainty, Page, Search, Sought};
use crate::engine::authorize::{Now, authorize};
use crate::engine::compile::{Options, Sources, compile};
use crate::engine::datum::{Datum, Reference};
use crate::engine::decision::Effect;
use crate::engine::generation::OnPolicyError;
use crate::engine::key::Key;
use crate::engine::problem::{Report, SourceFile};
use crate::engine::question::Question;
use crate::engine::request::AuthzRequest;
use crate::engine::unknown::Unknown;
use crate::engine::world::World;

const SCHEMA: &str = r#"
namespace Mandate {
  entity User = { level: Long };
  entity Toolset;
  entity Tool in [Toolset] = { level: Long };
  action call_tool appliesTo { principal: [User], resource: [Tool], context: { flag: Bool, count?: Long } };
  @tool("typed")
  action "typed" in [call_tool] appliesTo { principal: [User], resource: [Tool],
    context: { flag: Bool, count?: Long, input: { n: Long, s: String, opt?: Long } } };
}
"#;

fn compiled(policies: &[String], mode: OnPolicyError) -> Result<World, Report> {
    let file =
        |name: &str, text: String| SourceFile { name: name.to_owned(), bytes: text.into_bytes().into() };
    let texts = policies.iter().enumerate().map(|(place, text)| format!("@id(\"p{place}\") {text}\n"));
    let named = |kind: &str, id: &str| json!({"type": format!("Mandate::{kind}"), "id": id});
    let entity = |kind: &str, id: &str, level: i64, parents: &[&str]| {
        let parents: Vec<_> = parents.iter().map(|id| named("Toolset", id)).collect();
        let attrs = if kind == "Toolset" { json!({}) } else { json!({"level": level}) };
        json!({"uid": named(kind, id), "attrs": attrs, "parents": parents})
    };
    let entities = json!([
        entity("User", "ana", 2, &[]),
        entity("Toolset", "set", 0, &[]),
        entity("Tool", "typed", 1, &["set"]),
        entity("Tool", "plain", 1, &["set"])
    ]);
    let sources = Sources {
        policies: vec![file("p.cedar", texts.collect())],
        schemas: vec![file("s.cedarschema", SCHEMA.to_owned())],
        entities: vec![file("e.json", entities.to_string())],
        ..Sources::default()
    };
    let options = Options { on_policy_error: mode, ..Options::default() };
    Ok(compile(&sources, &options)?.world)
}

fn world(policies: &[String], mode: OnPolicyError) -> World {
    compiled(policies, mode).unwrap_or_else(|report| panic!("{report:?}"))
}

fn question(tool: &str, flag: Option<bool>, arguments: Option<Datum>) -> AuthzRequest {
    let name = |kind: &str, id: &str| Reference::new(format!("Mandate::{kind}"), id);
    let mut question =
        AuthzRequest::new(name("User", "ana"), name("Action", "call_tool"), name("Tool", tool));
    question.context = flag.map(|flag| ("flag".to_owned(), Datum::Bool(flag))).into_iter().collect();
    question.arguments = arguments;
    question
}

/// Every combination of arguments that makes a difference to the conditions below.
fn all_arguments() -> Vec<Datum> {
    let mut all = Vec::new();
    for n in [-1, 0, 1, 2, 3, 7] {
        for s in ["a", "b", "ab", ""] {
            for opt in [None, Some(1), Some(2)] {
                let opt = opt.map(|opt| ("opt".to_owned(), Datum::Long(opt)));
                let known = [("n".to_owned(), Datum::Long(n)), ("s".to_owned(), Datum::String(s.to_owned()))];
                all.push(Datum::Record(known.into_iter().chain(opt).collect()));
            }
        }
    }
    all
}

fn is_allowed(world: &World, question: &AuthzRequest) -> bool {
    authorize(world, question, Now(0)).is_ok_and(|decision| decision.effect == Effect::Allow)
}

/// What is shown of the tools, arguments unknown, and of the flag whatever it is if that is too.
fn shown(world: &World, flag: Option<bool>) -> Page {
    let unknown: Vec<_> = flag.is_none().then(|| "flag".to_owned()).into_iter().collect();
    let unknown = Unknown::arguments_and(&unknown).unwrap();
    let search = Search {
        question: question("", flag, None),
        sought: Sought::Resources(Among::Stored),
        unknown,
        properties: None,
        any_delegation: false,
    };
    whole(world, &search, Now(0))
}

fn certainty(page: &Page, tool: &str) -> Option<Certainty> {
    page.found.iter().find(|found| found.uid.id().unescaped() == tool).map(|found| found.certainty)
}

/// Tests that read no argument. Some cannot be evaluated.
fn known() -> impl Strategy<Value = String> {
    select(
        &[
            "context.flag",
            "principal.level > 1",
            "principal.level > 2",
            "resource.level > 0",
            "resource.level == 3",
            "principal.level + 9223372036854775807 > 0",
            "context has count && context.count > 1",
        ][..],
    )
    .prop_map(|test| format!("({test})"))
}

fn unknown() -> impl Strategy<Value = String> {
    select(
        &[
            "context.input.n > 1",
            "context.input.n == principal.level",
            "context.input.s == \"a\"",
            "context.input.s like \"a*\"",
            "context.input has opt",
            "context.input has opt && context.input.opt == 2",
            "context.input.n + 9223372036854775807 > 0",
            "[\"a\", \"b\"].contains(context.input.s)",
            "principal.level * context.input.n < 5",
            "context has count && context.input.n > context.count",
        ][..],
    )
    .prop_map(|test| format!("({test})"))
}

fn joined(leaf: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    leaf.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("(if {a} then {b} else {c})")),
        ]
    })
}

fn policy(action: &'static str, test: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let scope = select(
        &["resource", "resource in Mandate::Toolset::\"set\"", "resource == Mandate::Tool::\"typed\""][..],
    );
    (any::<bool>(), scope, any::<bool>(), vec(test, 0..3)).prop_map(move |(permit, resource, when, tests)| {
        let clause = if when { "when" } else { "unless" };
        let clauses: String = tests.iter().map(|test| format!(" {clause} {{ {test} }}")).collect();
        let effect = if permit { "permit" } else { "forbid" };
        format!("{effect} (principal, {action}, {resource}){clauses};")
    })
}

fn either() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => policy("action == Mandate::Action::\"typed\"", joined(prop_oneof![known(), unknown()])),
        1 => policy("action in Mandate::Action::\"call_tool\"", joined(known())),
    ]
}

fn mode() -> impl Strategy<Value = OnPolicyError> {
    select(&[OnPolicyError::Deny, OnPolicyError::Strict, OnPolicyError::Cedar][..])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn whatever_some_arguments_get_is_shown_and_what_is_certain_all_of_them_get(
        mode in mode(),
        flag in proptest::option::of(any::<bool>()),
        policies in vec(either(), 1..5),
    ) {
        // Some could never apply, and do not load.
        let compiled = compiled(&policies, mode);
        prop_assume!(compiled.is_ok());
        let world = compiled.unwrap();
        let flags = flag.map_or_else(|| vec![false, true], |flag| vec![flag]);
        let page = shown(&world, flag);
        let shown = certainty(&page, "typed");
        let arguments = all_arguments();
        let each = flags.iter().flat_map(|flag| arguments.iter().map(move |arguments| (*flag, arguments)));
        let allowed = |(flag, arguments): (bool, &Datum)| {
            is_allowed(&world, &question("typed", Some(flag), Some(arguments.clone())))
        };
        let (mut some, mut all) = (false, true);
        each.map(allowed).for_each(|allowed| (some, all) = (some || allowed, all && allowed));
        prop_assert!(!some || shown.is_some(), "some arguments are allowed, and it is hidden: {policies:#?}");
        prop_assert!(all || shown != Some(Certainty::Certain), "not all are allowed: {policies:#?}");
        // Of the plain tool only the flag is unknown.
        let plain: Vec<_> = flags.iter().map(|flag| is_allowed(&world, &question("plain", Some(*flag), None))).collect();
        let shown = certainty(&page, "plain");
        prop_assert!(!plain.contains(&true) || shown.is_some());
        prop_assert!(flag.is_none() || (shown == Some(Certainty::Certain)) == plain[0]);
    }

    #[test]
    fn where_no_policy_reads_arguments_what_is_shown_is_exact(
        mode in mode(),
        flag in any::<bool>(),
        policies in vec(policy("action in Mandate::Action::\"call_tool\"", joined(known())), 1..5),
    ) {
        let compiled = compiled(&policies, mode);
        prop_assume!(compiled.is_ok());
        let world = compiled.unwrap();
        let page = shown(&world, Some(flag));
        for (tool, arguments) in [("typed", Some(all_arguments().remove(0))), ("plain", None)] {
            let expected = is_allowed(&world, &question(tool, Some(flag), arguments)).then_some(Certainty::Certain);
            prop_assert_eq!(certainty(&page, tool), expected, "{}: {:#?}", tool, policies);
        }
    }
}

/// How sure it is that the typed tool is allowed by these policies, the flag set.
fn typed(policies: &[&str]) -> Option<Certainty> {
    let policies: Vec<_> = policies.iter().map(|text| (*text).to_owned()).collect();
    certainty(&shown(&world(&policies, OnPolicyError::Deny), Some(true)), "typed")
}

#[test]
fn a_tool_is_hidden_only_where_no_arguments_help() {
    let permit = "permit (principal, action, resource);";
    let of_input = |effect: &str, test: &str| {
        format!("{effect} (principal, action == Mandate::Action::\"typed\", resource) when {{ {test} }};")
    };
    let forbid = |test| of_input("forbid", test);
    assert_eq!(typed(&[permit]), Some(Certainty::Certain));
    assert_eq!(typed(&[permit, &forbid("context.input.n > 1")]), Some(Certainty::Possible));
    assert_eq!(typed(&[permit, &forbid("context.input.n > 1 || principal.level == 2")]), None);
    assert_eq!(
        typed(&[permit, &forbid("principal.level == 1 && context.input.n > 1")]),
        Some(Certainty::Certain)
    );
    // What reads arguments may fail as well, and then this denies.
    assert_eq!(
        typed(&[permit, &forbid("context.input.n > 1 && principal.level == 1")]),
        Some(Certainty::Possible)
    );
    assert_eq!(typed(&[permit, &forbid("context.flag && principal.level == 2")]), None);
    let permit = |test| of_input("permit", test);
    assert_eq!(typed(&[&permit("context.input.s == \"a\"")]), Some(Certainty::Possible));
    assert_eq!(typed(&[&permit("context.input.s == \"a\" && principal.level == 1")]), None);
    assert_eq!(typed(&[&permit("!(context.flag || context.input.s == \"a\")")]), None);
    assert_eq!(
        typed(&[&permit("if context.input.s == \"a\" then principal.level == 1 else !context.flag")]),
        None
    );
}

#[test]
fn what_is_unknown_is_not_decided_for_anybody() {
    let world = world(&["permit (principal, action, resource);".to_owned()], OnPolicyError::Deny);
    let error = authorize(&world, &question("typed", Some(true), None), Now(0)).unwrap_err();
    assert_eq!(error.field, "arguments");
    for name in ["input", "now", "delegation"] {
        assert!(Unknown::arguments_and(&[name.to_owned()]).is_err(), "{name}");
    }
    assert!(Unknown::arguments_and(&vec![String::new(); 65]).is_err());
}

#[test]
fn a_question_with_an_unknown_part_is_never_remembered() {
    let world = world(&["permit (principal, action, resource);".to_owned()], OnPolicyError::Deny);
    let unknown = Unknown::arguments_and(&[]).unwrap();
    let asked = Question::with_unknown(&world, &question("typed", Some(true), None), &unknown).unwrap();
    assert!(Key::of(&world.generation, &asked).is_none());
    let known = Question::with_unknown(&world, &question("plain", Some(true), None), &unknown).unwrap();
    assert!(Key::of(&world.generation, &known).is_some(), "of this nothing is unknown");
}
