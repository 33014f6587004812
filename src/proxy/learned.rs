//! What was done, as the text of policies.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::held::{Held, quoted};
use super::learn::{Doing, Ways};

const HEADER: &str = "\
// Permits for exactly what `mandate proxy --observe --learn` saw, for a person to review.
//
// Nothing loads this file by itself. What was seen is not what is right: an agent that was led astray was watched like any
// other. Take over what each agent needs, say why in a comment, and leave out the rest; then add the file to the policies.
// It holds arguments of calls: do not pass it on unread.
";

/// The whole file.
pub(super) fn text(seen: &BTreeMap<Doing, Ways>) -> String {
    let mut text = HEADER.to_owned();
    if seen.is_empty() {
        text.push_str("\n// Nothing was seen yet.\n");
    }
    for (number, (doing, ways)) in seen.iter().enumerate() {
        policy(&mut text, number + 1, doing, ways);
    }
    text
}

fn policy(text: &mut String, number: usize, doing: &Doing, ways: &Ways) {
    let times = if ways.times == 1 { "once".to_owned() } else { format!("{} times", ways.times) };
    line(text, &format!("\n// Seen {times}."));
    if ways.is_open {
        line(text, "// In too many ways to tell them apart: hold it to what it should be.");
    }
    if !ways.free.is_empty() {
        let names: Vec<_> = ways.free.iter().map(|name| quoted(name)).collect();
        line(text, &format!("// Not held to any value: {}.", names.join(", ")));
    }
    let verb = if doing.with_children { "in" } else { "==" };
    line(text, &format!("@id(\"learned-{number}\")"));
    line(text, "permit (");
    line(text, &format!("  principal == {},", uid(&doing.principal)));
    line(text, &format!("  action {verb} {},", uid(&doing.action)));
    line(text, &format!("  resource == {}", uid(&doing.resource)));
    let conditions: Vec<_> = ways.held.iter().map(Held::conditions).collect();
    if conditions.is_empty() || conditions.iter().any(|conditions| conditions.is_empty()) {
        return line(text, ");");
    }
    line(text, ")");
    line(text, "when {");
    let ways: Vec<_> =
        conditions.iter().map(|conditions| format!("  ({})", conditions.join(" &&\n   "))).collect();
    line(text, &ways.join(" ||\n"));
    line(text, "};");
}

fn line(text: &mut String, line: &str) {
    // Writing to a string does not fail.
    let _written = writeln!(text, "{line}");
}

/// An entity. Types come from a schema, ids from anywhere.
fn uid((type_name, id): &(String, String)) -> String {
    format!("{type_name}::{}", quoted(id))
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use cedar_policy::PolicySet;

    use super::*;

    #[test]
    fn whatever_was_seen_becomes_one_policy_and_no_more() {
        let hostile = "x\"); permit (principal, action, resource);\n// \u{202e}";
        let named = |type_name: &str| (type_name.to_owned(), hostile.to_owned());
        let doing = Doing {
            principal: named("Mandate::Agent"),
            action: ("Mandate::Action".to_owned(), "call_tool".to_owned()),
            with_children: true,
            resource: named("Mandate::Tool"),
        };
        let ways = Ways {
            times: 2,
            held: vec![Held::text("uri", hostile), Held::text("uri", "y")],
            is_open: false,
            free: vec![hostile.to_owned()],
        };
        let text = text(&BTreeMap::from([(doing, ways)]));
        let policies = PolicySet::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(policies.policies().count(), 1, "{text}");
        assert!(!text.contains('\u{202e}'), "{text}");
    }
}
