//! Places in one tool that a person should know of.

use std::fmt;

/// How many there are, and the first of them: a hostile definition has more places than anyone can hold or read.
#[derive(Debug, Default)]
pub(super) struct Places {
    count: usize,
    first: String,
}

impl Places {
    /// Counts a place; its text is only made for the first.
    pub(super) fn add(&mut self, place: impl FnOnce() -> String) {
        if self.count == 0 {
            self.first = place();
        }
        self.count += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first)?;
        match self.count.saturating_sub(1) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_keeps_the_first() {
        let mut places = Places::default();
        assert!(places.is_empty());
        places.add(|| "a".to_owned());
        assert_eq!(places.to_string(), "a");
        places.add(|| panic!("only the first is made"));
        assert_eq!(places.to_string(), "a and 1 more");
    }
}
