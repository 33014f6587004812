//! A certificate authority for tests, and what callers and servers show.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// An authority that signs whatever it is asked to.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, in PEM.
    pub(crate) pem: String,
}

/// A certificate, those between it and its authority, and its key, in PEM.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    /// A root, which signs itself.
    pub(crate) fn root(name: &str) -> Self {
        let (params, key) = (authority(name), KeyPair::generate().unwrap());
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// An authority that this one signs.
    pub(crate) fn intermediate(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Signs what is shown.
    pub(crate) fn sign(&self, params: &CertificateParams) -> Shown {
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        Shown { chain, key: key.serialize_pem() }
    }

    /// What a workload of this SPIFFE ID shows.
    pub(crate) fn svid(&self, id: &str) -> Shown {
        self.sign(&svid(&[id]))
    }

    /// What a server on this host shows.
    pub(crate) fn server(&self) -> Shown {
        self.server_named(&["localhost", "127.0.0.1"])
    }

    /// What a server with these names shows.
    pub(crate) fn server_named(&self, names: &[&str]) -> Shown {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }
}

/// What an authority's certificate says.
pub(crate) fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// What a workload's certificate says that has these URI names.
pub(crate) fn svid(uris: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = date_time_ymd(2020, 1, 1);
    params
}

impl Shown {
    /// Its certificate's thumbprint, as a token that is bound to it says (RFC 8705 §3.1).
    pub(crate) fn x5t(&self) -> String {
        let der = CertificateDer::from_pem_slice(self.chain.as_bytes()).unwrap();
        super::base64url(Sha256::digest(&der))
    }
}

/// Files of a server and its callers.
pub(crate) struct Papers {
    folder: TempDir,
    /// Signs for the trust domain `example.org`, and for the server.
    pub(crate) authority: Authority,
}

impl Papers {
    /// A server's certificate, and the bundle of `example.org`.
    pub(crate) fn new() -> Self {
        let authority = Authority::root("example.org");
        let papers = Self { folder: tempfile::tempdir().unwrap(), authority };
        papers.put_certificate(&papers.authority.server());
        papers.put("example.org.pem", &papers.authority.pem);
        papers
    }

    /// Writes the pair that the server shows, each file whole.
    pub(crate) fn put_certificate(&self, Shown { chain, key }: &Shown) {
        self.put("server.crt", chain);
        self.put("server.key", key);
    }

    /// Replaces a file at once.
    pub(crate) fn put(&self, name: &str, content: &str) {
        let whole = self.folder.path().join("whole");
        fs::write(&whole, content).unwrap();
        fs::rename(whole, self.path(name)).unwrap();
    }

    /// Writes what somebody shows, and says where: the chain and the key.
    pub(crate) fn keep(&self, name: &str, shown: &Shown) -> (PathBuf, PathBuf) {
        let (chain, key) = (format!("{name}.crt"), format!("{name}.key"));
        self.put(&chain, &shown.chain);
        self.put(&key, &shown.key);
        (self.path(&chain), self.path(&key))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Configuration by which callers of `example.org` are authenticated, and more of it.
    pub(crate) fn configuration(&self, pep: &Path, more: &str) -> String {
        let path = |name: &str| self.path(name).display().to_string();
        format!(
            "[sources]\npep = '{}'\n[tls]\ncertificate = '{}'\nkey = '{}'\n[[callers.spiffe]]\n\
             trust_domain = 'example.org'\nbundle = '{}'\n{more}",
            pep.display(),
            path("server.crt"),
            path("server.key"),
            path("example.org.pem"),
        )
    }
}
