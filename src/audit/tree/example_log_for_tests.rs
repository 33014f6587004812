//! A log of a few records, written as the format has it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::checkpoint::{Checkpoint, Facts, SegmentMark};
use super::frontier::Frontier;
use super::hash::Hash;
use super::keys::LogKey;
use crate::audit::spool::frame;
use crate::audit::spool::segment::{self, Header, Segment};

/// A folder with segments, and what they come to.
#[derive(Debug)]
pub(crate) struct ExampleLog {
    folder: tempfile::TempDir,
    log: Uuid,
    instance: Uuid,
    tree: Frontier,
    /// Root at each size.
    roots: Vec<Hash>,
    lines: Vec<String>,
    open: u64,
}

impl ExampleLog {
    pub(crate) fn new() -> Self {
        Self::named(Uuid::now_v7())
    }

    /// An empty log with such an id.
    pub(crate) fn named(log: Uuid) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(segment::FOLDER)).unwrap();
        let tree = Frontier::new();
        let roots = vec![tree.root()];
        let mut log =
            Self { folder, log, instance: Uuid::from_u128(1), tree, roots, lines: Vec::new(), open: 0 };
        log.roll();
        log
    }

    pub(crate) fn directory(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn tree(&self) -> &Frontier {
        &self.tree
    }

    pub(crate) fn segment(&self, first: u64) -> PathBuf {
        self.directory().join(segment::FOLDER).join(segment::file_name(first))
    }

    /// Begins another segment.
    pub(crate) fn roll(&mut self) {
        self.open = self.tree.size();
        let header = Header {
            format: segment::FORMAT,
            log: self.log,
            instance: self.instance,
            first: self.open,
            opened: "2026-11-27T00:00:00Z".to_owned(),
            frontier: self.tree.hashes(),
        };
        let mut bytes = Vec::new();
        segment::begin(&header, &mut bytes).unwrap();
        fs::write(self.segment(self.open), bytes).unwrap();
    }

    /// Appends a line.
    pub(crate) fn record(&mut self, line: &str) {
        let mut bytes = Vec::new();
        frame::append(line.as_bytes(), &mut bytes).unwrap();
        let mut file = OpenOptions::new().append(true).open(self.segment(self.open)).unwrap();
        file.write_all(&bytes).unwrap();
        self.tree.push(line.as_bytes());
        self.roots.push(self.tree.root());
        self.lines.push(line.to_owned());
    }

    /// The record of this number.
    pub(crate) fn line(&self, sequence: usize) -> &str {
        &self.lines[sequence]
    }

    /// A record of this kind, with its number and whatever else.
    pub(crate) fn entry(&mut self, kind: &str, rest: &str) {
        let (sequence, instance) = (self.tree.size(), self.instance);
        self.record(&format!(
            "{{\"v\":1,\"kind\":\"{kind}\",\"sequence\":{sequence},\"instance\":\"{instance}\"{rest}}}"
        ));
    }

    /// The checkpoint of its first records.
    pub(crate) fn checkpoint_of(&self, size: u64) -> Checkpoint {
        let header = Segment::open(&self.segment(self.open)).unwrap().header_digest().to_owned();
        let counts = self.tree.size();
        Checkpoint {
            log: self.log,
            size,
            root: self.roots[usize::try_from(size).unwrap()],
            facts: Facts {
                time: "2026-11-27T00:00:00Z".to_owned(),
                instance: self.instance,
                issued: counts,
                written: counts,
                dropped: 0,
                reserved: counts,
                segment: SegmentMark { first: self.open, header },
            },
        }
    }

    /// Signs all records so far, and says so in a record.
    pub(crate) fn checkpoint(&mut self, key: &LogKey) -> String {
        let note = self.checkpoint_of(self.tree.size()).sign([key]).unwrap();
        let quoted = serde_json::to_string(&note).unwrap();
        self.entry("checkpoint", &format!(",\"note\":{quoted}"));
        note
    }

    /// Another process goes on.
    pub(crate) fn restarted(&mut self) {
        self.instance = Uuid::from_u128(self.instance.as_u128() + 1);
    }
}
