//! Policies that are deep, long or many.

use super::{FAR, TEXT_LIMIT, TREE_LIMIT, check_limit, check_serves, validate};
use crate::support::Sources;

const TOO_DEEP: &[&str] = &["nested deeper than 64 levels"];
const TOO_TALL: &[&str] =
    &["expressions deep; at most 200 are accepted", "one policy is longer than 262144 bytes"];

/// A permit whose condition this is, beside the one that lets `ana` see the plan.
fn condition(text: &str) -> Sources {
    let policy = format!("@id(\"odd\")\npermit (principal, action, resource) when {{ {text} }};\n");
    Sources::small().policy("odd.cedar", policy)
}

/// Brackets or prefixes around an operand, `levels` deep; the condition's own brace is one level more.
fn around(open: &str, operand: &str, close: &str, levels: usize) -> Sources {
    let levels = levels - 1;
    condition(&format!("{}{operand}{}", open.repeat(levels), close.repeat(levels)))
}

#[test]
fn parentheses() {
    check_limit("(", TEXT_LIMIT, TOO_DEEP, &FAR, |n| around("(", "principal.level == 1", ")", n));
}

#[test]
fn a_million_parentheses() {
    for text in ["(".repeat(1_000_000), "[".repeat(1_000_000), ")".repeat(1_000_000)] {
        let finished = validate("a million", &Sources::small().policy("odd.cedar", text));
        assert_eq!(finished.code, Some(3));
    }
}

#[test]
fn set_brackets() {
    let shape = |n: usize| {
        let inner = n - 1;
        let set = format!("{}1{}", "[".repeat(inner), "]".repeat(inner));
        condition(&format!("{set} == {set} && principal.level == 1"))
    };
    check_limit("[", TEXT_LIMIT, TOO_DEEP, &FAR, shape);
}

#[test]
fn record_braces() {
    let shape = |n: usize| {
        let inner = n - 1;
        let literal = format!("{}1{}", "{a: ".repeat(inner), "}".repeat(inner));
        condition(&format!("{literal} == {literal} && principal.level == 1"))
    };
    check_limit("{", TEXT_LIMIT, TOO_DEEP, &FAR, shape);
}

#[test]
fn negations_in_parentheses() {
    // Each level is a bracket and a prefix.
    let shape = |n: usize| {
        let levels = (n - 1) / 2;
        let more = if (n - 1) % 2 == 1 { "!" } else { "" };
        let text = format!("{}{more}(principal.level == 1){}", "!(".repeat(levels), ")".repeat(levels));
        condition(&text)
    };
    // The innermost parenthesis is one more level.
    check_limit("!(", TEXT_LIMIT - 1, TOO_DEEP, &[999, 20_001, 200_001], shape);
}

#[test]
fn prefix_operators() {
    // Cedar itself accepts four in a row; more are an error of its own or ours, never a crash.
    for prefix in ["!", "-"] {
        for levels in [3, 4, 5, TEXT_LIMIT - 2, TEXT_LIMIT - 1, TEXT_LIMIT, 1_000, 20_000, 1_000_000] {
            let operand = if prefix == "!" { "true" } else { "1 < 0" };
            let text = format!("{}{operand} || principal.level == 1", prefix.repeat(levels));
            let finished = validate(&format!("{prefix} {levels}"), &condition(&text));
            let expected = if levels <= 4 { 0 } else { 3 };
            assert_eq!(
                finished.code,
                Some(expected),
                "{prefix} {levels}: {}",
                super::shorten(&finished.stdout)
            );
        }
    }
}

#[test]
fn ifs() {
    let shape = |n: usize| {
        let ifs = "if principal.level == 1 then resource.level == 1 else ".repeat(n - 1);
        condition(&format!("{ifs}principal.level == 2"))
    };
    check_limit("if", TEXT_LIMIT, TOO_DEEP, &FAR, shape);
}

#[test]
fn ifs_within_conditions_of_ifs() {
    for levels in [10, 31, 32, 33, 64, 1_000, 20_000] {
        let text = format!(
            "{}principal.level == 1{}",
            "if (".repeat(levels),
            ") then resource.level == 1 else resource.level == 2".repeat(levels)
        );
        let finished = validate(&format!("if ( {levels}"), &condition(&text));
        assert_eq!(finished.code, Some(if levels <= 31 { 0 } else { 3 }), "{levels}");
    }
}

#[test]
fn chains_of_and_and_or() {
    for (name, operator) in [("&&", " && "), ("||", " || ")] {
        // Each comparison of an attribute is two expressions above its variable.
        let shape = |n: usize| condition(&vec!["principal.level == 1"; n - 2].join(operator));
        check_limit(name, TREE_LIMIT, TOO_TALL, &[1_000, 20_000], shape);
    }
}

#[test]
fn chains_of_additions() {
    let shape = |n: usize| condition(&format!("principal.level == {}", vec!["1"; n - 1].join(" + ")));
    check_limit("+", TREE_LIMIT, TOO_TALL, &[1_000, 20_000], shape);
}

#[test]
fn chains_of_attributes() {
    let guarded = |levels: usize| {
        let chain = format!("resource{}", ".next".repeat(levels));
        condition(&format!("{chain}.level == 1"))
    };
    for levels in [10, TREE_LIMIT - 3, TREE_LIMIT, 1_000, 20_000] {
        // `next` is optional and unguarded: the schema says no, unless the depth did first.
        let finished = validate(&format!(".next {levels}"), &guarded(levels));
        assert_eq!(finished.code, Some(3), "{levels}");
        let tall = finished.stdout.contains(TOO_TALL[0]);
        assert_eq!(tall, levels + 3 > TREE_LIMIT, "{levels}: {}", super::shorten(&finished.stdout));
    }
}

#[test]
fn has_with_a_very_long_path() {
    for levels in [1_000, 20_000] {
        let text = format!("resource has {} || principal.level == 1", vec!["next"; levels].join("."));
        assert_eq!(validate(&format!("has {levels}"), &condition(&text)).code, Some(3));
    }
}

#[test]
fn has_with_a_long_path() {
    for levels in [2, 50, TREE_LIMIT] {
        let text = format!("resource has {} || principal.level == 1", vec!["next"; levels].join("."));
        validate(&format!("has {levels}"), &condition(&text));
    }
}

#[test]
fn a_scope_cannot_be_deep_either() {
    for levels in [1, 63, 64, 65, 1_000, 200_000] {
        let list = format!("{}Mandate::Action::\"view\"{}", "[".repeat(levels), "]".repeat(levels));
        let policy = format!("@id(\"odd\")\npermit (principal, action in {list}, resource);\n");
        let finished = validate(&format!("scope {levels}"), &Sources::small().policy("odd.cedar", policy));
        assert_eq!(finished.code, Some(if levels == 1 { 0 } else { 3 }), "{levels}");
    }
}

#[test]
fn wildcards_do_not_run_away() {
    let pattern = "*a".repeat(1_000);
    let text = "a".repeat(100_000);
    let sources = condition(&format!("\"{text}b\" like \"{pattern}c\" || principal.level == 1"));
    assert_eq!(validate("like", &sources).code, Some(0));
    check_serves("like", &sources);
}

#[test]
fn a_set_of_a_hundred_thousand_elements() {
    let set = |size: usize| {
        let elements: Vec<_> = (0..size).map(|n| n.to_string()).collect();
        condition(&format!("[{}].contains(principal.level)", elements.join(", ")))
    };
    assert_eq!(validate("a large set", &set(30_000)).code, Some(0));
    check_serves("a large set", &set(30_000));
    let finished = validate("too large a set", &set(100_000));
    assert_eq!(finished.code, Some(3));
    assert!(
        finished.stdout.contains("one policy is longer than 262144 bytes"),
        "{}",
        super::shorten(&finished.stdout)
    );
}

#[test]
fn names_of_many_parts() {
    for parts in [10, 1_000, 200_000] {
        let name = vec!["A"; parts].join("::");
        let finished = validate(&format!("{parts} parts"), &condition(&format!("principal is {name}")));
        assert_eq!(finished.code, Some(3));
    }
}

#[test]
fn two_thousand_policies() {
    let one = |n: usize| {
        format!("@id(\"p{n}\")\npermit (principal, action, resource) when {{ principal.level == {n} }};\n")
    };
    let sources = Sources::small().policy("many.cedar", (0..2_000).map(one).collect::<String>());
    assert_eq!(validate("many", &sources).code, Some(0));
}

#[test]
fn text_within_strings_and_comments_does_not_count() {
    let deep = "(".repeat(1_000);
    let policy = format!(
        "// {deep}\n@id(\"odd\")\n@note(\"{deep}\")\npermit (principal, action, resource)\n\
         when {{ \"{deep}\\\"{deep}\" != \"\" && principal.level == 1 }};\n"
    );
    let sources = Sources::small().policy("odd.cedar", policy);
    assert_eq!(validate("quoted", &sources).code, Some(0));
}
