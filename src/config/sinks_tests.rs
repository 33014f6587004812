//! `[log.sinks.NAME]`: what is written, and what it means.

use std::time::Duration;

use super::{Config, ConfigError, Overrides};
use crate::audit::sinks::config::{BodyFormat, NatsCredentials, SinkConfig, SinkKind};

fn load(toml: &str) -> Result<Vec<SinkConfig>, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mandate.toml");
    std::fs::write(&file, toml).unwrap();
    Config::load(Some(&file), Overrides::default()).map(|config| config.log.sinks)
}

#[test]
fn every_kind_is_read_with_its_defaults() {
    assert_eq!(load("").unwrap(), []);
    let sinks = load(
        "[log.sinks.out]\nkind = 'stdout'\n[log.sinks.lines]\nkind = 'file'\n\
         [log.sinks.siem]\nkind = 'http'\nurl = 'https://siem.example/logs'\nformat = 'ndjson'\nbatch = { records = 7 }\n\
         headers = { x-tenant = 'a' }\nheader_files = { x-key = '/run/key' }\ntoken_file = '/run/token'\n\
         [log.sinks.otel]\nkind = 'otlp'\nurl = 'http://127.0.0.1:4317'\ntimeout = '2s'\n\
         [log.sinks.stream]\nkind = 'nats'\nservers = ['tls://nats.example:4222']\nsubject = 'mandate.decisions'\n\
         user = 'mandate'\npassword_file = '/run/password'\n",
    )
    .unwrap();
    let names: Vec<_> = sinks.iter().map(|sink| (sink.name.as_str(), sink.kind.as_str())).collect();
    let expected =
        [("lines", "file"), ("otel", "otlp"), ("out", "stdout"), ("siem", "http"), ("stream", "nats")];
    assert_eq!(names, expected);
    let SinkKind::File(file) = &sinks[0].kind else { panic!() };
    assert!(file.directory.ends_with("decisions") && file.keep == 10);
    let SinkKind::Otlp(otlp) = &sinks[1].kind else { panic!() };
    assert_eq!(otlp.timeout, Duration::from_secs(2));
    let SinkKind::Http(http) = &sinks[3].kind else { panic!() };
    assert_eq!((http.format, http.gzip, sinks[3].batch_records), (BodyFormat::Ndjson, true, 7));
    assert_eq!((http.headers.plain.len(), http.headers.files.len()), (1, 1));
    let SinkKind::Nats(nats) = &sinks[4].kind else { panic!() };
    assert_eq!(nats.credentials, NatsCredentials::Password("mandate".to_owned(), "/run/password".into()));
    assert!(nats.tls);
}

#[test]
fn what_cannot_work_is_refused_by_its_key() {
    const HTTP: &str = "kind = 'http'\nurl = 'https://siem.example/'\n";
    const NATS: &str = "kind = 'nats'\nsubject = 'a.b'\nservers = ['nats://127.0.0.1:4222']\n";
    for (written, says) in [
        ("kind = 'kafka'\n".to_owned(), "kafka"),
        ("url = 'https://siem.example/'\n".to_owned(), "kind"),
        ("kind = 'http'\n".to_owned(), "url"),
        (format!("{HTTP}colour = 1\n"), "colour"),
        (format!("{HTTP}subject = 'a'\n"), "subject"),
        (format!("{HTTP}batch = {{ records = 0 }}\n"), "`log.sinks.siem.batch.records` is 0"),
        (format!("{HTTP}batch = {{ bytes = 100000000 }}\n"), "batch.bytes"),
        (format!("{HTTP}timeout = '1h'\n"), "`log.sinks.siem.timeout` is 3600 s"),
        (format!("{HTTP}timeout = 'soon'\n"), "no span of time"),
        (format!("{HTTP}headers = {{ Authorization = 'Bearer canary' }}\n"), "see `token_file`"),
        (format!("{HTTP}headers = {{ 'a b' = 'x' }}\n"), "no header's name"),
        (format!("{HTTP}headers = {{ x-a = \"canary\\n\" }}\n"), "cannot stand in a header"),
        (format!("{HTTP}header_files = {{ host = 'x' }}\n"), "must not set `host`"),
        (
            format!("{HTTP}token_file = 'a'\nheader_files = {{ authorization = 'x' }}\n"),
            "besides `token_file`",
        ),
        ("kind = 'http'\nurl = 'http://siem.example/'\n".to_owned(), "insecure_plaintext"),
        ("kind = 'http'\nurl = 'https://a:canary@siem.example/'\n".to_owned(), "user name or password"),
        (
            "kind = 'http'\nurl = 'http://127.0.0.1/'\nca_file = 'x'\n".to_owned(),
            "`log.sinks.siem.ca_file` is for https",
        ),
        ("kind = 'otlp'\nurl = 'https://otel.example:4317/v1/logs'\n".to_owned(), "has a path"),
        ("kind = 'otlp'\nurl = 'http://otel.example:4317'\n".to_owned(), "insecure_plaintext"),
        ("kind = 'file'\nrotate_bytes = 1\n".to_owned(), "rotate_bytes"),
        (format!("{NATS}ca_file = 'x'\n"), "tls://host:4222"),
        (format!("{NATS}user = 'a'\n"), "go together"),
        (format!("{NATS}token_file = 'a'\ncredentials_file = 'b'\n"), "set one of them"),
        (format!("{NATS}stream = 'a.b'\n"), "`log.sinks.siem.stream`"),
        (NATS.replace("a.b", "a.*"), "without wildcards"),
        (NATS.replace("127.0.0.1", "nats.example"), "insecure_plaintext"),
        (NATS.replace("127.0.0.1", "a:canary@127.0.0.1"), "credentials_file"),
        (NATS.replace("['nats://127.0.0.1:4222']", "[]"), "name one server"),
        (NATS.replace("['nats", "['tls://nats.example:4222', 'nats"), "all have TLS"),
        (NATS.replace("nats://", "http://"), "must begin with tls://"),
    ] {
        let error = load(&format!("[log.sinks.siem]\n{written}")).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("siem"), "{written}\n{error}");
        assert!(!error.contains("canary"), "{error}");
    }
    for accepted in ["kind = 'http'\nurl = 'http://siem.example/'\n", NATS] {
        load(&format!("[log.sinks.siem]\n{accepted}insecure_plaintext = true\n")).unwrap();
    }
}

#[test]
fn names_are_plain_and_places_are_not_shared() {
    let sink = |name: &str| format!("[log.sinks.{name}]\nkind = 'stdout'\n");
    for name in ["'../a'", "A", "''", &"x".repeat(65)] {
        let error = load(&sink(name)).unwrap_err().to_string();
        assert!(error.contains("names its cursor"), "{error}");
    }
    let error = load(&(sink("a") + &sink("b"))).unwrap_err().to_string();
    assert!(error.contains("`log.sinks.b.kind` leads to where another sink writes"), "{error}");
    let many: String =
        (0..17).map(|at| format!("[log.sinks.s{at}]\nkind = 'file'\ndirectory = '{at}'\n")).collect();
    assert!(load(&many).unwrap_err().to_string().contains("one of 17 sinks"));
}

#[test]
fn what_is_configured_can_be_shown() {
    let sinks = load(
        "[log.sinks.siem]\nkind = 'http'\nurl = 'https://siem.example/'\nheaders = { x-key = 'canary' }\n",
    );
    let shown = format!("{sinks:?}");
    assert!(shown.contains("x-key") && !shown.contains("canary"), "{shown}");
}
