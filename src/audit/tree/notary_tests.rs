use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::checkpoint::Checkpoint;
use super::example_log_for_tests::ExampleLog;
use super::keys::{LogKey, Signed, TrustedKeys};
use super::notary::*;
use crate::audit::spool::segment::Segment;

const EVERY: Duration = Duration::from_secs(5);

fn config(keys: &Path) -> NotaryConfig {
    NotaryConfig {
        key: keys.join("log.key"),
        previous_key: None,
        name: None,
        every: EVERY,
        witnesses: Vec::new(),
    }
}

fn id(log: &ExampleLog) -> uuid::Uuid {
    log.checkpoint_of(0).log
}

fn open(log: &ExampleLog, config: &NotaryConfig) -> Result<Notary, NotaryError> {
    Notary::open(config, log.directory(), id(log), uuid::Uuid::nil(), true)
}

fn file(log: &ExampleLog) -> PathBuf {
    log.directory().join(FILE_NAME)
}

fn public(config: &NotaryConfig) -> TrustedKeys {
    TrustedKeys::read(&fs::read_to_string(config.key.with_extension("pub")).unwrap()).unwrap()
}

/// A log of records that is signed, and the configuration of whoever signed.
fn signed() -> (ExampleLog, tempfile::TempDir, NotaryConfig) {
    let (mut log, keys) = (ExampleLog::new(), tempfile::tempdir().unwrap());
    let config = config(keys.path());
    for _ in 0..12 {
        log.entry("decision", "");
    }
    let mut notary = Notary::open(&config, log.directory(), id(&log), uuid::Uuid::nil(), false).unwrap();
    notary.checkpoint(Account::default(), Instant::now()).unwrap();
    (log, keys, config)
}

#[test]
fn a_checkpoint_says_what_the_log_comes_to_and_is_kept_in_its_place() {
    let (mut log, _keys, config) = signed();
    let mut notary = open(&log, &config).unwrap();
    log.entry("decision", "");
    notary.record(log.line(12).as_bytes());
    let account = Account { issued: 20, written: 13, dropped: 2, reserved: 1000 };
    let note = notary.checkpoint(account, Instant::now()).unwrap();
    assert_eq!(fs::read_to_string(file(&log)).unwrap(), note);
    let (checkpoint, signed) = Checkpoint::read(&note, &public(&config)).unwrap();
    assert_eq!(signed, Signed::Trusted);
    assert_eq!((checkpoint.size, checkpoint.root), (13, log.tree().root()));
    let facts = checkpoint.facts;
    assert_eq!((facts.issued, facts.written, facts.dropped, facts.reserved), (20, 13, 2, 1000));
    let segment = Segment::open(&log.segment(0)).unwrap();
    assert_eq!((facts.segment.first, facts.segment.header.as_str()), (0, segment.header_digest()));
}

#[test]
fn a_checkpoint_is_due_at_the_start_and_then_by_what_is_new() {
    let (mut log, _keys, config) = signed();
    let mut notary = open(&log, &config).unwrap();
    let start = Instant::now();
    assert!(notary.due(start));
    notary.checkpoint(Account::default(), start).unwrap();
    // Its own record.
    log.entry("checkpoint", "");
    notary.record(log.line(12).as_bytes());
    assert!(!notary.due(start + EVERY));
    assert!(!notary.due(start + Duration::from_secs(59)));
    assert!(notary.due(start + Duration::from_secs(60)));
    log.entry("decision", "");
    notary.record(log.line(13).as_bytes());
    assert!(!notary.due(start + EVERY - Duration::from_millis(1)));
    assert!(notary.due(start + EVERY));
}

#[test]
fn a_log_that_is_shorter_or_other_than_was_signed_is_not_gone_on_with() {
    let (log, _keys, config) = signed();
    let path = log.segment(0);
    let whole = fs::read(&path).unwrap();
    let last = log.line(11).len() + 8;
    fs::write(&path, &whole[..whole.len() - last]).unwrap();
    let refused = open(&log, &config).unwrap_err();
    assert!(matches!(refused, NotaryError::Unfit { .. }), "{refused}");
    assert!(refused.to_string().contains("missing from its end"), "{refused}");
    fs::write(&path, &whole).unwrap();
    open(&log, &config).unwrap();
    let other = ExampleLog::named(id(&log));
    fs::copy(file(&log), file(&other)).unwrap();
    assert!(matches!(open(&other, &config), Err(NotaryError::Unfit { .. })));
}

#[test]
fn a_last_checkpoint_that_is_missing_changed_or_of_another_log_stops_the_start() {
    let (log, _keys, config) = signed();
    let note = fs::read_to_string(file(&log)).unwrap();
    let problem = |text: Option<&str>| {
        match text {
            Some(text) => fs::write(file(&log), text).unwrap(),
            None => fs::remove_file(file(&log)).unwrap(),
        }
        match open(&log, &config) {
            Err(NotaryError::Checkpoint { problem, .. }) => problem,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(problem(None), Unusable::Missing));
    assert!(matches!(problem(Some("")), Unusable::Malformed(_)));
    let larger = note.replacen("\n12\n", "\n11\n", 1);
    assert!(matches!(problem(Some(&larger)), Unusable::Forged));
    let named = NotaryConfig { name: Some("ours".to_owned()), ..config.clone() };
    let other = ExampleLog::new();
    Notary::open(&named, other.directory(), id(&other), uuid::Uuid::nil(), false)
        .unwrap()
        .checkpoint(Account::default(), Instant::now())
        .unwrap();
    fs::copy(file(&other), file(&log)).unwrap();
    let Err(NotaryError::Checkpoint { problem, .. }) = open(&log, &named) else { panic!() };
    assert!(matches!(problem, Unusable::Foreign(log) if log == id(&other)), "{problem}");
}

#[test]
fn a_key_is_changed_by_signing_once_with_both() {
    let (log, keys, config) = signed();
    let old = public(&config);
    let changed = NotaryConfig { key: keys.path().join("new.key"), ..config.clone() };
    let Err(NotaryError::Checkpoint { problem, .. }) = open(&log, &changed) else { panic!() };
    assert!(problem.to_string().contains("log.previous_key"), "{problem}");
    let changed = NotaryConfig { previous_key: Some(config.key), ..changed };
    let mut notary = open(&log, &changed).unwrap();
    let both = notary.checkpoint(Account::default(), Instant::now()).unwrap();
    let new_only = notary.checkpoint(Account::default(), Instant::now()).unwrap();
    let new = public(&changed);
    let worth = |note: &str, keys| Checkpoint::read(note, keys).unwrap().1;
    assert_eq!([worth(&both, &old), worth(&both, &new)], [Signed::Trusted; 2]);
    assert_eq!([worth(&new_only, &old), worth(&new_only, &new)], [Signed::Unknown, Signed::Trusted]);
    drop(notary);
    // The key before it may stay named: it signs no more.
    let again = open(&log, &changed).unwrap().checkpoint(Account::default(), Instant::now()).unwrap();
    assert_eq!(worth(&again, &old), Signed::Unknown);
}

#[test]
fn where_the_checkpoint_cannot_be_written_there_is_none() {
    let (log, _keys, config) = signed();
    let mut notary = open(&log, &config).unwrap();
    let kept = fs::read_to_string(file(&log)).unwrap();
    fs::create_dir(log.directory().join(".checkpoint.new")).unwrap();
    let now = Instant::now();
    assert!(matches!(notary.checkpoint(Account::default(), now), Err(NotMade::Io(_))));
    assert_eq!(fs::read_to_string(file(&log)).unwrap(), kept);
    assert!(!notary.due(now), "it is tried again in its time");
    assert!(notary.due(now + Duration::from_secs(60)));
}

#[test]
fn the_key_is_published_beside_the_private_one() {
    let (log, _keys, config) = signed();
    let line = fs::read_to_string(config.key.with_extension("pub")).unwrap();
    assert!(line.starts_with(&format!("mandate/{}+", id(&log))), "{line}");
    let key = LogKey::open(&config.key, &format!("mandate/{}", id(&log))).unwrap();
    assert_eq!(line, key.verifier() + "\n");
    let shown = format!("{:?}", open(&log, &config).unwrap());
    let pem = fs::read_to_string(&config.key).unwrap();
    assert!(!shown.contains(pem.lines().nth(1).unwrap()), "{shown}");
}
