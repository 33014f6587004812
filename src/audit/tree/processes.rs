//! Who wrote what: starts and stops of processes, and what they say of records that are missing.

use std::borrow::Cow;

use serde::Deserialize;
use uuid::Uuid;

use super::finding::{Fault, Remark};

/// What a verification reads of every record. Everything else is in the tree as bytes.
#[derive(Debug, Deserialize)]
pub(super) struct Head<'a> {
    #[serde(borrow)]
    pub(super) kind: Cow<'a, str>,
    pub(super) sequence: u64,
    pub(super) instance: Uuid,
}

/// What it reads of a gap.
#[derive(Debug, Deserialize)]
struct Gap {
    reason: String,
    count: u64,
}

/// What it reads of a start.
#[derive(Debug, Deserialize)]
struct Start {
    #[serde(default)]
    previous: Option<Previous>,
}

/// What a start says of the process before.
#[derive(Debug, Deserialize)]
struct Previous {
    #[serde(default)]
    instance: Option<Uuid>,
    clean: bool,
    #[serde(default)]
    lost: Option<u64>,
    #[serde(default)]
    lost_at_most: Option<u64>,
}

/// The process whose records are read.
#[derive(Debug, Clone, Copy)]
struct Process {
    instance: Uuid,
    stopped: bool,
}

/// The processes of a log, one after the other.
#[derive(Debug, Default)]
pub(super) struct Processes {
    current: Option<Process>,
    pub(super) remarks: Vec<Remark>,
}

impl Processes {
    /// Takes the next record.
    pub(super) fn record(&mut self, head: &Head<'_>, line: &[u8]) -> Result<(), Fault> {
        match &*head.kind {
            "start" => return self.start(head, read(line)?),
            "gap" => {
                let Gap { reason, count } = read(line)?;
                self.remarks.push(Remark::Gap { count, reason });
            }
            _ => {}
        }
        // A log that begins later than its first record begins amid a process.
        let current = self.current.get_or_insert(Process { instance: head.instance, stopped: false });
        if current.instance != head.instance {
            return Err(Fault::Stranger(head.instance));
        }
        if current.stopped && head.kind != "checkpoint" {
            return Err(Fault::AfterStop);
        }
        current.stopped |= head.kind == "stop";
        Ok(())
    }

    fn start(&mut self, head: &Head<'_>, start: Start) -> Result<(), Fault> {
        let before = self.current.replace(Process { instance: head.instance, stopped: false });
        let unclean = start.previous.filter(|previous| !previous.clean);
        let Some(before) = before else { return Ok(()) };
        if !before.stopped
            && unclean.as_ref().is_none_or(|unclean| unclean.instance.is_some_and(|of| of != before.instance))
        {
            return Err(Fault::Undeclared);
        }
        let Some(previous) = unclean else { return Ok(()) };
        let instance = before.instance;
        self.remarks.push(Remark::UncleanEnd(instance));
        if let Some(count) = previous.lost.filter(|lost| *lost > 0) {
            self.remarks.push(Remark::Lost { count, instance });
        }
        if let Some(count) = previous.lost_at_most {
            self.remarks.push(Remark::LostAtMost { count, instance });
        }
        Ok(())
    }

    /// What is left to say at the end of the log.
    pub(super) fn end(&mut self) {
        if let Some(process) = self.current.filter(|process| !process.stopped) {
            self.remarks.push(Remark::Open(process.instance));
        }
    }

    /// What is between here and what is read next is unknown.
    pub(super) fn forget(&mut self) {
        self.current = None;
    }
}

/// What a record says, as far as it is asked.
pub(super) fn read<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_slice(line).map_err(|error| Fault::NoRecord(error.to_string()))
}
