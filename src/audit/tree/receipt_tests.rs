use std::fs;

use super::example_log_for_tests::ExampleLog;
use super::keys::{LogKey, TrustedKeys};
use super::notary;
use super::receipt::*;

fn key() -> LogKey {
    let folder = tempfile::tempdir().unwrap();
    LogKey::open_or_make(&folder.path().join("log.key"), "name").unwrap()
}

fn trusting(key: &LogKey) -> TrustedKeys {
    TrustedKeys::read(&key.verifier()).unwrap()
}

/// A log of thirty decisions in segments of ten records, signed at its end.
fn log(key: &LogKey) -> ExampleLog {
    let mut log = ExampleLog::new();
    log.entry("start", "");
    for decision in 0..30 {
        if decision % 10 == 9 {
            log.checkpoint(key);
            log.roll();
        }
        log.entry("decision", &format!(",\"decision_id\":\"d-{decision}\""));
    }
    let note = log.checkpoint(key);
    fs::write(log.directory().join(notary::FILE_NAME), note).unwrap();
    log
}

#[test]
fn every_decision_has_a_receipt_that_holds_also_when_older_segments_are_gone() {
    let key = key();
    let log = log(&key);
    let keys = trusting(&key);
    let check = |decision: u64| {
        let receipt = Receipt::of(log.directory(), &format!("d-{decision}")).unwrap();
        assert!(receipt.record.contains(&format!("\"d-{decision}\"")));
        let text = serde_json::to_string(&receipt).unwrap();
        let checkpoint = Receipt::read(&text).unwrap().verify(&keys).unwrap();
        assert_eq!(checkpoint.size, receipt.size);
    };
    (0..30).for_each(check);
    fs::remove_file(log.segment(0)).unwrap();
    (9..30).for_each(check);
    assert!(matches!(Receipt::of(log.directory(), "d-3"), Err(NoReceipt::Unknown { .. })));
}

#[test]
fn a_receipt_that_was_changed_anywhere_shows_nothing() {
    let key = key();
    let log = log(&key);
    let keys = trusting(&key);
    let text = serde_json::to_string(&Receipt::of(log.directory(), "d-17").unwrap()).unwrap();
    assert!(Receipt::read(&text).unwrap().verify(&keys).is_ok());
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let verified = Receipt::read(&changed).map(|receipt| receipt.verify(&keys));
            assert!(!matches!(verified, Ok(Ok(_))), "byte {at}, bit {bit}: {changed}");
        }
    }
}

#[test]
fn a_receipt_counts_only_by_a_key_that_is_believed() {
    let (key, other) = (key(), key());
    let log = log(&key);
    let receipt = Receipt::of(log.directory(), "d-0").unwrap();
    assert_eq!(receipt.verify(&trusting(&other)), Err(BadReceipt::UnknownKey));
    assert_eq!(receipt.verify(&TrustedKeys::read("").unwrap()), Err(BadReceipt::UnknownKey));
    let later = Receipt { receipt: 2, ..receipt.clone() };
    assert_eq!(Receipt::read(&serde_json::to_string(&later).unwrap()), Err(BadReceipt::Version(2)));
    let moved = Receipt { index: receipt.index + 1, ..receipt };
    assert!(moved.verify(&trusting(&key)).is_err());
}

#[test]
fn a_record_that_says_another_number_than_its_leafs_shows_nothing() {
    let key = key();
    let mut log = ExampleLog::new();
    log.record(r#"{"kind":"decision","sequence":7,"instance":"00000000-0000-0000-0000-000000000001","decision_id":"d"}"#);
    let note = log.checkpoint(&key);
    fs::write(log.directory().join(notary::FILE_NAME), note).unwrap();
    let receipt = Receipt::of(log.directory(), "d").unwrap();
    assert_eq!(receipt.verify(&trusting(&key)), Err(BadReceipt::Number { said: 7, index: 0 }));
}

#[test]
fn there_is_no_receipt_of_what_is_unknown_not_signed_yet_or_of_a_log_that_was_changed() {
    let key = key();
    let mut log = log(&key);
    assert!(matches!(Receipt::of(log.directory(), "d-30"), Err(NoReceipt::Unknown { .. })));
    log.entry("decision", ",\"decision_id\":\"d-30\"");
    assert!(matches!(Receipt::of(log.directory(), "d-30"), Err(NoReceipt::Uncovered { .. })));
    let other = ExampleLog::new();
    fs::copy(log.segment(0), other.segment(0)).unwrap();
    fs::copy(log.directory().join(notary::FILE_NAME), other.directory().join(notary::FILE_NAME)).unwrap();
    assert!(matches!(Receipt::of(other.directory(), "d-3"), Err(NoReceipt::NotIntact(_))));
    fs::remove_file(log.directory().join(notary::FILE_NAME)).unwrap();
    assert!(matches!(Receipt::of(log.directory(), "d-3"), Err(NoReceipt::Checkpoint { .. })));
}
