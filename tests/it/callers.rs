//! Who is on the other end of a connection: certificates that are believed, those that are not, and what TLS costs others.

mod hostile;
mod tokens;
mod workload_api;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use mandate::config::{Config, Overrides};
use mandate::server::pb;
use pb::authorization_service_client::AuthorizationServiceClient;
use rcgen::date_time_ymd;
use serde_json::json;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{
    Authority, Client, Conversation, Papers, Process, Question as _, Shown, Sources, TestServer, is_allow,
    mandate, question, svid,
};

/// How long a change may take to be in force.
const PATIENCE: Duration = Duration::from_secs(20);

/// The caller that most tests are.
pub(crate) const GATEWAY: &str = "spiffe://example.org/gateways/mcp";

/// Lets everybody known ask everything.
pub(crate) const OPEN: &str = "@id(\"open\")\npermit (principal, action, resource);\n";

/// A server that authenticates its callers.
pub(crate) struct Guarded {
    pub(crate) papers: Papers,
    pub(crate) sources: Sources,
    pub(crate) server: TestServer,
}

/// The small sources, and these policies about callers.
pub(crate) fn sources(pep: &str) -> Sources {
    let sources = Sources::small();
    std::fs::create_dir(sources.path("pep")).unwrap();
    sources.write("pep/pep.cedar", pep)
}

/// The configuration of sources whose callers are authenticated.
pub(crate) fn config(sources: &Sources, papers: &Papers, more: &str) -> Config {
    let file = sources.path("mandate.toml");
    let written = papers.configuration(&sources.path("pep"), more);
    std::fs::write(&file, written).unwrap();
    let folder = |name: &str| Some(sources.path(name));
    let overrides = Overrides {
        policies: folder("policies"),
        schemas: folder("schemas"),
        entities: folder("entities"),
        emergency: folder("emergency"),
        ..Overrides::default()
    };
    let mut config = Config::load(Some(&file), overrides).unwrap();
    config.reload.poll = Duration::from_millis(50);
    config.reload.settle = Duration::ZERO;
    config
}

impl Guarded {
    pub(crate) fn new(pep: &str) -> Self {
        Self::with(pep, "")
    }

    /// With more configuration.
    pub(crate) fn with(pep: &str, more: &str) -> Self {
        let (papers, sources) = (Papers::new(), sources(pep));
        let config = config(&sources, &papers, more);
        let gateway = papers.authority.svid(GATEWAY);
        let server = TestServer::with_client(&config, |address| {
            Client::secured(address, &papers.authority.pem, Some(&gateway)).unwrap()
        });
        Self { papers, sources, server }
    }

    /// Connects and shows this.
    pub(crate) fn connect(&self, shown: Option<&Shown>) -> Result<Client, tonic::transport::Error> {
        Client::secured(&self.server.data, &self.papers.authority.pem, shown)
    }

    /// Connects as a workload of `example.org`.
    pub(crate) fn client(&self, id: &str) -> Client {
        self.connect(Some(&self.papers.authority.svid(id))).expect("a workload that is trusted")
    }
}

/// A question that every test server of the small sources allows.
pub(crate) fn view() -> pb::AuthorizeRequest {
    question(("User", "ana"), "view", ("Doc", "plan"))
}

#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_workload_that_its_trust_domain_vouches_for_is_answered_and_named() {
    let guarded = Guarded::new(OPEN);
    assert!(is_allow(&guarded.server.authorize(view()).unwrap()));
    let other = guarded.client("spiffe://example.org/gateways/other");
    assert!(is_allow(&other.authorize(view()).unwrap()));
    let records = guarded.server.records(2);
    assert_eq!(records[0]["caller"], GATEWAY);
    assert_eq!(records[1]["caller"], "spiffe://example.org/gateways/other");
}

#[test]
fn whoever_shows_nothing_is_refused_before_the_message_is_read_and_recorded() {
    let guarded = Guarded::new(OPEN);
    let client = guarded.connect(None).unwrap();
    let refused = client.authorize(view()).unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
    // No protobuf at all: nobody looks at what it holds.
    let raw = crate::support::raw_call(&client, "/mandate.v1.AuthorizationService/Authorize", vec![0xff; 64]);
    assert_eq!(raw.unwrap_err().code(), Code::Unauthenticated);
    for record in guarded.server.records(2) {
        assert_eq!(record["caller"], "unauthenticated", "{record}");
        assert_eq!(record["reason"], "CALLER_UNAUTHENTICATED", "{record}");
    }
}

#[test]
fn health_is_open_and_everything_else_wants_a_known_caller() {
    let guarded = Guarded::new(OPEN);
    let client = guarded.connect(None).unwrap();
    let mut health = HealthClient::new(client.channel());
    client.wait(health.check(HealthCheckRequest::default())).expect("the kubelet shows nothing of itself");
    let mut service = AuthorizationServiceClient::new(client.channel());
    let info = client.wait(service.get_server_info(pb::GetServerInfoRequest {}));
    assert_eq!(info.unwrap_err().code(), Code::Unauthenticated);
    for reflection in ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"] {
        let method = format!("/{reflection}/ServerReflectionInfo");
        let refused = crate::support::raw_call(&client, &method, Vec::new()).unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{reflection}");
    }
}

#[test]
fn a_bearer_token_that_nobody_can_verify_is_not_ignored_beside_a_certificate() {
    let guarded = Guarded::new(OPEN);
    let mut request = tonic::Request::new(view());
    request.metadata_mut().insert("authorization", "Bearer e30.e30.".parse().unwrap());
    assert_eq!(guarded.server.client().authorize(request).unwrap_err().code(), Code::Unauthenticated);
}

#[test]
fn plaintext_gets_nothing_from_a_tls_port_and_the_server_lives() {
    let guarded = Guarded::new(OPEN);
    for address in [&guarded.server.data, &guarded.server.http] {
        let mut stream = TcpStream::connect(address.trim_start_matches("https://")).unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    }
    assert!(is_allow(&guarded.server.authorize(view()).unwrap()));
    eventually("failed handshakes are counted", || {
        guarded.server.metrics().value("pdp_tls_handshakes_total{outcome=\"failed\"}") >= 2.0
    });
}

#[test]
fn a_stream_ends_with_its_callers_certificate_whether_or_not_anything_is_asked() {
    let guarded = Guarded::new(OPEN);
    let mut short = svid(&[GATEWAY]);
    // Certificates count in whole seconds.
    let ends = std::time::SystemTime::now() + Duration::from_secs(3);
    short.not_after = ends.into();
    let client = guarded.connect(Some(&guarded.papers.authority.sign(&short))).unwrap();
    let mut asked = Conversation::open(&client, &[]);
    let mut silent = Conversation::open(&client, &[]);
    asked.decide(&view().named("before"));
    let ended = silent.next().unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated, "{ended:?}");
    assert_eq!(asked.next().unwrap_err().code(), Code::Unauthenticated);
    // The connection is there still, and nobody vouches for what comes over it.
    assert_eq!(client.authorize(view()).unwrap_err().code(), Code::Unauthenticated);
}

#[test]
fn an_authority_that_is_no_longer_trusted_vouches_for_nobody_even_on_connections_it_opened() {
    let guarded = Guarded::new(OPEN);
    let client = guarded.client(GATEWAY);
    assert!(is_allow(&client.authorize(view()).unwrap()));
    let mut stream = Conversation::open(&client, &[]);
    stream.decide(&view().named("trusted"));
    let other = Authority::root("example.org");
    guarded.papers.put("example.org.pem", &other.pem);
    eventually("the bundle was replaced", || client.authorize(view()).is_err());
    assert_eq!(client.authorize(view()).unwrap_err().code(), Code::Unauthenticated);
    stream.send(&view().named("not trusted"));
    assert_eq!(stream.next().unwrap_err().code(), Code::Unauthenticated);
    // The new one does.
    let renewed = guarded.connect(Some(&other.svid(GATEWAY))).unwrap();
    assert!(is_allow(&renewed.authorize(view()).unwrap()));
}

#[test]
fn a_bundle_that_is_broken_leaves_the_one_before() {
    let guarded = Guarded::new(OPEN);
    guarded.papers.put("example.org.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    eventually("the bundle is rejected", || {
        guarded.server.metrics().value("pdp_caller_files_rejected{file=\"bundles\"}") == 1.0
    });
    assert!(is_allow(&guarded.client(GATEWAY).authorize(view()).unwrap()));
}

#[test]
fn the_servers_certificate_changes_without_dropping_anybody() {
    let guarded = Guarded::new(OPEN);
    let before = guarded.client(GATEWAY);
    assert!(is_allow(&before.authorize(view()).unwrap()));
    let other = Authority::root("another authority of servers");
    guarded.papers.put_certificate(&other.server());
    let gateway = guarded.papers.authority.svid(GATEWAY);
    eventually("the new certificate is shown", || {
        Client::secured(&guarded.server.data, &other.pem, Some(&gateway))
            .is_ok_and(|client| client.authorize(view()).is_ok())
    });
    assert!(guarded.connect(Some(&gateway)).is_err(), "the old one is shown still");
    assert!(is_allow(&before.authorize(view()).unwrap()));
    // A key of another pair: what was in force stays, and it is said.
    guarded.papers.put("server.key", &guarded.papers.authority.server().key);
    eventually("the pair is rejected", || {
        guarded.server.metrics().value("pdp_caller_files_rejected{file=\"certificate\"}") == 1.0
    });
    assert!(Client::secured(&guarded.server.data, &other.pem, Some(&gateway)).is_ok());
    let problem = get_problem(&guarded, "certificate");
    assert!(problem.contains("server.key"), "{problem}");
    assert!(!problem.contains("PRIVATE"), "{problem}");
}

fn get_problem(guarded: &Guarded, file: &str) -> String {
    let status =
        crate::support::get_status(&guarded.server.control, &guarded.server.folder.path().join("data"));
    let files = status["callers"]["files"].as_array().unwrap().clone();
    let file = files.into_iter().find(|one| one["name"] == file).expect("it is followed");
    file["problem"].as_str().expect("a problem").to_owned()
}

#[test]
fn slow_handshakes_are_cut_off_and_hold_nobody_else_up() {
    let guarded = Guarded::new(OPEN);
    let address = guarded.server.data.trim_start_matches("https://").to_owned();
    let mut slow: Vec<_> = (0..50).map(|_| TcpStream::connect(&address).unwrap()).collect();
    // The beginning of a ClientHello, and then nothing.
    slow.iter_mut().for_each(|stream| stream.write_all(&[0x16, 0x03, 0x01, 0x02]).unwrap());
    let begun = Instant::now();
    assert!(is_allow(&guarded.client(GATEWAY).authorize(view()).unwrap()));
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "others wait for slow handshakes: {:?}",
        begun.elapsed()
    );
    for stream in &mut slow {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest));
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "they are kept: {:?}", begun.elapsed());
    eventually("each is counted", || {
        guarded.server.metrics().value("pdp_tls_handshakes_total{outcome=\"late\"}") >= 50.0
    });
}

#[test]
fn a_client_hello_in_single_bytes_is_a_handshake_like_any_other() {
    let guarded = Guarded::new(OPEN);
    let address = guarded.server.data.trim_start_matches("https://").to_owned();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    // A record of a handshake whose message is cut into fragments that say nothing.
    for _ in 0..200 {
        if stream.write_all(&[0x16, 0x03, 0x01, 0x00, 0x01, 0x01]).is_err() {
            break;
        }
    }
    drop(stream);
    assert!(is_allow(&guarded.server.authorize(view()).unwrap()));
    assert_eq!(guarded.server.metrics().sum("pdp_panics_total"), 0.0);
}

#[test]
fn handshakes_keep_within_the_places_for_connections() {
    let (papers, sources) = (Papers::new(), sources(OPEN));
    let file = sources.path("mandate.toml");
    std::fs::write(&file, papers.configuration(&sources.path("pep"), "")).unwrap();
    let process = Process::start_limited(&sources, 100, &["--config", &file.display().to_string()]);
    let address = process.data.trim_start_matches("http://").to_owned();
    let connect = || {
        let gateway = papers.authority.svid(GATEWAY);
        Client::secured(&format!("https://{address}"), &papers.authority.pem, Some(&gateway))
    };
    let client = connect().unwrap();
    assert!(is_allow(&client.authorize(view()).unwrap()));
    let held: Vec<_> = (0..200).map(|_| TcpStream::connect(&address).unwrap()).collect();
    // What was connected before is answered, and operators get in.
    assert!(is_allow(&client.authorize(view()).unwrap()));
    assert_eq!(crate::support::get(&format!("{}/readyz", process.ops)).status, 200);
    // Places come back by themselves: whoever does not shake hands is put out.
    eventually("a new caller gets in", || connect().is_ok());
    drop(held);
    process.terminate().check_code(0);
}

#[test]
fn http_speaks_tls_to_curl_and_says_what_to_show() {
    let guarded = Guarded::new(OPEN);
    let gateway = guarded.papers.keep("gateway", &guarded.papers.authority.svid(GATEWAY));
    let question = json!({
        "subject": {"type": "Mandate::User", "id": "ana"},
        "action": {"name": "view"},
        "resource": {"type": "Mandate::Doc", "id": "plan"},
    });
    let url = format!("{}/access/v1/evaluation", guarded.server.http.replace("127.0.0.1", "localhost"));
    let ask = |shown: Option<&(std::path::PathBuf, std::path::PathBuf)>, more: &[&str]| {
        let mut command = std::process::Command::new("curl");
        command.args(["--silent", "--include", "--header", "content-type: application/json"]);
        command.arg("--cacert").arg(guarded.papers.path("example.org.pem")).args(more);
        if let Some((certificate, key)) = shown {
            command.arg("--cert").arg(certificate).arg("--key").arg(key);
        }
        let output = command.arg("--data").arg(question.to_string()).arg(&url).output().expect("curl");
        String::from_utf8(output.stdout).unwrap()
    };
    for version in ["--http1.1", "--http2"] {
        for tls in ["--tlsv1.2", "--tlsv1.3"] {
            let pinned =
                if tls == "--tlsv1.2" { vec![version, tls, "--tls-max", "1.2"] } else { vec![version, tls] };
            let answer = ask(Some(&gateway), &pinned);
            assert!(answer.contains("\"decision\":true"), "{pinned:?}: {answer}");
        }
        let refused = ask(None, &[version]).to_lowercase();
        assert!(refused.contains(" 401"), "{refused}");
        assert!(refused.contains("www-authenticate: bearer realm=\"mandate\""), "{refused}");
    }
}

#[test]
fn a_session_is_never_resumed() {
    // A resumed session shows no certificate anew: openssl is given every chance to.
    let guarded = Guarded::new(OPEN);
    let (certificate, key) = guarded.papers.keep("gateway", &guarded.papers.authority.svid(GATEWAY));
    let address = guarded.server.http.trim_start_matches("https://").to_owned();
    for version in ["-tls1_2", "-tls1_3"] {
        let output = std::process::Command::new("openssl")
            .args(["s_client", "-reconnect", version, "-connect", &address, "-cert"])
            .arg(&certificate)
            .arg("-key")
            .arg(&key)
            .stdin(std::process::Stdio::null())
            .output()
            .expect("openssl");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("New, TLS"), "{said}");
        assert!(!said.contains("Reused, TLS"), "{said}");
    }
}

fn written(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mandate.toml");
    std::fs::write(&file, text).unwrap();
    let config = Config::load(Some(&file), Overrides::default());
    match config.and_then(|config| config.check_exposure()) {
        Ok(()) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn other_hosts_get_in_only_where_callers_are_authenticated_over_tls() {
    let papers = Papers::new();
    let configured = |more: &str| papers.configuration(Path::new("pep"), more);
    let everywhere = "[listen]\ndata = '0.0.0.0:4466'\nhttp = '0.0.0.0:4467'\n";
    assert_eq!(written(&configured(everywhere)), "accepted");
    assert!(written(everywhere).contains("callers are not authenticated"));
    let tls = "[tls]\ncertificate = 'a'\nkey = 'b'\n";
    assert!(written(&format!("{everywhere}{tls}")).contains("callers are not authenticated"));
    let control = "[listen]\ncontrol = '0.0.0.0:4469'\n";
    assert!(written(&configured(control)).contains("control.callers"));
    assert_eq!(written(&configured(&format!("{control}[control]\ncallers = true\n"))), "accepted");
    for (wrong, said) in [
        ("[control]\ncallers = true\n".to_owned(), "needs `[tls]`"),
        (format!("{tls}[control]\ncallers = true\n"), "callers that are authenticated"),
        ("[[callers.spiffe]]\ntrust_domain = 'example.org'\nbundle = 'a'\n".to_owned(), "needs `[tls]`"),
        (configured("[[callers.spiffe]]\ntrust_domain = 'example.org'\nbundle = 'a'\n"), "there twice"),
        (configured("[[callers.spiffe]]\ntrust_domain = 'Example.org'\nbundle = 'a'\n"), "no trust domain"),
        (configured("[[callers.spiffe]]\ntrust_domain = 'example.org/a'\nbundle = 'a'\n"), "no trust domain"),
        (configured("[callers]\ninsecure_unauthenticated = true\n"), "write one of them"),
        (configured("[[callers.self]]\ncaller = 'spiffe://a/b'\nprincipal_type = 'A'\n"), "principal_id"),
    ] {
        let found = written(&wrong);
        assert!(found.contains(said), "{wrong}\n{found}");
    }
}

#[test]
fn a_server_that_cannot_tell_its_callers_does_not_start() {
    let papers = Papers::new();
    let start = |sources: &Sources| {
        let file = sources.path("mandate.toml");
        std::fs::write(&file, papers.configuration(&sources.path("pep"), "")).unwrap();
        Process::try_start_with(sources, &["--config", &file.display().to_string()])
    };
    let said = |sources: &Sources| {
        let finished = start(sources).expect_err("it must not start");
        assert_ne!(finished.code, Some(0), "{finished:?}");
        finished.stderr
    };
    let broken =
        sources("@id(\"typo\")\npermit (principal, action == Mandate::Pep::Action::\"aks\", resource);\n");
    assert!(said(&broken).contains("aks"));
    let empty = sources(OPEN).without("pep/pep.cedar");
    assert!(said(&empty).contains("there is no policy"));
    let absent = sources(OPEN).without("pep");
    assert!(said(&absent).contains("cannot be read"));
    papers.put("server.key", "no key");
    let keyless = said(&sources(OPEN));
    assert!(keyless.contains("not one private key"), "{keyless}");
    let (one, other) = (papers.authority.server(), papers.authority.server());
    papers.put_certificate(&Shown { chain: one.chain.clone(), key: other.key });
    let mismatched = said(&sources(OPEN));
    assert!(mismatched.contains("cannot be served with"), "{mismatched}");
    papers.put_certificate(&Shown { chain: one.chain[..one.chain.len() / 2].to_owned(), key: one.key });
    let cut_off = said(&sources(OPEN));
    assert!(cut_off.contains("not PEM"), "{cut_off}");
    papers.put_certificate(&papers.authority.sign(&expired_server()));
    let expired = said(&sources(OPEN));
    assert!(expired.contains("the certificate has expired"), "{expired}");
    papers.put_certificate(&papers.authority.server());
    papers.put("example.org.pem", &papers.authority.svid(GATEWAY).chain);
    assert!(said(&sources(OPEN)).contains("no certificate authority"));
    papers.put("example.org.pem", "");
    assert!(said(&sources(OPEN)).contains("holds no certificate"));
}

/// A server's certificate that was valid once.
fn expired_server() -> rcgen::CertificateParams {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = date_time_ymd(2021, 1, 1);
    params
}

#[test]
fn a_pair_that_cannot_be_served_with_leaves_the_one_before() {
    let guarded = Guarded::new(OPEN);
    let rejected = "pdp_caller_files_reloads_total{file=\"certificate\",outcome=\"rejected\"}";
    let (one, other) = (guarded.papers.authority.server(), guarded.papers.authority.server());
    let expired = guarded.papers.authority.sign(&expired_server());
    let mut before = 0.0;
    for pair in [Shown { chain: one.chain, key: other.key }, expired] {
        guarded.papers.put_certificate(&pair);
        eventually("it is rejected", || guarded.server.metrics().value(rejected) > before);
        assert!(is_allow(&guarded.client(GATEWAY).authorize(view()).unwrap()));
        assert_eq!(guarded.server.metrics().value("pdp_caller_files_rejected{file=\"certificate\"}"), 1.0);
        before = guarded.server.metrics().value(rejected);
    }
    guarded.papers.put_certificate(&guarded.papers.authority.server());
    let stale = || guarded.server.metrics().value("pdp_caller_files_rejected{file=\"certificate\"}");
    eventually("a whole pair is taken", || stale() == 0.0);
}

#[test]
fn the_ops_listener_speaks_tls_where_it_is_told_to() {
    let (papers, sources) = (Papers::new(), sources(OPEN));
    let mut config = config(&sources, &papers, "");
    config.tls.as_mut().unwrap().ops = true;
    let gateway = papers.authority.svid(GATEWAY);
    let server = TestServer::with_client(&config, |address| {
        Client::secured(address, &papers.authority.pem, Some(&gateway)).unwrap()
    });
    let address = server.ops.trim_start_matches("https://127.0.0.1");
    let curl = |url: String| {
        let mut command = std::process::Command::new("curl");
        command.arg("--silent").arg("--cacert").arg(papers.path("example.org.pem")).arg(url);
        let output = command.output().expect("curl");
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(curl(format!("https://localhost{address}/livez")), (true, "ok".to_owned()));
    let metrics = curl(format!("https://localhost{address}/metrics")).1;
    assert!(metrics.contains("pdp_connections{listener=\"ops\"} 1"), "{metrics}");
    assert!(!curl(format!("http://localhost{address}/livez")).0);
}

#[test]
fn a_caller_is_not_asked_for_what_it_cannot_show_in_time() {
    // A certificate that was valid once.
    let guarded = Guarded::new(OPEN);
    let mut expired = svid(&[GATEWAY]);
    expired.not_after = date_time_ymd(2021, 1, 1);
    let shown = guarded.papers.authority.sign(&expired);
    let refused = guarded.connect(Some(&shown)).map(|client| client.authorize(view()));
    assert!(!matches!(refused, Ok(Ok(_))), "{refused:?}");
}

#[test]
fn mandate_validate_reads_policies_about_callers_too() {
    let sources =
        sources("@id(\"typo\")\npermit (principal, action, resource) when { principal.nme == \"a\" };\n");
    let pep = sources.path("pep");
    let mut arguments = vec!["validate".into(), "--pep".into(), pep.into_os_string()];
    arguments.extend(sources.flags());
    let finished = mandate(arguments);
    finished.check_code(3);
    assert!(finished.stderr.contains("pep.cedar"), "{finished:?}");
    assert!(finished.stderr.contains("nme"), "{finished:?}");
}
