//! An issuer's public keys (RFC 7517), each bound to what it may verify.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey};
use sha2::{Digest as _, Sha256};

use super::compact::{decode, member, text};
use super::header::asymmetric;
use super::rejection::{Check, Rejection};
use crate::engine::datum::Datum;

/// Largest document, in bytes.
pub const MAX_JWKS_BYTES: usize = 512 * 1024;
/// Most keys in one.
const MAX_KEYS: usize = 200;
/// Members that hold a private or shared key (RFC 7518 §6).
const SECRET: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The keys of one document that can verify tokens.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Arc<Key>>,
    /// Why other keys of the document are of no use; no key's material.
    pub unusable: Vec<String>,
}

/// One public key.
#[derive(Debug)]
pub struct Key {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    material: DecodingKey,
    /// SHA-256 over its name, material and algorithms: the same for the same key only.
    pub digest: [u8; 32],
}

impl Key {
    /// Verifies a signature, in base64url, over a text.
    #[must_use]
    pub fn verifies(&self, signature: &str, signed: &str, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
            && jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &self.material, algorithm)
                .unwrap_or(false)
    }
}

impl KeySet {
    /// Reads a JWK set. `purpose` is the `use` that keys must have where they say one.
    ///
    /// # Errors
    /// What is wrong with the document. A single key that is of no use is only left out.
    pub fn parse(document: &[u8], purpose: &str) -> Result<Self, String> {
        if document.len() > MAX_JWKS_BYTES {
            return Err(format!("is {} bytes long; the limit is {MAX_JWKS_BYTES}", document.len()));
        }
        let parsed: Datum =
            serde_json::from_slice(document).map_err(|error| format!("is no JSON object: {error}"))?;
        let Some(Datum::List(keys)) = parsed.member("keys") else {
            return Err("has no list `keys`".to_owned());
        };
        if keys.len() > MAX_KEYS {
            return Err(format!("has {} keys; the limit is {MAX_KEYS}", keys.len()));
        }
        let mut set = Self::default();
        for (place, key) in keys.iter().enumerate() {
            match key.members().ok_or("is no object").and_then(|members| read(members, purpose)) {
                Ok(key) => set.keys.push(Arc::new(key)),
                Err(problem) => set.unusable.push(format!("keys[{place}] {problem}")),
            }
        }
        Ok(set)
    }

    /// The key that a token names, if it may verify the token's algorithm.
    ///
    /// # Errors
    /// [`Rejection`]; `true` with it if another document could hold the key.
    pub fn select(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Arc<Key>, (Rejection, bool)> {
        let refuse = |message: &'static str, unknown| Err((Rejection::new(Check::Key, message), unknown));
        let named: Vec<_> =
            self.keys.iter().filter(|key| kid.is_none() || key.kid.as_deref() == kid).collect();
        let fit: Vec<_> = named.iter().filter(|key| key.algorithms.contains(&algorithm)).collect();
        match fit.as_slice() {
            [key] => Ok(**key),
            [] if named.is_empty() => refuse("its issuer has no key of the name in `kid`", true),
            [] => refuse("the key it names is not for the algorithm in `alg`", false),
            _ if kid.is_none() => refuse("it names no key, and its issuer has several", false),
            _ => refuse("its issuer has two keys of the name in `kid`", false),
        }
    }

    /// Whether a key is one of these.
    #[must_use]
    pub fn holds(&self, digest: &[u8; 32]) -> bool {
        self.keys.iter().any(|key| key.digest == *digest)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// A key, or why it is of no use.
fn read(members: &[(String, Datum)], purpose: &str) -> Result<Key, &'static str> {
    if SECRET.iter().any(|name| member(members, name).is_some()) {
        return Err("holds a private or shared key, which must not be published");
    }
    check_purpose(members, purpose)?;
    let kid = match member(members, "kid") {
        None => None,
        Some(Datum::String(kid)) => Some(kid.clone()),
        Some(_) => return Err("has a `kid` that is no text"),
    };
    let (material, possible) = material(members)?;
    let algorithms = match member(members, "alg") {
        None => possible.to_vec(),
        Some(Datum::String(name)) => match asymmetric(name).filter(|named| possible.contains(named)) {
            Some(only) => vec![only],
            None => return Err("has an `alg` that is not one of its type's, or not known here"),
        },
        Some(_) => return Err("has an `alg` that is no text"),
    };
    let digest = digest(members, &algorithms);
    Ok(Key { kid, algorithms, material, digest })
}

/// Whether the key is for verifying tokens, as far as it says what it is for (RFC 7517 §4.2, §4.3).
fn check_purpose(members: &[(String, Datum)], purpose: &str) -> Result<(), &'static str> {
    match member(members, "use") {
        None => {}
        Some(Datum::String(said)) if said == purpose => {}
        Some(_) => return Err("has a `use` that is not signing tokens"),
    }
    match member(members, "key_ops") {
        None => Ok(()),
        Some(Datum::List(operations)) if operations.contains(&Datum::String("verify".to_owned())) => Ok(()),
        Some(_) => Err("has `key_ops` without `verify`"),
    }
}

const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// A key's public numbers, of the lengths its type has (RFC 7518 §6, RFC 8037 §2), and what they can verify.
fn material(members: &[(String, Datum)]) -> Result<(DecodingKey, &'static [Algorithm]), &'static str> {
    let number = |name| text(members, name).filter(|number| decode(number).is_some());
    let sized = |name, bytes: usize| {
        number(name).filter(|number| decode(number).is_some_and(|decoded| decoded.len() == bytes))
    };
    let point = |bytes| Some((sized("x", bytes)?, sized("y", bytes)?));
    let curve = |(x, y)| DecodingKey::from_ec_components(x, y).ok();
    let found = match (text(members, "kty"), text(members, "crv")) {
        (Some("RSA"), _) => {
            let modulus = number("n").filter(|n| decode(n).is_some_and(|n| (256..=1024).contains(&n.len())));
            let parts = modulus.zip(number("e"));
            parts.and_then(|(n, e)| Some((DecodingKey::from_rsa_components(n, e).ok()?, &RSA[..])))
        }
        (Some("EC"), Some("P-256")) => point(32).and_then(curve).map(|key| (key, &[Algorithm::ES256][..])),
        (Some("EC"), Some("P-384")) => point(48).and_then(curve).map(|key| (key, &[Algorithm::ES384][..])),
        (Some("OKP"), Some("Ed25519")) => sized("x", 32)
            .and_then(|x| DecodingKey::from_ed_components(x).ok())
            .map(|key| (key, &[Algorithm::EdDSA][..])),
        _ => return Err("is of a type that is not known here; RSA, EC P-256 and P-384, and Ed25519 are"),
    };
    found.ok_or("lacks a number of its type, or has one of the wrong length (RSA: 2048 to 8192 bits)")
}

/// Tells one key from every other, its name and what it may verify included.
fn digest(members: &[(String, Datum)], algorithms: &[Algorithm]) -> [u8; 32] {
    let parts = ["kid", "kty", "crv", "n", "e", "x", "y"].map(|name| text(members, name).unwrap_or_default());
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    digest.update(format!("{algorithms:?}"));
    digest.finalize().into()
}
