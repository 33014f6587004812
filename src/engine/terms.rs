//! The terms on which a permit allows: what the enforcement point must then do, how long it may reuse the answer, and
//! whether there is an answer without a record (C13, C15). Written as annotations, understood when policies load.

use smol_str::SmolStr;

use super::cedar::PolicyEffect;
use super::datum::{Datum, MAX_SAFE_INTEGER};

/// What a permit asks of an enforcement point that acts on it.
pub const OBLIGATION: &str = "obligation";
/// For how long an answer may be reused that rests on a permit.
pub const REUSE: &str = "reuse";
/// Whether an Allow that rests on a permit is given only once its record is safe.
pub const AUDIT: &str = "audit";

/// The one thing that `@audit` says.
const REQUIRED: &str = "required";

/// Longest text of an `@obligation`, in bytes.
const MAX_TEXT_BYTES: usize = 4096;
/// Longest id or type of an obligation, in bytes.
const MAX_NAME_BYTES: usize = 128;
/// Most obligations of one permit.
const MAX_OBLIGATIONS: usize = 16;
/// Deepest nesting of an obligation's properties.
const MAX_DEPTH: usize = 8;
/// Longest time an answer may be reused, in seconds: for so long nothing that is revoked takes effect.
const MAX_REUSE_SECONDS: u32 = 3600;

/// Something that must be done where a permit allows. Who cannot do it denies.
#[derive(Debug, Clone, PartialEq)]
pub struct Obligation {
    /// Names it within its policy.
    pub id: SmolStr,
    /// What is to be done, a word that enforcement points agree on.
    pub kind: SmolStr,
    /// How, by name.
    pub properties: Vec<(String, Datum)>,
}

/// The terms of one permit. A forbid has none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms {
    /// Every one must be fulfilled.
    pub obligations: Vec<Obligation>,
    /// For so many seconds an Allow that rests on this permit may be reused; none: not at all.
    pub reuse_seconds: Option<u32>,
    /// An Allow that rests on this permit is given only once its record would survive a power cut.
    pub audited: bool,
}

/// An annotation that does not say what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`@{annotation}` {message}")]
pub struct TermsError {
    /// Its name.
    pub annotation: &'static str,
    /// What is wrong with it.
    pub message: String,
}

impl Terms {
    /// What a policy's annotations say, if they say it well.
    ///
    /// # Errors
    /// [`TermsError`] for the first that does not.
    pub fn of<'a>(
        effect: PolicyEffect,
        annotations: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, TermsError> {
        let mut terms = Self::default();
        for (name, text) in annotations {
            let annotation = match name {
                OBLIGATION => OBLIGATION,
                REUSE => REUSE,
                AUDIT => AUDIT,
                _ => continue,
            };
            let error = |message| TermsError { annotation, message };
            if effect == PolicyEffect::Forbid {
                return Err(error("is for permits: a forbid allows nothing".to_owned()));
            }
            match annotation {
                OBLIGATION => terms.obligations = obligations(text).map_err(error)?,
                REUSE => terms.reuse_seconds = Some(reuse_seconds(text).map_err(error)?),
                _ => terms.audited = audited(text).map_err(error)?,
            }
        }
        Ok(terms)
    }
}

impl TermsError {
    /// How to write it.
    pub fn help(&self) -> &'static str {
        match self.annotation {
            REUSE => "write `@reuse(\"30s\")`: whole seconds from `1s` to `1h`",
            AUDIT => {
                "write `@audit(\"required\")`, on a permit; every other answer has its record without it"
            }
            _ => {
                "write `@obligation(\"{\\\"id\\\": \\\"tell-owner\\\", \\\"type\\\": \\\"notify\\\", \
                 \\\"properties\\\": {}}\")`, or a list of such objects"
            }
        }
    }
}

/// One object, or a list of them.
fn obligations(text: &str) -> Result<Vec<Obligation>, String> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(format!("is {} bytes long; the limit is {MAX_TEXT_BYTES}", text.len()));
    }
    let parsed: Datum = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    let listed = match parsed {
        Datum::List(listed) => listed,
        one => vec![one],
    };
    if listed.is_empty() || listed.len() > MAX_OBLIGATIONS {
        return Err(format!("holds {} obligations; it must be 1 to {MAX_OBLIGATIONS}", listed.len()));
    }
    let mut obligations: Vec<Obligation> = Vec::with_capacity(listed.len());
    for datum in listed {
        let obligation = obligation(datum)?;
        if obligations.iter().any(|other| other.id == obligation.id) {
            return Err(format!("gives two obligations the id `{}`", obligation.id.escape_debug()));
        }
        obligations.push(obligation);
    }
    Ok(obligations)
}

fn obligation(datum: Datum) -> Result<Obligation, String> {
    let Datum::Record(members) = datum else {
        return Err(format!("must hold an object or a list of objects; it holds {}", datum.kind()));
    };
    let (mut id, mut kind, mut properties) = (None, None, Vec::new());
    for (name, value) in members {
        match (name.as_str(), value) {
            ("id", value) => id = Some(named("id", value)?),
            ("type", value) => kind = Some(named("type", value)?),
            ("properties", Datum::Record(members)) => properties = members,
            ("properties", other) => {
                return Err(format!("needs an object as `properties`; it has {}", other.kind()));
            }
            (other, _) => {
                return Err(format!(
                    "has a member `{}`; an obligation has `id`, `type` and `properties`",
                    other.escape_debug()
                ));
            }
        }
    }
    properties.iter().try_for_each(|(_, value)| check_value(value))?;
    let missing = |name: &str| format!("lacks `{name}`: an obligation has `id`, `type` and `properties`");
    Ok(Obligation {
        id: id.ok_or_else(|| missing("id"))?,
        kind: kind.ok_or_else(|| missing("type"))?,
        properties,
    })
}

fn named(member: &str, value: Datum) -> Result<SmolStr, String> {
    match value {
        Datum::String(text) if (1..=MAX_NAME_BYTES).contains(&text.len()) => Ok(text.into()),
        Datum::String(text) => {
            Err(format!("has an `{member}` of {} bytes; it must be 1 to {MAX_NAME_BYTES}", text.len()))
        }
        other => Err(format!("needs a string as `{member}`; it has {}", other.kind())),
    }
}

/// Refuses what would reach the enforcement point as something else: its numbers are doubles.
fn check_value(value: &Datum) -> Result<(), String> {
    if value.depth() > MAX_DEPTH {
        return Err(format!("has properties deeper than {MAX_DEPTH} levels"));
    }
    match value {
        Datum::Long(number) if number.unsigned_abs() > MAX_SAFE_INTEGER.unsigned_abs() => {
            Err(format!("holds the number {number}, which is beyond ±(2^53−1); write it as a string"))
        }
        Datum::List(elements) => elements.iter().try_for_each(check_value),
        Datum::Record(members) => members.iter().try_for_each(|(_, value)| check_value(value)),
        _ => Ok(()),
    }
}

fn reuse_seconds(text: &str) -> Result<u32, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_error| format!("`{}` is no span of time", text.escape_debug()))?;
    let whole = u32::try_from(span.as_secs()).ok().filter(|_| span.subsec_nanos() == 0);
    whole
        .filter(|seconds| (1..=MAX_REUSE_SECONDS).contains(seconds))
        .ok_or_else(|| format!("`{}` is not whole seconds from 1 s to 1 h", text.escape_debug()))
}

fn audited(text: &str) -> Result<bool, String> {
    if text == REQUIRED {
        return Ok(true);
    }
    Err(format!("says `{}`; the only thing it can say is `{REQUIRED}`", text.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(effect: PolicyEffect, name: &str, text: &str) -> Result<Terms, String> {
        Terms::of(effect, [("id", "p"), (name, text)]).map_err(|error| error.to_string())
    }

    #[test]
    fn an_obligation_is_an_object_or_a_list_of_them() {
        let mask = r#"{"id": "mask", "type": "redact", "properties": {"fields": ["iban"], "keep": 4}}"#;
        let told = r#"{"type": "notify", "id": "tell"}"#;
        let one = of(PolicyEffect::Permit, OBLIGATION, mask).unwrap();
        let [obligation] = one.obligations.as_slice() else { panic!("{one:?}") };
        assert_eq!((obligation.id.as_str(), obligation.kind.as_str()), ("mask", "redact"));
        assert_eq!(obligation.properties.last(), Some(&("keep".to_owned(), Datum::Long(4))));
        let two = of(PolicyEffect::Permit, OBLIGATION, &format!("[{mask}, {told}]")).unwrap();
        assert_eq!(two.obligations[0], *obligation);
        assert_eq!(two.obligations[1].properties, []);
        assert_eq!(two.reuse_seconds, None);
    }

    #[test]
    fn what_is_no_obligation_is_refused_and_said() {
        let deep = format!(
            r#"{{"id": "a", "type": "b", "properties": {{"x": {}1{}}}}}"#,
            "[".repeat(8),
            "]".repeat(8)
        );
        let many =
            (0..17).map(|id| format!(r#"{{"id": "{id}", "type": "b"}}"#)).collect::<Vec<_>>().join(",");
        for (text, saying) in [
            ("", "is not JSON"),
            ("notify", "is not JSON"),
            ("[]", "holds 0 obligations"),
            (&format!("[{many}]"), "holds 17 obligations"),
            ("1", "it holds a number"),
            (r#"[["a"]]"#, "it holds a list"),
            (r#"{"type": "b"}"#, "lacks `id`"),
            (r#"{"id": "a"}"#, "lacks `type`"),
            (r#"{"id": "", "type": "b"}"#, "has an `id` of 0 bytes"),
            (&format!(r#"{{"id": "{}", "type": "b"}}"#, "a".repeat(129)), "has an `id` of 129 bytes"),
            (&format!(r#"{{"id": "a", "type": "{}"}}"#, "b".repeat(129)), "has an `type` of 129 bytes"),
            (r#"{"id": 1, "type": "b"}"#, "needs a string as `id`; it has a number"),
            (r#"{"id": "a", "type": "b", "id": "c"}"#, "duplicate member `id`"),
            (r#"{"id": "a", "type": "b", "propertys": {}}"#, "has a member `propertys`"),
            (
                r#"{"id": "a", "type": "b", "properties": []}"#,
                "needs an object as `properties`; it has a list",
            ),
            (r#"{"id": "a", "type": "b", "properties": {"n": 9007199254740992}}"#, "beyond ±(2^53−1)"),
            (r#"{"id": "a", "type": "b", "properties": {"n": [1, -9007199254740992]}}"#, "beyond ±(2^53−1)"),
            (r#"{"id": "a", "type": "b", "properties": {"n": {"m": 9007199254740992}}}"#, "beyond ±(2^53−1)"),
            (&deep, "deeper than 8 levels"),
            (r#"[{"id": "a", "type": "b"}, {"id": "a", "type": "c"}]"#, "two obligations the id `a`"),
            (&" ".repeat(4097), "is 4097 bytes long; the limit is 4096"),
        ] {
            let error = of(PolicyEffect::Permit, OBLIGATION, text).unwrap_err();
            assert!(error.starts_with("`@obligation` ") && error.contains(saying), "{text}: {error}");
        }
    }

    #[test]
    fn reuse_is_whole_seconds_within_an_hour() {
        for (text, seconds) in [("1s", 1), ("30s", 30), ("1m 30s", 90), ("2m", 120), ("1h", 3600)] {
            let terms = of(PolicyEffect::Permit, REUSE, text).unwrap();
            assert_eq!(terms.reuse_seconds, Some(seconds), "{text}");
        }
        for text in ["", "30", "0s", "-5s", "1500ms", "3601s", "2h", "9999999999h", "soon"] {
            let error = of(PolicyEffect::Permit, REUSE, text).unwrap_err();
            assert!(error.starts_with("`@reuse` `"), "{text}: {error}");
        }
    }

    #[test]
    fn audit_says_required_or_is_refused() {
        assert!(of(PolicyEffect::Permit, AUDIT, "required").unwrap().audited);
        assert!(!of(PolicyEffect::Permit, REUSE, "30s").unwrap().audited);
        for text in ["", "Required", "required ", "true", "none"] {
            let error = Terms::of(PolicyEffect::Permit, [(AUDIT, text)]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`@audit` says `{text}`; the only thing it can say is `required`")
            );
            assert!(error.help().contains("`@audit(\"required\")`"), "{}", error.help());
        }
    }

    #[test]
    fn a_forbid_has_no_terms() {
        for (name, text) in [(OBLIGATION, r#"{"id": "a", "type": "b"}"#), (REUSE, "30s"), (AUDIT, "required")]
        {
            let error = of(PolicyEffect::Forbid, name, text).unwrap_err();
            assert_eq!(error, format!("`@{name}` is for permits: a forbid allows nothing"));
        }
        assert_eq!(of(PolicyEffect::Forbid, "owner", "iam").unwrap(), Terms::default());
    }
}
