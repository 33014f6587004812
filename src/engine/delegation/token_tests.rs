//! Verified tokens: whom they name, what they hand on, and whom they stand in for (D8).

use std::sync::{Arc, LazyLock};

use super::scene_for_tests::{self, HOUR, NOW, Scene, WORLD};
use crate::engine::authorize::{Now, authorize};
use crate::engine::convert::Form;
use crate::engine::datum::{Datum, Reference};
use crate::engine::decision::{Decision, Effect, GrantName};
use crate::engine::request::{InvalidRequest, RequestEntity};
use crate::engine::subject::{Subject, TokenGrant};
use crate::engine::world::World;

fn named(kind: &str, id: &str) -> Reference {
    Reference::new(format!("Mandate::{kind}"), id)
}

/// A token of Ana's, by which a1 acts, and what it hands on.
fn token() -> Subject {
    Subject {
        root: named("User", "ana"),
        actors: vec![named("Agent", "a1")],
        grant: Some(TokenGrant {
            actions: vec![named("Action", "call_tool")],
            scopes: vec![named("Toolset", "all"), named("Data", "d0")],
            purpose: "token".to_owned(),
        }),
        facts: vec![
            ("issuer".to_owned(), Datum::String("https://issuer.example".to_owned())),
            ("scopes".to_owned(), Datum::List(Vec::new())),
            ("issued".to_owned(), Datum::Datetime(NOW)),
            ("bound".to_owned(), Datum::Bool(false)),
        ],
        principal: None,
        expires: Now(NOW + HOUR),
        digest: "sha256:7".to_owned(),
    }
}

/// The scene's request by whoever the token says acts, showing the token and these delegations.
fn ask(world: &World, subject: &Subject, delegations: &[&str]) -> Result<Decision, InvalidRequest> {
    let mut request = Scene::allowed().request();
    request.principal = Reference::new("", "");
    request.delegations = delegations.iter().map(|id| named("Delegation", id)).collect();
    request.subject = Some(Arc::new(subject.clone()));
    authorize(world, &request, Now(NOW))
}

#[track_caller]
fn check_allowed(decision: &Decision) {
    assert_eq!(decision.effect, Effect::Allow, "{:?}", decision.denial);
}

#[track_caller]
fn check_denied(name: &str, decision: &Decision, code: &str, hop: usize) {
    assert_eq!(decision.effect, Effect::Deny, "{name}");
    let denial = decision.denial.as_ref().unwrap();
    assert_eq!(denial.code.as_str(), code, "{name}: {}", denial.message);
    assert_eq!(decision.denied_hop().map_or(0, |denied| denied.hop), hop, "{name}");
}

#[test]
fn a_token_that_is_a_grant_is_a_chain_of_one() {
    let decision = ask(&WORLD, &token(), &[]).unwrap();
    check_allowed(&decision);
    let roles: Vec<_> = decision.hops.iter().map(|hop| hop.role.as_str()).collect();
    assert_eq!(roles, ["delegator", "actor"]);
    assert_eq!(decision.hops[1].grant, Some(GrantName::Token("sha256:7".into())));
    assert_eq!(decision.validity.ends_after(Now(NOW)), Some(Now(NOW + HOUR)));
}

type Change = fn(&mut Subject);

fn grant(subject: &mut Subject) -> &mut TokenGrant {
    subject.grant.as_mut().unwrap()
}

const HOSTILE: [(&str, Change, &str, usize); 10] = [
    ("a token that hands nothing on", |t| t.grant = None, "chain_required", 1),
    ("another action", |t| grant(t).actions = vec![named("Action", "list_tools")], "grant_not_covering", 1),
    ("no action", |t| grant(t).actions.clear(), "grant_not_covering", 1),
    ("no resource", |t| drop(grant(t).scopes.remove(0)), "grant_not_covering", 1),
    ("no data", |t| drop(grant(t).scopes.remove(1)), "grant_not_covering", 1),
    ("expired this instant", |t| t.expires = Now(NOW), "grant_expired", 1),
    ("somebody in between, who proves nothing", |t| t.actors.push(named("Agent", "a2")), "token_chain", 0),
    ("of a person who is not active", |t| t.root = named("User", "gone"), "forbidden", 0),
    ("of a person who is not known", |t| t.root = named("User", "new"), "unknown_principal", 0),
    ("of an agent that may not act alone", |t| t.root = named("Agent", "a5"), "chain_root", 0),
];

#[test]
fn a_token_hands_on_what_it_says_and_no_more() {
    for (name, change, code, hop) in HOSTILE {
        let mut subject = token();
        change(&mut subject);
        check_denied(name, &ask(&WORLD, &subject, &[]).unwrap(), code, hop);
    }
}

#[test]
fn the_root_of_a_token_without_actors_acts_itself() {
    let own = |kind, id| Subject { root: named(kind, id), actors: Vec::new(), grant: None, ..token() };
    let decision = ask(&WORLD, &own("User", "ana"), &[]).unwrap();
    check_allowed(&decision);
    assert!(decision.hops.is_empty(), "there is no chain");
    check_allowed(&ask(&WORLD, &own("Agent", "free"), &[]).unwrap());
    check_denied("an agent", &ask(&WORLD, &own("Agent", "a1"), &[]).unwrap(), "chain_required", 0);
}

#[test]
fn a_principal_beside_the_tokens_actor_is_the_callers_mistake() {
    let mut request = Scene::allowed().request();
    request.delegations.clear();
    request.subject = Some(Arc::new(token()));
    for (kind, id) in [("Agent", "a3"), ("User", "ana"), ("Agent", "")] {
        request.principal = named(kind, id);
        assert_eq!(authorize(&WORLD, &request, Now(NOW)).unwrap_err().field, "principal");
    }
    request.principal = named("Agent", "a1");
    check_allowed(&authorize(&WORLD, &request, Now(NOW)).unwrap());
}

/// Ana's token by which these act, the actor first.
fn of_actors(actors: &[&str]) -> Subject {
    Subject { actors: actors.iter().map(|id| named("Agent", id)).collect(), grant: None, ..token() }
}

#[test]
fn a_token_and_delegations_are_of_the_same_principals() {
    let world = Scene::allowed().world();
    for actors in [&["a3"][..], &["a3", "a2", "a1"]] {
        check_allowed(&ask(&world, &of_actors(actors), &["g3"]).unwrap());
    }
    for actors in [&["a3", "a2"][..], &["a3", "a1", "a2"], &["a3", "a1"], &["a3", "a2", "a1", "a4"]] {
        check_denied("others", &ask(&world, &of_actors(actors), &["g3"]).unwrap(), "token_chain", 0);
    }
    let eves = Subject { root: named("User", "eve"), ..of_actors(&["a3"]) };
    check_denied("another root", &ask(&world, &eves, &["g3"]).unwrap(), "token_chain", 0);
    let thief = ask(&world, &of_actors(&["a4"]), &["g3"]).unwrap();
    check_denied("another actor", &thief, "grant_delegate", 3);
    let own = Subject { actors: Vec::new(), ..token() };
    check_denied("nobody acts", &ask(&world, &own, &["g3"]).unwrap(), "token_chain", 0);
}

#[test]
fn a_token_shown_besides_delegations_narrows_them() {
    let world = Scene::allowed().world();
    let mut subject = Subject { grant: token().grant, ..of_actors(&["a3"]) };
    check_allowed(&ask(&world, &subject, &["g3"]).unwrap());
    subject.expires = Now(NOW + 1);
    assert_eq!(ask(&world, &subject, &["g3"]).unwrap().validity.ends_after(Now(NOW)), Some(Now(NOW + 1)));
    let expired = Subject { expires: Now(NOW), ..subject.clone() };
    check_denied("expired this instant", &ask(&world, &expired, &["g3"]).unwrap(), "grant_expired", 3);
    grant(&mut subject).scopes.clear();
    check_denied("narrower", &ask(&world, &subject, &["g3"]).unwrap(), "grant_not_covering", 3);
}

/// The world in which a token may stand in for people and agents.
static TOKEN_SCOPED: LazyLock<World> = LazyLock::new(|| {
    scene_for_tests::world(|schema| {
        let marked = schema.replacen("  entity User in", "  @token_scoped\n  entity User in", 1);
        let marked = marked.replacen("  entity Agent in", "  @token_scoped\n  entity Agent in", 1);
        assert_eq!(marked.matches("@token_scoped").count(), 2, "the schema declares both types");
        marked
    })
});

/// A person as a token tells of her.
fn person(id: &str, active: bool, team: &str) -> RequestEntity {
    RequestEntity {
        uid: named("User", id),
        form: Form::Typed,
        attributes: vec![
            ("active".to_owned(), Datum::Bool(active)),
            ("clearance".to_owned(), Datum::Long(3)),
        ],
        tags: Vec::new(),
        parents: vec![named("Team", team)],
    }
}

fn bringing(entity: RequestEntity) -> Subject {
    Subject { root: entity.uid.clone(), principal: Some(entity), ..token() }
}

#[test]
fn a_token_stands_in_for_a_principal_that_is_not_stored() {
    check_allowed(&ask(&TOKEN_SCOPED, &bringing(person("new", true, "eng")), &[]).unwrap());
    let inactive = ask(&TOKEN_SCOPED, &bringing(person("new", false, "eng")), &[]).unwrap();
    check_denied("what it says counts", &inactive, "forbidden", 0);
    let unknown = ask(&TOKEN_SCOPED, &bringing(person("new", true, "nobodys")), &[]).unwrap();
    check_denied("a group that is not stored", &unknown, "unknown_entity", 0);
}

#[test]
fn whoever_a_token_stands_in_for_is_in_what_her_groups_are_in() {
    let mut request = Scene { tool: "t3", ..Scene::allowed() }.request();
    request.delegations.clear();
    request.principal = Reference::new("", "");
    let mut subject = Subject { actors: Vec::new(), ..bringing(person("new", true, "eng")) };
    request.subject = Some(Arc::new(subject.clone()));
    let denied = authorize(&TOKEN_SCOPED, &request, Now(NOW)).unwrap();
    assert_eq!(denied.denial.unwrap().policy.as_deref(), Some("no-team"), "all holds eng");
    subject.principal.as_mut().unwrap().parents.clear();
    request.subject = Some(Arc::new(subject));
    check_allowed(&authorize(&TOKEN_SCOPED, &request, Now(NOW)).unwrap());
}

#[test]
fn a_token_alters_nothing_that_is_stored() {
    let decision = ask(&TOKEN_SCOPED, &bringing(person("gone", true, "eng")), &[]).unwrap();
    check_denied("stored as inactive", &decision, "forbidden", 0);
}

#[test]
fn a_token_brings_only_whom_it_is_of_and_the_schema_lets_it() {
    let refused = |world: &World, subject: &Subject| {
        let error = ask(world, subject, &[]).unwrap_err();
        assert_eq!(error.field.split('.').next(), Some("credentials"), "{error}");
        error.message
    };
    assert!(refused(&WORLD, &bringing(person("new", true, "eng"))).contains("@token_scoped"));
    let other = Subject { root: named("User", "ana"), ..bringing(person("new", true, "eng")) };
    assert!(refused(&TOKEN_SCOPED, &other).contains("not of"));
    let mut misfit = person("new", true, "eng");
    misfit.attributes.pop();
    refused(&TOKEN_SCOPED, &bringing(misfit));
    let mut misplaced = person("new", true, "eng");
    misplaced.parents = vec![named("Toolset", "all")];
    assert!(refused(&TOKEN_SCOPED, &bringing(misplaced)).contains("Toolset"));
}

#[test]
fn an_agent_that_a_token_stands_in_for_never_acts_alone() {
    let stored = TOKEN_SCOPED.entities.get(&scene_for_tests::uid("Agent", "free")).unwrap();
    let owned = Datum::Record(vec![
        ("business".to_owned(), Datum::Entity(named("User", "ana"))),
        ("technical".to_owned(), Datum::Entity(named("User", "ana"))),
        ("reviewed".to_owned(), Datum::Datetime(NOW)),
    ]);
    let entity = RequestEntity {
        uid: named("Agent", "new"),
        form: Form::Typed,
        attributes: vec![
            ("owned".to_owned(), owned),
            ("status".to_owned(), Datum::Entity(named("Status", "active"))),
            ("env".to_owned(), Datum::Entity(named("Env", "prod"))),
            ("clearance".to_owned(), Datum::Long(3)),
            ("expires".to_owned(), Datum::Datetime(NOW + HOUR)),
            ("autonomous".to_owned(), Datum::Bool(true)),
        ],
        tags: Vec::new(),
        parents: Vec::new(),
    };
    assert!(stored.attribute("autonomous").is_some(), "the attribute is the one that the engine reads");
    let subject = Subject { actors: Vec::new(), grant: None, ..bringing(entity.clone()) };
    check_denied("alone", &ask(&TOKEN_SCOPED, &subject, &[]).unwrap(), "chain_required", 0);
    let sent = Subject { actors: vec![named("Agent", "new")], principal: Some(entity), ..token() };
    check_allowed(&ask(&TOKEN_SCOPED, &sent, &[]).unwrap());
}
