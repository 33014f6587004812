//! Folders that are missing or empty, and what in a folder is no source.

use std::ffi::OsString;
use std::process::Command;

use super::{check_clean, check_rejected};
use crate::support::{Sources, mandate};

#[test]
fn without_policies_or_a_schema_nothing_is_served() {
    let sources = Sources::small().without("policies/base.cedar");
    check_rejected("no policy", &sources, &[("policies", "there is no policy")]);
    let sources = Sources::small().without("schemas/small.cedarschema");
    check_rejected("no schema", &sources, &[("schemas", "there is no schema")]);
}

#[test]
fn a_missing_folder_is_named() {
    for folder in ["policies", "schemas"] {
        let sources = Sources::small().without(folder);
        check_rejected(folder, &sources, &[(folder, "cannot be read")]);
    }
}

#[test]
fn a_folder_of_entities_may_be_missing_or_empty() {
    let permit = "@id(\"all\")\npermit (principal, action, resource);\n";
    let bare = || Sources::small().without("entities/base.json").policy("base.cedar", permit);
    check_clean("empty", &bare());
    check_clean("missing", &bare().without("entities"));
}

#[test]
fn a_file_that_stands_where_a_folder_should_is_rejected() {
    for folder in ["policies", "schemas", "entities"] {
        let sources = Sources::small().without(folder).write(folder, "not a folder");
        check_rejected(folder, &sources, &[(folder, "cannot be read")]);
    }
}

#[test]
fn a_pipe_does_not_hang_the_load() {
    for path in ["policies/pipe.cedar", "schemas/pipe.cedarschema", "entities/pipe.json"] {
        let sources = Sources::small();
        let made = Command::new("mkfifo").arg(sources.path(path)).status().unwrap();
        assert!(made.success());
        let name = path.rsplit('/').next().unwrap();
        check_rejected(path, &sources, &[(name, "it is not a regular file")]);
    }
}

#[test]
fn a_device_behind_a_link_is_rejected() {
    let sources = Sources::small();
    std::os::unix::fs::symlink("/dev/zero", sources.path("policies/zero.cedar")).unwrap();
    check_rejected("a device", &sources, &[("zero.cedar", "it is not a regular file")]);
}

#[test]
fn a_link_to_nothing_is_rejected() {
    let sources = Sources::small();
    std::os::unix::fs::symlink("/nowhere/at/all", sources.path("policies/gone.cedar")).unwrap();
    check_rejected("a dangling link", &sources, &[("gone.cedar", "cannot be read")]);
}

#[test]
fn other_names_and_hidden_files_are_left_alone() {
    let sources = Sources::small()
        .policy("notes.txt", "(((")
        .policy(".base.cedar.swp", b"\xff")
        .policy(".hidden.cedar", "(((")
        .policy("base.cedar~", "(((")
        .schema("README.md", "# no schema")
        .write("entities/.hidden.json", "(((");
    let verdict = sources.validate();
    assert!(verdict.valid, "{:#?}", verdict.errors());
    let mut warned = verdict.warnings();
    warned.sort();
    let names: Vec<_> = warned.iter().map(|warning| warning.split(':').next().unwrap()).collect();
    assert_eq!(names, ["base.cedar~", "notes.txt"], "what is not read is said, what is hidden is not");
    let sources = Sources::small();
    std::fs::create_dir(sources.path("policies/folder.cedar")).unwrap();
    check_rejected("a folder named like a file", &sources, &[("folder.cedar", "it is not a regular file")]);
}

#[test]
fn links_to_files_are_followed_as_mounted_volumes_need() {
    let sources = Sources::small().without("policies/base.cedar");
    let volume = sources.path("policies/..2026_11_22");
    std::fs::create_dir(&volume).unwrap();
    std::fs::write(volume.join("base.cedar"), "@id(\"a\")\npermit (principal, action, resource);\n").unwrap();
    std::os::unix::fs::symlink("..2026_11_22", sources.path("policies/..data")).unwrap();
    std::os::unix::fs::symlink("..data/base.cedar", sources.path("policies/base.cedar")).unwrap();
    check_clean("a mounted volume", &sources);
}

#[test]
fn a_warning_is_rejected_only_when_asked_to_be_strict() {
    let naming = "@id(\"named\")\npermit (principal == Mandate::User::\"nobody\", action, resource);\n";
    let sources = Sources::small().policy("named.cedar", naming);
    let verdict = sources.validate();
    assert!(verdict.valid);
    let [warning] = verdict.warnings().try_into().expect("one warning");
    let warning: String = warning;
    assert!(warning.starts_with("named.cedar:1: ") && warning.contains("which is not stored"), "{warning}");
    let strict = ["validate", "--strict"].map(OsString::from);
    mandate(strict.into_iter().chain(sources.flags())).check_code(3);
}
