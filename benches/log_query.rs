//! How long it takes to find one principal's day in a large decision log.
//!
//! `cargo bench --bench log_query` writes ten million records, indexes them, measures and deletes them: it needs 10 GB below
//! `target/` and some minutes. `-- --quick` does the same with 300,000.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot start should say so at once, and prints figures"
)]

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mandate::audit::reading::indexer::Indexer;
use mandate::audit::reading::query::{Field, Query, Term};
use mandate::audit::reading::search::{Indexes, Search};
use mandate::audit::spool::frame;
use mandate::audit::spool::segment::{self, FORMAT, Header};
use uuid::Uuid;

/// 2026-11-01T00:00:00Z, in microseconds since 1970.
const BEGIN: i64 = 1_793_491_200_000_000;
const DAY: i64 = 86_400_000_000;
const DAYS: i64 = 10;
/// Records are theirs in turn.
const AGENTS: u64 = 200;
const SEGMENT_BYTES: usize = 64 * 1024 * 1024;
/// Times each figure is taken.
const ROUNDS: usize = 7;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let records: u64 = if quick { 300_000 } else { 10_000_000 };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let begun = Instant::now();
    let bytes = write(folder.path(), records);
    let written = begun.elapsed();
    let segments = segment::list(folder.path()).unwrap().len();
    println!(
        "{records} records, {} bytes each, in {segments} segments: written in {written:.1?}",
        bytes / records
    );
    let begun = Instant::now();
    Indexer::new(folder.path()).index(|| true);
    let took = begun.elapsed();
    let indexes = index_bytes(folder.path());
    let each = took.as_secs_f64() * 1e6 / records as f64;
    println!("indexed in {took:.1?} ({each:.1} µs and {} bytes a record)", indexes / records);
    let day = |terms| Query { terms, from: Some(BEGIN + 4 * DAY), to: Some(BEGIN + 5 * DAY) };
    let agent = || Term::entity(Field::Principal, "Mandate::Agent", "agent-7");
    let denied = || Term::new(Field::Decision, "deny");
    measure("one principal's day", folder.path(), &day(vec![agent()]));
    measure("one principal's denials of a day", folder.path(), &day(vec![agent(), denied()]));
    measure("one principal, all days", folder.path(), &Query { terms: vec![agent()], ..Query::default() });
    let session = Term::new(Field::Session, format!("session-{}", records / 2 / 40));
    measure("one session", folder.path(), &Query { terms: vec![session], ..Query::default() });
    let id = Term::new(Field::DecisionId, id(records / 2));
    measure("one decision", folder.path(), &Query { terms: vec![id], ..Query::default() });
}

fn measure(what: &str, folder: &Path, query: &Query) {
    let mut found = 0;
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let search = Search::new(folder, query.clone(), u64::MAX, Indexes::Use).unwrap();
        found = search.map(|hit| hit.unwrap().line.len()).filter(|length| *length > 0).count();
        times.push(begun.elapsed());
    }
    let first = times.first().copied().unwrap();
    times.sort();
    let (least, median, most) = (times.first(), times.get(ROUNDS / 2), times.last());
    let [least, median, most] = [least, median, most].map(|time| time.copied().unwrap());
    println!("{what}: {found} records in {median:.1?} (first {first:.1?}, from {least:.1?} to {most:.1?})");
}

fn index_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder.join(segment::FOLDER)).unwrap().map(|entry| entry.unwrap());
    let indexes =
        entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "index"));
    indexes.map(|entry| entry.metadata().unwrap().len()).sum()
}

/// Writes a log, and says how many bytes it has.
fn write(folder: &Path, records: u64) -> u64 {
    fs::create_dir(folder.join(segment::FOLDER)).unwrap();
    let (mut total, mut number) = (0, 0);
    while number < records {
        let mut bytes = Vec::with_capacity(SEGMENT_BYTES + 4096);
        let header = Header {
            format: FORMAT,
            log: Uuid::from_u128(1),
            instance: Uuid::from_u128(2),
            first: number,
            opened: time(number, records),
            frontier: Vec::new(),
        };
        segment::begin(&header, &mut bytes).unwrap();
        while number < records && bytes.len() < SEGMENT_BYTES {
            frame::append(record(number, records).as_bytes(), &mut bytes).unwrap();
            number += 1;
        }
        let path = folder.join(segment::FOLDER).join(segment::file_name(header.first));
        let mut file = BufWriter::new(File::create(path).unwrap());
        file.write_all(&bytes).unwrap();
        file.flush().unwrap();
        total += bytes.len() as u64;
    }
    total
}

fn id(number: u64) -> String {
    Uuid::from_u128((0x0193_0000_0000_7000_8000 << 48) | u128::from(number)).to_string()
}

fn time(number: u64, records: u64) -> String {
    let step = DAY * DAYS / i64::try_from(records).unwrap();
    let at = Timestamp::from_microsecond(BEGIN + i64::try_from(number).unwrap() * step).unwrap();
    format!("{at:.6}")
}

/// A decision as the service writes it.
fn record(number: u64, records: u64) -> String {
    let (id, time) = (id(number), time(number, records));
    let (agent, user, tool) = (number % AGENTS, number % 1_000, number % 300);
    let (decision, policy) = if number % 10 == 3 { ("deny", "forbid") } else { ("allow", "permit") };
    let (session, latency) = (number / 40, number % 90);
    format!(
        r#"{{"v":1,"kind":"decision","sequence":{number},"decision_id":"{id}","time":"{time}","instance":"00000000-0000-0000-0000-000000000002","surface":"grpc","caller":"spiffe://example.org/gateways/mcp","request_id":"r-{number}","revision":"AAAAAAAAAAAAAAAA","cache":"miss","latency_us":{latency}.5,"mode":"enforce","evidence":{{"session_id":"session-{session}"}},"principal":{{"type":"Mandate::Agent","id":"agent-{agent}"}},"chain":[{{"type":"Mandate::User","id":"user-{user}"}},{{"type":"Mandate::Agent","id":"agent-{agent}"}}],"action":{{"type":"Mandate::Action","id":"call_tool"}},"resource":{{"type":"Mandate::Tool","id":"tool-{tool}"}},"arguments_digest":"sha256:0000","decision":"{decision}","determining":[{{"id":"{policy}-{tool}","effect":"{policy}"}}]}}"#
    )
}
