//! What a reader looks at in a record, whatever kind it is. The fields are described in `docs/decision-log.md`.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A record as far as it is read here. What it does not say is empty.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Seen<'a> {
    /// What kind of record it is; empty if it cannot be read.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// Its id.
    #[serde(borrow)]
    pub decision_id: Cow<'a, str>,
    /// Of an outcome: the decision it is of.
    #[serde(borrow)]
    pub of: Cow<'a, str>,
    /// RFC 3339.
    #[serde(borrow)]
    pub time: Cow<'a, str>,
    /// The process that wrote it.
    #[serde(borrow)]
    pub instance: Cow<'a, str>,
    /// Who asked.
    #[serde(borrow)]
    pub caller: Cow<'a, str>,
    /// `allow` or `deny`.
    #[serde(borrow)]
    pub decision: Cow<'a, str>,
    /// `enforce` or `observe`.
    #[serde(borrow)]
    pub mode: Cow<'a, str>,
    /// Who acts.
    #[serde(borrow)]
    pub principal: Name<'a>,
    /// What it does.
    #[serde(borrow)]
    pub action: Name<'a>,
    /// To what.
    #[serde(borrow)]
    pub resource: Name<'a>,
    /// Everybody on whose authority it acts, root first; itself last.
    #[serde(borrow)]
    pub chain: Vec<Name<'a>>,
    /// Along a chain, each of them.
    #[serde(borrow)]
    pub hops: Vec<Hop<'a>>,
    /// The policies that decided.
    #[serde(borrow)]
    pub determining: Vec<Policy<'a>>,
    /// What the caller wanted remembered.
    #[serde(borrow)]
    pub evidence: Evidence<'a>,
    /// What was told of the context.
    #[serde(borrow)]
    pub context: Option<&'a RawValue>,
    /// Digest of the tool's arguments, as decided on.
    #[serde(borrow)]
    pub arguments_digest: Cow<'a, str>,
    /// For how long the answer may be reused.
    pub reuse_seconds: Option<u64>,
    /// Of an outcome: what became of the decision.
    #[serde(borrow)]
    pub outcome: Cow<'a, str>,
    /// Of an outcome: digest of the arguments it was done with.
    #[serde(borrow)]
    pub input_digest: Cow<'a, str>,
    /// Of an outcome: what is wrong with it.
    #[serde(borrow)]
    pub findings: Vec<Cow<'a, str>>,
    /// Of a change: what was changed.
    #[serde(borrow)]
    pub entities: Vec<Changed<'a>>,
    /// Of a start: what became of the process before.
    #[serde(borrow)]
    pub previous: Previous<'a>,
}

/// An entity's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Name<'a> {
    /// Its type, with its namespace.
    #[serde(borrow, rename = "type")]
    pub type_name: Cow<'a, str>,
    /// Its id.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
}

/// One principal of a chain.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Hop<'a> {
    /// The delegation it acts under.
    #[serde(borrow)]
    pub grant: Name<'a>,
}

/// A policy.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Policy<'a> {
    /// Its id.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
}

/// Where a decision belongs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Evidence<'a> {
    /// The agent's session.
    #[serde(borrow)]
    pub session_id: Cow<'a, str>,
    /// The conversation within it.
    #[serde(borrow)]
    pub conversation_id: Cow<'a, str>,
}

/// Something that was changed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Changed<'a> {
    /// Its name.
    #[serde(borrow)]
    pub uid: Name<'a>,
}

/// The process before.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Previous<'a> {
    /// Which.
    #[serde(borrow)]
    pub instance: Cow<'a, str>,
    /// Whether it said that it stops.
    pub clean: bool,
    /// How many of its records are missing, if that is known.
    pub lost: Option<u64>,
    /// How many may be.
    pub lost_at_most: Option<u64>,
}

/// What every record has, also one of a kind that is not known here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Head {
    kind: String,
    decision_id: String,
    time: String,
    instance: String,
}

impl<'a> Seen<'a> {
    /// Reads a line. Of one that is shaped as no record of this version is, what stands at its head; of what is no JSON,
    /// nothing.
    pub fn read(line: &'a [u8]) -> Self {
        // Held to UTF-8 at once, which costs less than text by text.
        let read = std::str::from_utf8(line).ok().and_then(|line| serde_json::from_str(line).ok());
        read.unwrap_or_else(|| {
            let head: Head = serde_json::from_slice(line).unwrap_or_default();
            let Head { kind, decision_id, time, instance } = head;
            let [kind, decision_id, time, instance] = [kind, decision_id, time, instance].map(Cow::Owned);
            Self { kind, decision_id, time, instance, ..Self::default() }
        })
    }

    /// The agent's session: as the evidence names it, or else as the context does (`context.session.id`).
    pub fn session(&self) -> Cow<'_, str> {
        if !self.evidence.session_id.is_empty() {
            return Cow::Borrowed(&self.evidence.session_id);
        }
        self.context.map(|context| session_of(context.get().as_bytes())).unwrap_or_default()
    }

    /// When it was made, in microseconds since 1970; none if it does not say.
    pub fn micros(&self) -> Option<i64> {
        self.time.parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
    }
}

/// The session that a context names, as JSON; empty if it names none.
fn session_of(context: &[u8]) -> Cow<'_, str> {
    /// A context that names a session, whatever else it is.
    #[derive(Default, Deserialize)]
    struct Context<'c> {
        #[serde(borrow)]
        session: Session<'c>,
    }
    #[derive(Default, Deserialize)]
    struct Session<'c> {
        #[serde(borrow)]
        id: Cow<'c, str>,
    }
    serde_json::from_slice::<Context<'_>>(context).unwrap_or_default().session.id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_by_the_evidence_or_else_by_the_context() {
        let session = |members: &str| Seen::read(format!("{{{members}}}").as_bytes()).session().into_owned();
        let context = r#""context":{"session":{"id":"c","calls":1},"more":2}"#;
        assert_eq!(session(context), "c");
        assert_eq!(session(&format!(r#""evidence":{{"session_id":"e"}},{context}"#)), "e");
        for other in [r#""context":{"session":"text"}"#, r#""context":{}"#, r#""kind":"gap""#] {
            assert_eq!(session(other), "", "{other}");
        }
    }

    #[test]
    fn what_is_not_known_is_passed_over_and_what_is_shaped_otherwise_keeps_its_head() {
        let line = br#"{"v":1,"kind":"decision","time":"1970-01-01T00:00:01.000002Z","new":{"a":[]},"principal":{"type":"T","id":"a\"b"}}"#;
        let seen = Seen::read(line);
        assert_eq!((&*seen.principal.type_name, &*seen.principal.id), ("T", "a\"b"));
        assert_eq!(seen.micros(), Some(1_000_002));
        let seen = Seen::read(br#"{"kind":"vote","decision_id":"x","principal":"somebody"}"#);
        assert_eq!((&*seen.kind, &*seen.decision_id, &*seen.principal.id), ("vote", "x", ""));
        assert_eq!(Seen::read(b"no json").kind, "");
    }
}
