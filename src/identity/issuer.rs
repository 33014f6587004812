//! One issuer whose tokens are believed: what is known of it, and how its tokens are checked.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use jsonwebtoken::Algorithm;

use super::caller::{Caller, TokenHolder, Workload};
use super::claims::{Registered, optional_text};
use super::compact::{Compact, Members, member, text};
use super::header::Header;
use super::jwks::{Key, KeySet};
use super::keys::{KeyLimits, Keys};
use super::profile::principals::Namespace;
use super::profile::{NamedBy, Profile};
use super::rejection::{Check, Rejection};
use super::shown::Shown;
use super::steps::Steps;
use super::svid::spiffe_id;
use crate::engine::authorize::Now;
use crate::engine::subject::Subject;

/// An issuer, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerConfig {
    /// The exact text by which its tokens name it.
    pub issuer: String,
    /// Of these one must be among a token's audiences.
    pub audience: Vec<String>,
    /// Where its keys are.
    pub keys: KeyOrigin,
    /// How its tokens may be signed.
    pub algorithms: Vec<Algorithm>,
    /// What its tokens mean.
    pub profile: Arc<Profile>,
    /// What stands before ids that its tokens name.
    pub id_prefix: String,
    /// Whether its tokens' scopes are grants, as the profile says.
    pub grants: bool,
    /// How far its clock may be off.
    pub leeway: Duration,
    /// How old a token may be, and how far ahead it may expire.
    pub max_age: Duration,
    /// How its keys are kept.
    pub limits: KeyLimits,
}

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOrigin {
    /// In a file.
    File(PathBuf),
    /// At an address; the file is of certificate authorities to trust for it, instead of the system's.
    Url(Uri, Option<PathBuf>),
}

/// An issuer and its keys.
#[derive(Debug)]
pub struct Issuer {
    /// What is known of it.
    pub config: IssuerConfig,
    /// Its keys.
    pub keys: Arc<Keys>,
}

/// A token that was verified, and how long that holds.
#[derive(Debug)]
pub struct Accepted<T = Arc<Subject>> {
    /// What it says.
    pub says: T,
    /// Digest of the key that signed it.
    pub key: [u8; 32],
    /// SHA-256 of the certificate it is bound to.
    pub certificate: Option<[u8; 32]>,
    /// From when on it may be shown again, in milliseconds since 1970.
    pub from: i64,
    /// Until when.
    pub until: i64,
}

impl Issuer {
    /// Whether a token names this issuer.
    #[must_use]
    pub fn is_named(&self, claims: &Members) -> bool {
        let config = &self.config;
        match (config.profile.token.named_by, member(claims, "iss")) {
            (NamedBy::Iss | NamedBy::IssOrAudience, Some(_)) => text(claims, "iss") == Some(&config.issuer),
            (NamedBy::Iss, None) => false,
            (NamedBy::IssOrAudience, None) => Registered::audience_of(claims)
                .is_some_and(|audience| audience.iter().any(|one| config.audience.contains(one))),
            (NamedBy::TrustDomain, _) => text(claims, "sub")
                .and_then(|sub| sub.strip_prefix(config.issuer.as_str()))
                .is_some_and(|rest| rest.starts_with('/')),
        }
    }

    /// Checks a token that names this issuer, and says of whom it is; waits for keys if it names one that is not known yet.
    ///
    /// # Errors
    /// [`Rejection`] at the first check that fails.
    pub async fn verify(
        &self,
        token: &Compact<'_>,
        digest: String,
        shown: &Shown,
        now: Now,
        steps: &mut Steps,
    ) -> Result<Accepted, Rejection> {
        let (registered, key) = self.check(token, shown, now, steps).await?;
        let subject = self.subject(&token.claims, &registered, digest, steps)?;
        Ok(self.accepted(Arc::new(subject), &registered, &key))
    }

    /// As [`Issuer::verify`], of a token by which a caller shows who it is.
    ///
    /// # Errors
    /// [`Rejection`] at the first check that fails.
    pub async fn verify_caller(
        &self,
        token: &Compact<'_>,
        shown: &Shown,
        now: Now,
    ) -> Result<Accepted<Arc<Caller>>, Rejection> {
        let (registered, key) = self.check(token, shown, now, &mut Steps::default()).await?;
        let caller = self.caller(&token.claims, &registered)?;
        Ok(self.accepted(Arc::new(caller), &registered, &key))
    }

    /// Everything that does not depend on what the claims mean.
    async fn check(
        &self,
        token: &Compact<'_>,
        shown: &Shown,
        now: Now,
        steps: &mut Steps,
    ) -> Result<(Registered, Arc<Key>), Rejection> {
        let profile = &self.config.profile;
        let header = Header::read(&token.header, &profile.header, &self.config.algorithms)?;
        steps.passed(Check::Type, || format!("one of {}", profile.header.typ.join(", ")));
        steps.passed(Check::Algorithm, || format!("{:?}", header.algorithm));
        let registered = Registered::read(&token.claims, &profile.token.required)?;
        steps.passed(Check::Claims, || "those required are there and of their types".to_owned());
        self.check_audience(&registered)?;
        steps.passed(Check::Audience, || format!("one of {}", self.config.audience.join(", ")));
        self.check_times(&registered, now)?;
        steps.passed(Check::Expiry, || format!("expires {}", shown_instant(registered.expires)));
        let key = self.key(&header).await?;
        steps.passed(Check::Key, || header.kid.clone().unwrap_or_else(|| "the only one".to_owned()));
        if !key.verifies(token.signature, token.signed, header.algorithm) {
            return Err(Rejection::new(Check::Signature, "the signature is not its issuer's"));
        }
        steps.passed(Check::Signature, || "verified".to_owned());
        shown.check(registered.certificate.as_ref())?;
        steps.passed(Check::Confirmation, || match registered.certificate {
            None => "not bound".to_owned(),
            Some(_) => "bound to the certificate that was shown".to_owned(),
        });
        Ok((registered, key))
    }

    fn check_audience(&self, registered: &Registered) -> Result<(), Rejection> {
        if registered.audience.iter().any(|one| self.config.audience.contains(one)) {
            return Ok(());
        }
        Err(Rejection::new(Check::Audience, "`aud` holds none of the audiences that are configured"))
    }

    fn check_times(&self, registered: &Registered, Now(now): Now) -> Result<(), Rejection> {
        let (leeway, max_age) = (millis(self.config.leeway), millis(self.config.max_age));
        let Registered { expires, not_before, issued, .. } = *registered;
        if now >= expires.saturating_add(leeway) {
            return Err(Rejection::new(Check::Expiry, "the token has expired"));
        }
        if not_before.is_some_and(|from| now.saturating_add(leeway) < from) {
            return Err(Rejection::new(Check::NotBefore, "the token is not valid yet"));
        }
        if issued.is_some_and(|issued| now.saturating_add(leeway) < issued) {
            return Err(Rejection::new(Check::Age, "the token was issued in the future"));
        }
        let oldest = now.saturating_sub(max_age).saturating_sub(leeway);
        if issued.is_some_and(|issued| issued < oldest) {
            return Err(Rejection::new(Check::Age, "the token is older than `max_age` allows"));
        }
        if expires > now.saturating_add(max_age).saturating_add(leeway) {
            return Err(Rejection::new(Check::Age, "the token expires further ahead than `max_age` allows"));
        }
        Ok(())
    }

    /// The key that a token names. One that is not known may have been published since.
    async fn key(&self, header: &Header) -> Result<Arc<Key>, Rejection> {
        let select = |set: Option<&Arc<KeySet>>| match set {
            Some(set) => set.select(header.kid.as_deref(), header.algorithm).cloned(),
            None => {
                let message = "its issuer's keys cannot be had, or were had too long ago";
                Err((Rejection::new(Check::Keys, message), true))
            }
        };
        let seen = self.keys.current();
        match select(seen.as_ref()) {
            Ok(key) => Ok(key),
            Err((rejection, false)) => Err(rejection),
            Err((_, true)) => {
                self.keys.renewed(seen.as_ref()).await;
                select(self.keys.current().as_ref()).map_err(|(rejection, _)| rejection)
            }
        }
    }

    /// What a verified token's claims say, as the profile reads them.
    pub(super) fn subject(
        &self,
        claims: &Members,
        registered: &Registered,
        digest: String,
        steps: &mut Steps,
    ) -> Result<Subject, Rejection> {
        let IssuerConfig { issuer, id_prefix, profile, grants, .. } = &self.config;
        let space = Namespace { issuer, prefix: id_prefix };
        let parties = profile.parties(claims, space)?;
        for told in &parties.told {
            steps.passed(Check::Profile, || told.clone());
        }
        let scopes = profile.scopes(claims)?;
        let is_grant = *grants && !parties.actors.is_empty();
        Ok(Subject {
            facts: profile.facts(claims, issuer, registered, &scopes)?,
            grant: is_grant.then(|| profile.grant(&scopes)),
            principal: profile.synthesized(&parties.root, claims, space)?,
            root: parties.root,
            actors: parties.actors,
            expires: Now(registered.expires),
            digest,
        })
    }

    /// The caller that a token names: a workload where the issuer is a trust domain, `sub` otherwise. One that acts for
    /// somebody is no caller of its own: whom the answer would be for, it says in its questions.
    fn caller(&self, claims: &Members, registered: &Registered) -> Result<Caller, Rejection> {
        let refuse = |message: String| Rejection::new(Check::Claims, message);
        if member(claims, "act").is_some() {
            return Err(refuse("a caller's token names its caller alone, and this one has `act`".to_owned()));
        }
        let subject = optional_text(claims, "sub")?.ok_or_else(|| refuse("`sub` is required".to_owned()))?;
        let mut scopes = self.config.profile.scopes(claims)?;
        scopes.sort_unstable();
        scopes.dedup();
        let expires = Now(registered.expires);
        let issuer = self.config.issuer.clone();
        let holder = TokenHolder { issuer, subject, scopes, expires };
        if self.config.profile.token.named_by != NamedBy::TrustDomain {
            return Ok(Caller::token_holder(holder));
        }
        let id = spiffe_id(&holder.subject)
            .map_err(|problem| refuse(format!("`sub` is no SPIFFE ID: {problem}")))?;
        let workload = Workload::of(&id);
        Ok(Caller::workload_by_token(workload, holder))
    }

    /// How long what was verified holds: never past expiry, whatever the leeway.
    fn accepted<T>(&self, says: T, registered: &Registered, key: &Key) -> Accepted<T> {
        let ages_at = registered.issued.map(|issued| issued.saturating_add(millis(self.config.max_age)));
        Accepted {
            says,
            key: key.digest,
            certificate: registered.certificate,
            from: registered.not_before.max(registered.issued).unwrap_or(i64::MIN),
            until: ages_at.map_or(registered.expires, |ages_at| registered.expires.min(ages_at)),
        }
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn shown_instant(millis: i64) -> String {
    crate::engine::convert::datetime(millis).unwrap_or_else(|| millis.to_string())
}

/// The one issuer that a token names, and its place. Nothing of the token is trusted yet: a name only says whose keys to try.
///
/// # Errors
/// [`Rejection`] if it names none, or two.
pub(super) fn named<'i>(issuers: &'i [Issuer], claims: &Members) -> Result<(usize, &'i Issuer), Rejection> {
    let mut named = issuers.iter().enumerate().filter(|(_, issuer)| issuer.is_named(claims));
    match (named.next(), named.next()) {
        (Some(found), None) => Ok(found),
        (None, _) => Err(Rejection::new(Check::Issuer, "the token names no issuer that is configured")),
        (Some(_), Some(_)) => Err(Rejection::new(Check::Issuer, "the token names two issuers")),
    }
}
