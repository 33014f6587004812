//! What is shipped: policies, cases, typed actions and the pages generated from them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mandate::cases::run::{CaseOutcome, run};
use mandate::cases::{Case, Kind, controls, mutants, parse};
use mandate::engine::cedar::PolicyEffect;
use mandate::engine::compile::{Options, compile};
use mandate::engine::world::World;
use mandate::store::directory::{Folders, read};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn world() -> World {
    let folder = |name: &str| root().join(name);
    let folders =
        Folders { policies: folder("policies"), schemas: folder("schemas"), entities: folder("entities") };
    let loaded = compile(&read(&folders).unwrap(), &Options::default()).unwrap();
    assert!(loaded.warnings.problems.is_empty(), "the shipped sources warn of nothing: {}", loaded.warnings);
    loaded.world
}

fn cases() -> Vec<Case> {
    let folder = root().join("policies/tests");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let named = |path: &Path| format!("policies/tests/{}", path.file_name().unwrap().to_string_lossy());
    files.iter().flat_map(|path| parse(&named(path), &fs::read_to_string(path).unwrap()).unwrap()).collect()
}

#[test]
fn every_case_comes_out_as_it_says() {
    let world = world();
    for case in cases() {
        assert_eq!(run(&world, &case), CaseOutcome::Passed, "{}: {}", case.file, case.name);
    }
}

#[test]
fn every_policy_is_needed_by_a_case() {
    assert_eq!(mutants::survivors(&world(), &cases()), Vec::<String>::new());
}

#[test]
fn every_policy_allows_denies_and_nearly_misses() {
    let cases = cases();
    for policy in &world().generation.policies {
        let about = cases.iter().filter(|case| case.policy.as_deref() == Some(policy.id.as_str()));
        let kinds: BTreeSet<_> = about.filter_map(|case| case.kind).collect();
        assert_eq!(kinds, BTreeSet::from([Kind::Allow, Kind::Deny, Kind::NearMiss]), "{}", policy.id);
    }
}

#[test]
fn every_policy_says_who_answers_for_it_and_what_it_stops() {
    let world = world();
    for policy in &world.generation.policies {
        let has = |name: &str| policy.annotations.get(name).is_some_and(|value| !value.is_empty());
        assert!(has("owner") && has("control"), "{}", policy.id);
        assert!(policy.effect == PolicyEffect::Permit || has("reason"), "{}", policy.id);
    }
    assert_eq!(controls::unknown(&world), BTreeSet::new());
}

#[test]
fn the_controls_page_is_current() {
    let page = fs::read_to_string(root().join("docs/controls.md")).unwrap();
    let fresh = controls::page(&world(), &cases()).replace(&format!("{}/", root().display()), "");
    assert!(page == fresh, "run: mandate test --controls docs/controls.md");
}

#[test]
fn typed_actions_see_what_a_plain_tool_call_sees() {
    let world = world();
    let catalog = &world.generation.catalog;
    let plain = catalog.actions().find(|action| action.uid.id().unescaped() == "call_tool").unwrap();
    let typed: Vec<_> = catalog.actions().filter(|action| action.tool.is_some()).collect();
    assert!(!typed.is_empty());
    for action in typed {
        assert_eq!(action.supplied, plain.supplied, "{}", action.uid);
        assert_eq!(action.principals, plain.principals, "{}", action.uid);
        let mut filled = action.filled.clone();
        assert!(filled.attributes.remove("input").is_some(), "{}", action.uid);
        assert_eq!(filled, plain.filled, "{}", action.uid);
        assert!(
            action.tool.as_ref().unwrap().input_schema.is_some(),
            "{} has a definition on file",
            action.uid
        );
    }
}
