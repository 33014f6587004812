//! What a sink is given, whatever it answers and whatever becomes of the log: segments on disk, a sink that does as the
//! test says.

use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use uuid::Uuid;

use super::account::{Lost, SinkStatus};
use super::config::{NatsConfig, NatsCredentials, SinkConfig, SinkKind};
use super::cursor::CursorFile;
use super::feeder::Feeder;
use super::{Accounts, Batch, Feeding, Sink, SinkError, Sinks};
use crate::audit::spool::{Progress, frame, segment};
use crate::collector::CollectorConfig;
use crate::outbound::headers::HeaderConfig;

const LOG: Uuid = Uuid::from_u128(7);
/// Longest time for something to happen on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A log's folder, and how far it is synced.
struct Log {
    folder: TempDir,
    progress: watch::Sender<Progress>,
}

impl Log {
    /// A segment of these records, all synced.
    fn of(records: Range<u64>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(segment::FOLDER)).unwrap();
        let log = Self { folder, progress: watch::channel(Progress::default()).0 };
        log.add(records);
        log
    }

    fn add(&self, records: Range<u64>) {
        let header = segment::Header {
            format: segment::FORMAT,
            log: LOG,
            instance: Uuid::nil(),
            first: records.start,
            opened: String::new(),
            frontier: Vec::new(),
        };
        let mut bytes = Vec::new();
        segment::begin(&header, &mut bytes).unwrap();
        for record in records.clone() {
            frame::append(format!("{{\"sequence\":{record}}}").as_bytes(), &mut bytes).unwrap();
        }
        fs::write(self.segment(records.start), &bytes).unwrap();
        self.sync(records.end);
    }

    fn segment(&self, first: u64) -> PathBuf {
        self.folder.path().join(segment::FOLDER).join(segment::file_name(first))
    }

    fn sync(&self, synced: u64) {
        // Much more is written than is synced: that is nobody's yet.
        self.progress.send_replace(Progress { written: synced + 1000, synced });
    }

    /// Feeds a sink that takes batches or not, as `answers` says.
    fn feed(&self, answers: impl FnMut(&[u64]) -> Result<(), SinkError> + Send + 'static) -> Fed {
        self.feed_log(LOG, answers)
    }

    fn feed_log(
        &self,
        log: Uuid,
        answers: impl FnMut(&[u64]) -> Result<(), SinkError> + Send + 'static,
    ) -> Fed {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let sink = Box::new(Scripted { taken: Arc::clone(&taken), answers: Box::new(answers) });
        let config = SinkConfig {
            name: "test".to_owned(),
            batch_records: 16,
            batch_bytes: 1_000_000,
            kind: SinkKind::Stdout,
        };
        let cursor = CursorFile::open(self.folder.path(), "test").unwrap();
        let feeder = Feeder::new(&config, sink, cursor);
        let accounts = Accounts([feeder.account()].into());
        let sinks = Sinks { feeders: vec![feeder], accounts };
        let feeding = sinks.start(log, self.folder.path().to_owned(), &self.progress.subscribe()).unwrap();
        Fed { taken, feeding }
    }
}

/// A sink of the test's.
struct Scripted {
    taken: Arc<Mutex<Vec<u64>>>,
    answers: Box<Script>,
}

/// What to answer to records with these sequences.
type Script = dyn FnMut(&[u64]) -> Result<(), SinkError> + Send;

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl Sink for Scripted {
    fn deliver(&mut self, batch: &Batch<'_>, _runtime: &Runtime) -> Result<(), SinkError> {
        let sequences: Vec<_> = batch.entries.iter().map(|entry| entry.sequence).collect();
        for entry in batch.entries {
            assert_eq!(entry.line, format!("{{\"sequence\":{}}}", entry.sequence).into_bytes());
        }
        let answer = (self.answers)(&sequences);
        if matches!(answer, Ok(()) | Err(SinkError::Partly { .. })) {
            self.taken.lock().unwrap().extend(sequences);
        }
        answer
    }
}

/// A sink that is being fed.
struct Fed {
    taken: Arc<Mutex<Vec<u64>>>,
    feeding: Feeding,
}

impl Fed {
    fn status(&self) -> SinkStatus {
        self.feeding.accounts.statuses().remove(0)
    }

    /// How it stands once this is so.
    #[track_caller]
    fn until(&self, what: impl Fn(&SinkStatus) -> bool) -> SinkStatus {
        let begun = Instant::now();
        loop {
            let status = self.status();
            assert_eq!(status.next, status.begun + status.delivered + total(status.lost), "{status:?}");
            if what(&status) {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not come: {status:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn taken(&self) -> Vec<u64> {
        self.taken.lock().unwrap().clone()
    }

    /// Ends the feeding, and says how the sink stands.
    fn stop(self, timeout: Duration) -> SinkStatus {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(self.feeding.stop(timeout)).remove(0)
    }
}

fn total(lost: Lost) -> u64 {
    lost.by_reason().iter().map(|(_, records)| records).sum()
}

fn later() -> Result<(), SinkError> {
    Err(SinkError::Later { why: "not now".to_owned(), after: None })
}

fn refused() -> Result<(), SinkError> {
    Err(SinkError::Refused { why: "never".to_owned() })
}

#[test]
fn all_that_is_synced_is_delivered_once_in_order_and_nothing_else() {
    let log = Log::of(0..40);
    log.add(40..100);
    log.sync(70);
    let fed = log.feed(|batch| {
        assert!(!batch.is_empty() && batch.len() <= 16, "{batch:?}");
        Ok(())
    });
    let status = fed.until(|status| status.next == 70);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(fed.taken(), (0..70).collect::<Vec<_>>(), "what is not synced is not delivered");
    assert_eq!((status.delivered, status.lag_records, status.problem), (70, 0, None));
    log.sync(100);
    fed.until(|status| status.next == 100);
    log.add(100..130);
    fed.until(|status| status.next == 130);
    assert_eq!(fed.taken(), (0..130).collect::<Vec<_>>());
}

#[test]
fn a_restart_goes_on_at_the_cursor_and_the_floor_is_what_is_on_disk() {
    let log = Log::of(0..100);
    log.sync(50);
    let fed = log.feed(|_| Ok(()));
    fed.until(|status| status.next == 50);
    let accounts = fed.feeding.accounts.clone();
    assert_eq!(fed.stop(PATIENCE).next, 50);
    assert_eq!(accounts.floor(), Some(50));
    log.sync(100);
    let fed = log.feed(|_| Ok(()));
    assert!(fed.feeding.accounts.floor() >= Some(50));
    let status = fed.until(|status| status.next == 100);
    assert_eq!(fed.taken(), (50..100).collect::<Vec<_>>());
    assert_eq!((status.begun, status.delivered), (0, 100), "the account outlives the process");
    assert_eq!(Accounts::default().floor(), None);
}

#[test]
fn a_sink_that_is_down_misses_nothing_and_is_offered_less() {
    let log = Log::of(0..200);
    let mut failures = 0;
    let mut offered = Vec::new();
    let fed = log.feed(move |batch| {
        offered.push(batch.len());
        failures += 1;
        if failures <= 6 {
            return later();
        }
        assert_eq!(offered[..7], [16, 8, 4, 2, 1, 1, 1]);
        Ok(())
    });
    let failing = fed.until(|status| status.failures >= 2);
    assert_eq!((failing.problem.as_deref(), failing.next, failing.lag_records), (Some("not now"), 0, 200));
    let status = fed.until(|status| status.next == 200);
    assert_eq!(fed.taken(), (0..200).collect::<Vec<_>>());
    assert_eq!((status.problem, total(status.lost), status.failures), (None, 0, 6));
}

#[test]
fn what_is_refused_for_good_is_given_up_alone() {
    let log = Log::of(0..100);
    let poison = [3, 40, 41, 64, 99];
    let fed =
        log.feed(move |batch| if batch.iter().any(|one| poison.contains(one)) { refused() } else { Ok(()) });
    let status = fed.until(|status| status.next == 100);
    let expected: Vec<_> = (0..100).filter(|one| !poison.contains(one)).collect();
    assert_eq!(fed.taken(), expected, "all others, each once and in order");
    assert_eq!((status.delivered, status.lost.refused, total(status.lost)), (95, 5, 5));
    assert_eq!(status.problem, None);
}

#[test]
fn a_sink_that_refuses_everything_does_not_use_up_the_log() {
    let log = Log::of(0..1000);
    let fed = log.feed(|_| refused());
    let status = fed.until(|status| status.failures >= 4);
    assert!(status.lost.refused >= 32 && status.lost.refused < 40, "{status:?}");
    let problem = status.problem.unwrap();
    assert!(problem.contains("refuses every record"), "{problem}");
}

#[test]
fn what_a_batch_was_taken_without_is_counted() {
    let log = Log::of(0..16);
    let fed = log.feed(|_| Err(SinkError::Partly { rejected: 3, why: "too old".to_owned() }));
    let status = fed.until(|status| status.next == 16);
    assert_eq!((status.delivered, status.lost.rejected, fed.taken().len()), (13, 3, 16));
}

#[test]
fn what_retention_took_before_the_sink_had_it_is_counted() {
    let log = Log::of(0..10);
    log.add(10..20);
    log.add(20..30);
    log.sync(5);
    let fed = log.feed(|_| Ok(()));
    fed.until(|status| status.next == 5);
    fed.stop(PATIENCE);
    for first in [0, 10] {
        fs::remove_file(log.segment(first)).unwrap();
    }
    log.sync(30);
    let fed = log.feed(|_| Ok(()));
    let status = fed.until(|status| status.next == 30);
    assert_eq!(fed.taken(), (20..30).collect::<Vec<_>>());
    assert_eq!((status.delivered, status.lost.retention, total(status.lost)), (15, 15, 15));
}

#[test]
fn a_new_sink_misses_nothing_that_was_gone_before_it() {
    let log = Log::of(20..30);
    let status = log.feed(|_| Ok(())).until(|status| status.next == 30);
    assert_eq!((status.begun, status.delivered, total(status.lost)), (20, 10, 0));
}

#[test]
fn what_cannot_be_read_is_counted_and_the_next_segment_is_delivered() {
    let log = Log::of(0..10);
    log.add(10..20);
    log.add(20..30);
    let path = log.segment(0);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() - 3;
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    fs::remove_file(log.segment(10)).unwrap();
    let fed = log.feed(|_| Ok(()));
    let status = fed.until(|status| status.next == 30);
    assert_eq!(fed.taken(), (0..9).chain(20..30).collect::<Vec<_>>());
    assert_eq!((status.delivered, status.lost.unreadable, total(status.lost)), (19, 11, 11));
}

#[test]
fn damage_in_the_segment_that_is_written_is_no_loss_yet() {
    let log = Log::of(0..10);
    let path = log.segment(0);
    let whole = fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    let at = bytes.len() - 3;
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let fed = log.feed(|_| Ok(()));
    let status = fed.until(|status| status.failures > 0);
    assert_eq!((status.next, total(status.lost)), (9, 0));
    assert!(status.problem.unwrap().contains("damaged"));
    fs::write(&path, whole).unwrap();
    fed.until(|status| status.next == 10 && status.problem.is_none());
}

#[test]
fn a_cursor_of_another_log_or_beyond_this_one_begins_anew() {
    for (other, synced) in [(Uuid::from_u128(8), 10), (LOG, 6)] {
        let log = Log::of(0..10);
        let fed = log.feed_log(other, |_| Ok(()));
        fed.until(|status| status.next == 10);
        fed.stop(PATIENCE);
        log.sync(synced);
        let fed = log.feed(|_| Ok(()));
        let status = fed.until(|status| status.next == synced && !fed.taken().is_empty());
        assert_eq!(fed.taken(), (0..synced).collect::<Vec<_>>());
        assert_eq!((status.begun, status.delivered), (0, synced));
    }
}

#[test]
fn the_end_is_prompt_after_one_more_try() {
    let log = Log::of(0..100);
    let tries = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&tries);
    let fed = log.feed(move |_| {
        *counted.lock().unwrap() += 1;
        Err(SinkError::Later { why: "busy".to_owned(), after: Some(Duration::from_secs(200)) })
    });
    fed.until(|status| status.failures == 1);
    let begun = Instant::now();
    let status = fed.stop(PATIENCE);
    assert!(begun.elapsed() < PATIENCE / 2, "it waits for the sink no longer");
    assert_eq!((status.failures, *tries.lock().unwrap(), status.lag_records), (2, 2, 100));
}

#[test]
fn the_end_delivers_what_is_left_and_leaves_a_sink_that_hangs() {
    let log = Log::of(0..1000);
    let fed = log.feed(|_| Ok(()));
    assert_eq!(fed.stop(PATIENCE).lag_records, 0, "as long as it takes records");
    log.add(1000..1016);
    let (release, held) = std::sync::mpsc::channel::<()>();
    let fed = log.feed(move |_| {
        let _released = held.recv();
        Ok(())
    });
    let begun = Instant::now();
    let status = fed.stop(Duration::from_millis(100));
    assert!(begun.elapsed() < PATIENCE / 2);
    assert_eq!((status.next, status.lag_records), (1000, 16));
    drop(release);
}

#[test]
fn a_thread_that_panics_is_noticed() {
    let log = Log::of(0..10);
    let fed = log.feed(|_| panic!("as the test wants"));
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let ended = fed.feeding.ended();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, ended).await }).expect("its end is noticed");
}

#[tokio::test]
async fn sinks_are_opened_and_dropped_where_nothing_may_block() {
    let log = Log::of(0..1);
    let network =
        |name: &str, kind| SinkConfig { name: name.to_owned(), batch_records: 1, batch_bytes: 1, kind };
    let url: ::http::Uri = "http://127.0.0.1:1/".parse().unwrap();
    let (headers, timeout) = (HeaderConfig::default(), Duration::from_secs(1));
    let otlp = CollectorConfig { url, headers, ca_file: None, timeout };
    let nats = NatsConfig {
        servers: vec!["nats://127.0.0.1:1".to_owned()],
        subject: "a".to_owned(),
        stream: None,
        credentials: NatsCredentials::None,
        tls: false,
        ca_file: Some(log.folder.path().join("absent")),
        timeout,
    };
    let configs = [network("first", SinkKind::Otlp(otlp)), network("second", SinkKind::Nats(nats))];
    let error = Sinks::open(&configs, log.folder.path()).unwrap_err().to_string();
    assert!(error.contains("`log.sinks.second`") && error.contains("absent"), "{error}");
    drop(Sinks::open(&configs[..1], log.folder.path()).unwrap());
}
