//! The loader's thread: what it does again, what it does not, how fast, and how it ends.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::super::Store;
use super::super::revision::RevisionError;
use super::super::support_tests::{Site, open_data, permit};
use super::{Command, CommandError, Ended, Loader, Outcome, Source};

#[test]
fn a_rejected_set_keeps_the_world_and_is_compiled_once() {
    let site = Site::new();
    let running = site.start();
    let generation = running.generation();
    site.write("policies/bad.cedar", "@id(\"bad\") permit (");
    running.until_rejected("bad.cedar:1");
    running.stays("a rejected set");
    assert_eq!(running.generation(), generation);
    let status = running.status();
    assert_eq!((status.reloads.rejected, status.last_load.outcome), (1, Outcome::Rejected));
    assert!(status.serving_stale && status.source == Source::Files);
    // Touched, not changed.
    let file = std::fs::File::options().write(true).open(site.path("policies/bad.cedar")).unwrap();
    file.set_modified(SystemTime::now()).unwrap();
    running.stays("a touched set");
    assert_eq!(running.status().reloads.rejected, 1);
    let served = running.ask(Command::Reload).unwrap();
    assert_eq!((served.outcome, running.status().reloads.rejected), (Outcome::Rejected, 2), "asked to");
    assert!(served.problems[0].contains("bad.cedar:1"), "{served:?}");
    site.remove("policies/bad.cedar");
    running.until("good again", |running| !running.status().serving_stale);
    running.stop();
}

#[test]
fn everything_wrong_is_told_up_to_a_limit() {
    let site = Site::new();
    let running = site.start();
    for number in 0..30 {
        site.write(&format!("policies/bad-{number:02}.cedar"), "permit (");
    }
    let served = running.ask(Command::Reload).unwrap();
    assert_eq!(served.problems.len(), 21, "{served:?}");
    assert_eq!(served.problems[20], "and 10 more");
    running.stop();
}

#[test]
fn a_reload_loads_at_once() {
    let site = Site::new();
    let mut config = site.config();
    config.settle = Duration::from_secs(3600);
    let running = site.try_start(config).unwrap();
    site.write("policies/base.cedar", permit("now"));
    let served = running.ask(Command::Reload).unwrap();
    assert_eq!((served.outcome, running.ids()), (Outcome::Published, vec!["now".to_owned()]));
    assert_eq!(running.ask(Command::Reload).unwrap().outcome, Outcome::Unchanged);
    assert_eq!(running.store.current().sequence, 2, "the same is not published again");
    running.stop();
}

#[test]
fn sequences_and_revisions_count_publications() {
    let site = Site::new();
    let running = site.start();
    let first = running.store.current();
    site.write("policies/base.cedar", permit("second"));
    let served = running.ask(Command::Reload).unwrap();
    let second = running.store.current();
    assert_eq!((first.sequence, second.sequence), (1, 2));
    assert_eq!(*served.revision, *second.revision);
    let check = |revision: &str, published| running.store.check_minimum(revision, published);
    assert_eq!(check(&first.revision, &second), Ok(()));
    assert_eq!(check(&second.revision, &first), Err(RevisionError::Ahead));
    let stranger = Store::new(first.world.clone());
    assert_eq!(stranger.check_minimum(&first.revision, &stranger.current()), Err(RevisionError::BadTag));
    running.stop();
    let restarted = site.start();
    let now = restarted.store.current();
    assert!(now.sequence > second.sequence, "and go on after a restart");
    assert_eq!(restarted.store.check_minimum(&second.revision, &now), Ok(()));
    restarted.stop();
}

#[test]
fn a_storm_of_loads_is_kept_up_with() {
    let site = Site::new();
    let mut config = site.config();
    config.poll = Duration::from_secs(3600);
    let running = site.try_start(config).unwrap();
    let (rounds, start) = (100_u32, Instant::now());
    for round in 0..rounds {
        site.write("policies/base.cedar", permit(&format!("storm-{round}")));
        site.seal();
        // The loader may have found it by itself a moment before.
        assert_ne!(running.ask(Command::Reload).unwrap().outcome, Outcome::Rejected);
        assert_eq!(running.ids(), [format!("storm-{round}")]);
    }
    let elapsed = start.elapsed();
    println!("{:.0} reloads a second", f64::from(rounds) / elapsed.as_secs_f64());
    assert_eq!(running.status().reloads.published, u64::from(rounds));
    running.stop();
    let running = site.start();
    // Without commands: the state of the files is what counts, not how often they changed.
    for round in 0..200 {
        site.write("policies/base.cedar", permit(&format!("quiet-{round}")));
        site.seal();
    }
    running.until_serving(&["quiet-199"]);
    running.stop();
}

#[test]
fn worlds_are_dropped_by_the_loader_when_the_last_request_is_done() {
    let site = Site::new();
    let running = site.start();
    let held = running.store.current();
    let dropped = Arc::downgrade(&held);
    site.write("policies/base.cedar", permit("second"));
    running.ask(Command::Reload).unwrap();
    running.stays("nothing");
    assert_eq!(Arc::strong_count(&held), 2, "the loader holds it as long as a request does");
    drop(held);
    running.until("dropped", |_| dropped.strong_count() == 0);
    running.stop();
}

#[test]
fn a_loader_ends_when_it_is_told_to_or_nobody_can_tell_it_anything() {
    let site = Site::new();
    let start = Instant::now();
    let mut config = site.config();
    (config.watch, config.poll) = (true, Duration::from_secs(3600));
    site.try_start(config.clone()).unwrap().stop();
    let data = open_data(&site.path("data"));
    let (loader, _store, _found) = Loader::open(config, &data).unwrap();
    let super::LoaderHandle { commands, end, thread, .. } = loader.spawn().unwrap();
    drop(commands);
    thread.join().unwrap();
    assert_eq!(end.blocking_recv(), Ok(()));
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_loader_that_hangs_shows_and_is_not_waited_for() {
    let site = Site::new();
    let running = site.start();
    running.until("a look", |running| running.handle.last_look() < Duration::from_millis(200));
    let heartbeat = running.handle.heartbeat();
    drop(running.handle.commands.send(Command::Hang(60_000)));
    running.until("seen", |running| running.handle.last_look() > Duration::from_secs(1));
    let start = Instant::now();
    assert_eq!(running.handle.stop(Duration::from_millis(100)), None);
    assert!(start.elapsed() < Duration::from_secs(30) && heartbeat.age() > Duration::from_secs(1));
}

#[tokio::test]
async fn a_panic_is_seen_and_the_world_is_served_on() {
    let site = Site::new();
    let mut running = site.start();
    let answer = running.handle.commands.give(Command::Panic).await;
    assert_eq!(answer, Err(CommandError::Ended));
    assert_eq!(running.handle.ended().await, Ended::Panicked);
    assert_eq!(running.ids(), ["base"]);
    assert_eq!(running.handle.commands.give(Command::Reload).await, Err(CommandError::Ended));
}

#[test]
fn the_status_is_what_the_administrator_reads() {
    let site = Site::new();
    let running = site.start();
    running.until("kept", |running| !running.status().kept.is_empty());
    let status = serde_json::to_value(&*running.status()).unwrap();
    assert_eq!(status["source"], "files");
    assert_eq!(status["sequence"], 1);
    assert_eq!(status["last_load"]["outcome"], "published");
    assert_eq!(status["kept"][0]["files"], 3);
    assert_eq!(status["kept"][0]["generations"][0], running.generation());
    assert_eq!(status["emergency"]["files"], serde_json::json!([]));
    assert!(status["published_at"].as_str().unwrap().ends_with('Z'), "{status}");
    running.stop();
}

#[test]
fn what_was_prepared_for_decisions_stays_while_it_means_the_same() {
    let site = Site::new();
    let running = site.start();
    let ana = "Mandate::User::\"ana\"".parse().unwrap();
    let prepared = || running.store.current().world.prepared(&ana).unwrap();
    let keys = || prepared().principal(&running.store.current().world.generation.index).clone();
    let reload = |text: &str| {
        site.write("policies/base.cedar", text);
        assert_eq!(running.ask(Command::Reload).unwrap().outcome, Outcome::Published);
    };
    let (first, asked) = (prepared(), keys());
    reload(&(permit("base") + &permit("other")));
    assert!(Arc::ptr_eq(&first, &prepared()), "scopes ask nothing else");
    reload("@id(\"ana\")\npermit (principal == Mandate::User::\"ana\", action, resource);");
    let second = prepared();
    assert_ne!(asked, keys(), "a scope asks for her");
    site.write(
        "entities/base.json",
        r#"[
      {"uid": {"type": "Mandate::User", "id": "ana"}, "attrs": {"level": 2}, "parents": []},
      {"uid": {"type": "Mandate::Doc", "id": "plan"}, "attrs": {"level": 1}, "parents": []}
    ]"#,
    );
    running.ask(Command::Reload).unwrap();
    assert!(!Arc::ptr_eq(&second, &prepared()), "she is another");
    running.stop();
}
