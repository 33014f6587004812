//! A log that real servers wrote, and copies of it to be changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use mandate::audit::spool::frame;
use mandate::audit::spool::segment::{self, Header, Segment};
use mandate::audit::tree::finding::Fault;
use mandate::audit::tree::keys::TrustedKeys;
use mandate::audit::tree::verify::{LogReport, verify};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Finished, Process, Question as _, Sources, mandate, question};

/// A site whose server signs every second, to a witness, in segments as small as may be.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) sources: Sources,
}

impl Site {
    pub(super) fn new() -> Self {
        let site = Self { sources: Sources::small() };
        site.configure("");
        site
    }

    /// The configuration, with more lines for `[log]`.
    pub(super) fn configure(&self, more: &str) {
        let witness = self.witness();
        let data = format!("[data]\ndirectory = {:?}\n", self.sources.path("data").display().to_string());
        let log = format!("[log]\nsegment_bytes = 65536\ncheckpoint_seconds = 1\n{more}\n");
        let witness = format!("[[log.witnesses]]\ndirectory = {:?}\n", witness.display().to_string());
        fs::write(self.sources.path("mandate.toml"), data + &log + &witness).unwrap();
    }

    pub(super) fn log(&self) -> PathBuf {
        self.sources.path("data/log")
    }

    pub(super) fn witness(&self) -> PathBuf {
        self.sources.path("witness")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.sources.path("data/keys/log.key")
    }

    /// The line that verifiers need.
    pub(super) fn public_key(&self) -> String {
        fs::read_to_string(self.key().with_extension("pub")).unwrap().trim().to_owned()
    }

    pub(super) fn try_start(&self) -> Result<Process, Finished> {
        let config = self.sources.path("mandate.toml").display().to_string();
        Process::try_start_with(&self.sources, &["--config", &config])
    }

    pub(super) fn start(&self) -> Process {
        self.try_start().unwrap_or_else(|ended| panic!("the server did not start: {ended:?}"))
    }

    /// Runs a command that reads the site's configuration.
    pub(super) fn command(&self, words: &[&str]) -> Finished {
        let config = self.sources.path("mandate.toml").display().to_string();
        mandate(words.iter().copied().chain(["--config", &config]))
    }
}

/// Has so many questions decided, and tells the decisions' ids.
pub(super) fn decide(process: &Process, number: usize, name: &str) -> Vec<String> {
    let client = process.client();
    let ask = |at: usize| {
        let asked = question(("User", "ana"), "view", ("Doc", "plan")).named(&format!("{name}-{at}"));
        client.authorize(asked).unwrap().decision_id
    };
    (0..number).map(ask).collect()
}

/// The log that most tests look at: two processes that stopped in order and, between them, one that was killed.
pub(super) struct Written {
    pub(super) site: Site,
    pub(super) decisions: Vec<String>,
}

pub(super) static WRITTEN: LazyLock<Written> = LazyLock::new(|| {
    let site = Site::new();
    let mut decisions = Vec::new();
    let process = site.start();
    decisions.extend(decide(&process, 120, "first"));
    process.terminate().check_code(0);
    let process = site.start();
    decisions.extend(decide(&process, 40, "second"));
    process.crash();
    let process = site.start();
    decisions.extend(decide(&process, 40, "third"));
    process.terminate().check_code(0);
    Written { site, decisions }
});

/// What is found in a folder, with the checkpoints that were kept in these files.
pub(super) fn verified(folder: &Path, kept: &[PathBuf], key: &str) -> LogReport {
    let keys = TrustedKeys::read(key).unwrap();
    verify(&[folder.to_owned()], kept, &keys).unwrap().logs.remove(0)
}

/// A record in a segment: where its frame begins and ends, in bytes.
#[derive(Debug, Clone)]
pub(super) struct At {
    pub(super) sequence: u64,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) line: String,
}

impl At {
    pub(super) fn kind(&self) -> String {
        let line: Value = serde_json::from_str(&self.line).unwrap();
        line["kind"].as_str().unwrap().to_owned()
    }
}

/// A copy of a log's folder.
#[derive(Debug)]
pub(super) struct Copied {
    folder: TempDir,
}

impl Copied {
    pub(super) fn of(folder: &Path) -> Self {
        let copy = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(copy.path().join(segment::FOLDER)).unwrap();
        for file in segment::list(folder).unwrap() {
            fs::copy(&file.path, copy.segment(file.first)).unwrap();
        }
        fs::copy(folder.join("checkpoint"), copy.path().join("checkpoint")).unwrap();
        copy
    }

    pub(super) fn written() -> Self {
        Self::of(&WRITTEN.site.log())
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn segment(&self, first: u64) -> PathBuf {
        self.path().join(segment::FOLDER).join(segment::file_name(first))
    }

    /// The first records of its segments.
    pub(super) fn firsts(&self) -> Vec<u64> {
        segment::list(self.path()).unwrap().into_iter().map(|file| file.first).collect()
    }

    pub(super) fn header(&self, first: u64) -> Header {
        Segment::open(&self.segment(first)).unwrap().header().clone()
    }

    pub(super) fn records(&self, first: u64) -> Vec<At> {
        let mut segment = Segment::open(&self.segment(first)).unwrap();
        let mut records = Vec::new();
        while let Some(framed) = segment.next().unwrap() {
            let from = usize::try_from(framed.offset).unwrap();
            let line = String::from_utf8(framed.line.to_vec()).unwrap();
            let to = from + frame::HEAD_BYTES + line.len();
            records.push(At { sequence: framed.sequence, from, to, line });
        }
        records
    }

    /// Writes a segment anew: checksums are right.
    pub(super) fn write(&self, name: u64, header: &Header, lines: &[String]) {
        let mut bytes = Vec::new();
        segment::begin(header, &mut bytes).unwrap();
        for line in lines {
            frame::append(line.as_bytes(), &mut bytes).unwrap();
        }
        fs::write(self.segment(name), bytes).unwrap();
    }

    pub(super) fn change(&self, first: u64, change: impl FnOnce(&mut Vec<String>)) {
        let mut lines = self.records(first).into_iter().map(|record| record.line).collect();
        change(&mut lines);
        self.write(first, &self.header(first), &lines);
    }

    /// What is found, with what the witness has.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let kept = files(&WRITTEN.site.witness());
        faults(&verified(self.path(), &kept, &WRITTEN.site.public_key()))
    }

    /// What is found by who has nothing but the folder.
    pub(super) fn faults_alone(&self) -> Vec<Fault> {
        faults(&verified(self.path(), &[], &WRITTEN.site.public_key()))
    }
}

pub(super) fn faults(report: &LogReport) -> Vec<Fault> {
    report.findings.iter().map(|finding| finding.fault.clone()).collect()
}

pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// What `mandate log verify` says of a folder.
pub(super) fn verify_command(folder: &Path, key: &str, more: &[&str]) -> Finished {
    let folder = folder.display().to_string();
    mandate(
        ["log", "verify", &folder, "--key", key, "--format", "json"].into_iter().chain(more.iter().copied()),
    )
}
