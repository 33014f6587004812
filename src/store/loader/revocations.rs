//! Putting revocations in force: at once, whatever becomes of the other files and of the disk.

use std::time::Duration;

use cedar_policy::EntityUid;

use super::Loader;
use super::status::texts;
use crate::engine::world::World;

impl Loader {
    /// Looks at the file of revocations, serves the same world with what it revokes, and has that written down for good.
    /// Says when to look again, if before the next poll.
    pub(super) fn take_revocations(&mut self) -> Option<Duration> {
        let before = texts(self.revocations.problems().iter());
        let look = self.revocations.follow(self.config.settle);
        if !look.revoked.is_empty() {
            self.retired.add(self.store.update(|world| revoking(world, &look.revoked)));
            self.stale_status = true;
            tracing::warn!(delegations.count = look.revoked.len(), "delegations are revoked");
            self.log.keep(Vec::new(), look.revoked);
        }
        let problems = texts(self.revocations.problems().iter());
        if problems != before {
            self.stale_status = true;
            self.log_revocations();
        }
        look.wait
    }

    pub(super) fn log_revocations(&self) {
        let problems = texts(self.revocations.problems().iter());
        if !problems.is_empty() {
            tracing::error!(
                problems.text = %problems.join("\n"),
                delegations.count = self.store.current().world.revocations.len(),
                "revocations: not everything in the file is in force"
            );
        }
    }
}

/// The same world, in which these are revoked as well.
pub(super) fn revoking(world: &World, grants: &[EntityUid]) -> World {
    let mut revocations = world.revocations.clone();
    grants.iter().for_each(|grant| revocations.revoke(grant.clone()));
    world.with_revocations(revocations)
}
