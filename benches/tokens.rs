//! What a subject's token adds to a decision: once it has been verified, and when it is new.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot start should say so at once"
)]

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use divan::{Bencher, black_box};
use futures_util::FutureExt as _;
use mandate::engine::authorize::Now;
use mandate::identity::credentials::Credentials;
use mandate::identity::issuer::{IssuerConfig, KeyOrigin};
use mandate::identity::keys::KeyLimits;
use mandate::identity::profile::Profile;
use mandate::identity::shown::Shown;
use mandate::identity::subjects::Subjects;
use serde_json::json;

/// 2027-01-15T08:00:00Z
const NOW: i64 = 1_800_000_000;

fn main() {
    divan::main();
}

/// An issuer that is configured, and a token of it whose claims hold so many bytes more than they must.
fn issued(padding: usize) -> (Subjects, Credentials) {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "k1", "x": text(x), "y": text(y)});
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), json!({"keys": [jwk]}).to_string()).unwrap();
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
        leeway: Duration::ZERO,
        max_age: hour,
        limits: KeyLimits { min_age: hour, max_age: hour, stale: hour, refetch: hour },
    };
    let claims = json!({
        "iss": config.issuer, "aud": "mandate", "sub": "ana", "client_id": "console", "jti": "c6c3b4e2",
        "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 600, "scope": "docs mail", "act": {"sub": "writer"},
        "padding": "x".repeat(padding),
    });
    let header = json!({"typ": "at+jwt", "alg": "ES256", "kid": "k1"});
    let signed = format!("{}.{}", text(header.to_string().as_bytes()), text(claims.to_string().as_bytes()));
    let signature = key.sign(&random, signed.as_bytes()).unwrap();
    let (subjects, _keepers) = Subjects::open(&[config]).unwrap();
    (subjects, Credentials::shown(format!("{signed}.{}", text(signature.as_ref()))).unwrap())
}

/// Verifies without waiting: the keys are there.
fn verify(subjects: &Subjects, token: &Credentials) -> bool {
    let believed = subjects.verify(token, &Shown::default(), Now(NOW * 1000)).now_or_never();
    believed.unwrap().unwrap().known
}

/// The rest of a token of about 0.5, 1 and 4 KiB.
#[divan::bench(args = [0, 400, 2_700])]
fn known(bencher: Bencher<'_, '_>, padding: usize) {
    let (subjects, token) = issued(padding);
    assert!(!verify(&subjects, &token));
    bencher.bench_local(|| assert!(verify(&subjects, black_box(&token))));
}

#[divan::bench(args = [400])]
fn new(bencher: Bencher<'_, '_>, padding: usize) {
    bencher.with_inputs(|| issued(padding)).bench_local_refs(|(subjects, token)| verify(subjects, token));
}
