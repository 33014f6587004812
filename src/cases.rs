//! Policy cases: questions in YAML with the answers they must get.
//!
//! A case file holds `defaults` and `cases`; a case's own key replaces the default's whole. The same format proves the
//! shipped policies and a deployment's own.

pub mod controls;
pub mod mutants;
pub mod run;

use std::str::FromStr as _;

use cedar_policy::EntityUid;
use serde::Deserialize;

use crate::engine::authorize::Now;
use crate::engine::datum::{Datum, Reference};
use crate::engine::delegation::{Hop, Role};

/// A file of cases.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    #[serde(default)]
    defaults: Fields,
    cases: Vec<Written>,
}

/// One case as it was written. Its question is spelled out here rather than flattened in: serde lets unknown keys of
/// a flattened struct pass, and a misspelt key would quietly test something else.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    policy: Option<String>,
    kind: Option<Kind>,
    expect: Expectation,
    principal: Option<String>,
    action: Option<String>,
    resource: Option<String>,
    now: Option<String>,
    digest: Option<Digest>,
    delegation: Option<Delegation>,
    delegations: Option<Vec<String>>,
    context: Option<Datum>,
    arguments: Option<Datum>,
}

/// What a case asks; each key may stand in `defaults` instead.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    principal: Option<String>,
    action: Option<String>,
    resource: Option<String>,
    now: Option<String>,
    digest: Option<Digest>,
    delegation: Option<Delegation>,
    delegations: Option<Vec<String>>,
    context: Option<Datum>,
    arguments: Option<Datum>,
}

/// What a case shows about the policy it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Legitimate use passes.
    Allow,
    /// What the policy stops is stopped.
    Deny,
    /// One thing differs, and the answer flips.
    NearMiss,
}

/// `approved`: `context.digest` is the digest stored for the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Digest {
    /// The stored one.
    Approved,
}

/// The chain that policies see, as a case sets it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Delegation {
    role: String,
    #[serde(default)]
    hop: i64,
    #[serde(default)]
    length: i64,
    user: Option<String>,
    #[serde(default)]
    agents: Vec<String>,
    #[serde(default)]
    grants: Vec<String>,
    #[serde(default)]
    purposes: Vec<String>,
}

/// The answer a case must get.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Allow or deny.
    pub decision: Verdict,
    /// Ids of the determining policies, as a set; unchecked if absent.
    pub determining: Option<Vec<String>>,
    /// Ids of the policies that could not be evaluated, as a set.
    #[serde(default)]
    pub errors: Vec<String>,
    /// The denial's code; unchecked if absent.
    pub reason: Option<String>,
    /// The hop of the chain that denied first; unchecked if absent.
    pub hop: Option<usize>,
    /// Ids of the obligations, as a set; unchecked if absent.
    pub obligations: Option<Vec<String>>,
}

/// Allow or deny, in a case file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Allow.
    Allow,
    /// Deny.
    Deny,
}

/// One case, understood.
#[derive(Debug, Clone)]
pub struct Case {
    /// The file it stands in.
    pub file: String,
    /// What it says of itself, unique in its file.
    pub name: String,
    /// The policy it is about.
    pub policy: Option<String>,
    /// What it shows about that policy.
    pub kind: Option<Kind>,
    /// Who asks.
    pub principal: Reference,
    /// What it asks to do.
    pub action: Reference,
    /// To what.
    pub resource: Reference,
    /// When.
    pub now: Now,
    /// Where `context.digest` comes from, if not from the context.
    pub digest: Option<Digest>,
    /// The chain policies see; none leaves it to Mandate.
    pub hop: Option<Hop>,
    /// Delegations that the principal shows, the leaf last.
    pub delegations: Vec<Reference>,
    /// The context.
    pub context: Vec<(String, Datum)>,
    /// Raw arguments of the tool call.
    pub arguments: Option<Datum>,
    /// The answer it must get.
    pub expect: Expectation,
}

/// Why a case file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {message}")]
pub struct CaseError {
    /// The file.
    pub file: String,
    /// What is wrong, with the case or the line.
    pub message: String,
}

/// Reads a file of cases.
///
/// # Errors
/// [`CaseError`] naming the file and the line or case.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, CaseError> {
    let error = |message: String| CaseError { file: file.to_owned(), message };
    let parsed: CaseFile = serde_saphyr::from_str(text).map_err(|cause| error(cause.to_string()))?;
    let CaseFile { defaults, cases } = parsed;
    let mut names = std::collections::HashSet::new();
    cases
        .into_iter()
        .map(|written| {
            let name = written.name.clone();
            if !names.insert(name.clone()) {
                return Err(error(format!("case `{name}` appears twice")));
            }
            written.meaning(file, &defaults).map_err(|message| error(format!("case `{name}`: {message}")))
        })
        .collect()
}

impl Written {
    fn meaning(self, file: &str, defaults: &Fields) -> Result<Case, String> {
        let context = self.context.or_else(|| defaults.context.clone()).unwrap_or(Datum::Record(Vec::new()));
        let Datum::Record(context) = context else { return Err("`context` is not a mapping".to_owned()) };
        let now = self
            .now
            .or_else(|| defaults.now.clone())
            .ok_or("`now` is missing: cases do not read the clock")?;
        let delegation = self.delegation.or_else(|| defaults.delegation.clone());
        let delegations = self.delegations.or_else(|| defaults.delegations.clone()).unwrap_or_default();
        if delegation.is_some() && !delegations.is_empty() {
            return Err("`delegation` says what one hop sees, `delegations` have all hops decided: not both"
                .to_owned());
        }
        Ok(Case {
            file: file.to_owned(),
            name: self.name,
            policy: self.policy,
            kind: self.kind,
            principal: reference("principal", self.principal.as_ref().or(defaults.principal.as_ref()))?,
            action: reference("action", self.action.as_ref().or(defaults.action.as_ref()))?,
            resource: reference("resource", self.resource.as_ref().or(defaults.resource.as_ref()))?,
            now: instant(&now)?,
            digest: self.digest.or(defaults.digest),
            hop: delegation.map(Delegation::meaning).transpose()?,
            delegations: delegations.iter().map(|text| named(text)).collect::<Result<_, _>>()?,
            context,
            arguments: self.arguments.or_else(|| defaults.arguments.clone()),
            expect: self.expect,
        })
    }
}

impl Delegation {
    fn meaning(self) -> Result<Hop, String> {
        let uids = |texts: &[String]| texts.iter().map(|text| uid(text)).collect::<Result<Vec<_>, _>>();
        Ok(Hop {
            role: Role::named(&self.role).ok_or_else(|| format!("`{}` is no role", self.role))?,
            hop: self.hop,
            length: self.length,
            user: self.user.as_deref().map(uid).transpose()?,
            agents: uids(&self.agents)?,
            grants: uids(&self.grants)?,
            purposes: self.purposes.into_iter().map(Into::into).collect(),
        })
    }
}

fn instant(text: &str) -> Result<Now, String> {
    let instant = text.parse::<jiff::Timestamp>().map_err(|error| format!("`now: {text}`: {error}"))?;
    Ok(Now(instant.as_millisecond()))
}

fn uid(text: &str) -> Result<EntityUid, String> {
    EntityUid::from_str(text).map_err(|_error| format!("`{text}` is no entity; write `Type::\"id\"`"))
}

fn reference(field: &str, text: Option<&String>) -> Result<Reference, String> {
    named(text.ok_or_else(|| format!("`{field}` is missing"))?)
}

fn named(text: &str) -> Result<Reference, String> {
    uid(text).map(|uid| Reference::new(uid.type_name().to_string(), uid.id().unescaped()))
}
