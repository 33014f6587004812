//! What is told of a line beside it is what a reader finds in it.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

use super::super::examples_for_tests::{decision, fields, policy};
use super::super::line::Encoder;
use super::super::reading::query;
use super::super::reading::seen::Seen;
use super::super::record::{DecisionRecord, Evidence, Record};
use super::super::{Disclose, Fields};
use crate::engine::datum::{Datum, Reference};
use crate::engine::decision::{Decision, Effect, GrantName, HopOutcome};
use crate::engine::delegation::hop::Role;
use crate::engine::disclosure::Disclosure;

/// Keys in their order, and the time.
type Found = (Vec<u64>, i64);

/// What is told beside a line, and what a reader finds in it.
fn both(record: DecisionRecord, fields: &Fields) -> (Option<Found>, Found) {
    let mut record = Record::Decision(Box::new(record));
    record.mask(fields);
    let line = Encoder::new(Uuid::from_u128(9)).line(&record).unwrap();
    let mut bytes = Vec::new();
    line.number(7, true, &mut bytes).unwrap();
    let seen = Seen::read(&bytes);
    let mut found = Vec::new();
    query::keys(&seen, |key| found.push(key));
    found.sort_unstable();
    let told = line.said().map(|said| {
        let mut keys = said.keys().to_vec();
        keys.sort_unstable();
        (keys, said.micros)
    });
    (told, (found, seen.micros().unwrap()))
}

/// A text as callers write them: none, short, with what JSON escapes, or longer than a record repeats.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just(String::new()),
        6 => "[a-z]{1,8}",
        2 => any::<String>(),
        1 => Just(long()),
    ]
}

/// A text that is cut.
fn long() -> String {
    "z".repeat(1_025)
}

fn named(id: String) -> Datum {
    Datum::Record(vec![("id".to_owned(), Datum::String(id))])
}

fn context() -> impl Strategy<Value = Vec<(String, Datum)>> {
    let session = prop_oneof![
        text().prop_map(named),
        text().prop_map(|id| Datum::Record(vec![
            ("a".to_owned(), named(id.clone())),
            ("id".to_owned(), Datum::String(id))
        ])),
        text().prop_map(Datum::String),
        Just(Datum::Record(vec![("id".to_owned(), Datum::Long(7))])),
        Just(Datum::Record(vec![("calls".to_owned(), Datum::Long(7))])),
        Just(Datum::Record(Vec::new())),
        // No session, whatever it holds.
        text().prop_map(|id| Datum::List(vec![named(id)])),
        // More than is told.
        Just(Datum::String("a".repeat(5_000))),
    ];
    proptest::option::of(session).prop_map(|session| {
        let other = ("id".to_owned(), named("none".to_owned()));
        let session = session.map(|session| ("session".to_owned(), session));
        [other].into_iter().chain(session).collect()
    })
}

fn evidence() -> impl Strategy<Value = Option<Box<Evidence>>> {
    proptest::option::of((text(), text()).prop_map(|(session_id, conversation_id)| {
        Box::new(Evidence { session_id, conversation_id, ..Evidence::default() })
    }))
}

/// All, nothing, or what is listed is told.
fn fields_told() -> impl Strategy<Value = Fields> {
    prop_oneof![
        Just(fields(true)),
        Just(Fields::new(Disclose::Nothing, [], None)),
        Just(Fields::new(Disclose::Everything, [], None)),
        proptest::sample::select(vec!["context", "context.session", "context.session.id"])
            .prop_map(|path| Fields::new(Disclose::Listed, [(path, Disclosure::Clear)], None)),
    ]
}

fn hop(principal: &str) -> HopOutcome {
    let decision =
        Decision { principal: uid(principal), hops: Vec::new(), ..Decision::clone(&decision().decision) };
    HopOutcome { hop: 0, role: Role::Delegator, grant: None::<GrantName>, decision }
}

fn uid(id: &str) -> cedar_policy::EntityUid {
    cedar_policy::EntityUid::from_type_name_and_id(
        "Mandate::User".parse().unwrap(),
        cedar_policy::EntityId::new(id),
    )
}

proptest! {
    #[test]
    fn what_is_told_of_a_line_is_what_is_found_in_it(
        principal in text(),
        givers in proptest::collection::vec(text(), 0..5),
        acts in any::<bool>(),
        action in text(),
        (type_name, resource) in (text(), text()),
        policies in 0..12_usize,
        context in context(),
        evidence in evidence(),
        (id, nanos) in (any::<u128>(), 0..4_000_000_000_000_000_000_u64),
        allows in any::<bool>(),
        fields in fields_told(),
    ) {
        let mut record = decision();
        (record.id, record.at) = (Uuid::from_u128(id), std::time::UNIX_EPOCH + Duration::from_nanos(nanos));
        record.evidence = evidence;
        record.request.context = context;
        record.request.resource = Reference::new(type_name, resource);
        let decided = Arc::get_mut(&mut record.decision).unwrap();
        decided.principal = uid(&principal);
        decided.action = cedar_policy::EntityUid::from_type_name_and_id(
            "Mandate::Action".parse().unwrap(),
            cedar_policy::EntityId::new(action),
        );
        decided.effect = if allows { Effect::Allow } else { Effect::Deny };
        decided.determining = vec![policy("permit(principal, action, resource);"); policies];
        decided.hops = givers.iter().map(|giver| hop(giver)).collect();
        if acts {
            decided.hops.push(hop(&principal));
        }
        let is_cut = format!("{record:?}").contains(&long());
        let (told, found) = both(record, &fields);
        match told {
            Some(told) => prop_assert_eq!(told, found),
            None => prop_assert!(is_cut || found.0.len() > 16),
        }
    }
}

#[test]
fn one_of_many_is_no_session() {
    let fields = Fields::new(Disclose::Listed, [("context.session.id", Disclosure::Clear)], None);
    let mut record = decision();
    record.evidence = None;
    record.request.context = vec![("session".to_owned(), Datum::List(vec![named("one".to_owned())]))];
    let (told, found) = both(record, &fields);
    assert_eq!(told, Some(found));
}

#[test]
fn most_lines_need_not_be_read() {
    let (told, found) = both(decision(), &fields(false));
    assert_eq!(told, Some(found));
}
