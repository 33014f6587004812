//! What the harness must notice, or it would find nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::share::Share;
use super::traffic::closed_loop;
use super::{Ask as _, Asked, Connections, Finding, Outcome, Traffic, Usage, mixed, mixed_sources};
use super::{threads_that_wait_for_a_disk, traffic::CLIENTS};
use crate::support::Process;

const SECOND: Duration = Duration::from_secs(1);

#[test]
#[ignore = "make faults"]
fn a_server_that_stands_still_hides_nothing() {
    let process = Process::start(&mixed_sources());
    let connections = Arc::new(Connections::to(&process.data));
    let traffic = Traffic::start(&connections, 200);
    std::thread::sleep(SECOND);
    process.signal(Signal::SIGSTOP);
    std::thread::sleep(SECOND);
    process.signal(Signal::SIGCONT);
    std::thread::sleep(SECOND / 4);
    let tally = traffic.stop();
    tally.check_all_answered();
    // Of 450 calls 200 were due while it stood still: evenly from a second to nothing.
    let (most, middle) = (tally.within(99.0), tally.within(75.0));
    let met = most > SECOND * 9 / 10 && middle > SECOND / 4;
    Finding::of("F0 harness: a stall of a second", "is in the latencies of all calls that were due in it")
        .seen(met, format!("p75 {middle:?}, p99 {most:?}"));
}

#[test]
#[ignore = "make faults"]
fn wrong_answers_and_refusals_are_noticed() {
    let process = Process::start(&mixed_sources());
    let inverted = |number| Asked { allow: !mixed(number).allow, ..mixed(number) };
    let tally = Traffic::run(&Arc::new(Connections::asking(&process.data, inverted)), 100, SECOND / 4);
    assert_eq!((tally.answered(), tally.wrong.len() as u64), (0, tally.offered));
    let connections = Connections::to(&process.data);
    assert!(matches!(CLIENTS.block_on(connections.ask(1)), Outcome::Right(_)));
    process.crash();
    let refused = Traffic::run(&Arc::new(connections), 100, SECOND / 4);
    assert_eq!((refused.answered(), refused.refusals()), (0, refused.offered));
    let noticed = std::panic::catch_unwind(|| refused.check_all_answered().offered).is_err()
        && std::panic::catch_unwind(|| tally.check().offered).is_err();
    Finding::of("F0 harness: wrong answers and refusals", "are noticed")
        .seen(noticed, format!("{} wrong, {} refused", tally.wrong.len(), refused.refusals()));
}

#[test]
#[ignore = "make faults"]
fn a_process_is_held_to_its_share_of_a_core() {
    let process = Process::start(&mixed_sources());
    let connections = Arc::new(Connections::to(&process.data));
    let used = || {
        let (before, begun) = (Usage::of(process.pid()).processor, Instant::now());
        closed_loop(&connections, 32, SECOND * 2).check_all_answered();
        (Usage::of(process.pid()).processor - before).as_secs_f64() / begun.elapsed().as_secs_f64()
    };
    let free = used();
    let share = Share::of_a_core(process.pid(), 25);
    let held = used();
    drop(share);
    let again = used();
    assert!(threads_that_wait_for_a_disk(process.pid()).len() < 2, "nothing holds its disk up");
    let met = (0.2..0.3).contains(&held) && free > 0.5 && again > 0.5;
    Finding::of("F0 harness: a quarter of a core", "is what a process that is held to it uses")
        .seen(met, format!("free {free:.2}, held {held:.2}, freed again {again:.2} cores"));
}
