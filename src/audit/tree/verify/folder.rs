//! One log's folder.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use uuid::Uuid;

use super::expected::Expected;
use super::tail::{self, Tail};
use super::{Kept, LogReport, at, read_notes};
use crate::audit::spool::segment::{self, Header, Segment, SegmentError, SegmentFile};
use crate::audit::tree::checkpoint::Checkpoint;
use crate::audit::tree::finding::{Fault, Finding, Place, Remark};
use crate::audit::tree::frontier::Frontier;
use crate::audit::tree::keys::{Signed, TrustedKeys};
use crate::audit::tree::notary;
use crate::audit::tree::processes::{self, Head, Processes};

/// What is read of a checkpoint's record.
#[derive(serde::Deserialize)]
struct Noted<'a> {
    #[serde(borrow)]
    note: Cow<'a, str>,
}

/// A folder that is being verified.
pub(super) struct Verification<'k> {
    keys: &'k TrustedKeys,
    report: LogReport,
    log: Uuid,
    expected: Expected,
    /// The checkpoints among the records, if they are to be told.
    own: Option<Vec<Kept>>,
    /// Checkpoints by keys that nobody vouched for, and how much they cover.
    unknown: Vec<(u64, Place)>,
    /// Digest of each segment's header.
    headers: BTreeMap<u64, String>,
    processes: Processes,
    /// The tree up to where the log was read; none behind a fault.
    tree: Option<Frontier>,
}

impl<'k> Verification<'k> {
    /// What is to be said of a folder, held to `kept` too; and, if asked for, the checkpoints that it holds.
    pub(super) fn of(
        folder: &Path,
        kept: &[Kept],
        keys: &'k TrustedKeys,
        tell: bool,
    ) -> io::Result<(LogReport, Vec<Kept>)> {
        // Before the segments: what it covers is there already, though the log may grow meanwhile.
        let beside = folder.join(notary::FILE_NAME);
        let beside = if beside.try_exists()? { read_notes(&beside, keys)? } else { Vec::new() };
        let (beside, faults): (Vec<_>, Vec<_>) = beside.into_iter().partition(Result::is_ok);
        let beside: Vec<_> = beside.into_iter().flatten().collect();
        let segments = segment::list(folder).map_err(|error| at(folder, &error))?;
        let first = segments.first().map_or(0, |segment| segment.first);
        let mut verification = Self {
            keys,
            report: report(folder, segments.len(), first),
            log: Uuid::nil(),
            expected: Expected::new(kept.iter().chain(&beside).cloned(), first),
            own: tell.then_some(beside),
            unknown: Vec::new(),
            headers: BTreeMap::new(),
            processes: Processes::default(),
            tree: None,
        };
        verification.report.findings.extend(faults.into_iter().filter_map(Result::err));
        for (place, file) in segments.iter().enumerate() {
            verification
                .segment(file, place + 1 == segments.len())
                .map_err(|error| at(&file.path, &error))?;
        }
        Ok(verification.end())
    }

    fn finds(&mut self, place: Place, fault: Fault) {
        self.report.findings.push(Finding { place, fault });
    }

    /// Something is wrong: what follows in the segment is not read, and what comes after cannot be compared with it.
    fn lose(&mut self, place: Place, fault: Fault) {
        self.finds(place, fault);
        self.tree = None;
        self.processes.forget();
    }

    fn segment(&mut self, file: &SegmentFile, is_last: bool) -> io::Result<()> {
        let mut segment = match Segment::open(&file.path) {
            Ok(segment) => segment,
            Err(SegmentError::Io(error)) => return Err(error),
            Err(error) => {
                let torn = match error {
                    SegmentError::Torn { offset } => Some(offset),
                    _ => None,
                };
                match tail::look(&file.path, torn.unwrap_or(0), torn.is_some())? {
                    Tail::Torn(bytes) if is_last => self.report.remarks.push(Remark::Torn(bytes)),
                    _ => self.lose(Place::of(&file.path), Fault::Unreadable(error.to_string())),
                }
                return Ok(());
            }
        };
        self.headers.insert(segment.header().first, segment.header_digest().to_owned());
        if let Err(fault) = self.enter(file, segment.header()) {
            self.finds(Place::of(&file.path), fault);
            self.processes.forget();
        }
        self.records(&file.path, &mut segment, is_last)
    }

    /// Begins a segment: it must go on where the one before ends, or else its own header is believed.
    fn enter(&mut self, file: &SegmentFile, header: &Header) -> Result<(), Fault> {
        let reached = self.tree.take();
        self.tree = Frontier::resume(header.first, &header.frontier).ok();
        if self.report.log.is_none() {
            (self.report.log, self.log) = (Some(header.log), header.log);
        }
        if header.log != self.log {
            return Err(Fault::OtherLog(header.log));
        }
        if header.first != file.first {
            return Err(Fault::Misplaced(header.first));
        }
        let tree = self.tree.as_ref().ok_or(Fault::Header)?;
        let Some(reached) = reached else { return Ok(()) };
        let (from, until) = (reached.size(), tree.size());
        match from.cmp(&until) {
            Ordering::Less => Err(Fault::Missing { from, until }),
            Ordering::Greater => Err(Fault::Overlap(until)),
            Ordering::Equal if reached == *tree => Ok(()),
            Ordering::Equal => Err(Fault::Header),
        }
    }

    fn records(&mut self, path: &Path, segment: &mut Segment, is_last: bool) -> io::Result<()> {
        let first = segment.header().first;
        loop {
            let (offset, sequence) = (segment.offset(), segment.sequence());
            let place = || Place { file: path.to_owned(), offset: Some(offset), sequence: Some(sequence) };
            let fault = match segment.next() {
                Ok(Some(framed)) => match self.record(framed.line, first, place) {
                    Ok(()) => continue,
                    Err(fault) => fault,
                },
                Ok(None) => match self.compare() {
                    Ok(()) => return Ok(()),
                    Err(fault) => fault,
                },
                Err(SegmentError::Io(error)) => return Err(error),
                Err(error) => {
                    let short = matches!(error, SegmentError::Torn { .. });
                    match tail::look(path, offset, short)? {
                        Tail::Torn(bytes) if is_last => {
                            self.report.remarks.push(Remark::Torn(bytes));
                            match self.compare() {
                                Ok(()) => return Ok(()),
                                Err(fault) => fault,
                            }
                        }
                        Tail::Torn(_) => Fault::Cut,
                        Tail::Changed => Fault::Damaged,
                    }
                }
            };
            self.lose(place(), fault);
            return Ok(());
        }
    }

    fn record(&mut self, line: &[u8], segment: u64, place: impl Fn() -> Place) -> Result<(), Fault> {
        self.compare()?;
        let head: Head<'_> = processes::read(line)?;
        let size = self.tree.as_ref().map_or(head.sequence, Frontier::size);
        if head.sequence != size {
            return Err(Fault::Number(head.sequence));
        }
        self.processes.record(&head, line)?;
        if head.kind == "checkpoint" {
            let Noted { note } = processes::read(line)?;
            self.checkpoint(&note, segment, place())?;
        }
        if let Some(tree) = &mut self.tree {
            tree.push(line);
        }
        self.report.next = size + 1;
        Ok(())
    }

    /// A checkpoint among the records covers all before it, and was made when its own segment was open.
    fn checkpoint(&mut self, note: &str, segment: u64, place: Place) -> Result<(), Fault> {
        let read = Checkpoint::read(note, self.keys);
        let (checkpoint, signed) = read.map_err(|no| Fault::NoCheckpoint(no.to_string()))?;
        if signed == Signed::Forged {
            return Err(Fault::Forged);
        }
        if checkpoint.log != self.log {
            return Err(Fault::OtherCheckpoint(checkpoint.log));
        }
        let here = self.tree.as_ref().is_none_or(|tree| tree.size() == checkpoint.size);
        if !here || checkpoint.facts.segment.first != segment {
            return Err(Fault::CheckpointMoved(checkpoint.size));
        }
        if self.headers.get(&segment) != Some(&checkpoint.facts.segment.header) {
            return Err(Fault::HeaderChanged(segment));
        }
        let kept = Kept { place, checkpoint, signed };
        self.hold(&kept)?;
        if let Some(own) = &mut self.own {
            own.push(kept);
        }
        Ok(())
    }

    /// Compares the tree with what is kept elsewhere of a log of its size.
    fn compare(&mut self) -> Result<(), Fault> {
        let Some(size) = self.tree.as_ref().map(Frontier::size) else { return Ok(()) };
        if self.expected.at(size) {
            for kept in self.expected.take(size) {
                self.hold(&kept)?;
            }
        }
        Ok(())
    }

    /// Holds the tree to a checkpoint of its size.
    fn hold(&mut self, Kept { place, checkpoint, signed }: &Kept) -> Result<(), Fault> {
        let Some(tree) = &self.tree else { return Ok(()) };
        let (size, time) = (checkpoint.size, checkpoint.facts.time.clone());
        if *signed != Signed::Trusted {
            self.unknown.push((size, place.clone()));
        }
        if checkpoint.root != tree.root() {
            return Err(Fault::Root { size, time, good: self.report.covered });
        }
        if *signed == Signed::Trusted {
            self.report.checkpoints += 1;
            // Behind a fault nothing vouches for what is before it.
            if self.report.findings.is_empty() {
                (self.report.covered, self.report.covered_at) = (size, Some(time));
            }
        }
        Ok(())
    }

    fn end(mut self) -> (LogReport, Vec<Kept>) {
        let short = self.tree.as_ref().and_then(|tree| self.expected.beyond(tree));
        self.report.findings.extend(short);
        self.headers();
        self.keys();
        if self.report.segments == 0 {
            self.finds(Place::of(&self.report.folder.clone()), Fault::Empty);
        } else if self.report.checkpoints == 0 {
            self.finds(Place::of(&self.report.folder.clone()), Fault::Unsigned);
        }
        self.processes.end();
        let LogReport { first, next, covered, remarks, .. } = &mut self.report;
        remarks.append(&mut self.processes.remarks);
        remarks.extend((*first > 0).then_some(Remark::Begins(*first)));
        remarks.extend((self.expected.old > 0).then_some(Remark::Old(self.expected.old)));
        // The last checkpoint's own record is covered by the next one.
        remarks.extend((*next > *covered + 1).then(|| Remark::Uncovered(*next - *covered)));
        (self.report, self.own.unwrap_or_default())
    }

    /// Checkpoints that are kept elsewhere say what headers were, too.
    fn headers(&mut self) {
        let said = self.expected.compared.iter().filter(|kept| kept.signed == Signed::Trusted);
        let changed = said.filter_map(|kept| {
            let mark = &kept.checkpoint.facts.segment;
            let there = self.headers.get(&mark.first)?;
            let fault = Fault::HeaderChanged(mark.first);
            (*there != mark.header).then(|| Finding { place: kept.place.clone(), fault })
        });
        let changed: Vec<_> = changed.collect();
        self.report.findings.extend(changed);
    }

    /// Checkpoints by keys that nobody vouched for count for nothing, unless a later one that somebody did covers them:
    /// they are among its records then, or were made before a key was changed.
    fn keys(&mut self) {
        let left = self.expected.left().filter(|kept| kept.signed != Signed::Trusted);
        self.unknown.extend(left.map(|kept| (kept.checkpoint.size, kept.place.clone())));
        let (covered, intact) = (self.report.covered, self.report.findings.is_empty());
        let (vouched, open): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.unknown).into_iter().partition(|(size, _)| *size < covered);
        if let Some((_, place)) = open.into_iter().next().filter(|_| intact) {
            self.finds(place, Fault::UnknownKey);
        }
        if !vouched.is_empty() {
            self.report.remarks.push(Remark::UnknownKeys(vouched.len() as u64));
        }
    }
}

fn report(folder: &Path, segments: usize, first: u64) -> LogReport {
    LogReport {
        folder: folder.to_owned(),
        log: None,
        segments,
        first,
        next: first,
        checkpoints: 0,
        covered: first,
        covered_at: None,
        findings: Vec::new(),
        remarks: Vec::new(),
    }
}
