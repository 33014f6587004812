//! F15: three replicas are restarted one by one, again and again, under half of the load that they can take.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::fleet::Fleet;
use super::ledger::{Ledger, verify};
use super::{Finding, Traffic, half_load, mixed_sources};
use crate::support::{Process, Sources};

const REPLICAS: usize = 3;
/// How often each of them is restarted, unless `MANDATE_RESTARTS` says otherwise.
const ROUNDS: usize = 20;
/// The readiness of a replica is known everywhere a second after it changed; it serves for longer.
const GRACE: &str = "MANDATE__SHUTDOWN__GRACE=2500ms";
/// Calls a second at most: what is asked is that none of them fails, not how many records a disk holds.
const MOST: u32 = 2_000;

fn rounds() -> usize {
    std::env::var("MANDATE_RESTARTS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

fn start(sources: &Sources) -> Process {
    Process::try_start_with(sources, &[GRACE]).unwrap_or_else(|ended| panic!("{ended:?}"))
}

#[test]
#[ignore = "make faults"]
fn restarts_one_by_one_fail_no_call_and_lose_no_record() {
    let sources: Vec<_> = (0..REPLICAS).map(|_| mixed_sources()).collect();
    let mut processes: Vec<_> = sources.iter().map(start).collect();
    let fleet = Fleet::of(&processes);
    let rate = half_load(&fleet).min(MOST);
    // What finding the load out asked is recorded as well.
    let traffic = Traffic::start(&fleet, rate);
    let (mut ends, mut longest_start) = (Vec::new(), Duration::ZERO);
    for _ in 0..rounds() {
        for replica in 0..REPLICAS {
            let process = processes.remove(replica);
            let leaving = fleet.leaves(&process);
            let told = Instant::now();
            process.signal(Signal::SIGTERM);
            process.ended().check_code(0);
            ends.push(told.elapsed());
            leaving.join().expect("it left");
            let begun = Instant::now();
            processes.insert(replica, start(&sources[replica]));
            fleet.joins(&processes[replica]);
            longest_start = longest_start.max(begun.elapsed());
        }
    }
    let tally = traffic.stop();
    for process in processes {
        process.terminate().check_code(0);
    }
    let mut missing: std::collections::HashSet<_> = tally.decisions.iter().copied().collect();
    let mut dropped = 0;
    for sources in &sources {
        let log = sources.path("data/log");
        let ledger = Ledger::read(&log);
        assert_eq!(ledger.processes(), rounds() + 1);
        dropped += ledger.check().0;
        verify(&log, &sources.path("data/keys/log.pub"));
        missing.retain(|decision| !ledger.decisions.contains(decision));
    }
    ends.sort_unstable();
    let longest_end = ends[ends.len() - 1];
    let refusals: Vec<_> = tally
        .refused
        .iter()
        .map(|(code, refused)| (code, refused.latencies.len(), &refused.example))
        .collect();
    let seen = format!(
        "{} restarts at {rate}/s, p99 {:?}: {} of {} calls right, {} wrong, refused {refusals:?}, {} answers without a record, {dropped} dropped; \
         ends took {:.1?}, the longest {longest_end:.1?}",
        ends.len(),
        tally.within(99.0),
        tally.answered(),
        tally.offered,
        tally.wrong.len(),
        missing.len(),
        ends[ends.len() / 2],
    );
    let met = tally.answered() == tally.offered
        && missing.is_empty()
        && dropped == 0
        && longest_end < Duration::from_secs(25);
    tally.check();
    Finding::of(
        "F15 rolling restarts",
        "no call fails or is answered wrongly, no record is missing, each ends within 25 s",
    )
    .figure("rate", rate)
    .figure("calls", tally.offered)
    .figure("longest_end_seconds", longest_end.as_secs_f64())
    .figure("longest_start_seconds", longest_start.as_secs_f64())
    .figure("p99_micros", tally.right.value_at_percentile(99.0))
    .seen(met, seen);
}
