//! Kept sets on disk: ten, whole, and found by name.

use std::fs;
use std::time::SystemTime;

use super::history::{History, NotFound};
use super::set_digest;
use super::support_tests::permit;
use crate::engine::compile::Sources;
use crate::engine::problem::SourceFile;

fn set(number: usize) -> Sources {
    let file =
        SourceFile { name: "policies/base.cedar".to_owned(), bytes: permit(&format!("set-{number}")).into() };
    Sources { policies: vec![file], ..Sources::default() }
}

fn hash(number: usize) -> String {
    format!("sha256:{number:08x}{:056x}", 0)
}

fn keep(history: &mut History, number: usize, protected: &[&str]) {
    history.keep(&set(number), &hash(number), SystemTime::now(), protected).unwrap();
}

fn digests(history: &History) -> Vec<String> {
    history.entries().iter().map(|kept| kept.digest.clone()).collect()
}

#[test]
fn ten_are_kept_the_latest_first_and_what_is_protected_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("generations");
    let (mut history, _) = History::open(&path);
    let pinned = set_digest::of_sources(&set(0));
    for number in 0..13 {
        keep(&mut history, number, &[&pinned]);
    }
    let expected: Vec<_> =
        [12, 11, 10, 9, 8, 7, 6, 5, 4, 0].map(|number| set_digest::of_sources(&set(number))).into();
    assert_eq!(digests(&history), expected);
    let names: Vec<_> =
        fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    for suffix in [".set", ".content"] {
        assert_eq!(names.iter().filter(|name| name.ends_with(suffix)).count(), 10, "{suffix}: {names:?}");
    }
    let (reopened, damaged) = History::open(&path);
    assert_eq!((reopened.entries(), damaged.len()), (history.entries(), 0));
    assert_eq!(history.load(&pinned).unwrap(), set(0));
}

#[test]
fn what_is_published_again_comes_first_again_under_both_names() {
    let folder = tempfile::tempdir().unwrap();
    let (mut history, _) = History::open(folder.path());
    keep(&mut history, 1, &[]);
    keep(&mut history, 2, &[]);
    history.keep(&set(1), &hash(3), SystemTime::now(), &[]).unwrap();
    assert_eq!(history.entries().len(), 2);
    assert_eq!(history.entries()[0].generations, [hash(1), hash(3)]);
    assert_eq!(history.find(&hash(1)), history.find(&hash(3)));
}

#[test]
fn a_set_is_found_by_an_unambiguous_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let (mut history, _) = History::open(folder.path());
    keep(&mut history, 0xabcd_ef01, &[]);
    keep(&mut history, 0xabcd_ef02, &[]);
    let first = set_digest::of_sources(&set(0xabcd_ef01));
    for name in
        ["abcdef01", "ABCDEF01", "sha256:abcdef010", &hash(0xabcd_ef01), &first, first.get(..8).unwrap()]
    {
        assert_eq!(history.find(name).map(|kept| kept.digest.clone()), Ok(first.clone()), "{name}");
    }
    for (name, expected) in [
        ("abcdef0", NotFound::Malformed),
        ("abcdef0z", NotFound::Malformed),
        ("", NotFound::Malformed),
        ("sha256:", NotFound::Malformed),
        ("abcdef09", NotFound::Unknown),
    ] {
        assert_eq!(history.find(name), Err(expected), "{name}");
    }
    history.keep(&set(3), "sha256:abcdef0100", SystemTime::now(), &[]).unwrap();
    assert_eq!(history.find("abcdef01"), Err(NotFound::Ambiguous));
}

#[test]
fn a_damaged_set_is_left_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let (mut history, _) = History::open(folder.path());
    keep(&mut history, 1, &[]);
    keep(&mut history, 2, &[]);
    let path = folder.path().join(format!("{}.set", set_digest::of_sources(&set(2))));
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let (reopened, damaged) = History::open(folder.path());
        assert_eq!((reopened.entries().len(), damaged.len()), (1, 1), "byte {at}");
        assert!(damaged[0].to_string().contains(".set"), "{}", damaged[0]);
        assert!(history.load(&set_digest::of_sources(&set(2))).is_err(), "byte {at}");
    }
    for content in [&whole[..whole.len() / 2], b"", b"mandate-generation 2 sha256:0\n{}"] {
        fs::write(&path, content).unwrap();
        assert_eq!(History::open(folder.path()).1.len(), 1);
    }
    fs::write(
        &path,
        fs::read(folder.path().join(format!("{}.set", set_digest::of_sources(&set(1))))).unwrap(),
    )
    .unwrap();
    assert_eq!(History::open(folder.path()).1.len(), 1, "one set under another's name");
}

#[test]
fn what_sets_have_in_common_is_kept_once_and_goes_with_the_last_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let (mut history, _) = History::open(folder.path());
    let common = |number| Sources { entities: set(1_000).policies, ..set(number) };
    let contents = || {
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().ends_with(".content")).count()
    };
    for number in 0..3 {
        history.keep(&common(number), &hash(number), SystemTime::now(), &[]).unwrap();
    }
    assert_eq!(contents(), 4);
    assert_eq!(history.load(&set_digest::of_sources(&common(1))).unwrap(), common(1));
    for number in 3..13 {
        keep(&mut history, number, &[]);
    }
    assert_eq!(contents(), 10);
}

#[test]
fn a_damaged_content_leaves_out_its_sets_and_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut history, _) = History::open(folder.path());
    keep(&mut history, 1, &[]);
    keep(&mut history, 2, &[]);
    let name = crate::engine::digest::hex(set(2).policies[0].bytes.sum());
    let path = folder.path().join(format!("{name}.content"));
    let whole = fs::read(&path).unwrap();
    for content in [Some(&whole[1..]), None] {
        match content {
            Some(content) => fs::write(&path, content).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        assert!(history.load(&set_digest::of_sources(&set(2))).unwrap_err().to_string().contains(&name));
        let (mut reopened, damaged) = History::open(folder.path());
        assert_eq!((reopened.entries().len(), damaged.len()), (1, 1));
        assert!(damaged[0].to_string().contains(&name), "{}", damaged[0]);
        keep(&mut reopened, 2, &[]);
        assert_eq!(fs::read(&path).unwrap(), whole);
        assert_eq!(History::open(folder.path()).1.len(), 0);
    }
    // Nor does it trust that what was there still is.
    fs::remove_file(&path).unwrap();
    keep(&mut history, 2, &[]);
    assert_eq!(fs::read(&path).unwrap(), whole);
}

#[test]
fn a_temporary_file_left_behind_is_no_set() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".abc.set.tmp"), "half").unwrap();
    let (history, damaged) = History::open(folder.path());
    assert_eq!((history.entries().len(), damaged.len()), (0, 0));
}
