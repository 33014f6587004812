//! F6: where the log is delivered to is down, hangs, refuses or crawls, for moments and for minutes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::stream::Config;
use nix::sys::signal::Signal;

use super::ledger::Ledger;
use super::receiver::{Behaviour, Receiver};
use super::{Connections, Finding, Traffic, alternate, half_load, mixed_sources};
use crate::log_faults::until;
use crate::log_sinks::Broker;
use crate::support::{Process, Sources};

const SECOND: Duration = Duration::from_secs(1);
const ROUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 4;
/// Calls a second at most, while latencies are compared.
const MOST: u32 = 3_000;
/// How much longer 99 of 100 answers may take.
const SLOWER: f64 = 1.1;
/// Calls a second at most during a long outage, and how many times as fast what it held up is delivered afterwards, at least.
const INGEST: u32 = 500;
const CATCHES_UP: f64 = 5.0;

const LAG: &str = r#"pdp_log_sink_lag_records{sink="test"}"#;
const FAILING: &str = r#"pdp_log_sink_failing{sink="test"}"#;

/// How long a long outage is: `MANDATE_SINK_DOWN` seconds, or these.
fn outage(usual: u64) -> Duration {
    let told = std::env::var("MANDATE_SINK_DOWN").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(told.unwrap_or(usual))
}

/// A server whose log is delivered as this part of a configuration says.
fn serve(sources: &Sources, sink: &str) -> Process {
    sources.put("mandate.toml", format!("[log.sinks.test]\n{sink}"));
    let file = sources.path("mandate.toml").display().to_string();
    Process::try_start_with(sources, &["--config", &file]).unwrap_or_else(|ended| panic!("{ended:?}"))
}

fn over_http(receiver: &Receiver) -> String {
    format!("kind = 'http'\nurl = 'http://{}/'\ntimeout = '1s'\n", receiver.address)
}

#[track_caller]
fn caught_up(process: &Process) {
    until("the sink has everything", || process.metric(LAG) == 0.0);
}

/// An outage of minutes, over a moderate load.
struct Long {
    ingest: u32,
    held_up: u64,
    /// Records a second that were delivered afterwards, while as many more came.
    speed: f64,
    caught_up: Duration,
}

impl Long {
    fn of(process: &Process, time: Duration, mut down: impl FnMut(bool)) -> Self {
        let connections = Arc::new(Connections::to(&process.data));
        let ingest = half_load(&connections).min(INGEST);
        let traffic = Traffic::start(&connections, ingest);
        std::thread::sleep(SECOND);
        down(true);
        std::thread::sleep(time);
        assert_eq!(process.metric(FAILING), 1.0, "it does not notice");
        let held_up = process.metric(LAG);
        down(false);
        // How long it waits until it tries again is no matter of speed.
        until("it delivers again", || process.metric(LAG) < held_up);
        let begun = Instant::now();
        // What comes meanwhile lags by the moment that a batch takes.
        until("it has caught up", || process.metric(LAG) <= f64::from(ingest) / 2.0);
        let caught_up = begun.elapsed();
        traffic.stop().check_all_answered();
        self::caught_up(process);
        let speed = held_up / caught_up.as_secs_f64() + f64::from(ingest);
        Self { ingest, held_up: format!("{held_up}").parse().expect("whole"), speed, caught_up }
    }

    fn is_fast(&self) -> bool {
        self.speed >= CATCHES_UP * f64::from(self.ingest)
    }
}

#[test]
#[ignore = "make faults"]
fn decisions_do_not_notice_a_sink_that_hangs_crawls_or_refuses() {
    for (name, behaviour) in [
        ("F6 sink never answers, HTTP", Behaviour::Hang),
        ("F6 sink takes 1 KiB a second, HTTP", Behaviour::Slow),
        ("F6 sink says 503, HTTP", Behaviour::Refuse),
    ] {
        let (sources, receiver) = (mixed_sources(), Receiver::start());
        let process = serve(&sources, &over_http(&receiver));
        let connections = Arc::new(Connections::to(&process.data));
        let rate = half_load(&connections).min(MOST);
        caught_up(&process);
        let bad = || {
            receiver.behave(behaviour);
            let tally = Traffic::run(&connections, rate, ROUND);
            receiver.behave(Behaviour::Take);
            caught_up(&process);
            tally
        };
        let compared = alternate(ROUNDS, || Traffic::run(&connections, rate, ROUND), bad);
        compared.all().for_each(|tally| _ = tally.check_all_answered());
        process.terminate().check_code(0);
        let ledger = Ledger::read(&sources.path("data/log"));
        let (dropped, _) = ledger.check();
        let (has, twice) = (receiver.complete_to(), receiver.taken() - receiver.complete_to());
        Finding::of(name, "99 of 100 answers within 1.1×, the sink has every record in the end")
            .figure("rate", rate)
            .figure("ratio", compared.ratio())
            .figure("twice", twice)
            .seen(
                compared.ratio() <= SLOWER && dropped == 0 && has == ledger.records,
                format!(
                    "{compared} at {rate}/s; of {} records it has {has}, {twice} of them twice, {dropped} dropped",
                    ledger.records
                ),
            );
    }
}

#[test]
#[ignore = "make faults"]
fn what_an_http_sink_misses_in_an_outage_is_delivered_quickly() {
    let (sources, receiver) = (mixed_sources(), Receiver::start());
    let process = serve(&sources, &over_http(&receiver));
    let long = Long::of(&process, outage(60), |down| {
        receiver.behave(if down { Behaviour::Hang } else { Behaviour::Take });
    });
    process.terminate().check_code(0);
    let ledger = Ledger::read(&sources.path("data/log"));
    let (dropped, _) = ledger.check();
    let has = receiver.complete_to();
    let asked = format!("after {:?} delivers at 5× what comes, loses nothing", outage(60));
    Finding::of("F6 HTTP sink hangs for long", asked)
        .figure("held_up", long.held_up)
        .figure("records_per_second", long.speed)
        .seen(
            long.is_fast() && dropped == 0 && has == ledger.records,
            format!(
                "{} records held up, delivered within {:.1?} ({:.0}/s at {}/s), it has {has} of {}",
                long.held_up, long.caught_up, long.speed, long.ingest, ledger.records
            ),
        );
}

#[test]
#[ignore = "make faults"]
fn decisions_do_not_notice_a_nats_server_that_stands_still_and_it_has_everything_afterwards() {
    let Some(broker) = Broker::start("") else { return };
    let stream = broker.stream(Config::default());
    let sources = mixed_sources();
    let process = serve(&sources, &broker.sink());
    let connections = Arc::new(Connections::to(&process.data));
    let rate = half_load(&connections).min(MOST);
    caught_up(&process);
    let standing = || {
        broker.signal(Signal::SIGSTOP);
        let tally = Traffic::run(&connections, rate, ROUND);
        broker.signal(Signal::SIGCONT);
        caught_up(&process);
        tally
    };
    let compared = alternate(ROUNDS, || Traffic::run(&connections, rate, ROUND), standing);
    compared.all().for_each(|tally| _ = tally.check_all_answered());
    let long = Long::of(&process, outage(120), |down| {
        broker.signal(if down { Signal::SIGSTOP } else { Signal::SIGCONT });
    });
    process.terminate().check_code(0);
    let ledger = Ledger::read(&sources.path("data/log"));
    let (dropped, _) = ledger.check();
    let held = broker.sequences(&stream);
    let distinct: BTreeSet<_> = held.iter().copied().collect();
    let complete = distinct.iter().copied().eq(0..ledger.records);
    Finding::of(
        "F6 NATS server stands still",
        format!(
            "99 of 100 answers within 1.1×, after {:?} delivers at 5× what comes, the stream has every record",
            outage(120)
        ),
    )
    .figure("rate", rate)
    .figure("ratio", compared.ratio())
    .figure("held_up", long.held_up)
    .figure("records_per_second", long.speed)
    .seen(
        compared.ratio() <= SLOWER && long.is_fast() && complete && dropped == 0,
        format!(
            "{compared} at {rate}/s; {} held up, delivered within {:.1?} ({:.0}/s at {}/s); {} of {} records there, {} twice",
            long.held_up,
            long.caught_up,
            long.speed,
            long.ingest,
            distinct.len(),
            ledger.records,
            held.len() - distinct.len()
        ),
    );
}

#[test]
#[ignore = "make faults"]
fn decisions_do_not_notice_that_a_nats_server_is_killed_and_comes_back_empty() {
    let Some(mut broker) = Broker::start("") else { return };
    broker.stream(Config::default());
    let sources = mixed_sources();
    let process = serve(&sources, &broker.sink());
    let connections = Arc::new(Connections::to(&process.data));
    let rate = half_load(&connections).min(INGEST);
    let traffic = Traffic::start(&connections, rate);
    std::thread::sleep(3 * SECOND);
    for _ in 0..3 {
        broker.restart_empty();
        std::thread::sleep(3 * SECOND);
        broker.stream(Config::default());
        let begun = Instant::now();
        until("it delivers again", || process.metric(FAILING) == 0.0 && process.metric(LAG) < 250.0);
        assert!(begun.elapsed() < 40 * SECOND, "{:?}", begun.elapsed());
    }
    let tally = traffic.stop();
    tally.check_all_answered();
    caught_up(&process);
    let status = process.status();
    let sink = &status["decision_log"]["sinks"][0];
    let (next, delivered) = (sink["next"].as_u64(), sink["delivered"].as_u64());
    process.terminate().check_code(0);
    let (dropped, _) = Ledger::read(&sources.path("data/log")).check();
    Finding::of(
        "F6 NATS server killed three times, back empty",
        "every call is answered, every record is acknowledged by a stream once",
    )
    .seen(
        dropped == 0 && next.is_some() && next == delivered,
        format!(
            "{} of {} answered, {delivered:?} of {next:?} delivered, {dropped} dropped",
            tally.answered(),
            tally.offered
        ),
    );
}
