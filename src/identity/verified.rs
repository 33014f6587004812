//! Tokens that were verified, by the digest of their whole text. What is found here was true once: what may have changed
//! since is checked again each time.

use std::sync::Arc;

use moka::sync::Cache;

use super::issuer::Accepted;

/// About how many bytes of tokens are remembered.
const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// What an entry is taken to weigh besides what the token holds, in bytes.
const ENTRY_BYTES: usize = 1024;

/// A bounded table of them.
#[derive(Debug)]
pub struct Verified {
    entries: Cache<[u8; 32], Arc<Entry>>,
}

/// A token that was verified.
#[derive(Debug)]
pub struct Entry {
    /// The place of its issuer.
    pub issuer: usize,
    /// What was found.
    pub accepted: Accepted,
    /// How long its text is, in bytes.
    pub length: usize,
}

impl Default for Verified {
    fn default() -> Self {
        let weight = |_: &[u8; 32], entry: &Arc<Entry>| {
            // What is kept of a token is about as large as its text, decoded and told once more.
            u32::try_from(2 * entry.length + ENTRY_BYTES).unwrap_or(u32::MAX)
        };
        Self { entries: Cache::builder().max_capacity(MAX_BYTES).weigher(weight).build() }
    }
}

impl Verified {
    /// What was found of the token with this digest.
    pub fn get(&self, digest: &[u8; 32]) -> Option<Arc<Entry>> {
        self.entries.get(digest)
    }

    /// Remembers a token.
    pub fn insert(&self, digest: [u8; 32], entry: Arc<Entry>) {
        self.entries.insert(digest, entry);
    }

    /// Forgets one.
    pub fn remove(&self, digest: &[u8; 32]) {
        self.entries.invalidate(digest);
    }
}
