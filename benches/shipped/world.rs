//! What benchmarks of single decisions ask: the shipped world, at one instant.

use std::path::PathBuf;
use std::sync::LazyLock;

use mandate::engine::authorize::Now;
use mandate::engine::compile::{Options, compile};
use mandate::engine::world::World;
use mandate::store::directory::{self, Folders};

/// The shipped policies, schemas and entities.
pub(crate) static WORLD: LazyLock<World> = LazyLock::new(|| {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folders = Folders {
        policies: root.join("policies"),
        schemas: root.join("schemas"),
        entities: root.join("entities"),
    };
    compile(&directory::read(&folders).unwrap(), &Options::default()).unwrap().world
});

/// 2026-11-22T10:00:00Z
pub(crate) const NOW: Now = Now(1_795_341_600_000);
