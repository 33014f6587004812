//! How far a token came, for whoever inspects one. Nobody else keeps it.

use super::rejection::Check;

/// What was checked, if anybody wants to know.
#[derive(Debug, Default)]
pub struct Steps(Option<Vec<Step>>);

/// A check that a token passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The check.
    pub check: Check,
    /// What was found.
    pub found: String,
}

impl Steps {
    /// Steps that are kept.
    #[must_use]
    pub fn kept() -> Self {
        Self(Some(Vec::new()))
    }

    /// A check was passed.
    pub(super) fn passed(&mut self, check: Check, found: impl FnOnce() -> String) {
        if let Some(steps) = &mut self.0 {
            steps.push(Step { check, found: found() });
        }
    }

    /// What was kept.
    #[must_use]
    pub fn into_vec(self) -> Vec<Step> {
        self.0.unwrap_or_default()
    }
}
