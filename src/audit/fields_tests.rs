use proptest::prelude::*;

use super::*;
use crate::engine::datum::{Datum, Reference};
use crate::engine::disclosure::SILENT;

fn text(value: &str) -> Datum {
    Datum::String(value.to_owned())
}

fn record(members: &[(&str, Datum)]) -> Vec<(String, Datum)> {
    members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn question(context: Vec<(String, Datum)>, arguments: Option<Datum>) -> AuthzRequest {
    let name = |id: &str| Reference::new("User", id);
    AuthzRequest { context, arguments, ..AuthzRequest::new(name("ana"), name("reads"), name("plan")) }
}

fn said(paths: &[(&str, Disclosure)]) -> Disclosures {
    let mut said = Disclosures::default();
    for (path, disclosure) in paths {
        said.say(path.split('.'), *disclosure);
    }
    said
}

fn fields(rules: &[(&str, Disclosure)]) -> Fields {
    Fields::new(Disclose::Listed, rules.iter().copied(), None)
}

fn context_of(facts: &Facts) -> String {
    String::from_utf8(facts.context.as_deref().unwrap_or_default().to_vec()).unwrap()
}

fn session() -> AuthzRequest {
    let session =
        record(&[("id", text("s-1")), ("purpose", text("secret plans")), ("calls", Datum::Number(3.0))]);
    question(record(&[("session", Datum::Record(session)), ("note", text("private"))]), None)
}

#[test]
fn what_nobody_listed_is_left_out_and_named() {
    let annotated = said(&[("session.id", Disclosure::Clear), ("session.calls", Disclosure::Clear)]);
    let facts = fields(&[]).facts(&session(), &annotated, SystemTime::now());
    assert_eq!(context_of(&facts), r#"{"session":{"id":"s-1","calls":3}}"#);
    assert_eq!(facts.masked, ["context.session.*", "context.*"]);
    assert!(facts.context_digest.unwrap().starts_with("sha256:"));
}

#[test]
fn names_that_the_schema_declares_are_told_of_what_is_left_out() {
    let mut annotated = said(&[("session.id", Disclosure::Clear)]);
    let mut session_said = annotated.member("session").unwrap().clone();
    session_said.put("purpose", Disclosures::default());
    session_said.put("calls", Disclosures::default());
    annotated.put("session", session_said);
    let facts = fields(&[]).facts(&session(), &annotated, SystemTime::now());
    assert_eq!(facts.masked, ["context.session.purpose", "context.session.calls", "context.*"]);
}

#[test]
fn what_is_said_nearest_to_a_value_counts_and_the_configuration_before_the_schema() {
    let annotated = said(&[("session", Disclosure::Clear), ("session.purpose", Disclosure::Masked)]);
    let told = |rules: &[_]| context_of(&fields(rules).facts(&session(), &annotated, SystemTime::now()));
    assert_eq!(told(&[]), r#"{"session":{"id":"s-1","calls":3}}"#);
    let all = r#"{"session":{"id":"s-1","purpose":"secret plans","calls":3}}"#;
    assert_eq!(told(&[("context.session.purpose", Disclosure::Clear)]), all);
    assert_eq!(told(&[("context.session", Disclosure::Masked)]), "");
    let note = r#"{"session":{"id":"s-1","calls":3},"note":"private"}"#;
    assert_eq!(told(&[("context", Disclosure::Clear)]), note);
}

#[test]
fn nothing_and_everything_mean_what_they_say() {
    let annotated = said(&[("session", Disclosure::Clear)]);
    let request = question(session().context, Some(Datum::Record(record(&[("path", text("/etc"))]))));
    let facts = |disclose| {
        let rules = [("context", Disclosure::Clear), ("arguments", Disclosure::Masked)];
        Fields::new(disclose, rules, None).facts(&request, &annotated, SystemTime::now())
    };
    let nothing = facts(Disclose::Nothing);
    let masked = ["context_digest", "context", "arguments_digest", "arguments"].map(str::to_owned).to_vec();
    assert_eq!(nothing, Facts { masked, ..Facts::default() });
    let everything = facts(Disclose::Everything);
    assert!(context_of(&everything).contains("private") && everything.masked.is_empty());
    assert_eq!(everything.arguments.as_deref(), Some(br#"{"path":"/etc"}"#.as_slice()));
}

#[test]
fn arguments_are_told_as_the_typed_action_says() {
    let arguments = Datum::Record(record(&[("path", text("/etc")), ("content", text("secret"))]));
    let annotated = said(&[("input.path", Disclosure::Clear)]);
    let facts = fields(&[]).facts(&question(Vec::new(), Some(arguments)), &annotated, SystemTime::now());
    assert_eq!(facts.arguments.as_deref(), Some(br#"{"path":"/etc"}"#.as_slice()));
    assert_eq!(facts.masked, ["arguments.*"]);
}

#[test]
fn equal_values_have_equal_keyed_digests_and_without_a_key_nothing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let salts = Salts::open(folder.path()).unwrap();
    let rules = [("context.note", Disclosure::Hmac)];
    let told = |salts| {
        let fields = Fields::new(Disclose::Listed, rules, salts);
        context_of(&fields.facts(&session(), &SILENT, SystemTime::now()))
    };
    let one = told(Some(Arc::clone(&salts)));
    assert!(one.starts_with(r#"{"note":"hmac:20"#) && !one.contains("private"), "{one}");
    assert_eq!(one, told(Some(salts)));
    assert_eq!(told(None), "");
}

#[test]
fn lists_of_records_are_told_member_by_member() {
    let file = |path: &str| Datum::Record(record(&[("path", text(path)), ("content", text("secret"))]));
    let request = question(record(&[("files", Datum::List(vec![file("a"), file("b")]))]), None);
    let facts = fields(&[]).facts(&request, &said(&[("files.path", Disclosure::Clear)]), SystemTime::now());
    assert_eq!(context_of(&facts), r#"{"files":[{"path":"a"},{"path":"b"}]}"#);
    assert_eq!(facts.masked, ["context.files.*"]);
}

fn data() -> impl Strategy<Value = Datum> {
    let leaf = prop_oneof![
        Just(text("CANARY")),
        Just(Datum::Ip("CANARY".to_owned())),
        Just(Datum::Entity(Reference::new("CANARY", "CANARY")))
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let members = proptest::collection::vec(("[abc]|CANARY", inner.clone()), 0..4);
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Datum::List),
            members.prop_map(Datum::Record)
        ]
    })
}

fn rules() -> impl Strategy<Value = Vec<(String, Disclosure)>> {
    let word = prop_oneof![Just(Disclosure::Masked), Just(Disclosure::Hmac)];
    proptest::collection::vec(("(context|arguments)(\\.[abc]){0,3}", word), 0..5)
}

proptest! {
    /// Whatever shape a question has, and whatever rules and schema name: without a `clear` none of its words is told.
    #[test]
    fn what_is_cleared_nowhere_is_told_nowhere(value in data(), other in data(), rules in rules(), annotated in rules()) {
        let folder = tempfile::tempdir().unwrap();
        let rules = rules.iter().map(|(path, word)| (path.as_str(), *word));
        let fields = Fields::new(Disclose::Listed, rules, Some(Salts::open(folder.path()).unwrap()));
        let annotated: Vec<_> = annotated.iter().map(|(path, word)| (path.as_str(), *word)).collect();
        let request = question(vec![("a".to_owned(), value), ("CANARY".to_owned(), other.clone())], Some(other));
        let facts = fields.facts(&request, &said(&annotated), SystemTime::now());
        let told = format!("{:?}{:?}", context_of(&facts), facts.masked);
        prop_assert!(!told.contains("CANARY"), "{}", told);
        let arguments = String::from_utf8(facts.arguments.unwrap_or_default().to_vec()).unwrap();
        prop_assert!(!arguments.contains("CANARY"), "{}", arguments);
    }

    /// What is told is JSON, whatever is left out of it.
    #[test]
    fn what_is_told_is_json(value in data(), rules in rules(), clear in "context(\\.[abc]){0,3}") {
        let rules = rules.iter().map(|(path, word)| (path.as_str(), *word)).chain([(clear.as_str(), Disclosure::Clear)]);
        let fields = Fields::new(Disclose::Listed, rules, None);
        let facts = fields.facts(&question(vec![("a".to_owned(), value)], None), &SILENT, SystemTime::now());
        if facts.context.is_some() {
            serde_json::from_str::<serde_json::Value>(&context_of(&facts)).unwrap();
        }
    }
}
