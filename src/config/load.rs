//! What of `[limits]` says how much may be asked, and how much memory that may take.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use super::written::{Span, or};

/// `[limits.rate]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRate {
    /// Questions a second: a batch counts as many as it holds.
    ///
    /// Required, from `1`.
    per_second: u32,
    /// Questions at once, of a caller that asked nothing before: at least as many as a batch may hold. Not written: as many as in
    /// a second.
    ///
    /// From `100`.
    burst: Option<u32>,
}

/// `[[limits.rates]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenCaller {
    /// Its name: a SPIFFE ID, or what the decision log calls it.
    ///
    /// Required.
    caller: String,
    /// Questions a second.
    ///
    /// Required, from `1`.
    per_second: u32,
    /// Questions at once.
    ///
    /// From `100`.
    burst: Option<u32>,
}

/// How much may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadLimits {
    /// Requests that are decided at once; none: as many as the processors are good for.
    pub concurrent_requests: Option<usize>,
    /// Requests that wait for others to be decided.
    pub queued_requests: usize,
    /// How long requests may wait for a thread while others do as well.
    pub queue_delay: Duration,
    /// How long a request may take whose caller sets no deadline.
    pub deadline: Duration,
    /// Longest time that a request may take.
    pub max_deadline: Duration,
    /// Bytes of memory that the process may use; none: as its control group says.
    pub memory_bytes: Option<u64>,
    /// What each caller may ask; none: as much as it wants.
    pub rate: Option<RateLimit>,
    /// What some callers may ask, by name.
    pub rates: HashMap<String, RateLimit>,
}

/// What a caller may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Questions a second.
    pub per_second: NonZeroU32,
    /// Questions at once.
    pub burst: NonZeroU32,
}

/// Of `[limits]`.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) concurrent_requests: Option<usize>,
    pub(super) queued_requests: Option<usize>,
    pub(super) queue_delay: Option<Span>,
    pub(super) deadline: Option<Span>,
    pub(super) max_deadline: Option<Span>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) rate: Option<WrittenRate>,
    pub(super) rates: Vec<WrittenCaller>,
}

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MIB: u64 = 1024 * 1024;

impl Written {
    /// # Errors
    /// A value is out of its range, or a caller is named twice.
    pub(super) fn meaning(self, batch_items: usize) -> Result<LoadLimits, ConfigError> {
        // A batch could not be asked otherwise.
        let least = u32::try_from(batch_items).unwrap_or(u32::MAX);
        let max_deadline = or(self.max_deadline, 30 * SECOND);
        let limits = LoadLimits {
            concurrent_requests: self.concurrent_requests,
            queued_requests: self.queued_requests.unwrap_or(10_000),
            queue_delay: or(self.queue_delay, 10 * MILLISECOND),
            deadline: or(self.deadline, max_deadline.min(30 * SECOND)),
            max_deadline,
            memory_bytes: self.memory_bytes,
            rate: self
                .rate
                .map(|rate| limit("limits.rate", rate.per_second, rate.burst, least))
                .transpose()?,
            rates: HashMap::new(),
        };
        check(&limits)?;
        let mut rates = HashMap::new();
        for WrittenCaller { caller, per_second, burst } in self.rates {
            let own = limit("limits.rates", per_second, burst, least)?;
            if rates.insert(caller.clone(), own).is_some() {
                let limit = "each caller has one rate";
                return Err(ConfigError::OutOfRange { key: "limits.rates.caller", value: caller, limit });
            }
        }
        Ok(LoadLimits { rates, ..limits })
    }
}

fn limit(
    key: &'static str,
    per_second: u32,
    burst: Option<u32>,
    least: u32,
) -> Result<RateLimit, ConfigError> {
    let burst = burst.unwrap_or_else(|| per_second.max(least));
    let value = format!("{per_second} a second, {burst} at once");
    match (NonZeroU32::new(per_second), NonZeroU32::new(burst)) {
        (Some(per_second), Some(burst)) if burst.get() >= least => Ok(RateLimit { per_second, burst }),
        _ => {
            let limit = "`per_second` must be at least 1, and `burst` at least `limits.batch_items`";
            Err(ConfigError::OutOfRange { key, value, limit })
        }
    }
}

fn check(limits: &LoadLimits) -> Result<(), ConfigError> {
    let refuse = |key, value, limit| Err(ConfigError::OutOfRange { key, value, limit });
    let millis = |span: Duration| format!("{} ms", span.as_millis());
    let LoadLimits { queue_delay, deadline, max_deadline, memory_bytes, .. } = limits;
    if limits.concurrent_requests.is_some_and(|requests| !(1..=1_000_000).contains(&requests)) {
        let requests = limits.concurrent_requests.unwrap_or(0).to_string();
        return refuse("limits.concurrent_requests", requests, "it must be between 1 and 1,000,000");
    }
    if limits.queued_requests > 1_000_000 {
        let requests = limits.queued_requests.to_string();
        return refuse("limits.queued_requests", requests, "it must be at most 1,000,000");
    }
    if !(MILLISECOND..=60 * SECOND).contains(queue_delay) {
        return refuse("limits.queue_delay", millis(*queue_delay), "it must be between 1 ms and 1 minute");
    }
    if !(MILLISECOND..=300 * SECOND).contains(max_deadline) {
        return refuse("limits.max_deadline", millis(*max_deadline), "it must be between 1 ms and 5 minutes");
    }
    if !(MILLISECOND..=*max_deadline).contains(deadline) {
        let limit = "it must be between 1 ms and `limits.max_deadline`";
        return refuse("limits.deadline", millis(*deadline), limit);
    }
    match memory_bytes {
        Some(bytes) if *bytes < 32 * MIB => {
            refuse("limits.memory_bytes", bytes.to_string(), "it must be at least 33554432 (32 MiB)")
        }
        _ => Ok(()),
    }
}
