//! A disk that stands still: whoever writes to it waits, and cannot be ended. Decisions go on where they need not wait.

use std::time::{Duration, Instant};

use super::{Site, account, check_orderly_end, dropped, number, until, view};
use crate::support::{Client, Disk, Load, is_allow};

/// Records that may wait.
const QUEUE: u64 = 300;
/// Answers that one figure is taken over.
const MEASURED: usize = 400;
/// How often the figures are taken: the machine does other things, too.
const ROUNDS: usize = 4;

#[test]
fn decisions_go_on_and_what_waited_is_written_after_the_thaw() {
    let Some(disk) = Disk::ext4(32) else { return };
    let site = Site::at(&disk.path().join("log"), &["MODE=async", &format!("QUEUE={QUEUE}")]);
    let process = site.start();
    let client = process.client();
    let mut issued = 0;
    let mut ask = |times: u64| {
        for _ in 0..times {
            assert!(is_allow(&client.authorize(view()).unwrap()));
        }
        issued += times;
    };
    ask(200);
    until("all is written", || account(&process)[2] == 0);
    let frozen = disk.freeze();
    ask(QUEUE / 2);
    let [_, written, queued, none] = account(&process);
    assert!(queued > 0 && none == 0, "{queued} wait, {none} are dropped");
    // Now there is no room any more.
    ask(2 * QUEUE);
    let [counted, still, queued, lost] = account(&process);
    assert_eq!((counted, still), (issued, written), "all is answered, and nothing written");
    assert!(lost > 0 && queued <= QUEUE + 1, "{queued} wait, {lost} are dropped");
    drop(frozen);
    until("what waited is written", || account(&process)[2] == 0);
    process.terminate().check_code(0);
    let stop = check_orderly_end(&site);
    assert_eq!((number(&stop["issued"]), dropped(&stop)), (issued, lost));
}

/// The time in which 99 of 100 answers came.
fn nearly_all(client: &Client) -> Duration {
    let mut took: Vec<_> = (0..MEASURED)
        .map(|_| {
            let begun = Instant::now();
            assert!(is_allow(&client.authorize(view()).unwrap()));
            begun.elapsed()
        })
        .collect();
    took.sort_unstable();
    took[MEASURED * 99 / 100]
}

#[test]
fn decisions_are_as_fast_as_on_a_disk_that_moves() {
    let Some(disk) = Disk::ext4(32) else { return };
    let site = Site::at(&disk.path().join("log"), &["MODE=async", &format!("QUEUE={QUEUE}")]);
    let process = site.start();
    let client = process.client();
    nearly_all(&client);
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let moving = nearly_all(&client);
            let frozen = disk.freeze();
            let standing = nearly_all(&client);
            drop(frozen);
            (moving, standing)
        })
        .collect();
    let best = rounds.iter().min_by_key(|(moving, standing)| standing.saturating_sub(*moving));
    let (moving, standing) = best.unwrap();
    eprintln!("99 of 100 answers, moving and standing: {rounds:?}");
    assert!(*standing <= *moving * 6 / 5, "{rounds:?}");
}

#[test]
fn no_durable_answer_is_given_before_its_record_is_on_disk() {
    let Some(disk) = Disk::ext4(32) else { return };
    let site = Site::at(&disk.path().join("log"), &["MODE=durable", "OVERFLOW=block"]);
    let process = site.start();
    assert!(is_allow(&process.client().authorize(view()).unwrap()));
    let frozen = disk.freeze();
    let load = Load::of(&process.data, 100, vec![view()]);
    std::thread::sleep(Duration::from_secs(2));
    let thawing = Instant::now();
    drop(frozen);
    let allows = |call: &crate::support::Call| call.outcome.as_ref().is_ok_and(is_allow);
    load.until(Duration::from_secs(30), allows);
    let calls = load.finish();
    assert_eq!(calls.iter().filter(|call| allows(call) && call.ended < thawing).count(), 0);
    let allowed = calls.iter().filter(|call| allows(call)).count() as u64;
    process.terminate().check_code(0);
    let stop = check_orderly_end(&site);
    assert!(number(&stop["written"]) > allowed, "{allowed} were answered after one: {stop}");
    assert_eq!(dropped(&stop), 0, "{stop}");
}
