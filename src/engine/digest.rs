//! Digests by which two parties can tell that they saw the same JSON.

use sha2::{Digest, Sha256};

/// What every digest begins with: its algorithm.
const PREFIX: &str = "sha256:";

/// `sha256:` and 64 hex digits, over the canonical form of RFC 8785.
///
/// Member order, spacing and the spelling of numbers make no difference.
///
/// # Errors
/// The value holds a number JSON cannot say (not finite).
pub fn of_json(value: &serde_json::Value) -> Result<String, serde_json::Error> {
    Ok(of_bytes(&serde_json_canonicalizer::to_vec(value)?))
}

/// `sha256:` and 64 hex digits, over bytes as they are.
pub fn of_bytes(bytes: &[u8]) -> String {
    named(&Sha256::digest(bytes))
}

/// `sha256:` and the hex digits of a SHA-256 that was computed piece by piece.
pub fn named(digest: &[u8]) -> String {
    appended(PREFIX, digest)
}

/// Two lowercase hex digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    appended("", bytes)
}

/// The prefix and the hex digits in one string, byte by byte of it: digests are made for every record, and characters are pushed
/// at four times the cost.
fn appended(prefix: &str, bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(prefix.len() + 2 * bytes.len());
    text.extend_from_slice(prefix.as_bytes());
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]));
    // All of it is ASCII.
    String::from_utf8(text).unwrap_or_default()
}

/// The hex digit of a number below 16.
fn digit(number: u8) -> u8 {
    if number < 10 { b'0' + number } else { b'a' + (number - 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_json_has_the_same_digest_however_it_is_written() {
        let one = serde_json::from_str(r#"{"b": 1.0, "a": "\u00e9"}"#).unwrap();
        let other = serde_json::from_str("{\"a\":\"é\",\"b\":1}").unwrap();
        assert_eq!(of_json(&one).unwrap(), of_json(&other).unwrap());
    }

    #[test]
    fn the_digest_of_nothing_is_the_published_one() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(of_bytes(b""), empty);
    }
}
