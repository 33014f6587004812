//! What a follower does not do, and whom it does not follow.

use mandate::engine::generation::OnPolicyError;
use mandate::server::pb;
use mandate::server::pb::admin_service_client::AdminServiceClient;
use serde_json::json;
use tonic::{Code, Status};

use super::{follower_of, following, is_ready, leading, reason_of, status_of, token_of, until};
use crate::entity_log::{Admin, doc, sources, uid, view};
use crate::support::{Process, TestServer, is_allow, reference};

#[test]
fn a_follower_says_nothing_of_its_own_and_names_its_primary() {
    let primary = TestServer::with_config(&leading(&sources()));
    let follower = follower_of(&primary);
    let admin = Admin::of(&follower);
    let mut service = AdminServiceClient::new(admin.client.channel());
    let rollback = pb::RollbackRequest { generation: "3f9c21aa".to_owned(), release: false };
    let rolled_back = admin.client.wait(service.rollback(admin.request(rollback)));
    let backup = admin.client.wait(service.backup(admin.request(pb::BackupRequest {})));
    let watch = pb::WatchRequest::default();
    let watched = admin.client.wait(admin.entities().watch(admin.request(watch)));
    let follow = pb::WatchRequest { follow: true, ..pb::WatchRequest::default() };
    let followed = admin.client.wait(admin.entities().watch(admin.request(follow)));
    let renewed = admin.client.wait(admin.entities().renew(admin.request(pb::RenewRequest {})));
    let grant = pb::Entity { uid: Some(reference("Mandate::Delegation", "g")), ..pb::Entity::default() };
    let delegate = pb::DelegateRequest { grant: Some(grant), ..pb::DelegateRequest::default() };
    let delegated = admin.client.wait(admin.entities().delegate(admin.request(delegate)));
    let refusals: Vec<(&str, Option<Status>)> = vec![
        ("put", admin.put(vec![doc("a", 1, &[])]).err()),
        ("delete", admin.delete(vec![uid("plan")]).err()),
        ("revoke", admin.revoke("g").err()),
        ("suspend", admin.suspend(None, false).err()),
        ("lift", admin.suspend(None, true).err()),
        ("delegate", delegated.err()),
        ("rollback", rolled_back.err()),
        ("backup", backup.err()),
        ("watch", watched.err()),
        ("follow", followed.err()),
        ("renew", renewed.err()),
    ];
    for (what, refused) in refusals {
        let refused = refused.unwrap_or_else(|| panic!("{what} was obeyed"));
        assert_eq!(
            (refused.code(), reason_of(&refused).as_str()),
            (Code::FailedPrecondition, "FOLLOWER"),
            "{what}"
        );
        assert!(refused.message().contains(&primary.control), "{what}: {}", refused.message());
    }
    // What is read is read here.
    assert!(admin.get(uid("plan")).is_ok());
    assert!(is_allow(&follower.authorize(view("plan")).unwrap()));
}

#[test]
fn a_primary_that_means_something_else_is_not_followed() {
    let primary = TestServer::with_config(&leading(&sources()));
    let mut strict = following(&primary.control, token_of(&primary));
    strict.options.on_policy_error = OnPolicyError::Strict;
    let mut named = following(&primary.control, token_of(&primary));
    named.options.domain.tool = "Mandate::Doc".to_owned();
    for (config, key) in [(strict, "decisions.on_policy_error"), (named, "domain.tool")] {
        let follower = TestServer::with_config(&config);
        let problem = || status_of(&follower)["problem"].as_str().unwrap_or_default().to_owned();
        until("a word of it", || problem().contains(key));
        assert!(!is_ready(&follower) && follower.authorize(view("plan")).is_err());
    }
}

#[test]
fn whoever_the_primary_does_not_know_is_told_nothing() {
    let (primary, other) =
        (TestServer::with_config(&leading(&sources())), TestServer::with_config(&leading(&sources())));
    let follower = TestServer::with_config(&following(&primary.control, token_of(&other)));
    let problem = || status_of(&follower)["problem"].as_str().unwrap_or_default().to_owned();
    until("a word of it", || problem().contains("Unauthenticated"));
    assert!(!is_ready(&follower));
    assert_eq!(status_of(&follower)["connected"], json!(false));
}

/// As an operator runs it.
#[test]
fn the_command_line_follows_and_says_so() {
    let sources = sources();
    let primary = Process::start(&sources);
    let own = crate::support::Sources::empty();
    let token = sources.path("data/control.token").display().to_string();
    let follower = Process::follow(&own, &primary.control, &token, &[]);
    until("current", || crate::support::get(&format!("{}/readyz", follower.ops)).status == 200);
    assert!(follower.announced.contains(&primary.control), "{}", follower.announced);
    assert!(is_allow(&follower.client().authorize(view("plan")).unwrap()));
    let status = follower.command(&["status"]);
    status.check_code(0);
    assert!(
        status.stdout.contains("current") && status.stdout.contains(&primary.control),
        "{}",
        status.stdout
    );
    let refused = follower.command(&["freeze"]);
    refused.check_code(1);
    assert!(refused.stderr.contains(&primary.control), "{}", refused.stderr);
    follower.terminate().check_code(0);
}
