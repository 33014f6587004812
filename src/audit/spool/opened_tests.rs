//! What is cut off a log when it is opened, and what is left as it is.

use std::fs;

use super::opened::{OpenError, Opened};
use crate::audit::tree::example_log_for_tests::ExampleLog;
use crate::audit::tree::keys::LogKey;
use crate::audit::tree::notary::FILE_NAME as CHECKPOINT;

/// A log of three records, the first `signed` of which a checkpoint covers, and where the last of them begins.
fn log(signed: u64) -> (ExampleLog, usize) {
    let mut log = ExampleLog::new();
    log.entry("start", "");
    log.entry("decision", "");
    let start = fs::read(log.segment(0)).unwrap().len();
    log.entry("decision", "");
    let key = LogKey::open_or_make(&log.directory().join("log.key"), "log").unwrap();
    let note = log.checkpoint_of(signed).sign([&key]).unwrap();
    fs::write(log.directory().join(CHECKPOINT), note).unwrap();
    (log, start)
}

#[test]
fn what_a_crash_tore_is_cut_off_wherever_it_ends() {
    let (log, start) = log(2);
    let segment = log.segment(0);
    let whole = fs::read(&segment).unwrap();
    for end in start + 1..whole.len() {
        fs::write(&segment, &whole[..end]).unwrap();
        let opened = Opened::open(log.directory()).unwrap();
        assert_eq!(opened.torn_bytes, (end - start) as u64);
        assert_eq!((opened.traces.since, opened.traces.stopped), (1, false));
        assert_eq!(fs::read(&segment).unwrap(), whole[..start]);
        drop(opened);
        // A file grows before its bytes are there.
        let mut zeros = whole[..end].to_vec();
        zeros[start..].fill(0);
        fs::write(&segment, &zeros).unwrap();
        assert_eq!(Opened::open(log.directory()).unwrap().torn_bytes, (end - start) as u64);
    }
}

#[test]
fn what_was_signed_is_never_cut_off() {
    let (log, start) = log(3);
    let segment = log.segment(0);
    let whole = fs::read(&segment).unwrap();
    let mut turned = whole.clone();
    turned[start + 20] ^= 1;
    let cuts = (start + 1..whole.len()).map(|end| whole[..end].to_vec());
    for spoiled in cuts.chain([turned]) {
        fs::write(&segment, &spoiled).unwrap();
        let error = Opened::open(log.directory()).unwrap_err();
        assert!(matches!(error, OpenError::Covered { .. }), "{error}");
        assert_eq!(fs::read(&segment).unwrap(), spoiled, "it is evidence as it is");
    }
    fs::write(&segment, &whole).unwrap();
    assert_eq!(Opened::open(log.directory()).unwrap().torn_bytes, 0);
}

#[test]
fn nothing_is_cut_off_where_it_cannot_be_told_what_was_signed() {
    let (log, _start) = log(2);
    let segment = log.segment(0);
    let mut whole = fs::read(&segment).unwrap();
    whole.pop();
    fs::write(&segment, &whole).unwrap();
    for unreadable in [b"no note".as_slice(), b"\xff"] {
        fs::write(log.directory().join(CHECKPOINT), unreadable).unwrap();
        let error = Opened::open(log.directory()).unwrap_err();
        assert!(matches!(error, OpenError::Covered { .. }), "{error}");
    }
    assert_eq!(fs::read(&segment).unwrap(), whole);
}

#[test]
fn damage_with_records_behind_it_is_no_torn_end() {
    let (log, start) = log(1);
    let segment = log.segment(0);
    let mut spoiled = fs::read(&segment).unwrap();
    spoiled[start - 5] ^= 1;
    fs::write(&segment, &spoiled).unwrap();
    let error = Opened::open(log.directory()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert_eq!(fs::read(&segment).unwrap(), spoiled);
}
