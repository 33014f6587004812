//! Minding emergency forbids and revocations while long work is under way: they wait for none of it.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::directory::Reading;
use super::background::{Background, Look, discard};
use super::fit::{Fitted, fit_known};
use super::{Loader, MIN_POLL};
use crate::engine::compile::{Beside, Sources};
use crate::engine::problem::Report;

/// Work that takes no longer than this has the loader to itself: forbids that came with a set are usually put in force
/// together with it.
const SHORT: Duration = Duration::from_millis(50);

impl Loader {
    /// What `work` comes to, which is done on a thread that gives way to others, and may be done twice at once. Emergency
    /// forbids are put in force meanwhile, with what is served; everything else waits.
    pub(super) fn meanwhile<T: Send + 'static>(&mut self, work: impl Fn() -> T + Send + Sync + 'static) -> T {
        let work: Arc<dyn Fn() -> T + Send + Sync> = Arc::new(work);
        let begun = (!self.inbox.is_stopping()).then(|| Background::begin(self.inbox.waker(), &work));
        // At the end nobody else works, and without a thread nobody else can.
        let Some(Ok(mut under_way)) = begun else { return work() };
        drop(work);
        let begun = Instant::now();
        loop {
            under_way = match under_way.look() {
                Look::Done(done) => return done,
                Look::Panicked(panic) => resume_unwind(panic),
                Look::UnderWay(under_way) => under_way,
            };
            let wait = match SHORT.checked_sub(begun.elapsed()) {
                Some(rest) => rest,
                None => self.mind_what_denies(),
            };
            self.inbox.pause(wait);
        }
    }

    /// Looks at revocations and at the emergency folder, puts in force with what is served what they ask for, and says when
    /// to look again.
    pub(super) fn mind_what_denies(&mut self) -> Duration {
        let revocations_wait = self.take_revocations();
        let (changed, wait) = self.follow_emergency();
        if changed || self.unapplied {
            self.join_served();
            self.log_emergency();
        }
        self.refresh_status();
        self.save_emergency();
        wait.into_iter().chain(revocations_wait).fold(self.config.poll, Duration::min).max(MIN_POLL)
    }

    /// Reads the files, except those that look as they did.
    pub(super) fn read(&mut self) -> Reading {
        let (folders, known) = (self.config.folders.clone(), Arc::clone(&self.remembered));
        let reading = self.meanwhile(move || Reading::after(&folders, &known));
        self.remembered = Arc::clone(&reading.remembered);
        self.moving_since = reading.is_moving.then(|| self.moving_since.unwrap_or_else(Instant::now));
        reading.signed(&self.config.signers)
    }

    /// Compiles a set with the emergency forbids that their folder asks for by the time it is done.
    pub(super) fn fit(&mut self, sources: Sources) -> (Sources, Result<Fitted, Report>) {
        loop {
            let forbids = self.emergency.forbids();
            let base = self.store_beside();
            let (set, compiler, asked) = (sources.clone(), self.compiler.clone(), forbids.clone());
            let grants = self.log.grants();
            let (set, compiler, fitted) = self.meanwhile(move || {
                let (mut set, mut compiler) = (set.clone(), compiler.clone());
                let fitted = fit_known(&mut set, &mut compiler, &asked, &grants);
                (set, compiler, fitted)
            });
            discard(std::mem::replace(&mut self.compiler, compiler));
            if self.emergency.forbids() == forbids {
                return (set, fitted.map(|fitted| Fitted { base, ..fitted }));
            }
            // They came meanwhile, and are in force with what is served. What is compiled by now is not compiled again.
            discard(fitted);
        }
    }

    /// Compiles, from now on, beside what is stored now. Says which sequence that is of.
    pub(super) fn store_beside(&mut self) -> u64 {
        let current = self.store.current();
        self.compiler.store_beside(Beside::of(&current.world));
        current.sequence
    }
}
