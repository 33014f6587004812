//! Where in a JSON document something is.

use std::fmt;

use super::error::shown;

/// A place in a JSON document, printed as `$.inputSchema.properties["a b"].items`.
///
/// Each step borrows the one before it, so that walking a document allocates nothing until a path is printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonPath<'a> {
    step: Step<'a>,
    before: Option<&'a JsonPath<'a>>,
    steps: usize,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Top,
    Member(&'a str),
    Element(usize),
    Reference(&'a str),
}

impl<'a> JsonPath<'a> {
    pub(super) const TOP: JsonPath<'static> = JsonPath { step: Step::Top, before: None, steps: 0 };

    pub(super) fn member(&'a self, name: &'a str) -> Self {
        self.then(Step::Member(name))
    }

    pub(super) fn element(&'a self, index: usize) -> Self {
        self.then(Step::Element(index))
    }

    /// The place a `$ref` leads to, printed as the place it was followed from.
    pub(super) fn reference(&'a self, target: &'a str) -> Self {
        self.then(Step::Reference(target))
    }

    /// How many steps from the top.
    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    /// The first steps of the path as text, with an ellipsis for the rest.
    pub(super) fn near_top(&self, steps: usize) -> String {
        let beyond = self.steps.saturating_sub(steps);
        match self.back().nth(beyond) {
            Some(near) if beyond > 0 => format!("{near}…"),
            _ => self.to_string(),
        }
    }

    /// Whether this place was reached through that reference: following it again would never end.
    pub(super) fn follows(&self, target: &str) -> bool {
        self.back().any(|path| matches!(path.step, Step::Reference(to) if to == target))
    }

    fn then(&'a self, step: Step<'a>) -> Self {
        JsonPath { step, before: Some(self), steps: self.steps + 1 }
    }

    fn back(&self) -> impl Iterator<Item = &JsonPath<'a>> {
        std::iter::successors(Some(self), |path| path.before)
    }
}

impl fmt::Display for JsonPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<Step<'_>> = self.back().map(|path| path.step).collect();
        steps.iter().rev().try_for_each(|step| step.fmt(f))
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => f.write_str("$"),
            Self::Member(name) if is_plain(name) => write!(f, ".{name}"),
            Self::Member(name) => write!(f, "[{}]", shown(name)),
            Self::Element(index) => write!(f, "[{index}]"),
            Self::Reference(_) => f.write_str(".$ref"),
        }
    }
}

fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$');
    (1..=64).contains(&name.len()) && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_plain_and_odd_steps() {
        let long = "x".repeat(200);
        let tools = JsonPath::TOP.member("tools");
        let tool = tools.element(3);
        let odd = tool.member("a b\n");
        let followed = odd.reference("#/$defs/x");
        let deep = followed.member(&long);
        let cut = "x".repeat(80);
        let whole = format!(r#"$.tools[3]["a b\n"].$ref["{cut}"…]"#);
        assert_eq!(deep.to_string(), whole);
        assert_eq!(deep.steps(), 5);
        assert_eq!(deep.near_top(2), "$.tools[3]…");
        assert_eq!(tool.near_top(2), "$.tools[3]");
    }

    #[test]
    fn knows_the_references_it_followed() {
        let a = JsonPath::TOP.reference("#/$defs/a");
        let b = a.member("items");
        assert!(b.follows("#/$defs/a"));
        assert!(!b.follows("#/$defs/b"));
    }
}
