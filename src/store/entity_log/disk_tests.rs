//! Disks that lose what was not synced, and disks that fail: what was acknowledged is there, and what was refused is not.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use cedar_policy::EntityUid;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, StorageBackend};

use super::disk::{Disk, ENTITIES, Opening};
use super::facts::{Entry, Fact};

/// A disk with a cache that a loss of power empties.
#[derive(Debug, Clone, Default)]
pub(super) struct Platter(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What a read finds.
    seen: Vec<u8>,
    /// What is left after a loss of power, if none of `unsynced` got there.
    durable: Vec<u8>,
    /// Writes since the last sync, in order.
    unsynced: Vec<Change>,
    /// How many writes and syncs are done before every one fails; none: no end.
    left: Option<u32>,
    /// Whether a failing sync has written all the same.
    lying: bool,
}

#[derive(Debug, Clone)]
enum Change {
    Length(u64),
    Bytes(u64, Vec<u8>),
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Length(length) => to.resize(usize::try_from(*length).unwrap(), 0),
            Self::Bytes(offset, bytes) => {
                let start = usize::try_from(*offset).unwrap();
                if to.len() < start + bytes.len() {
                    to.resize(start + bytes.len(), 0);
                }
                to.get_mut(start..start + bytes.len()).unwrap().copy_from_slice(bytes);
            }
        }
    }
}

impl Platter {
    /// The same disk, some time after the power went: of what was not synced any part may have got there, torn ones too.
    pub(super) fn after_power_loss(&self, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let state = self.0.lock().unwrap();
        let mut durable = state.durable.clone();
        for change in &state.unsynced {
            match (random.random_range(0..4), change) {
                (0 | 1, _) => {}
                (2, change) => change.apply(&mut durable),
                (_, Change::Bytes(offset, bytes)) => {
                    let torn = bytes.get(..random.random_range(0..=bytes.len())).unwrap().to_vec();
                    Change::Bytes(*offset, torn).apply(&mut durable);
                }
                (_, change) => change.apply(&mut durable),
            }
        }
        drop(state);
        Self(Arc::new(Mutex::new(State { seen: durable.clone(), durable, ..State::default() })))
    }

    /// Lets so many writes and syncs through, and no more.
    pub(super) fn fail_after(&self, left: u32, lying: bool) {
        let mut state = self.0.lock().unwrap();
        (state.left, state.lying) = (Some(left), lying);
    }

    /// Lets everything through again.
    pub(super) fn recover(&self) {
        self.0.lock().unwrap().left = None;
    }

    pub(super) fn opening(&self) -> Opening {
        let platter = self.clone();
        Arc::new(move |builder| builder.create_with_backend(platter.clone()))
    }
}

impl State {
    fn spend(&mut self) -> io::Result<()> {
        match &mut self.left {
            Some(0) => Err(io::Error::from_raw_os_error(28)),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        self.spend()?;
        change.apply(&mut self.seen);
        self.unsynced.push(change);
        Ok(())
    }
}

impl StorageBackend for Platter {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        let found = state.seen.get(start..start + out.len());
        out.copy_from_slice(found.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.lock().unwrap().change(Change::Length(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let spent = state.spend();
        if spent.is_ok() || state.lying {
            state.durable = state.seen.clone();
            state.unsynced.clear();
        }
        spent
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().change(Change::Bytes(offset, bytes.to_vec()))
    }
}

fn put(sequence: u64, id: u64, text: &str) -> Entry {
    let uid: EntityUid = format!("T::\"{id}\"").parse().unwrap();
    Entry { sequence, by: "test".into(), facts: vec![Fact::Put(uid, text.into())] }
}

fn entities(database: &Database) -> BTreeMap<String, String> {
    let read = database.begin_read().unwrap();
    let table = read.open_table(ENTITIES).unwrap();
    let rows = table.iter().unwrap().map(|row| row.unwrap());
    rows.map(|(name, text)| (name.value().1.to_owned(), text.value().to_owned())).collect()
}

/// Writes, cuts the power after each commit, and says whether everything that was committed was there each time.
fn survives(durability: Durability, seed: u64) -> bool {
    let platter = Platter::default();
    let (mut disk, head) = Disk::open(platter.opening(), Some([7; 16])).unwrap();
    disk.commit_as(durability);
    let mut random = StdRng::seed_from_u64(seed);
    let mut committed = BTreeMap::new();
    for sequence in 1..30 {
        let (id, text) = (random.random_range(0..12_u64), format!("{sequence} {}", "x".repeat(300)));
        disk.commit(&[put(sequence, id, &text)], sequence, 0).unwrap();
        committed.insert(id.to_string(), text);
        let left = platter.after_power_loss(random.random());
        let Ok((mut disk, found)) = Disk::open(left.opening(), None) else { return false };
        if (found.log, found.last) != (head.log, sequence) || entities(&disk.database().unwrap()) != committed
        {
            return false;
        }
    }
    true
}

#[test]
fn what_was_committed_survives_a_loss_of_power() {
    for seed in 0..8 {
        assert!(survives(Durability::Immediate, seed), "seed {seed}");
    }
}

#[test]
fn a_commit_that_is_not_synced_is_noticed() {
    assert!((0..8).any(|seed| !survives(Durability::None, seed)), "the test before notices nothing");
}

/// The power goes in the middle of a commit, wherever that is: all of it is there, or nothing.
#[test]
fn a_commit_that_was_cut_short_counts_whole_or_not_at_all() {
    for left in 0..60 {
        let platter = Platter::default();
        let (mut disk, _head) = Disk::open(platter.opening(), Some([7; 16])).unwrap();
        disk.commit(&[put(1, 1, "first")], 1, 0).unwrap();
        platter.fail_after(left, left % 2 == 0);
        let written = disk.commit(&[put(2, 1, "second"), put(3, 2, "third")], 3, 0);
        for seed in 0..4 {
            let left = platter.after_power_loss(seed);
            let (mut disk, head) = Disk::open(left.opening(), None).unwrap();
            let found = entities(&disk.database().unwrap());
            let first = found.get("1").map(String::as_str);
            match head.last {
                1 => assert!(written.is_err() && first == Some("first") && found.len() == 1, "{found:?}"),
                3 => assert!(first == Some("second") && found.len() == 2, "{found:?}"),
                other => panic!("{other}"),
            }
        }
    }
}
