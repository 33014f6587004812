//! Putting emergency forbids in force with whatever is served.

use std::time::Duration;

use super::fit::{Fitted, fit};
use super::load::names;
use super::status::{Outcome, texts};
use super::{Loader, Set};

impl Loader {
    /// Looks at the emergency folder, and puts in force what it asks for. A set that was rejected may fit now; if it does
    /// not, what is served gets the changed forbids all the same. Says when to look again, if before the next poll.
    pub(super) fn take_emergency(&mut self) -> Option<Duration> {
        let (changed, wait) = self.follow_emergency();
        if changed || self.unapplied {
            let retry = self.rejected && self.pin.is_none();
            // If that takes long, they are put in force meanwhile.
            self.unapplied = true;
            if !(retry && self.retry_rejected() == Outcome::Published) {
                self.join_served();
            }
            self.log_emergency();
        }
        wait
    }

    /// Looks at the emergency folder. Whether it asks for something else than before, and when to look again.
    pub(super) fn follow_emergency(&mut self) -> (bool, Option<Duration>) {
        let before = texts(self.emergency.problems());
        let step = self.emergency.follow(self.config.settle);
        let said_otherwise = texts(self.emergency.problems()) != before;
        self.stale_status |= step.changed || said_otherwise;
        if said_otherwise && !step.changed {
            self.log_emergency();
        }
        (step.changed, step.wait)
    }

    /// Loads the files once more that were rejected, if they are still exactly those. Files that changed since may be
    /// half-written: they wait until it is their turn.
    fn retry_rejected(&mut self) -> Outcome {
        let reading = self.read();
        let unchanged = reading.fingerprint.is_some() && reading.fingerprint.as_ref() == self.files.last();
        if unchanged && reading.digest == self.seen { self.take(reading) } else { Outcome::Unchanged }
    }

    /// Compiles what is served once more, with the emergency forbids that the folder asks for.
    pub(super) fn join_served(&mut self) {
        if self.emergency.wanted() == self.emergency.in_force() {
            self.unapplied = false;
            return self.emergency.refuse(Vec::new());
        }
        let base = self.store_beside();
        let fitted = fit(&mut self.served.sources, &mut self.compiler, &self.emergency.forbids());
        self.unapplied = fitted.is_err();
        match fitted {
            Ok(fitted) if fitted.in_force == *self.emergency.in_force() => {
                self.emergency.refuse(fitted.refused);
            }
            Ok(fitted) => self.publish_served(Fitted { base, ..fitted }),
            Err(report) => {
                // What is served was compiled with what is in force: it is the system that fails, and may recover.
                self.served.sources.emergency = self.emergency.in_force().values().cloned().collect();
                self.emergency.refuse(report.errors().cloned().collect());
            }
        }
    }

    fn publish_served(&mut self, fitted: Fitted) {
        let in_force = self.emergency.in_force().values().cloned().collect();
        let set = Set { sources: self.served.sources.clone(), digest: self.served.digest.clone() };
        if let Err(error) = self.publish(set, fitted, self.source) {
            // Another set is on its way, or was: they are put in force with what is served then.
            tracing::warn!(?error, "emergency forbids wait for a set that is being published");
            self.served.sources.emergency = in_force;
            self.unapplied = true;
        }
    }

    pub(super) fn log_emergency(&self) {
        let problems = texts(self.emergency.problems());
        if !problems.is_empty() {
            tracing::error!(
                problems.text = %problems.join("\n"),
                files.in_force = %names(self.emergency.in_force()).join(" "),
                "emergency forbids: not everything in the folder is in force"
            );
        }
    }
}
