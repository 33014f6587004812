//! The contract that clients are built with: what the last release had stays as it was.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use crate::support::repository;

/// `buf`; none where it is not installed, which CI does not accept.
fn buf() -> Option<PathBuf> {
    let path = repository().join("target/tools/py/bin/buf");
    if path.exists() {
        return Some(path);
    }
    assert!(env::var_os("CI").is_none(), "{} is missing: make lint-proto", path.display());
    eprintln!("SKIPPED: {} is missing (make lint-proto)", path.display());
    None
}

/// Compares the contract with the release's, after a change of this file.
fn breaking(buf: &Path, from: &str, to: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    copy(&repository().join("proto"), &folder.path().join("proto"));
    fs::copy(repository().join("buf.yaml"), folder.path().join("buf.yaml")).unwrap();
    let file = folder.path().join("proto/mandate/v1/authorization.proto");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{from} is not in {}", file.display());
    fs::write(&file, text.replacen(from, to, 1)).unwrap();
    let mut command = Command::new(buf);
    command.args(["breaking", "--against", "proto/released.binpb"]).current_dir(&folder);
    command.output().unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[test]
fn what_was_released_is_neither_renamed_nor_renumbered_nor_taken_away() {
    let Some(buf) = buf() else { return };
    for (from, to) in [
        ("string request_id = 1;", "string request_id = 99;"),
        ("string request_id = 1;", "string request = 1;"),
        ("string request_id = 1;", "bytes request_id = 1;"),
        ("string request_id = 1;", ""),
        ("rpc Authorize(", "rpc Decide("),
    ] {
        let output = breaking(&buf, from, to);
        assert_eq!(output.status.code(), Some(100), "{from} → {to}: {output:?}");
    }
    let addition =
        breaking(&buf, "string request_id = 1;", "string request_id = 1;\n  string addition = 9999;");
    assert!(addition.status.success(), "{addition:?}");
}
