//! Messages to a stream of a real NATS server.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, Stream};
use futures_util::StreamExt as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::fed::{LOG, Log, PATIENCE, check_all, outage, runtime};
use super::receiver::free_address;
use crate::support::{Authority, Papers, repository};

const SUBJECT: &str = "mandate.decisions";

/// A NATS server, and a client of it.
pub(crate) struct Broker {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
    configuration: String,
    runtime: Runtime,
}

/// Where the server is installed; none where it is not, which continuous integration does not accept.
fn installed() -> Option<PathBuf> {
    let path = repository().join("target/tools/py/bin/nats-server");
    if path.is_file() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "no {}: run `make nats`", path.display());
    eprintln!("SKIPPED: no NATS server; run `make nats`");
    None
}

impl Broker {
    /// A server with JetStream, and more of its configuration.
    pub(crate) fn start(configuration: &str) -> Option<Self> {
        let program = installed()?;
        let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
        let configuration = configuration.to_owned();
        let child = launch(&program, &folder, address, &configuration);
        let broker = Self { child, address, folder, configuration, runtime: runtime() };
        broker.wait();
        Some(broker)
    }

    fn wait(&self) {
        let begun = Instant::now();
        while std::net::TcpStream::connect(self.address).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the NATS server does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Kills it, and starts another at the same address with an empty store.
    pub(crate) fn restart_empty(&mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().unwrap();
        self.folder = tempfile::tempdir().unwrap();
        self.child = launch(&installed().unwrap(), &self.folder, self.address, &self.configuration);
        self.wait();
    }

    pub(crate) fn sink(&self) -> String {
        format!(
            "kind = 'nats'\nservers = ['nats://{}']\nsubject = '{SUBJECT}'\ntimeout = '1s'\n",
            self.address
        )
    }

    fn client(&self) -> async_nats::Client {
        let connected = self.runtime.block_on(async_nats::connect(format!("nats://{}", self.address)));
        connected.unwrap()
    }

    /// A stream that takes what sinks publish.
    pub(crate) fn stream(&self, more: Config) -> Stream {
        let client = self.client();
        let config = Config { name: "MANDATE".to_owned(), subjects: vec!["mandate.>".to_owned()], ..more };
        self.runtime.block_on(async { jetstream::new(client).create_stream(config).await }).unwrap()
    }

    /// What the stream holds of the test's own log, in its order.
    fn held(&self, stream: &Stream) -> Vec<u64> {
        self.held_of(stream, |id| assert!(id.starts_with(&LOG.to_string()), "{id}"))
    }

    /// What the stream holds, in its order.
    pub(crate) fn sequences(&self, stream: &Stream) -> Vec<u64> {
        self.held_of(stream, |_any| {})
    }

    fn held_of(&self, stream: &Stream, check: impl Fn(&str)) -> Vec<u64> {
        self.runtime.block_on(async {
            let last = stream.get_info().await.unwrap().state.last_sequence;
            let mut found = Vec::new();
            for place in 1..=last {
                let message = stream.get_raw_message(place).await.unwrap();
                let record: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
                let sequence = record["sequence"].as_u64().unwrap();
                let id = message.headers.get("Nats-Msg-Id").unwrap().as_str();
                assert!(id.ends_with(&format!("-{sequence}")), "{id}");
                check(id);
                found.push(sequence);
            }
            found
        })
    }
}

fn launch(program: &PathBuf, folder: &TempDir, address: SocketAddr, configuration: &str) -> Child {
    let file = folder.path().join("nats.conf");
    let store = folder.path().join("store");
    let common = format!("listen: \"{address}\"\njetstream {{ store_dir: \"{}\" }}\n", store.display());
    fs::write(&file, common + configuration).unwrap();
    Command::new(program).arg("-c").arg(file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn every_record_is_in_the_stream_once_even_if_it_is_delivered_again() {
    let Some(broker) = Broker::start("") else { return };
    let stream = broker.stream(Config::default());
    let log = Log::of(2000);
    let sink = format!("{}stream = 'MANDATE'\n", broker.sink());
    let fed = log.feed(&sink);
    fed.delivered(2000);
    fed.stop();
    assert_eq!(broker.held(&stream), (0..2000).collect::<Vec<_>>());
    log.forget_cursor();
    log.feed(&sink).delivered(2000);
    assert_eq!(broker.held(&stream).len(), 2000, "the stream tells duplicates by log and sequence");
}

#[test]
fn a_stream_that_does_not_exist_is_a_failure_that_says_what_to_do() {
    let Some(broker) = Broker::start("") else { return };
    let fed = Log::of(100).feed(&format!("{}stream = 'MANDATE'\n", broker.sink()));
    let problem = fed.problem("no stream takes `mandate.decisions`");
    assert!(problem.contains("create one"), "{problem}");
    assert_eq!(fed.status().delivered, 0);
    let stream = broker.stream(Config::default());
    fed.delivered(100);
    check_all(&broker.held(&stream), 0..100);
    let other = Log::of(10).feed(&format!("{}stream = 'OTHER'\n", broker.sink()));
    other.problem("another than `stream` says");
}

#[test]
fn a_server_that_comes_back_empty_has_everything_from_there_on() {
    let Some(mut broker) = Broker::start("") else { return };
    broker.stream(Config::default());
    let log = Log::of(1000);
    let fed = log.feed(&broker.sink());
    fed.delivered(1000);
    broker.restart_empty();
    log.add(1000..2000);
    fed.until(|status| status.failures > 0);
    assert_eq!(fed.status().delivered, 1000, "nothing that no stream acknowledged counts");
    let stream = broker.stream(Config::default());
    fed.delivered(2000);
    assert_eq!(broker.held(&stream), (1000..2000).collect::<Vec<_>>());
}

#[test]
fn a_server_that_stands_still_has_everything_once_it_moves() {
    let Some(broker) = Broker::start("") else { return };
    let stream = broker.stream(Config::default());
    let log = Log::of(500);
    let fed = log.feed(&broker.sink());
    fed.delivered(500);
    broker.signal(Signal::SIGSTOP);
    log.add(500..1500);
    let stopped = Instant::now();
    let status = fed.until(|status| status.failures >= 2 && stopped.elapsed() >= outage());
    assert_eq!((status.next, status.lag_records), (500, 1000));
    broker.signal(Signal::SIGCONT);
    fed.delivered(1500);
    check_all(&broker.held(&stream), 0..1500);
    assert_eq!(broker.held(&stream).len(), 1500);
}

/// Somebody who takes messages in place of a stream, and acknowledges each of so many.
fn acknowledging(broker: &Broker, one_in: usize) -> Arc<AtomicUsize> {
    let (client, seen) = (broker.client(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&seen);
    let mut messages = broker.runtime.block_on(client.subscribe(SUBJECT)).unwrap();
    broker.runtime.block_on(client.flush()).unwrap();
    broker.runtime.spawn(async move {
        while let Some(message) = messages.next().await {
            let seen = counted.fetch_add(1, Ordering::Relaxed) + 1;
            if seen.is_multiple_of(one_in) {
                let acknowledgement = format!("{{\"stream\":\"MANDATE\",\"seq\":{seen}}}");
                client.publish(message.reply.unwrap(), acknowledgement.into()).await.unwrap();
            }
        }
    });
    seen
}

#[test]
fn what_is_published_and_never_acknowledged_is_not_delivered() {
    let Some(broker) = Broker::start("") else { return };
    let seen = acknowledging(&broker, usize::MAX);
    let fed = Log::of(100).feed(&broker.sink());
    let status = fed.until(|status| status.failures >= 2);
    assert!(seen.load(Ordering::Relaxed) >= 100);
    assert_eq!((status.delivered, status.next, status.lag_records), (0, 0, 100));
}

#[test]
fn where_half_is_acknowledged_the_other_half_is_sent_again() {
    let Some(broker) = Broker::start("") else { return };
    let seen = acknowledging(&broker, 2);
    let fed = Log::of(64).feed(&format!("{}batch = {{ records = 64 }}\n", broker.sink()));
    fed.delivered(64);
    assert!(seen.load(Ordering::Relaxed) >= 127, "each until it was acknowledged");
}

#[test]
fn a_record_that_no_message_of_the_stream_may_be_as_long_as_is_given_up_alone() {
    let Some(broker) = Broker::start("max_payload: 4096\n") else { return };
    let stream = broker.stream(Config { max_message_size: 1024, ..Config::default() });
    let log = Log::of(20);
    log.add_long(20, 2000);
    log.add_long(21, 10_000);
    log.add(22..40);
    let fed = log.feed(&broker.sink());
    let status = fed.until(|status| status.next == 40);
    assert_eq!((status.delivered, status.lost.refused), (38, 2));
    let mut held = broker.held(&stream);
    held.extend([20, 21]);
    check_all(&held, 0..40);
}

#[test]
fn who_may_publish_says_who_it_is_and_a_wrong_word_costs_nothing() {
    let Some(broker) = Broker::start("authorization { users: [{user: mandate, password: right}] }\n") else {
        return;
    };
    let log = Log::of(50);
    let password = log.file("password", "canary-wrong\n");
    let sink = format!("{}user = 'mandate'\npassword_file = '{}'\n", broker.sink(), password.display());
    let fed = log.feed(&sink);
    let problem = fed.problem("authorization");
    assert!(!problem.contains("canary"), "{problem}");
    let options =
        async_nats::ConnectOptions::with_user_and_password("mandate".to_owned(), "right".to_owned());
    let client = broker.runtime.block_on(options.connect(broker.address.to_string())).unwrap();
    let config =
        Config { name: "MANDATE".to_owned(), subjects: vec![SUBJECT.to_owned()], ..Config::default() };
    let stream =
        broker.runtime.block_on(async { jetstream::new(client).create_stream(config).await }).unwrap();
    fs::write(&password, "right\n").unwrap();
    fed.delivered(50);
    check_all(&broker.held(&stream), 0..50);
}

#[test]
fn only_a_server_that_the_authorities_vouch_for_by_its_name_has_records() {
    let papers = Papers::new();
    let tls = format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\" }}\n",
        papers.path("server.crt").display(),
        papers.path("server.key").display()
    );
    let sink = |broker: &Broker, authority: &Authority| {
        papers.put("ca.pem", &authority.pem);
        let (port, ca) = (broker.address.port(), papers.path("ca.pem"));
        format!(
            "kind = 'nats'\nservers = ['tls://localhost:{port}']\nsubject = '{SUBJECT}'\nca_file = '{}'\ntimeout = '1s'\n",
            ca.display()
        )
    };
    let Some(named) = Broker::start(&tls) else { return };
    Log::of(10).feed(&sink(&named, &Authority::root("somebody else"))).problem("certificate");
    Log::of(10).feed(&sink(&named, &papers.authority)).problem("no stream takes");
    papers.put_certificate(&papers.authority.server_named(&["elsewhere.example"]));
    let misnamed = Broker::start(&tls).unwrap();
    Log::of(10).feed(&sink(&misnamed, &papers.authority)).problem("certificate");
}
