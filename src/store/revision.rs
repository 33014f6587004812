//! Revisions: names of published worlds that a caller can hand back and cannot make up (R).

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// First byte of every revision: the layout of the rest.
const VERSION: u8 = 1;
/// Bytes of a generation's hash.
const HASH: usize = 32;
/// Bytes that name a log.
pub(super) const LOG: usize = 16;
/// Bytes of what is authenticated: version, hash, log and sequence.
const BODY: usize = 1 + HASH + LOG + 8;
/// Bytes of the tag after it.
pub(super) const TAG: usize = 16;

/// What revisions are authenticated with.
#[derive(Clone)]
pub struct RevisionKey([u8; Self::BYTES]);

impl RevisionKey {
    /// Its length.
    pub const BYTES: usize = 32;

    /// The key that a file holds, if it has the right length.
    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The key, for those who make and read the same revisions.
    #[must_use]
    pub fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// A key for this process only.
    pub(crate) fn random() -> Self {
        Self(unpredictable())
    }
}

impl From<[u8; Self::BYTES]> for RevisionKey {
    fn from(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for RevisionKey {
    /// A secret does not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RevisionKey(…)")
    }
}

/// Why a revision that a caller names cannot be honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RevisionError {
    /// Not a revision of this store, or altered.
    #[error("is no revision that this server gave out")]
    BadTag,
    /// Of another log, that of before a restore for instance: sequences cannot be compared.
    #[error("is a revision of another entity log: ask again without it")]
    OtherLog,
    /// Later than anything published.
    #[error("is a later revision than the one served")]
    Ahead,
}

/// What a revision names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named {
    generation: [u8; HASH],
    pub(super) sequence: u64,
}

impl Named {
    /// Whether it is of a generation.
    pub(super) fn is_of(&self, generation: &str) -> bool {
        self.generation == hash_bytes(generation)
    }
}

/// Makes and reads the revisions of one store.
#[derive(Debug)]
pub(super) struct Signer {
    key: RevisionKey,
    log: [u8; LOG],
}

impl Signer {
    /// Names revisions of one log.
    pub(super) fn new(key: RevisionKey, log: [u8; LOG]) -> Self {
        Self { key, log }
    }

    /// Whether another names revisions of the same log.
    pub(super) fn is_of_log(&self, other: &Self) -> bool {
        self.log == other.log
    }

    /// The log whose revisions these are, and what they are authenticated with.
    pub(super) fn parts(&self) -> ([u8; LOG], RevisionKey) {
        (self.log, self.key.clone())
    }

    /// The name of a published world.
    pub(super) fn sign(&self, generation: &str, sequence: u64) -> String {
        let mut bytes = Vec::with_capacity(BODY + TAG);
        bytes.push(VERSION);
        bytes.extend(hash_bytes(generation));
        bytes.extend(self.log);
        bytes.extend(sequence.to_be_bytes());
        let tag = self.mac(&bytes).finalize().into_bytes();
        bytes.extend(tag.iter().take(TAG));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What a revision of this log names.
    ///
    /// # Errors
    /// [`RevisionError::BadTag`], [`RevisionError::OtherLog`].
    pub(super) fn read(&self, revision: &str) -> Result<Named, RevisionError> {
        let bytes = URL_SAFE_NO_PAD.decode(revision).map_err(|_error| RevisionError::BadTag)?;
        let (body, tag) = bytes.split_at_checked(BODY).ok_or(RevisionError::BadTag)?;
        if tag.len() != TAG || body.first() != Some(&VERSION) {
            return Err(RevisionError::BadTag);
        }
        self.mac(body).verify_truncated_left(tag).map_err(|_error| RevisionError::BadTag)?;
        let (rest, sequence) = body.split_last_chunk().ok_or(RevisionError::BadTag)?;
        let (hash, log) = rest.split_last_chunk::<LOG>().ok_or(RevisionError::BadTag)?;
        let generation = hash.last_chunk().copied().ok_or(RevisionError::BadTag)?;
        if *log != self.log {
            return Err(RevisionError::OtherLog);
        }
        Ok(Named { generation, sequence: u64::from_be_bytes(*sequence) })
    }

    /// What a revision names, if it is nothing later than what is served.
    ///
    /// # Errors
    /// As [`Signer::read`], and [`RevisionError::Ahead`].
    pub(super) fn check(&self, revision: &str, served: u64) -> Result<Named, RevisionError> {
        let named = self.read(revision)?;
        if named.sequence > served { Err(RevisionError::Ahead) } else { Ok(named) }
    }

    /// The tag of bytes that are no revision: of those that a caller hands back. `purpose` is one byte, and no version of
    /// revisions.
    pub(super) fn tag(&self, purpose: u8, bytes: &[u8]) -> [u8; TAG] {
        let mut mac = self.mac(&[purpose]);
        mac.update(bytes);
        let whole = mac.finalize().into_bytes();
        whole.first_chunk().copied().unwrap_or([0; TAG])
    }

    /// Whether that is the tag of these bytes.
    pub(super) fn is_tag(&self, purpose: u8, bytes: &[u8], tag: &[u8]) -> bool {
        let mut mac = self.mac(&[purpose]);
        mac.update(bytes);
        tag.len() == TAG && mac.verify_truncated_left(tag).is_ok()
    }

    fn mac(&self, body: &[u8]) -> Hmac<Sha256> {
        // A key shorter than the hash's block counts as filled up with zeros.
        let mut block = [0; 64];
        block.iter_mut().zip(self.key.0).for_each(|(to, from)| *to = from);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(body);
        mac
    }
}

/// The bytes behind `sha256:…`; of any other name, its own hash.
fn hash_bytes(generation: &str) -> [u8; HASH] {
    let digits = generation.strip_prefix("sha256:").unwrap_or_default();
    let mut bytes = [0; HASH];
    let pairs = (0..HASH).map(|at| digits.get(2 * at..2 * at + 2).map(|pair| u8::from_str_radix(pair, 16)));
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        match pair {
            Some(Ok(value)) => *byte = value,
            _ => return Sha256::digest(generation).into(),
        }
    }
    bytes
}

/// Random bytes from the system. Should it give none, the standard library's own random keys, which every process has,
/// stand in.
pub(super) fn unpredictable<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        let state = RandomState::new();
        for (at, byte) in bytes.iter_mut().enumerate() {
            let [value, ..] = state.hash_one(at).to_be_bytes();
            *byte = value;
        }
    }
    bytes
}
