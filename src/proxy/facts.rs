//! What the proxy says of the session: what its operator claims, and what it has seen pass.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use crate::server::pb;

/// What the operator says of the session. Policies read it, so what it leaves out counts as not so.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// The session's id; also what records are found by.
    pub session: String,
    /// What the session is for.
    pub purpose: String,
    /// A person is watching.
    pub attended: bool,
    /// Content from outside has entered the session already.
    pub untrusted: bool,
    /// The most sensitive thing that the session has read already: 0 public to 3 restricted.
    pub read_level: i64,
    /// How sensitive what this server answers is: 0 public to 3 restricted.
    pub level: i64,
    /// Data that every call of this server reaches.
    pub touches: Vec<pb::EntityRef>,
}

/// What is known of the session by now. It only ever becomes worse: nothing that was read is forgotten.
#[derive(Debug)]
pub(super) struct Facts {
    claims: Claims,
    untrusted: bool,
    read_level: i64,
    calls: i64,
}

impl Facts {
    pub(super) fn new(claims: Claims) -> Self {
        let Claims { untrusted, read_level, .. } = claims;
        Self { claims, untrusted, read_level, calls: 0 }
    }

    /// A tool is about to be called.
    pub(super) fn called(&mut self) {
        self.calls += 1;
    }

    /// The agent is about to be shown what the server answered.
    pub(super) fn answered(&mut self, from_outside: bool) {
        self.read_level = self.read_level.max(self.claims.level);
        self.untrusted |= from_outside;
    }

    /// The session as policies read it (`Mandate::Session`). Money is not the proxy's to know: it says that none was spent.
    pub(super) fn session(&self) -> Value {
        let truth = |truth| value(Kind::BoolValue(truth));
        record([
            ("id", text(&self.claims.session)),
            ("purpose", text(&self.claims.purpose)),
            ("attended", truth(self.claims.attended)),
            ("untrusted", truth(self.untrusted)),
            ("read_level", number(self.read_level)),
            ("calls", number(self.calls)),
            ("spent_cents", number(0)),
        ])
    }

    /// The data that a call reaches.
    pub(super) fn touches(&self) -> Value {
        let data = self.claims.touches.iter();
        let values = data.map(|data| record([("type", text(&data.r#type)), ("id", text(&data.id))]));
        value(Kind::ListValue(ListValue { values: values.collect() }))
    }

    pub(super) fn session_id(&self) -> &str {
        &self.claims.session
    }
}

/// A text.
pub(super) fn text(text: &str) -> Value {
    value(Kind::StringValue(text.to_owned()))
}

/// A whole number; one that a double does not hold exactly is refused by whoever reads it.
#[expect(clippy::cast_precision_loss, reason = "`Struct` has doubles only")]
fn number(number: i64) -> Value {
    value(Kind::NumberValue(number as f64))
}

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

/// A record of these attributes.
fn record<const N: usize>(attributes: [(&str, Value); N]) -> Value {
    value(Kind::StructValue(members(attributes)))
}

/// These members.
pub(super) fn members<const N: usize>(members: [(&str, Value); N]) -> Struct {
    Struct { fields: members.map(|(name, value)| (name.to_owned(), value)).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(facts: &Facts, name: &str) -> Kind {
        let Some(Kind::StructValue(session)) = facts.session().kind else { panic!("a session is a record") };
        session.fields[name].kind.clone().unwrap()
    }

    #[test]
    fn what_was_read_is_never_forgotten() {
        let mut facts = Facts::new(Claims { level: 2, ..Claims::default() });
        assert_eq!(told(&facts, "read_level"), Kind::NumberValue(0.0), "nothing was read yet");
        facts.called();
        facts.answered(true);
        facts.answered(false);
        let told = ["untrusted", "read_level", "calls", "attended"].map(|name| told(&facts, name));
        assert_eq!(
            told,
            [Kind::BoolValue(true), Kind::NumberValue(2.0), Kind::NumberValue(1.0), Kind::BoolValue(false)]
        );
    }

    #[test]
    fn what_is_claimed_is_where_it_begins() {
        let facts = Facts::new(Claims { untrusted: true, read_level: 3, level: 1, ..Claims::default() });
        let mut facts = facts;
        facts.answered(false);
        assert_eq!(told(&facts, "untrusted"), Kind::BoolValue(true));
        assert_eq!(told(&facts, "read_level"), Kind::NumberValue(3.0));
    }
}
