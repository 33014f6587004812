//! How fast a log is verified, on one thread.
//!
//! `cargo bench --bench verify -- [RECORDS]`

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use mandate::audit::spool::frame;
use mandate::audit::spool::segment::{self, Header};
use mandate::audit::tree::checkpoint::{self, Checkpoint, Facts, SegmentMark};
use mandate::audit::tree::frontier::Frontier;
use mandate::audit::tree::keys::{LogKey, TrustedKeys};
use mandate::audit::tree::verify::verify;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use uuid::Uuid;

/// Records of a segment, and between two checkpoints: 64 MiB, and what 10,000 decisions a second make of five seconds.
const SEGMENT: u64 = 50_000;
/// What a decision has besides its number: about as much as one of a tool call with a context of nine values.
const REST: &str = concat!(
    r#""caller":"spiffe://example.org/gateway","surface":"grpc","request_id":"0f8fad5b-d9cb-469f-a165-70867728950e","#,
    r#""revision":"g1-17","generation":"sha256:3d1f7a40b5a1c84cc7e2b1f0c5f0d7b1b2f2a44b7d5c1de1a7d3b4c5e6f70819","cache":"hit","#,
    r#""latency_us":4.127,"mode":"enforce","evidence":{"session_id":"s-4411","tool_call_id":"call_9","model":"m-2"},"#,
    r#""principal":{"type":"Mandate::Agent","id":"research-assistant"},"chain":[{"type":"Mandate::User","id":"ada"},"#,
    r#"{"type":"Mandate::Agent","id":"research-assistant"}],"hops":[{"hop":0,"principal":{"type":"Mandate::User","id":"ada"},"#,
    r#""role":"root","decision":"allow","determining":["reading"]},{"hop":1,"principal":{"type":"Mandate::Agent","#,
    r#""id":"research-assistant"},"role":"actor","grant":{"type":"Mandate::Delegation","id":"d-1"},"decision":"allow","#,
    r#""determining":["reading"]}],"action":{"type":"Mandate::Action","id":"call_tool"},"resource":{"type":"Mandate::Tool","#,
    r#""id":"files/read"},"context":{"environment":"production","region":"eu-1","channel":"chat","risk":3,"attested":true},"#,
    r#""context_digest":"sha256:3d1f7a40b5a1c84cc7e2b1f0c5f0d7b1b2f2a44b7d5c1de1a7d3b4c5e6f70819","decision":"allow","#,
    r#""determining":[{"id":"reading","effect":"permit","annotations":{"owner":"platform"}}]}"#
);

#[expect(clippy::print_stdout, reason = "what a benchmark is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let records = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir()?;
    let key = write(folder.path(), records)?;
    let keys = TrustedKeys::read(&key.verifier())?;
    let bytes: u64 = segment::list(folder.path())?
        .iter()
        .map(|file| fs::metadata(&file.path).map(|metadata| metadata.len()))
        .sum::<Result<_, _>>()?;
    let (begun, used) = (Instant::now(), processor_time()?);
    let verified = verify(&[folder.path().to_owned()], &[], &keys)?;
    let (took, used) = (begun.elapsed(), processor_time()? - used);
    if !verified.is_intact() {
        return Err(format!("{:?}", verified.logs.first().map(|log| &log.findings)).into());
    }
    let (records, bytes) = (u32::try_from(records)?, u32::try_from(bytes / 1_000_000)?);
    let [per_second, megabytes] = [records, bytes].map(|number| f64::from(number) / used.as_secs_f64());
    println!(
        "{records} records, {bytes} MB: {per_second:.0} records/s, {megabytes:.0} MB/s of processor time ({used:.2?}; {took:.2?} in all)"
    );
    Ok(())
}

/// What this process has used of a processor: other work of the machine does not count.
fn processor_time() -> Result<Duration, Box<dyn Error>> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = [usage.user_time(), usage.system_time()].map(|time| time.num_microseconds());
    Ok(Duration::from_micros(u64::try_from(micros.into_iter().sum::<i64>())?))
}

/// Writes a log as the service would, signed at the end of each segment.
fn write(folder: &Path, records: u64) -> Result<LogKey, Box<dyn Error>> {
    let (log, instance) = (Uuid::now_v7(), Uuid::now_v7());
    let key = LogKey::open_or_make(&folder.join("log.key"), &checkpoint::origin(log))?;
    fs::create_dir(folder.join(segment::FOLDER))?;
    let mut tree = Frontier::new();
    while tree.size() < records {
        let first = tree.size();
        let header = Header {
            format: segment::FORMAT,
            log,
            instance,
            first,
            opened: "2026-11-27T00:00:00Z".to_owned(),
            frontier: tree.hashes(),
        };
        let mut bytes = Vec::new();
        segment::begin(&header, &mut bytes)?;
        let path = folder.join(segment::FOLDER).join(segment::file_name(first));
        let mut file = BufWriter::new(File::create(path)?);
        let mut append = |tree: &mut Frontier, line: String| {
            frame::append(line.as_bytes(), &mut bytes)?;
            tree.push(line.as_bytes());
            file.write_all(&bytes)?;
            bytes.clear();
            Ok::<_, Box<dyn Error>>(())
        };
        while tree.size() < records && tree.size() < first + SEGMENT - 1 {
            let kind = if tree.size() == 0 { "start" } else { "decision" };
            let line = format!("{},{REST}", head(kind, tree.size(), instance));
            append(&mut tree, line)?;
        }
        let mark = SegmentMark { first, header: header.digest()? };
        let note = signed(log, instance, &tree, mark).sign([&key])?;
        let note = format!(
            "{},\"note\":{}}}",
            head("checkpoint", tree.size(), instance),
            serde_json::to_string(&note)?
        );
        append(&mut tree, note)?;
    }
    Ok(key)
}

fn head(kind: &str, sequence: u64, instance: Uuid) -> String {
    let id = Uuid::now_v7();
    format!(
        r#"{{"v":1,"kind":"{kind}","sequence":{sequence},"decision_id":"{id}","time":"2026-11-27T00:00:00.000000Z","instance":"{instance}""#
    )
}

fn signed(log: Uuid, instance: Uuid, tree: &Frontier, segment: SegmentMark) -> Checkpoint {
    let size = tree.size();
    let time = "2026-11-27T00:00:00.000000Z".to_owned();
    let facts = Facts { time, instance, issued: size, written: size, dropped: 0, reserved: size, segment };
    Checkpoint { log, size, root: tree.root(), facts }
}
