//! Serving what was compiled: at once where only policies differ, else once the log's writer has brought it up to date.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::super::entity_log::Adopted;
use super::Loader;
use super::background::discard;
use crate::engine::problem::{Place, Problem, Report};
use crate::engine::world::World;

/// How long the writer has to itself: a sync usually takes no longer.
const SHORT: Duration = Duration::from_millis(50);

/// Why a world that compiled is not served.
#[derive(Debug)]
pub(super) enum NotServed {
    /// So much was written meanwhile that it has to be compiled again.
    Outdated,
    /// What was written meanwhile does not fit it.
    Refused(Report),
}

impl Loader {
    /// Serves a world that was compiled over everything written up to `base`.
    ///
    /// # Errors
    /// [`NotServed`]; what was served still is.
    pub(super) fn serve(&mut self, world: World, base: u64) -> Result<(), NotServed> {
        if self.serve_generation(&world) {
            discard(world);
            return Ok(());
        }
        if self.adopting {
            // One waits already, which may be of other files: after that.
            return Err(NotServed::Outdated);
        }
        let answer = self.log.adopt(world, base);
        self.adopting = true;
        let mut wait = SHORT;
        let adopted = loop {
            match answer.recv_timeout(wait) {
                Err(RecvTimeoutError::Timeout) => wait = self.mind_what_denies(),
                outcome => break outcome,
            }
        };
        self.adopting = false;
        match adopted {
            Ok(Adopted::Published(before)) => {
                self.retired.add(before);
                Ok(())
            }
            Ok(Adopted::Outdated) => Err(NotServed::Outdated),
            Ok(Adopted::Refused(refusal)) => {
                let message = format!("what was written at run time meanwhile does not fit: {refusal}");
                Err(NotServed::Refused(told(message)))
            }
            Err(_) => Err(NotServed::Refused(told("the entity log has ended".to_owned()))),
        }
    }

    /// Serves another generation over the entities that are served, if it was compiled for the same files and schema. Waits
    /// for no disk: so emergency forbids do not either.
    fn serve_generation(&mut self, world: &World) -> bool {
        let mut fits = false;
        let before = self.store.update_if(|current| {
            let (compiled, served) = (&world.generation.catalog, &current.generation.catalog);
            fits = Arc::ptr_eq(compiled, served) && world.files == current.files;
            fits.then(|| current.with_generation(Arc::clone(&world.generation)))
        });
        if let Some(before) = before {
            self.retired.add(before);
        }
        fits
    }
}

fn told(message: String) -> Report {
    Report { problems: vec![Problem::error(&Place::new("entity log", ""), message)] }
}
