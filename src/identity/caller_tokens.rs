//! Tokens by which callers show who they are: verified as those of subjects are, by issuers of their own.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::caller::Caller;
use super::compact::{self, Compact};
use super::issuer::{Issuer, IssuerConfig, named};
use super::rejection::Rejection;
use super::shown::Shown;
use super::subjects::{self, IssuerError, Keepers};
use super::verified::{Entry, Verified};
use crate::engine::authorize::Now;

/// The issuers whose word on callers counts, and what was verified of late.
#[derive(Debug, Default)]
pub struct CallerTokens {
    issuers: Vec<Issuer>,
    verified: Verified<Arc<Caller>>,
}

/// A caller's token that was verified.
#[derive(Debug, Clone)]
pub struct CallerToken(Arc<Entry<Arc<Caller>>>);

impl CallerToken {
    /// Whom it names.
    #[must_use]
    pub fn caller(&self) -> &Arc<Caller> {
        &self.0.accepted.says
    }
}

impl CallerTokens {
    /// Verifiers of these issuers' tokens, and what must run for them.
    ///
    /// # Errors
    /// [`IssuerError`] for a file that holds no keys, or an address that could never be trusted.
    pub fn open(configs: &[IssuerConfig]) -> Result<(Self, Keepers), IssuerError> {
        let (issuers, keepers) = subjects::open(configs)?;
        Ok((Self { issuers, verified: Verified::default() }, keepers))
    }

    /// The issuers, in the order they are configured.
    #[must_use]
    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    /// Verifies a token. Waits for keys that are being fetched: whoever calls bounds the time.
    ///
    /// # Errors
    /// [`Rejection`].
    pub async fn verify(&self, token: &str, shown: &Shown, now: Now) -> Result<CallerToken, Rejection> {
        compact::check_size(token)?;
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(entry) = self.verified.known(&digest, &self.issuers, shown, now)? {
            return Ok(CallerToken(entry));
        }
        let compact = Compact::parse(token)?;
        let (issuer, named) = named(&self.issuers, &compact.claims)?;
        let accepted = named.verify_caller(&compact, shown, now).await?;
        let entry = Arc::new(Entry { issuer, accepted, length: token.len() });
        self.verified.insert(digest, Arc::clone(&entry));
        Ok(CallerToken(entry))
    }

    /// Whether a token that was verified still is: not once it has expired, or its issuer's key is gone.
    #[must_use]
    pub fn still(&self, token: &CallerToken, shown: &Shown, now: Now) -> bool {
        token.0.holds(&self.issuers, shown, now).unwrap_or(false)
    }
}
