//! F18: certificates change while clients connect: by halves, broken, expired, and by other authorities.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, date_time_ymd};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Finding;
use super::traffic::CLIENTS;
use crate::callers::{GATEWAY, OPEN, sources};
use crate::support::{Authority, Papers, Process, Shown};

/// New connections a second.
const RATE: u64 = 100;
/// How soon a new certificate must be shown.
const SOON: Duration = Duration::from_secs(5);
/// How old connections become.
const MAX_AGE: Duration = Duration::from_secs(5);
/// How long a change that must not count is left to be noticed.
const LEFT: Duration = Duration::from_secs(3);

/// How a client connects that trusts the server's authority and shows this.
pub(super) fn client(papers: &Papers, shown: &Shown) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(papers.authority.pem.as_bytes()).unwrap()).unwrap();
    let chain = CertificateDer::pem_slice_iter(shown.chain.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap())
}

pub(super) type Connection = TlsStream<TcpStream>;

/// Connects, and is answered: a handshake alone does not tell a client that its certificate was accepted (TLS 1.3).
pub(super) async fn connect(address: &str, config: &Arc<ClientConfig>) -> Result<Connection, String> {
    let connecting = async {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(Arc::clone(config));
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
        ask(&mut stream).await?;
        Ok(stream)
    };
    let within = Duration::from_secs(20);
    tokio::time::timeout(within, connecting).await.map_err(|_late| "no answer".to_owned())?
}

async fn ask(stream: &mut Connection) -> Result<(), String> {
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .map_err(|error| error.to_string())?;
    let mut some = [0; 1024];
    let count = stream.read(&mut some).await.map_err(|error| error.to_string())?;
    let answer = String::from_utf8_lossy(&some[..count]);
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(format!("`{answer}`")) }
}

/// The certificate that is shown.
fn shown(address: &str, config: &Arc<ClientConfig>) -> CertificateDer<'static> {
    let stream = CLIENTS.block_on(connect(address, config)).expect("a valid client");
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// Connections that are made one after the other, by a client that is valid all the time.
#[derive(Default)]
struct Newcomers {
    stop: AtomicBool,
    answered: AtomicU64,
    failed: std::sync::Mutex<Vec<String>>,
}

async fn newcomers(told: Arc<Newcomers>, address: String, config: Arc<ClientConfig>) {
    let mut due = tokio::time::interval(Duration::from_secs(1) / u32::try_from(RATE).unwrap());
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    while !told.stop.load(Ordering::Relaxed) {
        due.tick().await;
        let (told, address, config) = (Arc::clone(&told), address.clone(), Arc::clone(&config));
        tokio::spawn(async move {
            match connect(&address, &config).await {
                Ok(_) => drop(told.answered.fetch_add(1, Ordering::Relaxed)),
                Err(error) => told.failed.lock().unwrap().push(error),
            }
        });
    }
}

struct Server {
    papers: Papers,
    address: String,
    config: Arc<ClientConfig>,
}

impl Server {
    /// Writes a pair, the key before the certificate, and says how long it took to be shown.
    fn replace(&self, pair: &Shown) -> Duration {
        self.papers.put("server.key", &pair.key);
        std::thread::sleep(Duration::from_millis(300));
        self.papers.put("server.crt", &pair.chain);
        let written = Instant::now();
        let expected = CertificateDer::from_pem_slice(pair.chain.as_bytes()).unwrap();
        while shown(&self.address, &self.config) != expected {
            assert!(written.elapsed() < 4 * SOON, "the new certificate is not shown");
            std::thread::sleep(Duration::from_millis(50));
        }
        written.elapsed()
    }

    /// Writes a pair that must not count, and fails if it does.
    fn break_with(&self, pair: &Shown) {
        let before = shown(&self.address, &self.config);
        self.papers.put_certificate(pair);
        std::thread::sleep(LEFT);
        assert!(shown(&self.address, &self.config) == before, "a pair counts that cannot be served with");
    }
}

/// Pairs that cannot be served with.
fn broken(papers: &Papers) -> [Shown; 4] {
    let (one, other) = (papers.authority.server(), papers.authority.server());
    let mut expired = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    expired.not_after = date_time_ymd(2021, 1, 1);
    [
        Shown { chain: one.chain.clone(), key: other.key },
        papers.authority.sign(&expired),
        Shown { chain: one.chain[..one.chain.len() / 2].to_owned(), key: one.key.clone() },
        Shown { chain: one.chain, key: one.key[..one.key.len() / 2].to_owned() },
    ]
}

#[test]
#[ignore = "make faults"]
fn certificates_change_under_load_and_nobody_fails() {
    let (papers, sources) = (Papers::new(), sources(OPEN));
    let more = format!("[limits]\nmax_age = '{}s'\nmax_age_grace = '1s'\n", MAX_AGE.as_secs());
    let file = sources.path("mandate.toml");
    std::fs::write(&file, papers.configuration(&sources.path("pep"), &more)).unwrap();
    let process = Process::try_start_with(&sources, &["--config", &file.display().to_string()]).unwrap();
    let address = process.http.trim_start_matches("http://").to_owned();
    let (leaving, staying) = (Authority::root("old"), Authority::root("new"));
    let both = format!("{}{}", leaving.pem, staying.pem);
    papers.put("example.org.pem", &both);
    let config = client(&papers, &staying.svid(GATEWAY));
    let removed = client(&papers, &leaving.svid(GATEWAY));
    let begun = Instant::now();
    while CLIENTS.block_on(connect(&address, &config)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the bundle counts");
    }
    let told = Arc::new(Newcomers::default());
    let connecting = CLIENTS.spawn(newcomers(Arc::clone(&told), address.clone(), Arc::clone(&config)));
    let server = Server { papers, address: address.clone(), config };

    let mut slowest = server.replace(&server.papers.authority.server());
    for pair in broken(&server.papers) {
        server.break_with(&pair);
        slowest = slowest.max(server.replace(&server.papers.authority.server()));
    }
    // An authority is removed: those it vouches for are refused, and those who are in have come to their age soon.
    let mut old = CLIENTS.block_on(connect(&address, &removed)).expect("it is trusted still");
    server.papers.put("example.org.pem", &staying.pem);
    let written = Instant::now();
    while CLIENTS.block_on(connect(&address, &removed)).is_ok() {
        assert!(written.elapsed() < 4 * SOON, "a removed authority counts");
        std::thread::sleep(Duration::from_millis(50));
    }
    let refused = written.elapsed();
    while CLIENTS.block_on(ask(&mut old)).is_ok() {
        assert!(written.elapsed() < 4 * MAX_AGE, "its connection stays");
        std::thread::sleep(Duration::from_millis(200));
    }
    let closed = written.elapsed();

    told.stop.store(true, Ordering::Relaxed);
    CLIENTS.block_on(connecting).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let (answered, failed) = (told.answered.load(Ordering::Relaxed), told.failed.lock().unwrap());
    let rejected =
        process.metric("pdp_caller_files_reloads_total{file=\"certificate\",outcome=\"rejected\"}");
    // An age and its tenth, from when it was opened, which was before.
    let aged = MAX_AGE + MAX_AGE / 10 + Duration::from_secs(1);
    Finding::of(
        "F18 certificates change",
        "no valid client fails, a new certificate counts within 5 s, a removed authority at once, its connections end of age",
    )
    .figure("handshakes", answered)
    .figure("slowest_ms", u64::try_from(slowest.as_millis()).unwrap())
    .seen(
        failed.is_empty() && answered > 1_000 && slowest <= SOON && refused <= SOON && closed <= aged && rejected >= 4.0,
        format!(
            "{answered} handshakes, {} failed {:?}, new certificates after {slowest:?} at most, authority after {refused:?}, \
             connection after {closed:?}",
            failed.len(),
            failed.first(),
        ),
    );
    drop(failed);
    process.terminate().check_code(0);
}
