//! A server that is killed under writes: whatever it acknowledged is there, and nothing that it refused.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use mandate::server::pb::value::Kind;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{Admin, doc, level, sources, uid, value, view_since};
use crate::support::{Process, is_allow};

/// How often it is killed; `make soak` kills it more often.
const ROUNDS: usize = 20;

fn rounds() -> usize {
    std::env::var("MANDATE_KILLS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

/// A writer of one document: what was acknowledged last, and what was asked for last.
#[derive(Debug, Default, Clone)]
struct Account {
    acknowledged: i64,
    asked: i64,
    revision: String,
}

#[test]
fn what_was_acknowledged_is_there_after_every_kill() {
    assert!(kill(rounds()) > 0, "nothing was written");
}

/// Kills a server so often, at random moments under writes, and holds what is stored to what was acknowledged each time. Returns how many
/// writes were.
#[track_caller]
pub(crate) fn kill(rounds: usize) -> i64 {
    const WRITERS: usize = 3;
    let sources = sources();
    let mut random = StdRng::seed_from_u64(20);
    let accounts: Vec<Mutex<Account>> = (0..WRITERS).map(|_| Mutex::default()).collect();
    for round in 0..rounds {
        let process = Process::start(&sources);
        check(&process, &sources, &accounts, round);
        let pause = Duration::from_millis(random.random_range(5..120));
        thread::scope(|scope| {
            for (writer, account) in accounts.iter().enumerate() {
                let admin = Admin::of_process(&process, &sources);
                scope.spawn(move || write_until_killed(&admin, writer, account));
            }
            thread::sleep(pause);
            process.crash();
        });
    }
    let process = Process::start(&sources);
    check(&process, &sources, &accounts, rounds);
    accounts.iter().map(|account| account.lock().unwrap().acknowledged).sum()
}

fn write_until_killed(admin: &Admin, writer: usize, account: &Mutex<Account>) {
    loop {
        let next = account.lock().unwrap().asked + 1;
        account.lock().unwrap().asked = next;
        match admin.put(vec![doc(&format!("w{writer}"), next, &["plan"])]) {
            Ok(revision) => {
                let mut account = account.lock().unwrap();
                (account.acknowledged, account.revision) = (next, revision);
            }
            Err(_killed) => return,
        }
    }
}

fn check(process: &Process, sources: &crate::support::Sources, accounts: &[Mutex<Account>], round: usize) {
    let admin = Admin::of_process(process, sources);
    for (writer, account) in accounts.iter().enumerate() {
        let account = account.lock().unwrap().clone();
        let id = format!("w{writer}");
        let Ok(got) = admin.get(uid(&id)) else {
            assert_eq!(account.acknowledged, 0, "round {round}: {id} is lost");
            continue;
        };
        let entity = got.entity.unwrap();
        let Some(Kind::Long(stored)) = level(&entity).and_then(|level| level.kind.clone()) else {
            panic!("{entity:?}")
        };
        let range = account.acknowledged..=account.asked;
        assert!(range.contains(&stored), "round {round}: {id} is at {stored}, not in {range:?}");
        assert_eq!(level(&entity), Some(&value(Kind::Long(stored))));
        if !account.revision.is_empty() {
            // Its revision is honoured, by another process too.
            assert!(
                is_allow(&process.client().authorize(view_since(&id, &account.revision)).unwrap()),
                "round {round}"
            );
        }
    }
}
