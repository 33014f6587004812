//! Emergency forbids: in force with whatever is served, and lifted only by taking their file away.

use std::fs;
use std::time::Duration;

use super::super::support_tests::{Running, SCHEMA, Site, errors, forbid, permit};
use super::{Command, CommandError, OpenError, Outcome, Source};

/// A site with one emergency forbid.
fn stopped() -> Site {
    let site = Site::new();
    site.write("emergency/stop.cedar", forbid("stop"));
    site
}

/// Fails unless reloading puts exactly these in force, and says this of the folder.
#[track_caller]
fn check(running: &Running, ids: &[&str], saying: &[&str]) {
    running.ask(Command::Reload).unwrap();
    assert_eq!(running.ids(), ids, "{saying:?}");
    let problems = running.status().emergency.problems.clone();
    assert_eq!(problems.is_empty(), saying.is_empty(), "{problems:#?}");
    for saying in saying {
        assert!(problems.iter().any(|problem| problem.contains(saying)), "no `{saying}` in {problems:#?}");
    }
}

#[test]
fn forbids_join_what_is_served_and_its_name() {
    let site = Site::new();
    let running = site.start();
    let base = running.generation();
    site.write("emergency/stop.cedar", forbid("stop"));
    running.until_serving(&["base", "emergency:stop"]);
    let with = running.generation();
    assert_ne!(with, base, "the generation's hash covers them");
    let status = running.status();
    assert_eq!(
        (status.emergency.files.clone(), status.emergency.policies),
        (vec!["stop.cedar".to_owned()], 1)
    );
    let nameless = "forbid (principal, action, resource);\nforbid (principal, action, resource);\n";
    site.write("emergency/stop.cedar", nameless);
    running.until_serving(&["base", "emergency:stop.cedar#1", "emergency:stop.cedar#2"]);
    site.write("policies/base.cedar", permit("next"));
    running.until_serving(&["next", "emergency:stop.cedar#1", "emergency:stop.cedar#2"]);
    site.remove("emergency/stop.cedar");
    running.until_serving(&["next"]);
    site.write("policies/base.cedar", permit("base"));
    running.until_serving(&["base"]);
    assert_eq!(running.generation(), base);
    running.stop();
}

#[test]
fn a_forbid_in_force_denies() {
    use crate::engine::authorize::{Now, authorize};
    use crate::engine::datum::Reference;
    use crate::engine::decision::Effect;
    use crate::engine::request::AuthzRequest;
    let site = Site::new();
    let running = site.start();
    let request = AuthzRequest::new(
        Reference::new("Mandate::User", "ana"),
        Reference::new("", "view"),
        Reference::new("Mandate::Doc", "plan"),
    );
    let decided = || authorize(&running.store.current().world, &request, Now(0)).unwrap().effect;
    assert_eq!(decided(), Effect::Allow);
    site.write("emergency/stop.cedar", forbid("stop"));
    running.ask(Command::Reload).unwrap();
    assert_eq!(decided(), Effect::Deny);
    running.stop();
}

#[test]
fn each_file_stands_for_itself_and_may_only_forbid() {
    let site = stopped();
    let running = site.start();
    let good = ["base", "emergency:stop"];
    for (text, saying) in [
        (permit("grant"), "forbids only; this is a permit"),
        (forbid("deny") + &permit("grant"), "forbids only; this is a permit"),
        (
            "forbid (principal == ?principal, action, resource);".to_owned(),
            "forbids only; this is a template",
        ),
        ("forbid (".to_owned(), "bad.cedar:1"),
        (String::new(), "holds no policy"),
        ("// nothing\n".to_owned(), "holds no policy"),
        ("\u{feff}".to_owned() + &forbid("bom"), "byte order mark"),
        ("forbid (principal, action, resource) when { ".to_owned() + &"(".repeat(100), "nested deeper"),
        (
            format!(
                "forbid (principal, action, resource) when {{ {}true }};",
                "principal.level > 0 && ".repeat(250)
            ),
            "deep",
        ),
        ("forbid (principal, action, resource) when { principal.nope };".to_owned(), "nope"),
        ("forbid (principal, action == Mandate::Action::\"read\", resource);".to_owned(), "action in"),
        ("@obligation(\"x\") forbid (principal, action, resource);".to_owned(), "not honoured"),
        ("forbid (principal in Mandate::Doc::\"plan\", action, resource);".to_owned(), ""),
        (
            "forbid (principal, action, resource) when { Mandate::User::\"eva\".level > 1 };".to_owned(),
            "which is not stored",
        ),
        (forbid("stop"), "used twice"),
    ] {
        site.write("emergency/bad.cedar", &text);
        check(&running, &good, &[saying]);
        site.remove("emergency/bad.cedar");
        check(&running, &good, &[]);
    }
    site.write("emergency/notes.txt", "who, when, why");
    site.write("emergency/.hidden.cedar", "(((");
    check(&running, &good, &["is not read"]);
    running.stop();
}

#[test]
fn a_file_that_turned_broken_stays_as_it_was_good() {
    let site = stopped();
    let running = site.start();
    let good = ["base", "emergency:stop"];
    for text in ["", "forbid (", &permit("stop")] {
        site.write("emergency/stop.cedar", text);
        check(&running, &good, &["stop.cedar"]);
    }
    site.remove("emergency/stop.cedar");
    fs::create_dir(site.path("emergency/stop.cedar")).unwrap();
    check(&running, &good, &["not a regular file"]);
    site.remove("emergency/stop.cedar");
    std::os::unix::fs::symlink("nowhere", site.path("emergency/stop.cedar")).unwrap();
    check(&running, &good, &["cannot be read"]);
    running.stop();
    let running = site.start();
    assert_eq!(running.ids(), good, "after a restart as well");
    assert!(errors(&running.found).iter().any(|error| error.contains("stop.cedar")), "{:?}", running.found);
    site.remove("emergency/stop.cedar");
    running.until_serving(&["base"]);
    running.stop();
    assert_eq!(site.start().ids(), ["base"], "what was lifted stays lifted");
}

#[test]
fn a_changed_file_that_clashes_with_one_in_force_is_the_one_refused() {
    let site = stopped();
    site.write("emergency/a.cedar", forbid("a"));
    let running = site.start();
    site.write("emergency/a.cedar", forbid("stop"));
    site.write("emergency/new.cedar", forbid("new"));
    check(&running, &["base", "emergency:a", "emergency:new", "emergency:stop"], &["used twice"]);
    running.stop();
}

#[test]
fn a_missing_folder_lifts_nothing() {
    let site = stopped();
    let running = site.start();
    let good = ["base", "emergency:stop"];
    fs::rename(site.path("emergency"), site.path("gone")).unwrap();
    check(&running, &good, &["cannot be read"]);
    site.write("emergency", "a file in its place");
    check(&running, &good, &["cannot be read"]);
    running.stop();
    site.remove("emergency");
    let running = site.start();
    assert_eq!(running.ids(), good, "after a restart as well");
    fs::create_dir(site.path("emergency")).unwrap();
    running.until_serving(&["base"]);
    running.stop();
}

#[test]
fn forbids_load_while_the_files_are_broken_or_rolled_back_from() {
    let site = Site::new();
    let running = site.start();
    running.until("kept", |running| running.status().kept.len() == 1);
    let base = running.generation();
    site.write("policies/base.cedar", "permit (");
    running.until_rejected("base.cedar");
    site.write("emergency/stop.cedar", forbid("stop"));
    running.until_serving(&["base", "emergency:stop"]);
    assert_eq!(running.status().last_load.outcome, Outcome::Rejected);
    running.roll_back(&base).unwrap();
    assert_eq!(running.ids(), ["base", "emergency:stop"], "a rollback does not lift them");
    site.write("emergency/more.cedar", forbid("more"));
    running.until_serving(&["base", "emergency:more", "emergency:stop"]);
    let status = running.status();
    assert_eq!((status.source, status.pinned.is_some()), (Source::Rollback, true));
    running.until("all names are kept", |running| {
        running.status().kept.first().is_some_and(|kept| kept.generations.contains(&running.generation()))
    });
    running.stop();
    let running = site.start();
    assert_eq!(running.ids(), ["base", "emergency:more", "emergency:stop"]);
    assert_eq!(running.status().source, Source::Rollback);
    running.stop();
}

#[test]
fn they_settle_unless_somebody_asks() {
    let site = Site::new();
    let mut config = site.config();
    config.settle = Duration::from_secs(3600);
    let running = site.try_start(config).unwrap();
    site.write("emergency/stop.cedar", forbid("stop"));
    running.stays("files that may still be written");
    check(&running, &["base", "emergency:stop"], &[]);
    site.remove("emergency");
    site.mount("emergency", "..v1", &[("swap.cedar", &forbid("swap"))]);
    running.until_serving(&["base", "emergency:swap"]);
    running.stop();
}

#[test]
fn a_set_that_does_not_fit_them_is_rejected_unless_they_change_with_it() {
    let site = Site::new();
    let level = "@id(\"level\")\nforbid (principal, action, resource) when { resource.level > 3 };\n";
    site.write("emergency/level.cedar", level);
    let running = site.start();
    running.until("kept", |running| running.status().kept.len() == 1);
    let before = running.generation();
    let good = ["base", "emergency:level"];
    site.write("schemas/small.cedarschema", SCHEMA.replace("[Doc] = { level", "[Doc] = { rank"));
    site.write("entities/base.json", "[]");
    let served = running.ask(Command::Reload).unwrap();
    assert_eq!((served.outcome, running.generation()), (Outcome::Rejected, before.clone()));
    assert!(served.problems[0].contains("level.cedar"), "{served:?}");
    running.stays("a set that would lose a forbid");
    // The changed forbid alone is what the rejected set waited for.
    site.write("emergency/level.cedar", level.replace("resource.level", "resource.rank"));
    running.until("published", |running| !running.status().serving_stale);
    assert_eq!(running.ids(), good);
    assert_ne!(running.generation(), before);
    let refused = running.roll_back(&before);
    let Err(CommandError::Rejected(problems)) = refused else { panic!("{refused:?}") };
    assert!(problems[0].contains("level.cedar"), "{problems:?}");
    assert_eq!(running.status().pinned, None);
    running.stop();
}

#[test]
fn a_changed_forbid_publishes_no_files_that_may_be_half_written() {
    let site = stopped();
    let mut config = site.config();
    config.settle = Duration::from_millis(1500);
    let running = site.try_start(config).unwrap();
    site.write("policies/base.cedar", "permit (");
    assert_eq!(running.ask(Command::Reload).unwrap().outcome, Outcome::Rejected);
    // A forbid is changed just before half of the repair is there.
    site.write("emergency/stop.cedar", forbid("changed"));
    std::thread::sleep(Duration::from_millis(1000));
    site.write("policies/base.cedar", permit("half"));
    running.until("the forbid", |running| running.ids().len() == 2 && running.ids()[1].contains("changed"));
    assert_eq!(running.ids()[0], "base", "the files have not settled");
    running.until("the files", |running| running.ids()[0] == "half");
    running.stop();
}

#[test]
fn the_documented_forbid_fits_the_shipped_sources() {
    let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(repository.join("docs/reload.md")).unwrap();
    let (_, rest) = text.split_once("echo '").unwrap();
    let (forbid, _) = rest.split_once("' > emergency/").unwrap();
    let site = Site::new();
    site.write("emergency/github.cedar", forbid);
    let mut config = site.config();
    config.folders = super::super::directory::Folders {
        policies: repository.join("policies"),
        schemas: repository.join("schemas"),
        entities: repository.join("entities"),
    };
    let running = site.try_start(config).unwrap();
    assert!(
        running.ids().contains(&"emergency:github.cedar#1".to_owned()),
        "{:?}",
        running.status().emergency
    );
    running.stop();
}

#[test]
fn no_other_policy_takes_their_names() {
    for (path, text) in [
        ("policies/bad.cedar", forbid("emergency:stop")),
        (
            "policies/bad.cedar",
            "@id(\"emergency:t\")\npermit (principal == ?principal, action, resource);".into(),
        ),
        (
            "policies/bad.links.json",
            r#"[{"template_id": "t", "link_id": "emergency:l", "args": {}}]"#.to_owned(),
        ),
    ] {
        let site = Site::new();
        site.write("policies/t.cedar", "@id(\"t\")\npermit (principal == ?principal, action, resource);\n");
        site.write(path, &text);
        let Err(OpenError::Rejected { files, .. }) = site.try_start(site.config()) else { panic!("{text}") };
        assert!(files.to_string().contains("is kept for emergency forbids"), "{files}");
    }
}

#[test]
fn they_are_no_part_of_manifests_and_kept_sets_and_count_as_no_policy() {
    let site = stopped();
    site.seal();
    let running = site.start();
    running.until("kept", |running| running.status().kept.len() == 1);
    assert_eq!(running.status().kept[0].files, 3);
    running.stop();
    let only = stopped();
    only.remove("policies/base.cedar");
    assert!(matches!(only.try_start(only.config()), Err(OpenError::Rejected { .. })));
}

#[test]
fn which_were_in_force_must_be_known() {
    let site = stopped();
    site.start().stop();
    let path = site.path("data/emergency.set");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, whole.replace("stop", "spot")).unwrap();
    let error = site.try_start(site.config()).unwrap_err();
    assert!(error.to_string().contains("emergency.set"), "{error}");
    fs::write(&path, whole).unwrap();
    assert_eq!(site.start().ids(), ["base", "emergency:stop"]);
}

#[test]
fn a_set_kept_on_disk_is_served_with_them() {
    let site = stopped();
    site.start().stop();
    site.write("policies/base.cedar", "permit (");
    let running = site.start();
    assert_eq!(running.status().source, Source::LastKnownGood);
    assert_eq!(running.ids(), ["base", "emergency:stop"]);
    running.stop();
}
