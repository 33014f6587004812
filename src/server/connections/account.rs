//! How many connections there are, and which limits ended others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::telemetry::connections::ObservedConnections;

/// What can end a connection that its other end would have kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The peer has as many connections as it may.
    ConnectionsPerPeer,
    /// The TLS handshake took too long.
    Handshake,
    /// The headers of a request did.
    Header,
    /// Nothing was said, nothing taken, or a ping not answered.
    Idle,
    /// It was told to make way for another.
    MaxAge,
    /// It was still there long after.
    MaxAgeGrace,
}

const LIMITS: [Limit; 6] = [
    Limit::ConnectionsPerPeer,
    Limit::Handshake,
    Limit::Header,
    Limit::Idle,
    Limit::MaxAge,
    Limit::MaxAgeGrace,
];

impl Limit {
    /// Its key in `[limits]`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ConnectionsPerPeer => "connections_per_peer",
            Self::Handshake => "handshake",
            Self::Header => "header",
            Self::Idle => "idle",
            Self::MaxAge => "max_age",
            Self::MaxAgeGrace => "max_age_grace",
        }
    }
}

/// The account of one listener's connections.
#[derive(Debug, Default)]
pub struct Account {
    open: AtomicU64,
    ended: [AtomicU64; LIMITS.len()],
}

/// The accounts of all listeners.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    /// gRPC.
    pub data: Arc<Account>,
    /// AuthZEN.
    pub http: Arc<Account>,
    /// Probes and metrics.
    pub ops: Arc<Account>,
    /// Administration.
    pub control: Arc<Account>,
}

impl Accounts {
    /// What they say now.
    #[must_use]
    pub fn observed(&self) -> Vec<ObservedConnections> {
        let Self { data, http, ops, control } = self;
        let named = [("data", data), ("http", http), ("ops", ops), ("control", control)];
        named.map(|(listener, account)| account.observed(listener)).into()
    }
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Counted(Arc<Account>);

impl Account {
    /// Counts a connection.
    pub(super) fn open(self: &Arc<Self>) -> Counted {
        self.open.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(self))
    }

    /// Counts a connection that a limit ends.
    pub(super) fn ended(&self, by: Limit) {
        let counts = LIMITS.iter().zip(&self.ended);
        for (_, count) in counts.filter(|(limit, _)| **limit == by) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        tracing::debug!(limit = by.name(), "a connection is ended by a limit");
    }

    fn observed(&self, listener: &'static str) -> ObservedConnections {
        let ended = LIMITS.iter().zip(&self.ended);
        ObservedConnections {
            listener,
            open: self.open.load(Ordering::Relaxed),
            ended: ended.map(|(limit, count)| (limit.name(), count.load(Ordering::Relaxed))).collect(),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
