//! Worlds to hold the law to: many policies of which few cover a request, and many of those fail.

use cedar_policy::{Entities, EntityUid, Policy, PolicySet, Schema, ValidationMode, Validator};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// What generated worlds are typed by, where they are.
pub(in crate::engine) const SCHEMA: &str = r#"
namespace N {
  type Team = { lead: User, refs: Set<User>, note?: String };
  entity Group in [Group] = { level?: Long };
  entity User in [Group] = { level?: Long, manager?: User, team?: Team, friends: Set<User> } tags User;
  entity Doc in [Group, Doc] = { owner: User, level: Long, groups: Set<Group>, mirror?: Doc } tags User;
  action all;
  action read, "écrire" in [all] appliesTo {
    principal: [User], resource: [Doc],
    context: { flag: Bool, count: Long, key: String, who: User, team: Team, about?: Doc },
  };
  action remove appliesTo { principal: [User], resource: [Doc],
    context: { flag: Bool, count: Long, key: String, who: User, team: Team, about?: Doc } };
}
"#;

const USERS: [&str; 8] = ["", "ana", "bo", "ü-ñ", "🦀", "a\\\"b", "eve", "kim"];
const DOCS: [&str; 8] = ["", "d1", "d2", "d3", "路", "d5", "d6", "d7"];
const GROUPS: [&str; 8] = ["", "g1", "g2", "g3", "g4", "g5", "g6", "g7"];
const ACTIONS: [&str; 4] = ["read", "écrire", "remove", "all"];

fn name(kind: &str, ids: &'static [&'static str]) -> impl Strategy<Value = String> + use<> {
    let kind = kind.to_owned();
    select(ids).prop_map(move |id| format!("N::{kind}::\"{id}\""))
}

fn user() -> impl Strategy<Value = String> {
    name("User", &USERS)
}

fn group() -> impl Strategy<Value = String> {
    name("Group", &GROUPS)
}

fn doc() -> impl Strategy<Value = String> {
    name("Doc", &DOCS)
}

/// Expressions that come to a user, through whatever a policy can reach one by.
fn to_user() -> impl Strategy<Value = String> {
    let root = prop_oneof![
        3 => Just("principal".to_owned()),
        3 => Just("resource.owner".to_owned()),
        2 => Just("context.who".to_owned()),
        1 => Just("context.team.lead".to_owned()),
        1 => Just("context.about.owner".to_owned()),
        2 => user(),
    ];
    root.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|user| format!("{user}.manager")),
            inner.clone().prop_map(|user| format!("{user}.team.lead")),
            inner.clone().prop_map(|user| format!("{user}.getTag(context.key)")),
            inner.clone().prop_map(|user| format!("{user}.getTag(\"a\")")),
            inner.clone().prop_map(|user| format!("{{x: {{y: {user}}}, z: 1}}.x.y")),
            (inner.clone(), inner.clone())
                .prop_map(|(one, other)| format!("(if context.flag then {one} else {other})")),
            (inner.clone(), inner).prop_map(|(one, other)| {
                format!("(if {one} has manager then {{u: {one}}} else {{u: {other}}}).u")
            }),
        ]
    })
}

fn test() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        to_user().prop_map(|user| format!("{user}.level > 1")),
        to_user().prop_map(|user| format!("{user} has level")),
        to_user().prop_map(|user| format!("{user} has team.lead")),
        to_user().prop_map(|user| format!("{user}.hasTag(context.key)")),
        (to_user(), group()).prop_map(|(user, group)| format!("{user} in {group}")),
        (to_user(), group()).prop_map(|(user, group)| format!("{user} is N::User in {group}")),
        (to_user(), group(), group()).prop_map(|(user, one, other)| format!("{user} in [{one}, {other}]")),
        to_user().prop_map(|user| format!("{user} in resource.groups")),
        (to_user(), to_user()).prop_map(|(one, other)| format!("{one} == {other}")),
        (to_user(), to_user()).prop_map(|(one, other)| format!("{one}.friends.contains({other})")),
        (to_user(), to_user())
            .prop_map(|(one, other)| format!("{one}.team.refs.containsAny([{other}, principal])")),
        (to_user(), to_user()).prop_map(|(one, other)| format!("{one}.team == {other}.team")),
        (group(), group()).prop_map(|(one, other)| format!("{one} in {other}")),
        Just("resource.mirror.mirror.owner.level < context.count".to_owned()),
        Just("resource.mirror in resource".to_owned()),
        Just("action in N::Action::\"all\"".to_owned()),
        Just("context.flag".to_owned()),
        Just("context.count + 9223372036854775807 > 0".to_owned()),
        Just("context has about && context.about.level > 1".to_owned()),
        // What no validator accepts.
        Just("principal.missing".to_owned()),
        Just("1".to_owned()),
        Just("resource.owner.level".to_owned()),
        Just("context == {flag: true}".to_owned()),
        Just("context.key.level > 1".to_owned()),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

fn scope() -> impl Strategy<Value = (String, String, String)> {
    let principal = prop_oneof![
        1 => Just("principal".to_owned()),
        1 => Just("principal is N::User".to_owned()),
        6 => user().prop_map(|user| format!("principal == {user}")),
        4 => group().prop_map(|group| format!("principal in {group}")),
        3 => group().prop_map(|group| format!("principal is N::User in {group}")),
        1 => Just("principal is N::Doc".to_owned()),
    ];
    let action = prop_oneof![
        2 => Just("action".to_owned()),
        2 => select(&ACTIONS[..3]).prop_map(|id| format!("action == N::Action::\"{id}\"")),
        1 => Just("action in N::Action::\"all\"".to_owned()),
        1 => Just("action in [N::Action::\"all\", N::Action::\"read\", N::Action::\"remove\"]".to_owned()),
    ];
    let resource = prop_oneof![
        1 => Just("resource".to_owned()),
        1 => Just("resource is N::Doc".to_owned()),
        6 => doc().prop_map(|doc| format!("resource == {doc}")),
        4 => group().prop_map(|group| format!("resource in {group}")),
        2 => doc().prop_map(|doc| format!("resource in {doc}")),
        2 => group().prop_map(|group| format!("resource is N::Doc in {group}")),
    ];
    (principal, action, resource)
}

/// A policy's text.
pub(in crate::engine) fn policy() -> impl Strategy<Value = String> {
    let clause = (any::<bool>(), test())
        .prop_map(|(when, test)| format!(" {} {{ {test} }}", if when { "when" } else { "unless" }));
    (any::<bool>(), scope(), proptest::collection::vec(clause, 1..3)).prop_map(
        |(permit, (principal, action, resource), clauses)| {
            let effect = if permit { "permit" } else { "forbid" };
            format!("{effect}({principal}, {action}, {resource}){};", clauses.concat())
        },
    )
}

/// A template's links, as static texts would say them: slots in every place that takes one.
pub(in crate::engine) fn link() -> impl Strategy<Value = (String, EntityUid, EntityUid)> {
    let slots = select(
        &[
            "principal == ?principal, action, resource in ?resource",
            "principal in ?principal, action, resource == ?resource",
            "principal is N::User in ?principal, action, resource is N::Doc in ?resource",
        ][..],
    );
    (any::<bool>(), slots, test(), prop_oneof![user(), group()], prop_oneof![doc(), group()]).prop_map(
        |(permit, slots, test, principal, resource)| {
            let effect = if permit { "permit" } else { "forbid" };
            let text = format!("{effect}({slots}) when {{ {test} }};");
            (text, principal.parse().unwrap(), resource.parse().unwrap())
        },
    )
}

fn to(kind: &str, id: &str) -> Value {
    json!({"__entity": {"type": format!("N::{kind}"), "id": id.replace("\\\"", "\"")}})
}

/// Stored entities: a hierarchy without cycles, some parents and references leading nowhere.
pub(in crate::engine) fn entities() -> impl Strategy<Value = Entities> {
    let numbers = proptest::collection::vec(0_usize..1_000, 200);
    numbers.prop_map(|numbers| {
        let mut numbers = numbers.into_iter().cycle();
        let mut below = move |limit: usize| numbers.next().unwrap_or(0) % limit;
        let mut all = Vec::new();
        for (place, id) in GROUPS.iter().enumerate() {
            let parents: Vec<_> = (0..below(3))
                .filter(|_| place > 0)
                .map(|_| to("Group", GROUPS[below(place.max(1))]))
                .collect();
            let attributes = if below(2) == 0 { json!({"level": below(4)}) } else { json!({}) };
            all.push(json!({"uid": to("Group", id), "attrs": attributes, "parents": parents}));
        }
        for id in USERS.iter().filter(|id| **id != "kim") {
            let parents: Vec<_> = (0..below(4))
                .map(|_| to("Group", if below(12) == 0 { "gone" } else { GROUPS[below(8)] }))
                .collect();
            let mut attributes = json!({"friends": [to("User", USERS[below(8)]), to("User", "ana")]});
            if below(10) > 0 {
                attributes["level"] = json!(below(4));
            }
            if below(10) > 0 {
                attributes["manager"] = to("User", USERS[below(8)]);
            }
            if below(10) > 0 {
                attributes["team"] =
                    json!({"lead": to("User", USERS[below(8)]), "refs": [to("User", USERS[below(8)])]});
            }
            let tags = if below(8) > 0 {
                json!({"a": to("User", USERS[below(8)]), "": to("User", "bo")})
            } else {
                json!({})
            };
            all.push(json!({"uid": to("User", id), "attrs": attributes, "parents": parents, "tags": tags}));
        }
        for (place, id) in DOCS.iter().enumerate().filter(|(_, id)| **id != "d7") {
            let mut parents: Vec<_> = (0..below(3)).map(|_| to("Group", GROUPS[below(8)])).collect();
            if place > 0 && below(2) == 0 {
                parents.push(to("Doc", DOCS[below(place)]));
            }
            let mut attributes = json!({"owner": to("User", USERS[below(8)]), "level": below(4),
                "groups": [to("Group", GROUPS[below(8)]), to("Group", GROUPS[below(8)])]});
            if below(8) > 0 {
                attributes["mirror"] = to("Doc", DOCS[below(8)]);
            }
            all.push(json!({"uid": to("Doc", id), "attrs": attributes, "parents": parents}));
        }
        all.push(json!({"uid": {"type": "N::Action", "id": "all"}, "attrs": {}, "parents": []}));
        for id in ["read", "écrire"] {
            all.push(json!({"uid": {"type": "N::Action", "id": id}, "attrs": {},
                "parents": [{"type": "N::Action", "id": "all"}]}));
        }
        all.push(json!({"uid": {"type": "N::Action", "id": "remove"}, "attrs": {}, "parents": []}));
        Entities::from_json_value(Value::Array(all), None).unwrap()
    })
}

/// Who asks, for what, of what, and with which context.
pub(in crate::engine) fn request() -> impl Strategy<Value = (EntityUid, EntityUid, EntityUid, Value)> {
    let context = (any::<bool>(), 0_i64..4, select(&["a", "", "b"][..]), 0_usize..8, 0_usize..8).prop_map(
        |(flag, count, key, who, about)| {
            let mut context = json!({"flag": flag, "count": count, "key": key, "who": to("User", USERS[who]),
                "team": {"lead": to("User", USERS[about]), "refs": []}});
            if flag {
                context["about"] = to("Doc", DOCS[about]);
            }
            context
        },
    );
    let action = select(&ACTIONS[..3]).prop_map(|id| format!("N::Action::\"{id}\""));
    (user(), action, doc(), context).prop_map(|(principal, action, resource, context)| {
        (principal.parse().unwrap(), action.parse().unwrap(), resource.parse().unwrap(), context)
    })
}

/// Those of the policies that Cedar's strict validator accepts.
pub(in crate::engine) fn validated(policies: &[String]) -> PolicySet {
    let schema = Schema::from_cedarschema_str(SCHEMA).unwrap().0;
    let validator = Validator::new(schema);
    let mut accepted = PolicySet::new();
    for (place, text) in policies.iter().enumerate() {
        let policy =
            Policy::parse(Some(cedar_policy::PolicyId::new(format!("policy{place}"))), text).unwrap();
        let alone = PolicySet::from_policies([policy.clone()]).unwrap();
        if validator.validate(&alone, ValidationMode::Strict).validation_passed() {
            accepted.add(policy).unwrap();
        }
    }
    accepted
}
