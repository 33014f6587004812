//! The ops listener: probes for the kubelet, numbers for Prometheus, and nothing that a request could have put there.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::num::NonZeroU64;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mandate::server::pb;
use serde_json::json;

use crate::support::{
    Conversation, Process, Question as _, SigningKey, Sources, TestServer, evaluation, get, is_allow, post,
    question, repository, try_post,
};

fn view(user: &str) -> pb::AuthorizeRequest {
    question(("User", user), "view", ("Doc", "plan"))
}

/// A server that has answered something on every surface, and refused something.
fn busy_server() -> TestServer {
    let sources = Sources::small();
    sources.put("keys.json", json!({"keys": [SigningKey::p256().jwk("k1")]}).to_string());
    let issuer = format!(
        "[[issuers]]\nissuer = 'https://issuer.example'\naudience = 'mandate'\nprofile = 'rfc8693'\njwks_file = '{}'\n",
        sources.path("keys.json").display()
    );
    let server = TestServer::with_config(&sources.config_written(&issuer).unwrap());
    assert!(is_allow(&server.authorize(view("ana")).unwrap()));
    server.authorize(pb::AuthorizeRequest::default()).unwrap_err();
    server.client().batch(pb::AuthorizeBatchRequest { defaults: None, requests: vec![view("ana")] }).unwrap();
    Conversation::open(server.client(), &[]).decide(&view("ana").named("m"));
    assert!(
        server.evaluate(&evaluation(("Mandate::User", "ana"), "view", ("Mandate::Doc", "plan"))).decision()
    );
    server
}

#[test]
fn probes_say_that_it_lives_and_is_ready() {
    let server = TestServer::start(&Sources::small());
    for path in ["/livez", "/readyz"] {
        let answer = get(&format!("{}{path}", server.ops));
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"), "{path}");
    }
    let answer = get(&format!("{}/metrics", server.ops));
    assert_eq!((answer.status, answer.content_type.as_str()), (200, "text/plain; version=0.0.4"));
    for path in ["/", "/metrics/", "/debug", "/healthz", "/access/v1/evaluation"] {
        assert_eq!(get(&format!("{}{path}", server.ops)).status, 404, "{path}");
    }
    assert_eq!(post(&format!("{}/metrics", server.ops), &[], "").status, 405);
}

#[test]
fn a_server_that_is_told_to_stop_is_alive_and_not_ready_and_still_serves() {
    let process = Process::try_start_with(&Sources::small(), &["MANDATE__SHUTDOWN__GRACE=3s"]).unwrap();
    let (ops, client) = (process.ops.clone(), process.client());
    let ended = std::thread::spawn(move || process.terminate());
    let ready = || get(&format!("{ops}/readyz"));
    let begun = Instant::now();
    while ready().status == 200 {
        assert!(begun.elapsed() < Duration::from_secs(2), "it was told to stop");
    }
    assert_eq!((ready().status, get(&format!("{ops}/livez")).status), (503, 200));
    assert!(is_allow(&client.authorize(view("ana")).unwrap()));
    ended.join().unwrap().check_code(0);
}

/// Every metric and its labels, one a line. Dashboards and alerts name them: a change here breaks somebody.
const METRICS: &str = "\
http_server_request_duration_seconds_bucket{http_request_method,http_response_status_code,http_route,le}
http_server_request_duration_seconds_count{http_request_method,http_response_status_code,http_route}
http_server_request_duration_seconds_sum{http_request_method,http_response_status_code,http_route}
pdp_audit_previous_lost_records
pdp_audit_queue_depth
pdp_audit_records_issued_total
pdp_audit_records_total{outcome}
pdp_build_info{cedar,version}
pdp_cache_bypasses_total{reason}
pdp_cache_bytes
pdp_cache_entries
pdp_cache_evictions_total
pdp_cache_hits_total
pdp_cache_misses_total
pdp_cache_stale_total{stamp}
pdp_cache_verified_total{outcome}
pdp_checks_total{outcome}
pdp_connections_ended_total{limit,listener}
pdp_connections{listener}
pdp_decision_seconds_bucket{surface,le}
pdp_decision_seconds_count{surface}
pdp_decision_seconds_sum{surface}
pdp_decisions_total{cached,effect,surface}
pdp_denials_total{reason}
pdp_emergency_policies
pdp_emergency_problems
pdp_entities
pdp_generation_age_seconds
pdp_generation_info{generation}
pdp_insecure_unauthenticated_callers
pdp_jwks_age_seconds{issuer}
pdp_jwks_looks_total{issuer,outcome}
pdp_keep_failing
pdp_loader_silent_seconds
pdp_log_checkpoint_timestamp_seconds
pdp_memory_bytes{kind}
pdp_memory_pressure
pdp_metrics_pushes_total{outcome}
pdp_outcome_findings_total{finding}
pdp_outcomes_total{outcome}
pdp_overloaded
pdp_panics_total
pdp_policies
pdp_policy_errors_total
pdp_queue_delay_seconds_bucket{le}
pdp_queue_delay_seconds_count
pdp_queue_delay_seconds_sum
pdp_rate_limited_total
pdp_refusals_total{code,surface}
pdp_reloads_total{outcome}
pdp_requests_in_flight
pdp_requests_queued
pdp_requests_shed_total{reason}
pdp_revocation_problems
pdp_revocations
pdp_search_candidates_total{outcome,sought}
pdp_search_seconds_bucket{sought,le}
pdp_search_seconds_count{sought}
pdp_search_seconds_sum{sought}
pdp_serving_last_known_good
pdp_serving_stale
pdp_suspensions
pdp_tls_certificate_begins_timestamp_seconds
pdp_tls_certificate_expires_timestamp_seconds
pdp_token_verifications_total{outcome}
pdp_trace_spans_total{outcome}
pdp_workload_api_failing
pdp_world_sequence
rpc_server_call_duration_seconds_bucket{rpc_method,rpc_response_status_code,rpc_system_name,le}
rpc_server_call_duration_seconds_count{rpc_method,rpc_response_status_code,rpc_system_name}
rpc_server_call_duration_seconds_sum{rpc_method,rpc_response_status_code,rpc_system_name}
";

/// A series without the values of its labels.
fn shape(series: &str) -> String {
    let Some((name, labels)) = series.split_once('{') else { return series.to_owned() };
    let labels = labels.trim_end_matches('}').split("\",").map(|label| label.split('=').next().unwrap());
    format!("{name}{{{}}}", labels.collect::<Vec<_>>().join(","))
}

#[test]
fn metrics_keep_their_names_and_labels() {
    let numbers = busy_server().metrics();
    let shapes: BTreeSet<_> = numbers.series().map(shape).collect();
    let pinned: BTreeSet<_> = METRICS.lines().map(str::to_owned).collect();
    assert_eq!(shapes, pinned, "\n{}", shapes.iter().cloned().collect::<Vec<_>>().join("\n"));
    // But for those that OpenTelemetry names, and Prometheus itself.
    let prefixes = ["pdp_", "rpc_server_", "http_server_", "process_"];
    assert!(shapes.iter().all(|shape| prefixes.iter().any(|prefix| shape.starts_with(prefix))));
    for line in numbers.text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(numbers.text.contains(&format!("# HELP {family} ")), "{family} has no help");
    }
}

/// Label values, of every series.
fn label_values(text: &str) -> BTreeSet<&str> {
    let series = text.lines().filter(|line| !line.starts_with('#'));
    let labels = series.filter_map(|line| line.split_once('{')).flat_map(|(_, rest)| rest.split('"'));
    labels.collect()
}

#[test]
fn nothing_that_was_sent_or_written_becomes_a_label() {
    let sources = Sources::small()
        .policy("canary-file.cedar", "@id(\"canary-policy\")\nforbid (principal, action, resource) when { context has count && context.count + 9223372036854775807 > 1 };\n");
    let server = TestServer::start(&sources);
    let before = server.metrics();
    let canary = |text: &str| format!("canary-{text}");
    let evidence = pb::Evidence { session_id: canary("s"), model: canary("m"), ..pb::Evidence::default() };
    let named = question(("User", "canary-user"), "view", ("Doc", "canary-doc")).named("canary-id");
    server.authorize(pb::AuthorizeRequest { evidence: Some(evidence), ..named }).unwrap();
    // A policy that cannot be evaluated, and a forbid that applies.
    let failing = server.authorize(view("ana").struct_context(&json!({"count": 1}))).unwrap();
    assert_eq!(failing.errors[0].policy_id, "canary-policy");
    server.authorize(question(("User", "ana"), "canary-action", ("Doc", "plan"))).unwrap_err();
    server.authorize(pb::AuthorizeRequest { credentials: canary("c"), ..view("ana") }).unwrap_err();
    Conversation::open(server.client(), &[("x-canary", "canary-header")])
        .decide(&view("ana").named("canary-m"));
    server.evaluate(&evaluation(("Mandate::User", "canary"), "view", ("Mandate::Doc", "plan")));
    server.evaluate(&json!({"canary": 1}));
    drop(try_post(&format!("{}/canary-path", server.http), &[("x-request-id", "canary-r")], "{}"));
    drop(get(&format!("{}/canary-path", server.ops)));
    let after = server.metrics();
    assert!(!after.text.contains("canary"), "{}", after.text);
    assert_eq!(after.sum("pdp_policy_errors_total"), 1.0);
    let fixed = [
        "INVALID_ARGUMENT",
        "UNAUTHENTICATED",
        "UNIMPLEMENTED",
        "CANCELLED",
        "OK",
        "POST",
        "code",
        "surface",
        "grpc",
        "authzen",
    ];
    // Statuses of HTTP, and bounds of buckets.
    let is_number = |value: &str| value.bytes().all(|byte| byte.is_ascii_digit());
    let (before, after) = (label_values(&before.text), label_values(&after.text));
    let new: Vec<_> =
        after.difference(&before).filter(|value| value.chars().all(char::is_alphanumeric)).collect();
    assert!(new.iter().all(|value| fixed.contains(value) || is_number(value)), "{new:?}");
}

#[test]
fn a_sample_of_decisions_is_made_once_more_by_cedars_own_authorizer() {
    let sources = Sources::small();
    let mut config = sources.config();
    config.check_one_in = NonZeroU64::new(1);
    let server = TestServer::with_config(&config);
    let checked =
        |outcome: &str| server.metrics().value(&format!("pdp_checks_total{{outcome=\"{outcome}\"}}"));
    let begun = Instant::now();
    // The first answer is an evaluation's, the others the cache's: both are held to Cedar.
    while checked("same") < 3.0 {
        assert!(is_allow(&server.authorize(view("ana")).unwrap()));
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", server.metrics().text);
    }
    assert_eq!(checked("different"), 0.0);
}

#[test]
fn one_generation_is_named_however_often_policies_change() {
    let sources = Sources::small();
    let server = TestServer::with_config(&sources.restless_config());
    let mut generation = server.generation();
    for round in 0..4 {
        let numbers = server.metrics();
        let named: Vec<_> = numbers.named("pdp_generation_info").collect();
        let series = format!("pdp_generation_info{{generation=\"{generation}\"}}");
        assert_eq!(named, [(series.as_str(), 1.0)]);
        assert_eq!(numbers.value(r#"pdp_reloads_total{outcome="published"}"#), f64::from(round));
        let text = format!("@id(\"round-{round}\")\npermit (principal, action, resource);\n");
        sources.replace("policies/base.cedar", text);
        generation = server.reloaded(&generation);
    }
    let before = server.metrics().value(r#"pdp_reloads_total{outcome="rejected"}"#);
    sources.replace("policies/base.cedar", "permit (");
    let begun = Instant::now();
    while server.metrics().value(r#"pdp_reloads_total{outcome="rejected"}"#) <= before {
        assert!(begun.elapsed() < Duration::from_secs(10), "a broken file is rejected");
    }
    assert_eq!(server.generation(), generation);
}

#[test]
fn latencies_are_told_apart_from_a_microsecond_on() {
    let server = busy_server();
    let numbers = server.metrics();
    let bounds: Vec<f64> = numbers
        .named("pdp_decision_seconds_bucket")
        .filter(|(series, _)| series.contains("surface=\"grpc\""))
        .filter_map(|(series, _)| series.split("le=\"").nth(1)?.trim_end_matches("\"}").parse().ok())
        .filter(|bound: &f64| bound.is_finite())
        .collect();
    let below = |limit: f64| bounds.iter().filter(|bound| **bound <= limit * 1.001).count();
    assert_eq!((below(0.99e-6), below(1e-6)), (0, 1), "{bounds:?}");
    assert!(below(1e-5) >= 4 && below(1e-3) >= 10, "{bounds:?}");
    for surface in ["grpc", "batch", "stream", "authzen"] {
        assert_eq!(
            numbers.value(&format!("pdp_decision_seconds_count{{surface=\"{surface}\"}}")),
            1.0,
            "{surface}"
        );
    }
}

#[test]
fn prometheus_finds_nothing_to_complain_of() {
    let installed = repository().join("target/tools/prometheus/promtool");
    let mut command = Command::new(&installed);
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut promtool) = command.spawn() else {
        assert!(std::env::var_os("CI").is_none(), "no {}: run `make alerts`", installed.display());
        eprintln!("SKIPPED: no promtool; run `make alerts`");
        return;
    };
    let text = busy_server().metrics().text;
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn callers_that_nobody_authenticates_are_said_to_be_so_everywhere() {
    let insecure = "pdp_insecure_unauthenticated_callers";
    let sources = Sources::small();
    let flags = ["--insecure-unauthenticated-callers"];
    let process = Process::try_start_with(&sources, &flags).unwrap();
    assert!(is_allow(&process.client().authorize(view("ana")).unwrap()));
    assert_eq!(crate::support::Numbers::read(&process.ops).value(insecure), 1.0);
    let data = sources.path("data");
    let status = crate::support::get_status(&process.control, &data);
    assert_eq!(status["insecure_unauthenticated_callers"], true);
    assert!(process.announced.contains("loaded 1 policies and 2 entities"), "{process:?}");
    let finished = process.terminate();
    assert!(
        finished.stderr.contains("callers are not authenticated, and other hosts may reach"),
        "{finished:?}"
    );
    assert_eq!(crate::support::lines(&data.join("log"), 1)[0]["caller"], "anonymous");
    let server = TestServer::start(&Sources::small());
    assert!(is_allow(&server.authorize(view("ana")).unwrap()));
    assert_eq!(server.metrics().value(insecure), 0.0);
    assert_eq!(server.records(1)[0]["caller"], "anonymous-loopback");
}
