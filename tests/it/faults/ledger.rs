//! What stands in a decision log, held to the accounts that processes gave of themselves. Reads logs of any length quickly; whether records
//! are as their schema says is tested elsewhere.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use mandate::audit::spool::reader::LogReader;
use serde::Deserialize;
use uuid::Uuid;

use crate::support::mandate;

/// Records that are read at once, and bytes.
const SLICE: (usize, usize) = (10_000, 16 << 20);

#[derive(Debug, Deserialize)]
struct Line {
    sequence: u64,
    kind: String,
    instance: Uuid,
    decision_id: Option<Uuid>,
    count: Option<u64>,
    issued: Option<u64>,
    written: Option<u64>,
    #[serde(default)]
    dropped: serde_json::Value,
    previous: Option<Previous>,
}

#[derive(Debug, Deserialize)]
struct Previous {
    instance: Option<Uuid>,
    clean: Option<bool>,
    issued: Option<u64>,
    written: Option<u64>,
    lost: Option<u64>,
    #[serde(default)]
    dropped: serde_json::Value,
}

/// A count, or counts by reason.
fn total(dropped: &serde_json::Value) -> u64 {
    match dropped {
        serde_json::Value::Object(reasons) => reasons.values().map(total).sum(),
        value => value.as_u64().unwrap_or_default(),
    }
}

/// What a process said of itself, or the next one of it.
#[derive(Debug, Clone, Copy)]
struct Account {
    issued: u64,
    written: u64,
    dropped: u64,
    lost: u64,
}

/// One log.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// How many records there are, those of the writer itself included.
    pub(crate) records: u64,
    /// Every decision, each once.
    pub(crate) decisions: HashSet<Uuid>,
    /// Records that answers made, by process.
    there: HashMap<Uuid, u64>,
    /// Records that a process told were missing.
    told: HashMap<Uuid, u64>,
    accounts: BTreeMap<Uuid, Account>,
}

impl Ledger {
    /// Reads a log, whose records must be numbered without a gap.
    #[track_caller]
    pub(crate) fn read(log: &Path) -> Self {
        let mut ledger = Self::default();
        let mut reader = LogReader::new(log, 0);
        loop {
            let entries = reader.read(u64::MAX, SLICE.0, SLICE.1).expect("the log can be read");
            if entries.is_empty() {
                return ledger;
            }
            for entry in entries {
                let line: Line = serde_json::from_slice(&entry.line).expect("a record");
                assert_eq!(line.sequence, ledger.records, "a gap in the numbers of {}", log.display());
                ledger.records += 1;
                ledger.take(line);
            }
        }
    }

    fn take(&mut self, line: Line) {
        match line.kind.as_str() {
            "start" => self.take_previous(line.previous),
            "stop" => {
                let [issued, written] = [line.issued, line.written].map(Option::unwrap_or_default);
                let account = Account { issued, written, dropped: total(&line.dropped), lost: 0 };
                self.accounts.insert(line.instance, account);
            }
            "gap" => *self.told.entry(line.instance).or_default() += line.count.unwrap_or_default(),
            "checkpoint" | "retention" | "generation" => {}
            _ => {
                *self.there.entry(line.instance).or_default() += 1;
                if let Some(decision) = line.decision_id {
                    assert!(self.decisions.insert(decision), "{decision} is there twice");
                }
            }
        }
    }

    fn take_previous(&mut self, previous: Option<Previous>) {
        let Some(previous) = previous.filter(|previous| previous.clean == Some(false)) else { return };
        let Some(instance) = previous.instance else { return };
        let [issued, written, lost] =
            [previous.issued, previous.written, previous.lost].map(Option::unwrap_or_default);
        let account = Account { issued, written, dropped: total(&previous.dropped), lost };
        self.accounts.insert(instance, account);
    }

    /// Fails unless every process gave an account, it balances, and what it says was written is there. Returns the records that
    /// were dropped, and those that were lost.
    #[track_caller]
    pub(crate) fn check(&self) -> (u64, u64) {
        for instance in self.there.keys() {
            assert!(
                self.accounts.contains_key(instance),
                "{instance} gave no account, nor did another of it"
            );
        }
        let (mut dropped, mut lost) = (0, 0);
        for (instance, account) in &self.accounts {
            let there = self.there.get(instance).copied().unwrap_or_default();
            assert_eq!(account.written, there, "{instance}: {account:?}");
            assert_eq!(account.issued, there + account.dropped + account.lost, "{instance}: {account:?}");
            let told = self.told.get(instance).copied().unwrap_or_default();
            assert!(
                account.lost > 0 || told == account.dropped,
                "{instance}: {told} were told of {account:?}"
            );
            dropped += account.dropped;
            lost += account.lost;
        }
        (dropped, lost)
    }

    /// How many processes gave an account.
    pub(crate) fn processes(&self) -> usize {
        self.accounts.len()
    }
}

/// Has the command verify a log.
#[track_caller]
pub(crate) fn verify(log: &Path, key: &Path) {
    let words = ["log", "verify", "--key"].map(std::ffi::OsString::from);
    mandate(words.into_iter().chain([key.into(), log.into()])).check_code(0);
}
