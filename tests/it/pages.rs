//! The documentation: every code is explained, every link leads somewhere, every page is found from the index.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mandate::engine::decision::ReasonCode;

use crate::support::repository;

fn page(name: &str) -> String {
    fs::read_to_string(repository().join(name)).unwrap()
}

/// Every page that people read.
fn pages() -> Vec<PathBuf> {
    let folders = [
        "",
        "docs",
        "docs/reference",
        "clients/python",
        "clients/typescript",
        "benches",
        "deploy/helm/mandate",
    ];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(repository().join(folder)).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// A page's lines that are no code.
fn prose(text: &str) -> Vec<&str> {
    let mut code = false;
    let is_prose = |line: &&str| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    };
    text.lines().filter(is_prose).collect()
}

#[test]
fn every_reason_is_explained() {
    let denied = page("docs/denied.md");
    for code in ReasonCode::ALL.map(ReasonCode::as_str) {
        assert!(denied.contains(&format!("`{code}`")), "docs/denied.md does not explain `{code}`");
    }
    // Those of refusals stand in one place of the code.
    let source = page("src/pdp/refused.rs");
    let (_, reasons) = source.split_once("pub fn reason(").unwrap();
    let (reasons, _) = reasons.split_once("\n    }\n").unwrap();
    let reasons: Vec<_> = reasons.split('"').skip(1).step_by(2).collect();
    assert!(reasons.len() >= 10, "{reasons:?}");
    for reason in reasons {
        assert!(denied.contains(&format!("`{reason}`")), "docs/denied.md does not explain `{reason}`");
    }
}

#[test]
fn every_page_is_found_from_the_index() {
    let index = page("docs/README.md");
    for entry in fs::read_dir(repository().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_page = name.ends_with(".md") && name != "README.md";
        assert!(!is_page || index.contains(&format!("]({name})")), "docs/README.md does not lead to {name}");
    }
    assert!(page("README.md").contains("](docs/README.md)"), "README.md does not lead to docs/README.md");
}

#[test]
fn every_link_leads_somewhere() {
    let mut links = 0;
    for from in pages() {
        let text = fs::read_to_string(&from).unwrap();
        for target in prose(&text).iter().flat_map(|line| targets(line)) {
            links += 1;
            check(&from, target);
        }
    }
    assert!(links > 200, "{links} links were looked at");
}

/// Where a line's links lead to, as far as that is within the repository.
fn targets(line: &str) -> Vec<&str> {
    let ends = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    ends.map(|(target, _)| target).filter(|target| !target.contains("://")).collect()
}

fn check(from: &Path, target: &str) {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { from.to_owned() } else { from.parent().unwrap().join(file) };
    assert!(path.exists(), "{} links {target}, which is not there", from.display());
    if !anchor.is_empty() {
        let text = fs::read_to_string(&path).unwrap();
        let anchors: BTreeSet<_> =
            prose(&text).iter().filter(|line| line.starts_with('#')).map(|line| slug(line)).collect();
        assert!(
            anchors.contains(anchor),
            "{} links {target}; {} has {anchors:?}",
            from.display(),
            path.display()
        );
    }
}

/// What a heading is called in links.
fn slug(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}
