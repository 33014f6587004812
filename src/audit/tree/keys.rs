//! Who signs checkpoints, and whose signatures are believed.
//!
//! A private key is a file, PKCS#8 in PEM, as `openssl genpkey -algorithm ed25519` makes them; nobody but its owner (and,
//! for Kubernetes, its group) may read it. A public key is a line of text, `<name>+<id>+<key>`: a verifier key as C2SP's
//! signed-note has them.

use std::fmt;
use std::fs::{DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use signed_note::{Note, Signature};
use zeroize::Zeroizing;

use crate::audit::replace::replace;
use crate::verifiers::{Judged, NoVerifier, Verifiers};

/// How a signature says that it is Ed25519 (C2SP signed-note, "Signature types").
const ED25519: u8 = 1;
/// Longest key file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 16 * 1024;
/// Rights that nobody but a key file's owner may have: others none, the group nothing but reading.
const FORBIDDEN_MODE: u32 = 0o037;

/// Why there is no key to sign with, or to believe.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The system refuses.
    #[error("the key file `{}` cannot be used: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Others may read it.
    #[error(
        "the key file `{}` has mode {mode:o}: whoever may read it can sign what they like; `chmod 600` it, and replace \
         the key if somebody may have read it",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It holds no such key.
    #[error(
        "the key file `{}` holds no Ed25519 private key in PEM (PKCS#8); `openssl genpkey -algorithm ed25519` makes one",
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The name cannot stand in a note.
    #[error("`{0}` cannot be a key's name: it must have neither spaces nor `+`, and not be empty")]
    Name(String),
    /// A line that should be a public key is none.
    #[error(transparent)]
    Verifier(#[from] NoVerifier),
}

/// A private key. Its text is in no output: what can be shown of it is its name and number.
pub struct LogKey {
    name: String,
    id: u32,
    pair: Ed25519KeyPair,
}

impl LogKey {
    /// The key in a file, or a new one in a new file for its owner alone. `name` is what signatures will be under.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn open_or_make(path: &Path, name: &str) -> Result<Self, KeyError> {
        match Self::open(path, name) {
            Err(KeyError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                make(path)?;
                Self::open(path, name)
            }
            opened => opened,
        }
    }

    /// The key in a file.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn open(path: &Path, name: &str) -> Result<Self, KeyError> {
        if !signed_note::is_key_name_valid(name) || name.chars().any(char::is_control) {
            return Err(KeyError::Name(name.to_owned()));
        }
        let text = read(path)?;
        let no_key = || KeyError::NoKey { path: path.to_owned() };
        let der = PrivatePkcs8KeyDer::from_pem_slice(&text).map_err(|_unread| no_key())?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der());
        let pair = pair.map_err(|_rejected| no_key())?;
        let id = signed_note::key_id(name, &public(&pair));
        Ok(Self { name: name.to_owned(), id, pair })
    }

    /// The public key as a line of text: what verifiers need.
    pub fn verifier(&self) -> String {
        format!("{}+{:08x}+{}", self.name, self.id, BASE64.encode(public(&self.pair)))
    }

    /// A text as a note that this key has signed, besides those who had signed it before.
    ///
    /// # Errors
    /// The text is none that a note can have: it must end with a line's end, and hold no control characters but those.
    pub fn sign_note(&self, text: &[u8]) -> Result<String, NotSigned> {
        let signed = Note::from_bytes(text).ok();
        let (text, block) = match &signed {
            Some(note) => (note.text(), text.get(note.text().len()..).unwrap_or_default()),
            None => (text, &[][..]),
        };
        let others = block.split(|byte| *byte == b'\n').filter_map(|line| Signature::from_bytes(line).ok());
        let others = others.filter(|by| (by.name(), by.id()) != (&self.name, self.id));
        let signatures: Vec<_> = others.map(Ok).chain([self.sign(text)]).collect::<Result<_, _>>()?;
        let note = Note::new(text, &signatures).map_err(|_malformed| NotSigned)?;
        String::from_utf8(note.to_bytes()).map_err(|_other| NotSigned)
    }

    /// Signs a note's text.
    pub(super) fn sign(&self, text: &[u8]) -> Result<Signature, NotSigned> {
        let signature = self.pair.try_sign(text).map_err(|_unspecified| NotSigned)?;
        Signature::new(self.name.clone(), self.id, signature.as_ref().to_vec()).map_err(|_name| NotSigned)
    }
}

/// A text that no note can have; for one of ours, a defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it cannot be signed: a text ends with a line's end, holds no other control characters, and has less than a megabyte"
)]
pub struct NotSigned;

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogKey({}+{:08x})", self.name, self.id)
    }
}

/// The public key as notes have it: its type, then its bytes.
fn public(pair: &Ed25519KeyPair) -> Vec<u8> {
    let mut key = vec![ED25519];
    key.extend_from_slice(pair.public_key().as_ref());
    key
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let at = |error| KeyError::Io { path: path.to_owned(), error };
    let file = File::open(path).map_err(at)?;
    let mode = file.metadata().map_err(at)?.permissions().mode() & 0o777;
    if mode & FORBIDDEN_MODE != 0 {
        return Err(KeyError::Open { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(Vec::new());
    file.take(MAX_FILE_BYTES).read_to_end(&mut text).map_err(at)?;
    Ok(text)
}

/// Makes a key, and the folder it is in, for this user alone.
fn make(path: &Path) -> Result<(), KeyError> {
    let at = |error| KeyError::Io { path: path.to_owned(), error };
    let defect = |_unspecified| at(io::Error::other("the system gives no random numbers"));
    let document = Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1()).map_err(defect)?;
    // 48 bytes, which are one line of PEM.
    let body = Zeroizing::new(BASE64.encode(document.as_ref()));
    let text = Zeroizing::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", *body));
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at)?;
    replace(path, text.as_bytes()).map_err(at)
}

/// Public keys whose signatures of checkpoints are believed; by default nobody's.
#[derive(Debug, Default)]
pub struct TrustedKeys(Verifiers);

/// What a note's signatures are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// By a key that is believed.
    Trusted,
    /// By keys that nobody vouched for.
    Unknown,
    /// In the name of a key that is believed, which did not sign it.
    Forged,
}

impl TrustedKeys {
    /// Keys from lines of text, as [`LogKey::verifier`] says them. Empty lines, and those that begin with `#`, say nothing.
    ///
    /// # Errors
    /// [`KeyError::Verifier`].
    pub fn read(lines: &str) -> Result<Self, KeyError> {
        let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Ok(Self(Verifiers::read(lines)?))
    }

    /// Whether nobody is believed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a note's signatures are worth.
    pub(super) fn judge(&self, note: &Note) -> Signed {
        match self.0.judge(note) {
            Judged::By(_) => Signed::Trusted,
            Judged::Unknown => Signed::Unknown,
            Judged::Forged => Signed::Forged,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::os::unix::fs::OpenOptionsExt as _;

    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/log.key");
        (folder, path)
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_found_again() {
        let (_folder, path) = folder();
        let made = LogKey::open_or_make(&path, "pdp.example/one").unwrap();
        let found = LogKey::open_or_make(&path, "pdp.example/one").unwrap();
        assert_eq!(made.verifier(), found.verifier());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let listed: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(listed.len(), 1);
    }

    #[test]
    fn a_key_that_others_may_read_is_refused_and_one_for_the_group_is_not() {
        let (_folder, path) = folder();
        LogKey::open_or_make(&path, "name").unwrap();
        for mode in [0o644, 0o604, 0o660, 0o601, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = LogKey::open_or_make(&path, "name").unwrap_err();
            assert!(matches!(refused, KeyError::Open { .. }), "{mode:o}: {refused}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
        LogKey::open(&path, "name").unwrap();
    }

    #[test]
    fn what_is_no_key_is_refused_and_never_quoted() {
        let (_folder, path) = folder();
        fs::create_dir(path.parent().unwrap()).unwrap();
        let secret = "c2VjcmV0IGJ1dCBub3QgYSBrZXk=";
        for text in
            ["", secret, &format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n")]
        {
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
            fs::write(&path, text).unwrap();
            let refused = LogKey::open_or_make(&path, "name").unwrap_err();
            assert!(matches!(refused, KeyError::NoKey { .. }), "{refused}");
            assert!(!format!("{refused} {refused:?}").contains(secret));
            assert_eq!(fs::read_to_string(&path).unwrap(), text, "the file was touched");
        }
    }

    #[test]
    fn nothing_that_is_shown_of_a_key_tells_it() {
        let (_folder, path) = folder();
        let key = LogKey::open_or_make(&path, "name").unwrap();
        let pem = fs::read_to_string(&path).unwrap();
        let body = pem.lines().nth(1).unwrap();
        // The last 32 bytes of the document are the seed: its base64 begins after 16 bytes, within the 22nd digit.
        let shown = format!("{key:?} {}", key.verifier());
        assert!(!shown.contains(body.get(24..).unwrap()), "{shown}");
        assert!(key.verifier().starts_with("name+"));
    }

    #[test]
    fn names_that_notes_cannot_have_are_refused() {
        let (_folder, path) = folder();
        for name in ["", "two words", "a+b", "line\nbreak", "nul\0"] {
            assert!(matches!(LogKey::open_or_make(&path, name), Err(KeyError::Name(_))), "{name:?}");
        }
    }

    #[test]
    fn lines_that_are_no_verifier_keys_are_refused() {
        let (_folder, path) = folder();
        let key = LogKey::open_or_make(&path, "name").unwrap().verifier();
        let keys = TrustedKeys::read(&format!("# of the log\n\n{key}\n{key}\n")).unwrap();
        assert_eq!(keys.0.names().count(), 1);
        assert!(TrustedKeys::read("").unwrap().is_empty());
        let other_name = key.replace("name", "eman");
        for wrong in ["nonsense", "a+b+c", key.get(..key.len() - 4).unwrap(), &other_name] {
            assert!(matches!(TrustedKeys::read(wrong), Err(KeyError::Verifier { .. })), "{wrong}");
        }
    }
}
