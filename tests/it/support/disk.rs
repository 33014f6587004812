//! Disks that are small, stand still, or lose power. They need root and Linux's tools; where there are none, that is said
//! loudly and there is no disk.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Ends a file system as a power cut does: what was not synced is gone (`FS_IOC_SHUTDOWN`, without a last flush of the
/// journal).
const CUT: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

/// How long a disk may stand still at most, in seconds, whatever becomes of the test.
const LONGEST_FREEZE: u32 = 60;

/// A mounted file system, unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: TempDir,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// In memory, of so many KiB.
    Memory(u32),
    /// ext4, in a file.
    Image,
}

impl Disk {
    /// A file system in memory of this size.
    pub(crate) fn small(kibibytes: u32) -> Option<Self> {
        let disk = Self { folder: tempfile::tempdir().expect("a folder"), kind: Kind::Memory(kibibytes) };
        disk.mounted()
    }

    /// A disk of this size.
    pub(crate) fn ext4(mebibytes: u32) -> Option<Self> {
        let disk = Self { folder: tempfile::tempdir().expect("a folder"), kind: Kind::Image };
        let image = File::create(disk.image()).expect("a file");
        image.set_len(u64::from(mebibytes) << 20).expect("room");
        let image = disk.image().display().to_string();
        if !run("mkfs.ext4", &["-q", "-F", &image]) {
            return None;
        }
        disk.mounted()
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn mounted(self) -> Option<Self> {
        fs::create_dir_all(self.path()).expect("a folder");
        self.mount().then_some(self)
    }

    fn mount(&self) -> bool {
        let (at, image) = (self.path().display().to_string(), self.image().display().to_string());
        match self.kind {
            Kind::Memory(size) => {
                run("mount", &["-t", "tmpfs", "-o", &format!("size={size}k"), "tmpfs", &at])
            }
            Kind::Image => run("mount", &["-o", "loop", &image, &at]),
        }
    }

    /// Takes all the room there is. It is free again when this is dropped.
    pub(crate) fn fill(&self) -> Ballast {
        let path = self.path().join("ballast");
        let mut file = File::create(&path).expect("a file");
        for size in [65_536, 4_096, 1] {
            while file.write(&vec![0; size]).is_ok_and(|written| written > 0) {}
        }
        Ballast(path)
    }

    /// Lets whoever writes to it wait until this is dropped.
    pub(crate) fn freeze(&self) -> Frozen {
        let at = self.path();
        // It thaws though the test may be killed: nobody could end a process that waits for it.
        let thaws = format!("sleep {LONGEST_FREEZE}; exec fsfreeze -u \"$0\"");
        let guard =
            Command::new("sh").args(["-c", &thaws]).arg(&at).stderr(Stdio::null()).spawn().expect("a shell");
        assert!(run("fsfreeze", &["-f", &at.display().to_string()]), "it does not freeze");
        Frozen { at, guard }
    }

    /// Cuts the power: what was not synced is lost, and nothing more is written.
    pub(crate) fn cut_power(&self) {
        assert!(run("python3", &["-c", CUT, &self.path().display().to_string()]), "the power cannot be cut");
    }

    /// The power is back. Nobody may have a file open on it.
    pub(crate) fn restore_power(&self) {
        assert!(
            run("umount", &[&self.path().display().to_string()]) && self.mount(),
            "it cannot be mounted again"
        );
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["-l", &self.path().display().to_string()]);
    }
}

/// What takes the room of a disk.
#[derive(Debug)]
pub(crate) struct Ballast(PathBuf);

impl Drop for Ballast {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// A disk that stands still, until this is dropped.
#[derive(Debug)]
pub(crate) struct Frozen {
    at: PathBuf,
    guard: Child,
}

impl Drop for Frozen {
    fn drop(&mut self) {
        run("fsfreeze", &["-u", &self.at.display().to_string()]);
        drop(self.guard.kill());
        drop(self.guard.wait());
    }
}

/// Whether a command succeeds; if not, says so.
fn run(program: &str, arguments: &[&str]) -> bool {
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            eprintln!("SKIPPED: {program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
            false
        }
        Err(error) => {
            eprintln!("SKIPPED: {program}: {error}");
            false
        }
    }
}
