//! What is remembered of rights is what would be decided afresh, whatever policies read.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::engine::authorize::Now;
use crate::engine::datum::Reference;
use crate::identity::caller::{Thumbprint, TokenHolder, Workload};

/// Sets that read, one by one, everything there is to read.
const SETS: [&str; 12] = [
    r#"permit (principal == Mandate::Pep::Caller::"spiffe://a.org/x/y", action, resource);"#,
    r#"permit (principal in Mandate::Pep::Place::"spiffe://a.org/x", action, resource);"#,
    r#"permit (principal, action, resource) when { principal has token && principal.token.scopes.contains("s") };"#,
    r#"permit (principal, action in Mandate::Pep::Action::"question", resource) when { context.self };"#,
    r#"permit (principal, action in Mandate::Pep::Action::"question", resource) when { context.observe || context.bypass_cache };"#,
    r#"permit (principal, action in Mandate::Pep::Action::"question", resource) when { context.with_token != context.with_delegations };"#,
    r#"permit (principal, action in Mandate::Pep::Action::"question", resource) when { context.action == "one" || context.resource_type == Mandate::Pep::Type::"N::B" || context.surface == Mandate::Pep::Surface::"batch" };"#,
    r#"permit (principal, action, resource == Mandate::Pep::Subject::"N::A::\"one\""); permit (principal, action == Mandate::Pep::Action::"assert_fact", resource);"#,
    r#"permit (principal, action, resource) unless { resource is Mandate::Pep::Subject && resource.id == "one" };"#,
    r#"permit (principal, action, resource) unless { resource is Mandate::Pep::Fact && resource == Mandate::Pep::Fact::"f" };"#,
    r#"permit (principal, action, resource); forbid (principal, action == Mandate::Pep::Action::"supply_entity", resource == Mandate::Pep::Type::"N::B");"#,
    r#"permit (principal, action, resource); forbid (principal, action == Mandate::Pep::Action::"explain", resource in Mandate::Pep::Type::"N::A");"#,
];

fn compile(set: &str) -> RightSet {
    let named: Vec<_> = set
        .split_inclusive(';')
        .enumerate()
        .map(|(at, policy)| format!("@id(\"p{at}\")\n{policy}\n"))
        .collect();
    let file = SourceFile { name: "pep.cedar".to_owned(), bytes: named.concat().into() };
    RightSet::compile(vec![file]).unwrap_or_else(|report| panic!("{report}"))
}

fn callers() -> Vec<Caller> {
    let workload = |path: &str| {
        let id = format!("spiffe://a.org{path}");
        let workload = Workload { id, trust_domain: "a.org".to_owned(), path: path.to_owned() };
        Caller::workload(workload, Thumbprint::of(b"c"), Now(i64::MAX))
    };
    let holder = |subject: &str, scopes: &[&str]| TokenHolder {
        issuer: "https://i".to_owned(),
        subject: subject.to_owned(),
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        expires: Now(i64::MAX),
    };
    let both = workload("/x/y").with_token(holder("spiffe://a.org/x/y", &["s"])).unwrap();
    vec![workload("/x/y"), workload("/z"), both, Caller::token_holder(holder("x", &["s", "t"]))]
}

/// A question in its parts: who asks, flags, and what is named.
#[derive(Debug, Clone)]
struct Case {
    caller: usize,
    flags: [bool; 6],
    principal: Reference,
    action: Reference,
    resource_type: &'static str,
    surface: &'static str,
    entity_types: Vec<&'static str>,
    facts: Vec<&'static str>,
}

fn case() -> impl Strategy<Value = Case> {
    let one_of = |names: [&'static str; 2]| prop::sample::select(names.to_vec());
    let few = |names: [&'static str; 2]| prop::collection::vec(prop::sample::select(names.to_vec()), 0..3);
    let named = (one_of(["N::A", "N::B"]), one_of(["one", "two"]), one_of(["one", "two"]));
    let told = (one_of(["N::A", "N::B"]), one_of(["grpc", "batch"]), few(["N::A", "N::B"]), few(["f", "g"]));
    (0..4_usize, any::<[bool; 6]>(), named, told).prop_map(|(caller, flags, named, told)| Case {
        caller,
        flags,
        principal: Reference::new(named.0, named.1),
        action: Reference::new("N::Action", named.2),
        resource_type: told.0,
        surface: told.1,
        entity_types: told.2,
        facts: told.3,
    })
}

impl Case {
    fn asking(&self) -> Asking<'_> {
        let [own, observe, bypass_cache, with_token, with_delegations, explain] = self.flags;
        Asking {
            principal: &self.principal,
            own,
            action: &self.action,
            resource_type: self.resource_type,
            surface: self.surface,
            observe,
            bypass_cache,
            with_token,
            with_delegations,
            explain,
            entity_types: self.entity_types.clone(),
            facts: self.facts.clone(),
        }
    }
}

/// Every set twice: one remembers, over all the cases, and the other never does.
static COMPILED: LazyLock<Vec<(Rights, RightSet)>> =
    LazyLock::new(|| SETS.iter().map(|set| (Rights::new(compile(set)), compile(set))).collect());

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_remembered_is_what_would_be_decided(cases in prop::collection::vec(case(), 20)) {
        let callers = callers();
        for (set, (remembering, afresh)) in SETS.iter().zip(&*COMPILED) {
            for case in &cases {
                let (caller, asking) = (&callers[case.caller], case.asking());
                let known = remembering.may_ask(caller, &asking).is_ok();
                prop_assert_eq!(known, afresh.ask(caller, &asking).0.is_none(), "{} {:?}", set, case);
            }
        }
    }
}

#[test]
fn principals_are_told_apart_where_a_policy_can_and_nowhere_else() {
    let told: Vec<_> = SETS.iter().map(|set| compile(set).tells_principals_apart).collect();
    let expected = [false, false, false, false, false, false, false, true, true, true, false, false];
    assert_eq!(told, expected);
}

#[test]
fn what_is_remembered_is_bounded_and_ends_with_its_policies() {
    let rights = Rights::new(compile(SETS[3]));
    let caller = &callers()[0];
    let action = Reference::new("N::Action", "one");
    let principal = Reference::new("N::A", "one");
    let base = Case {
        caller: 0,
        flags: [true, false, false, false, false, false],
        principal,
        action,
        resource_type: "N::A",
        surface: "grpc",
        entity_types: Vec::new(),
        facts: Vec::new(),
    };
    assert!(rights.may_ask(caller, &base.asking()).is_ok());
    rights.replace(compile(r#"forbid (principal, action, resource);"#));
    assert!(rights.may_ask(caller, &base.asking()).is_err());
    // What is too long is decided each time.
    let long = "x".repeat(5000);
    let asking = Asking { facts: vec![&long], ..base.asking() };
    assert!(asking.key(caller, true).is_none());
    for at in 0..2 * MAX_REMEMBERED {
        let name = at.to_string();
        drop(rights.may_ask(caller, &Asking { facts: vec![&name], ..base.asking() }));
    }
    let set = rights.set.load();
    set.remembered.run_pending_tasks();
    assert!(set.remembered.entry_count() <= MAX_REMEMBERED);
}
