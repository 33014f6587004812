//! Answers as they came over HTTP, kept until the SDK hands over its reading of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::message::{Id, Message, Outcome};

/// Answers by the proxy's own ids, each of which is used once.
#[derive(Debug, Clone, Default)]
pub(super) struct Tap(Arc<Mutex<HashMap<Id, Outcome>>>);

/// Most answers that are kept: no more requests than that are under way.
const MAX_KEPT: usize = 1000;

impl Tap {
    /// Keeps a message if it is an answer.
    pub(super) fn see(&self, text: &[u8]) {
        let value = serde_json::from_slice::<Value>(text).ok();
        if let Some(Ok(Message::Response { id, outcome })) = value.map(Message::from_json) {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < MAX_KEPT {
                kept.insert(id, outcome);
            }
        }
    }

    /// The answer to a request, as it came.
    pub(super) fn take(&self, id: &Id) -> Option<Outcome> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }
}
