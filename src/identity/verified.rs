//! Tokens that were verified, by the digest of their whole text. What is found here was true once: what may have changed
//! since is checked again each time.

use std::fmt;
use std::sync::Arc;

use moka::sync::Cache;

use super::issuer::{Accepted, Issuer};
use super::rejection::Rejection;
use super::shown::Shown;
use crate::engine::authorize::Now;
use crate::engine::subject::Subject;

/// About how many bytes of tokens are remembered.
const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// What an entry is taken to weigh besides what the token holds, in bytes.
const ENTRY_BYTES: usize = 1024;

/// A bounded table of them.
pub struct Verified<T = Arc<Subject>> {
    entries: Cache<[u8; 32], Arc<Entry<T>>>,
}

impl<T> fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").finish_non_exhaustive()
    }
}

/// A token that was verified.
#[derive(Debug)]
pub struct Entry<T = Arc<Subject>> {
    /// The place of its issuer.
    pub issuer: usize,
    /// What was found.
    pub accepted: Accepted<T>,
    /// How long its text is, in bytes.
    pub length: usize,
}

impl<T: Send + Sync + 'static> Default for Verified<T> {
    fn default() -> Self {
        let weight = |_: &[u8; 32], entry: &Arc<Entry<T>>| {
            // What is kept of a token is about as large as its text, decoded and told once more.
            u32::try_from(2 * entry.length + ENTRY_BYTES).unwrap_or(u32::MAX)
        };
        Self { entries: Cache::builder().max_capacity(MAX_BYTES).weigher(weight).build() }
    }
}

impl<T> Entry<T> {
    /// Whether all that can change still holds: time, its issuer's keys, and what its caller shows.
    ///
    /// # Errors
    /// [`Rejection`] if it is bound to a certificate that is not shown.
    pub fn holds(&self, issuers: &[Issuer], shown: &Shown, Now(now): Now) -> Result<bool, Rejection> {
        let Accepted { key, certificate, from, until, .. } = &self.accepted;
        let keys = issuers.get(self.issuer).and_then(|issuer| issuer.keys.current());
        if !keys.is_some_and(|keys| keys.holds(key)) || !(*from..*until).contains(&now) {
            return Ok(false);
        }
        shown.check(certificate.as_ref()).map(|()| true)
    }
}

impl<T: Send + Sync + 'static> Verified<T> {
    /// What was found of the token with this digest, if it still holds.
    ///
    /// # Errors
    /// As [`Entry::holds`].
    pub fn known(
        &self,
        digest: &[u8; 32],
        issuers: &[Issuer],
        shown: &Shown,
        now: Now,
    ) -> Result<Option<Arc<Entry<T>>>, Rejection> {
        let Some(entry) = self.entries.get(digest) else { return Ok(None) };
        if entry.holds(issuers, shown, now)? {
            return Ok(Some(entry));
        }
        self.entries.invalidate(digest);
        Ok(None)
    }

    /// Remembers a token.
    pub fn insert(&self, digest: [u8; 32], entry: Arc<Entry<T>>) {
        self.entries.insert(digest, entry);
    }
}
