//! Commands: reload, roll back, release.

use std::time::SystemTime;

use super::super::directory::Reading;
use super::super::history::{Kept, NotFound};
use super::super::pin::Pin;
use super::adopt::NotServed;
use super::command::{Command, CommandError, Served};
use super::fit::Fitted;
use super::status::{LastLoad, Outcome, Source, rfc3339_text, texts};
use super::{Loader, Set};
use crate::engine::compile::Sources;
use crate::engine::problem::Report;

impl Loader {
    pub(super) fn obey(&mut self, command: Command) -> Result<Served, CommandError> {
        let outcome = match command {
            Command::Reload => Ok(self.reload()),
            Command::Rollback { generation } => self.roll_back(&generation),
            Command::Release => self.release(),
            #[cfg(test)]
            Command::Panic => panic!("told to"),
            #[cfg(test)]
            Command::Hang(millis) => {
                std::thread::sleep(std::time::Duration::from_millis(millis));
                Ok(Outcome::Unchanged)
            }
        };
        self.stale_status = true;
        self.refresh_status();
        outcome.map(|outcome| self.answer(outcome))
    }

    /// Loads everything as it is now. Files may need the forbids that came with them; forbids do not need the files.
    fn reload(&mut self) -> Outcome {
        self.take_revocations();
        let (changed, _wait) = self.follow_emergency();
        self.unapplied |= changed;
        let outcome = self.take_files_now();
        if outcome != Outcome::Published {
            self.join_served();
        }
        self.log_emergency();
        outcome
    }

    fn answer(&self, outcome: Outcome) -> Served {
        let published = self.store.current();
        let mut problems =
            if outcome == Outcome::Rejected { self.last_load.problems.clone() } else { Vec::new() };
        problems.extend(texts(self.revocations.problems().iter()));
        problems.extend(texts(self.emergency.problems()));
        problems.extend(self.keep_error());
        Served {
            generation: published.world.generation.hash.to_string(),
            revision: published.revision.to_string(),
            source: self.source,
            outcome,
            problems,
        }
    }

    fn roll_back(&mut self, generation: &str) -> Result<Outcome, CommandError> {
        // What is served must be among what can be named.
        self.keep();
        let kept = self.find(generation)?;
        let (history, digest) = (self.history.clone(), kept.digest.clone());
        let sources = self.meanwhile(move || history.load(&digest));
        let sources = sources.map_err(|error| CommandError::Damaged(error.to_string()))?;
        if !self.config.signers.accepts(&sources.provenance.signer) {
            return Err(CommandError::Unsigned);
        }
        let (sources, fitted, reading) = self.fit_and_read(&sources)?;
        let files = reading.digest.clone();
        let outcome = if kept.digest == self.served.digest && fitted.in_force == *self.emergency.in_force() {
            Outcome::Unchanged
        } else {
            let set = Set { sources, digest: kept.digest.clone() };
            self.publish(set, fitted, Source::Rollback).map_err(|error| match error {
                NotServed::Outdated => CommandError::Busy,
                NotServed::Refused(report) => CommandError::Rejected(texts(report.errors())),
            })?;
            Outcome::Published
        };
        self.source = Source::Rollback;
        // Files that are no set are told of when they are looked at next.
        self.seen = if reading.is_set() { files.clone() } else { String::new() };
        let generation = self.store.current().world.generation.hash.to_string();
        tracing::warn!(generation.hash = %generation, "rolled back: the files as they are no longer load");
        let since = rfc3339_text(SystemTime::now());
        let pin = Pin { set: kept.digest, generation, files: None, entities: false, since };
        self.set_pin(Some(pin.against(&reading, &files)));
        self.rejected = false;
        self.last_load = LastLoad::now(outcome, &Report::default());
        self.files.handled(reading.fingerprint.filter(|_| !reading.report.rejects()));
        self.keep();
        Ok(outcome)
    }

    /// Compiles a kept set, and then reads the files: emergency forbids may come in between as well.
    fn fit_and_read(&mut self, kept: &Sources) -> Result<(Sources, Fitted, Reading), CommandError> {
        loop {
            let (sources, fitted) = self.fit(kept.clone());
            let fitted = fitted.map_err(|report| CommandError::Rejected(texts(report.errors())))?;
            let forbids = self.emergency.forbids();
            let reading = self.read();
            if self.emergency.forbids() == forbids {
                return Ok((sources, fitted, reading));
            }
        }
    }

    fn find(&self, generation: &str) -> Result<Kept, CommandError> {
        let named = || generation.to_owned();
        self.history.find(generation).cloned().map_err(|error| match error {
            NotFound::Malformed => CommandError::Malformed(named()),
            NotFound::Unknown => CommandError::Unknown(named()),
            NotFound::Ambiguous => CommandError::Ambiguous(named()),
        })
    }

    fn release(&mut self) -> Result<Outcome, CommandError> {
        if self.pin.is_none() {
            return Err(CommandError::NotPinned);
        }
        tracing::info!("the rollback is released");
        self.set_pin(None);
        self.source = Source::LastKnownGood;
        Ok(self.take_files_now())
    }

    /// Sets or takes away the pin, here and on disk.
    pub(super) fn set_pin(&mut self, pin: Option<Pin>) {
        let written = self.pin_file.set(pin.as_ref());
        self.errors.pin = written.err().map(|error| format!("the rollback is not noted on disk: {error}"));
        if let Some(error) = &self.errors.pin {
            tracing::error!(%error, "a restart may serve another set");
        }
        self.pin = pin;
        self.stale_status = true;
    }
}
