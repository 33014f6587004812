//! Emergency forbids: in force with whatever is served, and lifted only by taking their file away.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::support_tests::{Running, SCHEMA, Site, errors, forbid, permit};
use super::{Command, CommandError, OpenError, Outcome, Source};

/// A site with one emergency forbid.
fn stopped() -> Site {
    let site = Site::new();
    site.write("emergency/stop.cedar", forbid("stop"));
    site
}

/// Fails unless exactly these are put in force, and exactly this is said of the folder.
#[track_caller]
fn check(running: &Running, ids: &[&str], saying: &[&str]) {
    running.ask(Command::Reload).unwrap();
    running.until(&format!("{ids:?}, saying {saying:?}"), |running| {
        let problems = &running.status().emergency.problems;
        let said = |saying: &&str| problems.iter().any(|problem| problem.contains(saying));
        running.ids() == ids && problems.is_empty() == saying.is_empty() && saying.iter().all(said)
    });
}

/// A site whose files never settle, with one emergency forbid.
fn never_settling() -> (Site, Running) {
    let site = stopped();
    let mut config = site.config();
    config.settle = Duration::from_secs(3600);
    let running = site.try_start(config).unwrap();
    (site, running)
}

#[test]
fn forbids_join_what_is_served_and_its_name() {
    let site = Site::new();
    let running = site.start();
    let base = running.generation();
    site.write("emergency/stop.cedar", forbid("stop"));
    running.until_serving(&["base", "emergency:stop.cedar#stop"]);
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
    let good = ["base", "emergency:stop.cedar#stop"];
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
        ("@obligation(\"x\") forbid (principal, action, resource);".to_owned(), "is for permits"),
        ("forbid (principal in Mandate::Doc::\"plan\", action, resource);".to_owned(), ""),
        (
            "forbid (principal, action, resource) when { Mandate::User::\"eva\".level > 1 };".to_owned(),
            "which is not stored",
        ),
        (forbid("twice") + &forbid("twice"), "used twice"),
        ("@id(\"2\")\n".to_owned() + &"forbid (principal, action, resource);\n".repeat(2), "used twice"),
    ] {
        site.write("emergency/bad.cedar", &text);
        check(&running, &good, &[saying]);
        site.remove("emergency/bad.cedar");
        check(&running, &good, &[]);
    }
    site.write("emergency/notes.txt", "who, when, why");
    site.write("emergency/.hidden.cedar", "(((");
    check(&running, &good, &["notes.txt: is not read", ".hidden.cedar: is not read"]);
    running.stop();
}

#[test]
fn a_file_that_turned_broken_stays_as_it_was_good() {
    let site = stopped();
    let running = site.start();
    let good = ["base", "emergency:stop.cedar#stop"];
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
fn forbids_of_two_files_never_share_an_id() {
    let site = stopped();
    let running = site.start();
    let ana = "@id(\"stop\")\nforbid (principal == Mandate::User::\"ana\", action, resource);\n";
    site.write("emergency/a.cedar", ana);
    site.write("emergency/x.cedar", forbid("y.cedar#1"));
    site.write("emergency/x.cedar#y.cedar", "forbid (principal, action, resource);");
    check(
        &running,
        &[
            "base",
            "emergency:a.cedar#stop",
            "emergency:stop.cedar#stop",
            "emergency:x.cedar#y.cedar#1",
            "emergency:x.cedar%23y.cedar#1",
        ],
        &[],
    );
    running.stop();
}

#[test]
fn bad_files_take_no_good_one_with_them() {
    let site = stopped();
    let running = site.start();
    // Each is found only when the ones before are out of the way.
    site.write("emergency/a.cedar", "forbid (");
    site.write("emergency/b.cedar", "forbid (principal == Mandate::Nobody::\"q\", action, resource);");
    site.write(
        "emergency/c.cedar",
        "forbid (principal == Mandate::User::\"no\", action, resource) when { principal.level > 1 };",
    );
    site.write(
        "emergency/d.cedar",
        "forbid (principal, action, resource) when { Mandate::User::\"eva\".level > 1 };",
    );
    for number in 10..50 {
        site.write(&format!("emergency/f{number}.cedar"), forbid("same"));
    }
    running.until("all that are good", |running| {
        running.ids().len() == 43 && running.status().emergency.problems.len() >= 3
    });
    assert!(running.ids().contains(&"emergency:f49.cedar#same".to_owned()));
    running.stop();
}

#[test]
fn a_missing_folder_lifts_nothing() {
    let site = stopped();
    let running = site.start();
    let good = ["base", "emergency:stop.cedar#stop"];
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
    running.until_serving(&["base", "emergency:stop.cedar#stop"]);
    assert_eq!(running.status().last_load.outcome, Outcome::Rejected);
    running.roll_back(&base).unwrap();
    assert_eq!(running.ids(), ["base", "emergency:stop.cedar#stop"], "a rollback does not lift them");
    site.write("emergency/more.cedar", forbid("more"));
    running.until_serving(&["base", "emergency:more.cedar#more", "emergency:stop.cedar#stop"]);
    let status = running.status();
    assert_eq!((status.source, status.pinned.is_some()), (Source::Rollback, true));
    running.until("all names are kept", |running| {
        running.status().kept.first().is_some_and(|kept| kept.generations.contains(&running.generation()))
    });
    running.stop();
    let running = site.start();
    assert_eq!(running.ids(), ["base", "emergency:more.cedar#more", "emergency:stop.cedar#stop"]);
    assert_eq!(running.status().source, Source::Rollback);
    running.stop();
}

#[test]
fn a_new_forbid_is_in_force_at_once_whatever_else_happens_in_the_folder() {
    let (site, running) = never_settling();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0;
            while !done.load(Ordering::Acquire) {
                round += 1;
                site.write("emergency/notes.log", format!("{round}"));
                site.write("emergency/busy.cedar", "forbid (".repeat(1 + round % 2));
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        site.write("emergency/more.cedar", forbid("more"));
        running.until("in force", |running| running.ids().contains(&"emergency:more.cedar#more".to_owned()));
        done.store(true, Ordering::Release);
    });
    running.stop();
}

#[test]
fn what_may_lift_a_forbid_settles_even_if_somebody_asks() {
    let (site, running) = never_settling();
    site.write("emergency/half.cedar", "forbid (");
    site.write("emergency/stop.cedar", forbid("changed"));
    check(&running, &["base", "emergency:stop.cedar#stop"], &[]);
    running.stays("a file that changed, and half a new one");
    site.remove("emergency/stop.cedar");
    check(&running, &["base", "emergency:stop.cedar#stop"], &[]);
    running.stays("a file that is gone");
    site.remove("emergency");
    site.mount("emergency", "..v1", &[("swap.cedar", &forbid("swap"))]);
    running.until_serving(&["base", "emergency:swap.cedar#swap"]);
    site.mount("emergency", "..v2", &[]);
    running.until_serving(&["base"]);
    running.stop();
}

#[test]
fn names_that_cannot_be_told_apart_are_told_of() {
    let (site, running) = never_settling();
    let odd = OsStr::from_bytes(b"\xff.cedar");
    fs::write(site.path("emergency").join(odd), forbid("odd")).unwrap();
    site.write("emergency/x\\stop.cedar", forbid("x"));
    site.write("emergency/.stop.cedar", forbid("hidden"));
    let saying = ["not UTF-8", "backslash", "begins with a dot"];
    check(&running, &["base", "emergency:stop.cedar#stop"], &saying);
    running.stop();
    let running = site.start();
    check(&running, &["base", "emergency:stop.cedar#stop"], &saying);
    running.stop();
}

#[test]
fn a_file_in_force_that_stands_beside_a_mount_stays_in_force() {
    let (site, running) = never_settling();
    site.mount("emergency", "..v1", &[("swap.cedar", &forbid("swap"))]);
    let both = ["base", "emergency:stop.cedar#stop", "emergency:swap.cedar#swap"];
    check(&running, &both, &["no part of the mount"]);
    site.write("emergency/late.cedar", forbid("late"));
    check(&running, &both, &["late.cedar: is not read"]);
    site.remove("emergency/late.cedar");
    site.remove("emergency/stop.cedar");
    check(&running, &["base", "emergency:swap.cedar#swap"], &[]);
    running.stop();
}

#[test]
fn a_start_knows_every_forbid_or_is_refused() {
    let refused = |site: &Site, saying: &str| {
        let Err(OpenError::Emergency(problem)) = site.try_start(site.config()) else {
            panic!("{saying}: it starts")
        };
        assert!(problem.to_string().contains(saying), "{problem}");
    };
    let site = stopped();
    fs::create_dir(site.path("emergency/new.cedar")).unwrap();
    refused(&site, "new.cedar: cannot be read");
    site.remove("emergency/new.cedar");
    site.write("emergency/broken.cedar", "forbid (");
    let running = site.start();
    assert_eq!(running.ids(), ["base", "emergency:stop.cedar#stop"], "a file that is read is a problem");
    assert!(errors(&running.found).iter().any(|error| error.contains("broken.cedar")));
    running.stop();
    site.remove("emergency/stop.cedar");
    fs::create_dir(site.path("emergency/stop.cedar")).unwrap();
    site.start().stop();
    site.remove("emergency");
    site.write("emergency", "no folder");
    refused(&site, "emergency: cannot be read");
}

#[test]
fn a_start_waits_for_no_file_that_never_stands_still() {
    let site = Site::new();
    site.write("emergency/busy.cedar", forbid("busy"));
    let busy = site.path("emergency/busy.cedar");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let mut file = fs::File::options().append(true).open(&busy).unwrap();
                for _ in 0..10_000 {
                    file.write_all(b"//\n").unwrap();
                }
                site.write("emergency/busy.cedar", forbid("busy"));
            }
        });
        let refused = || match site.try_start(site.config()) {
            Err(OpenError::Emergency(problem)) => problem.to_string().contains("still changing"),
            _ => false,
        };
        let refused = (0..20).any(|_| refused());
        done.store(true, Ordering::Release);
        assert!(refused, "it was never refused");
    });
}

#[test]
fn a_set_that_does_not_fit_them_is_rejected_unless_they_change_with_it() {
    let site = Site::new();
    let level = "@id(\"level\")\nforbid (principal, action, resource) when { resource.level > 3 };\n";
    site.write("emergency/level.cedar", level);
    let running = site.start();
    running.until("kept", |running| running.status().kept.len() == 1);
    let before = running.generation();
    let good = ["base", "emergency:level.cedar#level"];
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
        ("policies/bad.cedar", forbid("emergency:stop.cedar#stop")),
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
    assert_eq!(site.start().ids(), ["base", "emergency:stop.cedar#stop"]);
}

#[test]
fn a_set_kept_on_disk_is_served_with_them() {
    let site = stopped();
    site.start().stop();
    site.write("policies/base.cedar", "permit (");
    let running = site.start();
    assert_eq!(running.status().source, Source::LastKnownGood);
    assert_eq!(running.ids(), ["base", "emergency:stop.cedar#stop"]);
    running.stop();
}
