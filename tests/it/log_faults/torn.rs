//! A log that ends anywhere within its last record.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use mandate::audit::spool::retention::Limits;
use mandate::audit::spool::segment::{FOLDER, Segment, list};
use mandate::audit::tree::notary::NotaryConfig;
use mandate::audit::{AuditConfig, AuditLog, Fields, Mode, OpenLog, Overflow};
use serde_json::Value;

use super::{Site, number, of_answers, view};
use crate::support::{Numbers, all_records, is_allow};

/// The log of a process that was killed, its last record a decision; and where that record's frame begins and ends.
fn killed() -> (Site, u64, u64) {
    for _ in 0..20 {
        let site = Site::new(&[]);
        let process = site.start();
        for _ in 0..3 {
            assert!(is_allow(&process.client().authorize(view()).unwrap()));
        }
        while Numbers::read(&process.ops).sum("pdp_audit_queue_depth") > 0.0 {}
        process.crash();
        let segments = list(&site.log).unwrap();
        let [only] = segments.as_slice() else { panic!("{segments:?}") };
        let mut segment = Segment::open(&only.path).unwrap();
        let (mut begins, mut kind) = (0, Value::Null);
        loop {
            let at = segment.offset();
            let Some(framed) = segment.next().unwrap() else { break };
            let record: Value = serde_json::from_slice(framed.line).unwrap();
            (begins, kind) = (at, record["kind"].clone());
        }
        if kind == "decision" {
            return (site, begins, segment.offset());
        }
    }
    panic!("the last record is never a decision");
}

fn config(folder: &Path) -> AuditConfig {
    AuditConfig {
        mode: Mode::Async,
        directory: folder.join("log"),
        queue: 16,
        overflow: Overflow::Drop,
        limits: Limits {
            segment_bytes: 1 << 20,
            segment_age: Duration::from_secs(3600),
            retain_bytes: None,
            retain_age: None,
        },
        counters: Some(folder.to_owned()),
        fields: Fields::default(),
        notary: NotaryConfig {
            key: folder.join("log.key"),
            previous_key: None,
            name: None,
            every: Duration::from_secs(5),
            witnesses: Vec::new(),
        },
        sinks: Vec::new(),
    }
}

/// A copy of a log and of what belongs to it, whose segment is this long.
fn copy(site: &Site, folder: &Path, length: u64) {
    fs::create_dir_all(folder.join("log").join(FOLDER)).unwrap();
    fs::copy(site.sources.path("data/keys/log.key"), folder.join("log.key")).unwrap();
    for counters in fs::read_dir(site.sources.counters()).unwrap() {
        let counters = counters.unwrap();
        fs::copy(counters.path(), folder.join(counters.file_name())).unwrap();
    }
    for name in ["checkpoint", "cursors"] {
        if site.log.join(name).is_file() {
            fs::copy(site.log.join(name), folder.join("log").join(name)).unwrap();
        }
    }
    let segment = list(&site.log).unwrap().remove(0).path;
    let copied = folder.join("log").join(FOLDER).join(segment.file_name().unwrap());
    fs::copy(segment, &copied).unwrap();
    File::options().write(true).open(copied).unwrap().set_len(length).unwrap();
}

#[test]
fn a_record_that_is_torn_anywhere_is_cut_off_and_counted_and_no_other_is_lost() {
    let (site, begins, ends) = killed();
    let whole = all_records(&site.log);
    let last = whole.last().unwrap();
    for length in begins..=ends {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        copy(&site, folder.path(), length);
        let OpenLog { writer, .. } = AuditLog::open(&config(folder.path())).unwrap();
        writer.shutdown(Duration::from_secs(20));
        let records = all_records(&folder.path().join("log"));
        let kept = whole.len() - usize::from(length < ends);
        assert_eq!(records[..kept], whole[..kept], "cut at {length}");
        let start = &records[kept];
        assert_eq!((&start["kind"], number(&start["sequence"])), (&"start".into(), kept as u64), "{start}");
        let torn = if length == ends { 0 } else { length - begins };
        assert_eq!(number(&start["torn_bytes"]), torn, "{start}");
        let previous = &start["previous"];
        let written = of_answers(&records, &last["instance"]).len() as u64;
        let account = ["issued", "written", "lost", "dropped"].map(|name| number(&previous[name]));
        assert_eq!(account, [3, written, 3 - written, 0], "cut at {length}: {previous}");
        let ended = &records[kept + 1..];
        assert!(ended.iter().any(|record| record["kind"] == "stop"), "cut at {length}: {ended:?}");
    }
}
