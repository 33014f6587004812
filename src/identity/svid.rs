//! X.509-SVID: the certificate by which a workload shows its SPIFFE ID (SPIFFE X509-SVID §§2–5), held to the bundle of its
//! own trust domain and of no other.

use rustls::pki_types::{CertificateDer, UnixTime};
use spiffe::SpiffeId;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, VerifiedPath};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use super::bundle::TrustBundles;
use super::caller::{Caller, Thumbprint, Workload};
use crate::engine::authorize::Now;

/// Most certificates a caller may send: its own, and those between it and its trust domain.
const MAX_CHAIN: usize = 8;
/// Longest SPIFFE ID, in bytes (SPIFFE-ID §2.3).
const MAX_ID_BYTES: usize = 2048;
/// The tag of a URI among the names of a certificate (RFC 5280 §4.2.1.6).
const URI_TAG: u32 = 6;

/// Why a certificate shows no caller. Says nothing that only the caller knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SvidError {
    /// Nothing was sent.
    #[error("there is no certificate")]
    Absent,
    /// Too much was.
    #[error("{0} certificates were sent; at most {MAX_CHAIN} are read")]
    TooMany(usize),
    /// It is no certificate of X.509 version 3, or an extension of it cannot be read.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// A workload has one name.
    #[error("the certificate has {0} URI names; an X.509-SVID has exactly one")]
    UriNames(usize),
    /// The one is no SPIFFE ID.
    #[error("the certificate's URI name is no SPIFFE ID: {0}")]
    Id(String),
    /// It names a trust domain, which signs and does not call.
    #[error("the certificate's SPIFFE ID has no path: it names a trust domain, not a workload")]
    Root,
    /// A certificate that signs others is no workload's.
    #[error("the certificate is a certificate authority's")]
    Authority,
    /// See the message.
    #[error("the certificate's key usage {0}")]
    KeyUsage(&'static str),
    /// Nobody here vouches for its trust domain.
    #[error("no bundle is configured for the trust domain `{0}`")]
    UnknownTrustDomain(String),
    /// The bundle does not vouch for it: it is expired, another's, or for another purpose.
    #[error("the bundle of its trust domain does not vouch for the certificate: {0}")]
    Path(webpki::Error),
    /// A certificate on the path may not sign others.
    #[error("a certificate between it and its trust domain may not sign certificates")]
    Intermediate,
}

/// The workload that a chain of certificates shows, its own first.
///
/// # Errors
/// [`SvidError`].
pub fn verify(
    chain: &[CertificateDer<'_>],
    bundles: &TrustBundles,
    now: UnixTime,
) -> Result<Caller, SvidError> {
    let (leaf, intermediates) = chain.split_first().ok_or(SvidError::Absent)?;
    if chain.len() > MAX_CHAIN {
        return Err(SvidError::TooMany(chain.len()));
    }
    let certificate = read(leaf)?;
    check_usage(&certificate)?;
    let id = id_of(&certificate)?;
    let anchors = bundles
        .anchors(id.trust_domain_name(), now)
        .ok_or_else(|| SvidError::UnknownTrustDomain(id.trust_domain_name().to_owned()))?;
    let end_entity = EndEntityCert::try_from(leaf).map_err(SvidError::Path)?;
    let usage = KeyUsage::client_auth();
    let path = end_entity
        .verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, intermediates, now, usage, None, None)
        .map_err(SvidError::Path)?;
    let expires = end_of(&path, end(&certificate))?;
    Ok(Caller::workload(Workload::of(&id), Thumbprint::of(leaf), Now(expires.saturating_mul(1000))))
}

fn read<'c>(der: &'c CertificateDer<'_>) -> Result<X509Certificate<'c>, SvidError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(SvidError::Unreadable),
    }
}

/// A leaf signs what it says, and no certificates (X509-SVID §4.1–4.3).
fn check_usage(leaf: &X509Certificate<'_>) -> Result<(), SvidError> {
    if leaf.is_ca() {
        return Err(SvidError::Authority);
    }
    let usage = leaf.key_usage().map_err(|_| SvidError::Unreadable)?;
    let refuse = |why| Err(SvidError::KeyUsage(why));
    match usage {
        None => refuse("is missing"),
        Some(usage) if !usage.critical => refuse("is not marked critical"),
        Some(usage) if !usage.value.digital_signature() => refuse("lacks digitalSignature"),
        Some(usage) if usage.value.key_cert_sign() => refuse("holds keyCertSign"),
        Some(usage) if usage.value.crl_sign() => refuse("holds cRLSign"),
        Some(_) => Ok(()),
    }
}

/// The one URI name of a certificate, as a SPIFFE ID with a path (X509-SVID §2).
fn id_of(leaf: &X509Certificate<'_>) -> Result<SpiffeId, SvidError> {
    let names = leaf.subject_alternative_name().map_err(|_| SvidError::Unreadable)?;
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let is_uri = |name: &&GeneralName<'_>| match name {
        GeneralName::URI(_) => true,
        GeneralName::Invalid(tag, _) => tag.0 == URI_TAG,
        _ => false,
    };
    let uris: Vec<_> = names.iter().filter(is_uri).collect();
    match uris.as_slice() {
        [GeneralName::URI(uri)] => {
            let id = spiffe_id(uri).map_err(SvidError::Id)?;
            if id.path().is_empty() { Err(SvidError::Root) } else { Ok(id) }
        }
        [_] => Err(SvidError::Unreadable),
        uris => Err(SvidError::UriNames(uris.len())),
    }
}

/// A SPIFFE ID in its one canonical form: what the grammar would put into lower case is refused, so that a caller has one
/// name, and no more than one spelling of it.
///
/// # Errors
/// What is wrong with it.
pub fn spiffe_id(uri: &str) -> Result<SpiffeId, String> {
    if uri.len() > MAX_ID_BYTES {
        return Err(format!("it is {} bytes long; the limit is {MAX_ID_BYTES}", uri.len()));
    }
    let id = SpiffeId::new(uri).map_err(|error| error.to_string())?;
    if id.to_string() != uri {
        return Err("scheme and trust domain are written in lower case".to_owned());
    }
    Ok(id)
}

/// When a certificate ends, in seconds since 1970.
fn end(certificate: &X509Certificate<'_>) -> i64 {
    certificate.validity().not_after.timestamp()
}

/// When the first certificate on the path ends. Every one between leaf and anchor must be allowed to sign, which webpki does
/// not look at (RFC 5280 §6.1.4 n).
fn end_of(path: &VerifiedPath<'_>, leaf: i64) -> Result<i64, SvidError> {
    path.intermediate_certificates().try_fold(leaf, |ends, intermediate| {
        let der = intermediate.der();
        let certificate = read(&der)?;
        let usage = certificate.key_usage().map_err(|_| SvidError::Unreadable)?;
        if !usage.is_some_and(|usage| usage.value.key_cert_sign()) {
            return Err(SvidError::Intermediate);
        }
        Ok(ends.min(end(&certificate)))
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn a_certificate_is_all_that_is_sent_as_one() {
        let signed = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap();
        let verify = |der: Vec<u8>| super::verify(&[der.into()], &TrustBundles::default(), UnixTime::now());
        let der = signed.der().to_vec();
        assert_eq!(verify(der.clone()).unwrap_err(), SvidError::KeyUsage("is missing"));
        for wrong in [[&der[..], &[0]].concat(), [&der[..], &der].concat(), der[1..].to_vec(), Vec::new()] {
            assert_eq!(verify(wrong).unwrap_err(), SvidError::Unreadable);
        }
    }

    #[test]
    fn an_id_has_one_spelling() {
        for good in
            ["spiffe://example.org/a", "spiffe://example.org", "spiffe://a_b-c.d/x.y/Z-0", "spiffe://1/..."]
        {
            assert_eq!(spiffe_id(good).unwrap().to_string(), good);
        }
        let long = format!("spiffe://example.org/{}", "a".repeat(2048));
        let long_domain = format!("spiffe://{}/a", "a".repeat(256));
        for wrong in [
            "",
            "example.org/a",
            "https://example.org/a",
            "spiffe://",
            "spiffe:///a",
            "spiffe:/example.org/a",
            "SPIFFE://example.org/a",
            "spiffe://Example.org/a",
            "spiffe://example.org/",
            "spiffe://example.org/a/",
            "spiffe://example.org//a",
            "spiffe://example.org/./a",
            "spiffe://example.org/../a",
            "spiffe://example.org/a%2Fb",
            "spiffe://example.org/a?b",
            "spiffe://example.org/a#b",
            "spiffe://user@example.org/a",
            "spiffe://example.org:443/a",
            "spiffe://exämple.org/a",
            "spiffe://example.org/ä",
            "spiffe://example.org/a b",
            "spiffe://example.org/a\0",
            &long,
            &long_domain,
        ] {
            assert!(spiffe_id(wrong).is_err(), "{wrong}");
        }
        let longest = format!("spiffe://example.org/{}", "a".repeat(2048 - 21));
        assert_eq!(longest.len(), 2048);
        assert!(spiffe_id(&longest).is_ok());
    }
}
