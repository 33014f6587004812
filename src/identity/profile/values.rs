//! From claims to members of `context.token`.

use serde::Deserialize;

use super::Profile;
use crate::engine::datum::Datum;
use crate::identity::claims::Registered;
use crate::identity::compact::{Members, member};
use crate::identity::rejection::{Check, Rejection};

/// Most scopes of one token.
const MAX_SCOPES: usize = 200;

/// A member of `context.token`: a claim, or what verification found. One of the two.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactRow {
    /// What verification found.
    pub from: Option<Found>,
    /// The claim; absent where the token has none.
    pub claim: Option<String>,
    /// How the claim is read.
    #[serde(rename = "as", default)]
    pub read_as: ReadAs,
}

/// What verification found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// The issuer as it is configured.
    Issuer,
    /// The token's scopes.
    Scopes,
    /// Whether the token is bound to a key, and that was shown.
    Bound,
}

/// How a claim is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadAs {
    /// Text.
    #[default]
    Text,
    /// A number of seconds since 1970, as an instant.
    Seconds,
    /// Text of words, as a set.
    Words,
    /// As it is; the schema says what fits.
    Value,
}

/// Where a token's scopes stand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeRule {
    /// The claim.
    pub claim: String,
    /// How it is written.
    #[serde(default)]
    pub form: ScopeForm,
}

/// How scopes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeForm {
    /// One text of words (RFC 8693 §4.2).
    #[default]
    Words,
    /// A list of texts.
    List,
}

impl FactRow {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.from.is_some() == self.claim.is_some() {
            return Err("needs one of `claim` and `from`");
        }
        Ok(())
    }
}

/// The words of a text, which single blanks part.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}

impl Profile {
    /// A token's scopes; none where it has none.
    ///
    /// # Errors
    /// [`Rejection`] if they are not written as the profile says, or too many.
    pub fn scopes(&self, claims: &Members) -> Result<Vec<String>, Rejection> {
        let Some(ScopeRule { claim, form }) = &self.scopes else { return Ok(Vec::new()) };
        let wrong = |what: &str| Rejection::new(Check::Profile, format!("`{claim}` must be {what}"));
        let scopes: Vec<String> = match (member(claims, claim), form) {
            (None, _) => Vec::new(),
            (Some(Datum::String(text)), ScopeForm::Words) => words(text).map(str::to_owned).collect(),
            (Some(Datum::List(list)), ScopeForm::List) => {
                let texts = list.iter().map(|one| match one {
                    Datum::String(text) => Ok(text.clone()),
                    _ => Err(wrong("a list of texts")),
                });
                texts.collect::<Result<_, _>>()?
            }
            (Some(_), ScopeForm::Words) => return Err(wrong("a text of words")),
            (Some(_), ScopeForm::List) => return Err(wrong("a list of texts")),
        };
        if scopes.len() > MAX_SCOPES {
            return Err(wrong(&format!("at most {MAX_SCOPES} scopes")));
        }
        Ok(scopes)
    }

    /// Members of `context.token`.
    ///
    /// # Errors
    /// [`Rejection`] at a claim that is not what its row says.
    pub fn facts(
        &self,
        claims: &Members,
        issuer: &str,
        registered: &Registered,
        scopes: &[String],
    ) -> Result<Vec<(String, Datum)>, Rejection> {
        let mut facts = Vec::new();
        for (name, row) in &self.context {
            let value = match (row.from, &row.claim) {
                (Some(Found::Issuer), _) => Some(Datum::String(issuer.to_owned())),
                (Some(Found::Bound), _) => Some(Datum::Bool(registered.certificate.is_some())),
                (Some(Found::Scopes), _) => Some(texts(scopes.iter().map(String::as_str))),
                (None, Some(claim)) => match member(claims, claim) {
                    Some(value) => Some(row.read_as.read(value, claim)?),
                    None => None,
                },
                (None, None) => None,
            };
            facts.extend(value.map(|value| (name.clone(), value)));
        }
        Ok(facts)
    }
}

impl ReadAs {
    fn read(self, value: &Datum, claim: &str) -> Result<Datum, Rejection> {
        let wrong = |what| Rejection::new(Check::Profile, format!("`{claim}` must be {what}"));
        match (self, value) {
            (Self::Value, value) => Ok(value.clone()),
            (Self::Text, Datum::String(text)) => Ok(Datum::String(text.clone())),
            (Self::Words, Datum::String(text)) => Ok(texts(words(text))),
            (Self::Seconds, Datum::Long(seconds)) => {
                seconds.checked_mul(1000).map(Datum::Datetime).ok_or_else(|| wrong("a number of seconds"))
            }
            (Self::Seconds, Datum::Number(seconds)) => {
                millis(*seconds).ok_or_else(|| wrong("a number of seconds"))
            }
            (Self::Seconds, _) => Err(wrong("a number of seconds")),
            (Self::Text | Self::Words, _) => Err(wrong("text")),
        }
    }
}

/// Seconds with a fraction, as an instant of whole milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
fn millis(seconds: f64) -> Option<Datum> {
    (seconds.abs() < 1e12).then(|| Datum::Datetime((seconds * 1000.0).floor() as i64))
}

fn texts<'t>(texts: impl Iterator<Item = &'t str>) -> Datum {
    Datum::List(texts.map(|text| Datum::String(text.to_owned())).collect())
}
