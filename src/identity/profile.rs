//! What an issuer's tokens mean, as a table: which claims name whom, which scopes grant what, what policies see. A claim
//! that no row names reaches nothing.

mod builtin;
pub mod grants;
pub mod principals;
pub mod values;

use std::collections::BTreeMap;
use std::fs;

use figment::Figment;
use figment::providers::{Format as _, Toml};
use jsonwebtoken::Algorithm;
use serde::Deserialize;

use super::header::asymmetric;
use grants::GrantRow;
use principals::{ActorRules, Condition, PrincipalRow, SynthesisRow};
use values::{FactRow, ScopeRule};

pub use builtin::NAMES as BUILTIN;

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What headers say.
    pub header: HeaderRules,
    /// What every token has.
    pub token: TokenRules,
    /// Who a token was issued for: the first row whose conditions hold. None: the token is not accepted.
    pub root: Vec<PrincipalRow>,
    /// Who acts for the root. None: the root acts itself, and a token with `act` is not accepted.
    pub actor: Option<ActorRules>,
    /// Where the token's scopes stand.
    pub scopes: Option<ScopeRule>,
    /// Members of `context.token`.
    #[serde(default)]
    pub context: BTreeMap<String, FactRow>,
    /// What scopes grant the actor, where the issuer's configuration lets its tokens be grants.
    #[serde(default)]
    pub grants: Vec<GrantRow>,
    /// What is made of the root where nothing is stored under its name.
    pub principal: Option<SynthesisRow>,
}

/// What a token's header says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderRules {
    /// Accepted kinds, without `application/`; compared without regard to case.
    pub typ: Vec<String>,
    /// Whether a token need not say its kind.
    #[serde(default)]
    pub typ_may_be_absent: bool,
    /// Whether a token need not name its key, if its issuer has one that fits.
    #[serde(default)]
    pub kid_may_be_absent: bool,
}

/// What every token has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRules {
    /// How a token names its issuer.
    pub named_by: NamedBy,
    /// Claims besides `aud` and `exp`, which every token has.
    pub required: Vec<String>,
    /// How tokens may be signed, unless the issuer's configuration says; none: every algorithm with a public key.
    #[serde(default)]
    pub algorithms: Vec<String>,
    /// The `use` of keys that say one.
    #[serde(default = "signing")]
    pub key_use: String,
}

fn signing() -> String {
    "sig".to_owned()
}

/// How a token names its issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedBy {
    /// `iss` is the issuer.
    Iss,
    /// `iss` is the issuer; where it is absent, `aud` is one of the audiences configured.
    IssOrAudience,
    /// `sub` is a SPIFFE ID of the trust domain that the issuer is.
    TrustDomain,
}

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// It is neither built in nor a file.
    #[error(
        "`{0}` is neither a built-in profile ({list}) nor a file that can be read: {1}",
        list = BUILTIN.join(", ")
    )]
    Unknown(String, std::io::Error),
    /// A key is wrong; the message names it.
    #[error("profile `{0}`: {1}")]
    Table(String, Box<figment::Error>),
    /// A value is.
    #[error("profile `{0}`: {1}")]
    Meaning(String, String),
}

impl Profile {
    /// The built-in profile of that name, or the table in a file.
    ///
    /// # Errors
    /// [`ProfileError`] naming the key and what would be right.
    pub fn named(name: &str) -> Result<Self, ProfileError> {
        match builtin::table(name) {
            Some(table) => Self::parse(name, table),
            None => {
                let table = fs::read_to_string(name)
                    .map_err(|error| ProfileError::Unknown(name.to_owned(), error))?;
                Self::parse(name, &table)
            }
        }
    }

    /// Reads a table.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn parse(name: &str, table: &str) -> Result<Self, ProfileError> {
        let profile: Self = Figment::from(Toml::string(table))
            .extract()
            .map_err(|error| ProfileError::Table(name.to_owned(), Box::new(error)))?;
        profile.check().map_err(|problem| ProfileError::Meaning(name.to_owned(), problem))?;
        Ok(profile)
    }

    /// How tokens may be signed that the configuration says nothing of.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        const DEFAULT: [&str; 9] =
            ["ES256", "ES384", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"];
        let named = self.token.algorithms.iter().filter_map(|name| asymmetric(name));
        if self.token.algorithms.is_empty() {
            return DEFAULT.iter().filter_map(|name| asymmetric(name)).collect();
        }
        named.collect()
    }

    fn check(&self) -> Result<(), String> {
        if self.header.typ.is_empty() {
            return Err("`header.typ` is empty: name the kinds of token it takes".to_owned());
        }
        if let Some(wrong) = self.token.algorithms.iter().find(|name| asymmetric(name).is_none()) {
            return Err(format!(
                "`token.algorithms` names `{wrong}`, which is no algorithm with a public key"
            ));
        }
        if self.root.is_empty() {
            return Err("`root` has no row: say whom a token is issued for".to_owned());
        }
        for (member, row) in &self.context {
            row.check().map_err(|problem| format!("`context.{member}` {problem}"))?;
        }
        let rows = self.root.iter().chain(self.actor.iter().flat_map(|actor| &actor.rows));
        for Condition { claim, word, is, same_as } in rows.flat_map(|row| &row.when) {
            let said = [word, is, same_as].iter().filter(|said| said.is_some()).count();
            if said != 1 {
                return Err(format!("the condition on `{claim}` needs one of `word`, `is` and `same_as`"));
            }
        }
        if let Some(row) = self.grants.iter().find(|row| row.scope.is_empty() || row.actions.is_empty()) {
            return Err(format!("the grant by scope `{}` needs a scope and actions", row.scope));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "profile_tests.rs"]
mod tests;
