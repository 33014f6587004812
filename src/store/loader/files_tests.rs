//! Files that change in every way files do, under a loader at work.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command as Process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::directory::Fingerprint;
use super::super::support_tests::{SCHEMA, Site, forbid, open_data, permit};
use super::load::MOVING;
use super::{Command, Loader, Outcome};

/// A permit that stands alone, and the forbid that was to follow it.
fn halves() -> (String, String) {
    (permit("wide"), forbid("narrow"))
}

#[test]
fn a_renamed_and_a_rewritten_file_load_when_they_settled() {
    let site = Site::new();
    let running = site.start();
    site.rename_in("policies/base.cedar", &permit("renamed"));
    running.until_serving(&["renamed"]);
    site.write("policies/base.cedar", permit("rewritten"));
    running.until_serving(&["rewritten"]);
    assert_eq!(running.status().last_load.outcome, Outcome::Published);
    running.stop();
}

#[test]
fn events_are_faster_than_polls() {
    let site = Site::new();
    let mut config = site.config();
    (config.watch, config.poll) = (true, Duration::from_secs(3600));
    let running = site.try_start(config).unwrap();
    for round in 0..5 {
        site.write("policies/base.cedar", permit(&format!("event-{round}")));
        running.until_serving(&[&format!("event-{round}")]);
    }
    // A folder that is replaced is watched again: it is replaced under events of the folder above.
    fs::rename(site.path("policies"), site.path("gone")).unwrap();
    site.write("policies/base.cedar", permit("replaced"));
    running.until_serving(&["replaced"]);
    // Until nothing but an event can make the loader look.
    std::thread::sleep(Duration::from_secs(1));
    site.write("policies/base.cedar", permit("after"));
    running.until_serving(&["after"]);
    running.stop();
}

#[test]
fn a_mount_that_is_swapped_back_and_forth_is_only_ever_one_of_two() {
    let site = Site::new();
    site.remove("policies");
    let texts = |id: &str| (permit(&format!("{id}-a")), permit(&format!("{id}-b")));
    let swap = |version: &str, id: &str| {
        let (a, b) = texts(id);
        site.mount("policies", version, &[("a.cedar", &a), ("b.cedar", &b)]);
    };
    swap("..v0", "one");
    let running = site.start();
    let mut generations = BTreeSet::from([running.generation()]);
    for round in 1..=200 {
        swap(&format!("..v{round}"), if round % 2 == 0 { "one" } else { "other" });
        let end = Instant::now() + Duration::from_millis(5);
        while Instant::now() < end {
            generations.insert(running.generation());
            let ids = running.ids();
            assert!(ids == ["one-a", "one-b"] || ids == ["other-a", "other-b"], "{ids:?}");
        }
    }
    running.until_serving(&["one-a", "one-b"]);
    assert!(generations.len() <= 2, "{generations:?}");
    swap("..last", "other");
    running.until_serving(&["other-a", "other-b"]);
    generations.insert(running.generation());
    assert_eq!(generations.len(), 2);
    running.stop();
}

#[test]
fn mounts_that_change_together_settle_and_each_alone_does_not() {
    let site = Site::new();
    let mount = |folder: &str, version: &str, name: &str, text: &str| {
        site.mount(folder, version, &[(name, text)]);
    };
    for folder in ["policies", "schemas"] {
        site.remove(folder);
    }
    mount("policies", "..v0", "base.cedar", &permit("base"));
    mount("schemas", "..v0", "small.cedarschema", SCHEMA);
    let mut config = site.config();
    config.settle = Duration::from_secs(3600);
    let running = site.try_start(config).unwrap();
    mount("policies", "..v1", "base.cedar", &permit("alone"));
    running.until_serving(&["alone"]);
    // Between two looks: a poll that comes between would find one folder changed.
    let poll = Duration::from_secs(2);
    running.stop();
    let mut config = site.config();
    (config.settle, config.poll) = (Duration::from_secs(3600), poll);
    let running = site.try_start(config).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    mount("policies", "..v2", "base.cedar", &permit("both"));
    mount("schemas", "..v2", "small.cedarschema", &format!("{SCHEMA}// changed\n"));
    std::thread::sleep(poll);
    running.stays("two folders, each for itself");
    assert_eq!(running.ids(), ["alone"]);
    running.stop();
}

#[test]
fn half_a_file_never_loads_where_a_manifest_says_how_it_ends() {
    let site = Site::new();
    let (first, second) = halves();
    site.write("policies/base.cedar", first.clone() + &second);
    site.seal();
    let running = site.start();
    site.write("policies/base.cedar", &first);
    running.until_rejected("does not match mandate.sum");
    running.stays("half a file");
    assert_eq!(running.ids(), ["wide", "narrow"]);
    assert!(running.status().serving_stale);
    site.write("policies/base.cedar", first + &second);
    running.until("good again", |running| !running.status().serving_stale);
    assert_eq!(running.status().sequence, 1, "what is served already is not published again");
    running.stop();
}

#[test]
fn half_a_file_does_not_load_before_it_stood_still() {
    let site = Site::new();
    let (first, second) = halves();
    let mut config = site.config();
    config.settle = Duration::from_millis(1500);
    let running = site.try_start(config).unwrap();
    site.write("policies/base.cedar", &first);
    running.stays("half a file, within the time to settle");
    site.write("policies/base.cedar", first + &second);
    running.until("a load", |running| running.ids() != ["base"]);
    assert_eq!(running.ids(), ["wide", "narrow"]);
    running.stop();
}

#[test]
fn files_of_one_update_load_together_when_the_manifest_matches() {
    let site = Site::new();
    site.seal();
    let mut config = site.config();
    config.settle = Duration::from_secs(3600);
    let running = site.try_start(config).unwrap();
    let typed = "@id(\"typed\")\npermit (principal, action, resource) when { resource.secret };\n";
    site.write("policies/base.cedar", typed);
    running.stays("the policy alone");
    let schema = SCHEMA.replace("[Doc] = { level: Long }", "[Doc] = { level: Long, secret: Bool }");
    site.write("schemas/small.cedarschema", schema);
    site.write("entities/base.json", "[]");
    running.stays("without the manifest");
    assert_eq!(running.status().reloads.rejected, 0, "an update under way is no fault");
    site.seal();
    running.until_serving(&["typed"]);
    running.stop();
}

#[test]
fn an_update_that_never_gets_its_manifest_is_told_of() {
    let site = Site::new();
    site.seal();
    let running = site.start();
    site.write("policies/more.cedar", permit("more"));
    running.until_rejected("is not listed in mandate.sum");
    assert_eq!(running.ids(), ["base"]);
    running.stop();
}

#[test]
fn a_kept_time_of_modification_hides_nothing() {
    let site = Site::new();
    let path = site.path("policies/base.cedar");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let running = site.start();
    fs::write(&path, permit("besa")).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    running.until_serving(&["besa"]);
    running.stop();
}

#[test]
fn a_change_within_one_tick_of_the_clock_is_found() {
    let site = Site::new();
    let running = site.start();
    for round in 0..20 {
        let (one, other) = (format!("one-{round:03}"), format!("two-{round:03}"));
        // Of the same size, in the same file, directly after it was read.
        site.write("policies/base.cedar", permit(&one));
        running.ask(Command::Reload).unwrap();
        site.write("policies/base.cedar", permit(&other));
        running.until_serving(&[&other]);
    }
    running.stop();
}

#[test]
fn a_folder_that_is_gone_rejects_and_comes_back() {
    let site = Site::new();
    let running = site.start();
    for folder in ["policies", "schemas"] {
        fs::rename(site.path(folder), site.path("gone")).unwrap();
        running.until_rejected("cannot be read");
        assert_eq!(running.ids(), ["base"], "{folder}");
        fs::rename(site.path("gone"), site.path(folder)).unwrap();
        running.until("good again", |running| running.status().last_load.outcome == Outcome::Unchanged);
    }
    running.stop();
}

#[test]
fn what_is_no_file_rejects_and_hangs_nothing() {
    let site = Site::new();
    let running = site.start();
    let path = site.path("policies/odd.cedar");
    let odd: [(&str, &dyn Fn()); 4] = [
        ("folder", &|| fs::create_dir(&path).unwrap()),
        ("dangling link", &|| symlink("nowhere", &path).unwrap()),
        ("pipe", &|| assert!(Process::new("mkfifo").arg(&path).status().unwrap().success())),
        ("device", &|| symlink("/dev/zero", &path).unwrap()),
    ];
    for (what, make) in odd {
        let rejected = running.status().reloads.rejected;
        make();
        running.until(what, |running| running.status().reloads.rejected > rejected);
        assert_eq!(running.ids(), ["base"], "{what}");
        site.remove("policies/odd.cedar");
        running.until("good again", |running| !running.status().serving_stale);
    }
    running.stop();
}

#[test]
fn files_that_change_while_they_are_read_are_no_rejected_set_until_they_have_done_so_for_long() {
    let site = Site::new();
    let data = open_data(&site.path("data"));
    let (mut loader, _store, _found) = Loader::open(site.config(), &data).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                // Good each time.
                site.rename_in("policies/base.cedar", &permit("one"));
                site.rename_in("policies/base.cedar", &permit("other"));
            }
        });
        let look = |loader: &mut Loader| {
            loader.take_changed_files(&Fingerprint::of(&site.folders()));
            loader.moving_since
        };
        let mut looks = 0;
        while look(&mut loader).is_none() && looks < 10_000 {
            looks += 1;
        }
        let moved = (loader.moving_since.is_some(), loader.reloads.rejected);
        loader.moving_since = Instant::now().checked_sub(MOVING);
        while look(&mut loader).is_none() && looks < 10_000 {
            loader.moving_since = Instant::now().checked_sub(MOVING);
            looks += 1;
        }
        done.store(true, Ordering::Release);
        assert_eq!(moved, (true, 0));
    });
    assert_eq!(loader.reloads.rejected, 1);
    assert!(loader.last_load.problems[0].contains("still changing"), "{:?}", loader.last_load);
}
