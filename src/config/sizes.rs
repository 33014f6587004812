//! What of `[limits]` says how large a request may be.

use super::ConfigError;
use crate::engine::guard::{MAX_CONTEXT_BYTES, MAX_REQUEST_ENTITIES};
use crate::engine::request::RequestLimits;

/// How large requests may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeLimits {
    /// Largest message of a question or a batch, and largest body of one, in bytes.
    pub message_bytes: usize,
    /// Most questions in a batch.
    pub batch_items: usize,
    /// Most bytes of a batch once every question has taken what it inherits.
    pub batch_bytes: usize,
    /// What one question may hold.
    pub request: RequestLimits,
}

/// Of `[limits]`.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) message_bytes: Option<usize>,
    pub(super) batch_items: Option<usize>,
    pub(super) batch_bytes: Option<usize>,
    pub(super) context_bytes: Option<usize>,
    pub(super) request_entities: Option<usize>,
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

impl Written {
    /// # Errors
    /// A value is out of its range.
    pub(super) fn meaning(self) -> Result<SizeLimits, ConfigError> {
        let sizes = SizeLimits {
            message_bytes: self.message_bytes.unwrap_or(256 * KIB),
            batch_items: self.batch_items.unwrap_or(100),
            batch_bytes: self.batch_bytes.unwrap_or(4 * MIB),
            request: RequestLimits {
                context_bytes: self.context_bytes.unwrap_or(MAX_CONTEXT_BYTES),
                entities: self.request_entities.unwrap_or(MAX_REQUEST_ENTITIES),
            },
        };
        let ranges = [
            (
                "limits.message_bytes",
                sizes.message_bytes,
                KIB..=4 * MIB,
                "it must be between 1 KiB and 4 MiB",
            ),
            ("limits.batch_items", sizes.batch_items, 1..=1_000, "it must be between 1 and 1,000"),
            ("limits.batch_bytes", sizes.batch_bytes, KIB..=64 * MIB, "it must be between 1 KiB and 64 MiB"),
            (
                "limits.context_bytes",
                sizes.request.context_bytes,
                KIB..=MIB,
                "it must be between 1 KiB and 1 MiB",
            ),
            ("limits.request_entities", sizes.request.entities, 0..=10_000, "it must be at most 10,000"),
        ];
        for (key, value, range, limit) in ranges {
            if !range.contains(&value) {
                return Err(ConfigError::OutOfRange { key, value: value.to_string(), limit });
            }
        }
        Ok(sizes)
    }
}
