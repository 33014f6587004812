//! The token of the data directory: what proves an administrator where administrators do not authenticate as callers do.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use axum::http::{HeaderMap, header};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::engine::digest;

/// What proves an administrator: 32 random bytes in hexadecimal, in a file only the service's own user can read.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    const BYTES: usize = 32;

    /// A new token, in a file in place of the one before: each start has its own, so that one shown by mistake to
    /// whatever listens while the server is down opens nothing later.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn renew(file: &Path) -> io::Result<Self> {
        let at = |error: io::Error| io::Error::new(error.kind(), format!("`{}`: {error}", file.display()));
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(error)),
            _ => {}
        }
        let token = Self::random().map_err(at)?;
        let mut created =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(at)?;
        created.write_all(token.0.as_bytes()).and_then(|()| created.sync_all()).map_err(at)?;
        Ok(token)
    }

    /// The token in a file.
    ///
    /// # Errors
    /// The file cannot be read, others can read it, or it holds no token.
    pub fn read(file: &Path) -> io::Result<Self> {
        let refuse = |why: String| io::Error::other(format!("`{}`: {why}", file.display()));
        let mut text = String::new();
        let mut opened = fs::File::open(file).map_err(|error| refuse(error.to_string()))?;
        let mode = opened.metadata()?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(refuse(format!("others may read it (mode {:o}); chmod 600 it", mode & 0o777)));
        }
        io::Read::by_ref(&mut opened)
            .take(1024)
            .read_to_string(&mut text)
            .map_err(|error| refuse(error.to_string()))?;
        let token = text.trim();
        if token.len() != 2 * Self::BYTES || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refuse("it holds no token; delete it, and the next start makes one".to_owned()));
        }
        Ok(Self(token.to_owned()))
    }

    fn random() -> io::Result<Self> {
        let mut bytes = [0; Self::BYTES];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(digest::hex(&bytes)))
    }

    /// The `authorization` header of whoever has the token.
    #[must_use]
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Whether a request shows the token. Takes as long for a near miss as for any other.
    pub(super) fn shown_in(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
        // Tags are compared in constant time, and under a key nobody else has they tell nothing of what was compared.
        let tag = |text: &[u8]| {
            Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).map(|mut mac| {
                mac.update(text);
                mac
            })
        };
        match (tag(shown), tag(self.bearer().as_bytes())) {
            (Ok(shown), Ok(expected)) => shown.verify_slice(&expected.finalize().into_bytes()).is_ok(),
            _ => false,
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Enough to tell two apart, and of no use to anybody.
        write!(f, "Token({:.14}…)", digest::of_bytes(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_has_a_token_of_its_own_and_tells_it_to_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("control.token");
        let before = Token::renew(&file).unwrap();
        let token = Token::renew(&file).unwrap();
        assert_ne!(before, token);
        assert_eq!(Token::read(&file).unwrap(), token);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!format!("{token:?}").contains(&token.0));
    }

    #[test]
    fn a_token_that_others_can_read_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("control.token");
        Token::renew(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Token::read(&file).unwrap_err().to_string().contains("chmod 600"));
        fs::write(&file, "short").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Token::read(&file).unwrap_err().to_string().contains("holds no token"));
    }

    #[test]
    #[expect(clippy::string_slice, reason = "a token is ASCII")]
    fn only_the_whole_token_opens() {
        let token = Token::random().unwrap();
        let shows = |text: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, text.parse().unwrap())]);
            token.shown_in(&headers)
        };
        assert!(shows(&token.bearer()));
        let mut near = token.bearer();
        let last = near.pop().unwrap();
        near.push(if last == '0' { '1' } else { '0' });
        for wrong in ["", "Bearer ", &token.0, &near, &near[1..], &format!("{} ", token.bearer())] {
            assert!(!shows(wrong), "{wrong}");
        }
        assert!(!token.shown_in(&HeaderMap::new()));
    }
}
