//! Where in a request a value stands.

use std::fmt;

use crate::engine::request::InvalidRequest;

/// A place: `context.session.calls`. It knows the one that it is within, and is written out only if something is wrong there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'p> {
    within: Option<&'p Place<'p>>,
    step: Step<'p>,
    depth: usize,
}

#[derive(Debug, Clone, Copy)]
enum Step<'p> {
    Member(&'p str),
    Element(usize),
}

impl<'p> Place<'p> {
    /// What a path begins with.
    pub(super) fn root(name: &'p str) -> Self {
        Self { within: None, step: Step::Member(name), depth: 0 }
    }

    /// A member of the record that stands here.
    pub(super) fn member<'m>(&'m self, name: &'m str) -> Place<'m> {
        self.step(Step::Member(name))
    }

    /// An element of the list that stands here.
    pub(super) fn element(&self, index: usize) -> Place<'_> {
        self.step(Step::Element(index))
    }

    /// How many places it is within.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    fn step<'m>(&'m self, step: Step<'m>) -> Place<'m> {
        Place { within: Some(self), step, depth: self.depth + 1 }
    }

    /// A refusal of what stands here.
    pub(super) fn invalid(&self, message: impl Into<String>) -> InvalidRequest {
        InvalidRequest::field(self.to_string(), message)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(within) = self.within {
            within.fmt(f)?;
        }
        match self.step {
            Step::Member(name) if self.within.is_none() => f.write_str(name),
            Step::Member(name) => write!(f, ".{name}"),
            Step::Element(index) => write!(f, "[{index}]"),
        }
    }
}
