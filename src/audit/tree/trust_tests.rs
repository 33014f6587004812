//! Whose word counts in a verification: keys, witnesses, copies, and what processes say of themselves.

use std::fs;
use std::path::{Path, PathBuf};

use super::example_log_for_tests::ExampleLog;
use super::finding::{Fault, Remark};
use super::keys::{LogKey, TrustedKeys};
use super::notary;
use super::verify::*;

fn key(name: &str) -> LogKey {
    let folder = tempfile::tempdir().unwrap();
    LogKey::open_or_make(&folder.path().join("log.key"), name).unwrap()
}

fn trusting(keys: &[&LogKey]) -> TrustedKeys {
    TrustedKeys::read(&keys.iter().map(|key| key.verifier() + "\n").collect::<String>()).unwrap()
}

fn log(key: &LogKey) -> ExampleLog {
    let mut log = ExampleLog::new();
    log.entry("start", "");
    log.entry("decision", "");
    log.checkpoint(key);
    log.entry("decision", "");
    log.checkpoint(key);
    log
}

fn report(log: &Path, files: &[PathBuf], keys: &TrustedKeys) -> LogReport {
    verify(&[log.to_owned()], files, keys).unwrap().logs.remove(0)
}

fn faults(log: &ExampleLog, keys: &TrustedKeys) -> Vec<Fault> {
    report(log.directory(), &[], keys).findings.into_iter().map(|finding| finding.fault).collect()
}

fn file(text: &str) -> (tempfile::NamedTempFile, PathBuf) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    let path = file.path().to_owned();
    (file, path)
}

#[test]
fn a_log_that_nobody_believed_signed_shows_nothing() {
    let (ours, theirs) = (key("a"), key("a"));
    let log = log(&theirs);
    assert!(faults(&log, &trusting(&[&ours])).contains(&Fault::Unsigned));
    assert!(faults(&log, &trusting(&[])).contains(&Fault::Unsigned));
    let mut unsigned = ExampleLog::new();
    unsigned.entry("start", "");
    assert_eq!(faults(&unsigned, &trusting(&[&ours])), [Fault::Unsigned]);
}

#[test]
fn what_somebody_else_appends_and_signs_is_found() {
    let (ours, theirs) = (key("a"), key("b"));
    let mut log = log(&ours);
    log.entry("decision", "");
    assert_eq!(faults(&log, &trusting(&[&ours])), []);
    log.checkpoint(&theirs);
    assert_eq!(faults(&log, &trusting(&[&ours])), [Fault::UnknownKey]);
    // As soon as we sign what is there, it is ours.
    log.checkpoint(&ours);
    let report = report(log.directory(), &[], &trusting(&[&ours]));
    assert_eq!((report.findings, report.remarks.contains(&Remark::UnknownKeys(1))), (Vec::new(), true));
}

#[test]
fn a_checkpoint_in_our_name_by_another_key_is_forged() {
    let (ours, theirs) = (key("a"), key("a"));
    let log = log(&ours);
    let note = log.checkpoint_of(4).sign([&theirs]).unwrap();
    // The number of a key is a part of its hash, so a forger writes ours.
    let (us, them) = (ours.verifier(), theirs.verifier());
    let number = |key: &str| u32::from_str_radix(key.split('+').nth(1).unwrap(), 16).unwrap().to_be_bytes();
    let forged = rewritten(&note, number(&them), number(&us));
    let (_kept, path) = file(&forged);
    let found = verify(&[log.directory().to_owned()], &[path], &trusting(&[&ours])).unwrap();
    assert_eq!(found.findings[0].fault, Fault::Forged);
    assert!(!found.is_intact());
    let (_kept, path) = file(&note);
    let found = verify(&[log.directory().to_owned()], &[path], &trusting(&[&ours])).unwrap();
    assert_eq!(found.logs[0].findings[0].fault, Fault::UnknownKey);
    fs::write(log.directory().join(notary::FILE_NAME), forged).unwrap();
    assert_eq!(faults(&log, &trusting(&[&ours]))[0], Fault::Forged);
}

/// A note whose signature says that it is by another key.
fn rewritten(note: &str, from: [u8; 4], to: [u8; 4]) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let (text, signature) = note.trim_end().rsplit_once(' ').unwrap();
    let mut bytes = STANDARD.decode(signature).unwrap();
    assert_eq!(bytes[..4], from);
    bytes[..4].copy_from_slice(&to);
    format!("{text} {}\n", STANDARD.encode(bytes))
}

#[test]
fn after_a_change_of_keys_the_new_one_is_enough_and_the_old_one_is_not() {
    let (old, new) = (key("a"), key("a"));
    let mut log = log(&old);
    log.entry("decision", "");
    log.checkpoint(&new);
    assert_eq!(faults(&log, &trusting(&[&old, &new])), []);
    assert_eq!(faults(&log, &trusting(&[&new])), []);
    assert_eq!(faults(&log, &trusting(&[&old])), [Fault::UnknownKey]);
}

#[test]
fn a_fork_is_found_though_both_of_its_heads_are_signed() {
    let key = key("a");
    let keys = trusting(&[&key]);
    let id = uuid::Uuid::now_v7();
    let branch = |what: &str| {
        let mut log = ExampleLog::named(id);
        log.entry("start", "");
        log.entry("decision", "");
        log.checkpoint(&key);
        log.entry("decision", what);
        log.entry("decision", "");
        let note = log.checkpoint(&key);
        (log, note)
    };
    let ((one, _), (same, _), (other, head)) = (branch(""), branch(""), branch(",\"decision\":\"allow\""));
    let folders =
        |logs: &[&ExampleLog]| logs.iter().map(|log| log.directory().to_owned()).collect::<Vec<_>>();
    assert!(verify(&folders(&[&one]), &[], &keys).unwrap().is_intact());
    assert!(verify(&folders(&[&other]), &[], &keys).unwrap().is_intact());
    assert!(verify(&folders(&[&one, &same]), &[], &keys).unwrap().is_intact());
    let forked = verify(&folders(&[&one, &other]), &[], &keys).unwrap();
    for report in &forked.logs {
        assert!(
            matches!(report.findings[0].fault, Fault::Root { size: 5, good: 2, .. }),
            "{:?}",
            report.findings
        );
    }
    // A witness that saw the other head finds it too.
    let (_kept, path) = file(&head);
    let witnessed = verify(&folders(&[&one]), &[path], &keys).unwrap();
    assert!(matches!(witnessed.logs[0].findings[0].fault, Fault::Root { size: 5, .. }));
    // A copy that is older is none.
    let mut older = ExampleLog::named(id);
    older.entry("start", "");
    older.entry("decision", "");
    older.checkpoint(&key);
    assert!(verify(&folders(&[&one, &older]), &[], &keys).unwrap().is_intact());
}

#[test]
fn a_log_of_which_only_checkpoints_are_there_is_missed() {
    let key = key("a");
    let (here, gone) = (log(&key), log(&key));
    let (_kept, path) = file(&gone.checkpoint_of(3).sign([&key]).unwrap());
    let found = verify(&[here.directory().to_owned()], &[path], &trusting(&[&key])).unwrap();
    assert_eq!(found.findings[0].fault, Fault::LogMissing(gone.checkpoint_of(3).log));
    let (_kept, path) = file("nothing of that kind");
    let found = verify(&[here.directory().to_owned()], &[path], &trusting(&[&key])).unwrap();
    assert!(matches!(found.findings[0].fault, Fault::NoCheckpoint(_)));
}

#[test]
fn many_logs_in_a_folder_are_verified_at_once() {
    let key = key("a");
    let gathered = tempfile::tempdir().unwrap();
    let logs = [log(&key), log(&key)];
    for (name, log) in ["one", "two"].iter().zip(&logs) {
        std::os::unix::fs::symlink(log.directory(), gathered.path().join(name)).unwrap();
    }
    fs::create_dir(gathered.path().join("other")).unwrap();
    let folders = folders(gathered.path()).unwrap();
    assert_eq!(folders, [gathered.path().join("one"), gathered.path().join("two")]);
    let verified = verify(&folders, &[], &trusting(&[&key])).unwrap();
    assert!(verified.is_intact() && verified.logs.len() == 2);
    assert_eq!(super::verify::folders(logs[0].directory()).unwrap(), [logs[0].directory()]);
}

/// What is remarked of a log whose first process ends like this, and whose second starts like that.
fn restarted(stop: bool, start: &str) -> Result<Vec<Remark>, Fault> {
    let key = key("a");
    let mut log = ExampleLog::new();
    log.entry("start", "");
    log.entry("gap", ",\"reason\":\"queue_full\",\"count\":3");
    if stop {
        log.entry("stop", "");
        log.checkpoint(&key);
    }
    log.restarted();
    log.entry("start", start);
    log.entry("stop", "");
    log.checkpoint(&key);
    let mut report = report(log.directory(), &[], &trusting(&[&key]));
    match report.findings.is_empty() {
        true => Ok(report.remarks),
        false => Err(report.findings.remove(0).fault),
    }
}

#[test]
fn gaps_and_losses_that_are_declared_are_told_and_others_found() {
    let first = uuid::Uuid::from_u128(1);
    let gap = Remark::Gap { count: 3, reason: "queue_full".to_owned() };
    let previous = |clean: bool, rest: &str| {
        format!(",\"previous\":{{\"instance\":\"{first}\",\"clean\":{clean}{rest}}}")
    };
    assert_eq!(restarted(true, &previous(true, "")), Ok(vec![gap.clone()]));
    let lost = Remark::Lost { count: 2, instance: first };
    let unclean = Remark::UncleanEnd(first);
    assert_eq!(
        restarted(false, &previous(false, ",\"lost\":2")),
        Ok(vec![gap.clone(), unclean.clone(), lost])
    );
    let at_most = Remark::LostAtMost { count: 900, instance: first };
    assert_eq!(restarted(false, &previous(false, ",\"lost_at_most\":900")), Ok(vec![gap, unclean, at_most]));
    for undeclared in ["".to_owned(), previous(true, "")] {
        assert_eq!(restarted(false, &undeclared), Err(Fault::Undeclared));
    }
    let of_another = format!(",\"previous\":{{\"instance\":\"{}\",\"clean\":false}}", uuid::Uuid::nil());
    assert_eq!(restarted(false, &of_another), Err(Fault::Undeclared));
}

#[test]
fn a_process_that_did_not_say_that_it_started_or_goes_on_after_it_stopped_is_found() {
    let key = key("a");
    let keys = trusting(&[&key]);
    let mut stranger = log(&key);
    stranger.restarted();
    stranger.entry("decision", "");
    assert!(matches!(faults(&stranger, &keys)[0], Fault::Stranger(_)));
    let mut after = log(&key);
    after.entry("stop", "");
    after.entry("decision", "");
    assert_eq!(faults(&after, &keys), [Fault::AfterStop]);
}

#[test]
fn a_log_with_gaps_is_intact_and_not_complete() {
    let key = key("a");
    let mut log = log(&key);
    log.entry("gap", ",\"reason\":\"io_error\",\"count\":1");
    log.checkpoint(&key);
    let verified = verify(&[log.directory().to_owned()], &[], &trusting(&[&key])).unwrap();
    assert!(verified.is_intact() && !verified.is_complete());
}

#[test]
fn what_is_no_record_is_found() {
    let key = key("a");
    for line in ["", "null", "{}", r#"{"kind":"decision","sequence":0}"#] {
        let mut log = ExampleLog::new();
        log.record(line);
        log.checkpoint(&key);
        assert!(matches!(faults(&log, &trusting(&[&key]))[0], Fault::NoRecord(_)), "{line}");
    }
    let mut log = log(&key);
    log.entry("checkpoint", ",\"note\":\"none\"");
    assert!(matches!(faults(&log, &trusting(&[&key]))[0], Fault::NoCheckpoint(_)));
}
