//! Which segments are kept: the latest, within a budget of bytes and of time.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::segment;

/// How large segments grow, and how long they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes after which another segment begins.
    pub segment_bytes: u64,
    /// Time after which another begins, if there are records.
    pub segment_age: Duration,
    /// Most bytes of all segments together; the oldest go first, delivered or not. None: no limit.
    pub retain_bytes: Option<u64>,
    /// How long a segment is kept after its last record, if every sink has it. None: for ever.
    pub retain_age: Option<Duration>,
}

/// What was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audit) struct Deleted {
    /// Sequence of the first record that is kept.
    pub(in crate::audit) oldest: u64,
    /// How many records were deleted.
    pub(in crate::audit) count: u64,
}

/// Deletes sealed segments that are kept no longer. `needed` is the sequence that some sink still needs.
///
/// # Errors
/// The folder cannot be read, or a segment not deleted.
pub(in crate::audit) fn enforce(
    directory: &Path,
    limits: &Limits,
    needed: Option<u64>,
    now: SystemTime,
) -> io::Result<Option<Deleted>> {
    let segments = segment::list(directory)?;
    let sizes = segments
        .iter()
        .map(|segment| Ok(fs::metadata(&segment.path)?.len()))
        .collect::<io::Result<Vec<_>>>()?;
    let mut total: u64 = sizes.iter().sum();
    let (mut oldest, mut count) = (None, 0);
    // The last one is open.
    for (pair, size) in segments.windows(2).zip(sizes) {
        let [old, next] = pair else { break };
        let over_budget = limits.retain_bytes.is_some_and(|budget| total > budget);
        let delivered = needed.is_none_or(|needed| next.first <= needed);
        let modified = fs::metadata(&old.path)?.modified()?;
        let age = now.duration_since(modified).unwrap_or_default();
        let aged = limits.retain_age.is_some_and(|most| age > most);
        let goes = over_budget || (aged && delivered);
        if !goes {
            break;
        }
        fs::remove_file(&old.path)?;
        remove_index(&old.path)?;
        total -= size;
        count += next.first - old.first;
        oldest = Some(next.first);
    }
    Ok(oldest.map(|oldest| Deleted { oldest, count }))
}

/// What was made to find records in it goes with it.
fn remove_index(segment: &Path) -> io::Result<()> {
    match fs::remove_file(segment.with_extension("index")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four segments of a hundred records and a thousand bytes each.
    fn log() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(segment::FOLDER)).unwrap();
        for first in [0, 100, 200, 300] {
            let path = folder.path().join(segment::FOLDER).join(segment::file_name(first));
            fs::write(&path, [0; 1000]).unwrap();
            fs::write(path.with_extension("index"), "").unwrap();
        }
        folder
    }

    fn limits(bytes: Option<u64>, age: Option<Duration>) -> Limits {
        Limits { segment_bytes: 1, segment_age: Duration::ZERO, retain_bytes: bytes, retain_age: age }
    }

    fn kept(folder: &tempfile::TempDir) -> Vec<u64> {
        segment::list(folder.path()).unwrap().into_iter().map(|segment| segment.first).collect()
    }

    #[test]
    fn the_oldest_go_over_budget_whether_or_not_they_are_delivered() {
        let log = log();
        let deleted = enforce(log.path(), &limits(Some(2_500), None), Some(0), SystemTime::now()).unwrap();
        assert_eq!(deleted, Some(Deleted { oldest: 200, count: 200 }));
        assert_eq!(kept(&log), [200, 300]);
        assert_eq!(fs::read_dir(log.path().join(segment::FOLDER)).unwrap().count(), 4);
        let rest = enforce(log.path(), &limits(Some(1), None), None, SystemTime::now()).unwrap();
        assert_eq!((rest.unwrap().oldest, kept(&log)), (300, vec![300]), "the open one stays");
    }

    #[test]
    fn what_is_old_goes_once_every_sink_has_it() {
        let log = log();
        let later = SystemTime::now() + Duration::from_secs(100);
        let old = limits(None, Some(Duration::from_secs(50)));
        assert_eq!(enforce(log.path(), &old, Some(199), later).unwrap().unwrap().oldest, 100);
        assert_eq!(enforce(log.path(), &old, None, SystemTime::now()).unwrap(), None);
        assert_eq!(enforce(log.path(), &old, None, later).unwrap().unwrap().oldest, 300);
    }
}
