//! Forbids whose action has children (C7).

use super::{check_clean, check_rejected};
use crate::support::Sources;

fn sources(policy: &str) -> Sources {
    let schema = r#"namespace Mandate {
  action change;
  action edit in [change] appliesTo { principal: [User], resource: [Doc], context: {} };
}
"#;
    Sources::small().schema("change.cedarschema", schema).policy("odd.cedar", policy)
}

#[test]
fn a_forbid_on_exactly_an_action_with_children_is_told_to_say_in() {
    let text = "@id(\"odd\")\nforbid (principal, action == Mandate::Action::\"change\", resource);\n";
    let [error] = sources(text).validate().errors().try_into().unwrap_or_else(|errors: Vec<String>| {
        let about: Vec<_> = errors.into_iter().filter(|error| error.contains("does not forbid")).collect();
        [about.concat()]
    });
    assert!(error.contains("does not forbid the actions in it"), "{error}");
    check_rejected("==", &sources(text), &[("odd.cedar:1", "does not forbid the actions in it")]);
    let verdict = sources(text).validate();
    let helps = |problem: &serde_json::Value| {
        problem["help"]
            .as_str()
            .is_some_and(|help| help.contains("write `action in Mandate::Action::\"change\"`"))
    };
    assert!(verdict.problems.iter().any(helps), "{verdict:?}");
}

#[test]
fn the_same_forbid_in_the_action_loads() {
    let text = "@id(\"odd\")\nforbid (principal, action in Mandate::Action::\"change\", resource);\n";
    check_clean("in", &sources(text));
    let child = "@id(\"odd\")\nforbid (principal, action == Mandate::Action::\"edit\", resource);\n";
    check_clean("a childless action", &sources(child));
}

#[test]
fn a_linked_template_is_held_to_the_same() {
    let text =
        "@id(\"odd\")\nforbid (principal == ?principal, action == Mandate::Action::\"change\", resource);\n";
    let links =
        r#"[{"template_id": "odd", "link_id": "ana", "args": {"?principal": "Mandate::User::\"ana\""}}]"#;
    let linked = sources(text).policy("odd.links.json", links);
    check_rejected("a link", &linked, &[("odd.links.json:1", "does not forbid the actions in it")]);
}

#[test]
fn a_comparison_in_a_condition_is_warned_of() {
    for effect in ["forbid"] {
        for operator in ["==", "!="] {
            let text = format!(
                "@id(\"odd\")\n{effect} (principal, action, resource) when {{ action {operator} Mandate::Action::\"view\" }};\n\
                 @id(\"about-parent\")\n{effect} (principal, action, resource) \
                 unless {{ action {operator} Mandate::Action::\"change\" && principal.level > 9 }};\n"
            );
            let verdict = sources(&text).validate();
            let warned = verdict
                .warnings()
                .iter()
                .chain(&verdict.errors())
                .any(|problem| problem.contains("odd.cedar:3"));
            assert!(warned, "{operator}: {verdict:?}");
        }
    }
}
