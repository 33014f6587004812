//! What tests do to the writer and its disk.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::line::Line;
use super::record::Record;

/// The `request_id` that makes the encoder panic.
pub(crate) const POISON: &str = "poison for the encoder";
/// The one that makes the writer panic.
pub(crate) const DEADLY: &str = "poison for the writer";

/// A disk whose faults and pauses a test holds in its hands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    full: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
    /// While a test holds this, a write waits.
    pub(crate) gate: Arc<Mutex<()>>,
}

impl Faults {
    pub(crate) fn is_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    pub(crate) fn panics(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }

    /// What a write meets.
    pub(super) fn meet(&self) -> io::Result<()> {
        let _gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(!self.panics.load(Ordering::SeqCst), "as the test wants");
        if self.full.load(Ordering::SeqCst) { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

/// Panics where a defect of the encoder would.
pub(super) fn poison(record: &Record) {
    let id = match record {
        Record::Outcome(record) => &record.report.detail,
        Record::Decision(record) => &record.request_id,
        Record::Refusal(record) => &record.request_id,
        Record::Search(record) => &record.request_id,
        Record::Change(record) => &record.reason,
    };
    assert_ne!(id, POISON, "as the test wants");
}

/// Panics where a defect of the writer would.
pub(super) fn kill(line: &Line) {
    assert!(!line.says(DEADLY), "as the test wants");
}
