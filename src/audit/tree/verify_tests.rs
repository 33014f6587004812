//! What a verification finds in logs that were changed by whoever can write any bytes, checksums and hashes of headers
//! included, but has not the key.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::example_log_for_tests::ExampleLog;
use super::finding::{Fault, Remark};
use super::frontier::Frontier;
use super::keys::{LogKey, TrustedKeys};
use super::notary;
use super::verify::*;
use crate::audit::spool::frame;
use crate::audit::spool::segment::{self, Header, Segment};

fn key() -> LogKey {
    let folder = tempfile::tempdir().unwrap();
    LogKey::open_or_make(&folder.path().join("log.key"), "name").unwrap()
}

fn trusting(keys: &[&LogKey]) -> TrustedKeys {
    TrustedKeys::read(&keys.iter().map(|key| key.verifier() + "\n").collect::<String>()).unwrap()
}

fn decisions(log: &mut ExampleLog, number: usize) {
    for _ in 0..number {
        log.entry("decision", ",\"reason\":{\"code\":\"x\"},\"count\":\"a word\"");
    }
}

/// Three segments, a checkpoint in the midst and at the end of each, two processes that stopped in order.
fn signed(key: &LogKey) -> ExampleLog {
    let mut log = ExampleLog::new();
    continued(&mut log, key);
    log
}

fn continued(log: &mut ExampleLog, key: &LogKey) {
    log.entry("start", "");
    decisions(log, 4);
    log.checkpoint(key);
    decisions(log, 3);
    log.checkpoint(key);
    log.roll();
    decisions(log, 5);
    log.entry("stop", "");
    log.checkpoint(key);
    log.restarted();
    log.roll();
    log.entry(
        "start",
        ",\"previous\":{\"instance\":\"00000000-0000-0000-0000-000000000001\",\"clean\":true}",
    );
    log.checkpoint(key);
    decisions(log, 6);
    log.entry("stop", "");
    let note = log.checkpoint(key);
    fs::write(log.directory().join(notary::FILE_NAME), note).unwrap();
}

fn verified(log: &Path, keys: &TrustedKeys) -> LogReport {
    verified_with(log, &[], keys)
}

fn verified_with(log: &Path, files: &[PathBuf], keys: &TrustedKeys) -> LogReport {
    verify(&[log.to_owned()], files, keys).unwrap().logs.remove(0)
}

fn faults(report: &LogReport) -> Vec<&Fault> {
    report.findings.iter().map(|finding| &finding.fault).collect()
}

/// A copy of a log's folder, to be changed.
struct Copied(tempfile::TempDir);

impl Copied {
    fn of(log: &ExampleLog) -> Self {
        let copy = tempfile::tempdir().unwrap();
        fs::create_dir(copy.path().join(segment::FOLDER)).unwrap();
        for file in segment::list(log.directory()).unwrap() {
            fs::copy(&file.path, copy.path().join(segment::FOLDER).join(file.path.file_name().unwrap()))
                .unwrap();
        }
        let beside = notary::FILE_NAME;
        fs::copy(log.directory().join(beside), copy.path().join(beside)).unwrap();
        Self(copy)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn segment(&self, first: u64) -> PathBuf {
        self.path().join(segment::FOLDER).join(segment::file_name(first))
    }

    fn header(&self, first: u64) -> Header {
        Segment::open(&self.segment(first)).unwrap().header().clone()
    }

    fn lines(&self, first: u64) -> Vec<String> {
        let mut segment = Segment::open(&self.segment(first)).unwrap();
        let mut lines = Vec::new();
        while let Some(framed) = segment.next().unwrap() {
            lines.push(String::from_utf8(framed.line.to_vec()).unwrap());
        }
        lines
    }

    fn write(&self, name: u64, header: &Header, lines: &[String]) {
        let mut bytes = Vec::new();
        segment::begin(header, &mut bytes).unwrap();
        for line in lines {
            frame::append(line.as_bytes(), &mut bytes).unwrap();
        }
        fs::write(self.segment(name), bytes).unwrap();
    }

    fn change(&self, first: u64, change: impl FnOnce(&mut Vec<String>)) {
        let mut lines = self.lines(first);
        change(&mut lines);
        self.write(first, &self.header(first), &lines);
    }
}

const FIRSTS: [u64; 3] = [0, 10, 17];

#[test]
fn a_log_that_nobody_touched_is_intact() {
    let key = key();
    let log = signed(&key);
    let report = verified(log.directory(), &trusting(&[&key]));
    assert_eq!(report.findings, []);
    assert_eq!(report.remarks, []);
    assert_eq!((report.segments, report.first, report.next), (3, 0, 27));
    // Those among the records, and the last one beside them.
    assert_eq!((report.checkpoints, report.covered), (6, 26));
}

#[test]
fn every_bit_that_is_turned_is_found_and_its_record_named() {
    let key = key();
    let (log, keys) = (signed(&key), trusting(&[&key]));
    let copy = Copied::of(&log);
    for first in FIRSTS {
        let path = copy.segment(first);
        let whole = fs::read(&path).unwrap();
        for byte in 0..whole.len() {
            let mut changed = whole.clone();
            changed[byte] ^= 1 << (byte % 8);
            fs::write(&path, changed).unwrap();
            let report = verified(copy.path(), &keys);
            let place = &report.findings.first().unwrap_or_else(|| panic!("byte {byte} of {first}")).place;
            assert_eq!(place.file, path);
            assert!(place.offset.is_none_or(|offset| offset <= byte as u64), "byte {byte}: {place:?}");
        }
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn records_that_are_deleted_doubled_or_exchanged_are_found_where_it_happened() {
    let key = key();
    let (log, keys) = (signed(&key), trusting(&[&key]));
    for first in FIRSTS {
        let number = Copied::of(&log).lines(first).len();
        for at in 0..number - 1 {
            let sequence = first + at as u64;
            let found = |change: fn(&mut Vec<String>, usize)| {
                let copy = Copied::of(&log);
                copy.change(first, |lines| change(lines, at));
                let report = verified(copy.path(), &keys);
                report.findings.first().unwrap().place.sequence.unwrap()
            };
            assert_eq!(found(|lines, at| drop(lines.remove(at))), sequence);
            assert_eq!(found(|lines, at| lines.swap(at, at + 1)), sequence);
            assert_eq!(found(|lines, at| lines.insert(at, lines[at].clone())), sequence + 1);
        }
    }
}

#[test]
fn a_record_that_is_written_anew_is_found_by_the_next_checkpoint() {
    let key = key();
    let (log, keys) = (signed(&key), trusting(&[&key]));
    for (first, at, size, good) in [(0, 2, 5, 0), (0, 7, 9, 5), (10, 3, 16, 9), (17, 4, 26, 18)] {
        let copy = Copied::of(&log);
        copy.change(first, |lines| lines[at] = lines[at].replace("\"x\"", "\"y\""));
        let report = verified(copy.path(), &keys);
        assert!(
            matches!(faults(&report)[0], Fault::Root { size: s, good: g, .. } if (*s, *g) == (size, good)),
            "{first} {at}: {:?}",
            report.findings
        );
        assert_eq!(report.covered, good);
    }
}

/// Whoever renumbers all that follows, and makes headers fit, still has not the key.
#[test]
fn a_log_that_is_written_anew_without_a_record_is_found() {
    let key = key();
    let (log, keys) = (signed(&key), trusting(&[&key]));
    let copy = Copied::of(&log);
    let all: Vec<_> = FIRSTS.iter().map(|first| (copy.header(*first), copy.lines(*first))).collect();
    let (mut tree, mut number) = (Frontier::new(), 0_u64);
    for (place, (header, lines)) in all.into_iter().enumerate() {
        fs::remove_file(copy.segment(FIRSTS[place])).unwrap();
        let mut kept = Vec::new();
        let header = Header { first: number, frontier: tree.hashes(), ..header };
        for line in lines.iter().enumerate().filter(|(at, _)| (place, *at) != (0, 2)).map(|(_, line)| line) {
            let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
            value["sequence"] = number.into();
            let line = value.to_string();
            tree.push(line.as_bytes());
            kept.push(line);
            number += 1;
        }
        copy.write(header.first, &header, &kept);
    }
    let report = verified(copy.path(), &keys);
    assert!(matches!(faults(&report)[0], Fault::CheckpointMoved(5)), "{:?}", report.findings);
}

#[test]
fn what_is_cut_off_the_end_is_found_iff_a_checkpoint_somewhere_covers_it() {
    let key = key();
    let (log, keys) = (signed(&key), trusting(&[&key]));
    let witness = tempfile::tempdir().unwrap();
    let kept = witness.path().join("kept");
    fs::copy(log.directory().join(notary::FILE_NAME), &kept).unwrap();
    let copy = Copied::of(&log);
    fs::remove_file(copy.path().join(notary::FILE_NAME)).unwrap();
    let path = copy.segment(17);
    let whole = fs::read(&path).unwrap();
    // The record of the last checkpoint, which none covers.
    let last = whole.len() - log.line(26).len() - frame::HEAD_BYTES;
    for end in 0..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        let alone = verified(copy.path(), &keys);
        let witnessed = verified_with(copy.path(), std::slice::from_ref(&kept), &keys);
        if end < last {
            assert!(
                faults(&witnessed).iter().any(|fault| matches!(fault, Fault::Short { covered: 26, .. })),
                "{end}"
            );
            assert!(!faults(&alone).iter().any(|fault| matches!(fault, Fault::Short { .. })), "{end}");
        } else {
            assert!(!faults(&witnessed).iter().any(|fault| matches!(fault, Fault::Short { .. })), "{end}");
        }
        // A log that is cut within a frame is one that a crash left, and one cut between two of them looks whole.
        assert_eq!(alone.findings, [], "{end}");
    }
}

#[test]
fn a_tail_that_a_crash_tore_is_told_and_is_no_crime() {
    let key = key();
    let keys = trusting(&[&key]);
    let mut log = ExampleLog::new();
    log.entry("start", "");
    decisions(&mut log, 2);
    log.checkpoint(&key);
    decisions(&mut log, 1);
    let path = log.segment(0);
    let whole = fs::read(&path).unwrap();
    let length = log.line(4).len() + frame::HEAD_BYTES;
    for cut in 1..length {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let report = verified(log.directory(), &keys);
        assert_eq!(report.findings, []);
        assert!(report.remarks.contains(&Remark::Torn((length - cut) as u64)), "{:?}", report.remarks);
        assert!(report.remarks.iter().any(|remark| matches!(remark, Remark::Open(_))));
    }
    // In a segment that is not the last it is one.
    let open = Copied::of(&signed(&key));
    for first in [0, 10] {
        let path = open.segment(first);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        assert!(matches!(faults(&verified(open.path(), &keys))[0], Fault::Cut), "{first}");
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn segments_that_are_removed_renamed_exchanged_or_of_another_log_are_found() {
    let key = key();
    let (log, keys) = (signed(&key), trusting(&[&key]));
    let found = |change: &dyn Fn(&Copied)| {
        let copy = Copied::of(&log);
        change(&copy);
        let report = verified(copy.path(), &keys);
        faults(&report).into_iter().cloned().collect::<Vec<_>>()
    };
    let middle = found(&|copy| fs::remove_file(copy.segment(10)).unwrap());
    assert_eq!(middle[0], Fault::Missing { from: 10, until: 17 });
    let last = found(&|copy| fs::remove_file(copy.segment(17)).unwrap());
    assert!(matches!(last[0], Fault::Short { covered: 26, there: 17, .. }));
    let renamed = found(&|copy| fs::rename(copy.segment(10), copy.segment(11)).unwrap());
    assert_eq!(renamed[0], Fault::Misplaced(10));
    let doubled = found(&|copy| assert!(fs::copy(copy.segment(10), copy.segment(16)).is_ok()));
    assert_eq!(doubled[0], Fault::Misplaced(10));
    let other = signed(&key);
    let id = other.checkpoint_of(0).log;
    let spliced = found(&|copy| assert!(fs::copy(other.segment(10), copy.segment(10)).is_ok()));
    assert!(spliced.contains(&Fault::OtherLog(id)), "{spliced:?}");
    // Under this log's name, its records are still the other's.
    let dressed = found(&|copy| {
        let lines: Vec<_> = (10..17).map(|sequence| other.line(sequence).to_owned()).collect();
        copy.write(10, &copy.header(10), &lines);
    });
    assert!(dressed.contains(&Fault::OtherCheckpoint(id)), "{dressed:?}");
    let all = found(&|copy| FIRSTS.iter().for_each(|first| fs::remove_file(copy.segment(*first)).unwrap()));
    assert!(all.contains(&Fault::Empty), "{all:?}");
    let overlapping = found(&|copy| {
        let header = Header { first: 9, frontier: hashes(&log, 9), ..copy.header(10) };
        copy.write(9, &header, &copy.lines(10));
    });
    assert_eq!(overlapping[0], Fault::Overlap(9));
}

fn hashes(log: &ExampleLog, size: usize) -> Vec<String> {
    let mut tree = Frontier::new();
    (0..size).for_each(|sequence| tree.push(log.line(sequence).as_bytes()));
    tree.hashes()
}

#[test]
fn a_header_that_is_changed_is_found_whatever_of_it() {
    let key = key();
    let (log, keys) = (signed(&key), trusting(&[&key]));
    for first in FIRSTS {
        let changes: [fn(&mut Header); 4] = [
            |header| header.opened = "2026-11-28T00:00:00Z".to_owned(),
            |header| header.instance = uuid::Uuid::nil(),
            |header| header.log = uuid::Uuid::nil(),
            |header| {
                let size = header.frontier.len();
                header.frontier = vec!["ab".repeat(32); size.max(1)];
            },
        ];
        for (which, change) in changes.into_iter().enumerate() {
            let copy = Copied::of(&log);
            let mut header = copy.header(first);
            change(&mut header);
            copy.write(first, &header, &copy.lines(first));
            let report = verified(copy.path(), &keys);
            assert!(!report.findings.is_empty(), "change {which} of {first}");
            assert_eq!(
                report.findings[0].place.file,
                copy.segment(first),
                "change {which}: {:?}",
                report.findings
            );
        }
    }
}

#[test]
fn what_a_witness_knows_of_a_header_counts_too() {
    let key = key();
    let (log, keys) = (signed(&key), trusting(&[&key]));
    let copy = Copied::of(&log);
    let header = Header { opened: String::new(), ..copy.header(17) };
    // Without its checkpoints, a segment says nothing of its own header; what is kept elsewhere does.
    let lines: Vec<_> = copy.lines(17).into_iter().take(1).collect();
    copy.write(17, &header, &lines);
    let note = log.checkpoint_of(18).sign([&key]).unwrap();
    fs::write(copy.path().join(notary::FILE_NAME), note).unwrap();
    assert_eq!(faults(&verified(copy.path(), &keys)), [&Fault::HeaderChanged(17)]);
}

#[test]
fn older_segments_may_be_gone_and_what_is_left_is_still_held_to_account() {
    let key = key();
    let (log, keys) = (signed(&key), trusting(&[&key]));
    let copy = Copied::of(&log);
    fs::remove_file(copy.segment(0)).unwrap();
    let report = verified(copy.path(), &keys);
    assert_eq!(report.findings, []);
    assert_eq!(report.remarks, [Remark::Begins(10)]);
    let old = tempfile::NamedTempFile::new().unwrap();
    fs::write(old.path(), log.checkpoint_of(5).sign([&key]).unwrap()).unwrap();
    let report = verified_with(copy.path(), &[old.path().to_owned()], &keys);
    assert!(report.remarks.contains(&Remark::Old(1)) && report.findings.is_empty());
    let header = copy.header(10);
    copy.write(10, &Header { frontier: vec!["ab".repeat(32); 2], ..header }, &copy.lines(10));
    assert!(!verified(copy.path(), &keys).findings.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn bytes_that_are_changed_anywhere_are_found(at in any::<prop::sample::Index>(), run in 1_usize..40, with in any::<u8>()) {
        let key = key();
        let (log, keys) = (signed(&key), trusting(&[&key]));
        let mut places = Vec::new();
        for first in FIRSTS {
            let length = fs::read(log.segment(first)).unwrap().len();
            places.extend((0..length).map(|byte| (first, byte)));
        }
        let (first, byte) = places[at.index(places.len())];
        let mut bytes = fs::read(log.segment(first)).unwrap();
        let end = bytes.len().min(byte + run);
        let before = bytes.clone();
        bytes[byte..end].fill(with);
        prop_assume!(bytes != before);
        // Zeros at the very end are what a loss of power leaves.
        prop_assume!(with != 0 || end < before.len());
        fs::write(log.segment(first), bytes).unwrap();
        prop_assert!(!verified(log.directory(), &keys).findings.is_empty());
    }
}
