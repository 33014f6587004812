//! What a server of Mandate decides by: the folders it reads.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::Attempt;

/// Folders that a server reads.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) policies: PathBuf,
    pub(crate) schemas: PathBuf,
    pub(crate) entities: PathBuf,
}

impl Sources {
    /// The flags that name them.
    pub(crate) fn flags(&self) -> [OsString; 6] {
        let Self { policies, schemas, entities } = self;
        [
            "--policies".into(),
            policies.into(),
            "--schemas".into(),
            schemas.into(),
            "--entities".into(),
            entities.into(),
        ]
    }
}

/// A copy of the shipped sources in `folder`, without the policies whose answers depend on the hour.
pub(crate) fn sources_without_clock(root: &Path, folder: &Path) -> Attempt<(Sources, Vec<String>)> {
    let policies = folder.join("policies");
    let left_out = crate::policies::copy_without(&root.join("policies"), &policies, "context.now")?;
    Ok((Sources { policies, schemas: root.join("schemas"), entities: root.join("entities") }, left_out))
}
