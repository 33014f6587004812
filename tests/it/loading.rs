//! Sources that must not load, and what is said of them: file, line, what is wrong.

mod actions;
mod entities;
mod folders;
mod policies;
mod schemas;
mod text;

use crate::support::{Process, Sources};

/// Fails unless `validate` reports each of these errors (`file:line` or `file`, and what it says), and `serve`
/// refuses to start for them.
#[track_caller]
fn check_rejected(name: &str, sources: &Sources, expected: &[(&str, &str)]) {
    let verdict = sources.validate();
    let errors = verdict.errors();
    assert!(!verdict.valid, "{name}: it loads");
    for (place, saying) in expected {
        let found = errors.iter().any(|error| error.starts_with(place) && error.contains(saying));
        assert!(found, "{name}: no error at `{place}` says `{saying}`: {errors:#?}");
    }
    match Process::try_start(sources) {
        Ok(_) => panic!("{name}: `validate` rejects what `serve` serves"),
        Err(finished) => {
            finished.check_code(3);
            assert!(finished.stderr.contains("rejected"), "{name}: {finished:?}");
        }
    }
}

/// Fails unless the sources load, without so much as a warning.
#[track_caller]
fn check_clean(name: &str, sources: &Sources) {
    let verdict = sources.validate();
    assert!(verdict.valid, "{name}: {:#?}", verdict.errors());
    assert_eq!(verdict.warnings(), Vec::<String>::new(), "{name}");
}

#[test]
fn the_sources_that_every_case_here_changes_are_themselves_good() {
    check_clean("small", &Sources::small());
}

#[test]
fn every_problem_of_a_load_is_reported_at_once() {
    let sources = Sources::small()
        .policy("a.cedar", "permit (principal, action, resource);\n")
        .policy("b.cedar", "@id(\"b\")\npermit (principal, action, resource) when { 1 + };\n")
        .policy("c.cedar", b"// \xff\n")
        .policy("d.cedar", "@id(\"d\")\npermit (principal, action, resource) when { principal.lvl == 1 };\n")
        .policy("e.cedar", "@id(\"base\")\npermit (principal, action, resource);\n")
        .policy("f.cedar", "")
        .write("policies/g.links.json", "{}")
        .write("entities/h.json", "[{\"uid\": 1}]")
        .write("entities/i.json", "[");
    let expected = [
        ("a.cedar:1", "no `@id`"),
        ("b.cedar:2", ""),
        ("c.cedar", "not UTF-8"),
        ("d.cedar:2", "lvl"),
        ("e.cedar:", "used twice"),
        ("f.cedar", "holds no policy"),
        ("g.links.json", ""),
        ("h.json:1", ""),
        ("i.json", ""),
    ];
    check_rejected("all at once", &sources, &expected);
}

#[test]
fn a_rejected_load_shows_the_source_to_people() {
    let sources = Sources::small()
        .policy("b.cedar", "@id(\"b\")\npermit (principal, action, resource) when { 1 + };\n");
    let arguments = [std::ffi::OsString::from("validate")].into_iter().chain(sources.flags());
    let finished = crate::support::mandate(arguments);
    finished.check_code(3);
    for shown in ["b.cedar:2", "when { 1 + };", "rejected: 1 errors"] {
        assert!(finished.stderr.contains(shown), "no `{shown}` in {}", finished.stderr);
    }
}
