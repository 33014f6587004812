//! Subjects of requests: tokens verified against the issuers that are configured.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::compact::{self, Compact, Members};
use super::credentials::Credentials;
use super::https::Endpoint;
use super::issuer::{Issuer, IssuerConfig, KeyOrigin, named};
use super::keys::{Keys, Source};
use super::rejection::{Check, Rejection};
use super::shown::Shown;
use super::steps::{Step, Steps};
use super::verified::{Entry, Verified};
use crate::engine::authorize::Now;
use crate::engine::subject::Subject;
use crate::outbound::TrustError;

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
    Endpoint(String, TrustError),
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
        let (issuers, keepers) = open(configs)?;
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
        if let Some(entry) = self.verified.known(&digest, &self.issuers, shown, now)? {
            return Ok(Believed { subject: Arc::clone(&entry.accepted.says), known: true });
        }
        let compact = Compact::parse(token)?;
        let (place, issuer) = named(&self.issuers, &compact.claims)?;
        let mut steps = Steps::default();
        let accepted = issuer.verify(&compact, told(&digest), shown, now, &mut steps).await?;
        let subject = Arc::clone(&accepted.says);
        let entry = Entry { issuer: place, accepted, length: token.len() };
        self.verified.insert(digest, Arc::new(entry));
        Ok(Believed { subject, known: false })
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
        let (_, issuer) = named(&self.issuers, &compact.claims)?;
        inspection.issuer = Some(issuer.config.issuer.clone());
        let mut steps = Steps::kept();
        let digest = told(&Sha256::digest(token).into());
        let accepted = issuer.verify(&compact, digest, shown, now, &mut steps).await;
        inspection.steps = steps.into_vec();
        accepted.map(|accepted| accepted.says)
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

/// Issuers and their keys, and what must run for them.
///
/// # Errors
/// [`IssuerError`] for a file that holds no keys, or an address that could never be trusted.
pub(super) fn open(configs: &[IssuerConfig]) -> Result<(Vec<Issuer>, Keepers), IssuerError> {
    let mut keepers = Keepers::new();
    let mut issuers = Vec::new();
    for config in configs {
        let keys = Arc::new(Keys::new(&config.issuer, &config.profile.token.key_use, config.limits));
        let source = source(config, &keys)?;
        keepers.push(Box::pin(Arc::clone(&keys).keep(source)));
        issuers.push(Issuer { config: config.clone(), keys });
    }
    Ok((issuers, keepers))
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

#[cfg(test)]
#[path = "subjects_tests.rs"]
mod tests;
