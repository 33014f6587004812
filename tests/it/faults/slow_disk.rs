//! F4: the disk of the decision log stands still, or hardly moves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::ledger::Ledger;
use super::{
    Connections, Finding, Tally, Traffic, Usage, alternate, half_load, mixed, mixed_sources,
    threads_that_wait_for_a_disk,
};
use crate::log_faults::{Site, account, until};
use crate::support::{Disk, Process, get, is_allow, status_within};

const SECOND: Duration = Duration::from_secs(1);
/// How long a round is.
const ROUND: Duration = Duration::from_secs(2);
/// Rounds of each kind.
const ROUNDS: usize = 6;
/// Calls a second at most: records of all rounds have to fit on the disk.
const MOST: u32 = 4_000;
/// How much longer 99 of 100 answers may take.
const SLOWER: f64 = 1.2;

fn site(disk: &Disk, settings: &[&str]) -> Site {
    Site::of(mixed_sources(), disk.path().join("log"), settings)
}

/// Waits until nothing is queued any more, and says how long that took.
fn written_out(process: &Process) -> Duration {
    let begun = Instant::now();
    until("all is written", || account(process)[2] == 0);
    begun.elapsed()
}

/// Ends a process, and holds its log to its account. Returns the records that were dropped.
#[track_caller]
fn ended(site: &Site, process: Process) -> u64 {
    process.terminate().check_code(0);
    let (dropped, lost) = Ledger::read(&site.log).check();
    assert_eq!(lost, 0);
    site.verify();
    dropped
}

#[test]
#[ignore = "make faults"]
fn decisions_do_not_notice_a_disk_that_stands_still() {
    let Some(disk) = Disk::ext4(512) else { return };
    let site = site(&disk, &["MODE=async"]);
    let process = site.start();
    let connections = Arc::new(Connections::to(&process.data));
    let rate = half_load(&connections).min(MOST);
    written_out(&process);
    let mut recovery = Duration::ZERO;
    let mut waited = BTreeSet::new();
    let standing = || {
        let frozen = disk.freeze();
        let traffic = Traffic::start(&connections, rate);
        std::thread::sleep(ROUND / 2);
        waited.extend(threads_that_wait_for_a_disk(process.pid()));
        std::thread::sleep(ROUND / 2);
        let tally = traffic.stop();
        drop(frozen);
        recovery = recovery.max(written_out(&process));
        tally
    };
    let compared = alternate(ROUNDS, || Traffic::run(&connections, rate, ROUND), standing);
    compared.all().for_each(|tally| _ = tally.check_all_answered());
    let dropped = ended(&site, process);
    let met = compared.ratio() <= SLOWER
        && dropped == 0
        && recovery <= 5 * SECOND
        && waited.iter().all(|thread| thread == "mandate-audit");
    Finding::of(
        "F4 disk stands still, async",
        "99 of 100 answers within 1.2×, nothing dropped while the queue lasts, one thread waits, all written within 5 s",
    )
    .figure("rate", rate)
    .figure("ratio", compared.ratio())
    .figure("recovery_seconds", recovery.as_secs_f64())
    .seen(met, format!("{compared} at {rate}/s, {dropped} dropped, {waited:?} wait, all written {recovery:.1?} later"));
}

/// Lets a disk move a tenth of the time, until told to end.
fn stutter(disk: &Disk, end: &AtomicBool) {
    while !end.load(Ordering::Relaxed) {
        let frozen = disk.freeze();
        std::thread::sleep(SECOND * 9 / 20);
        drop(frozen);
        std::thread::sleep(SECOND / 20);
    }
}

#[test]
#[ignore = "make faults"]
fn decisions_do_not_notice_a_disk_that_hardly_moves() {
    let Some(disk) = Disk::ext4(512) else { return };
    let site = site(&disk, &["MODE=async"]);
    let process = site.start();
    let connections = Arc::new(Connections::to(&process.data));
    let rate = half_load(&connections).min(MOST);
    written_out(&process);
    let slow = || {
        let end = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let moving = scope.spawn(|| stutter(&disk, &end));
            let tally = Traffic::run(&connections, rate, ROUND);
            end.store(true, Ordering::Relaxed);
            moving.join().expect("it moves");
            tally
        })
    };
    let compared = alternate(ROUNDS, || Traffic::run(&connections, rate, ROUND), slow);
    compared.all().for_each(|tally| _ = tally.check_all_answered());
    let dropped = ended(&site, process);
    Finding::of("F4 disk moves a tenth of the time, async", "99 of 100 answers within 1.2×, nothing dropped")
        .figure("rate", rate)
        .figure("ratio", compared.ratio())
        .seen(
            compared.ratio() <= SLOWER && dropped == 0,
            format!("{compared} at {rate}/s, {dropped} dropped"),
        );
}

#[test]
#[ignore = "make faults"]
fn what_finds_no_room_is_dropped_and_counted_exactly() {
    const QUEUE: u64 = 2_000;
    let Some(disk) = Disk::ext4(256) else { return };
    let site = site(&disk, &["MODE=async", "OVERFLOW=drop", &format!("QUEUE={QUEUE}")]);
    let process = site.start();
    let connections = Arc::new(Connections::to(&process.data));
    let rate = half_load(&connections).min(MOST);
    written_out(&process);
    let [_, before, _, already] = account(&process);
    let frozen = disk.freeze();
    let traffic = Traffic::start(&connections, rate);
    until("the queue is full", || account(&process)[3] > already + QUEUE);
    drop(frozen);
    let thawed = Instant::now();
    until("records are written again", || account(&process)[1] > before + QUEUE);
    let recovery = thawed.elapsed();
    let tally = traffic.stop();
    tally.check_all_answered();
    written_out(&process);
    let [.., counted] = account(&process);
    let memory = Usage::of(process.pid());
    let dropped = ended(&site, process);
    Finding::of(
        "F4 disk stands still for longer than the queue lasts, drop",
        "every call is answered, what is dropped is counted exactly, records are written again within 5 s",
    )
    .figure("dropped", dropped)
    .figure("resident_bytes", memory.resident)
    .figure("most_resident_bytes", memory.most_resident)
    .figure("recovery_seconds", recovery.as_secs_f64())
    .seen(
        dropped == counted && dropped > 0 && recovery <= 5 * SECOND,
        format!("{} of {} answered at {rate}/s, {dropped} dropped and as many told, written again {recovery:.1?} later",
            tally.answered(), tally.offered),
    );
}

#[test]
#[ignore = "make faults"]
fn in_deny_no_allow_is_given_once_there_is_no_room() {
    let Some(disk) = Disk::ext4(64) else { return };
    let site = site(&disk, &["MODE=async", "OVERFLOW=deny", "QUEUE=100"]);
    let process = site.start();
    let client = process.client();
    let allowed = || client.authorize(mixed(1).request).map(|answer| is_allow(&answer));
    assert!(allowed().expect("an answer"));
    let frozen = disk.freeze();
    until("there is no room", || !allowed().expect("an answer"));
    let mut slowest = Duration::ZERO;
    for _ in 0..200 {
        let begun = Instant::now();
        assert!(!allowed().expect("an answer"));
        slowest = slowest.max(begun.elapsed());
    }
    drop(frozen);
    let thawed = Instant::now();
    until("it allows again", || allowed().expect("an answer"));
    let recovery = thawed.elapsed();
    assert!(ended(&site, process) > 0);
    Finding::of(
        "F4 disk stands still for longer than the queue lasts, deny",
        "200 denials within 50 ms each, Allows again within 5 s",
    )
    .seen(
        slowest <= SECOND / 20 && recovery <= 5 * SECOND,
        format!("the slowest denial took {slowest:.1?}, the first Allow came {recovery:.1?} after"),
    );
}

#[test]
#[ignore = "make faults"]
fn durable_answers_wait_no_longer_than_their_deadline() {
    const DEADLINE: Duration = Duration::from_millis(500);
    let Some(disk) = Disk::ext4(64) else { return };
    let site = site(&disk, &["MODE=durable"]);
    let process = site.start();
    let rate = half_load(&Arc::new(Connections::to(&process.data))).min(100);
    let connections = Arc::new(Connections::to(&process.data).patient(DEADLINE));
    Traffic::run(&connections, rate, SECOND).check_all_answered();
    let frozen = disk.freeze();
    std::thread::sleep(SECOND / 10);
    let tally: Tally = Traffic::run(&connections, rate, 3 * SECOND);
    tally.check();
    let slowest = tally.refused.values().map(|refused| refused.latencies.max()).max().unwrap_or_default();
    let slowest = Duration::from_micros(slowest);
    // Tonic's client keeps its deadlines itself; curl leaves that to the server.
    let message = prost::Message::encode_to_vec(&mixed(1).request);
    let begun = Instant::now();
    let said = status_within(&process.data, "/mandate.v1.AuthorizationService/Authorize", &message, "500m");
    let (said, took) = (said.flatten(), begun.elapsed());
    drop(frozen);
    let thawed = Instant::now();
    until("it answers again", || Traffic::run(&connections, 50, SECOND / 20).answered() > 0);
    let recovery = thawed.elapsed();
    assert_eq!(ended(&site, process), 0);
    let met = tally.answered() == 0
        && slowest <= DEADLINE + SECOND / 20
        && said.as_deref().is_none_or(|code| code == "4")
        && took <= DEADLINE + SECOND / 5
        && recovery <= 5 * SECOND;
    Finding::of(
        "F4 disk stands still, durable",
        "no answer before its record is on disk, no call hangs beyond its deadline and 50 ms, answers again within 5 s",
    )
    .figure("recovery_seconds", recovery.as_secs_f64())
    .seen(met, format!(
        "{} of {} answered, the slowest refusal took {slowest:.1?}, by curl {took:.1?} (code {said:?}); answered again {recovery:.1?} after",
        tally.answered(), tally.offered,
    ));
}

#[test]
#[ignore = "make faults"]
fn a_process_told_to_stop_stops_serving_though_its_disk_stands_still() {
    let Some(disk) = Disk::ext4(64) else { return };
    let site = site(&disk, &["MODE=async"]);
    let process = site.start_with(&["MANDATE__SHUTDOWN__GRACE=1s", "MANDATE__SHUTDOWN__DRAIN=2s"]);
    let connections = Arc::new(Connections::to(&process.data));
    let rate = half_load(&connections).min(200);
    let frozen = disk.freeze();
    Traffic::run(&connections, rate, SECOND).check_all_answered();
    process.signal(Signal::SIGTERM);
    let told = Instant::now();
    until("it is not ready", || get(&format!("{}/readyz", process.ops)).status == 503);
    let unready = told.elapsed();
    let data = process.data.trim_start_matches("http://").to_owned();
    until("nobody is let in", || std::net::TcpStream::connect(&data).is_err());
    let closed = told.elapsed();
    drop(frozen);
    let thawed = Instant::now();
    process.ended().check_code(0);
    let end = thawed.elapsed();
    let (dropped, _) = Ledger::read(&site.log).check();
    Finding::of(
        "F4 SIGTERM while the disk stands still",
        "not ready within 1 s, closed within grace and drain, ends within 5 s of the thaw, nothing dropped",
    )
    .seen(
        unready <= SECOND && closed <= 4 * SECOND && end <= 5 * SECOND && dropped == 0,
        format!("not ready {unready:.1?} after, closed {closed:.1?} after, ended {end:.1?} after the thaw, {dropped} dropped"),
    );
}
