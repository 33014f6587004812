use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use tempfile::TempDir;
use uuid::Uuid;

use super::counts::DropReason;
use super::ledger::{Counter, FOLDER, Ledger, Left};

/// Tells a child in which folder to count.
const CHILD: &str = "MANDATE_TEST_LEDGER";
const LOG: Uuid = Uuid::from_u128(7);
const FIRST: Uuid = Uuid::from_u128(1);
const SECOND: Uuid = Uuid::from_u128(2);
const FULL: Counter = Counter::Dropped(DropReason::QueueFull);

/// What is done to the file, and a part of what is said of it.
type Spoil<'s> = (&'s str, &'s dyn Fn(&Path));

fn memory() -> TempDir {
    tempfile::tempdir_in(FOLDER).unwrap()
}

/// Both ways to count: one file is mapped, the other written.
fn memory_and_disk() -> [TempDir; 2] {
    [memory(), tempfile::tempdir().unwrap()]
}

fn path(folder: &Path) -> PathBuf {
    folder.join(format!("mandate-{LOG}.counts"))
}

fn begun(folder: &Path, instance: Uuid) -> (Ledger, Option<Left>) {
    let (ledger, mut left) = Ledger::open(folder, LOG, instance).unwrap();
    assert!(left.len() <= 1, "{left:?}");
    let left = left.pop();
    ledger.begin().unwrap();
    (ledger, left)
}

fn dropped(left: &Left, reason: DropReason) -> u64 {
    left.dropped.iter().find(|(which, _)| *which == reason).unwrap().1
}

#[test]
fn what_many_threads_count_is_all_there() {
    for folder in memory_and_disk() {
        all_is_there(folder.path());
    }
}

fn all_is_there(folder: &Path) {
    let (ledger, left) = begun(folder, FIRST);
    assert_eq!(left, None);
    thread::scope(|scope| {
        // More threads than shards: some share one.
        for _ in 0..100 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    ledger.add(Counter::Issued, 1);
                }
                for (reason, records) in DropReason::ALL.into_iter().zip(2..) {
                    ledger.add(Counter::Dropped(reason), records);
                }
            });
        }
    });
    drop(ledger);
    let (_ledger, left) = begun(folder, SECOND);
    let left = left.unwrap();
    assert_eq!((left.instance, left.issued), (FIRST, 100_000));
    for (reason, records) in DropReason::ALL.into_iter().zip(2..) {
        assert_eq!(dropped(&left, reason), 100 * records, "{reason:?}");
    }
}

#[test]
fn counters_stay_until_the_next_ones_begin() {
    let folder = memory();
    let (ledger, _) = begun(folder.path(), FIRST);
    ledger.add(Counter::Issued, 3);
    let found = |instance| {
        let (ledger, left) = Ledger::open(folder.path(), LOG, instance).unwrap();
        (ledger, left.into_iter().map(|left| (left.instance, left.issued)).collect::<Vec<_>>())
    };
    // One that ends before it has written down what it found, or before it could begin: nobody knows which.
    assert_eq!(found(SECOND).1, [(FIRST, 3)]);
    let (ledger, left) = found(SECOND);
    assert_eq!(left, [(FIRST, 3), (SECOND, 0)]);
    ledger.begin().unwrap();
    ledger.add(Counter::Issued, 4);
    assert_eq!(found(FIRST).1, [(SECOND, 4)]);
    // Of what never began, what is not in order says nothing.
    fs::write(path(folder.path()).with_extension("counts.next"), "half a head").unwrap();
    assert_eq!(found(FIRST).1, [(SECOND, 4)]);
}

#[test]
fn an_orderly_end_leaves_nothing() {
    let folder = memory();
    let (ledger, _) = begun(folder.path(), FIRST);
    ledger.add(Counter::Issued, 3);
    ledger.close_clean().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    // Whoever is late does no harm.
    ledger.add(FULL, 1);
    assert!(!ledger.failed());
    assert_eq!(begun(folder.path(), SECOND).1, None);
}

#[test]
fn only_this_log_since_the_machine_started_counts() {
    for (at, what) in [(8, "log"), (40, "boot")] {
        let folder = memory();
        begun(folder.path(), FIRST).0.add(Counter::Issued, 3);
        let mut content = fs::read(path(folder.path())).unwrap();
        content[at] ^= 1;
        fs::write(path(folder.path()), content).unwrap();
        assert_eq!(begun(folder.path(), SECOND).1, None, "another {what}");
    }
}

#[test]
fn what_others_may_have_written_is_refused() {
    let spoil: [Spoil<'_>; 7] = [
        ("not 8320", &|path| fs::File::options().write(true).open(path).unwrap().set_len(8_319).unwrap()),
        ("not 8320", &|path| fs::File::options().append(true).open(path).unwrap().write_all(b"x").unwrap()),
        ("no file of counters", &|path| fs::write(path, [b'x'; 8_320]).unwrap()),
        ("rights to it", &|path| fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap()),
        ("second name", &|path| fs::hard_link(path, path.with_extension("too")).unwrap()),
        ("symbolic link", &|path| {
            fs::rename(path, path.with_extension("moved")).unwrap();
            symlink(path.with_extension("moved"), path).unwrap();
        }),
        ("no regular file", &|path| {
            fs::remove_file(path).unwrap();
            mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        }),
    ];
    for (saying, spoil) in spoil {
        let folder = memory();
        begun(folder.path(), FIRST);
        spoil(&path(folder.path()));
        let error = Ledger::open(folder.path(), LOG, SECOND).unwrap_err().to_string();
        assert!(error.contains(saying) && error.contains("remove the file"), "{saying}: {error}");
        assert!(error.contains(&path(folder.path()).display().to_string()), "{error}");
    }
}

#[test]
fn the_file_is_for_its_owner_and_never_grows() {
    let folder = memory();
    let victim = folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, path(folder.path()).with_extension("counts.next")).unwrap();
    let (ledger, _) = begun(folder.path(), FIRST);
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    let metadata = fs::symlink_metadata(path(folder.path())).unwrap();
    assert!(metadata.is_file());
    assert_eq!((metadata.permissions().mode() & 0o7777, metadata.len()), (0o600, 8_320));
    ledger.add(FULL, u64::MAX);
    assert_eq!(fs::metadata(path(folder.path())).unwrap().len(), 8_320);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = Ledger::open(Path::new("/nowhere/at/all"), LOG, FIRST).unwrap_err().to_string();
    assert!(error.contains("/nowhere/at/all") && error.contains("`[log] counters`"), "{error}");
}

/// Not a test: the child that [`a_process_that_is_killed_leaves_what_it_said`] kills. It says what it has issued, after it
/// has counted.
#[test]
fn counts_until_it_is_killed() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let (ledger, _) = begun(Path::new(&folder), FIRST);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    ledger.add(Counter::Issued, 1);
                    // One write: lines of threads do not mix.
                    std::io::stderr().write_all(b"issued\n").unwrap();
                    ledger.add(FULL, 1);
                    // What waits in the pipe when it is killed is read afterwards.
                    thread::sleep(Duration::from_micros(50));
                }
            });
        }
    });
}

#[test]
fn a_process_that_is_killed_leaves_what_it_said() {
    for (round, folder) in
        (0..6).zip([memory_and_disk(), memory_and_disk(), memory_and_disk()].into_iter().flatten())
    {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "audit::ledger_tests::counts_until_it_is_killed", "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = 0;
        while said < 500 + round * 333 {
            said += u64::from(lines.next().unwrap().unwrap() == "issued");
        }
        kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        said +=
            u64::try_from(lines.filter(|line| line.as_deref().is_ok_and(|line| line == "issued")).count())
                .unwrap();
        let left = begun(folder.path(), SECOND).1.unwrap();
        let full = dropped(&left, DropReason::QueueFull);
        assert!(left.issued >= said, "round {round}: {} issued, {said} said", left.issued);
        // Each of four threads is at most one ahead of what it says.
        assert!(
            left.issued <= said + 4 && full <= left.issued && full + 4 >= left.issued,
            "{left:?}, {said}"
        );
    }
}
