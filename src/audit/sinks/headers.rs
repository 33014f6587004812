//! What is said with a batch: headers of HTTP, metadata of gRPC.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use ::http::{HeaderMap, HeaderValue, header};

use super::SinkError;
use super::config::HeaderConfig;

/// Longest secret in a file, in bytes.
const MAX_SECRET_BYTES: u64 = 16 * 1024;

impl HeaderConfig {
    /// The headers, as their files say now.
    ///
    /// # Errors
    /// A file cannot be read, or holds no value of a header; never with what it holds.
    pub(super) fn read(&self) -> Result<HeaderMap, SinkError> {
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

fn value(file: &Path, before: &str) -> Result<HeaderValue, SinkError> {
    let value = HeaderValue::try_from(format!("{before}{}", secret(file)?));
    let mut value = value.map_err(|_shows_it| {
        SinkError::later(format!("`{}` holds what cannot stand in a header", file.display()))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a file holds, without the white space around it.
///
/// # Errors
/// It cannot be read, or is empty or too long; never with what it holds.
pub(super) fn secret(file: &Path) -> Result<String, SinkError> {
    let wrong = |why: String| SinkError::later(format!("`{}`: {why}", file.display()));
    let mut text = String::new();
    let opened = File::open(file).map_err(|error| wrong(error.to_string()))?;
    let read = opened.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text);
    match read.map_err(|error| wrong(error.to_string()))? {
        length if u64::try_from(length).is_ok_and(|length| length > MAX_SECRET_BYTES) => {
            Err(wrong(format!("it is longer than {MAX_SECRET_BYTES} bytes")))
        }
        _ if text.trim().is_empty() => Err(wrong("it is empty".to_owned())),
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
            files: vec![(::http::HeaderName::from_static("x-key"), key.clone())],
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
        for (content, says) in [("  \n", "it is empty"), (&*"x".repeat(16_385), "longer than 16384")] {
            fs::write(&token, content).unwrap();
            assert!(secret(&token).unwrap_err().to_string().contains(says));
        }
        assert!(secret(&folder.path().join("absent")).unwrap_err().to_string().contains("absent"));
    }
}
