//! The two hashes of RFC 6962 §2.1. What tells them apart keeps a node from passing for a record.

use sha2::{Digest as _, Sha256};

/// A SHA-256.
pub type Hash = [u8; 32];

/// Hash of a record: SHA-256 over a zero byte and the record's bytes as they stand in its frame.
pub fn leaf(record: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(record).finalize().into()
}

/// Hash of two subtrees: SHA-256 over a byte 1 and both hashes.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Root of the tree without records: SHA-256 over nothing.
pub fn of_nothing() -> Hash {
    Sha256::digest(b"").into()
}

/// The hash that 64 lower-case hexadecimal digits say.
pub fn from_hex(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 2 * hash.len() {
        return None;
    }
    let (pairs, _none) = text.as_bytes().as_chunks::<2>();
    for (byte, &[high, low]) in hash.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(hash)
}

fn digit(of: u8) -> Option<u8> {
    match of {
        b'0'..=b'9' => Some(of - b'0'),
        b'a'..=b'f' => Some(of - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::digest::hex;

    #[test]
    fn the_hashes_are_those_of_rfc_6962() {
        // `printf '\0' | sha256sum`, and RFC 6962 §2.1 for the empty tree.
        assert_eq!(hex(&leaf(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(hex(&of_nothing()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn hexadecimal_comes_back_and_nothing_else_is_taken_for_it() {
        let hash = leaf(b"a record");
        let text = hex(&hash);
        assert_eq!(from_hex(&text), Some(hash));
        let wrong = [
            text.get(1..).unwrap().to_owned(),
            text.to_uppercase(),
            format!("{text}0"),
            format!("g{}", text.get(1..).unwrap()),
            String::new(),
        ];
        for wrong in &wrong {
            assert_eq!(from_hex(wrong), None, "{wrong}");
        }
    }
}
