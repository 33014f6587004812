//! Stored delegations by what they say: one that was stored is never changed, and its id never given to another (D3).

use cedar_policy::EntityUid;

use super::cedar::canonical;
use super::digest;
use super::world::World;

/// Every delegation a world stores, with a digest of all that it says.
pub fn digests(world: &World) -> impl Iterator<Item = (&EntityUid, String)> {
    let type_name = world.generation.catalog.delegation_type();
    let stored = world.entities.iter().filter(move |(uid, _)| Some(uid.type_name()) == type_name);
    stored.map(|(uid, grant)| (uid, digest::of_bytes(&canonical::bytes_of(grant.members()))))
}
