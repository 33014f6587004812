//! Files caught in the middle of being written (F2).

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::Write as _;
use std::time::Duration;

use super::{PATIENCE, PERMIT, Pair, QUICK, hide, hiding, pause, start, status_where};
use crate::support::{Load, Process, SMALL_SCHEMA, Sources, Truth};

const POLICY: &str = "policies/base.cedar";

/// A set sealed by a manifest; its policy hides one document.
fn sealed(hidden: &str) -> Sources {
    let sources = hiding(hidden);
    sources.put("mandate.sum", sources.manifest());
    sources
}

/// Begins a file anew with a part of it that is valid and lacks the forbid.
fn write_half(sources: &Sources) -> File {
    let mut file = File::create(sources.path(POLICY)).unwrap();
    file.write_all(PERMIT.as_bytes()).unwrap();
    file.sync_all().unwrap();
    file
}

#[test]
fn half_a_file_is_never_served_under_a_manifest_however_long_it_stands() {
    let pair = Pair::learn();
    let sources = sealed("plan");
    let (process, load) = start(&sources, &[]);
    load.until(PATIENCE, |call| call.is_of(&pair.plan_hidden));
    let mut file = write_half(&sources);
    pause(5000);
    let status = process.status();
    assert_eq!(status["generation"], pair.plan_hidden.as_str());
    assert!(status["last_load"]["problems"].to_string().contains("does not match mandate.sum"), "{status:#}");
    file.write_all(hide("notes").as_bytes()).unwrap();
    drop(file);
    sources.put("mandate.sum", sources.manifest());
    load.until(PATIENCE, |call| call.is_of(&pair.notes_hidden));
    assert_eq!(pair.truth().check(&load.finish()).len(), 2);
}

#[test]
fn half_a_file_without_a_manifest_is_not_served_if_it_is_finished_in_time() {
    let pair = Pair::learn();
    let sources = hiding("plan");
    let (_process, load) = start(&sources, &["MANDATE__RELOAD__SETTLE=1500ms"]);
    for round in 0..3 {
        let hidden = if round % 2 == 0 { "notes" } else { "plan" };
        let mut file = write_half(&sources);
        pause(500);
        file.write_all(hide(hidden).as_bytes()).unwrap();
        drop(file);
        let expected = if round % 2 == 0 { &pair.notes_hidden } else { &pair.plan_hidden };
        load.until(PATIENCE, |call| call.is_of(expected));
    }
    assert_eq!(pair.truth().check(&load.finish()).len(), 2);
}

#[test]
fn files_that_change_one_by_one_load_together_under_a_manifest() {
    // The policy is valid under both schemas, so only the manifest tells a mixture.
    let sources = sealed("plan");
    let schema = SMALL_SCHEMA.replace("namespace Mandate {", "namespace Mandate {\n  entity Team;");
    let newer = hiding("notes").schema("small.cedarschema", &schema);
    let (older, newer_generation) = (sources.generation(), newer.generation());
    let (_process, load) = start(&sources, &[]);
    load.until(PATIENCE, |call| call.is_of(&older));
    sources.put(POLICY, PERMIT.to_owned() + &hide("notes"));
    pause(1500);
    sources.put("mandate.sum", newer.manifest());
    pause(1500);
    sources.put("schemas/small.cedarschema", &schema);
    load.until(PATIENCE, |call| call.is_of(&newer_generation));
    let truth = Truth::default().and(&older, &[false, true]).and(&newer_generation, &[true, false]);
    assert_eq!(truth.check(&load.finish()).len(), 2);
}

/// Two files, of which the one with the forbid is emptied before it is written anew.
#[test]
fn a_file_that_is_emptied_and_written_again_lifts_no_forbid() {
    let parted = |hidden: &str| {
        Sources::small()
            .policy("base.cedar", PERMIT)
            .policy("hide.cedar", hide(hidden))
            .entities("base.json", &super::entities())
    };
    let sources = parted("plan");
    let truth = Truth::default()
        .and(&sources.generation(), &[false, true])
        .and(&parted("notes").generation(), &[true, false]);
    let (_process, load) = start(&sources, &["MANDATE__RELOAD__SETTLE=1500ms"]);
    for hidden in ["notes", "plan", "notes"] {
        let path = sources.path("policies/hide.cedar");
        OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
        pause(300);
        // And taken away for a moment, as some tools do: what is left would be valid.
        fs::remove_file(&path).unwrap();
        pause(300);
        fs::write(&path, hide(hidden)).unwrap();
        let expected = parted(hidden).generation();
        load.until(PATIENCE, |call| call.is_of(&expected));
    }
    assert_eq!(truth.check(&load.finish()).len(), 2);
}

#[test]
fn a_change_that_keeps_size_and_time_of_modification_is_seen() {
    // `plan` and `notes` differ in length; a comment makes up for it.
    let text = |id: &str| format!("{PERMIT}{}//{}\n", hide(id), "x".repeat(20 - 2 * id.len()));
    assert_eq!(text("plan").len(), text("notes").len());
    let set = |id: &str| hiding("plan").policy("base.cedar", text(id));
    let sources = set("plan");
    let (plan, notes) = (sources.generation(), set("notes").generation());
    let truth = Truth::default().and(&plan, &[false, true]).and(&notes, &[true, false]);
    let (_process, load) = start(&sources, &QUICK);
    load.until(PATIENCE, |call| call.is_of(&plan));
    let path = sources.path(POLICY);
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all(text("notes").as_bytes()).unwrap();
    file.set_times(FileTimes::new().set_modified(modified)).unwrap();
    drop(file);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), modified);
    load.until(PATIENCE, |call| call.is_of(&notes));
    assert_eq!(truth.check(&load.finish()).len(), 2);
}

#[test]
fn editors_that_write_beside_and_rename_are_understood() {
    let pair = Pair::learn();
    let sources = hiding("plan");
    let (process, load) = start(&sources, &QUICK);
    for (hidden, expected) in [("notes", &pair.notes_hidden), ("plan", &pair.plan_hidden)] {
        fs::write(sources.path("policies/.base.cedar.swp"), "b0VIM").unwrap();
        fs::write(sources.path("policies/.base.cedar.new"), PERMIT).unwrap();
        pause(300);
        fs::write(sources.path("policies/.base.cedar.new"), PERMIT.to_owned() + &hide(hidden)).unwrap();
        fs::rename(sources.path("policies/.base.cedar.new"), sources.path(POLICY)).unwrap();
        fs::remove_file(sources.path("policies/.base.cedar.swp")).unwrap();
        load.until(PATIENCE, |call| call.is_of(expected));
    }
    assert_eq!(pair.truth().check(&load.finish()).len(), 2);
    assert_eq!(process.metric("pdp_reloads_total{outcome=\"rejected\"}"), 0.0);
}

#[test]
fn without_file_events_the_poll_finds_changes() {
    let pair = Pair::learn();
    let sources = sealed("plan");
    let settings = ["MANDATE__RELOAD__WATCH=false", "MANDATE__RELOAD__POLL=1500ms"];
    let (process, load) = start(&sources, &settings);
    load.until(PATIENCE, |call| call.is_of(&pair.plan_hidden));
    let watches = fs::read_dir(format!("/proc/{}/fd", process.pid())).unwrap();
    let watches = watches.filter_map(|file| fs::read_link(file.unwrap().path()).ok());
    assert_eq!(watches.filter(|link| link.to_string_lossy().contains("inotify")).count(), 0);
    for (hidden, expected) in [("notes", &pair.notes_hidden), ("plan", &pair.plan_hidden)] {
        sources.put(POLICY, PERMIT.to_owned() + &hide(hidden));
        sources.put("mandate.sum", sources.manifest());
        load.until(Duration::from_secs(4), |call| call.is_of(expected));
    }
    status_where(&process, PATIENCE, |status| status["serving_stale"] == false);
    assert_eq!(pair.truth().check(&load.finish()).len(), 2);
}

/// The loader reads once more what was written within one tick of the clock, so that the last of many writes counts.
#[test]
fn of_many_quick_writes_the_last_is_served() {
    let pair = Pair::learn();
    let sources = hiding("plan");
    let process = Process::try_start_with(&sources, &["MANDATE__RELOAD__SETTLE=0s"]).unwrap();
    let load = Load::of(&process.data, super::RATE, super::questions());
    for round in 0..20 {
        let (last, expected) =
            if round % 2 == 0 { ("notes", &pair.notes_hidden) } else { ("plan", &pair.plan_hidden) };
        for id in ["plan", "notes", "plan", "notes", last] {
            let beside = sources.path(".next");
            fs::write(&beside, PERMIT.to_owned() + &hide(id)).unwrap();
            fs::rename(beside, sources.path(POLICY)).unwrap();
        }
        load.until(Duration::from_secs(5), |call| call.is_of(expected));
    }
    pair.truth().check(&load.finish());
}
