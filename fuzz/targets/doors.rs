//! What callers send, through the doors themselves. Nothing is permitted in the world behind them, so nothing may be allowed.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, Version};
use http_body_util::BodyExt as _;
use mandate::audit::AuditLog;
use mandate::audit::record::Evidence;
use mandate::engine::catalog::Domain;
use mandate::engine::compile::{Options, compile};
use mandate::engine::datum::Datum;
use mandate::engine::decision::Effect;
use mandate::engine::world::World;
use mandate::identity::caller::Caller;
use mandate::identity::callers::Callers;
use mandate::identity::own::OwnPrincipals;
use mandate::pdp::{Pdp, decide_unrecorded};
use mandate::server::admission::{self, Admission};
use mandate::server::authzen::{self, Settings};
use mandate::server::call::Entrance;
use mandate::server::observing::Observer;
use mandate::server::sizes::Sizes;
use mandate::server::{envoy, ext_authz, grpc as data, pb, structs, wire};
use mandate::store::Store;
use mandate::store::directory::read;
use mandate::telemetry::metrics::Metrics;
use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

use super::{sources, text};

/// The shipped world, of which every permit is made a forbid.
static WORLD: LazyLock<World> = LazyLock::new(|| {
    let mut sources = read(&sources::shipped()).unwrap();
    for file in &mut sources.policies {
        let policies = String::from_utf8(file.bytes.to_vec()).unwrap();
        file.bytes = policies.replace("permit (", "forbid (").into_bytes().into();
    }
    compile(&sources, &Options::default()).unwrap().world
});

/// The same, to be put somewhere else.
pub(super) fn world() -> World {
    WORLD.clone()
}

struct Doors {
    runtime: Runtime,
    http: Router,
    mcp: Router,
    plain: Router,
}

static DOORS: LazyLock<Doors> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let callers = Arc::new(Callers::anonymous(Caller::anonymous("fuzz")));
    let store = Arc::new(Store::new(WORLD.clone()));
    let metrics = Arc::new(Metrics::new().unwrap());
    let observer = Arc::new(Observer::new(Arc::clone(&metrics), None));
    let admission = Admission::new(admission(), Arc::clone(&metrics));
    let pdp = Arc::new(Pdp::new(store, AuditLog::off().log, metrics, callers));
    let entrance = Entrance { pdp, admission, observer };
    let names = authzen::Names { namespace: "Mandate".to_owned(), ..authzen::Names::default() };
    let settings = Settings { names, undeclared: Default::default(), url: None, secured: false };
    let data = |protocol| {
        let stopping = Box::leak(Box::new(tokio::sync::watch::channel(false).0)).subscribe();
        let envoy = Some(envoy_settings(protocol));
        runtime.block_on(data::router(entrance.clone(), envoy, stopping)).unwrap().0
    };
    let (mcp, plain) = (data(ext_authz::Protocol::Mcp), data(ext_authz::Protocol::Http));
    Doors { http: authzen::router(entrance.clone(), settings), mcp, plain, runtime }
});

/// Nobody is turned away.
fn admission() -> admission::Settings {
    let minute = std::time::Duration::from_secs(60);
    admission::Settings {
        queue_delay: minute,
        deadline: minute,
        max_deadline: minute,
        sizes: Sizes { message_bytes: 256 * 1024, batch_items: 100, batch_bytes: 4 * 1024 * 1024 },
    }
}

fn envoy_settings(protocol: ext_authz::Protocol) -> ext_authz::Settings {
    ext_authz::Settings {
        protocol: Some(protocol),
        server: Some("fetch".to_owned()),
        max_body_bytes: 256 * 1024,
        principal: Some(ext_authz::PrincipalSource::Header),
        fixed: None,
        token_header: "authorization".to_owned(),
        principal_header: Some(("x-user".to_owned(), "Mandate::User".to_owned())),
        peers: OwnPrincipals::new(Vec::new()),
        delegation: None,
        delegation_header: Some("x-delegation".to_owned()),
        digest_approved: true,
        context: vec![("touches".to_owned(), Datum::List(Vec::new()))],
        domain: Domain::default(),
    }
}

fn ask(router: &Router, request: Request<Body>) -> (StatusCode, Bytes) {
    DOORS.runtime.block_on(async {
        let response = router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        (head.status, body.collect().await.map(|body| body.to_bytes()).unwrap_or_default())
    })
}

/// A body of AuthZEN; the first byte says where it goes.
pub(super) fn authzen(bytes: &[u8]) {
    const PATHS: [&str; 5] =
        ["evaluation", "evaluations", "search/subject", "search/resource", "search/action"];
    let Some((first, body)) = bytes.split_first() else { return };
    let path = format!("/access/v1/{}", PATHS[usize::from(*first) % PATHS.len()]);
    let request = Request::post(path).header("host", "localhost").header("content-type", "application/json");
    let (status, answer) = ask(&DOORS.http, request.body(Body::from(body.to_vec())).unwrap());
    let answer = String::from_utf8_lossy(&answer);
    assert!(!answer.contains("\"decision\":true"), "allowed: {answer}");
    assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{answer}");
}

/// A message of the contract; the first byte says which method it is sent to.
pub(super) fn grpc(bytes: &[u8]) {
    const METHODS: [&str; 7] = [
        "AuthorizationService/Authorize",
        "AuthorizationService/AuthorizeBatch",
        "AuthorizationService/AuthorizeStream",
        "SearchService/SearchActions",
        "SearchService/SearchResources",
        "SearchService/SearchPrincipals",
        "DecisionLogService/ReportOutcome",
    ];
    let Some((first, message)) = bytes.split_first() else { return };
    let method = usize::from(*first) % METHODS.len();
    let answers = call(&DOORS.mcp, &format!("/mandate.v1.{}", METHODS[method]), message);
    for answer in answers {
        let allowed = match method {
            0 => pb::AuthorizeResponse::decode(answer)
                .is_ok_and(|answer| answer.decision() == pb::Decision::Allow),
            1 => pb::AuthorizeBatchResponse::decode(answer)
                .is_ok_and(|answer| format!("{answer:?}").contains("decision: Allow")),
            2 => pb::AuthorizeStreamResponse::decode(answer)
                .is_ok_and(|answer| format!("{answer:?}").contains("decision: Allow")),
            3..=5 => pb::SearchResponse::decode(answer).is_ok_and(|answer| !answer.found.is_empty()),
            _ => false,
        };
        assert!(!allowed, "allowed by {}", METHODS[method]);
    }
}

/// What Envoy asks of MCP over HTTP.
pub(super) fn ext_authz_mcp(bytes: &[u8]) {
    check(&DOORS.mcp, bytes);
}

/// What Envoy asks of plain HTTP.
pub(super) fn ext_authz_http(bytes: &[u8]) {
    check(&DOORS.plain, bytes);
}

fn check(router: &Router, message: &[u8]) {
    for answer in call(router, "/envoy.service.auth.v3.Authorization/Check", message) {
        let answer = envoy::auth::CheckResponse::decode(answer).unwrap();
        // No status is one, and it is OK.
        assert!(answer.status.is_some_and(|status| status.code != 0), "Envoy would let it pass");
    }
}

/// Sends one message, and gives the messages back that are answered.
fn call(router: &Router, path: &str, message: &[u8]) -> Vec<Bytes> {
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    let request = Request::post(path)
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::from(framed))
        .unwrap();
    let (_, mut body) = ask(router, request);
    let mut messages = Vec::new();
    while body.len() >= 5 {
        let length = usize::try_from(u32::from_be_bytes([body[1], body[2], body[3], body[4]])).unwrap();
        messages.push(body.slice(5..5 + length));
        body = body.slice(5 + length..);
    }
    messages
}

/// A context and arguments, as JSON, in the three forms that the contract has for them.
pub(super) fn context(bytes: &[u8]) {
    let Some(json) = text(bytes) else { return };
    let parsed = serde_json::from_str::<serde_json::Value>(json).ok();
    let members = parsed.as_ref().map(Datum::of_json);
    let members = members.as_ref().and_then(Datum::members);
    let named =
        |type_name: &str, id: &str| Some(pb::EntityRef { r#type: type_name.to_owned(), id: id.to_owned() });
    let request = pb::AuthorizeRequest {
        principal: named("Mandate::User", "ana"),
        action: named("", "call_tool"),
        resource: named("Mandate::Tool", "fetch/fetch"),
        ..pb::AuthorizeRequest::default()
    };
    use pb::authorize_request::{ArgumentsForm, ContextForm};
    let as_text = pb::AuthorizeRequest {
        context_form: Some(ContextForm::ContextJson(json.to_owned())),
        arguments_form: Some(ArgumentsForm::ArgumentsJson(json.to_owned())),
        ..request.clone()
    };
    denied(as_text);
    if let Some(members) = members {
        let form = || structs::of_members(members);
        let as_struct = pb::AuthorizeRequest {
            context_form: Some(ContextForm::Context(form())),
            arguments_form: Some(ArgumentsForm::Arguments(form())),
            ..request
        };
        denied(as_struct);
        // What is printed is read again.
        assert!(structs::members(form()).len() <= members.len());
    }
}

fn denied(request: pb::AuthorizeRequest) {
    if let Ok(asked) = wire::asked(request, "fuzz", None) {
        // Whoever cannot be answered is refused, which is no answer.
        if let Ok(answer) = decide_unrecorded(WORLD.clone(), &asked) {
            assert_eq!(answer.decision.effect, Effect::Deny);
            assert_eq!(answer.decision.principal.id().unescaped(), "ana");
        }
    }
}

/// The header of a trace. What is taken for a trace's id is one, as W3C has it.
pub(super) fn traceparent(bytes: &[u8]) {
    let Some(traceparent) = wire::traceparent(text(bytes)) else { return };
    let evidence = Evidence { traceparent, ..Evidence::default() };
    if let Some(id) = evidence.trace_id() {
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
}
