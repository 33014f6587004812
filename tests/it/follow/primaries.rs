//! What becomes of a primary, and what its followers make of it.

use serde_json::json;

use super::{allows, copy, following, status_of, token_of, until, until_current};
use crate::delegation::list_issues;
use crate::entity_log::{Admin, doc, sources, view, view_since};
use crate::support::{Link, Process, Sources, TestServer, is_allow};

/// A primary of its own process, and a follower that finds it wherever it starts.
struct Led {
    sources: Sources,
    primary: Option<Process>,
    link: Link,
    follower: TestServer,
}

impl Led {
    fn new(sources: Sources) -> Self {
        let primary = start(&sources);
        let link = Link::to(&primary.control);
        let token = sources.path("data/control.token");
        let follower = TestServer::with_config(&following(&link.url(), token));
        until_current(&follower);
        Self { sources, primary: Some(primary), link, follower }
    }

    fn admin(&self) -> Admin {
        Admin::of_process(self.primary.as_ref().unwrap(), &self.sources)
    }

    fn crash(&mut self) {
        self.primary.take().unwrap().crash();
    }

    fn restart(&mut self) {
        let primary = start(&self.sources);
        self.link.lead_to(&primary.control);
        self.primary = Some(primary);
    }
}

fn start(sources: &Sources) -> Process {
    Process::try_start_with(sources, &["MANDATE__FOLLOWERS__LEASE=2s"]).unwrap()
}

#[test]
fn a_primary_that_is_killed_and_started_again_is_followed_on() {
    let mut led = Led::new(sources());
    led.admin().put(vec![doc("a", 1, &[])]).unwrap();
    until("a", || allows(&led.follower, view("a")));
    for round in 0..2 {
        led.crash();
        until("the end of the lease", || led.follower.authorize(view("a")).is_err());
        led.restart();
        let written = led.admin().put(vec![doc(&format!("r{round}"), 1, &["a"])]).unwrap();
        until_current(&led.follower);
        let answer = led.follower.authorize(view_since(&format!("r{round}"), &written)).unwrap();
        assert!(is_allow(&answer) && allows(&led.follower, view("a")));
    }
    assert_eq!(status_of(&led.follower)["resets"], json!(3), "each process tells everything anew");
}

/// A restore makes another log: that is followed, and what was revoked stays so.
#[test]
fn another_log_is_followed_and_revocations_stay() {
    let mut led = Led::new(sources());
    let before = led.admin().put(vec![doc("a", 1, &[])]).unwrap();
    led.admin().revoke("g").unwrap();
    let copy_file = led.sources.path("copy.jsonl").display().to_string();
    led.primary.as_ref().unwrap().command(&["entity", "backup", &copy_file]).check_code(0);
    let gone = led.admin().put(vec![doc("b", 1, &[])]).unwrap();
    assert!(is_allow(&led.follower.authorize(view_since("b", &gone)).unwrap()));
    led.crash();
    let data = led.sources.path("data").display().to_string();
    crate::support::mandate(["entity", "restore", &copy_file, "--data-dir", &data]).check_code(0);
    led.restart();
    until("the restored state", || !allows(&led.follower, view("b")) && allows(&led.follower, view("a")));
    let refused = led.follower.authorize(view_since("a", &before)).unwrap_err();
    assert_eq!(super::reason_of(&refused), "REVISION_OF_ANOTHER_LOG");
    // A log that was lost altogether knows of no revocation.
    led.crash();
    std::fs::remove_dir_all(led.sources.path("data")).unwrap();
    led.restart();
    until("the new log", || !allows(&led.follower, view("a")) && allows(&led.follower, view("plan")));
    let status = crate::support::get_status(&led.follower.control, &super::data_of(&led.follower));
    assert_eq!(status["revocations"]["count"], json!(1));
}

/// A volume that was put back to an older state goes by the same name. Nobody follows it into the past.
#[test]
fn a_primary_that_was_put_back_is_refused_loudly() {
    let mut led = Led::new(sources());
    led.crash();
    let (data, older) = (led.sources.path("data"), led.sources.path("older"));
    copy(&data, &older);
    led.restart();
    let admin = led.admin();
    for number in 0..3 {
        admin.put(vec![doc(&format!("d{number}"), 1, &[])]).unwrap();
    }
    until("all of it", || allows(&led.follower, view("d2")));
    led.crash();
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&older, &data).unwrap();
    led.restart();
    let problem = || status_of(&led.follower)["problem"].as_str().unwrap_or_default().to_owned();
    until("a word of it", || problem().contains("older state"));
    until("the end of the lease", || led.follower.authorize(view("plan")).is_err());
    // It is not followed however far it comes from there, and whoever restarts the follower accepts it.
    let admin = led.admin();
    for number in 0..9 {
        admin.revoke(&format!("g{number}")).unwrap();
    }
    let token = led.sources.path("data/control.token");
    let fresh = TestServer::with_config(&following(&led.link.url(), token));
    until_current(&fresh);
    assert!(!allows(&fresh, view("d2")) && allows(&fresh, view("plan")));
}

#[test]
fn a_revocation_of_before_a_restart_of_the_primary_is_never_lost_sight_of() {
    let mut config = crate::support::repository_config();
    config.lease = super::PATIENCE;
    let primary = TestServer::with_config(&config);
    let link = Link::to(&primary.control);
    let follower = TestServer::with_config(&following(&link.url(), token_of(&primary)));
    until_current(&follower);
    assert!(allows(&follower, list_issues(&["planner-worker"])));
    link.stop();
    Admin::of(&primary).revoke("ana-planner").unwrap();
    // It cannot know yet; once it hears anything, it does.
    link.mend();
    until("revoked", || !allows(&follower, list_issues(&["planner-worker"])));
}
