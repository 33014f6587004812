//! Files: who may read them, how they rotate, and what a crash or somebody else does to them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Builder;

use uuid::Uuid;

use super::config::FileConfig;
use super::file::{FILE_NAME, FileSink};
use super::{Batch, Sink as _};
use crate::audit::spool::reader::Entry;

const LINE: &[u8] = b"{\"a\":\"a line of some 34 bytes\"}\n";

fn deliver(sink: &mut FileSink, entries: &[Entry]) {
    let runtime = Builder::new_current_thread().build().unwrap();
    sink.deliver(&Batch { log: Uuid::nil(), entries }, &runtime).unwrap();
}

/// Delivers one line, which is written with its end.
fn put(sink: &mut FileSink, line: &[u8]) {
    let line = line.strip_suffix(b"\n").unwrap().to_vec();
    deliver(sink, &[Entry { sequence: 0, line }]);
}

fn sink(folder: &Path, rotate_bytes: u64, keep: usize) -> FileSink {
    FileSink::open(&FileConfig { directory: folder.to_owned(), rotate_bytes, keep }).unwrap()
}

fn current(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join(FILE_NAME)).unwrap()
}

fn rotated(folder: &TempDir) -> Vec<String> {
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name != FILE_NAME);
    names.sort();
    names
}

#[test]
fn folder_and_file_are_for_this_user_alone() {
    let folder = TempDir::new().unwrap();
    let nested = folder.path().join("a").join("decisions");
    let _sink = sink(&nested, 1000, 1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&nested), 0o700);
    assert_eq!(mode(&nested.join(FILE_NAME)), 0o600);
}

#[test]
fn a_file_that_would_grow_too_large_is_moved_aside_and_the_last_ones_are_kept() {
    let folder = TempDir::new().unwrap();
    let mut sink = sink(folder.path(), 2 * LINE.len() as u64, 3);
    let bystander = folder.path().join("decisions-of-somebody.jsonl");
    fs::write(&bystander, "mine").unwrap();
    for number in 0..13 {
        let line = format!("{{\"number\":{number:020}}}\n");
        assert_eq!(line.len(), LINE.len());
        put(&mut sink, line.as_bytes());
    }
    let names: Vec<_> = rotated(&folder).into_iter().filter(|name| !name.contains("somebody")).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(fs::read_to_string(&bystander).unwrap(), "mine");
    let kept: String =
        names.iter().map(|name| fs::read_to_string(folder.path().join(name)).unwrap()).collect();
    let numbers: Vec<_> = (6..12).map(|number| format!("{{\"number\":{number:020}}}\n")).collect();
    let lines = |text: &str| {
        let mut lines: Vec<_> = text.split_inclusive('\n').map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(&kept), numbers, "the latest, none twice, none overwritten");
    assert!(current(&folder).contains("12}"));
}

#[test]
fn more_than_ten_rotations_in_a_second_are_kept_in_order() {
    let folder = TempDir::new().unwrap();
    let mut sink = sink(folder.path(), 1, 2);
    for number in 0..15 {
        put(&mut sink, format!("{number}\n").as_bytes());
    }
    let texts =
        rotated(&folder).into_iter().map(|name| fs::read_to_string(folder.path().join(name)).unwrap());
    let mut texts: Vec<_> = texts.collect();
    texts.sort();
    assert_eq!(texts, ["12\n", "13\n"]);
}

#[test]
fn a_clock_that_went_back_does_not_make_the_latest_the_oldest() {
    let folder = TempDir::new().unwrap();
    let later = folder.path().join("decisions-29990101T000000Z-7.jsonl");
    fs::write(&later, "later").unwrap();
    let mut sink = sink(folder.path(), 1, 2);
    put(&mut sink, b"first\n");
    put(&mut sink, b"second\n");
    assert_eq!(
        rotated(&folder),
        ["decisions-29990101T000000Z-7.jsonl", "decisions-29990101T000000Z-8.jsonl"]
    );
    assert_eq!(fs::read_to_string(later).unwrap(), "later");
}

#[test]
fn a_line_that_a_crash_left_unfinished_is_ended_first() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(FILE_NAME), "{\"whole\":1}\n{\"hal").unwrap();
    let mut sink = sink(folder.path(), 1000, 1);
    put(&mut sink, LINE);
    let line = std::str::from_utf8(LINE).unwrap();
    assert_eq!(current(&folder), format!("{{\"whole\":1}}\n{{\"hal\n{line}"));
}

#[test]
fn a_whole_file_is_continued_as_it_is() {
    let folder = TempDir::new().unwrap();
    put(&mut sink(folder.path(), 1000, 1), LINE);
    put(&mut sink(folder.path(), 1000, 1), LINE);
    assert_eq!(current(&folder).into_bytes(), LINE.repeat(2));
}

#[test]
fn a_file_that_somebody_moved_or_deleted_begins_anew() {
    let folder = TempDir::new().unwrap();
    let mut sink = sink(folder.path(), 1000, 1);
    put(&mut sink, LINE);
    let moved = folder.path().join("moved");
    fs::rename(folder.path().join(FILE_NAME), &moved).unwrap();
    thread::sleep(Duration::from_millis(1100));
    put(&mut sink, LINE);
    assert_eq!(current(&folder).as_bytes(), LINE);
    assert_eq!(fs::read(&moved).unwrap(), LINE);
    fs::remove_file(folder.path().join(FILE_NAME)).unwrap();
    thread::sleep(Duration::from_millis(1100));
    put(&mut sink, LINE);
    assert_eq!(current(&folder).as_bytes(), LINE);
    assert_eq!(fs::metadata(folder.path().join(FILE_NAME)).unwrap().nlink(), 1);
}

#[test]
fn a_rotation_that_fails_loses_nothing() {
    let folder = TempDir::new().unwrap();
    let mut sink = sink(folder.path(), 1, 1);
    put(&mut sink, LINE);
    // What cannot be renamed: a file that is gone, and not missed yet.
    fs::remove_file(folder.path().join(FILE_NAME)).unwrap();
    put(&mut sink, LINE);
    thread::sleep(Duration::from_millis(1100));
    put(&mut sink, LINE);
    assert_eq!(current(&folder).as_bytes(), LINE);
}

#[test]
fn what_is_no_file_is_refused_by_its_path() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(FILE_NAME);
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let config = FileConfig { directory: folder.path().to_owned(), rotate_bytes: 1000, keep: 1 };
    let error = FileSink::open(&config).unwrap_err().to_string();
    assert!(error.contains(&path.display().to_string()) && error.contains("not a regular file"), "{error}");
    let below_a_file = FileConfig { directory: "/dev/null/decisions".into(), ..config };
    let error = FileSink::open(&below_a_file).unwrap_err().to_string();
    assert!(error.contains("/dev/null/decisions"), "{error}");
}

#[test]
fn a_batch_is_one_line_for_each_record() {
    let folder = TempDir::new().unwrap();
    let mut sink = sink(folder.path(), 1000, 1);
    let entries = [0, 1, 2].map(|sequence| Entry { sequence, line: sequence.to_string().into_bytes() });
    deliver(&mut sink, &entries);
    sink.settle().unwrap();
    assert_eq!(current(&folder), "0\n1\n2\n");
}
