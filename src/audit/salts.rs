//! The keys under which values are digested for the log: one a month, apart from the log, so that deleting a month's key leaves
//! what was digested with it unlinkable and the log's proofs whole.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use sha2::Sha256;

use crate::engine::digest;

/// Length of a key, in bytes: as long as the digest (RFC 2104 §3).
const KEY_BYTES: usize = 32;
/// For how long a month's key is used after its month, should there be no new one.
const LINGERS: Duration = Duration::from_secs(24 * 3600);

/// One month's key.
pub struct Salt {
    /// The month: `2026-11`.
    id: String,
    key: [u8; KEY_BYTES],
    /// When the next month begins.
    ends: SystemTime,
}

/// The keys of a folder.
#[derive(Debug)]
pub struct Salts {
    directory: PathBuf,
    current: ArcSwapOption<Salt>,
    renewing: AtomicBool,
}

impl Salt {
    /// `hmac:`, the month, and 32 hex digits: the first half of HMAC-SHA-256 over these bytes.
    pub fn digest(&self, bytes: &[u8]) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(bytes);
        let sum = mac.finalize().into_bytes();
        Some(self.prefix() + &digest::hex(sum.get(..16)?))
    }

    /// What its digests begin with.
    pub(super) fn prefix(&self) -> String {
        format!("hmac:{}:", self.id)
    }
}

impl Salts {
    /// The keys in a folder, which is made if need be; this month's is there afterwards.
    ///
    /// # Errors
    /// The folder or the key cannot be written or read.
    pub fn open(directory: &Path) -> io::Result<Arc<Self>> {
        let current = salt(directory, SystemTime::now())?;
        let (directory, renewing) = (directory.to_owned(), AtomicBool::new(false));
        Ok(Arc::new(Self { directory, current: ArcSwapOption::from_pointee(current), renewing }))
    }

    /// The key to use at this time; none if there is none, so that nothing may be told. Never waits for a disk: a new
    /// month's key is made by a thread, and the last one serves meanwhile.
    pub fn at(self: &Arc<Self>, now: SystemTime) -> Option<Arc<Salt>> {
        let current = self.current.load_full()?;
        if now < current.ends {
            return Some(current);
        }
        self.renew(now);
        (now < current.ends + LINGERS).then_some(current)
    }

    fn renew(self: &Arc<Self>, now: SystemTime) {
        if self.renewing.swap(true, Ordering::AcqRel) {
            return;
        }
        let salts = Arc::clone(self);
        let spawned = thread::Builder::new().name("mandate-salts".to_owned()).spawn(move || {
            match salt(&salts.directory, now) {
                Ok(new) => salts.current.store(Some(Arc::new(new))),
                Err(error) => {
                    tracing::error!(%error, "there is no key for this month's digests in the decision log")
                }
            }
            salts.renewing.store(false, Ordering::Release);
        });
        if spawned.is_err() {
            self.renewing.store(false, Ordering::Release);
        }
    }
}

/// The key of the month that `now` is in: the one on file, or a new one.
fn salt(directory: &Path, now: SystemTime) -> io::Result<Salt> {
    let (id, ends) = month(now).ok_or_else(|| io::Error::other("the clock shows no month of a calendar"))?;
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let path = directory.join(format!("{id}.salt"));
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    if !path.exists() {
        make(directory, &path).map_err(named)?;
    }
    let wrong = |_length| io::Error::other(format!("{}: a key has {KEY_BYTES} bytes", path.display()));
    let key = fs::read(&path).map_err(named)?.try_into().map_err(wrong)?;
    Ok(Salt { id, key, ends })
}

/// Makes a key, whole or not at all.
fn make(directory: &Path, path: &Path) -> io::Result<()> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let mut name = [0; 8];
    getrandom::fill(&mut name).map_err(io::Error::other)?;
    let temporary = directory.join(format!(".{}.tmp", digest::hex(&name)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(&key).and_then(|()| file.sync_all());
    // Somebody else's key of the same month stays: a link does not replace.
    let linked = written.and_then(|()| match fs::hard_link(&temporary, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    fs::remove_file(&temporary).and(linked)
}

/// The month's name, and when the next one begins.
fn month(now: SystemTime) -> Option<(String, SystemTime)> {
    let date = Timestamp::try_from(now).ok()?.to_zoned(TimeZone::UTC).date().first_of_month();
    let next = date.checked_add(1.month()).ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some((date.strftime("%Y-%m").to_string(), next.timestamp().into()))
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Salt").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn at(text: &str) -> SystemTime {
        text.parse::<Timestamp>().unwrap().into()
    }

    #[test]
    fn a_month_has_one_key_which_others_cannot_read() {
        let folder = tempfile::tempdir().unwrap();
        let now = at("2026-11-22T10:00:00Z");
        let one = salt(folder.path(), now).unwrap();
        let again = salt(folder.path(), at("2026-11-30T23:59:59Z")).unwrap();
        let next = salt(folder.path(), at("2026-12-01T00:00:00Z")).unwrap();
        assert_eq!((one.id.as_str(), one.ends), ("2026-11", at("2026-12-01T00:00:00Z")));
        let digests = [&one, &again, &next].map(|salt| salt.digest(b"ana").unwrap());
        assert_eq!(digests[0], digests[1]);
        let sum = |digest: &str| digest.rsplit(':').next().map(str::to_owned);
        assert_ne!(sum(&digests[0]), sum(&digests[2]));
        assert!(digests[0].starts_with("hmac:2026-11:") && digests[0].len() == 45);
        let mode = fs::metadata(folder.path().join("2026-11.salt")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_last_key_serves_until_there_is_a_new_one_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let salts = Salts::open(folder.path()).unwrap();
        let ends = salts.current.load_full().unwrap().ends;
        // No new key can be made.
        fs::remove_dir_all(folder.path()).unwrap();
        fs::write(folder.path(), "").unwrap();
        assert!(salts.at(ends - Duration::from_secs(1)).is_some());
        assert!(salts.at(ends).is_some());
        assert!(salts.at(ends + LINGERS).is_none());
    }

    #[test]
    fn a_new_month_brings_a_new_key() {
        let folder = tempfile::tempdir().unwrap();
        let salts = Salts::open(folder.path()).unwrap();
        let first = salts.current.load_full().unwrap();
        for _ in 0..1_000 {
            if salts.at(first.ends).is_some_and(|salt| salt.id != first.id) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the key is still that of {}", first.id);
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("2026-11.salt"), "short").unwrap();
        let error = salt(folder.path(), at("2026-11-22T10:00:00Z")).unwrap_err();
        assert!(error.to_string().ends_with("2026-11.salt: a key has 32 bytes"), "{error}");
    }
}
