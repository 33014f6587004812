//! What the store gave out and gets back: nobody makes up a revision or a page token, and a copy is restored whole or not at all.

use std::path::Path;
use std::sync::LazyLock;

use mandate::store::Store;
use mandate::store::data_dir::DataDir;
use mandate::store::entity_log::restore;

use super::{doors, text};

static STORE: LazyLock<Store> = LazyLock::new(|| Store::new(doors::world()));

/// A minimum that a caller names.
pub(super) fn revision(bytes: &[u8]) {
    let Some(revision) = text(bytes).filter(|text| !text.is_empty()) else { return };
    let published = STORE.current();
    assert!(STORE.check_minimum(revision, &published).is_err(), "made up: {revision}");
    assert!(STORE.check_minimum(&published.revision, &published).is_ok());
}

/// Where a caller wants to go on.
pub(super) fn page_token(bytes: &[u8]) {
    let Some(token) = text(bytes) else { return };
    assert!(STORE.page_after("fuzz", token).is_err(), "made up: {token}");
}

/// A copy of an entity log.
pub(super) fn backup(bytes: &[u8]) {
    // In memory, where there is such a folder: a disk would be waited for.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let data = DataDir::open(&folder.path().join("data")).unwrap();
    let restored = restore(&data, bytes, false, |_read| {});
    assert_eq!(restored.is_ok(), data.entity_log().exists(), "a log of half a copy");
}
