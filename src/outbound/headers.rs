//! What is said with a request: headers of HTTP, metadata of gRPC.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Longest secret in a file, in bytes.
const MAX_SECRET_BYTES: u64 = 16 * 1024;

/// Headers, or gRPC metadata. Values that are secret are in files, which are read for every delivery.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct HeaderConfig {
    /// Headers that are no secret.
    pub plain: Vec<(HeaderName, HeaderValue)>,
    /// Headers whose values are in files.
    pub files: Vec<(HeaderName, PathBuf)>,
    /// File of a bearer token.
    pub token_file: Option<PathBuf>,
}

impl fmt::Debug for HeaderConfig {
    /// Names only: somebody may have taken a secret for none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderConfig")
            .field("plain", &self.plain.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("files", &self.files)
            .field("token_file", &self.token_file)
            .finish()
    }
}

/// A file that holds no value of a header; never with what it holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{file}` {problem}")]
pub struct SecretError {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub problem: String,
}

impl SecretError {
    fn new(file: &Path, problem: impl Into<String>) -> Self {
        Self { file: file.display().to_string(), problem: problem.into() }
    }
}

impl HeaderConfig {
    /// The headers, as their files say now.
    ///
    /// # Errors
    /// A file cannot be read, or holds no value of a header; never with what it holds.
    pub fn read(&self) -> Result<HeaderMap, SecretError> {
        let mut headers: HeaderMap = self.plain.iter().cloned().collect();
        for (name, file) in &self.files {
            headers.insert(name.clone(), value(file, "")?);
        }
        if let Some(file) = &self.token_file {
            headers.insert(header::AUTHORIZATION, value(file, "Bearer ")?);
        }
        Ok(headers)
    }
}

fn value(file: &Path, before: &str) -> Result<HeaderValue, SecretError> {
    let value = HeaderValue::try_from(format!("{before}{}", secret(file)?));
    let mut value =
        value.map_err(|_shows_it| SecretError::new(file, "holds what cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a file holds, without the white space around it.
///
/// # Errors
/// It cannot be read, or is empty or too long; never with what it holds.
pub fn secret(file: &Path) -> Result<String, SecretError> {
    let wrong = |why: String| SecretError::new(file, why);
    let mut text = String::new();
    let opened = File::open(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let read = opened.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text);
    match read.map_err(|error| wrong(format!("cannot be read: {error}")))? {
        length if u64::try_from(length).is_ok_and(|length| length > MAX_SECRET_BYTES) => {
            Err(wrong(format!("is longer than {MAX_SECRET_BYTES} bytes")))
        }
        _ if text.trim().is_empty() => Err(wrong("is empty".to_owned())),
        _ => Ok(text.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn secrets_are_read_anew_and_shown_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let (token, key) = (folder.path().join("token"), folder.path().join("key"));
        fs::write(&token, "canary-1\n").unwrap();
        fs::write(&key, "canary-2").unwrap();
        let config = HeaderConfig {
            plain: vec![(header::ACCEPT, HeaderValue::from_static("canary-3"))],
            files: vec![(HeaderName::from_static("x-key"), key.clone())],
            token_file: Some(token.clone()),
        };
        let headers = config.read().unwrap();
        assert_eq!(headers.get("authorization").unwrap(), "Bearer canary-1");
        assert_eq!(headers.get("x-key").unwrap(), "canary-2");
        fs::write(&token, "canary-4").unwrap();
        assert_eq!(config.read().unwrap().get("authorization").unwrap(), "Bearer canary-4");
        for shown in [
            format!("{config:?}"),
            format!("{:?}", headers.get("x-key")),
            format!("{:?}", headers.get("authorization")),
        ] {
            assert!(!shown.contains("canary"), "{shown}");
        }
        fs::write(&key, "canary-5\nsecond line").unwrap();
        let error = config.read().unwrap_err().to_string();
        assert!(
            error.contains("key` holds what cannot stand in a header") && !error.contains("canary"),
            "{error}"
        );
        for (content, says) in [("  \n", "is empty"), (&*"x".repeat(16_385), "longer than 16384")] {
            fs::write(&token, content).unwrap();
            assert!(secret(&token).unwrap_err().to_string().contains(says));
        }
        assert!(secret(&folder.path().join("absent")).unwrap_err().to_string().contains("absent"));
    }
}
