//! What a record of a decision costs: to whoever decides, and in all.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot start should say so at once, and prints figures"
)]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use divan::Bencher;
use divan::counter::ItemsCount;
use mandate::audit::ledger::{self, Counter, Ledger};
use mandate::audit::record::{CacheUse, Mode, Surface};
use mandate::audit::spool::retention::Limits;
use mandate::audit::tree::notary::NotaryConfig;
use mandate::audit::{
    AuditConfig, AuditLog, DecisionRecord, Facts, Fields, Mode as LogMode, OpenLog, Overflow, Record, Room,
    Writer,
};
use mandate::engine::authorize::{Now, authorize};
use mandate::engine::catalog::ActionType;
use mandate::engine::compile::{Options, compile};
use mandate::engine::datum::{Datum, Reference};
use mandate::engine::decision::Decision;
use mandate::engine::digest;
use mandate::engine::request::AuthzRequest;
use mandate::store::directory::{self, Folders};
use nix::sys::resource::{UsageWho, getrusage};
use uuid::Uuid;

#[path = "shipped/embedded.rs"]
mod shipped;

use shipped::{call, embedded};

/// Records that one figure is taken over.
const RECORDS: u32 = 200_000;
/// How many of them come at once, before a pause of a millisecond.
const AT_ONCE: u32 = 200;
/// How often each figure is taken; the median counts.
const ROUNDS: usize = 5;

/// A tool call, decided over the shipped world; and texts that stay the same from call to call.
struct Asked {
    request: AuthzRequest,
    action: Option<Arc<ActionType>>,
    decision: Arc<Decision>,
    text: Arc<str>,
}

impl Asked {
    fn new() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let folders = Folders {
            policies: root.join("policies"),
            schemas: root.join("schemas"),
            entities: root.join("entities"),
        };
        let world = compile(&directory::read(&folders).unwrap(), &Options::default()).unwrap().world;
        let mut request = AuthzRequest::new(
            Reference::new("Mandate::User", "ana"),
            Reference::new("Mandate::Action", "call_tool"),
            Reference::new("Mandate::Tool", "fetch/fetch"),
        );
        let context = r#"{"session":{"id":"s","purpose":"p","attended":true,"untrusted":false,"read_level":0,
            "calls":1,"spent_cents":0},"touches":[],
            "digest":"sha256:b42e97944eb73d00dde73513506acd37155857b094a7030af64c702a116fa93c"}"#;
        if let Datum::Record(members) = serde_json::from_str(context).unwrap() {
            request.context = members;
        }
        request.arguments = Some(serde_json::from_str(r#"{"url":"https://docs.rs/mandate"}"#).unwrap());
        let decision = Arc::new(authorize(&world, &request, Now(1_795_341_600_000)).unwrap());
        let action = world.generation.catalog.action(&decision.action).cloned();
        Self { request, action, decision, text: "0123456789abcdef0123456789abcdef".into() }
    }

    /// What the decision point does beyond deciding; the request it owns already.
    fn record(&self, request: AuthzRequest) -> Record {
        Record::Decision(Box::new(DecisionRecord {
            id: Uuid::nil(),
            at: SystemTime::now(),
            surface: Surface::Grpc,
            caller: Arc::clone(&self.text),
            request_id: String::new(),
            revision: Arc::clone(&self.text),
            generation: Arc::clone(&self.text),
            request,
            action: self.action.clone(),
            facts: Facts::default(),
            token_digest: None,
            valid_until: None,
            reuse_seconds: None,
            decision: Arc::clone(&self.decision),
            cache: CacheUse::Miss,
            latency: Duration::from_nanos(13_125),
            mode: Mode::Enforce,
            evidence: None,
        }))
    }
}

fn reserve(log: &AuditLog) -> Room {
    let future = std::pin::pin!(log.reserve(1));
    let mut context = Context::from_waker(Waker::noop());
    match future.poll(&mut context) {
        Poll::Ready(room) => room.unwrap(),
        Poll::Pending => std::process::abort(),
    }
}

/// A log as it is by default, in this folder.
fn config(folder: &Path, mode: LogMode) -> AuditConfig {
    AuditConfig {
        mode,
        directory: folder.join("log"),
        counters: None,
        queue: RECORDS,
        overflow: Overflow::Drop,
        limits: Limits {
            segment_bytes: 64 * 1024 * 1024,
            segment_age: Duration::from_secs(3600),
            retain_bytes: None,
            retain_age: None,
        },
        fields: Fields::default(),
        notary: NotaryConfig {
            key: folder.join("log.key"),
            previous_key: None,
            name: None,
            every: Duration::from_secs(5),
            witnesses: Vec::new(),
        },
        sinks: Vec::new(),
    }
}

fn open(folder: &Path, mode: LogMode) -> (AuditLog, Writer) {
    let OpenLog { log, writer, .. } = AuditLog::open(&config(folder, mode)).unwrap();
    (log, writer)
}

/// CPU time of the whole process so far.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let spent = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec().unsigned_abs())
            + Duration::from_micros(time.tv_usec().unsigned_abs())
    };
    spent(usage.user_time()) + spent(usage.system_time())
}

/// CPU time of the process for each answer to the same question, from memory, at an even pace; the log's end included.
fn answers(asked: &Asked, log: Option<&Path>) -> Duration {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let embedded = embedded(folder.path(), log);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let ask = || {
        let call = call();
        runtime.block_on(embedded.pdp.authorize(&call, Ok(asked.request.clone().into()))).unwrap()
    };
    assert_eq!(ask().decision.effect, asked.decision.effect);
    let before = cpu();
    for _ in 0..RECORDS / AT_ONCE {
        for _ in 0..AT_ONCE {
            black_box(ask());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    runtime.block_on(embedded.close()).unwrap();
    (cpu() - before) / RECORDS
}

/// What the log adds to an answer: the process's CPU time with a log, less that of the same answers without one.
fn account(asked: &Asked) {
    let (memory, disk) = (tempfile::tempdir_in("/dev/shm").unwrap(), tempfile::tempdir().unwrap());
    let mut seen = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        let log = |folder: &Path| folder.join(round.to_string());
        for (times, log) in seen.iter_mut().zip([None, Some(log(memory.path())), Some(log(disk.path()))]) {
            times.push(answers(asked, log.as_deref()));
        }
    }
    let [off, memory, disk] = seen.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    println!("an answer without a log: {off:?} of CPU (median of {ROUNDS} times {RECORDS})");
    for (name, with) in [("in memory", memory), ("on disk", disk)] {
        println!("with its record {name}: {with:?}, which is {:?} more", with.saturating_sub(off));
    }
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    account(&Asked::new());
    divan::main();
}

/// A record made, sent, numbered, hashed and written to memory, by both threads.
#[divan::bench(sample_count = 50, sample_size = 2000)]
fn send(bencher: Bencher<'_, '_>) {
    let asked = Asked::new();
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let (log, _writer) = open(folder.path(), LogMode::Async);
    bencher
        .counter(ItemsCount::new(1_usize))
        .with_inputs(|| asked.request.clone())
        .bench_local_values(|request| reserve(&log).record(false, || asked.record(request)));
}

/// An answer that waits for its own record alone: one write and one sync of the disk under the folder of temporary files.
#[divan::bench(sample_count = 20, sample_size = 20)]
fn durable(bencher: Bencher<'_, '_>) {
    let asked = Asked::new();
    let folder = tempfile::tempdir().unwrap();
    let (log, _writer) = open(folder.path(), LogMode::Durable);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    bencher.with_inputs(|| asked.request.clone()).bench_local_values(|request| {
        let recording = reserve(&log).record(false, || asked.record(request)).unwrap();
        runtime.block_on(recording.settled()).unwrap();
    });
}

/// A digest of a small context as the engine's own function makes it, for comparison: the writer does better.
#[divan::bench]
fn digest_through_a_tree(bencher: Bencher<'_, '_>) {
    let asked = Asked::new();
    let context = Datum::Record(asked.request.context);
    bencher.bench(|| digest::of_json(&black_box(&context).to_json()));
}

/// Hashing and hexadecimal digits alone.
#[divan::bench]
fn digest_of_300_bytes(bencher: Bencher<'_, '_>) {
    bencher.bench(|| digest::of_bytes(black_box(&[b'x'; 300])));
}

/// A deep copy of the request, which records do without.
#[divan::bench]
fn clone_of_the_request(bencher: Bencher<'_, '_>) {
    let asked = Asked::new();
    bencher.bench(|| black_box(&asked.request).clone());
}

/// A count that outlives the process, on one thread and on two at once.
#[divan::bench(threads = [1, 2], sample_count = 50, sample_size = 20_000)]
fn ledger_add(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir_in(ledger::FOLDER).unwrap();
    let (ledger, _) = Ledger::open(folder.path(), Uuid::from_u128(7), Uuid::from_u128(1)).unwrap();
    bencher.bench(|| ledger.add(Counter::Issued, 1));
}
