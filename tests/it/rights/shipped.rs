//! The example policies about callers, case by case; and that each of them is needed.

use mandate::engine::authorize::Now;
use mandate::engine::datum::Reference;
use mandate::engine::problem::SourceFile;
use mandate::identity::caller::{Caller, Thumbprint, Workload};
use mandate::identity::rights::{Asking, Right, RightSet, Rights};

use crate::support::repository;

fn caller(id: &str) -> Caller {
    let path = id.strip_prefix("spiffe://example.org").expect("of the example").to_owned();
    let workload = Workload { id: id.to_owned(), trust_domain: "example.org".to_owned(), path };
    Caller::workload(workload, Thumbprint::of(b"a certificate"), Now(i64::MAX))
}

/// The example's policies, each by its id: the text of its file from one `@id` to the next.
fn policies() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let folder = std::fs::read_dir(repository().join("pep")).unwrap();
    for file in folder.map(|entry| entry.unwrap().path()) {
        let text = std::fs::read_to_string(file).unwrap();
        for policy in text.split("@id(\"").skip(1) {
            let id = policy.split('"').next().unwrap().to_owned();
            let end = policy.rfind(";\n").unwrap();
            found.push((id, format!("@id(\"{}", &policy[..=end])));
        }
    }
    found.sort();
    found
}

fn rights<'p>(policies: impl Iterator<Item = &'p (String, String)>) -> Rights {
    let text = policies.map(|(_, text)| format!("{text}\n")).collect::<String>();
    let set = RightSet::compile(vec![SourceFile { name: "pep.cedar".to_owned(), bytes: text.into() }]);
    Rights::new(set.unwrap_or_else(|report| panic!("{report}")))
}

/// What a case asks.
#[derive(Clone, Copy)]
enum Wish {
    /// A question about an agent, by these facts.
    Ask {
        facts: &'static [&'static str],
        own: bool,
        observe: bool,
        bypass: bool,
        explain: bool,
    },
    Do(Right<'static>),
}

const ASK: Wish =
    Wish::Ask { facts: &["session", "digest"], own: false, observe: false, bypass: false, explain: false };
const BYPASS: Wish = Wish::Ask { facts: &[], own: false, observe: false, bypass: true, explain: false };
const EXPLAIN: Wish =
    Wish::Ask { facts: &["session"], own: false, observe: false, bypass: false, explain: true };
const OBSERVE_SELF: Wish =
    Wish::Ask { facts: &["session"], own: true, observe: true, bypass: false, explain: false };
const OBSERVE_OTHER: Wish =
    Wish::Ask { facts: &[], own: false, observe: true, bypass: false, explain: false };
const ENFORCE_SELF: Wish = Wish::Ask { facts: &[], own: true, observe: false, bypass: false, explain: false };
const ODD_FACT: Wish =
    Wish::Ask { facts: &["tenant"], own: true, observe: true, bypass: false, explain: false };

const GATEWAY: &str = "spiffe://example.org/gateways/mcp";
const AGENT: &str = "spiffe://example.org/agents/triage-bot";
const OPERATOR: &str = "spiffe://example.org/operators/dana";
const AUDITOR: &str = "spiffe://example.org/auditors/eve";
const STRANGER: &str = "spiffe://example.org/gateway";

/// Who, what, and whether it may.
const CASES: [(&str, Wish, bool); 20] = [
    (GATEWAY, ASK, true),
    (GATEWAY, BYPASS, false),
    (GATEWAY, EXPLAIN, false),
    (GATEWAY, ODD_FACT, false),
    (GATEWAY, Wish::Do(Right::GetStatus), false),
    (STRANGER, ASK, false),
    (STRANGER, Wish::Do(Right::ReadInfo), true),
    (AGENT, OBSERVE_SELF, true),
    (AGENT, OBSERVE_OTHER, false),
    (AGENT, ENFORCE_SELF, false),
    (AGENT, ODD_FACT, false),
    (AGENT, ASK, false),
    (OPERATOR, Wish::Do(Right::Rollback), true),
    (OPERATOR, Wish::Do(Right::Suspend), true),
    (OPERATOR, Wish::Do(Right::Backup), false),
    (OPERATOR, Wish::Do(Right::WriteEntities("Mandate::Agent")), false),
    (OPERATOR, ASK, false),
    (AUDITOR, EXPLAIN, true),
    (AUDITOR, Wish::Do(Right::ReadLog), true),
    (AUDITOR, Wish::Do(Right::Rollback), false),
];

fn may(rights: &Rights, id: &str, wish: Wish) -> bool {
    let caller = caller(id);
    match wish {
        Wish::Do(right) => rights.may(&caller, &right).is_ok(),
        Wish::Ask { facts, own, observe, bypass, explain } => {
            let (principal, action) = (
                Reference::new("Mandate::Agent", "triage-bot"),
                Reference::new("Mandate::Action", "call_tool"),
            );
            let asking = Asking {
                principal: &principal,
                own,
                action: &action,
                resource_type: "Mandate::Tool",
                surface: "grpc",
                observe,
                bypass_cache: bypass,
                with_token: false,
                with_delegations: false,
                explain,
                entity_types: Vec::new(),
                facts: facts.to_vec(),
            };
            rights.may_ask(&caller, &asking).is_ok()
        }
    }
}

#[test]
fn the_examples_say_what_they_are_meant_to() {
    let rights = rights(policies().iter());
    for (index, (id, wish, expected)) in CASES.into_iter().enumerate() {
        assert_eq!(may(&rights, id, wish), expected, "case {index}: {id}");
    }
}

#[test]
fn without_any_one_of_the_examples_a_case_comes_out_otherwise() {
    let all = policies();
    assert_eq!(all.len(), 8);
    for (left_out, _) in &all {
        let rights = rights(all.iter().filter(|(id, _)| id != left_out));
        let noticed = CASES.into_iter().any(|(id, wish, expected)| may(&rights, id, wish) != expected);
        assert!(noticed, "nobody misses `{left_out}`");
    }
}
