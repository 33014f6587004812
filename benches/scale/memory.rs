//! How large a process is that has loaded entities.

use std::fs;
use std::path::Path;

use mandate::store::directory;
use serde::{Deserialize, Serialize};

use crate::Attempt;
use crate::workload::{compiled, folders};

/// What a process with a world holds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Resident {
    pub(crate) entities: usize,
    /// After loading, the sources dropped.
    pub(crate) kib: u64,
    /// The most there ever was, while loading.
    pub(crate) peak_kib: u64,
}

/// Loads folders and says what that takes.
///
/// # Errors
/// They cannot be read or do not compile.
pub(crate) fn resident(root: &Path) -> Attempt<Resident> {
    let sources = directory::read(&folders(root)).map_err(|_report| "the files cannot be read")?;
    let world = compiled(&sources)?;
    drop(sources);
    Ok(Resident { entities: world.entities.len(), kib: status("VmRSS")?, peak_kib: status("VmHWM")? })
}

/// Bytes for each entity: what more of them add, so that what every process holds does not count.
pub(crate) fn bytes_each(few: Resident, many: Resident) -> f64 {
    let added = many.entities.saturating_sub(few.entities);
    many.kib.saturating_sub(few.kib) as f64 * 1024.0 / added as f64
}

/// What the kernel says of this process, in KiB.
fn status(name: &str) -> Attempt<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or_else(|| format!("the kernel says nothing of {name}"))?.parse()?)
}
