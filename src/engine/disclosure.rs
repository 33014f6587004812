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

/// Nothing is said.
pub static SILENT: Disclosures = Disclosures { here: None, members: BTreeMap::new(), within: false };

/// What is said of a value and of its members, by name. What is said of a set is meant of its elements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disclosures {
    /// What is said of the value and, where nothing else is, of everything in it.
    pub here: Option<Disclosure>,
    /// Its members that are known by name, whether or not anything is said of them.
    members: BTreeMap<SmolStr, Disclosures>,
    /// Whether anything is said of one of them or within: asked of every value of every record.
    within: bool,
}

impl Disclosures {
    /// What is said of the member of that name.
    pub fn member(&self, name: &str) -> Option<&Self> {
        self.members.get(name)
    }

    /// Says something of the value at a path, replacing what was said of it.
    pub fn say<'p>(&mut self, path: impl IntoIterator<Item = &'p str>, disclosure: Disclosure) {
        let value = path.into_iter().fold(self, |value, name| {
            value.within = true;
            value.members.entry(name.into()).or_default()
        });
        value.here = Some(disclosure);
    }

    /// Puts in what is said of the member of that name, in place of what was before.
    pub fn put(&mut self, name: impl Into<SmolStr>, member: Self) {
        self.members.insert(name.into(), member);
        self.within = self.members.values().any(|member| member.here.is_some() || member.within);
    }

    /// Whether anything is said within the value, and not of all of it.
    pub fn says_anything_within(&self) -> bool {
        self.within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_at_any_depth_is_said_within_all_that_it_is_in() {
        let mut said = Disclosures::default();
        said.put("a", Disclosures::default());
        assert!(!said.says_anything_within(), "a name alone says nothing");
        said.say(["a", "b", "c"], Disclosure::Clear);
        let within = |path: &[&str]| {
            let value = path.iter().fold(&said, |value, name| value.member(name).unwrap());
            value.says_anything_within()
        };
        assert_eq!(
            [within(&[]), within(&["a"]), within(&["a", "b"]), within(&["a", "b", "c"])],
            [true, true, true, false]
        );
        let mut outer = Disclosures::default();
        outer.put("all", said);
        assert!(outer.says_anything_within());
        outer.put("all", Disclosures::default());
        assert!(!outer.says_anything_within(), "what was there before counts no more");
        outer.say([], Disclosure::Masked);
        assert!(!outer.says_anything_within(), "it is said of all of it");
    }
}
