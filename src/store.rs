//! Where worlds come from, and the one that is served.

pub mod directory;

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;

use crate::engine::world::World;

/// Holds the world that requests see. Publishing replaces it whole; a request loads it once.
#[derive(Debug)]
pub struct Store {
    current: ArcSwap<Published>,
}

/// A world and when it was published.
#[derive(Debug)]
pub struct Published {
    /// The world.
    pub world: World,
    /// When it became the one that is served.
    pub at: SystemTime,
}

impl Store {
    /// A store that serves `world`.
    pub fn new(world: World) -> Self {
        Self { current: ArcSwap::from_pointee(Published { world, at: SystemTime::now() }) }
    }

    /// The world that is served now.
    pub fn current(&self) -> Arc<Published> {
        self.current.load_full()
    }

    /// Replaces the world. Requests that loaded the one before finish in it.
    pub fn publish(&self, world: World) {
        self.current.store(Arc::new(Published { world, at: SystemTime::now() }));
    }
}
