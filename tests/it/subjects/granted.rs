//! Tokens that are grants, and principals that are made of tokens: a profile's table, through the real door.

use mandate::config::Config;
use mandate::server::pb;
use serde_json::{Value, json};

use super::issuer::{AUDIENCE, ISSUER, claims, header};
use crate::support::{Draft, SigningKey, Sources, TestServer, is_allow, question, reason, reference};

const SCHEMA: &str = r#"namespace Mandate {
  entity Team;
  entity User in [Team];
  @token_scoped
  entity Guest in [Team] = { name?: String };
  entity Agent = { autonomous: Bool };
  entity Toolset;
  entity Tool in [Toolset];
  action call_tool, drop_tool appliesTo { principal: [User, Guest, Agent], resource: [Tool], context: {} };
}
"#;

const POLICIES: &str = r#"
@id("agents") permit (principal is Mandate::Agent, action, resource);
@id("team") permit (principal in Mandate::Team::"red", action, resource);
"#;

/// The built-in table, whose roots are guests where the token says so.
fn guests() -> String {
    let table = include_str!("../../../src/identity/profiles/rfc8693.toml");
    let row = "[[root]]\nwhen = [{ claim = \"kind\", is = \"guest\" }]\ntype = \"Mandate::Guest\"\nclaim = \"sub\"\n\n[[root]]";
    let synthesis = "\n[principal]\ntype = \"Mandate::Guest\"\nattributes = { name = \"name\" }\n\n[[principal.parents]]\ntype = \"Mandate::Team\"\nclaim = \"teams\"\nprefix = \"\"\n";
    table.replacen("[[root]]", row, 1) + synthesis
}

struct World {
    sources: Sources,
    key: SigningKey,
}

impl World {
    fn new() -> Self {
        let entity = |type_name: &str, id: &str, attrs: Value, parents: &[(&str, &str)]| {
            let uid =
                |(type_name, id): &(&str, &str)| json!({"type": format!("Mandate::{type_name}"), "id": id});
            json!({"uid": uid(&(type_name, id)), "attrs": attrs, "parents": parents.iter().map(uid).collect::<Value>()})
        };
        let ana = format!("{ISSUER}#ana");
        let entities = json!([
            entity("Team", "red", json!({}), &[]),
            entity("Team", "blue", json!({}), &[]),
            entity("User", &ana, json!({}), &[("Team", "red")]),
            entity("Agent", &format!("{ISSUER}#bot"), json!({"autonomous": false}), &[]),
            entity("Toolset", "safe", json!({}), &[]),
            entity("Tool", "clock", json!({}), &[("Toolset", "safe")]),
            entity("Tool", "bomb", json!({}), &[]),
        ]);
        let (sources, key) = (Sources::empty(), SigningKey::p256());
        let sources = sources
            .schema("tokens.cedarschema", SCHEMA)
            .policy("tokens.cedar", POLICIES)
            .entities("all.json", &entities)
            .write("keys.json", json!({"keys": [key.jwk("k1")]}).to_string())
            .write("guests.toml", guests());
        Self { sources, key }
    }

    fn config(&self, grants: bool) -> Config {
        let path = |name: &str| self.sources.path(name).display().to_string();
        let toml = format!(
            "[[issuers]]\nissuer = '{ISSUER}'\naudience = '{AUDIENCE}'\nprofile = '{}'\njwks_file = '{}'\ngrants = {grants}\n",
            path("guests.toml"),
            path("keys.json")
        );
        self.sources.config_written(&toml).unwrap()
    }

    fn ask(&self, action: &str, tool: &str, more: &Value) -> pb::AuthorizeRequest {
        let mut claims = claims();
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let credentials = Draft::new(&header(), &claims).sign(&self.key);
        pb::AuthorizeRequest {
            principal: None,
            credentials,
            ..question(("User", ""), action, ("Tool", tool))
        }
    }
}

#[test]
fn a_tokens_scopes_are_its_actors_grant_where_they_are_configured_to_be() {
    let world = World::new();
    let (granting, not) =
        (TestServer::with_config(&world.config(true)), TestServer::with_config(&world.config(false)));
    let sent = |scope: &str| json!({"act": {"sub": "bot"}, "scope": scope});
    for (scope, action, tool, allowed) in [
        ("tool:clock", "call_tool", "clock", true),
        ("toolset:safe", "call_tool", "clock", true),
        ("toolset:safe", "call_tool", "bomb", false),
        ("tool:clock", "drop_tool", "clock", false),
        ("docs", "call_tool", "clock", false),
        ("tool:bomb", "call_tool", "clock", false),
    ] {
        let ask = world.ask(action, tool, &sent(scope));
        let answer = granting.authorize(ask.clone()).unwrap();
        assert_eq!(is_allow(&answer), allowed, "{scope} {action} {tool}: {answer:?}");
        assert_eq!(answer.principal, Some(reference("Mandate::Agent", &format!("{ISSUER}#bot"))));
        let answer = not.authorize(ask).unwrap();
        assert!(!is_allow(&answer), "not a grant: {answer:?}");
    }
    // Whom the token was issued for must be allowed it too.
    let mut eve = sent("tool:clock");
    eve["sub"] = json!("eve");
    assert_eq!(
        reason(&granting.authorize(world.ask("call_tool", "clock", &eve)).unwrap()),
        "unknown_principal"
    );
}

#[test]
fn a_principal_is_made_of_a_token_in_the_teams_it_names_and_never_in_place_of_a_stored_one() {
    let world = World::new();
    let server = TestServer::with_config(&world.config(true));
    let guest = |teams: &[&str]| json!({"sub": "zoe", "kind": "guest", "name": "Zoe", "teams": teams});
    let ask = |more: Value| server.authorize(world.ask("call_tool", "clock", &more));
    let answer = ask(guest(&["red"])).unwrap();
    assert!(is_allow(&answer), "{answer:?}");
    assert_eq!(answer.principal, Some(reference("Mandate::Guest", &format!("{ISSUER}#zoe"))));
    assert!(!is_allow(&ask(guest(&["blue"])).unwrap()));
    assert!(!is_allow(&ask(guest(&[])).unwrap()));
    assert!(!is_allow(&ask(guest(&["red", "nowhere"])).unwrap()), "a team that is not stored");
    // A person is stored, or unknown: no token makes one.
    let answer = ask(json!({"sub": "eve", "teams": ["red"]})).unwrap();
    assert_eq!(reason(&answer), "unknown_principal");
}
