//! TLS on a listener: the server's own certificate, which may change while it serves, and the certificates of callers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, ServerConfig,
    SignatureScheme,
};
use tokio_rustls::TlsAcceptor;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::identity::bundle::TrustBundles;
use crate::identity::svid::{self, SvidError};

/// Largest file of a certificate or a key, in bytes.
pub const MAX_FILE_BYTES: usize = 256 * 1024;

/// The certificate a server shows, and the key it proves to hold.
pub struct ServerCertificate {
    key: Arc<CertifiedKey>,
    /// When it begins, in seconds since 1970.
    pub begins: i64,
    /// When it ends, in seconds since 1970.
    pub expires: i64,
    /// Whether it is shown beyond its end, for clients to judge: who probes does not look at it, and must not be turned away.
    outlives: bool,
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCertificate").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// Why a certificate and a key cannot be served with.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFileError {
    /// The certificate's file.
    #[error("the certificate is not PEM: {0}")]
    Certificate(rustls::pki_types::pem::Error),
    /// It holds none.
    #[error("the file of the certificate holds none")]
    Empty,
    /// The key's file. What stands in it is nobody's to read.
    #[error("the key is not one private key in PEM")]
    Key,
    /// Clients would not accept it.
    #[error("the certificate {0}")]
    Validity(String),
    /// They are no pair, or of a kind that is not spoken.
    #[error("certificate and key cannot be served with: {0}")]
    Pair(Error),
}

impl ServerCertificate {
    /// The pair that two PEM texts hold: the server's certificate, followed by those between it and its authority, and its
    /// key.
    ///
    /// # Errors
    /// [`CertificateFileError`].
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, CertificateFileError> {
        let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(CertificateFileError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_secret| CertificateFileError::Key)?;
        Self::of(chain, key, true)
    }

    /// A workload's certificate, followed by those between it and its trust domain, and its key. At its end it is shown no
    /// more: nobody vouches for the server then, and handshakes fail.
    ///
    /// # Errors
    /// [`CertificateFileError`].
    pub fn of_workload(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, CertificateFileError> {
        Self::of(chain, key, false)
    }

    fn of(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        outlives: bool,
    ) -> Result<Self, CertificateFileError> {
        let leaf = chain.first().ok_or(CertificateFileError::Empty)?;
        let validity = X509Certificate::from_der(leaf)
            .map(|(_, leaf)| leaf.validity().clone())
            .map_err(|_| CertificateFileError::Pair(CertificateError::BadEncoding.into()))?;
        let now = seconds();
        if validity.not_after.timestamp() < now {
            return Err(CertificateFileError::Validity(format!(
                "has expired: it ended {}",
                validity.not_after
            )));
        }
        if validity.not_before.timestamp() > now {
            return Err(CertificateFileError::Validity(format!(
                "is not valid yet: it begins {}",
                validity.not_before
            )));
        }
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        let key = Arc::new(key.map_err(CertificateFileError::Pair)?);
        let (begins, expires) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        Ok(Self { key, begins, expires, outlives })
    }

    /// Whether it may be shown now.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.outlives || seconds() <= self.expires
    }
}

/// Now, in seconds since 1970.
fn seconds() -> i64 {
    i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX)
}

/// What every TLS listener of the process shares.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The server's certificate. Connections are begun with whatever stands here.
    pub certificate: Arc<ArcSwap<ServerCertificate>>,
    /// The authorities of callers. Without any, nobody is asked for a certificate.
    bundles: Option<Arc<ArcSwap<TrustBundles>>>,
    handshakes: Arc<Handshakes>,
}

/// How handshakes ended.
#[derive(Debug, Default)]
pub struct Handshakes {
    completed: AtomicU64,
    failed: AtomicU64,
    late: AtomicU64,
}

impl Handshakes {
    pub(super) fn completed(&self) {
        self.completed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }

    /// How many ended how.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 3] {
        let Self { completed, failed, late } = self;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [("completed", read(completed)), ("failed", read(failed)), ("late", read(late))]
    }
}

/// A listener's way into TLS.
#[derive(Clone)]
pub struct Acceptor {
    pub(super) tls: TlsAcceptor,
    pub(super) handshakes: Arc<Handshakes>,
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("handshakes", &self.handshakes).finish_non_exhaustive()
    }
}

impl Tls {
    /// TLS by this certificate, which asks callers for theirs if there are bundles to hold them to.
    #[must_use]
    pub fn new(certificate: ServerCertificate, bundles: Option<Arc<ArcSwap<TrustBundles>>>) -> Self {
        let certificate = Arc::new(ArcSwap::from_pointee(certificate));
        Self { certificate, bundles, handshakes: Arc::default() }
    }

    /// How handshakes ended.
    #[must_use]
    pub fn handshakes(&self) -> &Handshakes {
        &self.handshakes
    }

    /// What a listener accepts connections with, over which one of these protocols is spoken.
    ///
    /// # Errors
    /// The cryptography of this build lacks what TLS needs: a defect.
    pub fn acceptor(&self, protocols: &[&[u8]]) -> Result<Acceptor, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])?;
        let builder = match &self.bundles {
            None => builder.with_no_client_auth(),
            Some(bundles) => builder
                .with_client_cert_verifier(Arc::new(SvidVerifier { bundles: Arc::clone(bundles), provider })),
        };
        let mut config = builder.with_cert_resolver(Arc::new(Current(Arc::clone(&self.certificate))));
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        // A session that is resumed is not verified again: whoever lost its trust would keep it.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Acceptor { tls: TlsAcceptor::from(Arc::new(config)), handshakes: Arc::clone(&self.handshakes) })
    }
}

/// The certificate as it is when a connection begins.
#[derive(Debug)]
struct Current(Arc<ArcSwap<ServerCertificate>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certificate = self.0.load();
        certificate.holds().then(|| Arc::clone(&certificate.key))
    }
}

/// Holds callers' certificates to the bundles as they are.
#[derive(Debug)]
struct SvidVerifier {
    bundles: Arc<ArcSwap<TrustBundles>>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for SvidVerifier {
    /// A caller may show a token instead. One that shows neither is told so by an answer.
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        let verified = svid::verify(&chain, &self.bundles.load(), now);
        verified.map(|_caller| ClientCertVerified::assertion()).map_err(|error| refusal(error).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What the other end is told: why, where TLS has a word for it.
fn refusal(error: SvidError) -> CertificateError {
    match &error {
        SvidError::Path(webpki::Error::CertExpired { .. }) => CertificateError::Expired,
        SvidError::Path(webpki::Error::CertNotValidYet { .. }) => CertificateError::NotValidYet,
        SvidError::Path(webpki::Error::UnknownIssuer) | SvidError::UnknownTrustDomain(_) => {
            CertificateError::UnknownIssuer
        }
        _ => CertificateError::Other(OtherError(Arc::new(error))),
    }
}
