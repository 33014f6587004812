//! What a service leaves behind it: lines of the decision log, and numbers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jsonschema::Validator;
use mandate::audit::spool::reader::LogReader;
use serde_json::Value;

/// Longest time for a line to be written.
const PATIENCE: Duration = Duration::from_secs(20);

/// The records that answers made in a log's folder, once there are so many. Fails where there are more, or one is no JSON.
#[track_caller]
pub(crate) fn lines(folder: &Path, expected: usize) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let found =
            all_records(folder).into_iter().filter(|record| !is_of_the_writer(record)).collect::<Vec<_>>();
        if found.len() >= expected || begun.elapsed() > PATIENCE {
            assert_eq!(found.len(), expected, "records in {found:#?}");
            return found;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Every record of a log's folder, the writer's own included.
pub(crate) fn all_records(folder: &Path) -> Vec<Value> {
    records_from(folder, 0)
}

/// The same, from the record of this number on.
pub(crate) fn records_from(folder: &Path, from: u64) -> Vec<Value> {
    let read = LogReader::new(folder, from).read(u64::MAX, usize::MAX, usize::MAX);
    let parsed = |line: &[u8]| serde_json::from_slice(line).expect("a record is JSON");
    read.expect("the log can be read").iter().map(|entry| described(parsed(&entry.line))).collect()
}

/// What the published schema says of records.
static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let text = include_str!("../../../docs/decision-log.schema.json");
    let schema = serde_json::from_str(text).expect("the schema is JSON");
    jsonschema::validator_for(&schema).expect("a schema")
});

/// A record that is as its schema says.
fn described(record: Value) -> Value {
    let problems: Vec<_> = SCHEMA.iter_errors(&record).map(|error| error.to_string()).collect();
    assert!(problems.is_empty(), "{problems:?} in {record}");
    record
}

/// Whether the writer made a record by itself.
fn is_of_the_writer(record: &Value) -> bool {
    let kind = record["kind"].as_str().unwrap_or_default();
    ["start", "stop", "gap", "checkpoint", "retention", "generation"].contains(&kind)
}

/// Lines of JSON.
pub(crate) fn lines_of(text: &str) -> Vec<Value> {
    let parsed = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().map(parsed).collect()
}

/// What `/metrics` says, by series.
#[derive(Debug)]
pub(crate) struct Numbers {
    pub(crate) text: String,
    series: BTreeMap<String, f64>,
}

impl Numbers {
    /// The numbers of the ops listener at this address.
    pub(crate) fn read(ops: &str) -> Self {
        let text = super::get(&format!("{ops}/metrics")).body;
        let series = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            (series.to_owned(), value.parse().expect("a number"))
        });
        Self { series: series.collect(), text }
    }

    /// One series; nought if it does not exist yet.
    pub(crate) fn value(&self, series: &str) -> f64 {
        self.series.get(series).copied().unwrap_or_default()
    }

    /// All series of one name.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        self.named(name).map(|(_, value)| value).sum()
    }

    /// The series of one name.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = (&str, f64)> {
        let of_name = move |series: &str| series.split('{').next() == Some(name);
        let all = self.series.iter().map(|(series, value)| (series.as_str(), *value));
        all.filter(move |(series, _)| of_name(series))
    }

    /// Every series.
    pub(crate) fn series(&self) -> impl Iterator<Item = &str> {
        self.series.keys().map(String::as_str)
    }
}

/// Tells threads to stop, also where the test fails before it gets to say so.
#[derive(Debug)]
pub(crate) struct StopOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
