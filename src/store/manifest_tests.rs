//! Manifests: what they accept, and what they hold a set to.

use super::directory::read;
use super::manifest::Manifest;
use super::support_tests::{Site, errors, permit};
use crate::engine::problem::{Report, SourceFile};

const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn parse(text: &str) -> Vec<String> {
    let mut report = Report::default();
    let file = SourceFile { name: "mandate.sum".to_owned(), bytes: text.into() };
    let manifest = Manifest::parse(&file, &mut report);
    assert_eq!(manifest.is_none(), report.rejects(), "{text}");
    errors(&report)
}

#[test]
fn lines_of_sha256sum_are_accepted() {
    let upper = SUM.to_ascii_uppercase();
    for text in [
        String::new(),
        format!("# made by hand\n\n{SUM}  a.cedar\n{SUM} *policies/b c.cedar"),
        format!("{upper}  ./a.cedar\r\n{SUM}  b.cedar\r\n"),
    ] {
        assert_eq!(parse(&text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn any_other_line_is_refused_by_its_number() {
    let short = SUM.get(1..).unwrap();
    for (line, saying) in [
        (format!("{SUM}  /etc/passwd"), "leads out"),
        (format!("{SUM}  ../a.cedar"), "leads out"),
        (format!("{SUM}  a/../../b.cedar"), "leads out"),
        (format!("{SUM}  a\\b.cedar"), "backslash"),
        (format!("\\{SUM}  a\\nb.cedar"), "not a line"),
        (format!("{SUM}  a\tb.cedar"), "control character"),
        (format!("{SUM}  ok.cedar"), "listed twice"),
        (format!("{SUM}  ./ok.cedar"), "listed twice"),
        (format!("{SUM}  a//b.cedar"), "no path"),
        (format!("{SUM}  a/"), "no path"),
        (format!("{SUM}  ."), "without a path"),
        (format!("{SUM}  "), "without a path"),
        (format!("{SUM} a.cedar"), "not a line"),
        (format!("{short}  a.cedar"), "not a line"),
        (format!("{SUM}0  a.cedar"), "not a line"),
        (format!("g{short}  a.cedar"), "not a line"),
        (format!("é{short}"), "not a line"),
        ("a.cedar".to_owned(), "not a line"),
    ] {
        let found = parse(&format!("{SUM}  ok.cedar\n{line}\n"));
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        assert!(found[0].starts_with("mandate.sum:2: ") && found[0].contains(saying), "{found:?}");
    }
}

/// Fails unless reading says exactly this of these files.
#[track_caller]
fn check(site: &Site, expected: &[(&str, &str)]) {
    let found = read(&site.folders()).map_or_else(|report| errors(&report), |_| Vec::new());
    let says = |text: &str, (file, saying): &(&str, &str)| text.contains(file) && text.contains(saying);
    let matching = expected.iter().all(|wanted| found.iter().any(|text| says(text, wanted)));
    assert!(matching && found.len() == expected.len(), "{expected:?}: {found:#?}");
}

#[test]
fn a_set_is_what_its_manifest_says_or_nothing() {
    let site = Site::new();
    site.write("policies/README.md", "no source");
    site.write("policies/tests/cases.yaml", "no source");
    site.write("emergency/stop.cedar", "not covered");
    site.seal();
    let sums = std::fs::read_to_string(site.path("mandate.sum")).unwrap_or_default();
    assert!(sums.contains("README.md"));
    site.write(
        "mandate.sum",
        format!("{sums}{SUM}  emergency/gone.cedar\n{SUM}  policies/tests/gone.cedar\n"),
    );
    check(&site, &[]);
    site.write("policies/base.cedar", permit("other"));
    site.write("policies/more.cedar", permit("more"));
    site.remove("entities/base.json");
    check(
        &site,
        &[
            ("policies/base.cedar", "does not match mandate.sum"),
            ("policies/more.cedar", "is not listed in mandate.sum"),
            ("entities/base.json", "is listed in mandate.sum and missing"),
        ],
    );
    site.remove("policies/more.cedar");
    site.write("entities/base.json", "[]");
    site.seal();
    check(&site, &[]);
}

#[test]
fn what_is_listed_and_never_read_is_told_of() {
    let site = Site::new();
    for path in ["policies/team/a.cedar", "policies/a.cedar.orig", "policies/.a.cedar", "entities/a.cedar"] {
        site.seal();
        let sums = std::fs::read_to_string(site.path("mandate.sum")).unwrap();
        site.write("mandate.sum", format!("{sums}{SUM}  {path}\n"));
        check(&site, &[(path, "is no source by its name and place")]);
    }
    site.remove("mandate.sum");
    let sums = site.sums("policies", "");
    site.write(
        "policies/mandate.sum",
        format!("{sums}{SUM}  team/a.cedar\n{SUM}  tests/a.cedar\n{SUM}  a.md\n"),
    );
    check(&site, &[("team/a.cedar", "is no source by its name and place")]);
}

#[test]
fn one_folder_for_everything_has_one_manifest() {
    let site = Site::new();
    site.write("policies/small.cedarschema", super::support_tests::SCHEMA);
    site.write("policies/base.json", "[]");
    site.write("policies/mandate.sum", site.sums("policies", ""));
    let all = site.path("policies");
    let folders = super::directory::Folders { policies: all.clone(), schemas: all.clone(), entities: all };
    assert_eq!(read(&folders).map_err(|report| errors(&report)).map(|_| ()), Ok(()));
}

#[test]
fn a_manifest_in_a_folder_covers_that_folder() {
    let site = Site::new();
    site.write("policies/mandate.sum", site.sums("policies", ""));
    let sources = read(&site.folders()).unwrap();
    assert_eq!(sources.unread, Vec::<String>::new(), "the manifest is no stray file");
    site.write("entities/base.json", "[ ]");
    check(&site, &[]);
    site.write("policies/base.cedar", permit("other"));
    check(&site, &[("base.cedar", "does not match")]);
}

#[test]
fn an_empty_a_broken_and_an_unreadable_manifest_vouch_for_nothing() {
    let site = Site::new();
    site.write("policies/mandate.sum", "");
    check(&site, &[("base.cedar", "is not listed")]);
    site.write("policies/mandate.sum", "nonsense");
    check(&site, &[("mandate.sum:1", "not a line")]);
    site.write("policies/mandate.sum", b"\xff");
    check(&site, &[("mandate.sum", "not UTF-8")]);
    site.remove("policies/mandate.sum");
    site.write("mandate.sum/file", "");
    check(&site, &[("mandate.sum", "not a regular file")]);
    site.remove("mandate.sum");
    std::os::unix::fs::symlink("nowhere", site.path("mandate.sum")).unwrap();
    check(&site, &[("mandate.sum", "cannot be read")]);
}
