//! Who vouches for a set of sources: the manifest over all of its folders may be signed.
//!
//! A signed `mandate.sum` is a signed note (C2SP signed-note): its lines, an empty line, and a line for each signature.
//! `sha256sum --check` reads it as before, and passes over the signatures with a warning.

use signed_note::Note;

use crate::engine::problem::{Place, Problem, SourceFile};
use crate::verifiers::{Judged, NoVerifier, Verifiers};

/// Those whose signature a set needs to be served; of nobody, where none is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signers(Verifiers);

impl Signers {
    /// Signers by their public keys.
    ///
    /// # Errors
    /// [`NoVerifier`].
    pub fn read<'l>(lines: impl IntoIterator<Item = &'l str>) -> Result<Self, NoVerifier> {
        Verifiers::read(lines).map(Self)
    }

    /// Whether sets need no signature.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a set that was signed by this one, or by nobody if empty, may be served.
    pub(super) fn accepts(&self, signer: &str) -> bool {
        self.is_empty() || self.0.names().any(|name| name == signer)
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
            Problem::error(&place, message).help(format!(
                "one of these has to sign it: {}",
                self.0.names().collect::<Vec<_>>().join(", ")
            ))
        };
        let note =
            Note::from_bytes(&manifest.bytes).map_err(|_malformed| unsigned("is not signed".to_owned()))?;
        match self.0.judge(&note) {
            Judged::By(signer) => Ok(signer),
            Judged::Unknown => Err(unsigned("is signed by nobody that `sources.signers` names".to_owned())),
            Judged::Forged => {
                Err(unsigned("was changed after it was signed, or its signature is false".to_owned()))
            }
        }
    }
}
