//! What `revocations.json` says: a list of delegations, each by its name or with why and when.

use cedar_policy::EntityUid;
use serde_json::Value;

use crate::engine::guard::{self, Syntax};
use crate::engine::problem::{Place, Problem, SourceFile};

/// Longest name of a delegation, in bytes.
const MAX_NAME_BYTES: usize = 4096;
/// Most entries that are reported each.
const MAX_TOLD: usize = 20;

/// What could be taken from a file, and what is wrong with the rest.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Delegations that it revokes.
    pub grants: Vec<EntityUid>,
    /// What is wrong, entry by entry.
    pub problems: Vec<Problem>,
}

/// Reads a file, of which delegations are of this type. An entry that says nothing takes no other with it.
pub fn parse(file: &SourceFile, type_name: &str) -> Parsed {
    let place = Place::new(&file.name, "");
    let mut parsed = Parsed::default();
    let listed = match guard::text(&file.bytes).map_err(|refused| refused.to_string()).and_then(list) {
        Ok(listed) => listed,
        Err(message) => {
            let help = "write a list: [\"Mandate::Delegation::\\\"id\\\"\", {\"grant\": …, \"reason\": …, \"at\": …}]; \
                        what is revoked already stays so";
            parsed.problems.push(Problem::error(&place, message).help(help));
            return parsed;
        }
    };
    let mut more = 0_usize;
    for (number, entry) in (1_usize..).zip(listed) {
        let (grant, wrong) = read(&entry, type_name);
        parsed.grants.extend(grant);
        match wrong {
            Some(message) if parsed.problems.len() < MAX_TOLD => {
                parsed.problems.push(Problem::error(&place, format!("entry {number} {message}")));
            }
            Some(_) => more += 1,
            None => {}
        }
    }
    if more > 0 {
        parsed.problems.push(Problem::error(&place, format!("and {more} more entries are wrong")));
    }
    parsed
}

fn list(text: &str) -> Result<Vec<Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Array(listed)) => Ok(listed),
        Ok(_) => Err("holds no list".to_owned()),
        Err(error) => Err(format!("is not JSON: {error}")),
    }
}

/// The delegation that an entry revokes, and what is wrong with the entry: it may be both.
fn read(entry: &Value, type_name: &str) -> (Option<EntityUid>, Option<String>) {
    let members = match entry {
        Value::String(name) => return revoked(Some(name), None, type_name),
        Value::Object(members) => members,
        _ => return revoked(None, None, type_name),
    };
    let known = |(key, value): &(&String, &Value)| {
        ["grant", "reason", "at"].contains(&key.as_str()) && value.is_string()
    };
    let odd = members.iter().find(|member| !known(member)).map(|(key, _)| {
        let key = key.escape_debug();
        format!("has a member `{key}`; it has `grant`, `reason` and `at`, which are strings")
    });
    revoked(members.get("grant").and_then(Value::as_str), odd, type_name)
}

fn revoked(
    name: Option<&str>,
    wrong: Option<String>,
    type_name: &str,
) -> (Option<EntityUid>, Option<String>) {
    let Some(name) = name else { return (None, wrong.or(Some("names no grant".to_owned()))) };
    let Some(uid) = uid_of(name) else {
        let shown: String = name.chars().take(100).collect();
        let message =
            format!("names `{}`, which is no entity; write `{type_name}::\"id\"`", shown.escape_debug());
        return (None, Some(message));
    };
    let other =
        (uid.type_name().to_string() != type_name).then(|| format!("revokes {uid}, which is no {type_name}"));
    (Some(uid), wrong.or(other))
}

/// The entity of that name.
pub(in crate::store) fn uid_of(name: &str) -> Option<EntityUid> {
    if name.len() > MAX_NAME_BYTES || guard::nesting(name, Syntax::Policy).is_err() {
        return None;
    }
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str) -> (Vec<String>, Vec<String>) {
        let file = SourceFile { name: "revocations.json".to_owned(), bytes: text.as_bytes().to_vec().into() };
        let Parsed { grants, problems } = parse(&file, "Mandate::Delegation");
        (grants.iter().map(ToString::to_string).collect(), problems.iter().map(ToString::to_string).collect())
    }

    fn grant(id: &str) -> String {
        format!("Mandate::Delegation::\"{id}\"")
    }

    #[test]
    fn an_entry_is_a_name_or_a_name_with_why_and_when() {
        let (grants, problems) = parse_text(
            r#"["Mandate::Delegation::\"a\"",
                {"grant": "Mandate::Delegation::\"b\"", "reason": "left", "at": "2026-11-22T10:00:00Z"},
                {"grant": "Mandate::Delegation::\"c \\\"q\\\"\""}]"#,
        );
        assert_eq!(grants, [grant("a"), grant("b"), grant("c \\\"q\\\"")]);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(parse_text("[]"), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_bad_entry_takes_no_good_one_with_it() {
        let good = r#""Mandate::Delegation::\"good\"""#;
        let deep = format!("\"{}\"", "(".repeat(500));
        for (bad, taken, saying) in [
            ("1", false, "entry 1 names no grant"),
            ("{}", false, "entry 1 names no grant"),
            ("\"g1\"", false, "names `g1`, which is no entity; write `Mandate::Delegation::\"id\"`"),
            (&deep, false, "which is no entity"),
            (r#"{"grant": 5}"#, false, "has a member `grant`"),
            (r#"{"grants": "Mandate::Delegation::\"x\""}"#, false, "has a member `grants`"),
            (r#"{"grant": "Mandate::Delegation::\"x\"", "why": "left"}"#, true, "has a member `why`"),
            (r#""Mandate::User::\"ana\"""#, true, "which is no Mandate::Delegation"),
        ] {
            let (grants, problems) = parse_text(&format!("[{bad}, {good}]"));
            assert_eq!(grants.len(), 1 + usize::from(taken), "{bad}");
            assert_eq!(grants.last(), Some(&grant("good")), "{bad}");
            let [problem] = problems.as_slice() else { panic!("{bad}: {problems:?}") };
            assert!(problem.contains(saying), "{bad}: {problem}");
        }
    }

    #[test]
    fn what_is_no_list_revokes_nothing_and_is_said() {
        for (text, saying) in [
            ("", "is not JSON"),
            ("[\"Mandate::Delegation::\\\"a\\\"\"", "is not JSON"),
            ("{}", "holds no list"),
            ("null", "holds no list"),
            ("\u{feff}[]", ""),
        ] {
            let (grants, problems) = parse_text(text);
            assert!(grants.is_empty(), "{text}");
            assert!(problems.len() == 1 && problems[0].contains(saying), "{text}: {problems:?}");
        }
        let many = vec!["1"; 30].join(",");
        let (_, problems) = parse_text(&format!("[{many}]"));
        assert_eq!(problems.len(), 21);
        assert!(problems[20].contains("10 more"), "{problems:?}");
    }
}
