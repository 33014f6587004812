//! Places for connections: no more than the process can hold, and no more of them for one peer than leaves some for others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Resource, getrlimit};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::listening::{ConnectionLimits, network};

/// Connections of operators, which must get in when everybody else's do not.
const OPERATORS: usize = 16;
/// Files kept free at least, and at most, for everything that is no connection of a caller.
const RESERVED_FILES: (usize, usize) = (OPERATORS + 8, 512);
/// Places there are at least: each listener holds one while it waits.
const MIN_CONNECTIONS: usize = 4;
/// So few places that somebody should know.
const FEW_CONNECTIONS: usize = 64;

/// Places for connections, shared by listeners.
#[derive(Debug, Clone)]
pub struct Places {
    free: Arc<Semaphore>,
    peers: Arc<Peers>,
}

/// How many connections each peer has, and may have.
#[derive(Debug)]
struct Peers {
    most: usize,
    held: Mutex<HashMap<IpAddr, usize>>,
}

/// A place that nobody has yet.
#[derive(Debug)]
pub(super) struct FreePlace(OwnedSemaphorePermit);

/// A place that a connection has until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _free: OwnedSemaphorePermit,
    held: Option<(IpAddr, Arc<Peers>)>,
}

impl Places {
    /// As many as are configured, and the process's file descriptors leave over.
    #[must_use]
    pub fn for_callers(limits: &ConnectionLimits) -> Self {
        let (least, most) = RESERVED_FILES;
        let allowed = getrlimit(Resource::Nofile)
            .current
            .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        // What cannot be counted is taken to be few: the reserve is there for more than these.
        let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let reserved = (allowed / 8).clamp(least, most);
        let fit = allowed.saturating_sub(open.saturating_add(reserved)).max(MIN_CONNECTIONS);
        if fit < FEW_CONNECTIONS.min(limits.connections) {
            tracing::warn!(
                files.limit = allowed,
                places = fit,
                "few connections can be served: raise the limit of open files"
            );
        }
        let places = limits.connections.min(fit);
        Self::new(places, limits.connections_per_peer.unwrap_or(places / 2))
    }

    /// A few, for operators.
    #[must_use]
    pub fn for_operators() -> Self {
        Self::new(OPERATORS, OPERATORS / 2)
    }

    fn new(places: usize, per_peer: usize) -> Self {
        let peers = Peers { most: per_peer, held: Mutex::default() };
        Self { free: Arc::new(Semaphore::new(places)), peers: Arc::new(peers) }
    }

    /// A place, once there is one.
    pub(super) async fn free(&self) -> Result<FreePlace, AcquireError> {
        Arc::clone(&self.free).acquire_owned().await.map(FreePlace)
    }

    /// The place, for a peer; none if that has all it may have. Peers without an address are whom the files' permissions let in.
    pub(super) fn take(&self, FreePlace(free): FreePlace, peer: Option<IpAddr>) -> Option<Place> {
        let Some(peer) = peer.map(network) else { return Some(Place { _free: free, held: None }) };
        let mut held = self.peers.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(peer).or_default();
        if *count >= self.peers.most {
            return None;
        }
        *count += 1;
        Some(Place { _free: free, held: Some((peer, Arc::clone(&self.peers))) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((peer, peers)) = &self.held else { return };
        let mut held = peers.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(peer) {
            *count -= 1;
            if *count == 0 {
                held.remove(peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(places: &Places, peer: Option<&str>) -> Option<Place> {
        let free = FreePlace(Arc::clone(&places.free).try_acquire_owned().unwrap());
        places.take(free, peer.map(|peer| peer.parse().unwrap()))
    }

    #[test]
    fn one_peer_leaves_places_to_others_and_gives_its_own_back() {
        let places = Places::new(8, 2);
        let first = take(&places, Some("192.0.2.1"));
        let second = take(&places, Some("::ffff:192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(take(&places, Some("192.0.2.1")).is_none());
        assert_eq!(places.free.available_permits(), 6);
        assert!(take(&places, Some("192.0.2.2")).is_some());
        drop(first);
        assert!(take(&places, Some("192.0.2.1")).is_some());
        drop(second);
        assert!(places.peers.held.lock().unwrap().is_empty());
        assert_eq!(places.free.available_permits(), 8);
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer_and_whoever_has_no_address_is_none() {
        let places = Places::new(8, 1);
        let _held = take(&places, Some("2001:db8::1")).unwrap();
        assert!(take(&places, Some("2001:db8::ffff:2")).is_none());
        assert!(take(&places, Some("2001:db8:0:1::1")).is_some());
        let local: Vec<_> = (0..4).map(|_| take(&places, None)).collect();
        assert!(local.iter().all(Option::is_some));
    }
}
