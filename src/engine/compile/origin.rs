//! Where a policy stands, and what is said of it there.

use crate::engine::cedar::walk::{Heading, WrittenAnnotation};
use crate::engine::guard::MAX_POLICY_DEPTH;
use crate::engine::problem::{Place, Problem, Report};
use crate::engine::terms::Terms;

/// Where a policy stands.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) place: Place,
    pub(super) offset: usize,
}

impl Origin {
    /// An error that points at the line the policy begins on.
    pub(super) fn error(&self, message: String) -> Problem {
        Problem::error(&self.place, message).at(self.line_span(), None)
    }

    /// Refuses a condition that is too deep. False if the policy must not go further.
    pub(super) fn check_depth(&self, depth: usize, report: &mut Report) -> bool {
        if depth <= MAX_POLICY_DEPTH {
            return true;
        }
        let message =
            format!("the condition is {depth} expressions deep; at most {MAX_POLICY_DEPTH} are accepted");
        report.push(self.error(message).help("split the policy, or test membership of a set"));
        false
    }

    /// Refuses annotations that do not say what they should: ignoring one would weaken the policy (C15).
    pub(super) fn check_annotations(&self, heading: &Heading, report: &mut Report) {
        let Heading { effect, annotations } = heading;
        for WrittenAnnotation { name, text, offset } in annotations {
            let at = Self { place: self.place.clone(), offset: self.offset + offset };
            if let Err(error) = Terms::of(*effect, [(name.as_str(), text.as_str())]) {
                report.push(at.error(error.to_string()).help(error.help()));
            }
        }
    }

    pub(super) fn locate(&self) -> String {
        self.place.locate(self.offset)
    }

    /// The line a policy begins on, to point at.
    pub(super) fn line_span(&self) -> std::ops::Range<usize> {
        let rest = self.place.text().get(self.offset..).unwrap_or_default();
        let length = rest.find('\n').unwrap_or(rest.len());
        self.offset..self.offset + length
    }
}
