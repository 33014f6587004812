//! What is looked for: a conjunction of terms, within a span of time.

use std::collections::BTreeSet;
use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::seen::{Name, Seen};

/// What may be looked for in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Who acts.
    Principal,
    /// Who handed authority on: every member of a chain but the last.
    Delegator,
    /// To what something is done: a tool, or other resource.
    Resource,
    /// The action's id.
    Action,
    /// Id of a determining policy.
    Policy,
    /// The agent's session.
    Session,
    /// The conversation within it.
    Conversation,
    /// A record's own id, and the id of the decision that an outcome is of.
    DecisionId,
    /// `allow` or `deny`.
    Decision,
    /// An entity that was changed.
    Entity,
    /// What kind of record it is.
    Kind,
}

/// Something a record must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    field: Field,
    /// Of an entity: its type; none: any.
    type_name: Option<String>,
    /// One of these.
    values: BTreeSet<String>,
}

/// Records that say all of this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Each of these.
    pub terms: Vec<Term>,
    /// At this instant or later, in microseconds since 1970.
    pub from: Option<i64>,
    /// Before this instant.
    pub to: Option<i64>,
}

/// SipHash-1-3 over what is said, under no key: what an index is sorted by. Two things that have the same cost a look at a record, which says
/// what is meant.
pub(in crate::audit) type Key = u64;

/// The kind of nearly every record: an index of it would find nothing faster.
const USUAL_KIND: &str = "decision";

impl Term {
    /// A field has this value.
    pub fn new(field: Field, value: impl Into<String>) -> Self {
        Self::one_of(field, [value.into()])
    }

    /// A field has one of these values.
    pub fn one_of(field: Field, values: impl IntoIterator<Item = String>) -> Self {
        Self { field, type_name: None, values: values.into_iter().collect() }
    }

    /// A field is this entity.
    pub fn entity(field: Field, type_name: impl Into<String>, id: impl Into<String>) -> Self {
        Self { type_name: Some(type_name.into()), ..Self::new(field, id) }
    }

    /// Where an index has it: under one of these; none if it may have it nowhere.
    pub(super) fn keys(&self) -> Option<Vec<Key>> {
        let key = |value: &String| is_indexed(self.field, value).then(|| key(self.field, value));
        self.values.iter().map(key).collect()
    }

    /// Whether a record says it.
    pub(super) fn holds(&self, seen: &Seen<'_>) -> bool {
        self.is_said(seen, |type_name| self.type_name.as_ref().is_none_or(|wanted| wanted == type_name))
    }

    /// Whether a record says it of any type: what an index knows.
    pub(super) fn holds_by_value(&self, seen: &Seen<'_>) -> bool {
        self.is_said(seen, |_any| true)
    }

    fn is_said(&self, seen: &Seen<'_>, of_type: impl Fn(&str) -> bool) -> bool {
        let mut said = false;
        each(seen, |field, type_name, value| {
            said |= field == self.field && self.values.contains(value) && of_type(type_name);
        });
        said
    }
}

impl Query {
    /// Whether a record is meant.
    pub fn holds(&self, seen: &Seen<'_>) -> bool {
        let within =
            (self.from.is_none() && self.to.is_none()) || seen.micros().is_some_and(|at| self.is_within(at));
        within && self.terms.iter().all(|term| term.holds(seen))
    }

    fn is_within(&self, at: i64) -> bool {
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to)
    }

    /// Whether records between these instants, both included, may be meant.
    pub(super) fn touches(&self, first: i64, last: i64) -> bool {
        self.from.is_none_or(|from| last >= from) && self.to.is_none_or(|to| first < to)
    }
}

/// The keys that an index has of a record.
pub(in crate::audit) fn keys(seen: &Seen<'_>, mut found: impl FnMut(Key)) {
    each(seen, |field, _, value| {
        if is_indexed(field, value) {
            found(key(field, value));
        }
    });
}

fn is_indexed(field: Field, value: &str) -> bool {
    !(field == Field::Kind && value == USUAL_KIND)
}

/// The key of a field's value.
pub(in crate::audit) fn key(field: Field, value: &str) -> Key {
    let mut hasher = SipHasher13::new();
    hasher.write_u8(field.code());
    hasher.write(value.as_bytes());
    hasher.finish()
}

impl Field {
    /// What stands for it in an index: these numbers are part of the format.
    fn code(self) -> u8 {
        match self {
            Self::Principal => 1,
            Self::Delegator => 2,
            Self::Resource => 3,
            Self::Action => 4,
            Self::Policy => 5,
            Self::Session => 6,
            Self::Conversation => 7,
            Self::DecisionId => 8,
            Self::Decision => 9,
            Self::Entity => 10,
            Self::Kind => 11,
        }
    }
}

/// Everything a record says that may be looked for: field, type of an entity, value. What is empty is not said.
fn each(seen: &Seen<'_>, mut found: impl FnMut(Field, &str, &str)) {
    let mut named = |field, Name { type_name, id }: &Name<'_>| {
        if !id.is_empty() || !type_name.is_empty() {
            found(field, type_name, id);
        }
    };
    named(Field::Principal, &seen.principal);
    named(Field::Resource, &seen.resource);
    let givers = seen.chain.len().saturating_sub(1);
    seen.chain.iter().take(givers).for_each(|giver| named(Field::Delegator, giver));
    seen.entities.iter().for_each(|changed| named(Field::Entity, &changed.uid));
    let mut said = |field, value: &str| {
        if !value.is_empty() {
            found(field, "", value);
        }
    };
    seen.determining.iter().for_each(|policy| said(Field::Policy, &policy.id));
    let texts = [
        (Field::Action, &seen.action.id),
        (Field::Conversation, &seen.evidence.conversation_id),
        (Field::DecisionId, &seen.decision_id),
        (Field::DecisionId, &seen.of),
        (Field::Decision, &seen.decision),
        (Field::Kind, &seen.kind),
    ];
    texts.into_iter().for_each(|(field, value)| said(field, value));
    said(Field::Session, &seen.session());
}
