//! Following what is written.

use std::sync::{Arc, PoisonError};

use super::super::Published;
use super::super::revision::RevisionError;
use super::EntityLogHandle;
use super::facts::Batch;

/// What somebody who watches is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// One atomic batch.
    Batch(Arc<Batch>, Arc<Published>),
    /// Another generation is served.
    Generation(Arc<Published>),
    /// What changed is not known: everything is to be looked at anew.
    Reset(Arc<Published>),
}

/// A place in what is written.
#[derive(Debug)]
pub struct Watcher {
    log: EntityLogHandle,
    published: tokio::sync::watch::Receiver<()>,
    /// Everything up to here was told.
    told: u64,
    generation: Arc<str>,
}

impl Watcher {
    pub(super) fn new(log: &EntityLogHandle, from: &str) -> Result<Self, RevisionError> {
        let published = log.store.subscribe();
        let current = log.store.current();
        let (told, generation) = if from.is_empty() {
            (current.sequence, Arc::clone(&current.world.generation.hash))
        } else {
            let named = current.signer.check(from, current.sequence)?;
            let hash = &current.world.generation.hash;
            (named.sequence, if named.is_of(hash) { Arc::clone(hash) } else { Arc::from("") })
        };
        Ok(Self { log: log.clone(), published, told, generation })
    }

    /// What there is to tell now, in order; nothing if nothing is.
    pub fn ready(&mut self) -> Vec<Event> {
        let current = self.log.store.current();
        let mut events = Vec::new();
        if current.sequence > self.told {
            let history = self.log.shared.history.lock().unwrap_or_else(PoisonError::into_inner);
            let batches = history.between(self.told, current.sequence);
            drop(history);
            match batches {
                Some(batches) if batches.iter().all(|batch| !batch.files) => {
                    let batch = |batch| Event::Batch(batch, Arc::clone(&current));
                    events.extend(batches.into_iter().map(batch));
                }
                _ => events.push(Event::Reset(Arc::clone(&current))),
            }
            self.told = current.sequence;
        }
        if current.world.generation.hash != self.generation {
            self.generation = Arc::clone(&current.world.generation.hash);
            events.push(Event::Generation(current));
        }
        events
    }

    /// Waits until there may be more to tell; whether there can be any.
    pub async fn changed(&mut self) -> bool {
        self.published.changed().await.is_ok()
    }

    /// The revision of a batch, for whoever comes back.
    #[must_use]
    pub fn revision(&self, sequence: u64, published: &Published) -> String {
        published.signer.sign(&published.world.generation.hash, sequence)
    }
}
