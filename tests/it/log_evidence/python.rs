//! A verifier that shares nothing with ours: Python, written from the format's document.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::receipts::receipt;
use super::written::{Copied, WRITTEN, files};
use crate::support::{Finished, repository};

/// Runs it, unless there is no Python, which only a machine that checks nothing for others may lack.
fn python(arguments: &[&str]) -> Option<Finished> {
    let script = repository().join("clients/python-verifier/mandate_verify.py");
    match Command::new("python3").arg(script).args(arguments).output() {
        Ok(output) => Some(Finished::from(output)),
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("SKIPPED: no python3 ({error}): the independent verifier was not run");
            None
        }
        Err(error) => panic!("python3: {error}"),
    }
}

fn log(folder: &Path) -> Option<Finished> {
    let (folder, key) = (folder.display().to_string(), WRITTEN.site.public_key());
    let witness = files(&WRITTEN.site.witness()).remove(0).display().to_string();
    python(&["log", &folder, "--key", &key, "--checkpoints", &witness])
}

#[test]
fn it_accepts_a_log_and_receipts_that_are_what_was_signed() {
    let Some(finished) = log(&WRITTEN.site.log()) else { return };
    finished.check_code(0);
    assert!(finished.stdout.starts_with("intact: "), "{finished:?}");
    let folder = tempfile::tempdir().unwrap();
    let key = WRITTEN.site.public_key();
    for decision in WRITTEN.decisions.iter().step_by(37) {
        let file = folder.path().join("receipt.json");
        fs::write(&file, receipt(decision)).unwrap();
        let file = file.display().to_string();
        python(&["receipt", &file, "--key", &key]).unwrap().check_code(0);
    }
}

/// A change to a copy of a log.
type Change = fn(&Copied);

#[test]
fn it_refuses_what_was_changed() {
    let changes: [(&str, Change); 9] = [
        ("a bit", |copy| {
            let path = copy.segment(0);
            let mut bytes = fs::read(&path).unwrap();
            let half = bytes.len() / 2;
            bytes[half] ^= 4;
            fs::write(path, bytes).unwrap();
        }),
        ("a record", |copy| copy.change(0, |lines| lines[3] = lines[3].replacen('"', " \"", 1))),
        ("one less", |copy| copy.change(0, |lines| drop(lines.remove(4)))),
        ("one twice", |copy| copy.change(0, |lines| lines.insert(4, lines[4].clone()))),
        ("two exchanged", |copy| copy.change(0, |lines| lines.swap(3, 4))),
        ("a segment less", |copy| fs::remove_file(copy.segment(copy.firsts()[1])).unwrap()),
        ("the tail", |copy| fs::remove_file(copy.segment(*copy.firsts().last().unwrap())).unwrap()),
        ("a header", |copy| {
            let mut header = copy.header(0);
            header.opened = String::new();
            let lines: Vec<_> = copy.records(0).into_iter().map(|record| record.line).collect();
            copy.write(0, &header, &lines);
        }),
        ("the checkpoint", |copy| {
            let path = copy.path().join("checkpoint");
            let note = fs::read_to_string(&path).unwrap();
            fs::write(path, note.replacen("\nissued ", "\nissued 1", 1)).unwrap();
        }),
    ];
    for (what, change) in changes {
        let copy = Copied::written();
        change(&copy);
        let Some(finished) = log(copy.path()) else { return };
        assert_eq!(finished.code, Some(3), "{what}: {finished:?}");
    }
}

#[test]
fn it_refuses_receipts_that_were_changed() {
    let text = receipt(&WRITTEN.decisions[100]);
    let key = WRITTEN.site.public_key();
    let folder = tempfile::tempdir().unwrap();
    let index: serde_json::Value = serde_json::from_str(&text).unwrap();
    let index = index["index"].as_u64().unwrap();
    for (what, changed) in [
        ("the answer", text.replace("\\\"decision\\\":\\\"allow\\\"", "\\\"decision\\\":\\\"deny\\\"")),
        ("the place", text.replace(&format!("\"index\": {index}"), &format!("\"index\": {}", index + 1))),
        ("the note", text.replace("\\nissued ", "\\nissued 1")),
    ] {
        assert_ne!(changed, text, "{what}");
        let file = folder.path().join("receipt.json");
        fs::write(&file, changed).unwrap();
        let file = file.display().to_string();
        let Some(finished) = python(&["receipt", &file, "--key", &key]) else { return };
        assert_eq!(finished.code, Some(3), "{what}: {finished:?}");
    }
}
