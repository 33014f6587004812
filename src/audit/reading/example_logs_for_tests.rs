//! Logs written frame by frame, and records that look like real ones.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::audit::spool::frame;
use crate::audit::spool::segment::{self, Header};

/// 2026-11-27T10:00:00Z, in microseconds since 1970.
pub(crate) const TEN: i64 = 1_795_773_600_000_000;

/// Microseconds since 1970 as records have them.
pub(crate) fn time(micros: i64) -> String {
    format!("{:.6}", Timestamp::from_microsecond(micros).unwrap())
}

/// The id of a record with this number.
pub(crate) fn id(number: u64) -> String {
    Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0000 + u128::from(number)).to_string()
}

pub(crate) fn name(type_name: &str, id: &str) -> Value {
    json!({"type": type_name, "id": id})
}

/// A decision, number `number`, made that many seconds after ten.
pub(crate) fn decision(number: u64, effect: &str, session: &str) -> Value {
    json!({
        "v": 1, "kind": "decision", "decision_id": id(number),
        "time": time(TEN + i64::try_from(number).unwrap() * 1_000_000),
        "instance": Uuid::from_u128(2).to_string(), "surface": "grpc", "caller": "gateway",
        "principal": name("Mandate::Agent", "bot"), "action": name("Mandate::Action", "call_tool"),
        "resource": name("Mandate::Tool", "mail"),
        "chain": [name("Mandate::User", "ann"), name("Mandate::Agent", "bot")],
        "hops": [{"hop": 1, "grant": name("Mandate::Delegation", "g1")}],
        "determining": [{"id": "p1", "effect": "permit", "annotations": {}}],
        "decision": effect, "mode": "enforce",
        "evidence": {"session_id": session},
    })
}

/// Another kind of record.
pub(crate) fn other(kind: &str, number: u64, members: Value) -> Value {
    let mut record = json!({
        "v": 1, "kind": kind, "decision_id": id(number),
        "time": time(TEN + i64::try_from(number).unwrap() * 1_000_000),
        "instance": Uuid::from_u128(2).to_string(),
    });
    record.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    record
}

/// Writes a log's folder: records in segments.
pub(crate) fn write(directory: &Path, log: u128, segments: &[Vec<Value>]) {
    fs::create_dir_all(directory.join(segment::FOLDER)).unwrap();
    let mut first = 0;
    for records in segments {
        let header = Header {
            format: segment::FORMAT,
            log: Uuid::from_u128(log),
            instance: Uuid::from_u128(2),
            first,
            opened: time(TEN),
            frontier: Vec::new(),
        };
        let mut bytes = Vec::new();
        segment::begin(&header, &mut bytes).unwrap();
        for record in records {
            frame::append(record.to_string().as_bytes(), &mut bytes).unwrap();
        }
        fs::write(path(directory, first), bytes).unwrap();
        first += records.len() as u64;
    }
}

/// The segment that begins with this record.
pub(crate) fn path(directory: &Path, first: u64) -> PathBuf {
    directory.join(segment::FOLDER).join(segment::file_name(first))
}
