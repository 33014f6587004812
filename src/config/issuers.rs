//! `[[issuers]]`: whose tokens of subjects are believed, and what is made of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use super::written::{Span, or};
use crate::identity::header::asymmetric;
use crate::identity::https;
use crate::identity::issuer::{IssuerConfig, KeyOrigin};
use crate::identity::keys::KeyLimits;
use crate::identity::profile::{NamedBy, Profile};

/// Longest name of an issuer or an audience, in bytes.
const MAX_NAME_BYTES: usize = 512;

/// An issuer, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenIssuer {
    /// The exact `iss`.
    ///
    /// Required.
    issuer: String,
    /// One of these must be among the token's.
    ///
    /// Required.
    audience: OneOrMore,
    /// What its claims mean: the name of a built-in profile, or a file.
    ///
    /// Required.
    profile: String,
    /// Where its keys are: https. Either this or `jwks_file`.
    jwks_url: Option<String>,
    /// File of its keys.
    jwks_file: Option<PathBuf>,
    /// Authorities to trust for `jwks_url`, in PEM, instead of the system's.
    ca_file: Option<PathBuf>,
    /// Signatures that are accepted, of ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384 and RS512. Not
    /// written: the profile's.
    algorithms: Option<Vec<String>>,
    /// What ids begin with that its tokens name. Of subjects only. Not written: the issuer and `#`.
    id_prefix: Option<String>,
    /// Whether a token's scopes are grants, as the profile says. Of subjects only.
    ///
    /// Default `false`.
    #[serde(default)]
    grants: bool,
    /// How far clocks may be apart.
    ///
    /// Default `"30s"`, at most `"1m"`.
    leeway: Option<Span>,
    /// How old a token may be, and how far ahead it may expire.
    ///
    /// Default `"24h"`, from `"1s"` to `"744h"`.
    max_age: Option<Span>,
    /// Keys are fetched again after this long at the earliest.
    ///
    /// Default `"1m"`, from `"1s"`.
    jwks_min_age: Option<Span>,
    /// And this long at the latest; between the two, as the server says. At least `jwks_min_age`.
    ///
    /// Default `"1h"`, at most `"24h"`.
    jwks_max_age: Option<Span>,
    /// How long keys are used beyond that while they cannot be fetched.
    ///
    /// Default `"1h"`, at most `"168h"`.
    jwks_stale: Option<Span>,
    /// The least time between two fetches that unknown keys cause.
    ///
    /// Default `"30s"`, from `"1s"` to `"1h"`.
    jwks_refetch: Option<Span>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// A key that is wrong, and why.
type Wrong = (&'static str, String);

/// What a list of issuers means.
///
/// # Errors
/// [`ConfigError::Issuer`] naming the key.
pub(super) fn meaning(
    list: &'static str,
    written: Vec<WrittenIssuer>,
) -> Result<Vec<IssuerConfig>, ConfigError> {
    let mut issuers: Vec<IssuerConfig> = Vec::new();
    for (place, written) in written.into_iter().enumerate() {
        let refuse = |(key, problem)| ConfigError::Issuer { list, place, key, problem };
        let issuer = written.meaning().map_err(refuse)?;
        issuers.iter().try_for_each(|other| check_apart(&issuer, other)).map_err(refuse)?;
        issuers.push(issuer);
    }
    Ok(issuers)
}

/// What a list of issuers means whose tokens name callers: no principals, and no grants.
///
/// # Errors
/// [`ConfigError::Issuer`] naming the key.
pub(super) fn of_callers(written: Vec<WrittenIssuer>) -> Result<Vec<IssuerConfig>, ConfigError> {
    const LIST: &str = "callers.issuers";
    for (place, issuer) in written.iter().enumerate() {
        let meaningless = [("id_prefix", issuer.id_prefix.is_some()), ("grants", issuer.grants)];
        if let Some((key, _)) = meaningless.into_iter().find(|(_, set)| *set) {
            let problem = "is for tokens of subjects: a caller's token names its caller alone".to_owned();
            return Err(ConfigError::Issuer { list: LIST, place, key, problem });
        }
    }
    meaning(LIST, written)
}

impl WrittenIssuer {
    fn meaning(self) -> Result<IssuerConfig, Wrong> {
        check_name("issuer", &self.issuer)?;
        let profile =
            Profile::named(&self.profile).map_err(|error| ("profile", format!("cannot be used: {error}")))?;
        check_trust_domain(&self.issuer, &profile)?;
        let limits = self.limits()?;
        let leeway = or(self.leeway, Duration::from_secs(30));
        within("leeway", leeway, Duration::ZERO, Duration::from_secs(60))?;
        let max_age = or(self.max_age, DAY);
        within("max_age", max_age, Duration::from_secs(1), 31 * DAY)?;
        let keys = self.keys()?;
        Ok(IssuerConfig {
            audience: self.audience.meaning()?,
            algorithms: match self.algorithms {
                None => profile.algorithms(),
                Some(names) => algorithms(&names)?,
            },
            id_prefix: self.id_prefix.unwrap_or_else(|| format!("{}#", self.issuer)),
            issuer: self.issuer,
            grants: self.grants,
            profile: Arc::new(profile),
            keys,
            leeway,
            max_age,
            limits,
        })
    }

    /// Keys come from one place.
    fn keys(&self) -> Result<KeyOrigin, Wrong> {
        match (&self.jwks_url, &self.jwks_file) {
            (Some(url), None) => {
                let url = https::address(url).map_err(|problem| ("jwks_url", problem.to_owned()))?;
                Ok(KeyOrigin::Url(url, self.ca_file.clone()))
            }
            (None, Some(_)) if self.ca_file.is_some() => {
                Err(("ca_file", "is for `jwks_url`, which is not set".to_owned()))
            }
            (None, Some(path)) => Ok(KeyOrigin::File(path.clone())),
            (Some(_), Some(_)) => {
                Err(("jwks_file", "and `jwks_url` are both set: keys come from one place".to_owned()))
            }
            (None, None) => Err((
                "jwks_url",
                "or `jwks_file` must be set: a token is verified with its issuer's keys".to_owned(),
            )),
        }
    }

    fn limits(&self) -> Result<KeyLimits, Wrong> {
        let seconds = Duration::from_secs;
        let limits = KeyLimits {
            min_age: or(self.jwks_min_age, seconds(60)),
            max_age: or(self.jwks_max_age, seconds(3600)),
            stale: or(self.jwks_stale, seconds(3600)),
            refetch: or(self.jwks_refetch, seconds(30)),
        };
        within("jwks_min_age", limits.min_age, seconds(1), DAY)?;
        within("jwks_max_age", limits.max_age, limits.min_age, DAY)?;
        within("jwks_stale", limits.stale, Duration::ZERO, 7 * DAY)?;
        within("jwks_refetch", limits.refetch, seconds(1), seconds(3600))?;
        Ok(limits)
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl OneOrMore {
    fn meaning(self) -> Result<Vec<String>, Wrong> {
        let audience = match self {
            Self::One(one) => vec![one],
            Self::More(many) => many,
        };
        if audience.is_empty() {
            return Err(("audience", "is empty: a token that is for nobody here is not believed".to_owned()));
        }
        audience.iter().try_for_each(|one| check_name("audience", one))?;
        Ok(audience)
    }
}

fn check_name(key: &'static str, name: &str) -> Result<(), Wrong> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
        return Err((
            key,
            format!("must be a text of 1 to {MAX_NAME_BYTES} bytes without control characters"),
        ));
    }
    Ok(())
}

fn check_trust_domain(issuer: &str, profile: &Profile) -> Result<(), Wrong> {
    let domain = issuer.strip_prefix("spiffe://").filter(|domain| !domain.is_empty());
    let is_plain = domain.is_some_and(|domain| {
        domain
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte))
    });
    match profile.token.named_by {
        NamedBy::TrustDomain if !is_plain => Err((
            "issuer",
            "must be a trust domain, such as spiffe://example.org, for this profile".to_owned(),
        )),
        _ => Ok(()),
    }
}

fn algorithms(names: &[String]) -> Result<Vec<jsonwebtoken::Algorithm>, Wrong> {
    let known = names.iter().map(|name| {
        asymmetric(name).ok_or_else(|| {
            let known = "ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512";
            ("algorithms", format!("names `{name}`; algorithms with a public key are {known}"))
        })
    });
    let algorithms: Vec<_> = known.collect::<Result<_, _>>()?;
    if algorithms.is_empty() {
        return Err(("algorithms", "is empty: leave it out for those of the profile".to_owned()));
    }
    Ok(algorithms)
}

fn within(key: &'static str, span: Duration, least: Duration, most: Duration) -> Result<(), Wrong> {
    if (least..=most).contains(&span) {
        return Ok(());
    }
    let seconds = |span: Duration| format!("{} s", span.as_secs_f64());
    Err((key, format!("is {}; it must be between {} and {}", seconds(span), seconds(least), seconds(most))))
}

/// Two issuers must not be able to name one principal, nor a token two issuers.
fn check_apart(issuer: &IssuerConfig, other: &IssuerConfig) -> Result<(), Wrong> {
    if issuer.issuer == other.issuer {
        return Err(("issuer", format!("`{}` is configured twice", issuer.issuer)));
    }
    for (type_name, mine) in beginnings(issuer) {
        for (other_type, theirs) in beginnings(other) {
            if type_name == other_type && (mine.starts_with(&theirs) || theirs.starts_with(&mine)) {
                let problem = format!(
                    "lets `{}` and `{}` name the same {type_name}: ids of one begin with {mine:?}, of the other with {theirs:?}",
                    issuer.issuer, other.issuer
                );
                return Err(("id_prefix", problem));
            }
        }
    }
    Ok(())
}

/// What ids begin with that an issuer's tokens can name, by type.
fn beginnings(issuer: &IssuerConfig) -> Vec<(String, String)> {
    let profile = &issuer.profile;
    let rows = profile.root.iter().chain(profile.actor.iter().flat_map(|actor| &actor.rows));
    rows.map(|row| (row.type_name.clone(), row.begins(&issuer.issuer, &issuer.id_prefix))).collect()
}
