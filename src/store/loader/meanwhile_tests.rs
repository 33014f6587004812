//! While a load takes long, emergency forbids are put in force, and the set that comes of it has them.

use std::fmt::Write as _;

use super::super::support_tests::{Running, SCHEMA, Site, forbid};
use super::command::CommandError;
use super::{Command, Outcome, Served};

/// Policies that take some time to compile; all of them name the level of the resource.
const MANY: usize = 3_000;

fn many() -> String {
    (0..MANY).fold(String::new(), |mut text, id| {
        let condition = format!("resource.level > {id} && [{id}, 1, 2].contains(resource.level)");
        writeln!(text, "@id(\"p{id}\") permit (principal, action, resource) when {{ {condition} }};")
            .unwrap();
        text
    })
}

/// Begins a load that takes long, and does `change` meanwhile. What the load came to, and how many policies were served
/// when `change` had shown.
fn during_a_load(
    site: &Site,
    running: &Running,
    change: impl FnOnce(),
    shows: impl Fn(&Running) -> bool,
) -> (Result<Served, CommandError>, usize) {
    site.write("policies/many.cedar", many());
    let mut answer = running.handle.commands.send(Command::Reload);
    std::thread::sleep(std::time::Duration::from_millis(60));
    change();
    running.until("the change shows", shows);
    let policies = running.ids().len();
    assert!(answer.try_recv().is_err(), "the load was not long enough to show anything");
    (answer.blocking_recv().unwrap(), policies)
}

const STOP: &str = "emergency:stop.cedar#stop";

fn stops(running: &Running) -> bool {
    running.ids().iter().any(|id| id == STOP)
}

#[test]
fn a_forbid_does_not_wait_for_a_load_and_the_load_brings_it_along() {
    let site = Site::new();
    let running = site.start();
    let (served, policies) =
        during_a_load(&site, &running, || site.write("emergency/stop.cedar", forbid("stop")), stops);
    assert_eq!(policies, 2, "it joined what was served");
    assert_eq!(served.unwrap().outcome, Outcome::Published);
    assert_eq!(running.ids().len(), MANY + 2);
    assert!(stops(&running));
    running.stop();
    let running = site.start();
    assert!(stops(&running), "it was noted on disk");
    running.stop();
}

#[test]
fn a_forbid_that_is_lifted_meanwhile_does_not_come_back_with_the_load() {
    let site = Site::new();
    site.write("emergency/stop.cedar", forbid("stop"));
    let running = site.start();
    let (served, policies) =
        during_a_load(&site, &running, || site.remove("emergency/stop.cedar"), |running| !stops(running));
    assert_eq!(policies, 1);
    assert_eq!(served.unwrap().outcome, Outcome::Published);
    assert_eq!(running.ids().len(), MANY + 1);
    assert!(!stops(&running));
    running.stop();
}

#[test]
fn a_set_that_does_not_fit_a_forbid_that_came_meanwhile_is_rejected() {
    let site = Site::new();
    let running = site.start();
    site.write(
        "schemas/small.cedarschema",
        SCHEMA.replace("User = { level: Long }", "User = { rank: Long }"),
    );
    site.write("entities/base.json", "[]");
    let level = "@id(\"stop\")\nforbid (principal, action, resource) when { principal.level > 0 };";
    let (served, policies) =
        during_a_load(&site, &running, || site.write("emergency/stop.cedar", level), stops);
    assert_eq!(policies, 2);
    let served = served.unwrap();
    assert_eq!(served.outcome, Outcome::Rejected, "{served:?}");
    assert!(served.problems.iter().any(|problem| problem.contains("level")), "{served:?}");
    assert_eq!(running.ids(), ["base", STOP]);
    running.stop();
}

#[test]
fn commands_wait_for_their_turn_and_the_end_comes_first() {
    let site = Site::new();
    let running = site.start();
    site.write("policies/many.cedar", many());
    let commands = &running.handle.commands;
    let [mut first, mut second] = [(); 2].map(|()| commands.send(Command::Reload));
    std::thread::sleep(std::time::Duration::from_millis(60));
    assert!(first.try_recv().is_err() && second.try_recv().is_err());
    assert_eq!(first.blocking_recv().unwrap().unwrap().outcome, Outcome::Published);
    assert_eq!(second.blocking_recv().unwrap().unwrap().outcome, Outcome::Unchanged);
    running.stop();
}
