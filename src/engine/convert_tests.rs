//! The law of conversion: what it accepts fits the schema by Cedar's own judgement, and Cedar JSON means here what it
//! means to Cedar.

use std::sync::LazyLock;

use cedar_policy::{Context, EntityUid};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::catalog::Domain;
use super::cedar::context_of;
use super::compile::{Options, Sources, compile};
use super::convert::{Converter, Form};
use super::datum::Datum;
use super::problem::SourceFile;
use super::world::World;

const SCHEMA: &str = r#"
    namespace N {
        entity Color enum ["red", "green"];
        entity U;
        action a appliesTo { principal: U, resource: U, context: {
            b: Bool, l: Long, s: String, c: Color, u: U,
            d?: decimal, i?: ipaddr, t?: datetime, p?: duration,
            ls?: Set<Long>, us?: Set<U>, r?: { x?: Long, y?: { z: String } }
        } };
    }"#;

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), bytes: text.into() };
    let sources = Sources {
        policies: vec![file("p.cedar", "@id(\"p\") permit(principal, action, resource);")],
        schemas: vec![file("s.cedarschema", SCHEMA)],
        ..Sources::default()
    };
    let options = Options {
        domain: Domain { chain_required: Vec::new(), ..Domain::in_namespace("N") },
        ..Options::default()
    };
    compile(&sources, &options).unwrap().world
});

fn action() -> EntityUid {
    "N::Action::\"a\"".parse().unwrap()
}

fn ours(world: &World, form: Form, context: &Value) -> Result<Context, String> {
    let catalog = &world.generation.catalog;
    let datum: Datum = serde_json::from_value(context.clone()).unwrap();
    let Datum::Record(members) = datum else { panic!("an object") };
    let declared = &catalog.action(&action()).unwrap().supplied;
    let converted = Converter::new(catalog, form, "context").record(&members, declared);
    converted.map(context_of).map_err(|error| error.to_string())
}

fn cedars(world: &World, context: &Value) -> Result<Context, String> {
    let schema = &world.generation.catalog.schema;
    let parsed =
        Context::from_json_value(context.clone(), Some((schema, &action()))).map_err(|e| e.to_string())?;
    // Parsing follows the schema, but only validation holds the result to it.
    parsed.validate(schema, &action()).map(|()| parsed).map_err(|error| error.to_string())
}

/// A member's value: usually of its type, sometimes of another.
fn member(fitting: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let other = prop_oneof![
        Just(json!(true)),
        Just(json!("text")),
        Just(json!([])),
        Just(json!({})),
        Just(json!(1)),
        Just(json!({"type": "N::U", "id": "x"})),
        Just(json!({"__entity": {"type": "N::Color", "id": "blue"}})),
        Just(json!({"__extn": {"fn": "ip", "arg": "1.2.3.4"}})),
    ];
    prop_oneof![24 => fitting, 1 => other].boxed()
}

fn one_of(values: &[Value]) -> BoxedStrategy<Value> {
    proptest::sample::select(values.to_vec()).boxed()
}

/// Values of each member: fitting ones, and near misses.
const MEMBERS: &str = r#"{
    "b": [true, false],
    "l": [0, -1, 9223372036854775807, -9223372036854775808, 1.5],
    "s": ["", "text", "\u0000\"", "{}"],
    "c": [{"type": "N::Color", "id": "red"}, {"__entity": {"type": "N::Color", "id": "green"}}],
    "u": [{"type": "N::U", "id": "x"}, {"__entity": {"type": "N::U", "id": "\u0000\""}}],
    "d": ["1.5", {"__extn": {"fn": "decimal", "arg": "-0.0001"}}, "1.00001", "1"],
    "i": ["10.0.0.0/8", {"__extn": {"fn": "ip", "arg": "::1"}}, "10.0.0.256"],
    "t": ["2026-11-22", "2026-11-22T10:00:00Z", "2026-11-22T10:00:00.500+0100", "2026-02-30", "tomorrow"],
    "p": ["1h30m", {"__extn": {"fn": "duration", "arg": "5ms"}}, "1y"],
    "ls": [[], [1, 2, 1], [1, "2"]],
    "us": [[], [{"type": "N::U", "id": "a"}, {"__entity": {"type": "N::U", "id": "b"}}]],
    "r": [{}, {"x": 1}, {"y": {"z": "q"}}, {"y": {}}, {"q": 1}]
}"#;

fn context() -> impl Strategy<Value = Value> {
    let members: serde_json::Map<String, Value> = serde_json::from_str(MEMBERS).unwrap();
    let members: Vec<_> = members
        .into_iter()
        .map(|(name, values)| {
            // The first five are required; now and then one is missing all the same.
            let presence = if ["b", "l", "s", "c", "u"].contains(&name.as_str()) { 0.99 } else { 0.5 };
            let value = member(one_of(values.as_array().unwrap()));
            proptest::option::weighted(presence, value)
                .prop_map(move |value| value.map(|value| (name.clone(), value)))
        })
        .collect();
    members.prop_map(|members| Value::Object(members.into_iter().flatten().collect()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cedar_json_means_what_it_means_to_cedar(context in context()) {
        match (ours(&WORLD, Form::CedarJson, &context), cedars(&WORLD, &context)) {
            (Ok(ours), Ok(cedars)) => prop_assert_eq!(ours, cedars),
            (Err(_), Err(_)) => {}
            (ours, cedars) => prop_assert!(false, "{context}: here {ours:?}, there {cedars:?}"),
        }
    }

    #[test]
    fn what_is_accepted_fits_the_schema(context in context()) {
        for form in [Form::Plain, Form::Arguments, Form::CedarJson] {
            if let Ok(converted) = ours(&WORLD, form, &context) {
                prop_assert!(converted.validate(&WORLD.generation.catalog.schema, &action()).is_ok(), "{context}");
            }
        }
    }
}

#[test]
fn the_generated_contexts_are_of_both_kinds() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let contexts: Vec<_> = (0..200).map(|_| context().new_tree(&mut runner).unwrap().current()).collect();
    let accepted = contexts.iter().filter(|context| ours(&WORLD, Form::CedarJson, context).is_ok()).count();
    assert!((10..190).contains(&accepted), "{accepted} of 200 are accepted");
}

#[test]
fn a_datetime_is_read_as_rfc_3339_or_as_cedar_writes_it() {
    let fits = |text: &str| {
        let context = json!({"b": true, "l": 1, "s": "", "c": {"type": "N::Color", "id": "red"},
                             "u": {"type": "N::U", "id": "x"}, "t": text});
        ours(&WORLD, Form::Plain, &context).is_ok()
    };
    for accepted in
        ["2026-11-22", "2026-11-22T10:00:00Z", "2026-11-22T10:00:00.5+01:00", "2026-11-22T10:00:00.500+0100"]
    {
        assert!(fits(accepted), "{accepted}");
    }
    for refused in [
        "2016-12-31T23:59:60Z",
        "2026-11-22T10:00:00-05:00[America/New_York]",
        "2026-11-22T10:00:00+25:59",
        "+002026-11-22T10:00:00Z",
        "2026-11-22 10:00:00Z",
        "2026-11-22T10:00:00.0001Z",
        "2026-11-22T10:00:00",
        "2026-02-30T10:00:00Z",
    ] {
        assert!(!fits(refused), "{refused}");
    }
}

#[track_caller]
fn check_decimal(number: &str, expected: Option<&str>) {
    let text = format!(
        r#"{{"b":true,"l":1,"s":"","c":{{"type":"N::Color","id":"red"}},"u":{{"type":"N::U","id":"x"}},"d":{number}}}"#
    );
    let converted = ours(&WORLD, Form::Plain, &serde_json::from_str(&text).unwrap());
    let decimal = converted.map(|context| context.get("d").map(|value| value.to_string()));
    assert_eq!(decimal.ok().flatten().as_deref(), expected, "{number}");
}

#[test]
fn a_number_is_a_decimal_only_if_four_places_hold_it() {
    check_decimal("1", Some(r#"decimal("1.0")"#));
    check_decimal("-0.0001", Some(r#"decimal("-0.0001")"#));
    check_decimal("19.99", Some(r#"decimal("19.99")"#));
    check_decimal("733978830524111.0", Some(r#"decimal("733978830524111.0")"#));
    check_decimal("1e2", Some(r#"decimal("100.0")"#));
    check_decimal("-0.0", Some(r#"decimal("0.0")"#));
    for inexact in [
        "0.00001",
        "1e-7",
        "0.30000000000000004",
        "1e21",
        "1e300",
        "922337203685478",
        "9007199254740993",
        "900000000000000.1234",
        "872682145908.7718",
    ] {
        check_decimal(inexact, None);
    }
}
