//! Who acts: an agent that is named, or whoever a token names.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use crate::server::pb;

/// Longest token, in bytes.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

/// Who acts, and under which delegations.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// The principal; none if the token says who it is.
    pub principal: Option<pb::EntityRef>,
    /// Under which delegations it acts, the leaf last.
    pub delegations: Vec<pb::EntityRef>,
    /// File with the subject's token. Read for every decision, since tokens are renewed.
    pub token_file: Option<PathBuf>,
}

impl Subject {
    /// The subject's token as it is now; empty if there is to be none.
    ///
    /// # Errors
    /// The file cannot be read as one token. The error says nothing of what is in it.
    pub(super) fn token(&self) -> io::Result<String> {
        let Some(path) = &self.token_file else { return Ok(String::new()) };
        let mut text = String::new();
        File::open(path)?.take(MAX_TOKEN_BYTES + 1).read_to_string(&mut text)?;
        let token = text.trim();
        if token.is_empty() || text.len() as u64 > MAX_TOKEN_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it must hold one token of at most 64 KiB",
            ));
        }
        Ok(token.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_token_is_read_again_each_time_and_never_quoted() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let subject = Subject { token_file: Some(file.path().to_owned()), ..Subject::default() };
        assert!(subject.token().is_err(), "an empty file holds no token");
        writeln!(file, "one").unwrap();
        assert_eq!(subject.token().unwrap(), "one");
        file.as_file().set_len(0).unwrap();
        std::fs::write(file.path(), "two\n").unwrap();
        assert_eq!(subject.token().unwrap(), "two");
        std::fs::write(file.path(), "x".repeat(70_000)).unwrap();
        assert!(!subject.token().unwrap_err().to_string().contains("xx"));
        assert_eq!(Subject::default().token().unwrap(), "");
    }
}
