//! What listeners are told: where they listen, what their connections may hold, and for how long.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

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

/// What counts as one peer: an address of IPv4, and of IPv6 the network that one host has to itself (RFC 4291 §2.5.4).
#[must_use]
pub fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

/// Where a listener listens, or a client finds it: `127.0.0.1:4466`, or `unix:/run/mandate/data.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An address and a port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// Longest path of a Unix socket, in bytes (unix(7): `sun_path`, less the NUL at its end).
const MAX_PATH_BYTES: usize = 107;

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is neither.
    #[error("`{0}` is no address: write `127.0.0.1:4466`, or `unix:/run/mandate/data.sock`")]
    Neither(String),
    /// No file has this path.
    #[error("`{0}` is no path of a Unix socket: write `unix:/run/mandate/data.sock`")]
    Path(String),
    /// The system has no room for it.
    #[error("the path of the Unix socket `{0}` is {1} bytes long; the system takes at most {MAX_PATH_BYTES}")]
    TooLong(String, usize),
}

impl Address {
    /// Whether nobody on another host can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Whether it is reached by TCP. Over a Unix socket there is nothing to secure: connections leave no host, and whom the
    /// file's permissions let in is let in.
    #[must_use]
    pub fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    /// As gRPC clients are given it: `http://…`, `https://…` or `unix:…` (gRPC Name Resolution).
    #[must_use]
    pub fn url(&self, secured: bool) -> String {
        match (self, secured) {
            (Self::Tcp(address), true) => format!("https://{address}"),
            (Self::Tcp(address), false) => format!("http://{address}"),
            (Self::Unix(_), _) => self.to_string(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let Some(path) = text.strip_prefix("unix:") else {
            return text.parse().map(Self::Tcp).map_err(|_error| AddressError::Neither(text.to_owned()));
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.len() > MAX_PATH_BYTES {
            return Err(AddressError::TooLong(path.to_owned(), path.len()));
        }
        if path.is_empty() || path.ends_with('/') || path.contains('\0') {
            return Err(AddressError::Path(text.to_owned()));
        }
        Ok(Self::Unix(PathBuf::from(path)))
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

/// Addresses to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// gRPC.
    pub data: Address,
    /// AuthZEN.
    pub http: Address,
    /// Probes and metrics. Says nothing secret, so any address will do.
    pub ops: Address,
    /// Administration. Loopback only, unless administrators authenticate as callers do (C2).
    pub control: Address,
}

impl Listen {
    /// On this host alone, at ports that are free.
    #[must_use]
    pub fn free() -> Self {
        let free = || Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
        Self { data: free(), http: free(), ops: free(), control: free() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_two_kinds_and_is_written_as_it_is_read() {
        for good in ["127.0.0.1:4466", "[::1]:0", "unix:/run/mandate/data.sock", "unix:data.sock"] {
            assert_eq!(good.parse::<Address>().unwrap().to_string(), good);
        }
        let written: Address = "unix:///run/data.sock".parse().unwrap();
        assert_eq!(written, Address::Unix("/run/data.sock".into()));
        assert_eq!((written.url(true), written.is_local()), ("unix:/run/data.sock".to_owned(), true));
        let tcp: Address = "0.0.0.0:1".parse().unwrap();
        assert_eq!((tcp.url(true), tcp.is_local()), ("https://0.0.0.0:1".to_owned(), false));
        let longest = format!("unix:/{}", "a".repeat(MAX_PATH_BYTES - 1));
        assert!(longest.parse::<Address>().is_ok());
        for (wrong, said) in [
            ("", "is no address"),
            ("localhost:4466", "is no address"),
            ("127.0.0.1", "is no address"),
            ("http://127.0.0.1:1", "is no address"),
            ("unix:", "no path"),
            ("unix:///", "no path"),
            ("unix:/run/\0", "no path"),
            (&format!("{longest}a"), "108 bytes long; the system takes at most 107"),
        ] {
            let error = wrong.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
