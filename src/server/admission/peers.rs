//! How many requests of each peer wait, whatever connections they came over.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::listening::network;

/// So few requests of a peer that wait are no flood.
pub(super) const FEW_OF_A_PEER: usize = 32;

/// One peer: what its connections share.
#[derive(Debug, Default)]
pub(super) struct Peer {
    waiting: Arc<AtomicUsize>,
}

impl Peer {
    /// Counts one that arrives, and says whether few others wait.
    pub(super) fn arrives(&self) -> bool {
        self.waiting.fetch_add(1, Relaxed) < FEW_OF_A_PEER
    }

    /// One that waited has its turn.
    pub(super) fn has_its_turn(&self) {
        self.waiting.fetch_sub(1, Relaxed);
    }
}

/// Peers that have connections. Looked at once for each connection, not for each request.
#[derive(Debug, Default)]
pub(super) struct Peers {
    known: Mutex<HashMap<Option<IpAddr>, Weak<AtomicUsize>>>,
}

impl Peers {
    /// The peer that a connection came from; those without an address, which came over Unix sockets, are one.
    pub(super) fn of(&self, origin: Option<IpAddr>) -> Peer {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let address = origin.map(network);
        if let Some(waiting) = known.get(&address).and_then(Weak::upgrade) {
            return Peer { waiting };
        }
        // Each time there are twice as many, those that have gone are forgotten.
        if known.len().is_power_of_two() {
            known.retain(|_, peer| peer.strong_count() > 0);
        }
        let peer = Peer::default();
        known.insert(address, Arc::downgrade(&peer.waiting));
        peer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_of_a_peer_share_its_count_and_peers_that_left_are_forgotten() {
        let peers = Peers::default();
        let address = |last: u8| Some(IpAddr::from([192, 0, 2, last]));
        let (one, same, other) = (peers.of(address(1)), peers.of(address(1)), peers.of(address(2)));
        assert!((0..FEW_OF_A_PEER).all(|_| one.arrives()));
        assert!(!same.arrives() && other.arrives());
        one.has_its_turn();
        one.has_its_turn();
        assert!(same.arrives() && !one.arrives());
        for last in 3..=250 {
            drop(peers.of(address(last)));
        }
        assert!(peers.known.lock().unwrap().len() < 10, "{:?}", peers.known);
        assert!(!peers.of(address(1)).arrives(), "those that stay are known");
    }
}
