//! Trust bundles: for each trust domain, the authorities whose word counts in it and nowhere else.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::anchor_from_trusted_cert;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// Largest bundle, in bytes.
pub const MAX_BUNDLE_BYTES: usize = 1024 * 1024;
/// Most authorities in one.
const MAX_AUTHORITIES: usize = 100;

/// The bundles of every trust domain that is trusted.
#[derive(Debug, Clone, Default)]
pub struct TrustBundles(HashMap<String, Arc<TrustBundle>>);

/// The authorities of one trust domain.
#[derive(Debug)]
pub struct TrustBundle(Vec<Authority>);

struct Authority {
    anchor: TrustAnchor<'static>,
    /// In seconds since 1970.
    valid: std::ops::RangeInclusive<i64>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("valid", &self.valid).finish_non_exhaustive()
    }
}

/// Why a bundle cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// It is not what it should be.
    #[error("it is not PEM: {0}")]
    Pem(String),
    /// It vouches for nobody.
    #[error("it holds no certificate")]
    Empty,
    /// It is too large.
    #[error("it holds more than {MAX_AUTHORITIES} certificates")]
    TooMany,
    /// A certificate of it, counted from 1.
    #[error("its certificate {0} {1}")]
    Certificate(usize, &'static str),
}

impl TrustBundle {
    /// The bundle that PEM text holds: certificates of authorities, one after the other.
    ///
    /// # Errors
    /// [`BundleError`], for the first that is none.
    pub fn from_pem(pem: &[u8]) -> Result<Self, BundleError> {
        let certificates = CertificateDer::pem_slice_iter(pem);
        let certificates = certificates.take(MAX_AUTHORITIES + 1).collect::<Result<Vec<_>, _>>();
        Self::of(&certificates.map_err(|error| BundleError::Pem(error.to_string()))?)
    }

    /// The bundle of these authorities.
    ///
    /// # Errors
    /// As [`TrustBundle::from_pem`].
    pub fn of(certificates: &[CertificateDer<'_>]) -> Result<Self, BundleError> {
        let mut authorities = Vec::new();
        for (index, der) in certificates.iter().enumerate() {
            if index == MAX_AUTHORITIES {
                return Err(BundleError::TooMany);
            }
            let authority = Authority::of(der).map_err(|why| BundleError::Certificate(index + 1, why))?;
            authorities.push(authority);
        }
        if authorities.is_empty() { Err(BundleError::Empty) } else { Ok(Self(authorities)) }
    }
}

impl Authority {
    fn of(der: &CertificateDer<'_>) -> Result<Self, &'static str> {
        let Ok(([], certificate)) = X509Certificate::from_der(der) else { return Err("cannot be read") };
        if !certificate.is_ca() {
            return Err("is no certificate authority's");
        }
        if !certificate.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign())) {
            return Err("may not sign certificates");
        }
        let anchor = anchor_from_trusted_cert(der).map_err(|_| "cannot be read")?.to_owned();
        let validity = certificate.validity();
        Ok(Self { anchor, valid: validity.not_before.timestamp()..=validity.not_after.timestamp() })
    }
}

impl TrustBundles {
    /// These bundles, by the trust domain each is of.
    #[must_use]
    pub fn new(bundles: impl IntoIterator<Item = (String, TrustBundle)>) -> Self {
        Self(bundles.into_iter().map(|(trust_domain, bundle)| (trust_domain, Arc::new(bundle))).collect())
    }

    /// These, with others for some trust domains, or with none.
    #[must_use]
    pub fn with(&self, changed: impl IntoIterator<Item = (String, Option<Arc<TrustBundle>>)>) -> Self {
        let mut bundles = self.0.clone();
        for (trust_domain, bundle) in changed {
            match bundle {
                Some(bundle) => drop(bundles.insert(trust_domain, bundle)),
                None => drop(bundles.remove(&trust_domain)),
            }
        }
        Self(bundles)
    }

    /// The authorities of a trust domain that are valid now; none if it is not trusted.
    pub(super) fn anchors(&self, trust_domain: &str, now: UnixTime) -> Option<Vec<TrustAnchor<'_>>> {
        let TrustBundle(authorities) = &**self.0.get(trust_domain)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let valid = authorities.iter().filter(|authority| authority.valid.contains(&now));
        Some(valid.map(|authority| authority.anchor.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, KeyUsagePurpose};

    use super::*;

    fn pem(change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn a_bundle_is_of_authorities_that_may_sign_certificates() {
        let authority = pem(|_| ());
        let unlimited = pem(|params| params.key_usages.clear());
        for good in [authority.clone(), unlimited, authority.repeat(MAX_AUTHORITIES)] {
            assert!(TrustBundle::from_pem(good.as_bytes()).is_ok());
        }
        let leaf = pem(|params| params.is_ca = IsCa::ExplicitNoCa);
        let silent = pem(|params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
        for (wrong, error) in [
            (String::new(), BundleError::Empty),
            ("no certificate\n".to_owned(), BundleError::Empty),
            (authority.repeat(MAX_AUTHORITIES + 1), BundleError::TooMany),
            (leaf.clone(), BundleError::Certificate(1, "is no certificate authority's")),
            (format!("{authority}{leaf}"), BundleError::Certificate(2, "is no certificate authority's")),
            (silent, BundleError::Certificate(1, "may not sign certificates")),
        ] {
            assert_eq!(TrustBundle::from_pem(wrong.as_bytes()).unwrap_err(), error);
        }
    }
}
