//! What a search finds is what somebody finds who reads everything, whatever state indexes and segments are in.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::census::{Census, Expected, Missing};
use super::contents::{Gathering, Said, Sealed};
use super::example_logs_for_tests::{TEN, decision, id, name, other, path, write};
use super::gathered::{Gathered, folders};
use super::index::Index;
use super::indexer::Indexer;
use super::query::{Field, Query, Term};
use super::search::{Indexes, Search};
use crate::audit::spool::reader::ReadError;
use crate::audit::spool::segment::{Segment, SegmentError};

fn found(directory: &Path, query: &Query, indexes: Indexes) -> Vec<u64> {
    let hits = Search::new(directory, query.clone(), u64::MAX, indexes).unwrap();
    hits.map(|hit| hit.unwrap().sequence).collect()
}

fn of(terms: Vec<Term>) -> Query {
    Query { terms, ..Query::default() }
}

/// What a record says, read in another way than the search does.
fn says(record: &Value, field: usize, value: &str) -> bool {
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str) == Some(value);
    match field {
        0 => text("/principal/id"),
        1 => {
            let chain = record["chain"].as_array().unwrap();
            chain[..chain.len() - 1].iter().any(|member| member["id"] == value)
        }
        2 => text("/resource/id"),
        3 => text("/decision"),
        4 => record["determining"].as_array().unwrap().iter().any(|policy| policy["id"] == value),
        _ => text("/evidence/session_id"),
    }
}

const FIELDS: [Field; 6] =
    [Field::Principal, Field::Delegator, Field::Resource, Field::Decision, Field::Policy, Field::Session];

/// A record from a few values, so that many say the same.
fn record(number: u64, values: [u8; 6]) -> Value {
    let mut record = decision(number, "allow", &format!("v{}", values[5]));
    let value = |at: usize| format!("v{}", values[at]);
    record["principal"]["id"] = value(0).into();
    record["chain"] = json!([name("U", &value(1)), name("U", &value(2)), name("A", &value(0))]);
    record["resource"]["id"] = value(2).into();
    record["decision"] = value(3).into();
    record["determining"] = json!([{"id": value(4)}, {"id": value(1)}]);
    record
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_search_finds_what_reading_everything_finds(
        segments in prop::collection::vec(prop::collection::vec(prop::array::uniform6(0..3_u8), 0..30), 1..5),
        wanted in prop::collection::vec((0..6_usize, 0..4_u8), 0..4),
        from in prop::option::of(0..80_i64),
        to in prop::option::of(0..80_i64),
        spoil in 0..4_u8,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut number = 0;
        let mut next = |values: &[u8; 6]| { number += 1; record(number - 1, *values) };
        let written: Vec<Vec<_>> =
            segments.iter().map(|values| values.iter().map(&mut next).collect()).collect();
        write(folder.path(), 1, &written);
        let terms = wanted.iter().map(|(field, value)| Term::new(FIELDS[*field], format!("v{value}"))).collect();
        let at = |seconds: i64| TEN + seconds * 1_000_000;
        let query = Query { terms, from: from.map(at), to: to.map(at) };
        let expected: Vec<u64> = written.iter().flatten().enumerate().filter(|(place, record)| {
            let seconds = i64::try_from(*place).unwrap();
            wanted.iter().all(|(field, value)| says(record, *field, &format!("v{value}")))
                && from.is_none_or(|from| seconds >= from) && to.is_none_or(|to| seconds < to)
        }).map(|(place, _)| place as u64).collect();
        // Indexes that are missing, that are made, and that are spoiled.
        for _ in 0..2 {
            prop_assert_eq!(&found(folder.path(), &query, Indexes::Use), &expected);
        }
        prop_assert_eq!(&found(folder.path(), &query, Indexes::Ignore), &expected);
        spoil_indexes(folder.path(), spoil);
        prop_assert_eq!(&found(folder.path(), &query, Indexes::Use), &expected);
    }
}

fn indexes(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory.join("segments")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "index")).collect()
}

fn spoil_indexes(directory: &Path, how: u8) {
    for path in indexes(directory) {
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        match how {
            0 => bytes.truncate(last),
            1 => bytes.truncate(10),
            2 => bytes[last] ^= 0x80,
            _ => bytes.iter_mut().skip(4096).for_each(|byte| *byte ^= 0x55),
        }
        fs::write(&path, bytes).unwrap();
    }
}

/// Two sealed segments and an open one, of four records each: sessions `a` and `b` in turn.
fn small() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 1, &example());
    folder
}

fn example() -> Vec<Vec<Value>> {
    let one = |number: u64| decision(number, "allow", if number.is_multiple_of(2) { "a" } else { "b" });
    (0..3).map(|segment| (segment * 4..segment * 4 + 4).map(one).collect()).collect()
}

fn session(name: &str) -> Query {
    of(vec![Term::new(Field::Session, name)])
}

#[test]
fn an_index_of_another_segment_is_not_used_and_replaced() {
    let folder = small();
    assert_eq!(found(folder.path(), &session("a"), Indexes::Use), [0, 2, 4, 6, 8, 10]);
    let (first, second) = (path(folder.path(), 0), path(folder.path(), 4));
    fs::copy(second.with_extension("index"), first.with_extension("index")).unwrap();
    assert!(Index::open(&first).unwrap().is_none());
    assert_eq!(found(folder.path(), &session("a"), Indexes::Use), [0, 2, 4, 6, 8, 10]);
    assert_eq!(Index::open(&first).unwrap().unwrap().records(), 4);
    // The segment was replaced by one of the same length.
    let bytes = fs::read(&first).unwrap();
    let mut others = example();
    others[0].iter_mut().for_each(|record| record["evidence"]["session_id"] = "c".into());
    write(folder.path(), 1, &others);
    assert_eq!(fs::read(&first).unwrap().len(), bytes.len());
    assert_eq!(found(folder.path(), &session("c"), Indexes::Use), [0, 1, 2, 3]);
}

#[test]
fn what_a_record_says_counts_and_not_what_its_index_says_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = path(folder.path(), 0);
    // A record in the middle of a long segment changed, and nothing of what an index is held to.
    let mut long: Vec<Value> = (0..40).map(|number| decision(number, "allow", "a")).collect();
    write(folder.path(), 1, &[long.clone(), example()[1].clone()]);
    drop(Index::make(&first).unwrap());
    long[3]["evidence"]["session_id"] = "z".into();
    write(folder.path(), 1, &[long, example()[1].clone()]);
    assert!(Index::open(&first).unwrap().is_some(), "it seems to be its index");
    let expected: Vec<u64> = (0..40).filter(|number| *number != 3).chain([40, 42]).collect();
    assert_eq!(found(folder.path(), &session("a"), Indexes::Use), expected);
    assert_eq!(found(folder.path(), &session("z"), Indexes::Use), [3], "it was made anew");
}

#[test]
fn the_last_segment_may_end_anywhere_and_no_other_may() {
    let folder = small();
    let last = path(folder.path(), 8);
    let whole = fs::read(&last).unwrap();
    for end in [0, 4, 8, 12, 100, whole.len() - 1] {
        fs::write(&last, &whole[..end]).unwrap();
        let found = found(folder.path(), &session("b"), Indexes::Use);
        assert!(found.starts_with(&[1, 3, 5, 7]), "{end}: {found:?}");
    }
    let second = path(folder.path(), 4);
    let bytes = fs::read(&second).unwrap();
    fs::write(&second, &bytes[..bytes.len() - 1]).unwrap();
    fs::write(&last, &whole).unwrap();
    let hits: Vec<_> = Search::new(folder.path(), session("b"), u64::MAX, Indexes::Use).unwrap().collect();
    let sequences: Vec<_> = hits.iter().flatten().map(|hit| hit.sequence).collect();
    assert_eq!(sequences, [1, 3, 5, 9, 11], "what can be read is found");
    let problems: Vec<_> = hits.iter().filter_map(|hit| hit.as_ref().err()).collect();
    assert!(
        matches!(problems[..], [ReadError::Segment { error: SegmentError::Torn { .. }, .. }]),
        "{problems:?}"
    );
}

#[test]
fn a_segment_that_is_missing_is_told() {
    let folder = small();
    fs::remove_file(path(folder.path(), 4)).unwrap();
    for indexes in [Indexes::Use, Indexes::Ignore] {
        let hits: Vec<_> = Search::new(folder.path(), session("b"), u64::MAX, indexes).unwrap().collect();
        assert!(
            hits.iter().any(|hit| matches!(hit, Err(ReadError::Missing { expected: 4, .. }))),
            "{hits:?}"
        );
        assert_eq!(hits.iter().flatten().map(|hit| hit.sequence).collect::<Vec<_>>(), [1, 3, 9, 11]);
    }
}

#[test]
fn nothing_is_looked_at_from_a_sequence_on() {
    let folder = small();
    for until in 0..12 {
        let hits = Search::new(folder.path(), Query::default(), until, Indexes::Use).unwrap();
        let found: Vec<_> = hits.map(|hit| hit.unwrap().sequence).collect();
        assert_eq!(found, (0..until).collect::<Vec<_>>());
    }
}

#[test]
fn indexes_are_made_of_sealed_segments_and_swept_with_them() {
    let folder = small();
    let mut indexer = Indexer::new(folder.path());
    indexer.index(|| false);
    assert_eq!(indexes(folder.path()).len(), 0);
    indexer.index(|| true);
    assert_eq!(indexes(folder.path()).len(), 2);
    fs::remove_file(path(folder.path(), 0)).unwrap();
    indexer.index(|| true);
    assert_eq!(indexes(folder.path()), [path(folder.path(), 4).with_extension("index")]);
}

#[test]
fn a_segment_that_was_gathered_is_indexed_without_being_read() {
    let folder = small();
    let first = path(folder.path(), 0);
    let (mut segment, mut gathering) =
        (Segment::open(&first).unwrap(), Gathering::after(&Gathering::default()));
    // Something that no record says.
    let mut said = Said::at(0);
    said.add(77).unwrap();
    while let Some(framed) = segment.next().unwrap() {
        gathering.add(framed.offset, framed.line, Some(&said));
    }
    let sealed = Sealed::default();
    sealed.hand_over(0, fs::metadata(&first).unwrap().len(), gathering);
    Indexer::after(folder.path(), sealed).index(|| true);
    let index = Index::open(&first).unwrap().unwrap();
    assert_eq!(index.rarest(&[vec![77]]).unwrap(), [0, 1, 2, 3]);
}

#[test]
fn kinds_that_nobody_knows_are_found_by_what_is_known_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let vote = other("vote", 1, json!({"principal": "somebody", "decision": ["no"]}));
    let outcome = other("outcome", 2, json!({"of": id(0), "outcome": "executed"}));
    write(folder.path(), 1, &[vec![decision(0, "deny", "a"), vote, outcome], vec![decision(3, "deny", "a")]]);
    let by = |field, value: &str| found(folder.path(), &of(vec![Term::new(field, value)]), Indexes::Use);
    assert_eq!(by(Field::Kind, "vote"), [1]);
    assert_eq!(by(Field::Kind, "decision"), [0, 3]);
    assert_eq!(by(Field::DecisionId, &id(0)), [0, 2]);
    let typed = |type_name| of(vec![Term::entity(Field::Principal, type_name, "bot")]);
    assert_eq!(found(folder.path(), &typed("Mandate::Agent"), Indexes::Use), [0, 3]);
    assert_eq!(found(folder.path(), &typed("Mandate::User"), Indexes::Use), [] as [u64; 0]);
}

#[test]
fn many_logs_read_as_one_in_the_order_of_time_and_copies_only_once() {
    let top = tempfile::tempdir().unwrap();
    let even = (0..6).map(|number| decision(number * 2, "allow", "a")).collect::<Vec<_>>();
    let odd = (0..6).map(|number| decision(number * 2 + 1, "allow", "a")).collect::<Vec<_>>();
    write(&top.path().join("one"), 1, &[even[..3].to_vec(), even[3..].to_vec()]);
    write(&top.path().join("two"), 2, &[odd]);
    write(&top.path().join("copy"), 1, &[even[..3].to_vec(), even[3..].to_vec()]);
    let logs = folders(&[top.path().to_owned(), top.path().join("copy")]).unwrap();
    assert_eq!(logs.len(), 3);
    let hits = Gathered::new(&logs, &session("a"), Indexes::Use).unwrap();
    let times: Vec<_> = hits.map(|hit| (hit.unwrap().micros - TEN) / 1_000_000).collect();
    assert_eq!(times, (0..12).collect::<Vec<_>>());
    let none = tempfile::tempdir().unwrap();
    assert!(folders(&[none.path().to_owned()]).unwrap_err().to_string().contains("no decision log"));
}

#[test]
fn processes_and_logs_that_are_missing_are_named() {
    let top = tempfile::tempdir().unwrap();
    let process = |number: u64, kind: &str, instance: &str, previous: Option<&str>| {
        let mut record = other(kind, number, json!({"instance": instance}));
        if let Some(previous) = previous {
            record["previous"] = json!({"instance": previous, "clean": true, "written": 3});
        }
        record
    };
    let whole = vec![process(0, "start", "i1", None), process(1, "stop", "i1", None)];
    write(&top.path().join("whole"), 1, &[whole]);
    let broken = vec![process(0, "start", "i3", Some("i2")), decision(1, "allow", "a")];
    write(&top.path().join("broken"), 2, &[broken]);
    let census = Census::of(&folders(&[top.path().to_owned()]).unwrap(), Indexes::Use).unwrap();
    let directory = || top.path().join("broken");
    let within = [
        Missing::Process { directory: directory(), instance: "i2".to_owned(), named_by: "i3".to_owned() },
        Missing::End {
            directory: directory(),
            instance: "i3".to_owned(),
            started: super::example_logs_for_tests::time(TEN),
        },
    ];
    assert_eq!(census.missing(None), within);
    assert_eq!(census.missing(Some(&Expected::Count(2))), within);
    assert_eq!(census.missing(Some(&Expected::Count(3)))[2], Missing::Count { expected: 3, found: 2 });
    let expected = Expected::Ids(vec!["i1".to_owned(), "i9".to_owned()]);
    assert_eq!(census.missing(Some(&expected))[2..], [Missing::Expected("i9".to_owned())]);
}

#[test]
fn what_is_appended_while_it_is_read_is_no_problem() {
    let folder = small();
    let mut search = Search::new(folder.path(), session("a"), u64::MAX, Indexes::Use).unwrap();
    search.next().unwrap().unwrap();
    let mut file = OpenOptions::new().append(true).open(path(folder.path(), 8)).unwrap();
    file.write_all(&[7; 3]).unwrap();
    assert_eq!(search.map(|hit| hit.unwrap().sequence).collect::<Vec<_>>(), [2, 4, 6, 8, 10]);
}
