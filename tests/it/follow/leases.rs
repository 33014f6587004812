//! How long a follower answers that cannot hear its primary: no longer than its lease, whatever becomes of it meanwhile.

use std::time::Duration;

use mandate::server::pb;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::{following, is_ready, leading, reason_of, status_of, token_of, until, until_current};
use crate::entity_log::{Admin, doc, sources, view, view_since};
use crate::support::{Link, TestServer, evaluation, get, is_allow};

/// A primary with the shortest lease there is, and a follower that reaches it over a link.
fn apart() -> (TestServer, Link, TestServer) {
    let sources = sources();
    let mut config = leading(&sources);
    config.lease = Duration::from_secs(1);
    let primary = TestServer::with_config(&config);
    let link = Link::to(&primary.control);
    let follower = TestServer::with_config(&following(&link.url(), token_of(&primary)));
    (primary, link, follower)
}

fn serving(server: &TestServer) -> i32 {
    let mut health = HealthClient::new(server.client().channel());
    let request = HealthCheckRequest { service: String::new() };
    server.client().wait(health.check(request)).unwrap().into_inner().status
}

#[track_caller]
fn check_not_current(follower: &TestServer) {
    let refused = follower.authorize(view("plan")).unwrap_err();
    assert_eq!((refused.code(), reason_of(&refused).as_str()), (Code::Unavailable, "NOT_CURRENT"));
    let batch = pb::AuthorizeBatchRequest { defaults: None, requests: vec![view("plan")] };
    let results = follower.client().batch(batch);
    let is_refused = |result: &pb::AuthorizeResult| matches!(&result.outcome, Some(pb::authorize_result::Outcome::Status(status)) if status.code == 14);
    assert!(results.as_ref().is_ok_and(|results| results.iter().all(is_refused)), "{results:?}");
    let asked = evaluation(("Mandate::User", "ana"), "view", ("Mandate::Doc", "plan"));
    assert_eq!(follower.evaluate(&asked).status, 503);
    let ready = get(&format!("{}/readyz", follower.ops));
    assert_eq!((ready.status, ready.body.contains("primary")), (503, true), "{}", ready.body);
    assert_eq!(get(&format!("{}/livez", follower.ops)).status, 200);
}

#[test]
fn a_follower_that_never_heard_its_primary_lives_and_answers_nothing() {
    let (_primary, link, follower) = {
        let sources = sources();
        let mut config = leading(&sources);
        config.lease = Duration::from_secs(2);
        let primary = TestServer::with_config(&config);
        let link = Link::to(&primary.control);
        link.cut();
        let follower = TestServer::with_config(&following(&link.url(), token_of(&primary)));
        (primary, link, follower)
    };
    until("not serving", || serving(&follower) == 2);
    check_not_current(&follower);
    let refused = follower.authorize(view_since("plan", "AAAA")).unwrap_err();
    assert_eq!(reason_of(&refused), "NOT_CURRENT", "nobody waits for a revision here");
    assert!(status_of(&follower)["problem"].is_string());
    link.mend();
    until_current(&follower);
    until("serving", || serving(&follower) == 1);
    assert!(is_allow(&follower.authorize(view("plan")).unwrap()));
}

#[test]
fn a_lease_ends_when_nothing_is_heard_and_begins_again_by_itself() {
    let (primary, link, follower) = apart();
    let admin = Admin::of(&primary);
    for hurt in [Link::cut as fn(&Link), Link::stop] {
        until_current(&follower);
        hurt(&link);
        until("the end of the lease", || !is_ready(&follower));
        check_not_current(&follower);
        // What is written meanwhile is there as soon as anything is answered.
        let written = admin.put(vec![doc("a", 1, &[])]).unwrap();
        link.mend();
        until("an answer", || follower.authorize(view("plan")).is_ok());
        assert!(is_allow(&follower.authorize(view_since("a", &written)).unwrap()));
        admin.delete(vec![crate::entity_log::uid("a")]).unwrap();
    }
    let series = format!("pdp_follower_lease_seconds{{primary=\"{}\"}}", link.url());
    let text = get(&format!("{}/metrics", follower.ops)).body;
    for metric in ["pdp_follower_connected", "pdp_follower_resets_total", "pdp_follower_lag_worlds", &series]
    {
        assert!(text.contains(metric), "no {metric} in {text}");
    }
}

/// What comes late was said long ago: a stream of old news, however steady, is no lease.
#[test]
fn news_that_are_on_their_way_for_longer_than_a_lease_prove_nothing() {
    let (_primary, link, follower) = apart();
    until_current(&follower);
    link.delay(Duration::from_millis(1500));
    until("the end of the lease", || !is_ready(&follower));
    // Heard, and never current.
    until("news all the same", || status_of(&follower)["lag_worlds"].is_u64());
    for _ in 0..100 {
        assert!(!is_ready(&follower));
        assert!(follower.authorize(view("plan")).is_err());
        std::thread::sleep(Duration::from_millis(20));
    }
    link.mend();
    until_current(&follower);
}
