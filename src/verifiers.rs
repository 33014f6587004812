//! Public keys of those whose signatures are believed: verifier keys, as C2SP's signed-note writes them,
//! `<name>+<8 digits>+<base64>`.

use std::fmt;

use signed_note::{Note, NoteError, StandardVerifier, VerificationError, Verifier, VerifierError};

/// What every line of a signature begins with, under the text that is signed.
pub const SIGNATURE: &str = "\u{2014} ";

/// Keys that are believed, each once.
#[derive(Clone, Default)]
pub struct Verifiers(Vec<StandardVerifier>);

/// A line that should be a public key is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{line}` is no verifier key, which looks like `<name>+<8 digits>+<base64>`: {why}")]
pub struct NoVerifier {
    /// The line.
    pub line: String,
    /// What is wrong with it.
    pub why: String,
}

/// What a note's signatures are worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// By a key that is believed: its name and number.
    By(String),
    /// By keys that nobody vouched for.
    Unknown,
    /// In the name of a key that is believed, which did not sign it.
    Forged,
}

impl Verifiers {
    /// Keys from lines of text.
    ///
    /// # Errors
    /// [`NoVerifier`].
    pub fn read<'l>(lines: impl IntoIterator<Item = &'l str>) -> Result<Self, NoVerifier> {
        let mut keys = Self::default();
        for line in lines {
            let refused = |error: VerifierError| NoVerifier { line: line.to_owned(), why: error.to_string() };
            let key = StandardVerifier::new(line).map_err(refused)?;
            // A number is a digest of the key.
            if keys.find(key.name(), key.key_id()).is_none() {
                keys.0.push(key);
            }
        }
        Ok(keys)
    }

    /// Whether nobody is believed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is said of each key: its name and number.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|key| named(key.name(), key.key_id()))
    }

    /// What a note's signatures are worth. One by a key that is believed is enough; one that is false in such a key's
    /// name spoils the note (C2SP signed-note, "Verifying").
    #[must_use]
    pub fn judge(&self, note: &Note) -> Judged {
        match note.verify(self) {
            Ok((verified, _others)) => {
                verified.first().map_or(Judged::Unknown, |by| Judged::By(named(by.name(), by.id())))
            }
            Err(NoteError::UnverifiedNote) => Judged::Unknown,
            Err(_) => Judged::Forged,
        }
    }

    fn find(&self, name: &str, id: u32) -> Option<&StandardVerifier> {
        self.0.iter().find(|key| (key.name(), key.key_id()) == (name, id))
    }
}

impl signed_note::Verifiers for Verifiers {
    fn verifier(&self, name: &str, id: u32) -> Result<&dyn Verifier, VerificationError> {
        let key = self.find(name, id).map(|key| key as &dyn Verifier);
        key.ok_or_else(|| VerificationError::UnknownKey { name: name.to_owned(), id })
    }
}

/// Keys of the same names and numbers are the same.
impl PartialEq for Verifiers {
    fn eq(&self, other: &Self) -> bool {
        self.names().eq(other.names())
    }
}

impl Eq for Verifiers {}

impl fmt::Debug for Verifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

fn named(name: &str, id: u32) -> String {
    format!("{name}+{id:08x}")
}
