//! Policies and links that must not load.

use serde_json::json;

use super::{check_clean, check_rejected};
use crate::support::Sources;

/// A permit with this condition, on line 2 of its file.
fn when(condition: &str) -> String {
    format!("@id(\"odd\")\npermit (principal, action, resource) when {{ {condition} }};\n")
}

#[test]
fn what_cedar_rejects_is_rejected_with_its_line() {
    let impossible = "policy is impossible";
    let cases = [
        ("syntax", when("1 +"), "odd.cedar:2", ""),
        ("no semicolon", "@id(\"odd\")\npermit (principal, action, resource)\n".to_owned(), "odd.cedar", ""),
        ("unknown function", when("evil(\"x\")"), "odd.cedar:2", "evil"),
        ("unknown method", when("principal.evil()"), "odd.cedar:2", "evil"),
        ("wrong extension value", when("ip(\"10.0.0.300\").isLoopback()"), "odd.cedar:2", ""),
        ("undeclared type", when("principal is Mandate::Nobody"), "odd.cedar:2", "Nobody"),
        ("undeclared type of literal", when("resource in Nobody::\"x\""), "odd.cedar:2", "Nobody"),
        ("undeclared action", when("action == Mandate::Action::\"fly\""), "odd.cedar:2", "fly"),
        ("undeclared attribute", when("principal.salary > 1"), "odd.cedar:2", "salary"),
        ("optional attribute unguarded", when("context.count > 1"), "odd.cedar:2", "count"),
        ("type error", when("principal.level == \"high\""), "odd.cedar:2", ""),
        ("impossible condition", when("principal.level == 1 && false"), "odd.cedar:1", impossible),
    ];
    for (name, text, place, saying) in cases {
        check_rejected(name, &Sources::small().policy("odd.cedar", text), &[(place, saying)]);
    }
}

#[test]
fn an_impossible_forbid_is_rejected_like_an_impossible_permit() {
    for effect in ["permit", "forbid"] {
        let text = format!("@id(\"odd\")\n{effect} (principal, action, resource) when {{ 1 == 2 }};\n");
        check_rejected(
            effect,
            &Sources::small().policy("odd.cedar", text),
            &[("odd.cedar:1", "policy is impossible")],
        );
    }
}

#[test]
fn a_forbid_that_applies_to_nothing_is_rejected_and_such_a_permit_only_warned_of() {
    let scoped = |effect: &str| {
        let text = format!(
            "@id(\"odd\")\n{effect} (principal is Mandate::Doc, action == Mandate::Action::\"view\", resource);\n"
        );
        Sources::small().policy("odd.cedar", text)
    };
    check_rejected("forbid", &scoped("forbid"), &[("odd.cedar:", "")]);
    // An inapplicable permit grants nothing; whether it is also impossible is Cedar's word.
    let verdict = scoped("permit").validate();
    assert!(!verdict.problems.is_empty(), "it is at least mentioned");
}

#[test]
fn a_policy_without_an_id_is_rejected() {
    let bare = "// first line\npermit (principal, action, resource);\n";
    check_rejected("none", &Sources::small().policy("odd.cedar", bare), &[("odd.cedar:2", "no `@id`")]);
    for id in ["@id(\"\")", "@id", "@ID(\"odd\")", "@name(\"odd\")"] {
        let text = format!("{id}\npermit (principal, action, resource);\n");
        check_rejected(id, &Sources::small().policy("odd.cedar", text), &[("odd.cedar:1", "no `@id`")]);
    }
}

#[test]
fn an_id_used_twice_names_both_places() {
    let again = "\n\n@id(\"base\")\nforbid (principal, action, resource);\n";
    let [error] = Sources::small().policy("odd.cedar", again).validate().errors().try_into().expect("one");
    let error: String = error;
    assert!(error.starts_with("odd.cedar:3: `@id(\"base\")` is used twice"), "{error}");
    assert!(error.contains("base.cedar:1"), "{error}");
    let twice = "@id(\"odd\")\npermit (principal, action, resource);\n".repeat(2);
    let sources = Sources::small().policy("odd.cedar", twice);
    check_rejected("in one file", &sources, &[("odd.cedar:3", "odd.cedar:1")]);
    let template = "@id(\"base\")\npermit (principal == ?principal, action, resource);\n";
    let sources = Sources::small().policy("odd.cedar", template);
    check_rejected("a template", &sources, &[("odd.cedar:1", "used twice")]);
}

#[test]
fn an_annotation_that_does_not_say_what_it_should_blocks_the_load() {
    for (name, saying) in
        [("obligation", "is not JSON"), ("reuse", "is no span"), ("audit", "can say is `required`")]
    {
        for scope in ["principal", "principal == ?principal"] {
            let text = format!("@id(\"odd\")\n@{name}(\"x\")\npermit ({scope}, action, resource);\n");
            let sources = Sources::small().policy("odd.cedar", &text);
            check_rejected(
                name,
                &sources,
                &[("odd.cedar:2", &format!("`@{name}` ")), ("odd.cedar:2", saying)],
            );
            // In a file that is no sequence of single policies, too.
            let sources = Sources::small().policy("odd.cedar", text + "// no end");
            check_rejected(name, &sources, &[("odd.cedar:2", saying)]);
        }
    }
    for (name, value) in
        [("obligation", r#"{\"id\": \"a\", \"type\": \"b\"}"#), ("reuse", "30s"), ("audit", "required")]
    {
        let forbid = format!("@id(\"odd\")\n@{name}(\"{value}\")\nforbid (principal, action, resource);\n");
        check_rejected(
            name,
            &Sources::small().policy("odd.cedar", forbid),
            &[("odd.cedar:2", "is for permits")],
        );
    }
    let audited = "@id(\"odd\")\n@audit(\"required\")\npermit (principal, action, resource);\n";
    check_clean("audited", &Sources::small().policy("odd.cedar", audited));
    let owned = "@id(\"odd\")\n@owner(\"iam\")\npermit (principal, action, resource);\n";
    check_clean("other annotations", &Sources::small().policy("odd.cedar", owned));
}

const TEMPLATE: &str = "@id(\"share\")\npermit (principal == ?principal, action, resource == ?resource);\n";

fn linked(links: &str) -> Sources {
    Sources::small().policy("share.cedar", TEMPLATE).policy("odd.links.json", links)
}

fn link(template: &str, id: &str, arguments: &serde_json::Value) -> serde_json::Value {
    json!({"template_id": template, "link_id": id, "args": arguments})
}

#[test]
fn a_template_needs_no_link_and_a_good_link_loads() {
    let unlinked = Sources::small().policy("share.cedar", TEMPLATE).validate();
    assert!(unlinked.valid, "{:#?}", unlinked.errors());
    let [warning] = unlinked.warnings().try_into().expect("one warning");
    let warning: String = warning;
    assert!(warning.starts_with("share.cedar:1: ") && warning.contains("has no link"), "{warning}");
    let arguments = json!({"?principal": "Mandate::User::\"ana\"", "?resource": "Mandate::Doc::\"plan\""});
    check_clean("a link", &linked(&json!([link("share", "ana-plan", &arguments)]).to_string()));
}

#[test]
fn a_bad_link_is_rejected() {
    let ana = "Mandate::User::\"ana\"";
    let good = json!({"?principal": ana, "?resource": "Mandate::Doc::\"plan\""});
    let cases = [
        ("no such template", json!([link("other", "l", &good)]), "other"),
        ("a policy, no template", json!([link("base", "l", &good)]), "expected a template"),
        ("a slot unfilled", json!([link("share", "l", &json!({"?principal": ana}))]), "?resource"),
        ("no such slot", json!([link("share", "l", &json!({"?action": ana}))]), "`?action` is no slot"),
        ("no entity", json!([link("share", "l", &json!({"?principal": "ana"}))]), "`ana` is no entity"),
        ("no id", json!([link("share", "", &good)]), "empty or used twice"),
        ("a policy's id", json!([link("share", "base", &good)]), "empty or used twice"),
        ("twice", json!([link("share", "l", &good), link("share", "l", &good)]), "empty or used twice"),
        (
            "unknown key",
            json!([{"template_id": "share", "link_id": "l", "args": {}, "x": 1}]),
            "unknown field",
        ),
        ("an object", json!({}), ""),
        ("no list of objects", json!([1]), ""),
    ];
    for (name, links, saying) in cases {
        check_rejected(name, &linked(&links.to_string()), &[("odd.links.json", saying)]);
    }
    let undeclared = json!({"?principal": "Nobody::\"ana\"", "?resource": "Mandate::Doc::\"plan\""});
    let sources = linked(&json!([link("share", "l", &undeclared)]).to_string());
    check_rejected("undeclared type", &sources, &[("", "Nobody")]);
}

#[test]
fn naming_an_entity_that_a_request_could_supply_is_rejected() {
    let schema = "namespace Mandate { @request_scoped(\"\") entity Note; }";
    let text =
        when("context has about && Mandate::Note::\"n\" == Mandate::Note::\"n\" && principal.level == 1");
    let sources = Sources::small().schema("note.cedarschema", schema).policy("odd.cedar", text);
    check_rejected("a request-scoped literal", &sources, &[("odd.cedar:1", "which is not stored")]);
}
