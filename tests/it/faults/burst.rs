//! F7: ten times as many requests as can be answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::share::Share;
use super::{Finding, Usage};
use crate::support::{Flood, Numbers, Pace, Process, Sources, Washed, get, question};

const SECOND: Duration = Duration::from_secs(1);
const CONNECTIONS: usize = 16;
/// How long the burst lasts.
const BURST: Duration = Duration::from_secs(60);
/// Most that an answer may take which is given in a burst.
const PROMPT: Duration = Duration::from_millis(50);
/// Longest time until all is as before.
const RECOVERY: Duration = Duration::from_secs(10);
/// Longest time that operators may wait.
const PROBE: Duration = Duration::from_millis(100);

fn flood(process: &Process, connections: usize, pace: Pace, lasting: Duration) -> Washed {
    let question = question(("User", "ana"), "view", ("Doc", "plan"));
    Flood { address: process.data.clone(), question, connections, pace, lasting }.wash()
}

/// Probes until told to stop, and returns the longest time that an answer took.
fn probe(ops: &str, stop: &AtomicBool) -> Duration {
    let mut longest = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) {
        for path in ["livez", "readyz", "metrics"] {
            let begun = Instant::now();
            assert_eq!(get(&format!("{ops}/{path}")).status, 200, "{path}");
            longest = longest.max(begun.elapsed());
        }
        std::thread::sleep(SECOND / 10);
    }
    longest
}

/// A flood while operators probe, which takes of a small share as well; and the longest that they waited.
fn probed(process: &Process, pace: Pace, lasting: Duration) -> (Washed, Duration) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let probes = threads.spawn(|| probe(&process.ops, &stop));
        let washed = flood(process, CONNECTIONS, pace, lasting);
        stop.store(true, Ordering::Relaxed);
        (washed, probes.join().expect("the probes"))
    })
}

/// How long it takes until half the load is answered as before, all of it.
fn recovered(process: &Process, calls: f64, usual: Duration) -> Duration {
    let begun = Instant::now();
    loop {
        let washed = flood(process, 4, Pace::PerSecond(calls), SECOND);
        let bad = washed.refused.len() + washed.held_off + washed.lost + washed.denied;
        let took = Washed::percentile(&washed.allowed, 99);
        if (bad == 0 && took <= PROMPT.max(usual * 3 / 2)) || begun.elapsed() > 3 * RECOVERY {
            return begun.elapsed().saturating_sub(SECOND);
        }
    }
}

#[test]
#[ignore = "make faults"]
fn ten_times_as_many_requests_as_can_be_answered() {
    let (process, _share) = Share::start(&Sources::small(), 20);
    flood(&process, CONNECTIONS, Pace::UnderWay(64), 2 * SECOND);
    let (saturation, _) = probed(&process, Pace::UnderWay(64), 5 * SECOND);
    let saturation = saturation.goodput();
    let usual = flood(&process, 4, Pace::PerSecond(saturation / 2.0), 3 * SECOND);
    let usual = Washed::percentile(&usual.allowed, 99);
    let (burst, probes) = probed(&process, Pace::PerSecond(10.0 * saturation), BURST);
    let recovery = recovered(&process, saturation / 2.0, usual);
    let resident = Usage::of(process.pid()).most_resident >> 20;
    let numbers = Numbers::read(&process.ops);
    let shed = numbers.sum("pdp_requests_shed_total");
    let (goodput, late) = (burst.goodput() / saturation, Washed::percentile(&burst.allowed, 99));
    let refused = Washed::percentile(&burst.refused, 50);
    let met = goodput >= 0.9
        && late <= PROMPT
        && burst.denied + burst.lost == 0
        && probes < PROBE
        && recovery <= RECOVERY
        && !burst.refused.is_empty();
    Finding::of(
        "F7 ten times saturation",
        "goodput 90 % of saturation, p99 of answers 50 ms, operators within 100 ms, as before within 10 s",
    )
    .figure("saturation_per_second", saturation)
    .figure("goodput_share", goodput)
    .figure("allowed_p99_ms", late.as_secs_f64() * 1e3)
    .figure("refused_p50_ms", refused.as_secs_f64() * 1e3)
    .figure("refused", burst.refused.len())
    .figure("resident_mib", resident)
    .seen(
        met,
        format!(
            "saturation {saturation:.0}/s at a fifth of a core, goodput {:.0} %, p99 {late:?}, {} refused (p50 {refused:?}, {shed} shed), \
             {} held off, {} lost, operators {probes:?}, as before after {recovery:?}, {resident} MiB",
            goodput * 100.0,
            burst.refused.len(),
            burst.held_off,
            burst.lost,
        ),
    );
}
