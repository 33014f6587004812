//! `[limits]`: what everybody together, and each of them, may use.

use serde::Deserialize;

use super::ConfigError;
use super::load::{self, LoadLimits};
use super::sizes::{self, SizeLimits};
use super::written::Span;

/// What may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// By requests.
    pub load: LoadLimits,
    /// By one request.
    pub sizes: SizeLimits,
}

/// `[limits]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    concurrent_requests: Option<usize>,
    queued_requests: Option<usize>,
    queue_delay: Option<Span>,
    deadline: Option<Span>,
    max_deadline: Option<Span>,
    memory_bytes: Option<u64>,
    rate: Option<load::WrittenRate>,
    rates: Vec<load::WrittenCaller>,
    message_bytes: Option<usize>,
    batch_items: Option<usize>,
    batch_bytes: Option<usize>,
    context_bytes: Option<usize>,
    request_entities: Option<usize>,
}

impl Written {
    /// The limits.
    ///
    /// # Errors
    /// One is out of its range.
    pub(super) fn meaning(self) -> Result<Limits, ConfigError> {
        let load = load::Written {
            concurrent_requests: self.concurrent_requests,
            queued_requests: self.queued_requests,
            queue_delay: self.queue_delay,
            deadline: self.deadline,
            max_deadline: self.max_deadline,
            memory_bytes: self.memory_bytes,
            rate: self.rate,
            rates: self.rates,
        };
        let sizes = sizes::Written {
            message_bytes: self.message_bytes,
            batch_items: self.batch_items,
            batch_bytes: self.batch_bytes,
            context_bytes: self.context_bytes,
            request_entities: self.request_entities,
        };
        let sizes = sizes.meaning()?;
        Ok(Limits { load: load.meaning(sizes.batch_items)?, sizes })
    }
}
