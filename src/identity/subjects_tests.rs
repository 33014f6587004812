//! What is checked again of a token each time it is shown, and what it is bound to.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use super::*;
use crate::identity::keys::KeyLimits;
use crate::identity::profile::Profile;

/// 2027-01-15T08:00:00Z, in seconds.
const NOW: i64 = 1_800_000_000;

/// An issuer that is configured, and its key.
struct World {
    subjects: Subjects,
    pair: EcdsaKeyPair,
    _file: tempfile::NamedTempFile,
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl World {
    fn new(leeway: u64, max_age: u64) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "k1", "x": text(x), "y": text(y)});
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), json!({"keys": [jwk]}).to_string()).unwrap();
        let profile = Arc::new(Profile::named("rfc8693").unwrap());
        let hour = Duration::from_secs(3600);
        let config = IssuerConfig {
            issuer: "https://issuer.example".to_owned(),
            audience: vec!["mandate".to_owned()],
            keys: KeyOrigin::File(file.path().to_owned()),
            algorithms: profile.algorithms(),
            profile,
            id_prefix: String::new(),
            grants: false,
            leeway: Duration::from_secs(leeway),
            max_age: Duration::from_secs(max_age),
            limits: KeyLimits { min_age: hour, max_age: hour, stale: hour, refetch: hour },
        };
        let (subjects, _keepers) = Subjects::open(&[config]).unwrap();
        Self { subjects, pair, _file: file }
    }

    fn token(&self, more: &Value) -> Credentials {
        let mut claims = json!({
            "iss": "https://issuer.example", "aud": "mandate", "sub": "ana", "client_id": "c",
            "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 100,
        });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let header = json!({"typ": "at+jwt", "alg": "ES256", "kid": "k1"});
        let signed = format!("{}.{}", text(header.to_string()), text(claims.to_string()));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        Credentials::shown(format!("{signed}.{}", text(signature))).unwrap()
    }

    /// Whether a token is known from before, or the check it fails, so many seconds from now.
    fn verify(&self, token: &Credentials, shown: Option<[u8; 32]>, at: i64) -> Result<bool, Check> {
        let shown = Shown { certificate_sha256: shown };
        let verified = self.subjects.verify(token, &shown, Now((NOW + at) * 1000));
        // The keys are there, so nothing waits.
        let verified = verified.now_or_never().unwrap();
        verified.map(|believed| believed.known).map_err(|rejection| rejection.check)
    }
}

#[test]
fn a_bound_token_needs_its_certificate_every_time() {
    let world = World::new(0, 3600);
    let token = world.token(&json!({"cnf": {"x5t#S256": text([7; 32])}}));
    for _ in 0..2 {
        assert_eq!(world.verify(&token, None, 0), Err(Check::Confirmation));
        assert_eq!(world.verify(&token, Some([8; 32]), 0), Err(Check::Confirmation));
    }
    assert_eq!(world.verify(&token, Some([7; 32]), 0), Ok(false));
    assert_eq!(world.verify(&token, Some([7; 32]), 0), Ok(true));
    assert_eq!(world.verify(&token, None, 0), Err(Check::Confirmation), "known, and not shown");
    assert_eq!(world.verify(&token, Some([8; 32]), 0), Err(Check::Confirmation), "known, and another's");
    let free = world.token(&json!({}));
    assert_eq!(world.verify(&free, Some([7; 32]), 0), Ok(false), "a token that is not bound needs none");
}

#[test]
fn a_known_token_expires_to_the_second() {
    let world = World::new(0, 3600);
    let token = world.token(&json!({}));
    assert_eq!(world.verify(&token, None, 0), Ok(false));
    assert_eq!(world.verify(&token, None, 99), Ok(true));
    assert_eq!(world.verify(&token, None, 100), Err(Check::Expiry));
    assert_eq!(world.verify(&token, None, 99), Ok(false), "it was forgotten");
}

#[test]
fn nothing_is_known_past_expiry_whatever_the_leeway() {
    let world = World::new(30, 3600);
    let token = world.token(&json!({}));
    assert_eq!(world.verify(&token, None, 0), Ok(false));
    assert_eq!(world.verify(&token, None, 110), Ok(false), "verified anew");
    assert_eq!(world.verify(&token, None, 110), Ok(false), "each time");
    assert_eq!(world.verify(&token, None, 130), Err(Check::Expiry));
}

#[test]
fn a_known_token_ages_and_may_not_be_from_the_future() {
    let world = World::new(0, 110);
    let token = world.token(&json!({"exp": NOW + 100}));
    assert_eq!(world.verify(&token, None, 0), Ok(false));
    assert_eq!(world.verify(&token, None, 99), Ok(true));
    assert_eq!(world.verify(&token, None, -11), Err(Check::NotBefore), "the clock was set back");
    let old = world.token(&json!({"iat": NOW - 60}));
    assert_eq!(world.verify(&old, None, 0), Ok(false));
    assert_eq!(world.verify(&old, None, 49), Ok(true));
    assert_eq!(world.verify(&old, None, 51), Err(Check::Age));
}

#[test]
fn another_key_in_the_place_of_the_one_that_signed_is_noticed_at_once() {
    let world = World::new(0, 3600);
    let (token, other) = (world.token(&json!({})), World::new(0, 3600));
    assert_eq!(world.verify(&token, None, 0), Ok(false));
    assert_eq!(world.verify(&token, None, 0), Ok(true));
    let KeyOrigin::File(theirs) = &other.subjects.issuers[0].config.keys else { panic!("a file") };
    world.subjects.issuers[0].keys.read_file(theirs).unwrap();
    assert_eq!(world.verify(&token, None, 0), Err(Check::Signature));
}
