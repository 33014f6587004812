//! What a request shows of its subject, before anybody has verified it.

use std::fmt;

/// A bearer token of the subject, as it came. Its text is a secret: nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials(String);

impl Credentials {
    /// What a request shows; none if it shows nothing.
    #[must_use]
    pub fn shown(token: String) -> Option<Self> {
        (!token.is_empty()).then_some(Self(token))
    }

    /// The token, for whoever verifies it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_printed() {
        let shown = Credentials::shown("eyJhbGciOiJFUzI1NiJ9.e30.c2ln".to_owned()).unwrap();
        assert_eq!(format!("{shown:?}"), "Credentials(29 bytes)");
        assert_eq!(Credentials::shown(String::new()), None);
    }
}
