//! What outlives a broken set, an operator's mistake and the process.

use std::fs;
use std::path::PathBuf;

use super::super::support_tests::{Running, Site, permit};
use super::{Command, CommandError, KeptSets, OpenError, Outcome, Source};

/// Serves three sets one after the other, and returns their generations.
fn three(site: &Site, running: &Running) -> [String; 3] {
    ["first", "second", "third"].map(|id| {
        site.write("policies/base.cedar", permit(id));
        running.ask(Command::Reload).unwrap().generation
    })
}

fn kept_files(site: &Site) -> Vec<PathBuf> {
    let paths = fs::read_dir(site.path("data/generations")).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|suffix| suffix == "set")).collect()
}

#[test]
fn a_restart_with_broken_files_serves_what_was_good_last() {
    let site = Site::new();
    let running = site.start();
    site.write("policies/base.cedar", permit("good"));
    running.ask(Command::Reload).unwrap();
    let generation = running.generation();
    running.stop();
    let broken: [(&str, &dyn Fn()); 4] = [
        ("syntax", &|| site.write("policies/base.cedar", "permit (")),
        ("empty", &|| site.write("policies/base.cedar", "")),
        ("manifest", &|| {
            site.write("policies/base.cedar", permit("unlisted"));
            site.write("mandate.sum", "");
        }),
        ("missing", &|| site.remove("policies")),
    ];
    for (what, breaks) in broken {
        breaks();
        let running = site.start();
        assert_eq!(
            (running.generation(), running.ids()),
            (generation.clone(), vec!["good".to_owned()]),
            "{what}"
        );
        let status = running.status();
        assert_eq!(
            (status.source, status.last_load.outcome),
            (Source::LastKnownGood, Outcome::Rejected),
            "{what}"
        );
        assert!(status.serving_stale && running.found.rejects(), "{what}: it is said at the start");
        running.stop();
    }
    site.remove("mandate.sum");
    site.write("policies/base.cedar", permit("repaired"));
    let running = site.start();
    assert_eq!((running.ids(), running.status().source), (vec!["repaired".to_owned()], Source::Files));
    running.stop();
}

#[test]
fn files_that_become_what_is_served_are_the_source_again() {
    let site = Site::new();
    site.start().stop();
    site.write("policies/base.cedar", "permit (");
    let running = site.start();
    assert_eq!(running.status().source, Source::LastKnownGood);
    let sequence = running.store.current().sequence;
    site.write("policies/base.cedar", permit("base"));
    running.until("files", |running| running.status().source == Source::Files);
    assert_eq!(running.store.current().sequence, sequence);
    assert!(!running.status().serving_stale);
    running.stop();
}

#[test]
fn nothing_kept_or_not_wanted_is_the_report_of_the_files() {
    let site = Site::new();
    site.write("policies/base.cedar", "permit (");
    let Err(OpenError::Rejected { files, kept }) = site.try_start(site.config()) else { panic!("it starts") };
    assert!(files.to_string().contains("base.cedar:1"), "{files}");
    assert_eq!(kept, KeptSets::None);
    site.write("policies/base.cedar", permit("good"));
    site.start().stop();
    site.write("policies/base.cedar", "permit (");
    let mut config = site.config();
    config.serve_last_known_good = false;
    let Err(OpenError::Rejected { kept, .. }) = site.try_start(config) else { panic!("it starts") };
    assert_eq!(kept, KeptSets::Refused);
}

#[test]
fn a_set_without_policies_is_never_good() {
    let site = Site::new();
    let template = "@id(\"only\")\npermit (principal == ?principal, action, resource);\n";
    site.write("policies/base.cedar", template);
    let Err(OpenError::Rejected { files, .. }) = site.try_start(site.config()) else { panic!("it starts") };
    assert!(files.to_string().contains("there is no policy"), "{files}");
}

#[test]
fn damaged_sets_are_skipped_and_the_next_is_served() {
    let site = Site::new();
    let running = site.start();
    let first = running.generation();
    running.until("kept", |running| running.status().kept.len() == 1);
    site.write("policies/base.cedar", permit("second"));
    running.ask(Command::Reload).unwrap();
    let second = running.status().kept.first().map(|kept| kept.set.clone());
    running.stop();
    let [mut newest, mut oldest]: [PathBuf; 2] = kept_files(&site).try_into().unwrap();
    if oldest.file_stem().map(|stem| stem.to_string_lossy().into_owned()) != second {
        std::mem::swap(&mut newest, &mut oldest);
    }
    let damage = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap().replace("second", "secnod").replace("base", "besa");
        fs::write(path, text).unwrap();
    };
    damage(&newest);
    site.write("policies/base.cedar", "permit (");
    let running = site.start();
    assert_eq!((running.generation(), running.ids()), (first, vec!["base".to_owned()]));
    assert!(running.status().keep_error.as_ref().unwrap().contains("checksum"), "{:?}", running.status());
    running.stop();
    kept_files(&site).iter().for_each(damage);
    let Err(OpenError::Rejected { kept, .. }) = site.try_start(site.config()) else { panic!("it starts") };
    assert_eq!(kept, KeptSets::None);
}

#[test]
fn kept_sets_that_no_longer_load_are_told_of() {
    let site = Site::new();
    site.start().stop();
    site.write("policies/base.cedar", "permit (");
    let mut config = site.config();
    config.options.domain.chain_required = vec!["Mandate::Nobody".to_owned()];
    let failed = site.try_start(config).map(|running| running.ids());
    let Err(OpenError::Rejected { kept: KeptSets::Rejected(problems), .. }) = failed else {
        panic!("{failed:?}")
    };
    assert_eq!(problems.len(), 1);
}

#[test]
fn a_history_that_cannot_be_written_stops_nothing() {
    let site = Site::new();
    site.write("data/generations", "a file in its place");
    let running = site.start();
    running.until("said", |running| running.status().keep_error.is_some());
    site.write("policies/base.cedar", permit("second"));
    assert_eq!(running.ask(Command::Reload).unwrap().outcome, Outcome::Published);
    site.remove("data/generations");
    running.until("tried again", |running| running.status().kept.len() == 1);
    running.stop();
    let running = site.start();
    running.until("kept again", |running| running.status().keep_error.is_none());
    running.stop();
}

#[test]
fn ten_sets_are_kept_and_the_latest_are_they() {
    let site = Site::new();
    let running = site.start();
    let mut generations = Vec::new();
    for round in 0..12 {
        site.write("policies/base.cedar", permit(&format!("set-{round}")));
        generations.push(running.ask(Command::Reload).unwrap().generation);
        running.until("kept", |running| {
            running.status().kept.first().is_some_and(|kept| kept.generations == [running.generation()])
        });
    }
    let kept: Vec<_> = running.status().kept.iter().map(|kept| kept.generations[0].clone()).collect();
    generations.reverse();
    generations.truncate(10);
    assert_eq!(kept, generations);
    assert_eq!(kept_files(&site).len(), 10);
    running.stop();
}

#[test]
fn a_rollback_holds_until_the_files_change() {
    let site = Site::new();
    let running = site.start();
    running.until("kept", |running| running.status().kept.len() == 1);
    let base = running.generation();
    let [_, _, third] = three(&site, &running);
    let served = running.roll_back(base.get(..20).unwrap()).unwrap();
    assert_eq!((served.generation, served.source), (base.clone(), Source::Rollback));
    assert_eq!(running.status().pinned.as_ref().unwrap().generation, base);
    assert!(running.status().serving_stale);
    running.stays("the files as they are");
    assert_eq!(running.ask(Command::Reload).unwrap().outcome, Outcome::Unchanged, "nor when asked to");
    site.write("policies/base.cedar", permit("third"));
    running.stays("the same files, written once more");
    site.write("policies/base.cedar", permit("fourth"));
    running.until_serving(&["fourth"]);
    assert_eq!((running.status().pinned.clone(), running.status().source), (None, Source::Files));
    assert_eq!(running.roll_back(&third).unwrap().generation, third);
    running.stop();
}

#[test]
fn a_release_loads_the_files_or_says_why_not() {
    let site = Site::new();
    let running = site.start();
    running.until("kept", |running| running.status().kept.len() == 1);
    let base = running.generation();
    assert_eq!(running.ask(Command::Release), Err(CommandError::NotPinned));
    site.write("policies/base.cedar", permit("later"));
    running.ask(Command::Reload).unwrap();
    running.roll_back(&base).unwrap();
    let served = running.ask(Command::Release).unwrap();
    assert_eq!((served.outcome, served.source), (Outcome::Published, Source::Files));
    assert_eq!(running.ids(), ["later"]);
    running.roll_back(&base).unwrap();
    site.write("policies/base.cedar", "permit (");
    running.until_rejected("base.cedar:1");
    assert_eq!((running.ids(), running.status().source), (vec!["base".to_owned()], Source::LastKnownGood));
    assert_eq!(running.status().pinned, None, "changed files end the rollback, broken ones too");
    running.roll_back(&base).unwrap();
    let served = running.ask(Command::Release).unwrap();
    assert_eq!((served.outcome, served.source), (Outcome::Rejected, Source::LastKnownGood));
    assert!(served.problems[0].contains("base.cedar:1"), "{served:?}");
    assert_eq!((served.generation, running.generation()), (base.clone(), base));
    running.stop();
}

#[test]
fn a_rollback_survives_a_restart_and_ends_with_other_files() {
    let site = Site::new();
    let running = site.start();
    running.until("kept", |running| running.status().kept.len() == 1);
    let base = running.generation();
    site.write("policies/base.cedar", permit("later"));
    running.ask(Command::Reload).unwrap();
    running.roll_back(&base).unwrap();
    running.stop();
    let running = site.start();
    assert_eq!((running.ids(), running.status().source), (vec!["base".to_owned()], Source::Rollback));
    assert_eq!(running.status().pinned.as_ref().unwrap().generation, base);
    running.stays("after a restart");
    running.stop();
    site.write("policies/base.cedar", permit("newer"));
    let running = site.start();
    assert_eq!((running.ids(), running.status().pinned.clone()), (vec!["newer".to_owned()], None));
    running.stop();
    site.write("policies/base.cedar", permit("later"));
    let running = site.start();
    assert_eq!(running.ids(), ["later"], "a rollback that ended does not come back");
    running.stop();
}

/// A site that is rolled back to `base` from `later`, and its first generation.
fn rolled_back(site: &Site) -> (Running, String) {
    let running = site.start();
    running.until("kept", |running| running.status().kept.len() == 1);
    let base = running.generation();
    site.write("policies/base.cedar", permit("later"));
    running.ask(Command::Reload).unwrap();
    running.roll_back(&base).unwrap();
    (running, base)
}

/// Fails unless the rollback holds, and this is said of the files.
#[track_caller]
fn check_held(running: &Running, saying: &str) {
    running.until_rejected(saying);
    running.stays(saying);
    let status = running.status();
    assert_eq!((status.source, status.pinned.is_some()), (Source::Rollback, true), "{saying}");
    assert_eq!(running.ids(), ["base"], "{saying}");
}

#[test]
fn no_error_ends_a_rollback_neither_running_nor_at_a_start() {
    type Step<'a> = &'a dyn Fn(&Site);
    let steps: [(&str, Step<'_>, Step<'_>); 4] = [
        (
            "policies: cannot be read",
            &|site| fs::rename(site.path("policies"), site.path("gone")).unwrap(),
            &|site| fs::rename(site.path("gone"), site.path("policies")).unwrap(),
        ),
        (
            "entities: the folder is gone",
            &|site| fs::rename(site.path("entities"), site.path("gone")).unwrap(),
            &|site| fs::rename(site.path("gone"), site.path("entities")).unwrap(),
        ),
        ("not a regular file", &|site| fs::create_dir(site.path("policies/odd.cedar")).unwrap(), &|site| {
            site.remove("policies/odd.cedar")
        }),
        ("is not listed in mandate.sum", &|site| site.write("mandate.sum", "# under way\n"), &|site| {
            site.remove("mandate.sum")
        }),
    ];
    for (saying, breaks, repairs) in steps {
        let site = Site::new();
        let (running, base) = rolled_back(&site);
        breaks(&site);
        check_held(&running, saying);
        running.stop();
        let running = site.start();
        check_held(&running, saying);
        assert!(running.found.rejects(), "{saying}: it is said at the start");
        repairs(&site);
        running.until("whole again", |running| running.status().last_load.outcome == Outcome::Unchanged);
        running.stays("the files that were rolled back from");
        assert_eq!(running.status().pinned.as_ref().unwrap().generation, base);
        site.write("policies/base.cedar", permit("newer"));
        running.until_serving(&["newer"]);
        assert_eq!(running.status().pinned, None);
        running.stop();
    }
}

#[test]
fn a_rollback_during_an_update_is_against_what_the_update_brings() {
    for restart in [false, true] {
        let site = Site::new();
        site.seal();
        let mut running = site.start();
        running.until("kept", |running| running.status().kept.len() == 1);
        let base = running.generation();
        site.write("policies/base.cedar", permit("bad"));
        running.roll_back(&base).unwrap();
        check_held(&running, "does not match mandate.sum");
        if restart {
            running.stop();
            site.seal();
            running = site.start();
        } else {
            site.seal();
        }
        running.until("adopted", |running| running.status().last_load.problems.is_empty());
        running.stays("what was rolled back from");
        assert_eq!((running.ids(), running.status().source), (vec!["base".to_owned()], Source::Rollback));
        running.stop();
        let running = site.start();
        running.stays("after a restart");
        assert_eq!(running.ids(), ["base"]);
        site.write("policies/base.cedar", permit("good"));
        site.seal();
        running.until_serving(&["good"]);
        assert_eq!(running.status().pinned, None);
        running.stop();
    }
}

#[test]
fn a_rollback_that_cannot_be_served_is_not_given_up_in_silence() {
    let site = Site::new();
    let running = site.start();
    running.until("kept", |running| running.status().kept.len() == 1);
    let base = running.generation();
    site.write("policies/base.cedar", permit("later"));
    running.ask(Command::Reload).unwrap();
    running.roll_back(&base).unwrap();
    running.stop();
    let pin = fs::read(site.path("data/rollback.pin")).unwrap();
    fs::write(site.path("data/rollback.pin"), &pin[..20]).unwrap();
    assert!(matches!(site.try_start(site.config()), Err(OpenError::Damaged(_))));
    fs::write(site.path("data/rollback.pin"), pin).unwrap();
    site.remove("data/generations");
    let error = site.try_start(site.config()).unwrap_err();
    assert!(error.to_string().contains("rollback.pin"), "{error}");
    site.remove("data/rollback.pin");
    let running = site.start();
    assert_eq!(running.ids(), ["later"]);
    running.stop();
}

#[test]
fn a_rollback_to_nothing_known_changes_nothing() {
    let site = Site::new();
    let running = site.start();
    let name = "sha256:0123456789".to_owned();
    assert_eq!(running.roll_back(&name), Err(CommandError::Unknown(name)));
    assert!(matches!(running.roll_back("base"), Err(CommandError::Malformed(_))));
    let generation = running.generation();
    assert_eq!(running.status().pinned, None);
    let served = running.roll_back(&generation).unwrap();
    assert_eq!(
        (served.outcome, served.source),
        (Outcome::Unchanged, Source::Rollback),
        "it pins what is served"
    );
    running.stop();
}
