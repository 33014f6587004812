//! Subjects of requests: tokens verified against the issuers that are configured.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::compact::{self, Compact, Members};
use super::credentials::Credentials;
use super::https::{Endpoint, EndpointError};
use super::issuer::{Accepted, Issuer, IssuerConfig, KeyOrigin};
use super::keys::{Keys, Source};
use super::rejection::{Check, Rejection};
use super::shown::Shown;
use super::steps::{Step, Steps};
use super::verified::{Entry, Verified};
use crate::engine::authorize::Now;
use crate::engine::subject::Subject;

/// The issuers whose tokens are believed, and what was verified of late.
#[derive(Debug, Default)]
pub struct Subjects {
    issuers: Vec<Issuer>,
    verified: Verified,
}

/// A token that is believed.
#[derive(Debug, Clone)]
pub struct Believed {
    /// What it says.
    pub subject: Arc<Subject>,
    /// Whether it had been verified before.
    pub known: bool,
}

/// Why an issuer cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// Its keys' address cannot be reached by anybody.
    #[error("issuer `{0}`: {1}")]
    Endpoint(String, EndpointError),
    /// Its file of keys cannot be used.
    #[error("issuer `{0}`: `jwks_file` {1}")]
    File(String, String),
}

/// Everything that must be kept up to date for subjects to be verified: one future for each issuer, which does not end.
pub type Keepers = Vec<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>;

impl Subjects {
    /// Verifiers of these issuers' tokens, and what must run for them.
    ///
    /// # Errors
    /// [`IssuerError`] for a file that holds no keys, or an address that could never be trusted.
    pub fn open(configs: &[IssuerConfig]) -> Result<(Self, Keepers), IssuerError> {
        let mut keepers = Keepers::new();
        let mut issuers = Vec::new();
        for config in configs {
            let keys = Arc::new(Keys::new(&config.issuer, &config.profile.token.key_use, config.limits));
            let source = source(config, &keys)?;
            keepers.push(Box::pin(Arc::clone(&keys).keep(source)));
            issuers.push(Issuer { config: config.clone(), keys });
        }
        Ok((Self { issuers, verified: Verified::default() }, keepers))
    }

    /// The issuers, in the order they are configured.
    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    /// Verifies a token, and says what it says. Waits for keys that are being fetched: the caller bounds the time.
    ///
    /// # Errors
    /// [`Rejection`].
    pub async fn verify(
        &self,
        credentials: &Credentials,
        shown: &Shown,
        now: Now,
    ) -> Result<Believed, Rejection> {
        let token = credentials.reveal();
        if self.issuers.is_empty() {
            let message = "no issuer is configured, so no token is believed: leave `credentials` empty";
            return Err(Rejection::new(Check::Issuer, message));
        }
        compact::check_size(token)?;
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(subject) = self.known(&digest, shown, now)? {
            return Ok(Believed { subject, known: true });
        }
        let compact = Compact::parse(token)?;
        let (place, issuer) = self.issuer_of(&compact.claims)?;
        let mut steps = Steps::default();
        let accepted = issuer.verify(&compact, told(&digest), shown, now, &mut steps).await?;
        let subject = Arc::clone(&accepted.subject);
        let entry = Entry { issuer: place, accepted, length: token.len() };
        self.verified.insert(digest, Arc::new(entry));
        Ok(Believed { subject, known: false })
    }

    /// A token that was verified before, if all that can change since still holds: time, its issuer's keys, and what its
    /// caller shows.
    fn known(&self, digest: &[u8; 32], shown: &Shown, now: Now) -> Result<Option<Arc<Subject>>, Rejection> {
        let Some(entry) = self.verified.get(digest) else { return Ok(None) };
        let Entry { issuer, accepted, .. } = &*entry;
        let Accepted { subject, key, certificate, from, until } = accepted;
        let keys = self.issuers.get(*issuer).and_then(|issuer| issuer.keys.current());
        let is_trusted = keys.is_some_and(|keys| keys.holds(key));
        if !is_trusted || !(*from..*until).contains(&now.0) {
            self.verified.remove(digest);
            return Ok(None);
        }
        shown.check(certificate.as_ref())?;
        Ok(Some(Arc::clone(subject)))
    }

    /// The one issuer that a token names. Nothing of the token is trusted yet: a name only says whose keys to try.
    fn issuer_of(&self, claims: &Members) -> Result<(usize, &Issuer), Rejection> {
        let mut named = self.issuers.iter().enumerate().filter(|(_, issuer)| issuer.is_named(claims));
        match (named.next(), named.next()) {
            (Some(found), None) => Ok(found),
            (None, _) => Err(Rejection::new(Check::Issuer, "the token names no issuer that is configured")),
            (Some(_), Some(_)) => Err(Rejection::new(Check::Issuer, "the token names two issuers")),
        }
    }

    /// Shows what is made of a token, step by step. Nothing is remembered of it.
    pub async fn inspect(&self, token: &str, shown: &Shown, now: Now) -> Inspection {
        let mut inspection = Inspection::default();
        inspection.outcome = self.look_at(token, shown, now, &mut inspection).await;
        inspection
    }

    async fn look_at(
        &self,
        token: &str,
        shown: &Shown,
        now: Now,
        inspection: &mut Inspection,
    ) -> Result<Arc<Subject>, Rejection> {
        let compact = Compact::parse(token)?;
        inspection.header.clone_from(&compact.header);
        inspection.claims.clone_from(&compact.claims);
        let (_, issuer) = self.issuer_of(&compact.claims)?;
        inspection.issuer = Some(issuer.config.issuer.clone());
        let mut steps = Steps::kept();
        let digest = told(&Sha256::digest(token).into());
        let accepted = issuer.verify(&compact, digest, shown, now, &mut steps).await;
        inspection.steps = steps.into_vec();
        accepted.map(|accepted| accepted.subject)
    }
}

/// What was made of a token.
#[derive(Debug)]
pub struct Inspection {
    /// Its header, as it says.
    pub header: Members,
    /// Its claims, as it says.
    pub claims: Members,
    /// The configured issuer it names.
    pub issuer: Option<String>,
    /// The checks it passed, in order.
    pub steps: Vec<Step>,
    /// What it says, or the check it failed.
    pub outcome: Result<Arc<Subject>, Rejection>,
}

impl Default for Inspection {
    fn default() -> Self {
        Self {
            header: Members::new(),
            claims: Members::new(),
            issuer: None,
            steps: Vec::new(),
            outcome: Err(Rejection::new(Check::Form, "nothing was looked at")),
        }
    }
}

/// Where keys come from. A file is read at once: one that holds none is a mistake to be told at the start.
fn source(config: &IssuerConfig, keys: &Keys) -> Result<Source, IssuerError> {
    match &config.keys {
        KeyOrigin::File(path) => {
            let read = keys.read_file(path);
            read.map_err(|problem| IssuerError::File(config.issuer.clone(), problem))?;
            Ok(Source::File(path.clone()))
        }
        KeyOrigin::Url(url, authorities) => Endpoint::new(url.clone(), authorities.as_deref())
            .map(|endpoint| Source::Url(Box::new(endpoint)))
            .map_err(|error| IssuerError::Endpoint(config.issuer.clone(), error)),
    }
}

/// A digest as text.
fn told(digest: &[u8; 32]) -> String {
    digest.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}
