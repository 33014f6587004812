//! Receipts from the command line.

use std::fs;

use serde_json::Value;

use super::written::WRITTEN;
use crate::support::{mandate, mandate_with_input};

pub(super) fn receipt(decision: &str) -> String {
    let log = WRITTEN.site.log().display().to_string();
    let finished = mandate(["log", "prove", decision, &log]);
    finished.check_code(0);
    finished.stdout
}

#[test]
fn a_receipt_shows_one_decision_to_whoever_has_the_public_key() {
    let key = WRITTEN.site.public_key();
    for decision in [WRITTEN.decisions.first(), WRITTEN.decisions.last()].into_iter().flatten() {
        let receipt = receipt(decision);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("receipt.json");
        fs::write(&file, &receipt).unwrap();
        let file = file.display().to_string();
        let finished = mandate(["log", "verify-receipt", &file, "--key", &key, "--format", "json"]);
        finished.check_code(0);
        let said = finished.json();
        assert_eq!(said["record"]["decision_id"], decision.as_str(), "{said:#}");
        let lied = receipt.replace("\\\"decision\\\":\\\"allow\\\"", "\\\"decision\\\":\\\"deny\\\"");
        assert_ne!(lied, receipt);
        mandate_with_input(["log", "verify-receipt", "-", "--key", &key], &lied).check_code(3);
    }
}

#[test]
fn a_receipt_by_another_key_shows_nothing_and_an_unknown_decision_has_none() {
    let receipt = receipt(&WRITTEN.decisions[0]);
    let other = super::written::Site::new();
    other.start().terminate().check_code(0);
    let key = other.public_key();
    mandate_with_input(["log", "verify-receipt", "-", "--key", &key], &receipt).check_code(3);
    let log = WRITTEN.site.log().display().to_string();
    let finished = mandate(["log", "prove", "0199c5f0-3e60-7c3b-9a55-3a1c9f0c8f11", &log]);
    finished.check_code(1);
    assert!(finished.stderr.contains("no decision"), "{finished:?}");
    mandate_with_input(["log", "verify-receipt", "-", "--key", &key], "{}").check_code(3);
}

#[test]
fn the_public_keys_are_printed_to_be_published() {
    let site = &WRITTEN.site;
    let finished = site.command(&["log", "keys", "--format", "json"]);
    finished.check_code(0);
    let said: Value = finished.json();
    assert_eq!(said["keys"][0], site.public_key().as_str());
}
