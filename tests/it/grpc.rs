//! What `AuthorizationService` answers, and the services beside it on the data listener.

use mandate::server::pb;
use serde_json::json;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::{v1, v1alpha};

use crate::support::{
    Client, Process, Question as _, Sources, TestServer, check_field, determining, is_allow, question,
    reason, reference, shipped_server,
};

/// A session of the shipped domain that no policy minds.
fn session() -> serde_json::Value {
    json!({"session": {
        "id": "s1", "purpose": "triage", "attended": true, "untrusted": false, "read_level": 0, "calls": 3,
        "spent_cents": 0,
    }})
}

/// `cem` lists the tools of a server.
fn listing(server: &str) -> pb::AuthorizeRequest {
    question(("User", "cem"), "list_tools", ("ToolServer", server)).struct_context(&session())
}

#[test]
fn an_allow_names_the_permit_and_who_asked() {
    let answer = shipped_server().authorize(listing("github").named("r-1")).unwrap();
    assert!(is_allow(&answer));
    assert_eq!(determining(&answer), ["list-known-servers"]);
    let policy = &answer.determining_policies[0];
    assert_eq!(policy.effect(), pb::PolicyEffect::Permit);
    assert_eq!(policy.annotations["owner"], "platform");
    assert_eq!((answer.reason, answer.denied_by), (None, None));
    assert_eq!(answer.request_id, "r-1");
    assert_eq!(answer.principal, Some(reference("Mandate::User", "cem")));
    assert!(answer.errors.is_empty());
}

#[test]
fn an_answer_promises_nothing_that_this_build_does_not_honour() {
    let answer = shipped_server().authorize(listing("github")).unwrap();
    assert_eq!(answer.valid_until, None);
    assert!(answer.obligations.is_empty() && answer.advice.is_empty());
}

#[test]
fn an_answer_names_its_world_and_what_part_the_cache_had() {
    let answer = shipped_server().authorize(listing("github")).unwrap();
    assert!(!answer.revision.is_empty());
    assert!(answer.generation.starts_with("sha256:"), "{}", answer.generation);
    assert!(matches!(answer.cache(), pb::CacheStatus::Hit | pb::CacheStatus::Miss), "{answer:?}");
}

#[test]
fn the_revision_of_an_answer_may_be_asked_for_again_and_no_other() {
    let asking = |revision: &str| {
        let minimum_revision = revision.to_owned();
        let consistency = Some(pb::Consistency { minimum_revision, bypass_cache: false });
        shipped_server().authorize(pb::AuthorizeRequest { consistency, ..listing("github") })
    };
    let revision = shipped_server().authorize(listing("github")).unwrap().revision;
    assert_eq!(asking(&revision).unwrap().revision, revision);
    check_field(asking("r1"), Code::InvalidArgument, "consistency.minimum_revision", "");
    let elsewhere = TestServer::start(&Sources::small());
    let other = elsewhere.authorize(question(("User", "ana"), "view", ("Doc", "plan"))).unwrap().revision;
    assert!(asking(&other).is_err(), "another service's revision means nothing here");
}

#[test]
fn a_deny_without_a_permit_says_so() {
    let answer = shipped_server().authorize(listing("weather")).unwrap();
    assert_eq!(answer.decision(), pb::Decision::Deny);
    assert!(answer.determining_policies.is_empty());
    assert_eq!(reason(&answer), "no_permit");
    let denied_by = answer.denied_by.unwrap();
    assert_eq!((denied_by.rule.as_str(), denied_by.hop), ("policy", 0));
    assert_eq!(denied_by.principal, Some(reference("Mandate::User", "cem")));
}

#[test]
fn a_forbid_names_itself_and_gives_its_reason() {
    let leaver = question(("User", "dov"), "list_tools", ("ToolServer", "github")).struct_context(&session());
    let answer = shipped_server().authorize(leaver).unwrap();
    assert_eq!(answer.decision(), pb::Decision::Deny);
    assert_eq!(determining(&answer), ["person-in-good-standing"]);
    assert_eq!(answer.determining_policies[0].effect(), pb::PolicyEffect::Forbid);
    let reason = answer.reason.unwrap();
    assert_eq!(reason.code, "forbidden");
    assert!(reason.message.starts_with("This person is no longer active"), "{}", reason.message);
    assert_eq!(answer.denied_by.unwrap().policy_id, "person-in-good-standing");
}

#[test]
fn an_action_that_does_not_apply_is_a_deny_and_not_an_error() {
    let odd = question(("User", "cem"), "list_tools", ("Data", "docs")).struct_context(&session());
    let answer = shipped_server().authorize(odd).unwrap();
    assert_eq!((answer.decision(), reason(&answer)), (pb::Decision::Deny, "action_not_applicable"));
}

#[test]
fn every_decision_has_an_id_of_its_own_and_ids_grow() {
    let ids: Vec<_> =
        (0..20).map(|_| shipped_server().authorize(listing("github")).unwrap().decision_id).collect();
    for pair in ids.windows(2) {
        assert!(pair[0] < pair[1], "{pair:?}");
    }
    assert!(ids.iter().all(|id| id.len() == 36 && id.as_bytes()[14] == b'7'), "UUIDv7: {ids:?}");
}

#[test]
fn the_action_may_be_written_out_or_left_to_the_default_namespace() {
    let mut written = listing("github");
    written.action = Some(reference("Mandate::Action", "list_tools"));
    assert!(is_allow(&shipped_server().authorize(written).unwrap()));
    let mut elsewhere = listing("github");
    elsewhere.action = Some(reference("Other::Action", "list_tools"));
    check_field(shipped_server().authorize(elsewhere), Code::InvalidArgument, "action", "declares no action");
}

#[test]
fn an_explanation_is_given_when_asked_for_and_only_then() {
    assert_eq!(shipped_server().authorize(listing("weather")).unwrap().explanation, None);
    let answer = shipped_server().authorize(listing("weather").explained()).unwrap();
    let explanation = answer.explanation.unwrap();
    let [hop] = explanation.hops.as_slice() else { panic!("one hop: {explanation:?}") };
    assert_eq!(hop.principal, Some(reference("Mandate::User", "cem")));
    assert_eq!(hop.decision(), pb::Decision::Deny);
    let nearest = hop.nearest.iter().find(|policy| policy.policy_id == "list-known-servers").unwrap();
    assert_eq!(nearest.condition, "resource.trusted");
    assert!(nearest.location.contains("tools.cedar:"), "{}", nearest.location);
}

#[test]
fn an_explanation_shows_the_decision_that_was_made() {
    for server in ["github", "weather"] {
        let plain = shipped_server().authorize(listing(server)).unwrap();
        let explained = shipped_server().authorize(listing(server).explained()).unwrap();
        assert_eq!(plain.decision, explained.decision);
        assert_eq!(plain.determining_policies, explained.determining_policies);
        assert_eq!(explained.explanation.unwrap().hops[0].decision, plain.decision);
    }
}

#[test]
fn server_info_counts_what_is_served() {
    let server = TestServer::start(&Sources::small());
    let mut service = server.client().service();
    let info = server.client().wait(service.get_server_info(pb::GetServerInfoRequest {})).unwrap();
    let info = info.into_inner();
    assert_eq!((info.policies, info.entities), (1, 2));
    assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
    assert!(info.generation.starts_with("sha256:"), "{}", info.generation);
    assert!(info.published_at.is_some());
    assert!(info.features.iter().any(|feature| feature == "authorize-batch"), "{:?}", info.features);
    let answer = server.authorize(question(("User", "ana"), "view", ("Doc", "plan"))).unwrap();
    assert_eq!(answer.generation, info.generation);
    server.shutdown();
}

#[test]
fn the_same_sources_in_another_folder_are_the_same_generation() {
    let generation = |sources: &Sources| {
        let server = TestServer::start(sources);
        server.authorize(question(("User", "ana"), "view", ("Doc", "plan"))).unwrap().generation
    };
    let first = generation(&Sources::small());
    assert_eq!(first, generation(&Sources::small()));
    let commented = "// Reviewed.\n@id(\"base\")\npermit (principal, action, resource);\n";
    assert_ne!(first, generation(&Sources::small().policy("base.cedar", commented)));
}

fn health(client: &Client, service: &str) -> Result<HealthCheckResponse, tonic::Status> {
    let mut health = HealthClient::new(client.channel());
    let request = HealthCheckRequest { service: service.to_owned() };
    client.wait(health.check(request)).map(tonic::Response::into_inner)
}

#[test]
fn health_is_serving_for_the_server_and_its_service_and_unknown_for_others() {
    let client = shipped_server().client();
    for service in ["", "mandate.v1.AuthorizationService"] {
        assert_eq!(health(client, service).unwrap().status(), ServingStatus::Serving, "`{service}`");
    }
    assert_eq!(health(client, "mandate.v1.Nothing").unwrap_err().code(), Code::NotFound);
}

#[test]
fn reflection_lists_the_services_in_both_versions() {
    let client = shipped_server().client();
    let expected = [
        "grpc.health.v1.Health",
        "mandate.v1.AuthorizationService",
        "mandate.v1.DecisionLogService",
        "mandate.v1.SearchService",
    ];
    assert_eq!(listed(client), expected);
    assert_eq!(listed_alpha(client), expected);
}

pub(crate) fn listed(client: &Client) -> Vec<String> {
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;
    let mut reflection = v1::server_reflection_client::ServerReflectionClient::new(client.channel());
    let request = v1::ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..v1::ServerReflectionRequest::default()
    };
    let answer = client.wait(async {
        let answers = reflection.server_reflection_info(tonic::codegen::tokio_stream::once(request)).await;
        answers.unwrap().into_inner().message().await.unwrap().unwrap()
    });
    match answer.message_response {
        Some(MessageResponse::ListServicesResponse(list)) => {
            let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
            names.sort();
            names
        }
        other => panic!("{other:?}"),
    }
}

fn listed_alpha(client: &Client) -> Vec<String> {
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;
    let mut reflection = v1alpha::server_reflection_client::ServerReflectionClient::new(client.channel());
    let request = v1alpha::ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..v1alpha::ServerReflectionRequest::default()
    };
    let answer = client.wait(async {
        let answers = reflection.server_reflection_info(tonic::codegen::tokio_stream::once(request)).await;
        answers.unwrap().into_inner().message().await.unwrap().unwrap()
    });
    match answer.message_response {
        Some(MessageResponse::ListServicesResponse(list)) => {
            let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
            names.sort();
            names
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_binary_serves_the_same_contract_and_ends_cleanly_when_told_to() {
    let mut process = Process::start(&Sources::small());
    let client = process.client();
    assert_eq!(health(&client, "").unwrap().status(), ServingStatus::Serving);
    assert!(is_allow(&client.authorize(question(("User", "ana"), "view", ("Doc", "plan"))).unwrap()));
    assert_eq!(crate::support::get(&format!("{}/healthz", process.http)).body, "ok");
    assert!(process.is_alive());
    drop(client);
    let finished = process.terminate();
    finished.check_code(0);
    assert!(finished.stderr.contains("stopping"), "{finished:?}");
}
