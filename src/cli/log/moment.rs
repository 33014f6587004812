//! One record for people: as a line of a table, or as a part of a story.

use std::io::Write as _;

use serde_json::Value;

use crate::audit::is_hidden;
use crate::cli::output::{BAD, FAINT, Format, GOOD, NAME};

/// Shows a record: on one line, or as it stands in the log; false once nobody reads it any more.
pub(super) fn show(line: &[u8], format: Format) -> bool {
    match format {
        Format::Json => written(&String::from_utf8_lossy(line)),
        Format::Text => written(&Moment::of(line).row()),
    }
}

/// Tells a record: on a few lines, or as it stands in the log.
pub(super) fn tell(line: &[u8], format: Format) -> bool {
    match format {
        Format::Json => written(&String::from_utf8_lossy(line)),
        Format::Text => Moment::of(line).tale().iter().all(|line| written(line)),
    }
}

fn written(line: &str) -> bool {
    writeln!(anstream::stdout(), "{line}").is_ok()
}

/// A record that is shown.
struct Moment(Value);

impl Moment {
    fn of(line: &[u8]) -> Self {
        Self(serde_json::from_slice(line).unwrap_or(Value::Null))
    }

    /// A member as text; what is no text, as JSON; nothing, where it is not there.
    fn text(&self, pointer: &str) -> String {
        shown(self.0.pointer(pointer))
    }

    fn list(&self, pointer: &str) -> impl Iterator<Item = &Value> {
        self.0.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
    }

    fn row(&self) -> String {
        let time = self.text("/time");
        let Some((style, word)) = self.verdict() else {
            return format!("{time}  {NAME}{:10}{NAME:#} {}", self.text("/kind"), self.substance());
        };
        let because = self.because();
        format!("{time}  {style}{word:10}{style:#} {}  {FAINT}{because}{FAINT:#}", self.asked())
    }

    /// Of a decision: what was decided.
    fn verdict(&self) -> Option<(anstyle::Style, &'static str)> {
        match (self.text("/kind").as_str(), self.text("/decision").as_str()) {
            ("decision", "allow") => Some((GOOD, "allow")),
            ("decision", _) => Some((BAD, "deny")),
            _ => None,
        }
    }

    fn asked(&self) -> String {
        let entity = |pointer| name(self.0.pointer(pointer));
        format!("{} {} {}", entity("/principal"), self.text("/action/id"), entity("/resource"))
    }

    /// The policies that decided, and on a deny the reason.
    fn because(&self) -> String {
        let policies: Vec<_> = self.list("/determining").map(|policy| shown(policy.get("id"))).collect();
        let reason = [self.text("/reason/code"), self.text("/reason/message")];
        let reason = reason.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
        let parts = [policies.join(", "), reason];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    }

    /// What a record says that is no decision.
    fn substance(&self) -> String {
        let said = |names: &[&str]| {
            let parts = names.iter().map(|name| self.text(name)).filter(|part| !part.is_empty());
            parts.collect::<Vec<_>>().join(" ")
        };
        match self.text("/kind").as_str() {
            "outcome" => {
                let findings: Vec<_> = self.list("/findings").map(|finding| shown(Some(finding))).collect();
                let of = format!("{} of {}", self.text("/outcome"), self.text("/of"));
                let style = if findings.is_empty() { FAINT } else { BAD };
                format!("{of}  {style}{}{style:#} {}", findings.join(", "), self.text("/detail"))
            }
            "change" => {
                let entities: Vec<_> =
                    self.list("/entities").map(|changed| name(changed.get("uid"))).collect();
                let by = self.text("/caller");
                format!(
                    "{} {}  {FAINT}by {by} {}{FAINT:#}",
                    self.text("/change"),
                    entities.join(", "),
                    self.text("/reason")
                )
            }
            "search" => format!(
                "{} {} {}  {FAINT}{} of {} found{FAINT:#}",
                self.text("/sought"),
                name(self.0.pointer("/principal")),
                self.text("/action/id"),
                self.text("/found"),
                self.text("/examined")
            ),
            "refusal" => said(&["/code", "/reason", "/field"]),
            "start" => said(&["/instance", "/version", "/mode"]),
            "stop" => said(&["/instance"]),
            "gap" => said(&["/count", "/reason"]),
            "generation" => said(&["/event", "/outcome", "/generation", "/source"]),
            _ => String::new(),
        }
    }

    fn tale(&self) -> Vec<String> {
        let Some((style, word)) = self.verdict() else { return vec![self.row()] };
        let time = self.text("/time");
        let mut lines = vec![format!(
            "{time}  {NAME}asked{NAME:#}      {}  {FAINT}{}{FAINT:#}",
            self.asked(),
            self.text("/decision_id")
        )];
        let mut add = |what: &str, text: String| {
            if !text.is_empty() {
                lines.push(format!("{:29}{FAINT}{what:10}{FAINT:#} {text}", ""));
            }
        };
        add("authority", self.authority());
        add("token", self.text("/token_digest"));
        add("arguments", self.text("/arguments_digest"));
        add("verdict", format!("{style}{word}{style:#} {}", self.because()));
        add("denied by", name(self.0.pointer("/denied_by/principal")));
        for obligation in self.list("/obligations") {
            add("obliged", format!("{} {}", shown(obligation.get("id")), shown(obligation.get("type"))));
        }
        lines
    }

    /// The chain, with the grants that hold it together.
    fn authority(&self) -> String {
        let hops: Vec<_> = self
            .list("/hops")
            .map(|hop| match name(hop.get("grant")) {
                grant if grant.is_empty() => name(hop.get("principal")),
                grant => format!("{} (by {grant})", name(hop.get("principal"))),
            })
            .collect();
        if !hops.is_empty() {
            return hops.join(" → ");
        }
        self.list("/chain").map(|member| name(Some(member))).collect::<Vec<_>>().join(" → ")
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.chars().flat_map(printable).collect(),
        Some(value) if !value.is_null() => value.to_string(),
        _ => String::new(),
    }
}

/// What a caller wrote must not act on the terminal.
fn printable(character: char) -> impl Iterator<Item = char> {
    let plain = (!is_hidden(character)).then_some(character);
    let escaped = plain.is_none().then(|| character.escape_unicode());
    plain.into_iter().chain(escaped.into_iter().flatten())
}

fn name(uid: Option<&Value>) -> String {
    let Some(uid) = uid else { return String::new() };
    let (type_name, id) = (shown(uid.get("type")), shown(uid.get("id")));
    match (type_name.is_empty(), id.is_empty()) {
        (true, true) => String::new(),
        (true, false) => id,
        (false, _) => format!("{type_name}::\"{id}\""),
    }
}
