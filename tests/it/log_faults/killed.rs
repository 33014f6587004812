//! Processes that are killed, and disks that lose power, under load.

use std::collections::HashSet;
use std::fs;
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use super::{Seen, Site, number, of_answers};
use crate::support::{Client, Disk, Process};

/// How often a process is killed in each mode; `make soak` kills it more often.
const ROUNDS: usize = 20;
/// How often the power is cut.
const CUTS: usize = 3;

fn rounds(usual: usize) -> usize {
    std::env::var("MANDATE_KILLS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(usual)
}

/// Asks from several sides for a random while, does something bad, and says what clients saw until then.
fn ask_until(process: Process, random: &mut StdRng, end: impl FnOnce(Process, &Seen)) -> Seen {
    let seen = Seen::default();
    let address = process.data.clone();
    let pause = Duration::from_millis(random.random_range(5..400));
    thread::scope(|scope| {
        for asking in [Seen::ask, Seen::ask, Seen::ask_many, Seen::ask_many] {
            let (seen, client) = (&seen, Client::connect(&address));
            scope.spawn(move || asking(seen, &client));
        }
        thread::sleep(pause);
        end(process, &seen);
    });
    seen
}

/// What the latest start says of the process before.
fn previous(records: &[Value]) -> &Value {
    let start = records.iter().rfind(|record| record["kind"] == "start").expect("it started");
    &start["previous"]
}

/// Holds what the latest start says to what is there and to what clients saw. Returns the answers that are not there.
#[track_caller]
fn check(site: &Site, seen: &Seen, round: usize) -> u64 {
    check_from(site, 0, seen, round).0
}

/// The same, where the record of the number `first` is where the process that ended began, or before. Returns that of the latest
/// start, too.
#[track_caller]
fn check_from(site: &Site, first: u64, seen: &Seen, round: usize) -> (u64, u64) {
    let records = site.records_from(first);
    let start = records.iter().rfind(|record| record["kind"] == "start").expect("it started");
    let previous = previous(&records);
    let context = format!("round {round}: {previous}, {} answers, {:?} asked", seen.answers(), seen.asked);
    assert_eq!(previous["clean"], false, "{context}");
    let there = of_answers(&records, &previous["instance"]);
    let written = there.len() as u64;
    assert_eq!(number(&previous["written"]), written, "{context}");
    let ids: HashSet<_> = there.iter().filter_map(|record| record["decision_id"].as_str()).collect();
    assert_eq!(ids.len() as u64, written, "{context}: something is there twice");
    if previous["lost_at_most"].is_null() {
        let [issued, lost] = ["issued", "lost"].map(|name| number(&previous[name]));
        assert_eq!(issued, written + number(&previous["dropped"]) + lost, "{context}");
        assert!(issued >= seen.answers(), "{context}");
        assert!(issued <= seen.asked.load(std::sync::atomic::Ordering::SeqCst), "{context}");
    }
    let answered = seen.answered.lock().unwrap();
    let missing = answered.iter().filter(|id| !ids.contains(id.as_str())).count() as u64;
    (missing, number(&start["sequence"]))
}

/// What came of killing a process again and again.
#[derive(Debug, Default)]
pub(crate) struct Killed {
    /// Answers that clients were given, and how many of them are not in the log.
    pub(crate) answers: u64,
    pub(crate) missing: u64,
}

/// Kills a process so often, at random moments under load, holds every account to the log and to what clients saw, and has the log
/// verified. In which mode says the setting.
#[track_caller]
pub(crate) fn kill(settings: &[&str], rounds: usize) -> Killed {
    let site = Site::new(settings);
    let mut random = StdRng::seed_from_u64(7);
    let (mut before, mut first): (Option<Seen>, u64) = (None, 0);
    let mut killed = Killed::default();
    for round in 0..=rounds {
        let process = site.start();
        if let Some(seen) = before {
            let missing;
            (missing, first) = check_from(&site, first, &seen, round);
            killed.missing += missing;
            killed.answers += seen.answers();
        }
        before = Some(ask_until(process, &mut random, |process, _seen| process.crash()));
    }
    assert!(killed.answers > 0, "nothing was asked");
    site.start().terminate().check_code(0);
    site.verify();
    killed
}

#[test]
fn in_async_whatever_was_issued_is_there_or_lost() {
    kill(&["MODE=async"], rounds(ROUNDS));
}

#[test]
fn in_durable_whatever_was_answered_is_there() {
    assert_eq!(kill(&["MODE=durable"], rounds(ROUNDS)).missing, 0);
}

#[test]
fn what_finds_no_room_is_told_of_after_a_kill_too() {
    let site = Site::new(&["QUEUE=1"]);
    let mut random = StdRng::seed_from_u64(8);
    let mut lacking = 0;
    for round in 0..4 {
        let seen = ask_until(site.start(), &mut random, |process, _seen| process.crash());
        site.start().crash();
        let records = site.records();
        // The one that only came to look, and issued nothing, is told of by the next.
        lacking += number(&previous(&records)["dropped"]);
        check(&site, &seen, round);
    }
    assert!(lacking > 0, "a queue of one was never full");
}

#[test]
fn in_durable_an_answer_outlives_a_power_cut() {
    let Some(disk) = Disk::ext4(64) else { return };
    let site = Site::at(&disk.path().join("log"), &["MODE=durable", "OVERFLOW=block"]);
    let mut random = StdRng::seed_from_u64(9);
    let mut answers = 0;
    for round in 0..rounds(CUTS) {
        let process = site.start();
        // A kernel may say of a sync that is under way at the cut that it was done: after a cut nobody is told so.
        let mut before_the_cut = Vec::new();
        let seen = ask_until(process, &mut random, |process, seen| {
            before_the_cut.clone_from(&seen.answered.lock().unwrap());
            disk.cut_power();
            process.crash();
        });
        *seen.answered.lock().unwrap() = before_the_cut;
        disk.restore_power();
        site.start().crash();
        assert_eq!(check(&site, &seen, round), 0, "round {round}");
        answers += seen.answers();
    }
    assert!(answers > 0, "nothing was asked");
    site.start().terminate().check_code(0);
    site.verify();
}

#[test]
fn in_async_a_power_cut_loses_no_more_than_was_signed() {
    let Some(disk) = Disk::ext4(64) else { return };
    let site = Site::at(&disk.path().join("log"), &["MODE=async"]);
    let mut random = StdRng::seed_from_u64(10);
    let mut missing = 0;
    for round in 0..rounds(CUTS) {
        let process = site.start();
        let seen = ask_until(process, &mut random, |process, _seen| {
            disk.cut_power();
            process.crash();
        });
        disk.restore_power();
        // Memory is lost as well.
        for counters in fs::read_dir(site.sources.counters()).unwrap() {
            fs::remove_file(counters.unwrap().path()).unwrap();
        }
        site.start().crash();
        let lost = check(&site, &seen, round);
        let records = site.records();
        let previous = previous(&records);
        assert!(previous["lost"].is_null() && previous["issued"].is_null(), "{previous}");
        assert!(number(&previous["lost_at_most"]) >= lost, "round {round}: {lost} are missing: {previous}");
        missing += lost;
    }
    assert!(missing > 0, "the power was cut and nothing was lost: that was no power cut");
}
