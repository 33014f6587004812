//! One directory, one process, one format.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::data_dir::{DataDir, DataDirError};
use super::support_tests::open_data;

/// Names the directory that this test, run by itself as another process, is to open.
const OTHER: &str = "MANDATE_TEST_DATA_DIR";

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_directory_is_made_for_its_owner_only() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a/b");
    let data = DataDir::open(&path).unwrap();
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("revision.key")), 0o600);
    assert!(!data.has_entity_log() && !path.join("format").exists(), "until there is a log");
    data.note_format().unwrap();
    assert_eq!(fs::read_to_string(path.join("format")).unwrap(), "2\n");
    let key = fs::read(path.join("revision.key")).unwrap();
    assert_eq!(key.len(), 32);
    drop(data);
    assert!(open_data(&path).has_entity_log());
    assert_eq!(fs::read(path.join("revision.key")).unwrap(), key, "made once");
}

#[test]
fn a_second_process_is_told_that_another_has_the_directory() {
    if let Some(path) = std::env::var_os(OTHER) {
        let error = DataDir::open(Path::new(&path)).unwrap_err();
        assert!(matches!(error, DataDirError::Held(_)), "{error}");
        println!("refused: {error}");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::open(root.path()).unwrap();
    let name = "store::data_dir_tests::a_second_process_is_told_that_another_has_the_directory";
    let other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(OTHER, root.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&other.stdout);
    assert!(other.status.success() && said.contains("another process has it"), "{said}");
    assert!(said.contains(&root.path().display().to_string()), "the path is named: {said}");
    drop(data);
    open_data(root.path());
}

/// Why the directory is refused, once no other test's new process has its lock.
fn refusal(path: &Path) -> String {
    loop {
        match DataDir::open(path).unwrap_err() {
            DataDirError::Held(_) => std::thread::yield_now(),
            error => return error.to_string(),
        }
    }
}

#[test]
fn a_newer_format_and_a_damaged_key_are_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    DataDir::open(root.path()).unwrap().note_format().unwrap();
    for (file, content, said) in [
        ("format", "3\n", ["format 3", "up to 2"]),
        ("format", "", ["format", "no number"]),
        ("revision.key", "short", ["revision.key", "5 bytes"]),
    ] {
        let path = root.path().join(file);
        let before = fs::read(&path).unwrap();
        fs::write(&path, content).unwrap();
        let error = refusal(root.path());
        assert!(said.iter().all(|said| error.contains(said)), "{error}");
        fs::write(&path, before).unwrap();
    }
    open_data(root.path());
}

#[test]
fn a_directory_that_others_can_write_in_is_refused() {
    let root = tempfile::tempdir().unwrap();
    for (mode, refused) in [(0o777, true), (0o1777, true), (0o720, true), (0o702, true), (0o755, false)] {
        fs::set_permissions(root.path(), fs::Permissions::from_mode(mode)).unwrap();
        if refused {
            let error = refusal(root.path());
            assert!(
                error.contains("chmod 700") && error.contains(&root.path().display().to_string()),
                "{error}"
            );
        } else {
            open_data(root.path());
        }
    }
}

#[test]
fn nothing_is_written_through_a_link_that_waits_under_a_temporary_name() {
    let root = tempfile::tempdir().unwrap();
    let (data, victim) = (root.path().join("data"), root.path().join("victim"));
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, data.join(".revision.key.tmp")).unwrap();
    drop(DataDir::open(&data).unwrap());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(fs::symlink_metadata(data.join("revision.key")).unwrap().is_file());
}

#[test]
fn a_file_in_its_place_is_named() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("data");
    fs::write(&path, "").unwrap();
    let error = DataDir::open(&path).unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}
