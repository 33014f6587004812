//! Decisions that were made in one world, by the question that was asked.
//!
//! A world owns its cache and takes it along when it is replaced, so nothing is ever invalidated, and no answer of an
//! older world can be found in a newer one. The key is the whole question (K4): it may tell equal questions apart, never
//! take different ones for the same.

use std::sync::Arc;

use moka::sync::Cache;

use crate::engine::convert::Form;
use crate::engine::datum::{Datum, Reference};
use crate::engine::decision::{Decision, Note};
use crate::engine::request::{AuthzRequest, RequestEntity};

/// Questions with longer keys are not remembered: they would push out hundreds of others.
const MAX_KEY_BYTES: usize = 16 * 1024;

/// What an entry is taken to weigh besides its key, in bytes: the decision, what is written of it besides what the key
/// holds, and the cache's own bookkeeping.
const ENTRY_BYTES: usize = 2048;

/// What a policy that could not be evaluated, or that decided, adds to that: its message, its annotations in the note.
const POLICY_BYTES: usize = 512;

/// Decisions over which more policies than this fail are not remembered: they would weigh more than they save.
const MAX_ERRORS: usize = 16;

/// The decisions of one world.
#[derive(Debug)]
pub struct DecisionCache {
    entries: Cache<Key, Remembered>,
}

/// A decision, and what was written of it.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// The decision.
    pub decision: Arc<Decision>,
    /// What was written of question and decision; empty until somebody has.
    pub note: Arc<Note>,
}

/// A question as bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(Arc<[u8]>);

impl DecisionCache {
    /// An empty cache that holds about `max_bytes`.
    pub fn new(max_bytes: u64) -> Self {
        let weight = |key: &Key, remembered: &Remembered| {
            let Decision { errors, determining, .. } = &*remembered.decision;
            let policies = (errors.len() + determining.len()) * POLICY_BYTES;
            // The note repeats what the key holds, as JSON.
            u32::try_from(3 * key.0.len() + policies + ENTRY_BYTES).unwrap_or(u32::MAX)
        };
        Self { entries: Cache::builder().max_capacity(max_bytes).weigher(weight).build() }
    }

    /// The decision that was made on this question.
    pub fn get(&self, key: &Key) -> Option<Remembered> {
        self.entries.get(key)
    }

    /// Remembers a decision, if it is one that repeats.
    pub fn insert(&self, key: Key, decision: &Arc<Decision>) -> Option<Arc<Note>> {
        let repeats =
            decision.repeats() && decision.explanation.is_none() && decision.errors.len() <= MAX_ERRORS;
        repeats.then(|| {
            let remembered = Remembered { decision: Arc::clone(decision), note: Arc::default() };
            let note = Arc::clone(&remembered.note);
            self.entries.insert(key, remembered);
            note
        })
    }

    /// How many decisions are remembered. Counts what is not counted yet: for those who look, not for those who ask.
    pub fn len(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.entry_count()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Key {
    /// The key of a question; none if it is too long to be remembered, or rests on a chain or a token, which are
    /// checked on every request.
    pub fn of(question: &AuthzRequest) -> Option<Self> {
        if !question.delegations.is_empty() || question.subject.is_some() {
            return None;
        }
        let mut key = KeyBytes(Vec::with_capacity(512));
        key.question(question);
        (key.0.len() <= MAX_KEY_BYTES).then(|| Self(Arc::from(key.0)))
    }
}

/// Tagged, length-prefixed bytes: no two different questions have the same.
struct KeyBytes(Vec<u8>);

impl KeyBytes {
    /// Takes the question apart, so that a new field cannot be forgotten here.
    fn question(&mut self, question: &AuthzRequest) {
        let AuthzRequest {
            principal,
            action,
            resource,
            context_form,
            context,
            arguments,
            entities,
            // A question that has any has no key.
            delegations: _,
            subject: _,
            // The same decision, told at greater length.
            explain: _,
        } = question;
        self.reference(principal);
        self.reference(action);
        self.reference(resource);
        self.form(*context_form);
        self.members(context);
        match arguments {
            None => self.tag(0),
            Some(arguments) => {
                self.tag(1);
                self.datum(arguments);
            }
        }
        self.count(entities.len());
        entities.iter().for_each(|entity| self.entity(entity));
    }

    fn entity(&mut self, entity: &RequestEntity) {
        let RequestEntity { uid, form, attributes, tags, parents } = entity;
        self.reference(uid);
        self.form(*form);
        self.members(attributes);
        self.members(tags);
        self.count(parents.len());
        parents.iter().for_each(|parent| self.reference(parent));
    }

    fn datum(&mut self, datum: &Datum) {
        match datum {
            Datum::Null => self.tag(0),
            Datum::Bool(false) => self.tag(1),
            Datum::Bool(true) => self.tag(2),
            Datum::Long(value) => self.fixed(3, value.to_be_bytes()),
            Datum::Number(value) => self.fixed(4, value.to_bits().to_be_bytes()),
            Datum::String(text) => self.tagged(5, text),
            Datum::Entity(reference) => {
                self.tag(6);
                self.reference(reference);
            }
            Datum::Decimal(text) => self.tagged(7, text),
            Datum::Ip(text) => self.tagged(8, text),
            Datum::Datetime(millis) => self.fixed(9, millis.to_be_bytes()),
            Datum::Duration(text) => self.tagged(10, text),
            Datum::List(elements) => {
                self.tag(11);
                self.count(elements.len());
                elements.iter().for_each(|element| self.datum(element));
            }
            Datum::Record(members) => {
                self.tag(12);
                self.members(members);
            }
        }
    }

    /// Members by name: a message's map has no order of its own.
    fn members(&mut self, members: &[(String, Datum)]) {
        self.count(members.len());
        if members.is_sorted_by(|(one, _), (other, _)| one <= other) {
            members.iter().for_each(|member| self.member(member));
        } else {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
            sorted.into_iter().for_each(|member| self.member(member));
        }
    }

    fn member(&mut self, (name, value): &(String, Datum)) {
        self.text(name);
        self.datum(value);
    }

    fn reference(&mut self, Reference { type_name, id }: &Reference) {
        self.text(type_name);
        self.text(id);
    }

    fn form(&mut self, form: Form) {
        self.tag(match form {
            Form::Plain => 0,
            Form::Typed => 1,
            Form::CedarJson => 2,
            Form::Arguments => 3,
        });
    }

    fn tagged(&mut self, tag: u8, text: &str) {
        self.tag(tag);
        self.text(text);
    }

    fn fixed(&mut self, tag: u8, bytes: [u8; 8]) {
        self.tag(tag);
        self.0.extend_from_slice(&bytes);
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn count(&mut self, count: usize) {
        self.0.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
    }

    fn tag(&mut self, tag: u8) {
        self.0.push(tag);
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
