//! What lines say of decisions that are given again and again: written once, and then copied.
//!
//! A remembered decision belongs to one question in one world, so whoever gets it asked the same: parties, facts and
//! outcome are the same bytes. Half of what a line costs is in them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::decision::Decision;

/// Most bytes that are kept for copying.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Texts of remembered decisions of one world.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The world, by its revision.
    revision: Option<Arc<str>>,
    /// By where the decision lives, which holds as long as it does: so it is held on to.
    texts: HashMap<usize, (Arc<Decision>, Box<[u8]>)>,
    bytes: usize,
}

impl Told {
    /// What was said of this decision before.
    pub(super) fn of(&mut self, revision: &Arc<str>, decision: &Arc<Decision>) -> Option<&[u8]> {
        if !self.revision.as_ref().is_some_and(|known| Arc::ptr_eq(known, revision)) {
            // Nobody gets decisions of the world before any more, and what they hold should not outlive it.
            self.forget();
            self.revision = Some(Arc::clone(revision));
        }
        self.texts.get(&address(decision)).map(|(_, text)| &**text)
    }

    /// Keeps what was said of a decision, which [`Self::of`] was asked for just before.
    pub(super) fn keep(&mut self, decision: &Arc<Decision>, text: &[u8]) {
        if self.bytes + text.len() > MAX_BYTES {
            self.forget();
        }
        self.bytes += text.len();
        self.texts.insert(address(decision), (Arc::clone(decision), Box::from(text)));
    }

    fn forget(&mut self) {
        self.texts.clear();
        self.bytes = 0;
    }
}

fn address(decision: &Arc<Decision>) -> usize {
    Arc::as_ptr(decision).addr()
}
