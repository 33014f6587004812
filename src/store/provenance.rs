//! Who vouches for a set of sources: the manifest over all of its folders may be signed.
//!
//! A signed `mandate.sum` is a signed note (C2SP signed-note): its lines, an empty line, and a line for each signature.
//! `sha256sum --check` reads it as before, and passes over the signatures with a warning.

use signed_note::{Note, NoteError, StandardVerifier, Verifier as _, VerifierError, VerifierList};

use crate::engine::problem::{Place, Problem, SourceFile};

/// What every line of a signature begins with.
pub(super) const SIGNATURE: &str = "\u{2014} ";

/// Those whose signature a set needs to be served; of nobody, where none is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signers {
    /// Their public keys, each of which is one.
    lines: Vec<String>,
    /// What is said of them: name and number of each key.
    names: Vec<String>,
}

/// A line that should be the public key of a signer is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{line}` is no verifier key, which looks like `<name>+<8 digits>+<base64>`: {why}")]
pub struct NoSigner {
    /// The line.
    pub line: String,
    /// What is wrong with it.
    pub why: String,
}

impl Signers {
    /// Signers by their public keys, as C2SP's signed-note writes verifier keys.
    ///
    /// # Errors
    /// [`NoSigner`].
    pub fn read<'l>(lines: impl IntoIterator<Item = &'l str>) -> Result<Self, NoSigner> {
        let mut signers = Self::default();
        for line in lines {
            let refused = |error: VerifierError| NoSigner { line: line.to_owned(), why: error.to_string() };
            let verifier = StandardVerifier::new(line).map_err(refused)?;
            let name = named(verifier.name(), verifier.key_id());
            if !signers.names.contains(&name) {
                signers.lines.push(line.to_owned());
                signers.names.push(name);
            }
        }
        Ok(signers)
    }

    /// Whether sets need no signature.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether a set that was signed by this one, or by nobody if empty, may be served.
    pub(super) fn accepts(&self, signer: &str) -> bool {
        self.is_empty() || self.names.iter().any(|name| name == signer)
    }

    /// Who signed a set with this manifest over all of its folders; nobody, where no signature is asked for.
    ///
    /// # Errors
    /// None of them did.
    pub(super) fn of(&self, manifest: Option<&SourceFile>) -> Result<String, Problem> {
        if self.is_empty() {
            return Ok(String::new());
        }
        let Some(manifest) = manifest else {
            let place = Place::new("mandate.sum", "");
            return Err(Problem::error(&place, "`sources.signers` asks for a signed manifest, and there is none")
                .help("put it beside the folders of policies, schemas and entities, and sign it with `mandate sign`"));
        };
        let place = Place::new(&manifest.name, "");
        let unsigned = |message: String| {
            Problem::error(&place, message)
                .help(format!("one of these has to sign it: {}", self.names.join(", ")))
        };
        let note =
            Note::from_bytes(&manifest.bytes).map_err(|_malformed| unsigned("is not signed".to_owned()))?;
        match note.verify(&self.verifiers()) {
            Ok((verified, _others)) => {
                Ok(verified.first().map(|by| named(by.name(), by.id())).unwrap_or_default())
            }
            Err(NoteError::UnverifiedNote) => {
                Err(unsigned("is signed by nobody that `sources.signers` names".to_owned()))
            }
            Err(_) => Err(unsigned("was changed after it was signed, or its signature is false".to_owned())),
        }
    }

    fn verifiers(&self) -> VerifierList {
        let verifiers = self.lines.iter().filter_map(|line| StandardVerifier::new(line).ok());
        VerifierList::new(
            verifiers.map(|verifier| Box::new(verifier) as Box<dyn signed_note::Verifier>).collect(),
        )
    }
}

fn named(name: &str, id: u32) -> String {
    format!("{name}+{id:08x}")
}
