//! `[limits]`: what everybody together, and each of them, may use.

use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use super::load::{self, LoadLimits};
use super::sizes::{self, SizeLimits};
use super::written::{Span, or};
use crate::listening::{ConnectionLimits, Http2Limits};

/// What may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// By connections.
    pub connections: ConnectionLimits,
    /// By all requests together, and those of one caller.
    pub load: LoadLimits,
    /// By one request.
    pub sizes: SizeLimits,
}

/// `[limits]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    /// How many there may be to `data` and `http` together, as far as the system lets the process open files.
    ///
    /// Default `10000`, from `4` to `1000000`.
    connections: Option<usize>,
    /// How many of them from one address, or one /64 of IPv6. Not written: half of those that there are places
    /// for.
    ///
    /// From `1` to `1000000`.
    connections_per_peer: Option<usize>,
    /// How long TLS may take to begin.
    ///
    /// Default `"5s"`, from `"100ms"` to `"1m"`.
    handshake: Option<Span>,
    /// How long a request's headers may take, from its first byte on.
    ///
    /// Default `"5s"`, from `"100ms"` to `"1m"`.
    header: Option<Span>,
    /// How long a connection may say nothing, or take nothing. At least `http2.ping` and `http2.ping_timeout`
    /// together.
    ///
    /// Default `"60s"`, at most `"1h"`.
    idle: Option<Span>,
    /// After this long a connection to `data` or `http` is told to go away, so that callers spread over
    /// servers. Up to a tenth is added.
    ///
    /// Default `"5m"`, from `"1s"` to `"24h"`.
    max_age: Option<Span>,
    /// How long what is under way by then may take.
    ///
    /// Default `"30s"`, from `"100ms"` to `"10m"`.
    max_age_grace: Option<Span>,
    /// How long the headers of a request may be, in bytes.
    ///
    /// Default `16384`, from `8192` to `1048576`.
    header_bytes: Option<u32>,
    /// What one connection of HTTP/2 may use.
    http2: WrittenHttp2,
    /// How many requests are decided at once. Not written: 1024 for each processor.
    ///
    /// From `1` to `1000000`.
    concurrent_requests: Option<usize>,
    /// How many wait for others to be decided, for 100 ms at most.
    ///
    /// Default `10000`, at most `1000000`.
    queued_requests: Option<usize>,
    /// How long requests may wait for a thread while others do as well. If they wait longer for a while, some are turned
    /// away.
    ///
    /// Default `"10ms"`, from `"1ms"` to `"1m"`.
    queue_delay: Option<Span>,
    /// How long a request may take whose caller sets no deadline. No longer than `max_deadline`.
    ///
    /// Default `"30s"`, from `"1ms"`.
    deadline: Option<Span>,
    /// How long any request may take, and any message of a stream.
    ///
    /// Default `"30s"`, from `"1ms"` to `"5m"`.
    max_deadline: Option<Span>,
    /// How much memory the process may use. Near it less is remembered, then requests are turned away. Not written: what its
    /// control group allows, if it does not allow everything.
    ///
    /// From `33554432`.
    memory_bytes: Option<u64>,
    /// What each caller may ask. Not written: as much as it wants.
    rate: Option<load::WrittenRate>,
    /// What some callers may ask instead.
    rates: Vec<load::WrittenCaller>,
    /// How large a question or batch may be over gRPC, or a body of AuthZEN or MCP, in bytes.
    ///
    /// Default `262144`, from `1024` to `4194304`.
    message_bytes: Option<usize>,
    /// How many questions a batch may hold.
    ///
    /// Default `100`, from `1` to `1000`.
    batch_items: Option<usize>,
    /// How large a batch may be once every question has taken what it inherits, in bytes.
    ///
    /// Default `4194304`, from `1024` to `67108864`.
    batch_bytes: Option<usize>,
    /// How large a context may be: bytes of names and strings, and eight for every other value.
    ///
    /// Default `65536`, from `1024` to `1048576`.
    context_bytes: Option<usize>,
    /// How many entities a question may supply.
    ///
    /// Default `1000`, at most `10000`.
    request_entities: Option<usize>,
}

/// `[limits.http2]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenHttp2 {
    /// Calls under way.
    ///
    /// Default `100`, from `1` to `10000`.
    streams: Option<u32>,
    /// Bytes that one call may send ahead.
    ///
    /// Default `65536`, from `4096` to `16777216`.
    stream_window: Option<u32>,
    /// Bytes that all of them together may.
    ///
    /// Default `4194304`, from `65535` to `67108864`.
    connection_window: Option<u32>,
    /// Calls taken back before they were looked at; after that the connection is told to go away
    /// (CVE-2023-44487).
    ///
    /// Default `2000`, from `1` to `10000`.
    pending_resets: Option<usize>,
    /// Calls ended for their client's errors; after that likewise.
    ///
    /// Default `20000`, from `1` to `100000`.
    error_resets: Option<usize>,
    /// After this long without a word a client is asked whether it is there. With `ping_timeout` no longer than
    /// `limits.idle`.
    ///
    /// Default `"20s"`, from `"100ms"`.
    ping: Option<Span>,
    /// How long it may take to answer.
    ///
    /// Default `"20s"`, from `"100ms"`.
    ping_timeout: Option<Span>,
}

const SECOND: Duration = Duration::from_secs(1);
const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;

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
        let limits = Limits {
            load: load.meaning(sizes.batch_items)?,
            sizes,
            connections: ConnectionLimits {
                connections: self.connections.unwrap_or(10_000),
                connections_per_peer: self.connections_per_peer,
                handshake: or(self.handshake, 5 * SECOND),
                header: or(self.header, 5 * SECOND),
                idle: or(self.idle, 60 * SECOND),
                max_age: or(self.max_age, 300 * SECOND),
                max_age_grace: or(self.max_age_grace, 30 * SECOND),
                header_bytes: self.header_bytes.unwrap_or(16 * KIB),
                http2: self.http2.meaning(),
            },
        };
        check(&limits.connections).map(|()| limits)
    }
}

impl WrittenHttp2 {
    fn meaning(self) -> Http2Limits {
        Http2Limits {
            streams: self.streams.unwrap_or(100),
            stream_window: self.stream_window.unwrap_or(64 * KIB),
            // Small frames cost more than they hold: a stream of short messages must not use up what h2 allows a connection.
            connection_window: self.connection_window.unwrap_or(4 * MIB),
            // All that clients have under way they may also take back at once, again and again while they are not read, and what
            // they then begin beyond `streams` counts as an error of theirs.
            pending_resets: self.pending_resets.unwrap_or(2_000),
            error_resets: self.error_resets.unwrap_or(20_000),
            ping: or(self.ping, 20 * SECOND),
            ping_timeout: or(self.ping_timeout, 20 * SECOND),
        }
    }
}

fn check(limits: &ConnectionLimits) -> Result<(), ConfigError> {
    let ConnectionLimits { http2, .. } = limits;
    let spans = [
        (
            "limits.handshake",
            limits.handshake,
            (SECOND / 10, 60 * SECOND),
            "it must be between 100 ms and 1 minute",
        ),
        (
            "limits.header",
            limits.header,
            (SECOND / 10, 60 * SECOND),
            "it must be between 100 ms and 1 minute",
        ),
        ("limits.idle", limits.idle, (SECOND, 3600 * SECOND), "it must be between 1 s and 1 hour"),
        ("limits.max_age", limits.max_age, (SECOND, 86_400 * SECOND), "it must be between 1 s and 1 day"),
        (
            "limits.max_age_grace",
            limits.max_age_grace,
            (SECOND / 10, 600 * SECOND),
            "it must be between 100 ms and 10 minutes",
        ),
        (
            "limits.http2.ping",
            http2.ping,
            (SECOND / 10, 3600 * SECOND),
            "it must be between 100 ms and 1 hour",
        ),
        (
            "limits.http2.ping_timeout",
            http2.ping_timeout,
            (SECOND / 10, 3600 * SECOND),
            "it must be between 100 ms and 1 hour",
        ),
    ];
    for (key, span, (least, most), limit) in spans {
        if !(least..=most).contains(&span) {
            return Err(ConfigError::OutOfRange { key, value: format!("{} ms", span.as_millis()), limit });
        }
    }
    check_counts(limits)?;
    if limits.idle < http2.ping + http2.ping_timeout {
        let (key, value) = ("limits.idle", format!("{} ms", limits.idle.as_millis()));
        let limit = "it must be at least `limits.http2.ping` and `limits.http2.ping_timeout` together: quiet clients \
                     would be closed before they can answer a ping";
        return Err(ConfigError::OutOfRange { key, value, limit });
    }
    Ok(())
}

fn check_counts(limits: &ConnectionLimits) -> Result<(), ConfigError> {
    let ConnectionLimits { http2, .. } = limits;
    let count = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
    let per_peer = limits.connections_per_peer.unwrap_or(1);
    let counts = [
        ("limits.connections", limits.connections, 4..=1_000_000, "it must be between 4 and 1,000,000"),
        ("limits.connections_per_peer", per_peer, 1..=1_000_000, "it must be between 1 and 1,000,000"),
        (
            "limits.header_bytes",
            count(limits.header_bytes),
            8192..=1_048_576,
            "it must be between 8 KiB and 1 MiB",
        ),
        ("limits.http2.streams", count(http2.streams), 1..=10_000, "it must be between 1 and 10,000"),
        (
            "limits.http2.stream_window",
            count(http2.stream_window),
            4096..=16_777_216,
            "it must be between 4 KiB and 16 MiB",
        ),
        (
            "limits.http2.connection_window",
            count(http2.connection_window),
            65_535..=67_108_864,
            "it must be between 65,535 bytes and 64 MiB",
        ),
        ("limits.http2.pending_resets", http2.pending_resets, 1..=10_000, "it must be between 1 and 10,000"),
        ("limits.http2.error_resets", http2.error_resets, 1..=100_000, "it must be between 1 and 100,000"),
    ];
    for (key, count, range, limit) in counts {
        if !range.contains(&count) {
            return Err(ConfigError::OutOfRange { key, value: count.to_string(), limit });
        }
    }
    Ok(())
}
