//! How a server starts again: after it was killed, with broken files, beside another.

use std::time::Duration;

use crate::reload::{PATIENCE, PERMIT, Pair, hide, hiding, pause, questions};
use crate::support::{Load, Mount, Process, SMALL_SCHEMA, Sources};

const POLICY: &str = "policies/base.cedar";

#[test]
fn broken_files_after_a_crash_serve_the_last_known_good_and_say_so() {
    let pair = Pair::learn();
    let sources = hiding("plan");
    let process = Process::start(&sources);
    let load = Load::of(&process.data, 100, questions());
    sources.put(POLICY, PERMIT.to_owned() + &hide("notes"));
    load.until(PATIENCE, |call| call.is_of(&pair.notes_hidden));
    load.finish();
    crate::reload::status_where(&process, PATIENCE, |status| status["kept"].as_array().unwrap().len() == 2);
    process.crash();
    sources.put(POLICY, "permit (");

    let process = Process::start(&sources);
    let warned = process
        .announced
        .lines()
        .any(|line| line.contains("WARNING") && line.contains("the files are broken"));
    assert!(warned, "{}", process.announced);
    let status = process.status();
    assert_eq!(status["source"], "last_known_good");
    assert_eq!(status["serving_stale"], true);
    assert_eq!(status["generation"], pair.notes_hidden.as_str());
    assert!(status["last_load"]["problems"].to_string().contains("base.cedar:1"), "{status:#}");
    assert_eq!(process.metric("pdp_serving_last_known_good"), 1.0);
    assert_eq!(process.metric("pdp_serving_stale"), 1.0);
    let load = Load::of(&process.data, 100, questions());
    pause(500);
    // Repaired, they are served as files again.
    sources.put(POLICY, PERMIT.to_owned() + &hide("plan"));
    load.until(PATIENCE, |call| call.is_of(&pair.plan_hidden));
    assert_eq!(pair.truth().check(&load.finish()).len(), 2);
    assert_eq!(process.metric("pdp_serving_last_known_good"), 0.0);
    assert_eq!(process.metric("pdp_serving_stale"), 0.0);
    process.crash();

    sources.put(POLICY, "permit (");
    let ended =
        Process::try_start_with(&sources, &["--refuse-last-known-good"]).expect_err("it must not start");
    ended.check_code(3);
    assert!(ended.stderr.contains("base.cedar:1"), "{ended:?}");
}

/// Killed at random while sets are swapped: whatever was written by then is one of the two sets, whole.
#[test]
fn a_crash_at_any_moment_leaves_a_set_that_can_be_served() {
    let pair = Pair::learn();
    let sources = Sources::empty();
    drop(Mount::new(sources.path("schemas"), &[("small.cedarschema", SMALL_SCHEMA)]));
    drop(Mount::new(sources.path("entities"), &[("base.json", crate::reload::entities().to_string())]));
    let policy = |hidden: &str| [("base.cedar", PERMIT.to_owned() + &hide(hidden))];
    let mut mount = Mount::new(sources.path("policies"), &policy("plan"));
    let mut served = std::collections::HashSet::new();
    for round in 0..20 {
        let process = Process::start(&sources);
        if round == 0 {
            // Nothing was kept before: the first set must have been, for there to be something to go back to.
            crate::reload::status_where(&process, PATIENCE, |status| {
                status["kept"].as_array().unwrap().len() == 1
            });
        }
        // A different moment every round, in a storm and after it.
        let lifetime = Duration::from_micros(1_000 + (round * 37_501) % 400_000);
        let begun = std::time::Instant::now();
        let mut swaps = 0;
        while begun.elapsed() < lifetime {
            swaps += 1;
            mount.swap(&policy(if swaps % 2 == 0 { "plan" } else { "notes" }));
            pause(3);
        }
        process.crash();
        mount.swap(&[("base.cedar", "broken")]);
        let process = Process::try_start(&sources).unwrap_or_else(|ended| panic!("round {round}: {ended:?}"));
        let status = process.status();
        assert_eq!(status["source"], "last_known_good", "round {round}");
        assert!(status["keep_error"].is_null(), "round {round}: {status:#}");
        let load = Load::of(&process.data, 100, questions());
        load.until(PATIENCE, |call| call.outcome.is_ok());
        pause(60);
        let answered = pair.truth().check(&load.finish());
        assert_eq!(answered.len(), 1, "round {round}: {answered:?}");
        served.extend(answered.into_keys());
        process.crash();
        mount.swap(&policy(if round % 2 == 0 { "notes" } else { "plan" }));
    }
    assert_eq!(served.len(), 2, "each of them was the last at some moment");
}

#[test]
fn a_data_directory_in_use_is_left_to_whoever_has_it() {
    let sources = hiding("plan");
    let mut first = Process::start(&sources);
    let ended = Process::try_start(&sources).expect_err("it must not start");
    ended.check_code(1);
    assert!(ended.stderr.contains("another process has it"), "{ended:?}");
    assert!(ended.stderr.contains(&sources.path("data").display().to_string()), "{ended:?}");
    assert!(first.is_alive());
    assert!(first.client().authorize(questions().remove(1)).is_ok());
    // The lock goes with the process, however that ends.
    first.crash();
    Process::start(&sources).terminate().check_code(0);
}
