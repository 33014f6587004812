//! F8: slow and abusive clients. They are put out by limits, cost little memory, and keep nobody waiting.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mandate::server::pb::authorization_service_client::AuthorizationServiceClient;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use super::attacks::{Attack, Attackers};
use super::rotation::{client, connect};
use super::traffic::CLIENTS;
use super::{Ask, Finding, Outcome, Traffic, Usage, alternate, mixed, mixed_sources};
use crate::callers::{GATEWAY, OPEN, sources};
use crate::connections::cancelled::cancel;
use crate::support::{Papers, Process, Sources, is_unprocessed};

const ROUND: Duration = Duration::from_secs(4);
const ROUNDS: usize = 3;
const RATE: u32 = 200;
const SLOWER: f64 = 2.0;
/// What a round may differ by on a machine that is busy with the attackers as well.
const LEAST: Duration = Duration::from_millis(20);
const MORE_MEMORY: u64 = 64 * 1024 * 1024;

/// Limits that a minute is enough to meet, and that a client which means well keeps on a busy machine.
const LIMITS: &str = "[limits]\nhandshake = '2s'\nheader = '2s'\nidle = '8s'\nmax_age = '8s'\nmax_age_grace = '3s'\n\
                      connections_per_peer = 4000\n[limits.http2]\nping = '2s'\nping_timeout = '6s'\n";
/// When the last of them has come: an age and its tenth, two graces, and what a busy machine takes.
const PUT_OUT: Duration = Duration::from_millis(8_800 + 6_000 + 5_000);

/// Clients that ask again where nobody has looked at a call, as gRPC has them do: connections end of age here.
struct Callers(Vec<AuthorizationServiceClient<Channel>>);

impl Callers {
    fn of(address: &str) -> Self {
        let _entered = CLIENTS.enter();
        let endpoint = Endpoint::from_shared(address.to_owned()).unwrap();
        Self((0..4).map(|_| AuthorizationServiceClient::new(endpoint.connect_lazy())).collect())
    }
}

impl Ask for Callers {
    async fn ask(&self, number: u64) -> Outcome {
        let asked = mixed(number);
        let mut service = self.0[usize::try_from(number).unwrap() % self.0.len()].clone();
        loop {
            let mut request = Request::new(asked.request.clone());
            request.set_timeout(Duration::from_secs(20));
            match service.authorize(request).await {
                Err(status) if is_unprocessed(&status) => {}
                answered => return asked.hold(answered.map(tonic::Response::into_inner)),
            }
        }
    }
}

fn serve(sources: &Sources) -> Process {
    sources.put("mandate.toml", LIMITS);
    let file = sources.path("mandate.toml").display().to_string();
    Process::try_start_with(sources, &["--config", &file]).unwrap()
}

/// Attacks for rounds, compared with rounds of peace.
#[track_caller]
fn attacked(fault: &'static str, attacks: &[(Attack, usize)]) {
    let sources = mixed_sources();
    let process = serve(&sources);
    let callers = Arc::new(Callers::of(&process.data));
    Traffic::run(&callers, RATE, ROUND).check_all_answered();
    let before = Usage::of(process.pid());
    let mut put_out = 0;
    let compared = alternate(
        ROUNDS,
        || Traffic::run(&callers, RATE, ROUND),
        || {
            let attackers = Attackers::begin(&process.data, attacks);
            std::thread::sleep(Duration::from_secs(1));
            let tally = Traffic::run(&callers, RATE, ROUND);
            put_out += attackers.account.put_out.load(Ordering::Relaxed);
            tally
        },
    );
    for tally in compared.all() {
        tally.check_all_answered();
    }
    let attackers = Attackers::begin(&process.data, attacks);
    std::thread::sleep(PUT_OUT);
    let longest = Duration::from_millis(attackers.account.longest.load(Ordering::Relaxed));
    put_out += attackers.account.put_out.load(Ordering::Relaxed);
    let after = Usage::of(process.pid());
    drop(attackers);
    let more = after.most_resident.saturating_sub(before.resident);
    let (quiet, faulty) = compared.p99();
    let in_time = compared.ratio() <= SLOWER || faulty <= quiet + LEAST;
    Finding::of(fault, "nobody fails, p99 within 2×, 64 MiB more at most, attackers are put out")
        .figure("connections", attacks.iter().map(|(_, count)| count).sum::<usize>())
        .figure("put_out", put_out)
        .figure("longest_ms", u64::try_from(longest.as_millis()).unwrap())
        .figure("memory_bytes", more)
        .figure("p99_ratio", compared.ratio())
        .seen(
            in_time && more <= MORE_MEMORY && put_out > 0 && longest <= PUT_OUT,
            format!("{compared}, {} MiB more, {put_out} put out, the last after {longest:?}", more >> 20),
        );
    process.terminate().check_code(0);
}

#[test]
#[ignore = "make faults"]
fn two_thousand_slow_clients_keep_nobody_waiting() {
    attacked(
        "F8 slow clients",
        &[
            (Attack::Silence, 500),
            (Attack::SlowHeaders, 500),
            (Attack::SlowPreface, 500),
            (Attack::SlowMessage, 400),
            (Attack::NeverReading, 50),
            (Attack::ZeroWindow, 50),
        ],
    );
}

#[test]
#[ignore = "make faults"]
fn floods_of_frames_keep_nobody_waiting() {
    attacked(
        "F8 floods",
        &[
            (Attack::ErrorReset, 1),
            (Attack::Continuation, 1),
            (Attack::EmptyData, 1),
            (Attack::Pings, 1),
            (Attack::Settings, 1),
            (Attack::ManyFields, 2),
            (Attack::LargeHeaders, 2),
        ],
    );
}

#[test]
#[ignore = "make faults"]
fn a_rapid_reset_keeps_nobody_waiting() {
    attacked("F8 rapid reset", &[(Attack::RapidReset, 1)]);
}

#[test]
#[ignore = "make faults"]
fn handshakes_that_never_end_keep_nobody_waiting() {
    let (papers, sources) = (Papers::new(), sources(OPEN));
    let file = sources.path("mandate.toml");
    std::fs::write(&file, papers.configuration(&sources.path("pep"), LIMITS)).unwrap();
    let process = Process::try_start_with(&sources, &["--config", &file.display().to_string()]).unwrap();
    let address = process.http.trim_start_matches("http://").to_owned();
    let config = client(&papers, &papers.authority.svid(GATEWAY));
    let before = Usage::of(process.pid());
    let attackers = Attackers::begin(&process.http, &[(Attack::SlowHello, 1_000)]);
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    while begun.elapsed() < 2 * ROUND {
        let asked = Instant::now();
        CLIENTS.block_on(connect(&address, &config)).expect("a client that means well");
        slowest = slowest.max(asked.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    let put_out = attackers.account.put_out.load(Ordering::Relaxed);
    let longest = Duration::from_millis(attackers.account.longest.load(Ordering::Relaxed));
    drop(attackers);
    let more = Usage::of(process.pid()).most_resident.saturating_sub(before.resident);
    Finding::of(
        "F8 slow handshakes",
        "nobody fails, 64 MiB more at most, attackers are put out by `handshake`",
    )
    .figure("put_out", put_out)
    .figure("memory_bytes", more)
    .seen(
        put_out >= 1_000 && longest < Duration::from_secs(5) && more <= MORE_MEMORY,
        format!(
            "the slowest in after {slowest:?}, {} MiB more, {put_out} put out, the last after {longest:?}",
            more >> 20
        ),
    );
    process.terminate().check_code(0);
}

#[test]
#[ignore = "make faults"]
fn ten_thousand_calls_that_are_taken_back_cost_no_connection() {
    let sources = Sources::small();
    let process = Process::start(&sources);
    let connections = CLIENTS.block_on(cancel(&process.data, 10_000));
    Finding::of("F8 legitimate cancellations", "10,000 calls taken back on one connection, which stays")
        .seen(connections == 1, format!("{connections} connections"));
    process.terminate().check_code(0);
}
