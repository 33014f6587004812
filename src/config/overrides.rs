//! What flags say: the last word.

use std::path::PathBuf;

use crate::listening::Address;

/// Flags that override what files and environment say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Folder of policies.
    pub policies: Option<PathBuf>,
    /// Folder of schemas.
    pub schemas: Option<PathBuf>,
    /// Folder of entities.
    pub entities: Option<PathBuf>,
    /// Folder of emergency forbids.
    pub emergency: Option<PathBuf>,
    /// Folder of policies about callers.
    pub pep: Option<PathBuf>,
    /// Folder of what the process writes.
    pub data_directory: Option<PathBuf>,
    /// URL of the primary that is followed.
    pub follow: Option<String>,
    /// gRPC address.
    pub data: Option<Address>,
    /// HTTP address.
    pub http: Option<Address>,
    /// Address of probes and metrics.
    pub ops: Option<Address>,
    /// Address of administration.
    pub control: Option<Address>,
    /// See [`super::Config::serve_last_known_good`].
    pub refuse_last_known_good: bool,
    /// See [`super::Config::insecure_unauthenticated_callers`].
    pub insecure_unauthenticated_callers: bool,
}
