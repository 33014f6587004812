//! What of a caller's words the schema lets the decision log tell: `@log` at the members of actions' contexts.

use std::collections::BTreeMap;

use smol_str::SmolStr;

/// How a value may be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disclosure {
    /// As it is.
    Clear,
    /// Not at all.
    Masked,
    /// As a keyed digest, by which equal values are known for equal while the key is kept.
    Hmac,
}

impl Disclosure {
    /// What is written of it, where that is one of the three.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "clear" => Some(Self::Clear),
            "masked" => Some(Self::Masked),
            "hmac" => Some(Self::Hmac),
            _ => None,
        }
    }
}

/// What is said of a value and of its members, by name. What is said of a set is meant of its elements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disclosures {
    /// What is said of the value and, where nothing else is, of everything in it.
    pub here: Option<Disclosure>,
    /// Its members that are known by name, whether or not anything is said of them.
    pub members: BTreeMap<SmolStr, Disclosures>,
}

impl Disclosures {
    /// What is said of the member of that name.
    pub fn member(&self, name: &str) -> Option<&Self> {
        self.members.get(name)
    }

    /// Says something of the value at a path, replacing what was said of it.
    pub fn say<'p>(&mut self, path: impl IntoIterator<Item = &'p str>, disclosure: Disclosure) {
        let value = path.into_iter().fold(self, |value, name| value.members.entry(name.into()).or_default());
        value.here = Some(disclosure);
    }

    /// Whether anything is said of the value or within it.
    pub fn says_anything(&self) -> bool {
        self.here.is_some() || self.members.values().any(Self::says_anything)
    }
}
