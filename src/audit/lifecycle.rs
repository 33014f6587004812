//! What the writer says by itself: that it begins and ends, what is missing, and what was signed.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;
use uuid::Uuid;

use super::counts::{Counts, DropReason};
use super::ledger::Left;
use super::spool::opened::Traces;

/// A record that no answer made.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Lifecycle {
    /// A process begins.
    Start(Start),
    /// It ends, and has written all it will.
    Stop(Told),
    /// Records are missing.
    Gap(Gap),
    /// What was written is signed.
    Checkpoint {
        /// The signed note.
        note: String,
    },
    /// Old segments were deleted.
    Retention {
        /// Sequence of the first record that is kept.
        oldest: u64,
        /// How many records were deleted.
        count: u64,
    },
}

/// The beginning of a process.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Start {
    /// Version of Mandate.
    pub(super) version: &'static str,
    /// `async` or `durable`.
    pub(super) mode: &'static str,
    /// What becomes of a record without room: `drop`, `block`, `deny`.
    pub(super) overflow: &'static str,
    /// Bytes behind the last whole record that were cut off.
    #[serde(skip_serializing_if = "is_nought")]
    pub(super) torn_bytes: u64,
    /// What became of the process before; none if the log is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<Previous>,
}

/// What became of the process before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Previous {
    /// Which.
    pub(super) instance: Uuid,
    /// Whether it said that it stops.
    pub(super) clean: bool,
    /// How many records it issued, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) issued: Option<u64>,
    /// How many of them are here.
    pub(super) written: u64,
    /// How many it dropped, as far as is known.
    pub(super) dropped: u64,
    /// How many are missing: neither here nor dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lost: Option<u64>,
    /// How many may be missing at most, by what was signed ahead; where the counters did not outlive it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lost_at_most: Option<u64>,
}

/// What the counters of the process before say, where they outlived it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    /// Records it had issued.
    pub(super) issued: u64,
    /// Records it had dropped.
    pub(super) dropped: u64,
}

impl From<Left> for Counted {
    fn from(left: Left) -> Self {
        Self { issued: left.issued, dropped: left.all_dropped() }
    }
}

impl Previous {
    /// Puts together what the records say and what the counters say.
    pub(super) fn of(traces: &Traces, counted: Option<Counted>) -> Option<Self> {
        let instance = traces.instance?;
        let facts = traces.facts.as_ref();
        let written = facts.map_or(0, |facts| facts.written) + traces.since;
        let dropped = facts.map_or(0, |facts| facts.dropped);
        let missing = |issued: u64, dropped: u64| issued.saturating_sub(written + dropped);
        let known = Self {
            instance,
            clean: traces.stopped,
            issued: None,
            written,
            dropped,
            lost: None,
            lost_at_most: None,
        };
        Some(match counted {
            _ if traces.stopped => {
                let issued = facts.map_or(0, |facts| facts.issued);
                Self { issued: Some(issued), lost: Some(missing(issued, dropped)), ..known }
            }
            Some(Counted { issued, dropped }) => {
                Self { issued: Some(issued), dropped, lost: Some(missing(issued, dropped)), ..known }
            }
            None => {
                let reserved = facts.map_or(0, |facts| facts.reserved);
                Self { lost_at_most: Some(missing(reserved, dropped)), ..known }
            }
        })
    }
}

/// The account of a process, at its end.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Told {
    issued: u64,
    written: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    dropped: BTreeMap<&'static str, u64>,
}

impl Told {
    /// As it is counted now.
    pub(super) fn of(counts: &Counts) -> Self {
        let dropped = DropReason::ALL.map(|reason| (reason.as_str(), counts.dropped_for(reason)));
        let Counts { issued, written, .. } = *counts;
        Self { issued, written, dropped: dropped.into_iter().filter(|(_, count)| *count > 0).collect() }
    }
}

/// Records that were dropped.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Gap {
    /// Why.
    pub(super) reason: &'static str,
    /// How many.
    pub(super) count: u64,
    /// After when.
    #[serde(serialize_with = "super::line::time")]
    pub(super) from: SystemTime,
    /// Before when.
    #[serde(serialize_with = "super::line::time")]
    pub(super) to: SystemTime,
}

/// What has been told of drops, and what is still to be told.
#[derive(Debug)]
pub(super) struct Gaps {
    told: [u64; DropReason::ALL.len()],
    since: SystemTime,
}

impl Gaps {
    /// Nothing is missing so far.
    pub(super) fn new() -> Self {
        Self { told: [0; DropReason::ALL.len()], since: SystemTime::now() }
    }

    /// The gaps that have not been told of, by these counts.
    pub(super) fn new_ones(&self, counts: &Counts) -> Vec<Gap> {
        let (from, to) = (self.since, SystemTime::now());
        let untold = DropReason::ALL.into_iter().zip(self.told).map(|(reason, told)| {
            let count = counts.dropped_for(reason).saturating_sub(told);
            Gap { reason: reason.as_str(), count, from, to }
        });
        untold.filter(|gap| gap.count > 0).collect()
    }

    /// They have been told of now.
    pub(super) fn told(&mut self, counts: &Counts) {
        self.told = DropReason::ALL.map(|reason| counts.dropped_for(reason));
        self.since = SystemTime::now();
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde names the field's own type")]
fn is_nought(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tree::checkpoint::{Facts, SegmentMark};

    fn traces(stopped: bool, since: u64) -> Traces {
        let facts = Facts {
            time: String::new(),
            instance: Uuid::from_u128(1),
            issued: 100,
            written: 80,
            dropped: 5,
            reserved: 1_000,
            segment: SegmentMark { first: 0, header: String::new() },
        };
        Traces { instance: Some(Uuid::from_u128(1)), facts: Some(facts), since, stopped, ..Traces::default() }
    }

    #[test]
    fn what_is_lost_is_exact_where_the_counters_are_there_and_bounded_where_not() {
        let exact = Previous::of(&traces(false, 30), Some(Counted { issued: 120, dropped: 7 })).unwrap();
        assert_eq!((exact.written, exact.issued, exact.dropped, exact.lost), (110, Some(120), 7, Some(3)));
        let bounded = Previous::of(&traces(false, 30), None).unwrap();
        assert_eq!((bounded.lost, bounded.lost_at_most), (None, Some(1_000 - 110 - 5)));
        assert_eq!(Previous::of(&Traces::default(), None), None);
    }
}
