//! Who asks: an enforcement point, or an agent that asks about itself.

use std::sync::Arc;

/// Whoever is on the other end of a connection or a call (C1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    name: Arc<str>,
}

impl Caller {
    /// A caller that has shown nothing: everybody, while callers are not authenticated (C2).
    #[must_use]
    pub fn anonymous(name: &str) -> Self {
        Self { name: Arc::from(name) }
    }

    /// What the decision log calls it.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }
}
