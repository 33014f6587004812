//! What a follower serves: everything that its primary does, as it does.

use std::sync::atomic::{AtomicBool, Ordering};

use mandate::server::pb;
use serde_json::json;
use tonic::Code;

use super::{allows, data_of, follower_of, leading, reason_of, status_of, until};
use crate::delegation::list_issues;
use crate::entity_log::{Admin, doc, level, sources, uid, view, view_since};
use crate::support::{TestServer, get_status, is_allow, reason, reference, repository_config, user};

#[test]
fn a_follower_answers_as_its_primary_does_under_the_same_revisions() {
    let sources = sources();
    let primary = TestServer::with_config(&leading(&sources));
    let admin = Admin::of(&primary);
    // One from before, and what is said of it while it is followed.
    let first = admin.put(vec![doc("a", 1, &["plan"])]).unwrap();
    let follower = follower_of(&primary);
    let same = |request: pb::AuthorizeRequest| {
        let one = primary.authorize(request.clone()).unwrap();
        let consistency = pb::Consistency { minimum_revision: one.revision.clone(), bypass_cache: false };
        let request = pb::AuthorizeRequest { consistency: Some(consistency), ..request };
        let other = follower.authorize(request).unwrap();
        assert_eq!((one.revision.as_str(), one.decision), (other.revision.as_str(), other.decision));
        other
    };
    assert!(is_allow(&same(view_since("a", &first))));
    assert!(is_allow(&same(view("plan"))));
    // What was written is waited for.
    for round in 0..20 {
        let put = admin.put(vec![doc("b", round, &["a"]), doc(&format!("b{round}"), 1, &["b"])]).unwrap();
        assert!(is_allow(&follower.authorize(view_since(&format!("b{round}"), &put)).unwrap()), "{round}");
    }
    let deleted = admin.delete(vec![uid("b3")]).unwrap();
    let answer = follower.authorize(view_since("b3", &deleted)).unwrap();
    assert_eq!(reason(&answer), "unknown_resource");
    same(view("b4"));
    // Whose an entity is.
    let reader = Admin::of(&follower);
    let got = reader.get(uid("b")).unwrap();
    assert_eq!((got.owner.as_str(), level(got.entity.as_ref().unwrap())), ("api", level(&doc("b", 19, &[]))));
    assert_eq!(reader.get(uid("plan")).unwrap().owner, "file");
    // Suspensions, with why, and their end.
    let ana = reference("Mandate::User", "ana");
    let suspended = admin.suspend(Some(ana.clone()), false).unwrap();
    let denied = follower.authorize(view_since("plan", &suspended)).unwrap();
    assert_eq!(reason(&denied), "suspended");
    assert!(denied.reason.unwrap().message.contains("odd calls"));
    let lifted = admin.suspend(Some(ana), true).unwrap();
    assert!(is_allow(&follower.authorize(view_since("plan", &lifted)).unwrap()));
    let frozen = admin.suspend(None, false).unwrap();
    assert_eq!(reason(&follower.authorize(view_since("plan", &frozen)).unwrap()), "frozen");
    let lifted = admin.suspend(None, true).unwrap();
    assert!(is_allow(&follower.authorize(view_since("plan", &lifted)).unwrap()));
    let status = status_of(&follower);
    assert_eq!((&status["resets"], &status["current"]), (&json!(1), &json!(true)), "{status}");
    assert!(!data_of(&follower).join("entities.redb").exists(), "nothing is written");
}

#[test]
fn policies_seeds_and_emergency_forbids_follow_without_a_reset() {
    let sources = sources();
    let primary = TestServer::with_config(&leading(&sources));
    let follower = follower_of(&primary);
    assert_eq!(follower.generation(), primary.generation());
    assert!(allows(&follower, view("plan")));
    // The question was remembered: the next generation does not answer from that.
    let generation = follower.generation();
    let hides = "@id(\"hide\")\nforbid (principal, action, resource == Mandate::Doc::\"plan\");\n";
    sources.replace("policies/hide.cedar", hides);
    let now = primary.reloaded(&generation);
    until("the same policies", || follower.generation() == now);
    assert!(!allows(&follower, view("plan")));
    std::fs::remove_file(sources.path("policies/hide.cedar")).unwrap();
    until("no such policy", || allows(&follower, view("plan")));
    // Seeds.
    sources.replace(
        "entities/more.json",
        json!([user("eve"), crate::support::doc("new", &["plan"])]).to_string(),
    );
    until("more seeds", || allows(&follower, view("new")));
    std::fs::remove_file(sources.path("entities/more.json")).unwrap();
    until("no such seeds", || !allows(&follower, view("new")));
    // What forbids in an emergency.
    std::fs::create_dir_all(sources.path("emergency")).unwrap();
    sources.replace("emergency/stop.cedar", "forbid (principal, action, resource);\n");
    until("stopped", || !allows(&follower, view("plan")));
    let answer = follower.authorize(view("plan")).unwrap();
    assert_eq!(reason(&answer), "forbidden", "{answer:?}");
    let status = get_status(&follower.control, &data_of(&follower));
    assert_eq!(status["emergency"]["files"], json!(["stop.cedar"]));
    std::fs::remove_file(sources.path("emergency/stop.cedar")).unwrap();
    until("lifted", || allows(&follower, view("plan")));
    assert_eq!(follower.generation(), primary.generation());
    assert_eq!(status_of(&follower)["resets"], json!(1));
}

#[test]
fn another_schema_is_told_whole_and_never_through_an_emptier_world() {
    let sources = sources();
    let primary = TestServer::with_config(&leading(&sources));
    let admin = Admin::of(&primary);
    let written: Vec<_> = (0..200).map(|number| doc(&format!("d{number}"), number, &["plan"])).collect();
    admin.put(written).unwrap();
    let follower = follower_of(&primary);
    until("everything", || allows(&follower, view("d199")));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut asked = 0;
            while !over.load(Ordering::SeqCst) {
                for id in ["plan", "d0", "d199"] {
                    let answer = follower.authorize(view(id)).unwrap();
                    assert!(is_allow(&answer), "{id} after {asked}: {answer:?}");
                }
                asked += 3;
            }
            asked
        });
        for round in 0..3 {
            let generation = primary.generation();
            let more = format!("namespace Mandate {{ entity More{round}; }}\n");
            sources.replace("schemas/more.cedarschema", more);
            let now = primary.reloaded(&generation);
            until("another schema", || follower.generation() == now);
        }
        over.store(true, Ordering::SeqCst);
        assert!(asking.join().unwrap() > 0);
    });
    assert_eq!(status_of(&follower)["resets"], json!(4));
    // It goes on from there.
    let put = admin.put(vec![doc("after", 1, &["d0"])]).unwrap();
    assert!(is_allow(&follower.authorize(view_since("after", &put)).unwrap()));
}

#[test]
fn grants_that_are_revoked_deny_whatever_was_remembered() {
    let mut config = repository_config();
    config.lease = super::PATIENCE;
    let primary = TestServer::with_config(&config);
    let follower = follower_of(&primary);
    for _ in 0..3 {
        assert!(allows(&follower, list_issues(&["planner-worker"])));
    }
    let revoked = Admin::of(&primary).revoke("ana-planner").unwrap();
    let consistency = pb::Consistency { minimum_revision: revoked, bypass_cache: false };
    let request = pb::AuthorizeRequest { consistency: Some(consistency), ..list_issues(&["planner-worker"]) };
    let answer = follower.authorize(request).unwrap();
    assert_eq!(reason(&answer), "grant_revoked", "{answer:?}");
    assert!(!allows(&primary, list_issues(&["planner-worker"])));
}

/// A follower knows its primary's revisions from any other, and does not wait for what is not its primary's.
#[test]
fn revisions_are_the_primarys_and_no_others() {
    let sources = sources();
    let (primary, other) =
        (TestServer::with_config(&leading(&sources)), TestServer::with_config(&leading(&sources)));
    let follower = follower_of(&primary);
    let foreign = Admin::of(&other).put(vec![doc("a", 1, &[])]).unwrap();
    let refused = follower.authorize(view_since("plan", &foreign)).unwrap_err();
    assert_eq!((refused.code(), reason_of(&refused).as_str()), (Code::InvalidArgument, "REVISION_UNKNOWN"));
}
