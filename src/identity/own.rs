//! Which principal a caller itself is: an agent that asks only about itself (C1).

use super::caller::Caller;
use crate::engine::datum::Reference;

/// Stands for the last part of a caller's name.
const WILDCARD: char = '*';

/// Callers that are principals, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnPrincipals(Vec<OwnPrincipal>);

/// Callers of one kind, and the principals that they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPrincipal {
    before: String,
    rest: Rest,
    type_name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rest {
    /// One caller: the principal with this id.
    Named(String),
    /// Every caller whose name goes on with one more part, which is the principal's id.
    Wildcard,
}

/// Why an entry says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OwnError {
    /// The place of the wildcard.
    #[error("`*` stands for the last part of a name: write it once, after a `/` or `#`, at the end")]
    Wildcard,
    /// Without a wildcard there is no id.
    #[error("`principal_id` is needed where `caller` does not end with `*`")]
    NoId,
    /// With one there are two.
    #[error("`principal_id` is what `*` stands for: leave it out")]
    TwoIds,
}

impl OwnPrincipal {
    /// Whoever is named `caller` is the principal of this type and id. A `*` at the end of the name stands for one part of
    /// it, and for the principal's id.
    ///
    /// # Errors
    /// [`OwnError`].
    pub fn new(caller: &str, type_name: &str, id: Option<&str>) -> Result<Self, OwnError> {
        let (before, rest) = match (caller.strip_suffix(WILDCARD), id) {
            (None, None) => return Err(OwnError::NoId),
            (None, Some(id)) => (caller, Rest::Named(id.to_owned())),
            (Some(_), Some(_)) => return Err(OwnError::TwoIds),
            (Some(before), None) if before.ends_with(['/', '#']) => (before, Rest::Wildcard),
            (Some(_), None) => return Err(OwnError::Wildcard),
        };
        if before.contains(WILDCARD) {
            return Err(OwnError::Wildcard);
        }
        Ok(Self { before: before.to_owned(), rest, type_name: type_name.to_owned() })
    }

    fn is(&self, caller: &str, principal: &Reference) -> bool {
        principal.type_name == self.type_name && self.id_of(caller) == Some(&principal.id)
    }

    /// The id of the principal that a caller of this name is.
    fn id_of<'a>(&'a self, caller: &'a str) -> Option<&'a str> {
        match (&self.rest, caller.strip_prefix(&self.before)) {
            (Rest::Named(id), Some("")) => Some(id),
            (Rest::Wildcard, Some(rest)) => (!rest.is_empty() && !rest.contains(['/', '#'])).then_some(rest),
            _ => None,
        }
    }
}

impl OwnPrincipals {
    /// These entries; any of them is enough.
    #[must_use]
    pub fn new(entries: Vec<OwnPrincipal>) -> Self {
        Self(entries)
    }

    /// Whether the caller is this principal. The principal's type is written as the schema declares it.
    #[must_use]
    pub fn is_own(&self, caller: &Caller, principal: &Reference) -> bool {
        self.0.iter().any(|entry| entry.is(caller.name(), principal))
    }

    /// The principal that whoever has this name is, by the first entry that says so.
    #[must_use]
    pub fn principal(&self, name: &str) -> Option<Reference> {
        self.0.iter().find_map(|entry| Some(Reference::new(entry.type_name.as_str(), entry.id_of(name)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_own(entry: (&str, &str, Option<&str>), caller: &str, principal: (&str, &str)) -> bool {
        let entry = OwnPrincipal::new(entry.0, entry.1, entry.2).unwrap();
        OwnPrincipals::new(vec![entry])
            .is_own(&Caller::anonymous(caller), &Reference::new(principal.0, principal.1))
    }

    #[test]
    fn a_wildcard_is_one_part_of_a_name_and_the_id() {
        let agents = ("spiffe://example.org/agents/*", "Mandate::Agent", None);
        let triage = "spiffe://example.org/agents/triage";
        assert!(is_own(agents, triage, ("Mandate::Agent", "triage")));
        for (caller, principal) in [
            (triage, ("Mandate::Agent", "other")),
            (triage, ("Mandate::User", "triage")),
            ("spiffe://example.org/agents/", ("Mandate::Agent", "")),
            ("spiffe://example.org/agents/eu/triage", ("Mandate::Agent", "triage")),
            ("spiffe://example.org/agents/eu/triage", ("Mandate::Agent", "eu/triage")),
            ("spiffe://other.org/agents/triage", ("Mandate::Agent", "triage")),
            ("spiffe://example.org/gateways/triage", ("Mandate::Agent", "triage")),
        ] {
            assert!(!is_own(agents, caller, principal), "{caller} {principal:?}");
        }
        assert!(is_own(
            ("https://idp#*", "Mandate::Agent", None),
            "https://idp#triage",
            ("Mandate::Agent", "triage")
        ));
        assert!(!is_own(
            ("https://idp#*", "Mandate::Agent", None),
            "https://idp#a#b",
            ("Mandate::Agent", "a#b")
        ));
    }

    #[test]
    fn a_name_without_a_wildcard_is_one_caller() {
        let entry = ("spiffe://example.org/night", "Mandate::Agent", Some("night-watch"));
        assert!(is_own(entry, "spiffe://example.org/night", ("Mandate::Agent", "night-watch")));
        assert!(!is_own(entry, "spiffe://example.org/nightly", ("Mandate::Agent", "night-watch")));
        assert!(!is_own(entry, "spiffe://example.org/night", ("Mandate::Agent", "other")));
    }

    #[test]
    fn an_entry_that_says_nothing_is_refused() {
        for (caller, id, why) in [
            ("spiffe://example.org/a*", None, OwnError::Wildcard),
            ("spiffe://*/a/*", None, OwnError::Wildcard),
            ("spiffe://example.org/*/b", Some("b"), OwnError::Wildcard),
            ("spiffe://example.org/*", Some("b"), OwnError::TwoIds),
            ("spiffe://example.org/a", None, OwnError::NoId),
        ] {
            assert_eq!(OwnPrincipal::new(caller, "Mandate::Agent", id), Err(why), "{caller}");
        }
    }
}
