//! A log that the test writes, and a sink that is fed from it.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mandate::audit::sinks::account::SinkStatus;
use mandate::audit::sinks::{Feeding, Sinks};
use mandate::audit::spool::{Progress, frame, segment};
use mandate::config::{Config, Overrides};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use uuid::Uuid;

/// The log's id.
pub(super) const LOG: Uuid = Uuid::from_u128(0x0192_b1a2_7c3d_7e4f_8a5b_6c7d_8e9f_0a1b);
/// Longest time for something to happen on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How long a sink is down: moments, or in a soak what the variable says.
pub(super) fn outage() -> Duration {
    let seconds = std::env::var("MANDATE_SINK_DOWN").map(|seconds| seconds.parse().expect("seconds"));
    seconds.map_or(Duration::from_secs(2), Duration::from_secs)
}

/// A log's folder, and how far it is synced.
pub(super) struct Log {
    folder: Arc<TempDir>,
    progress: watch::Sender<Progress>,
}

impl Log {
    /// One segment of so many records, all synced.
    pub(super) fn of(records: u64) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        fs::create_dir(folder.path().join(segment::FOLDER)).unwrap();
        let log = Self { folder, progress: watch::channel(Progress::default()).0 };
        log.add(0..records);
        log
    }

    /// Another segment.
    pub(super) fn add(&self, records: Range<u64>) {
        self.add_lines(records.start, records.clone().map(line));
        let synced = records.end;
        self.progress.send_replace(Progress { written: synced, synced });
    }

    /// Another segment, of one record that is about so many bytes long.
    pub(super) fn add_long(&self, sequence: u64, bytes: usize) {
        let long = format!("{{\"sequence\":{sequence},\"long\":\"{}\"}}", "x".repeat(bytes));
        self.add_lines(sequence, std::iter::once(long));
    }

    fn add_lines(&self, first: u64, lines: impl Iterator<Item = String>) {
        let header = segment::Header {
            format: segment::FORMAT,
            log: LOG,
            instance: Uuid::nil(),
            first,
            opened: String::new(),
            frontier: Vec::new(),
        };
        let mut bytes = Vec::new();
        segment::begin(&header, &mut bytes).unwrap();
        lines.for_each(|line| frame::append(line.as_bytes(), &mut bytes).unwrap());
        let path = self.folder.path().join(segment::FOLDER).join(segment::file_name(first));
        fs::write(path, &bytes).unwrap();
    }

    /// A file beside the log, for a secret.
    pub(super) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Forgets where the sink was.
    pub(super) fn forget_cursor(&self) {
        fs::remove_file(self.folder.path().join("cursors/test")).unwrap();
    }

    /// Feeds the sink that is written so.
    pub(super) fn feed(&self, sink: &str) -> Fed {
        let file = self.file("mandate.toml", &format!("[log.sinks.test]\n{sink}"));
        let config = Config::load(Some(&file), Overrides::default()).unwrap();
        let sinks = Sinks::open(&config.log.sinks, self.folder.path()).unwrap();
        let feeding = sinks.start(LOG, self.folder.path().to_owned(), &self.progress.subscribe()).unwrap();
        Fed { feeding, runtime: runtime(), _folder: Arc::clone(&self.folder) }
    }
}

/// A record.
pub(super) fn line(sequence: u64) -> String {
    format!(
        "{{\"v\":1,\"kind\":\"decision\",\"sequence\":{sequence},\"decision_id\":\"d-{sequence}\",\
         \"time\":\"2026-11-22T10:00:00.000001Z\",\"principal\":{{\"type\":\"Mandate::User\",\"id\":\"ana\"}},\
         \"action\":\"view\",\"decision\":\"allow\",\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\"}}"
    )
}

/// A runtime for the test's own part.
pub(super) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A sink that is being fed.
pub(super) struct Fed {
    feeding: Feeding,
    runtime: Runtime,
    _folder: Arc<TempDir>,
}

impl Fed {
    pub(super) fn status(&self) -> SinkStatus {
        self.feeding.accounts().statuses().remove(0)
    }

    /// How it stands once this is so.
    #[track_caller]
    pub(super) fn until(&self, what: impl Fn(&SinkStatus) -> bool) -> SinkStatus {
        let begun = Instant::now();
        loop {
            let status = self.status();
            let lost: u64 = status.lost.by_reason().iter().map(|(_, records)| records).sum();
            assert_eq!(status.next, status.begun + status.delivered + lost, "{status:?}");
            if what(&status) {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE + outage(), "it does not come: {status:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// How it stands once it has everything up to here, and lost nothing.
    #[track_caller]
    pub(super) fn delivered(&self, records: u64) -> SinkStatus {
        let status = self.until(|status| status.next == records);
        assert_eq!((status.delivered, status.lag_records), (records, 0), "{status:?}");
        assert_eq!(status.problem, None);
        status
    }

    /// What is wrong with it, once this is in it.
    #[track_caller]
    pub(super) fn problem(&self, says: &str) -> String {
        let has = |status: &SinkStatus| status.problem.as_ref().is_some_and(|problem| problem.contains(says));
        self.until(has).problem.unwrap()
    }

    /// Ends the feeding, and says how the sink stands.
    pub(super) fn stop(self) -> SinkStatus {
        self.runtime.block_on(self.feeding.stop(PATIENCE)).remove(0)
    }
}

/// Fails unless these are all records up to there, whatever their order and however often each is there.
#[track_caller]
pub(super) fn check_all(taken: &[u64], records: Range<u64>) {
    let found: BTreeSet<u64> = taken.iter().copied().collect();
    let missing: Vec<_> = records.clone().filter(|record| !found.contains(record)).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
    assert_eq!(found.len() as u64, records.end - records.start, "more than there was");
}
