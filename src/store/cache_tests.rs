//! K4: different questions never share a key, whatever their parts look like side by side.

use proptest::prelude::*;

use super::*;

/// Few texts that run into each other when they are only put side by side.
fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "aa", "b", "ab", "a\0", "\0\0\0\u{1}a", "é", "e\u{301}"])
        .prop_map(str::to_owned)
}

fn reference() -> impl Strategy<Value = Reference> {
    (text(), text()).prop_map(|(type_name, id)| Reference { type_name, id })
}

fn members(value: impl Strategy<Value = Datum>) -> impl Strategy<Value = Vec<(String, Datum)>> {
    prop::collection::btree_map(text(), value, 0..3)
        .prop_map(|members| members.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
}

fn datum() -> impl Strategy<Value = Datum> {
    let leaf = prop_oneof![
        Just(Datum::Null),
        any::<bool>().prop_map(Datum::Bool),
        (-1..=1_i64).prop_map(Datum::Long),
        (-1..=1_i64).prop_map(Datum::Datetime),
        prop::sample::select(vec![0.0, 1.0, 1.5]).prop_map(Datum::Number),
        text().prop_map(Datum::String),
        text().prop_map(Datum::Decimal),
        text().prop_map(Datum::Ip),
        text().prop_map(Datum::Duration),
        reference().prop_map(Datum::Entity),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Datum::List),
            members(inner).prop_map(Datum::Record),
        ]
    })
}

fn form() -> impl Strategy<Value = Form> {
    prop::sample::select(vec![Form::Plain, Form::Typed, Form::CedarJson, Form::Arguments])
}

fn entity() -> impl Strategy<Value = RequestEntity> {
    let parents = prop::collection::vec(reference(), 0..3);
    (reference(), form(), members(datum()), members(datum()), parents).prop_map(
        |(uid, form, attributes, tags, parents)| RequestEntity { uid, form, attributes, tags, parents },
    )
}

fn question() -> impl Strategy<Value = AuthzRequest> {
    let parties = (reference(), reference(), reference());
    let asserted = (form(), members(datum()), prop::option::of(datum()));
    (parties, asserted, prop::collection::vec(entity(), 0..3), any::<bool>()).prop_map(
        |((principal, action, resource), (context_form, context, arguments), entities, explain)| {
            AuthzRequest {
                context_form,
                context,
                arguments,
                entities,
                explain,
                ..AuthzRequest::new(principal, action, resource)
            }
        },
    )
}

/// The question less what makes no difference: the order of members, and how much is told.
fn essence(mut question: AuthzRequest) -> AuthzRequest {
    question.explain = false;
    sort(&mut question.context);
    question.arguments.iter_mut().for_each(sort_within);
    for entity in &mut question.entities {
        sort(&mut entity.attributes);
        sort(&mut entity.tags);
    }
    question
}

fn sort(members: &mut [(String, Datum)]) {
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    members.iter_mut().for_each(|(_, value)| sort_within(value));
}

fn sort_within(datum: &mut Datum) {
    match datum {
        Datum::List(elements) => elements.iter_mut().for_each(sort_within),
        Datum::Record(members) => sort(members),
        _ => {}
    }
}

fn key(question: &AuthzRequest) -> Key {
    Key::of(question).expect("short enough")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn keys_are_equal_exactly_if_questions_are(one in question(), other in question()) {
        prop_assert_eq!(key(&one) == key(&other), essence(one) == essence(other));
    }

    /// Two questions drawn at random differ in nearly everything; these differ in one place at most.
    #[test]
    fn one_part_replaced_is_another_key(one in question(), other in question(), part in 0..7_usize) {
        let mut changed = one.clone();
        match part {
            0 => changed.principal = other.principal,
            1 => changed.action = other.action,
            2 => changed.resource = other.resource,
            3 => changed.context_form = other.context_form,
            4 => changed.context = other.context,
            5 => changed.arguments = other.arguments,
            _ => changed.entities = other.entities,
        }
        prop_assert_eq!(key(&one) == key(&changed), essence(one) == essence(changed));
    }
}

#[test]
fn what_stands_side_by_side_is_told_apart() {
    let question = |principal: (&str, &str), context: Datum| AuthzRequest {
        context: vec![("x".to_owned(), context)],
        ..AuthzRequest::new(
            Reference::new(principal.0, principal.1),
            Reference::new("", "read"),
            Reference::new("T", "r"),
        )
    };
    let text = |text: &str| Datum::String(text.to_owned());
    let list = |elements: &[Datum]| Datum::List(elements.to_vec());
    let pairs = [
        (question(("A", "b"), Datum::Null), question(("", "Ab"), Datum::Null)),
        (question(("A", "b"), Datum::Long(1)), question(("A", "b"), text("1"))),
        (question(("A", "b"), Datum::Long(1)), question(("A", "b"), Datum::Number(1.0))),
        (
            question(("A", "b"), list(&[list(&[text("a")]), text("b")])),
            question(("A", "b"), list(&[list(&[text("a"), text("b")])])),
        ),
        (
            question(("A", "b"), Datum::Decimal("1.0".to_owned())),
            question(("A", "b"), Datum::Decimal("1.00".to_owned())),
        ),
        (question(("A", "b"), list(&[])), question(("A", "b"), Datum::Record(Vec::new()))),
    ];
    for (one, other) in pairs {
        assert_ne!(key(&one), key(&other), "{one:?} {other:?}");
    }
}

#[test]
fn a_question_too_long_to_remember_has_no_key() {
    let mut question =
        AuthzRequest::new(Reference::new("A", "b"), Reference::new("", "read"), Reference::new("T", "r"));
    assert!(Key::of(&question).is_some());
    question.context.push(("x".to_owned(), Datum::String("x".repeat(MAX_KEY_BYTES))));
    assert!(Key::of(&question).is_none());
}
