//! F5: the disk of the decision log is full, or that of the entity log.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tonic::Code;

use super::ledger::Ledger;
use super::{Connections, Finding, Traffic, alternate, half_load, mixed, mixed_sources};
use crate::entity_log::{Admin, doc};
use crate::log_faults::{Site, account, until};
use crate::support::{Ballast, Disk, Process, is_allow};

const SECOND: Duration = Duration::from_secs(1);
const ROUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 5;
/// Calls a second at most: the records of all quiet rounds have to fit.
const MOST: u32 = 2_000;
/// Longest time until records are written again once there is room.
const RESUMED: Duration = Duration::from_secs(2);

fn site(disk: &Disk, settings: &[&str]) -> Site {
    Site::of(mixed_sources(), disk.path().join("log"), settings)
}

/// Makes room, and says how long it took until so many more records were written.
fn resumed(process: &Process, ballast: Ballast) -> Duration {
    let [_, before, _, _] = account(process);
    drop(ballast);
    let begun = Instant::now();
    until("records are written again", || account(process)[1] > before);
    begun.elapsed()
}

#[test]
#[ignore = "make faults"]
fn decisions_do_not_notice_a_full_disk_and_what_is_dropped_is_counted() {
    let Some(disk) = Disk::small(256 << 10) else { return };
    let site = site(&disk, &["MODE=async", "OVERFLOW=drop"]);
    let process = site.start();
    let connections = Arc::new(Connections::to(&process.data));
    let rate = half_load(&connections).min(MOST);
    until("all is written", || account(&process)[2] == 0);
    let mut recovery = Duration::ZERO;
    let full = || {
        let ballast = disk.fill();
        let tally = Traffic::run(&connections, rate, ROUND);
        let meanwhile = Traffic::start(&connections, rate.min(200));
        recovery = recovery.max(resumed(&process, ballast));
        meanwhile.stop().check_all_answered();
        tally
    };
    let compared = alternate(ROUNDS, || Traffic::run(&connections, rate, ROUND), full);
    compared.all().for_each(|tally| _ = tally.check_all_answered());
    process.terminate().check_code(0);
    let (dropped, lost) = Ledger::read(&site.log).check();
    site.verify();
    Finding::of(
        "F5 disk full, drop",
        "every call is answered, 99 of 100 within 1.2×, what is dropped is counted exactly, written again within 2 s, the log verifies",
    )
    .figure("rate", rate)
    .figure("ratio", compared.ratio())
    .figure("dropped", dropped)
    .figure("recovery_seconds", recovery.as_secs_f64())
    .seen(
        compared.ratio() <= 1.2 && dropped > 0 && lost == 0 && recovery <= RESUMED,
        format!("{compared} at {rate}/s, {dropped} dropped and as many told, written again within {recovery:.1?}"),
    );
}

#[test]
#[ignore = "make faults"]
fn where_answers_wait_none_is_given_and_none_is_lost() {
    const DEADLINE: Duration = Duration::from_millis(500);
    let Some(disk) = Disk::small(8 << 10) else { return };
    let site = site(&disk, &["MODE=async", "OVERFLOW=block", "QUEUE=64"]);
    let process = site.start();
    // Not half of what it can: finding that out would fill so small a disk.
    let rate = 100;
    let connections = Arc::new(Connections::to(&process.data).patient(DEADLINE));
    let ask = |time| Traffic::run(&connections, rate, time);
    ask(SECOND).check_all_answered();
    let ballast = disk.fill();
    until("nothing is answered", || ask(SECOND / 4).answered() == 0);
    let full = ask(3 * SECOND);
    full.check();
    drop(ballast);
    let begun = Instant::now();
    until("it answers again", || ask(SECOND / 20).answered() > 0);
    let recovery = begun.elapsed();
    let after = ask(SECOND);
    after.check_all_answered();
    process.terminate().check_code(0);
    let ledger = Ledger::read(&site.log);
    ledger.check();
    site.verify();
    let missing = after.decisions.iter().filter(|decision| !ledger.decisions.contains(decision)).count();
    Finding::of(
        "F5 disk full, block",
        "nothing is answered, nothing answered is missing, answers again within 2 s",
    )
    .figure("recovery_seconds", recovery.as_secs_f64())
    .seen(
        full.answered() == 0 && missing == 0 && recovery <= RESUMED,
        format!(
            "{} of {} answered, {missing} missing, again {recovery:.1?} after",
            full.answered(),
            full.offered
        ),
    );
}

#[test]
#[ignore = "make faults"]
fn where_answers_are_denials_no_allow_is_given() {
    let Some(disk) = Disk::small(8 << 10) else { return };
    let site = site(&disk, &["MODE=async", "OVERFLOW=deny"]);
    let process = site.start();
    let client = process.client();
    let allowed = || client.authorize(mixed(1).request).map(|answer| is_allow(&answer)).expect("an answer");
    assert!(allowed());
    let ballast = disk.fill();
    until("it denies", || !allowed());
    let denied = (0..1000).filter(|_| !allowed()).count();
    drop(ballast);
    let begun = Instant::now();
    until("it allows again", allowed);
    let recovery = begun.elapsed();
    process.terminate().check_code(0);
    let (dropped, _) = Ledger::read(&site.log).check();
    site.verify();
    Finding::of(
        "F5 disk full, deny",
        "1,000 answers are denials, Allows again within 2 s, the account is exact",
    )
    .seen(
        denied == 1000 && dropped > 0 && recovery <= RESUMED,
        format!("{denied} denials, {dropped} dropped and as many told, the first Allow {recovery:.1?} after"),
    );
}

#[test]
#[ignore = "make faults"]
fn writes_to_a_full_entity_log_are_refused_and_decisions_go_on() {
    let Some(disk) = Disk::small(16 << 10) else { return };
    let sources = mixed_sources();
    fs::create_dir(disk.path().join("data")).expect("a folder");
    symlink(disk.path().join("data"), sources.path("data")).expect("a link");
    let site = Site::of(sources, tempfile::tempdir().expect("a folder").keep(), &["MODE=async"]);
    let process = site.start();
    let admin = Admin::of_process(&process, &site.sources);
    let connections = Arc::new(Connections::to(&process.data));
    let put = |level| admin.put(vec![doc("written", level, &["notes"])]);
    put(1).expect("there is room");
    let traffic = Traffic::start(&connections, half_load(&connections).min(500));
    let ballast = disk.fill();
    let mut level = 1;
    let mut refused = Vec::new();
    let begun = Instant::now();
    while refused.len() < 20 && begun.elapsed() < 20 * SECOND {
        level += 1;
        // What room its file has within itself is used up first.
        if let Err(status) = put(level) {
            refused.push(status);
        }
    }
    drop(ballast);
    let room = Instant::now();
    until("it writes again", || put(1_000).is_ok());
    let recovery = room.elapsed();
    traffic.stop().check_all_answered();
    process.terminate().check_code(0);
    let again = site.start();
    let admin = Admin::of_process(&again, &site.sources);
    let stored =
        admin.get(crate::entity_log::uid("written")).expect("it is there").entity.expect("an entity");
    let kept = crate::entity_log::level(&stored).cloned();
    again.terminate().check_code(0);
    fs::remove_dir_all(&site.log).expect("the log");
    let codes: Vec<_> = refused.iter().map(tonic::Status::code).collect();
    let met = !codes.is_empty()
        && codes.iter().all(|code| matches!(code, Code::Unavailable | Code::ResourceExhausted))
        && recovery <= RESUMED
        && kept == Some(crate::support::long_value(1_000));
    Finding::of(
        "F5 disk full, entity log",
        "writes are refused and say so, every decision goes on, writes again within 2 s, a restart has the last write",
    )
    .seen(met, format!(
        "{} writes refused as {:?} ({}), written again {recovery:.1?} after, {kept:?} is there",
        codes.len(), codes.first(), refused.first().map_or("", |status| status.message()),
    ));
}
