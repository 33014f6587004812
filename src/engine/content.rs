//! A file's bytes: shared by whoever holds them, and summed once.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use sha2::{Digest as _, Sha256};

use super::digest;

/// SHA-256 of some bytes.
pub type Sum = [u8; 32];

/// Bytes that never change. A copy shares them, and their sum.
#[derive(Clone, Default)]
pub struct Content(Arc<Summed>);

#[derive(Default)]
struct Summed {
    bytes: Vec<u8>,
    sum: OnceLock<Sum>,
}

impl Content {
    /// Their sum: worked out when somebody first asks.
    pub fn sum(&self) -> &Sum {
        self.0.sum.get_or_init(|| Sha256::digest(&self.0.bytes).into())
    }
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl<T: Into<Vec<u8>>> From<T> for Content {
    fn from(bytes: T) -> Self {
        Self(Arc::new(Summed { bytes: bytes.into(), sum: OnceLock::new() }))
    }
}

/// The same bytes have the same sum, and nobody knows of others that have.
impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.len() == other.len() && self.sum() == other.sum())
    }
}

impl Eq for Content {}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, {}", self.len(), digest::named(self.sum()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_equal_by_its_bytes() {
        let [one, same, other] = ["abc", "abc", "abd"].map(Content::from);
        assert_eq!((&one, &one.clone()), (&same, &same));
        assert_ne!(one, other);
        assert_ne!(one, Content::from("abcd"));
        assert_eq!(digest::named(one.sum()), digest::of_bytes(b"abc"));
    }
}
