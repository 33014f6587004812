//! Certificates that show no caller, each different in one thing from one that does (SPIFFE X509-SVID, RFC 5280).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use mandate::identity::bundle::{TrustBundle, TrustBundles};
use mandate::identity::svid::verify;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SanType, date_time_ymd,
};
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, SignatureScheme, StreamOwned, SupportedProtocolVersion,
};
use tonic::Code;

use super::{GATEWAY, Guarded, OPEN, view};
use crate::support::{Authority, Shown, authority, is_allow, svid};

/// A certificate, and what is said of it.
struct Hostile {
    name: &'static str,
    shown: Shown,
    said: &'static str,
}

fn hostile(name: &'static str, said: &'static str, shown: Shown) -> Hostile {
    Hostile { name, shown, said }
}

/// The good certificate, changed in one thing.
fn but(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = svid(&[GATEWAY]);
    change(&mut params);
    params
}

fn table(root: &Authority) -> Vec<Hostile> {
    let other = Authority::root("other.org");
    let signed = |change: fn(&mut CertificateParams)| root.sign(&but(change));
    let named = |uri: &str| root.sign(&svid(&[uri]));
    let long = format!("spiffe://example.org/{}", "a".repeat(2048));
    let long_domain = format!("spiffe://{}/a", "a".repeat(256));
    let self_signed = {
        let key = rcgen::KeyPair::generate().unwrap();
        let chain = svid(&[GATEWAY]).self_signed(&key).unwrap().pem();
        Shown { chain, key: key.serialize_pem() }
    };
    let mut found = vec![
        hostile(
            "signed by another authority of the same name",
            "InvalidSignature",
            Authority::root("example.org").svid(GATEWAY),
        ),
        hostile("signed by another trust domain's authority", "UnknownIssuer", other.svid(GATEWAY)),
        hostile("signs itself", "UnknownIssuer", self_signed),
        hostile(
            "of a trust domain that nobody configured",
            "other.org",
            root.svid("spiffe://other.org/gateways/mcp"),
        ),
        hostile("two URI names", "2 URI names", root.sign(&svid(&[GATEWAY, "spiffe://example.org/other"]))),
        hostile("the same URI name twice", "2 URI names", root.sign(&svid(&[GATEWAY, GATEWAY]))),
        hostile(
            "a SPIFFE ID and another URI",
            "2 URI names",
            root.sign(&svid(&[GATEWAY, "https://example.org"])),
        ),
        hostile("no URI name", "0 URI names", root.sign(&svid(&[]))),
        hostile(
            "a DNS name only",
            "0 URI names",
            signed(|params| {
                params.subject_alt_names = vec![SanType::DnsName("example.org".try_into().unwrap())];
            }),
        ),
        hostile("no path", "no path", named("spiffe://example.org")),
        hostile("another scheme", "no SPIFFE ID", named("https://example.org/gateways/mcp")),
        hostile("scheme in upper case", "no SPIFFE ID", named("SPIFFE://example.org/gateways/mcp")),
        hostile("trust domain in upper case", "no SPIFFE ID", named("spiffe://EXAMPLE.org/gateways/mcp")),
        hostile("percent encoding", "no SPIFFE ID", named("spiffe://example.org/gateways%2Fmcp")),
        hostile("trailing slash", "no SPIFFE ID", named("spiffe://example.org/gateways/mcp/")),
        hostile("empty segment", "no SPIFFE ID", named("spiffe://example.org//mcp")),
        hostile("dot segment", "no SPIFFE ID", named("spiffe://example.org/gateways/../mcp")),
        hostile("a port", "no SPIFFE ID", named("spiffe://example.org:443/gateways/mcp")),
        hostile("user information", "no SPIFFE ID", named("spiffe://root@example.org/gateways/mcp")),
        hostile("a query", "no SPIFFE ID", named("spiffe://example.org/gateways/mcp?a")),
        hostile("a fragment", "no SPIFFE ID", named("spiffe://example.org/gateways/mcp#a")),
        hostile("a NUL", "no SPIFFE ID", named("spiffe://example.org/gateways\0/mcp")),
        hostile("over 2048 bytes", "the limit is 2048", named(&long)),
        hostile("trust domain over 255 bytes", "no SPIFFE ID", named(&long_domain)),
        hostile(
            "an authority's own",
            "certificate authority's",
            signed(|params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }),
        ),
        hostile(
            "keyCertSign",
            "holds keyCertSign",
            signed(|params| {
                params.key_usages.push(KeyUsagePurpose::KeyCertSign);
            }),
        ),
        hostile(
            "cRLSign",
            "holds cRLSign",
            signed(|params| params.key_usages.push(KeyUsagePurpose::CrlSign)),
        ),
        hostile(
            "no digitalSignature",
            "lacks digitalSignature",
            signed(|params| {
                params.key_usages = vec![KeyUsagePurpose::KeyAgreement];
            }),
        ),
        hostile("no key usage", "key usage is missing", signed(|params| params.key_usages.clear())),
        hostile(
            "key usage that is not critical",
            "not marked critical",
            signed(|params| {
                params.key_usages.clear();
                let digital_signature = vec![0x03, 0x02, 0x07, 0x80];
                params.custom_extensions =
                    vec![CustomExtension::from_oid_content(&[2, 5, 29, 15], digital_signature)];
            }),
        ),
        hostile(
            "for servers only",
            "RequiredEkuNotFound",
            signed(|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
        ),
        hostile(
            "an extension that is critical and unknown",
            "UnsupportedCriticalExtension",
            signed(|params| {
                let mut unknown =
                    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![0x05, 0x00]);
                unknown.set_criticality(true);
                params.custom_extensions = vec![unknown];
            }),
        ),
        hostile("expired", "CertExpired", signed(|params| params.not_after = date_time_ymd(2021, 1, 1))),
        hostile(
            "not valid yet",
            "CertNotValidYet",
            signed(|params| params.not_before = date_time_ymd(2999, 1, 1)),
        ),
    ];
    found.extend(chains(root));
    found
}

/// What is wrong between a certificate and its authority.
fn chains(root: &Authority) -> Vec<Hostile> {
    let through = |params: CertificateParams| {
        let between = root.intermediate(params);
        let Shown { chain, key } = between.svid(GATEWAY);
        Shown { chain: chain + &between.pem, key }
    };
    let mut not_signing = authority("between");
    not_signing.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let mut ended = authority("between");
    ended.not_after = date_time_ymd(2021, 1, 1);
    let mut workload = svid(&["spiffe://example.org/other"]);
    workload.is_ca = IsCa::NoCa;
    let many = {
        let Shown { chain, key } = root.svid(GATEWAY);
        Shown { chain: chain.repeat(9), key }
    };
    vec![
        hostile("through an authority that may not sign", "may not sign", through(not_signing)),
        hostile("through an authority that has ended", "CertExpired", through(ended)),
        hostile("through a workload", "EndEntityUsedAsCa", through(workload)),
        hostile("nine certificates", "9 certificates", many),
    ]
}

fn bundles(root: &Authority) -> TrustBundles {
    let bundle = TrustBundle::from_pem(root.pem.as_bytes()).unwrap();
    TrustBundles::new([("example.org".to_owned(), bundle)])
}

fn chain(shown: &Shown) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(shown.chain.as_bytes()).map(|der| der.unwrap()).collect()
}

#[test]
fn none_is_accepted_over_tls() {
    let guarded = Guarded::new(OPEN);
    let table = table(&guarded.papers.authority);
    assert!(table.len() > 35);
    for Hostile { name, shown, .. } in &table {
        match guarded.connect(Some(shown)).map(|client| client.authorize(view())) {
            Err(_no_connection) => {}
            Ok(Err(status)) => assert_ne!(status.code(), Code::PermissionDenied, "{name}: {status:?}"),
            Ok(Ok(answer)) => panic!("{name} is accepted: {answer:?}"),
        }
    }
    assert!(is_allow(&guarded.client(GATEWAY).authorize(view()).unwrap()), "and the one they differ from is");
    // None of them got as far as to be answered.
    guarded.server.records(1);
}

#[test]
fn each_is_refused_for_what_is_wrong_with_it() {
    let root = Authority::root("example.org");
    let bundles = bundles(&root);
    for Hostile { name, shown, said } in table(&root) {
        let refused = verify(&chain(&shown), &bundles, UnixTime::now()).unwrap_err();
        let (message, debug) = (refused.to_string(), format!("{refused:?}"));
        assert!(message.contains(said) || debug.contains(said), "{name}: {message} ({debug})");
    }
    let good = root.svid(GATEWAY);
    assert_eq!(&**verify(&chain(&good), &bundles, UnixTime::now()).unwrap().name(), GATEWAY);
}

#[test]
fn an_authority_between_counts_as_long_as_the_shortest() {
    let root = Authority::root("example.org");
    let mut params = authority("between");
    params.not_after = date_time_ymd(2100, 1, 1);
    let between = root.intermediate(params);
    let mut leaf = svid(&[GATEWAY]);
    leaf.not_after = date_time_ymd(2200, 1, 1);
    let Shown { chain: own, key } = between.sign(&leaf);
    let shown = Shown { chain: own + &between.pem, key };
    let caller = verify(&chain(&shown), &bundles(&root), UnixTime::now()).unwrap();
    assert_eq!(caller.expires().unwrap().0, date_time_ymd(2100, 1, 1).unix_timestamp() * 1000);
}

#[test]
fn an_authority_vouches_for_its_own_trust_domain_only() {
    let (ours, theirs) = (Authority::root("ours"), Authority::root("theirs"));
    let bundle = |authority: &Authority| TrustBundle::from_pem(authority.pem.as_bytes()).unwrap();
    let bundles = TrustBundles::new([
        ("example.org".to_owned(), bundle(&ours)),
        ("other.org".to_owned(), bundle(&theirs)),
    ]);
    let known = |authority: &Authority, id: &str| {
        verify(&chain(&authority.svid(id)), &bundles, UnixTime::now()).is_ok()
    };
    assert!(known(&ours, "spiffe://example.org/a"));
    assert!(known(&theirs, "spiffe://other.org/a"));
    assert!(!known(&theirs, "spiffe://example.org/a"));
    assert!(!known(&ours, "spiffe://other.org/a"));
}

#[test]
fn an_authority_that_has_ended_vouches_for_nobody() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = authority("example.org");
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    let pem = params.self_signed(&key).unwrap().pem();
    let issuer = rcgen::Issuer::new(params, key);
    let own = rcgen::KeyPair::generate().unwrap();
    let leaf = svid(&[GATEWAY]).signed_by(&own, &issuer).unwrap();
    let bundles =
        TrustBundles::new([("example.org".to_owned(), TrustBundle::from_pem(pem.as_bytes()).unwrap())]);
    assert!(verify(&[leaf.der().clone()], &bundles, UnixTime::now()).is_err());
}

/// Shows a certificate, whoever's key it is signed with.
#[derive(Debug)]
struct Showing(Arc<CertifiedKey>);

impl ResolvesClientCert for Showing {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// What the HTTP listener answers to whoever shows this certificate and signs with this key.
fn answer(
    guarded: &Guarded,
    version: &'static SupportedProtocolVersion,
    certificate: &Shown,
    key: &Shown,
) -> std::io::Result<String> {
    let key = PrivateKeyDer::from_pem_slice(key.key.as_bytes()).unwrap();
    let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let mut roots = RootCertStore::empty();
    let pem = &guarded.papers.authority.pem;
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_protocol_versions(&[version]).unwrap().with_root_certificates(roots);
    let showing = Showing(Arc::new(CertifiedKey::new(chain(certificate), key)));
    let mut config = builder.with_client_cert_resolver(Arc::new(showing));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let tls = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let tcp = TcpStream::connect(guarded.server.http.trim_start_matches("https://")).unwrap();
    let mut stream = StreamOwned::new(tls, tcp);
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_certificate_shows_nobody_but_whoever_holds_its_key() {
    let guarded = Guarded::new(OPEN);
    let (gateway, thief) =
        (guarded.papers.authority.svid(GATEWAY), guarded.papers.authority.svid("spiffe://example.org/thief"));
    for version in [&TLS12, &TLS13] {
        let own = answer(&guarded, version, &gateway, &gateway).unwrap();
        assert!(own.starts_with("HTTP/1.1 200"), "{version:?}: {own}");
        let stolen = answer(&guarded, version, &gateway, &thief);
        assert!(stolen.is_err(), "{version:?}: {stolen:?}");
    }
}
