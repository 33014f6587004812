//! What the proxy says of the session: what its operator claims, and what it has seen pass.

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
    pub(super) fn session(&self) -> pb::Value {
        let text = |text: &str| value(pb::value::Kind::String(text.to_owned()));
        let truth = |truth| value(pb::value::Kind::Boolean(truth));
        let long = |number| value(pb::value::Kind::Long(number));
        record([
            ("id", text(&self.claims.session)),
            ("purpose", text(&self.claims.purpose)),
            ("attended", truth(self.claims.attended)),
            ("untrusted", truth(self.untrusted)),
            ("read_level", long(self.read_level)),
            ("calls", long(self.calls)),
            ("spent_cents", long(0)),
        ])
    }

    /// The data that a call reaches.
    pub(super) fn touches(&self) -> pb::Value {
        let elements = self.claims.touches.iter().map(|data| value(pb::value::Kind::Entity(data.clone())));
        value(pb::value::Kind::Set(pb::Set { elements: elements.collect() }))
    }

    pub(super) fn session_id(&self) -> &str {
        &self.claims.session
    }
}

/// A typed value.
pub(super) fn value(kind: pb::value::Kind) -> pb::Value {
    pb::Value { kind: Some(kind) }
}

/// A record of these attributes.
fn record<const N: usize>(attributes: [(&str, pb::Value); N]) -> pb::Value {
    let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    value(pb::value::Kind::Record(pb::Record { attributes }))
}

#[cfg(test)]
mod tests {
    use pb::value::Kind;

    use super::*;

    fn told(facts: &Facts, name: &str) -> Kind {
        let Some(Kind::Record(session)) = facts.session().kind else { panic!("a session is a record") };
        session.attributes[name].kind.clone().unwrap()
    }

    #[test]
    fn what_was_read_is_never_forgotten() {
        let mut facts = Facts::new(Claims { level: 2, ..Claims::default() });
        assert_eq!(told(&facts, "read_level"), Kind::Long(0), "nothing was read yet");
        facts.called();
        facts.answered(true);
        facts.answered(false);
        let told = ["untrusted", "read_level", "calls", "attended"].map(|name| told(&facts, name));
        assert_eq!(told, [Kind::Boolean(true), Kind::Long(2), Kind::Long(1), Kind::Boolean(false)]);
    }

    #[test]
    fn what_is_claimed_is_where_it_begins() {
        let facts = Facts::new(Claims { untrusted: true, read_level: 3, level: 1, ..Claims::default() });
        let mut facts = facts;
        facts.answered(false);
        assert_eq!(told(&facts, "untrusted"), Kind::Boolean(true));
        assert_eq!(told(&facts, "read_level"), Kind::Long(3));
    }
}
