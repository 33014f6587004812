//! From files to a published world, or to a rejection that everybody sees.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::directory::{Fingerprint, Reading};
use super::super::emergency::Files;
use super::super::pin::Verdict;
use super::adopt::NotServed;
use super::background::discard;
use super::fit::Fitted;
use super::listener::LoadWhat;
use super::status::{
    EmergencyStatus, KeptSet, LastLoad, LoaderStatus, Outcome, Pinned, RevocationStatus, Source, texts,
};
use super::{Loader, Set};
use crate::engine::compile::{EMERGENCY, Provenance, Sources};
use crate::engine::problem::{Place, Problem, Report};
use crate::engine::progress::Progress;

/// How often a set is compiled again because of what was written meanwhile.
const ATTEMPTS: usize = 3;
/// Files that change for so long whenever they are read are told of as a set that is rejected.
pub(super) const MOVING: Duration = Duration::from_secs(10);

impl Loader {
    /// Loads files that changed and have settled.
    pub(super) fn take_changed_files(&mut self, seen: &Fingerprint) {
        let reading = self.read();
        if reading.fingerprint.as_ref().is_some_and(|read| read != seen) || self.is_moving_for_now() {
            // They changed again, and have yet to settle.
            return;
        }
        if reading.digest == self.seen && reading.fingerprint.is_some() {
            // Touched, not changed; or read once more to be sure.
            return self.files.handled(reading.fingerprint);
        }
        self.take(reading);
    }

    /// Whether the files changed while they were read, which is an update under way rather than a set that is wrong, until it has been
    /// so for long.
    fn is_moving_for_now(&self) -> bool {
        self.moving_since.is_some_and(|since| since.elapsed() < MOVING)
    }

    /// Loads files that a manifest or an atomic swap vouches for, if it does. Otherwise an update is under way, which
    /// may take as long as it likes to settle.
    pub(super) fn take_vouched_files(&mut self) {
        let reading = self.read();
        let handled = self.files.last();
        let vouched = reading.fingerprint.as_ref().is_some_and(|seen| seen.is_vouched(handled));
        if !vouched || reading.report.rejects() {
            return;
        }
        if reading.digest == self.seen {
            return self.files.handled(reading.fingerprint);
        }
        self.take(reading);
    }

    /// Loads the files as they are, whether or not they were rejected before.
    pub(super) fn take_files_now(&mut self) -> Outcome {
        let reading = self.read();
        self.take(reading)
    }

    pub(super) fn take(&mut self, reading: Reading) -> Outcome {
        let digest = reading.digest.clone();
        let is_repeated = self.rejected && digest == self.seen && reading.fingerprint.is_none();
        let verdict = self.pin.as_ref().map(|pin| pin.judge(&reading, &digest));
        self.seen.clone_from(&digest);
        self.files.handled(reading.fingerprint);
        if is_repeated {
            // Files that never stand still are told of once.
            return Outcome::Rejected;
        }
        self.stale_status = true;
        if let Some(verdict) = verdict
            && let Some(outcome) = self.hold(verdict)
        {
            return outcome;
        }
        if reading.report.rejects() {
            return self.reject(&reading.report, &reading.sources.provenance);
        }
        if digest == self.served.digest {
            self.source = Source::Files;
            self.rejected = false;
            return self.note(Outcome::Unchanged, &Report::default());
        }
        self.load(reading.sources, &digest)
    }

    /// Compiles a set, and serves it. If too much is written meanwhile to bring it up to date, it is compiled again.
    fn load(&mut self, sources: Sources, digest: &str) -> Outcome {
        let begun = Instant::now();
        let mut sources = sources;
        let provenance = sources.provenance.clone();
        for _ in 0..ATTEMPTS {
            let (set, fitted) = self.fit(sources);
            let fitted = match fitted {
                Ok(fitted) => fitted,
                Err(report) => return self.reject(&report, &provenance),
            };
            log_load(&self.config.progress, begun);
            let warnings = fitted.loaded.warnings.clone();
            sources = set.clone();
            match self.publish(Set { sources: set, digest: digest.to_owned() }, fitted, Source::Files) {
                Ok(()) => {
                    self.rejected = false;
                    let outcome = self.note(Outcome::Published, &warnings);
                    self.refresh_status();
                    return outcome;
                }
                Err(NotServed::Refused(report)) => return self.reject(&report, &provenance),
                Err(NotServed::Outdated) => {}
            }
        }
        let message =
            format!("too much was written while it was compiled, {ATTEMPTS} times: it is tried again");
        let report = Report { problems: vec![Problem::error(&Place::new("entity log", ""), message)] };
        // The next look finds the files changed.
        self.seen.clear();
        self.files.handled(None);
        self.reject(&report, &provenance)
    }

    /// Holds to the rollback, or ends it: then the files load.
    fn hold(&mut self, verdict: Verdict) -> Option<Outcome> {
        match verdict {
            Verdict::Unclear(report) => return Some(self.reject(&report, &Provenance::default())),
            Verdict::Adopted(pin) => self.set_pin(Some(pin)),
            Verdict::Same => {}
            Verdict::Changed => {
                tracing::info!("the files are another set: the rollback ends");
                self.set_pin(None);
                self.source = Source::LastKnownGood;
                return None;
            }
        }
        self.rejected = false;
        Some(self.note(Outcome::Unchanged, &Report::default()))
    }

    fn note(&mut self, outcome: Outcome, report: &Report) -> Outcome {
        self.last_load = LastLoad::now(outcome, report);
        // What was told while the load was under way is old.
        self.stale_status = true;
        outcome
    }

    fn reject(&mut self, report: &Report, provenance: &Provenance) -> Outcome {
        self.rejected = true;
        self.reloads.rejected += 1;
        let outcome = self.note(Outcome::Rejected, report);
        tracing::error!(
            generation.served = %self.store.current().world.generation.hash,
            problems.count = report.errors().count(),
            problems.text = %self.last_load.problems.join("\n"),
            "the files are rejected: what was served before is served on"
        );
        self.tell_of(LoadWhat::Rejected, provenance);
        outcome
    }

    /// Serves a set that compiled.
    ///
    /// # Errors
    /// [`NotServed`]; nothing has changed.
    pub(super) fn publish(&mut self, set: Set, fitted: Fitted, source: Source) -> Result<(), NotServed> {
        let Fitted { loaded, in_force, refused, new_grants, base } = fitted;
        let asked = self.emergency.forbids();
        self.serve(loaded.world, base)?;
        self.log.keep(new_grants, Vec::new());
        discard(std::mem::replace(&mut self.served, set));
        // Forbids that came while it waited for the log are put in force with it next.
        self.unapplied = self.emergency.forbids() != asked;
        self.source = source;
        self.emergency.accept(in_force, refused);
        self.reloads.published += 1;
        self.unkept = true;
        self.stale_status = true;
        let published = self.store.current();
        tracing::info!(
            generation.hash = %published.world.generation.hash,
            revision.sequence = published.sequence,
            policies.count = published.world.generation.policies.len(),
            entities.count = published.world.entities.len(),
            warnings.text = %texts(loaded.warnings.warnings()).join("\n"),
            source = ?source,
            "published"
        );
        self.tell(if source == Source::Rollback { LoadWhat::RolledBack } else { LoadWhat::Published });
        // Writing it to disk takes longer than anybody who is answered from it should have to wait for the status.
        self.refresh_status();
        Ok(())
    }

    /// Writes the emergency forbids in force, if the disk has others. What cannot be written is tried again later.
    pub(super) fn save_emergency(&mut self) {
        let saved = self.emergency.save().map_err(|error| error.to_string());
        self.note_emergency_error(saved.err());
    }

    /// Writes the set that is served, if the disk does not have it yet. What cannot be written is tried again later.
    pub(super) fn keep(&mut self) {
        if !self.unkept {
            return;
        }
        self.kept_at = Some(Instant::now());
        // What is published meanwhile is not kept by this.
        self.unkept = false;
        let published = self.store.current();
        let (hash, at) = (Arc::clone(&published.world.generation.hash), published.at);
        let (history, sources) = (self.history.clone(), self.served.sources.clone());
        let pinned = self.pin.as_ref().map_or_else(String::new, |pin| pin.set.clone());
        let protected = [self.served.digest.clone(), pinned];
        drop(published);
        let (history, kept) = self.meanwhile(move || {
            let mut history = history.clone();
            let kept = history.keep(&sources, &hash, at, &protected.each_ref().map(String::as_str));
            (history, kept)
        });
        self.history = history;
        self.unkept |= kept.is_err();
        self.note_history_error(kept.err().map(|error| error.to_string()));
        self.stale_status = true;
    }

    fn note_history_error(&mut self, error: Option<String>) {
        let error = error.map(|error| format!("the served set is not kept: {error}"));
        if let Some(text) = error.as_ref().filter(|_| self.errors.history != error) {
            tracing::warn!(error = %text, "a restart with broken files will not find it");
        }
        self.errors.history = error;
    }

    fn note_emergency_error(&mut self, error: Option<String>) {
        let error = error.map(|error| format!("the emergency forbids in force are not saved: {error}"));
        if let Some(text) = error.as_ref().filter(|_| self.errors.emergency != error) {
            tracing::error!(error = %text, "a restart without their folder will miss them");
        }
        self.stale_status |= self.errors.emergency != error;
        self.errors.emergency = error;
    }

    /// Tells what has changed.
    pub(super) fn refresh_status(&mut self) {
        if self.stale_status {
            self.stale_status = false;
            self.status.store(Arc::new(self.describe()));
        }
    }

    /// What could not be written, if anything could not.
    pub(super) fn keep_error(&self) -> Option<String> {
        let log = self.log.status();
        let log = log.error.as_ref().map(|error| {
            let unkept = log.unkept;
            format!("the entity log is not written ({unkept} revocations or delegations in force are not saved): {error}")
        });
        let errors: Vec<_> = self.errors.text().into_iter().chain(log).collect();
        (!errors.is_empty()).then(|| errors.join("; "))
    }

    fn describe(&self) -> LoaderStatus {
        let published = self.store.current();
        let policies = &published.world.generation.policies;
        let kept = self.history.entries().iter().map(|kept| KeptSet {
            set: kept.digest.clone(),
            generations: kept.generations.clone(),
            at: kept.at,
            files: kept.files,
        });
        LoaderStatus {
            source: self.source,
            generation: published.world.generation.hash.to_string(),
            revision: published.revision.to_string(),
            sequence: published.sequence,
            published_at: published.at,
            pinned: self
                .pin
                .as_ref()
                .map(|pin| Pinned { generation: pin.generation.clone(), since: pin.since.clone() }),
            kept: kept.collect(),
            last_load: self.last_load.clone(),
            emergency: EmergencyStatus {
                files: names(self.emergency.in_force()),
                // They come last.
                policies: policies.iter().rev().take_while(|policy| policy.id.starts_with(EMERGENCY)).count(),
                problems: texts(self.emergency.problems()),
            },
            revocations: RevocationStatus {
                count: published.world.revocations.len(),
                problems: texts(self.revocations.problems().iter()),
            },
            reloads: self.reloads,
            keep_error: self.keep_error(),
            serving_stale: self.rejected || self.source != Source::Files,
        }
    }
}

impl super::WriteErrors {
    pub(super) fn text(&self) -> Option<String> {
        let Self { history, emergency, pin, damaged } = self;
        let all = [emergency, pin, history, damaged];
        let errors: Vec<_> = all.into_iter().flatten().cloned().collect();
        (!errors.is_empty()).then(|| errors.join("; "))
    }
}

/// Says how fast a load was. Entities that were taken over from the load before are not counted.
pub(super) fn log_load(progress: &Progress, begun: Instant) {
    let elapsed = begun.elapsed();
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let entities = progress.entities();
    tracing::info!(
        elapsed_ms = milliseconds,
        entities.read = entities,
        entities.per_second = entities.saturating_mul(1_000) / milliseconds.max(1),
        "loaded"
    );
}

pub(super) fn names(files: &Files) -> Vec<String> {
    files.keys().cloned().collect()
}
