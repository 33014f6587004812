//! What listeners are told: what their connections may hold, and for how long.

use std::time::Duration;

/// What connections may hold, and for how long. A connection over one of these is refused or closed, and counted by the
/// limit's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections of the listeners that decide, both together. Open files may leave room for fewer.
    pub connections: usize,
    /// Connections from one address (of IPv6: one network of 64 bits); none: half of all.
    pub connections_per_peer: Option<usize>,
    /// Longest time for a TLS handshake.
    pub handshake: Duration,
    /// Longest time from the first byte of a request to the end of its headers; over HTTP/2, of the preface.
    pub header: Duration,
    /// Longest silence of a connection, and longest time that its other end takes nothing that is sent.
    pub idle: Duration,
    /// How old a connection of a caller becomes before it is told to make way for another. Up to a tenth is added, so that
    /// those that began together do not end together.
    pub max_age: Duration,
    /// How long calls that are under way by then may take.
    pub max_age_grace: Duration,
    /// Largest headers of a request, in bytes.
    pub header_bytes: u32,
    /// What holds for HTTP/2 alone.
    pub http2: Http2Limits,
}

/// What an HTTP/2 connection may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http2Limits {
    /// Calls under way.
    pub streams: u32,
    /// What one call may send ahead of being read, in bytes.
    pub stream_window: u32,
    /// What all calls may, in bytes.
    pub connection_window: u32,
    /// Calls that were taken back before anybody looked at them (CVE-2023-44487).
    pub pending_resets: usize,
    /// Calls that were ended for their client's errors (RUSTSEC-2024-0003).
    pub error_resets: usize,
    /// How often a client is pinged that says nothing.
    pub ping: Duration,
    /// How long its answer may take.
    pub ping_timeout: Duration,
}
