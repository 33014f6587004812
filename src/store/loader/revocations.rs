//! Putting revocations in force: at once, whatever becomes of the other files.

use std::time::Duration;

use super::Loader;
use super::status::texts;

impl Loader {
    /// Looks at the file of revocations, and serves the same world with what it revokes. Says when to look again, if
    /// before the next poll.
    pub(super) fn take_revocations(&mut self) -> Option<Duration> {
        let before = texts(self.revocations.problems().iter());
        let look = self.revocations.follow(self.config.settle);
        if look.changed {
            let world = self.store.current().world.with_revocations(self.revocations.current());
            self.retired.add(self.store.publish(world));
            self.stale_status = true;
            let count = self.revocations.current().len();
            tracing::warn!(delegations.count = count, "delegations are revoked");
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
                delegations.count = self.revocations.current().len(),
                "revocations: not everything in the file is in force"
            );
        }
    }

    /// Writes what must hold after a restart and the disk does not have yet: emergency forbids, revocations, and which
    /// delegations were served. What cannot be written is tried again later.
    pub(super) fn save_standing(&mut self) {
        self.save_emergency();
        let revocations = self.revocations.save().err();
        let grants = self.grants.save().err();
        let told = |what: &str, error: std::io::Error| format!("{what} are not saved: {error}");
        let revocations = revocations.map(|error| told("the revocations in force", error));
        let grants = grants.map(|error| told("the delegations that were served", error));
        for (error, known) in [(&revocations, &self.errors.revocations), (&grants, &self.errors.grants)] {
            if let Some(text) = error.as_ref().filter(|_| error != known) {
                tracing::error!(error = %text, "a restart may miss them");
            }
            self.stale_status |= error != known;
        }
        (self.errors.revocations, self.errors.grants) = (revocations, grants);
    }
}
