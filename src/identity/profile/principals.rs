//! From claims to principals: who a token was issued for, and who acts for it.

use std::collections::HashSet;

use serde::Deserialize;

use super::Profile;
use super::values::words;
use crate::engine::convert::Form;
use crate::engine::datum::{Datum, Reference};
use crate::engine::request::RequestEntity;
use crate::identity::compact::{Members, member, text};
use crate::identity::rejection::{Check, Rejection};
use crate::identity::svid::spiffe_id;

/// Most `act` objects within each other. A longer chain is refused, never cut short.
const MAX_ACTORS: usize = 5;
/// Longest claim that names somebody, in bytes.
const MAX_NAME_BYTES: usize = 768;
/// Most parents of a principal that is made of a token.
const MAX_PARENTS: usize = 100;

/// How a claim names a principal, and when.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrincipalRow {
    /// What must hold for the row to count; all of it.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// Type of the principal.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The claim that names it: text.
    pub claim: String,
    /// What the claim must begin with, which is taken away.
    #[serde(default)]
    pub strip: String,
    /// What is put before the rest; none: the issuer's own prefix.
    pub prefix: Option<String>,
    /// What form the claim must have.
    pub form: Option<NameForm>,
}

/// What form a name has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameForm {
    /// A SPIFFE ID with a path, spelt as its standard spells it, of the trust domain that the issuer is.
    SpiffeId,
}

/// What must hold of a claim: one of three.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The claim.
    pub claim: String,
    /// It is text, and this is one of its words.
    pub word: Option<String>,
    /// It is this text.
    pub is: Option<String>,
    /// It is text, and the same as this claim.
    pub same_as: Option<String>,
}

/// Who acts for the root.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActorRules {
    /// Where actors stand.
    pub from: ActorsFrom,
    /// What `act.iss` must be.
    #[serde(default)]
    pub issuer: ActorIssuer,
    /// How each is named: the first row whose conditions hold.
    pub rows: Vec<PrincipalRow>,
}

/// Where actors stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorsFrom {
    /// In `act`, each within the one it acts for (RFC 8693 §4.1). A token without it is its root's own.
    Act,
    /// One, among the token's own claims. A token of which no row holds is its root's own.
    Claims,
}

/// What `act.iss` must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorIssuer {
    /// Absent, or the token's own.
    #[default]
    Same,
    /// The token's own, and there.
    Required,
}

/// What is made of a token's root.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SynthesisRow {
    /// Type of the roots that it is made of; no other is made.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Claims that become attributes, by the attribute's name.
    #[serde(default)]
    pub attributes: std::collections::BTreeMap<String, String>,
    /// Claims that name parents: text, or a list of texts.
    #[serde(default)]
    pub parents: Vec<PrincipalRow>,
}

/// The issuer of a token, as far as names depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Namespace<'i> {
    /// The issuer.
    pub issuer: &'i str,
    /// What stands before ids that its tokens name.
    pub prefix: &'i str,
}

/// Who a token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    /// Who it was issued for.
    pub root: Reference,
    /// Who acts for it, the outermost first.
    pub actors: Vec<Reference>,
    /// What was read to find them, in words.
    pub told: Vec<String>,
}

impl Profile {
    /// Whom a token names.
    ///
    /// # Errors
    /// [`Rejection`] if no row maps the token, a name cannot be read, the chain is too long, or somebody is in it twice.
    pub fn parties(&self, claims: &Members, space: Namespace<'_>) -> Result<Parties, Rejection> {
        let mut told = Vec::new();
        let root = pick(&self.root, claims, space, "root", &mut told)?
            .ok_or_else(|| refused("no row of `root` maps the token"))?;
        let actors = match &self.actor {
            None if member(claims, "act").is_some() => {
                return Err(refused(
                    "the token has `act`, and its issuer's profile does not say who that is",
                ));
            }
            None => Vec::new(),
            Some(rules) => actors(rules, claims, space, &mut told)?,
        };
        let mut seen = HashSet::from([&root]);
        if !actors.iter().all(|actor| seen.insert(actor)) {
            return Err(refused("somebody is in the token's chain twice"));
        }
        Ok(Parties { root, actors, told })
    }

    /// The principal that is made of the root, where nothing is stored under its name.
    ///
    /// # Errors
    /// [`Rejection`] if a parent cannot be named, or there are too many.
    pub fn synthesized(
        &self,
        root: &Reference,
        claims: &Members,
        space: Namespace<'_>,
    ) -> Result<Option<RequestEntity>, Rejection> {
        let row = self.principal.as_ref().filter(|row| row.type_name == root.type_name);
        let Some(row) = row else { return Ok(None) };
        let attributes = row.attributes.iter();
        let attributes =
            attributes.filter_map(|(name, claim)| Some((name.clone(), member(claims, claim)?.clone())));
        let mut parents = Vec::new();
        for row in &row.parents {
            let names = match member(claims, &row.claim) {
                None => continue,
                Some(Datum::List(names)) => names.clone(),
                Some(name) => vec![name.clone()],
            };
            for name in &names {
                parents.push(row.name(name, space)?);
            }
        }
        if parents.len() > MAX_PARENTS {
            return Err(refused(format!("the token names more than {MAX_PARENTS} parents of its subject")));
        }
        Ok(Some(RequestEntity {
            uid: root.clone(),
            form: Form::Typed,
            attributes: attributes.collect(),
            tags: Vec::new(),
            parents,
        }))
    }
}

/// Names somebody by the first row that holds.
fn pick(
    rows: &[PrincipalRow],
    claims: &Members,
    space: Namespace<'_>,
    what: &str,
    told: &mut Vec<String>,
) -> Result<Option<Reference>, Rejection> {
    let Some((place, row)) = (1..).zip(rows).find(|(_, row)| row.holds(claims)) else { return Ok(None) };
    let named = member(claims, &row.claim).ok_or_else(|| refused(format!("`{}` is required", row.claim)))?;
    let name = row.name(named, space)?;
    told.push(format!("{what}: row {place}, `{}` → {}::{:?}", row.claim, name.type_name, name.id));
    Ok(Some(name))
}

fn actors(
    rules: &ActorRules,
    claims: &Members,
    space: Namespace<'_>,
    told: &mut Vec<String>,
) -> Result<Vec<Reference>, Rejection> {
    if rules.from == ActorsFrom::Claims {
        if member(claims, "act").is_some() {
            return Err(refused("the token has `act`, and its issuer's profile does not say who that is"));
        }
        return Ok(pick(&rules.rows, claims, space, "actor", told)?.into_iter().collect());
    }
    let mut actors = Vec::new();
    let mut next = member(claims, "act");
    while let Some(act) = next {
        let Datum::Record(act) = act else { return Err(refused("`act` must be an object")) };
        if actors.len() == MAX_ACTORS {
            return Err(refused(format!("`act` nests deeper than {MAX_ACTORS} actors")));
        }
        check_actor_issuer(rules.issuer, act, space)?;
        let actor = pick(&rules.rows, act, space, "actor", told)?;
        actors.push(actor.ok_or_else(|| refused("no row of `actor` maps an `act` of the token"))?);
        next = member(act, "act");
    }
    Ok(actors)
}

fn check_actor_issuer(rule: ActorIssuer, act: &Members, space: Namespace<'_>) -> Result<(), Rejection> {
    match (member(act, "iss"), rule) {
        (None, ActorIssuer::Same) => Ok(()),
        (Some(Datum::String(issuer)), _) if issuer == space.issuer => Ok(()),
        _ => Err(refused("`act.iss` must be the token's own issuer, which alone can name actors here")),
    }
}

impl PrincipalRow {
    fn holds(&self, claims: &Members) -> bool {
        self.when.iter().all(|condition| condition.holds(claims))
    }

    /// The principal that a claim names.
    fn name(&self, named: &Datum, space: Namespace<'_>) -> Result<Reference, Rejection> {
        let wrong = |problem: &str| refused(format!("`{}` {problem}", self.claim));
        let Datum::String(name) = named else { return Err(wrong("must be text")) };
        if name.len() > MAX_NAME_BYTES {
            return Err(wrong(&format!("is longer than {MAX_NAME_BYTES} bytes")));
        }
        if name.contains(char::is_control) {
            return Err(wrong("holds a control character"));
        }
        if self.form == Some(NameForm::SpiffeId) && !is_workload(name, space.issuer) {
            return Err(wrong("must be the SPIFFE ID of a workload in its issuer's trust domain"));
        }
        let rest = name.strip_prefix(self.strip.as_str());
        let rest = rest.filter(|rest| !rest.is_empty());
        let rest = rest.ok_or_else(|| wrong("is empty, or does not begin as its issuer's profile says"))?;
        let prefix = self.prefix.as_deref().unwrap_or(space.prefix);
        Ok(Reference::new(self.type_name.clone(), format!("{prefix}{rest}")))
    }

    /// What every id begins with that this row makes for an issuer.
    #[must_use]
    pub fn begins(&self, issuer: &str, prefix: &str) -> String {
        match self.form {
            Some(NameForm::SpiffeId) if self.strip.is_empty() => {
                format!("{}{issuer}/", self.prefix.as_deref().unwrap_or(prefix))
            }
            _ => self.prefix.as_deref().unwrap_or(prefix).to_owned(),
        }
    }
}

/// Whether a text is the SPIFFE ID of a workload in a trust domain, in its one spelling (SPIFFE-ID §2).
fn is_workload(name: &str, trust_domain: &str) -> bool {
    spiffe_id(name).is_ok_and(|id| {
        let domain = format!("spiffe://{}", id.trust_domain_name());
        domain == trust_domain && !id.path().is_empty()
    })
}

impl Condition {
    fn holds(&self, claims: &Members) -> bool {
        let Some(found) = text(claims, &self.claim) else { return false };
        match (&self.word, &self.is, &self.same_as) {
            (Some(word), None, None) => words(found).any(|found| found == word),
            (None, Some(is), None) => found == is,
            (None, None, Some(other)) => text(claims, other) == Some(found),
            _ => false,
        }
    }
}

fn refused(message: impl Into<std::borrow::Cow<'static, str>>) -> Rejection {
    Rejection::new(Check::Profile, message)
}
