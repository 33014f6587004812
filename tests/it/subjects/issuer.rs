//! A world whose subjects show tokens, and an issuer of them.

use mandate::config::Config;
use mandate::server::pb;
use serde_json::{Value, json};

use crate::support::{Draft, SigningKey, Sources, question, seconds};

/// What the tests' issuer is called.
pub(super) const ISSUER: &str = "https://issuer.example";
/// What its tokens are for.
pub(super) const AUDIENCE: &str = "mandate";

const SCHEMA: &str = r#"namespace Mandate {
  type Token = { issuer: String, scopes: Set<String>, issued: datetime, bound: Bool };
  entity User;
  entity Agent = { autonomous: Bool };
  entity Doc;
  action view, scoped, bare appliesTo { principal: [User, Agent], resource: [Doc], context: { token?: Token } };
}
"#;

const POLICIES: &str = r#"
@id("view") permit (principal, action == Mandate::Action::"view", resource);
@id("scoped") permit (principal, action == Mandate::Action::"scoped", resource)
when { context has token && context.token.scopes.contains("docs") && context.token.issuer == "https://issuer.example"
       && !context.token.bound && context.token.issued > datetime("2020-01-01") };
@id("bare") permit (principal, action == Mandate::Action::"bare", resource) unless { context has token };
"#;

/// The sources, a configuration beside them, and the issuer's keys in a file.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) sources: Sources,
    pub(super) key: SigningKey,
}

impl Issuer {
    /// With one key, `k1`, of the file `keys.json`.
    pub(super) fn new(key: SigningKey) -> Self {
        let ids = ["ana", "bot"];
        let ids: Vec<_> = ids.iter().map(|id| format!("{ISSUER}#{id}")).collect();
        let entities = json!([
            {"uid": {"type": "Mandate::User", "id": ids[0]}, "attrs": {}, "parents": []},
            {"uid": {"type": "Mandate::User", "id": "ana"}, "attrs": {}, "parents": []},
            {"uid": {"type": "Mandate::Agent", "id": ids[1]}, "attrs": {"autonomous": true}, "parents": []},
            {"uid": {"type": "Mandate::Doc", "id": "plan"}, "attrs": {}, "parents": []},
        ]);
        let sources = Sources::empty()
            .schema("tokens.cedarschema", SCHEMA)
            .policy("tokens.cedar", POLICIES)
            .entities("all.json", &entities);
        let issuer = Self { sources, key };
        issuer.publish(&[issuer.key.jwk("k1")]);
        issuer
    }

    /// Replaces the file of keys.
    pub(super) fn publish(&self, keys: &[Value]) {
        self.sources.replace("keys.json", json!({ "keys": keys }).to_string());
    }

    /// The configuration, with more of the issuer's keys.
    pub(super) fn config(&self, more: &str) -> Config {
        let keys = self.sources.path("keys.json").display().to_string();
        self.config_of(&format!(
            "[[issuers]]\nissuer = '{ISSUER}'\naudience = '{AUDIENCE}'\nprofile = 'rfc8693'\njwks_file = '{keys}'\n{more}\n"
        ))
    }

    /// A configuration as it is written.
    pub(super) fn config_of(&self, toml: &str) -> Config {
        self.sources.config_written(toml).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A token of a person.
    pub(super) fn token(&self) -> String {
        draft().sign(&self.key)
    }
}

/// The header of a good token.
pub(super) fn header() -> Value {
    json!({"typ": "at+jwt", "alg": "ES256", "kid": "k1"})
}

/// The claims of a good token.
pub(super) fn claims() -> Value {
    let now = seconds();
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ana", "client_id": "console", "jti": "1", "scope": "docs mail",
        "iat": now - 10, "nbf": now - 10, "exp": now + 600,
    })
}

/// A good token.
pub(super) fn draft() -> Draft {
    Draft::new(&header(), &claims())
}

/// Asks with a token, and names nobody.
pub(super) fn ask(action: &str, token: impl Into<String>) -> pb::AuthorizeRequest {
    let mut ask = question(("User", "nobody"), action, ("Doc", "plan"));
    ask.principal = None;
    ask.credentials = token.into();
    ask
}
