//! What whoever shows a token holds besides: the proof that it is theirs.

use super::rejection::{Check, Rejection};

/// What the caller has shown on its connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown {
    /// SHA-256 over the DER of its client certificate (RFC 8705 §3.1).
    pub certificate_sha256: Option<[u8; 32]>,
}

impl Shown {
    /// Checks what a token is bound to against what was shown; a token that is not bound needs no proof.
    ///
    /// # Errors
    /// [`Rejection`] if the token is bound to another certificate, or none was shown.
    pub fn check(&self, bound_to: Option<&[u8; 32]>) -> Result<(), Rejection> {
        match (bound_to, &self.certificate_sha256) {
            (None, _) => Ok(()),
            (Some(bound_to), Some(shown)) if bound_to == shown => Ok(()),
            (Some(_), Some(_)) => {
                let message = "the token is bound to another certificate than the caller's";
                Err(Rejection::new(Check::Confirmation, message))
            }
            (Some(_), None) => {
                let message = "the token is bound to a client certificate, and the caller shows none";
                Err(Rejection::new(Check::Confirmation, message))
            }
        }
    }
}
