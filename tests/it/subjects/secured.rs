//! Keys over HTTPS: whose word for a server counts.

use std::sync::Arc;

use mandate::config::Config;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::doors::check_refused;
use super::issuer::{AUDIENCE, ISSUER, Issuer, ask};
use crate::support::{Authority, SigningKey, TestServer, is_allow};

/// A server of one document, whose certificate an authority signed.
struct SecuredServer {
    port: u16,
    _runtime: Runtime,
}

impl SecuredServer {
    fn start(authority: &Authority, document: String) -> Self {
        let shown = authority.server();
        let chain = CertificateDer::pem_slice_iter(shown.chain.as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // A client that does not trust the certificate hangs up.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut asked = [0; 4096];
                let _read = stream.read(&mut asked).await;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{document}",
                    document.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                let _closed = stream.shutdown().await;
            }
        });
        Self { port, _runtime: runtime }
    }
}

fn config(issuer: &Issuer, url: &str, more: &str) -> Config {
    issuer.config_of(&format!(
        "[[issuers]]\nissuer = '{ISSUER}'\naudience = '{AUDIENCE}'\nprofile = 'rfc8693'\njwks_url = '{url}'\n{more}\n"
    ))
}

#[test]
fn keys_come_from_a_server_that_a_trusted_authority_vouches_for_by_its_name() {
    let issuer = Issuer::new(SigningKey::p256());
    let (ours, other) = (Authority::root("ours"), Authority::root("other"));
    let document = json!({"keys": [issuer.key.jwk("k1")]}).to_string();
    let keys = SecuredServer::start(&ours, document);
    issuer.sources.put("ours.pem", &ours.pem);
    issuer.sources.put("other.pem", &other.pem);
    let ca_file = |name: &str| format!("ca_file = '{}'", issuer.sources.path(name).display());
    let asked = |host: &str, more: &str| {
        let url = format!("https://{host}:{}/keys", keys.port);
        let server = TestServer::with_config(&config(&issuer, &url, more));
        server.authorize(ask("view", issuer.token()))
    };
    assert!(is_allow(&asked("localhost", &ca_file("ours.pem")).unwrap()));
    assert!(is_allow(&asked("127.0.0.1", &ca_file("ours.pem")).unwrap()));
    check_refused(asked("localhost", &ca_file("other.pem")), "keys: its issuer's keys cannot be had");
    check_refused(asked("127.0.0.2", &ca_file("ours.pem")), "keys");
}

#[test]
fn a_file_of_authorities_must_hold_some() {
    let issuer = Issuer::new(SigningKey::p256());
    let url = "https://127.0.0.1:1/keys";
    for (text, said) in
        [("", "holds none"), ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "PEM")]
    {
        issuer.sources.put("ca.pem", text);
        let mut config =
            config(&issuer, url, &format!("ca_file = '{}'", issuer.sources.path("ca.pem").display()));
        crate::support::keep_in(&mut config, &issuer.sources.path("data"));
        let error =
            mandate::app::runtime().unwrap().block_on(mandate::app::bind(&config)).map(drop).unwrap_err();
        assert!(error.to_string().contains("ca_file") && error.to_string().contains(said), "{error}");
    }
}
