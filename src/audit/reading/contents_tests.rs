//! What is gathered of a segment while it is written is what stands in it.

use std::fs;
use std::time::Duration;

use super::super::index::Index;
use super::*;
use crate::audit::examples_for_tests::{config, decision, refusal};
use crate::audit::spool::segment;
use crate::audit::{AuditLog, Mode, OpenLog, Overflow, Record};

/// Records decisions and refusals, each on disk before the next, in segments of a few of them.
async fn record(log: &AuditLog, count: usize) {
    for number in 0..count {
        let record = if number % 3 == 2 { refusal("r") } else { Record::Decision(Box::new(decision())) };
        let recording = log.reserve(1).await.unwrap().record(true, || record).unwrap();
        recording.settled().await.unwrap();
    }
}

fn sorted(mut contents: Contents) -> Contents {
    contents.terms.sort_unstable();
    contents
}

#[tokio::test]
async fn what_is_gathered_is_what_stands_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), 100, Overflow::Block);
    config.mode = Mode::Durable;
    config.limits.segment_bytes = 8 * 1024;
    let OpenLog { log, writer, .. } = AuditLog::open(&config).unwrap();
    let source = log.source().unwrap().clone();
    record(&log, 40).await;
    writer.shutdown(Duration::from_secs(10));
    let mut compared = 0;
    let segments = segment::list(&source.directory).unwrap();
    for file in &segments {
        let Some((bytes, gathered)) = source.sealed.take(file.first) else { continue };
        assert_eq!(bytes, fs::metadata(&file.path).unwrap().len());
        let read = Contents::read(&file.path, bytes).unwrap().unwrap();
        assert!(read.offsets.len() > 2 && read.times.is_some());
        assert_eq!(sorted(gathered.clone()), sorted(read));
        // As a file, too.
        let by_hand =
            Index::make(&file.path).map(|_| fs::read(file.path.with_extension("index"))).unwrap().unwrap();
        Index::keep(&file.path, (bytes, gathered.clone())).unwrap();
        assert_eq!(fs::read(file.path.with_extension("index")).unwrap(), by_hand);
        assert!(Index::keep(&file.path, (bytes + 1, gathered)).is_err(), "of another length");
        compared += 1;
    }
    assert!(compared >= 2 && compared < segments.len(), "{compared} of {}", segments.len());
    // The next process goes on with a segment that it has not seen begin.
    let OpenLog { log, writer, .. } = AuditLog::open(&config).unwrap();
    let source = log.source().unwrap().clone();
    record(&log, 20).await;
    writer.shutdown(Duration::from_secs(10));
    let last = segments.last().unwrap();
    assert!(source.sealed.take(last.first).is_none(), "some of it is not known");
    assert!(segment::list(&source.directory).unwrap().len() > segments.len());
}

#[test]
fn who_writes_waits_for_nobody_who_makes_indexes() {
    let sealed = Sealed::default();
    for first in 0..6 {
        sealed.hand_over(first, 0, Gathering::after(&Gathering::default()));
    }
    let waiting: Vec<_> = (0..6).filter(|first| sealed.take(*first).is_some()).collect();
    assert_eq!(waiting, [2, 3, 4, 5]);
    assert!(sealed.take(5).is_none(), "it is taken once");
    sealed.hand_over(7, 0, Gathering::default());
    assert!(sealed.take(7).is_none());
}
