//! What callers may ask: every part of a question, and every command, by policies of their own.

mod shipped;

use std::time::Duration;

use mandate::server::pb;
use pb::admin_service_client::AdminServiceClient;
use pb::authorization_service_client::AuthorizationServiceClient;
use pb::authorize_result::Outcome as Item;
use pb::authorize_stream_response::Outcome;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::callers::{GATEWAY, Guarded, OPEN, eventually, view};
use crate::support::{
    Client, Conversation, Papers, Question as _, TestServer, is_allow, mandate, question, record, reference,
    text_value,
};

/// Everything about one principal's type, and nothing else.
const NARROW: &str = r#"
@id("ask") permit (
  principal == Mandate::Pep::Caller::"spiffe://example.org/gateways/mcp",
  action == Mandate::Pep::Action::"ask",
  resource in Mandate::Pep::Type::"Mandate::User"
) unless { context.bypass_cache || context.observe };
@id("count") permit (
  principal, action == Mandate::Pep::Action::"assert_fact", resource == Mandate::Pep::Fact::"count"
);
"#;

#[track_caller]
fn check_not_entitled<T: std::fmt::Debug>(refused: Result<T, Status>, saying: &str) {
    let status = refused.expect_err("it is not entitled");
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    assert_eq!(status.get_details_error_info().expect("a reason").reason, "CALLER_NOT_ENTITLED");
    assert!(status.message().contains(saying), "`{}` does not say `{saying}`", status.message());
}

fn bypassing(request: pb::AuthorizeRequest) -> pb::AuthorizeRequest {
    let consistency = pb::Consistency { bypass_cache: true, ..pb::Consistency::default() };
    pb::AuthorizeRequest { consistency: Some(consistency), ..request }
}

fn observing(request: pb::AuthorizeRequest) -> pb::AuthorizeRequest {
    pb::AuthorizeRequest { mode: pb::Mode::Observe.into(), ..request }
}

fn supplying(request: pb::AuthorizeRequest) -> pb::AuthorizeRequest {
    let entity = pb::Entity {
        uid: Some(reference("Mandate::Doc", "draft")),
        attributes: Some(record(vec![("level", text_value("1"))])),
        ..pb::Entity::default()
    };
    pb::AuthorizeRequest { entities: vec![entity], ..request }
}

/// Questions that the narrow policies do not permit, and what is lacking.
fn not_entitled() -> Vec<(pb::AuthorizeRequest, &'static str)> {
    vec![
        (question(("Doc", "plan"), "view", ("Doc", "plan")), "ask about a Mandate::Doc"),
        (question(("Robot", "r2"), "view", ("Doc", "plan")), "ask about a Mandate::Robot"),
        (view().explained(), "ask for explanations"),
        (view().struct_context(&json!({"about": "plan"})), "assert `context.about`"),
        (view().struct_context(&json!({"count": 1, "now": 0})), "assert `context.now`"),
        (view().json_context(r#"{"unheard": 1}"#), "assert `context.unheard`"),
        (supplying(view()), "supply entities of type \"Mandate::Doc\""),
        (bypassing(view()), "ask about a Mandate::User"),
        (observing(view()), "ask about a Mandate::User"),
    ]
}

#[test]
fn a_caller_asks_what_it_is_entitled_to_and_nothing_beside() {
    let guarded = Guarded::new(NARROW);
    // Twice: what is remembered is what was decided.
    for _ in 0..2 {
        assert!(is_allow(&guarded.server.authorize(view()).unwrap()));
        assert!(is_allow(&guarded.server.authorize(view().struct_context(&json!({"count": 1}))).unwrap()));
        for (request, lacking) in not_entitled() {
            check_not_entitled(guarded.server.authorize(request), lacking);
        }
        let other = guarded.client("spiffe://example.org/gateways/other");
        check_not_entitled(other.authorize(view()), "ask about a Mandate::User");
    }
    let records = guarded.server.records(2 * (2 + not_entitled().len() + 1));
    let refused: Vec<_> = records.iter().filter(|record| record["code"] == "PERMISSION_DENIED").collect();
    assert_eq!(refused.len(), 2 * (not_entitled().len() + 1));
    assert!(refused.iter().all(|record| record["reason"] == "CALLER_NOT_ENTITLED"));
    assert!(refused.iter().any(|record| record["caller"] == GATEWAY));
}

#[test]
fn a_types_spelling_gets_past_no_policy() {
    let pep = format!(
        "{OPEN}@id(\"no-users\")\nforbid (principal, action == Mandate::Pep::Action::\"ask\", resource in \
         Mandate::Pep::Type::\"Mandate::User\");\n"
    );
    let guarded = Guarded::new(&pep);
    for spelling in [
        "Mandate::User",
        "Mandate :: User",
        " Mandate::User",
        "Mandate::User\n",
        "Mandate::\tUser",
        "Mandate::User//a\n",
    ] {
        let request = pb::AuthorizeRequest { principal: Some(reference(spelling, "ana")), ..view() };
        let refused = guarded.server.authorize(request).expect_err(spelling);
        assert!(
            [Code::PermissionDenied, Code::InvalidArgument].contains(&refused.code()),
            "{spelling:?}: {refused:?}"
        );
    }
}

#[test]
fn an_action_without_a_type_is_the_default_namespaces() {
    let pep = format!(
        "{OPEN}@id(\"no-view\")\nforbid (principal, action == Mandate::Pep::Action::\"ask\", resource) when {{ \
         context.action == \"view\" && context.action_type == \"Mandate::Action\" }};\n"
    );
    let guarded = Guarded::new(&pep);
    check_not_entitled(guarded.server.authorize(view()), "ask about");
    let typed = pb::AuthorizeRequest { action: Some(reference("Mandate::Action", "view")), ..view() };
    check_not_entitled(guarded.server.authorize(typed), "ask about");
}

#[test]
fn each_item_of_a_batch_needs_its_own_rights() {
    let guarded = Guarded::new(NARROW);
    let requests = vec![view().named("a"), view().explained().named("b"), view().named("c")];
    let answers = guarded
        .server
        .client()
        .batch(pb::AuthorizeBatchRequest { requests, ..pb::AuthorizeBatchRequest::default() })
        .unwrap();
    assert!(matches!(&answers[0].outcome, Some(Item::Response(answer)) if is_allow(answer)));
    let Some(Item::Status(refused)) = &answers[1].outcome else { panic!("{answers:?}") };
    assert_eq!(Code::from(refused.code), Code::PermissionDenied);
    assert!(matches!(&answers[2].outcome, Some(Item::Response(answer)) if is_allow(answer)));
    // What items inherit is asserted by the same caller.
    let defaults = Some(view().struct_context(&json!({"about": "plan"})));
    let requests = vec![view().named("a")];
    let answers = guarded.server.client().batch(pb::AuthorizeBatchRequest { defaults, requests }).unwrap();
    assert!(
        matches!(&answers[0].outcome, Some(Item::Status(refused)) if refused.code == Code::PermissionDenied as i32)
    );
}

#[test]
fn each_message_of_a_stream_is_held_to_the_rights_of_its_moment() {
    let guarded = Guarded::new(OPEN);
    let mut stream = Conversation::open(guarded.server.client(), &[]);
    assert!(is_allow(&stream.decide(&view().named("before"))));
    guarded.sources.replace("pep/pep.cedar", NARROW);
    let mut asked = 0;
    eventually("the right is withdrawn", || {
        asked += 1;
        match stream.ask(&view().explained().named(&format!("m{asked}"))) {
            Outcome::Status(status) => {
                assert_eq!(Code::from(status.code), Code::PermissionDenied);
                true
            }
            Outcome::Response(_) => false,
        }
    });
    // The stream goes on.
    assert!(is_allow(&stream.decide(&view().named("after"))));
}

/// Asks over AuthZEN as the gateway: the answer, and its status on a line of its own.
fn evaluate_as_gateway(papers: &Papers, server: &TestServer, body: &Value) -> String {
    let (certificate, key) = papers.keep("gateway", &papers.authority.svid(GATEWAY));
    let url = format!("{}/access/v1/evaluation", server.http.replace("127.0.0.1", "localhost"));
    let output = std::process::Command::new("curl")
        .args([
            "--silent",
            "--write-out",
            "\n%{http_code}",
            "--header",
            "content-type: application/json",
            "--cacert",
        ])
        .arg(papers.path("example.org.pem"))
        .arg("--cert")
        .arg(&certificate)
        .arg("--key")
        .arg(&key)
        .arg("--data")
        .arg(body.to_string())
        .arg(url)
        .output()
        .expect("curl");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn authzen_says_403_and_records() {
    let guarded = Guarded::new(NARROW);
    let ask = |body: &Value| evaluate_as_gateway(&guarded.papers, &guarded.server, body);
    let mut body = json!({
        "subject": {"type": "Mandate::User", "id": "ana"},
        "action": {"name": "view"},
        "resource": {"type": "Mandate::Doc", "id": "plan"},
    });
    assert!(ask(&body).ends_with("\n200"));
    body["context"] = json!({"about": "plan"});
    let refused = ask(&body);
    assert!(refused.ends_with("\n403"), "{refused}");
    assert_eq!(guarded.server.records(2)[1]["reason"], "CALLER_NOT_ENTITLED");
}

#[test]
fn properties_need_the_rights_that_what_they_become_needs() {
    let ask_alone = NARROW.split("@id(\"count\")").next().unwrap().to_owned();
    let right = |action: &str, resource: &str| {
        format!(
            "@id(\"{action}\") permit (principal, action == Mandate::Pep::Action::\"{action}\", resource == {resource});\n"
        )
    };
    let assert_fact = right("assert_fact", "Mandate::Pep::Fact::\"asserted\"");
    let supply = right("supply_entity", "Mandate::Pep::Type::\"Mandate::Note\"");
    let ask = |pep: &str| {
        let (papers, sources) = (Papers::new(), crate::authzen::properties::sources());
        std::fs::create_dir(sources.path("pep")).unwrap();
        let sources = sources.write("pep/pep.cedar", pep);
        let config = crate::callers::config(&sources, &papers, "");
        let gateway = papers.authority.svid(GATEWAY);
        let server = TestServer::with_client(&config, |address| {
            Client::secured(address, &papers.authority.pem, Some(&gateway)).unwrap()
        });
        let body = json!({
            "subject": {"type": "User", "id": "ana", "properties": {"level": 9}},
            "action": {"name": "view"},
            "resource": {"type": "Note", "id": "new", "properties": {"owner": "ana"}},
        });
        evaluate_as_gateway(&papers, &server, &body)
    };
    for (pep, lacking) in [
        (ask_alone.clone(), "it may not"),
        (format!("{ask_alone}{assert_fact}"), "supply entities of type"),
        (format!("{ask_alone}{supply}"), "assert `context.asserted`"),
    ] {
        let refused = ask(&pep);
        assert!(refused.ends_with("\n403") && refused.contains(lacking), "{refused}");
    }
    let allowed = ask(&format!("{ask_alone}{assert_fact}{supply}"));
    assert!(allowed.ends_with("\n200") && allowed.contains("\"decision\":true"), "{allowed}");
}

#[test]
fn server_info_needs_its_own_right() {
    let guarded = Guarded::new(NARROW);
    let client = guarded.server.client();
    let mut service = AuthorizationServiceClient::new(client.channel());
    let info = client.wait(service.get_server_info(pb::GetServerInfoRequest {}));
    check_not_entitled(info, "read_info");
}

/// Users who are their own callers.
const SELF: &str = r#"
@id("self") permit (principal, action == Mandate::Pep::Action::"ask", resource) when { context.self };
"#;

#[test]
fn a_caller_that_is_a_principal_asks_about_itself_and_nobody_else() {
    let own = "[[callers.self]]\ncaller = 'spiffe://example.org/users/*'\nprincipal_type = 'Mandate::User'\n";
    let guarded = Guarded::with(SELF, own);
    let ana = guarded.client("spiffe://example.org/users/ana");
    assert!(is_allow(&ana.authorize(view()).unwrap()));
    for (type_name, id) in
        [("User", "bob"), ("User", "ana/"), ("User", "users/ana"), ("Doc", "ana"), ("User", "Ana")]
    {
        check_not_entitled(ana.authorize(question((type_name, id), "view", ("Doc", "plan"))), "ask about");
    }
    let bob = guarded.client("spiffe://example.org/users/bob");
    check_not_entitled(bob.authorize(view()), "ask about");
    check_not_entitled(guarded.server.authorize(view()), "ask about");
    // What is remembered for one is not given to another.
    assert!(is_allow(&ana.authorize(view()).unwrap()));
    check_not_entitled(bob.authorize(view()), "ask about");
}

#[test]
fn a_policy_that_cannot_be_evaluated_denies() {
    let failing = format!(
        "{OPEN}@id(\"overflows\")\nforbid (principal, action == Mandate::Pep::Action::\"ask\", resource) when {{ \
         9223372036854775807 + (if context.self then 0 else 1) == 0 }};\n"
    );
    let guarded = Guarded::new(&failing);
    check_not_entitled(guarded.server.authorize(view()), "ask about");
    assert!(guarded.server.metrics().value("pdp_caller_rights_total{outcome=\"policy_error\"}") >= 1.0);
}

#[test]
fn a_broken_set_leaves_the_last_good_one_and_is_loud() {
    let guarded = Guarded::new(NARROW);
    let rejected =
        |file: &str| guarded.server.metrics().value(&format!("pdp_caller_files_rejected{{file=\"{file}\"}}"));
    let check = || {
        assert!(is_allow(&guarded.server.authorize(view()).unwrap()));
        check_not_entitled(guarded.server.authorize(view().explained()), "explanations");
    };
    for broken in [
        "permit (principal, action, resource);",
        "@id(\"a\") permit (principal, action, resource",
        "@id(\"a\") permit (principal, action, resource) when { principal.nme == \"a\" };",
        "@id(\"a\") @obligation(\"mask\") permit (principal, action, resource);",
        "",
    ] {
        guarded.sources.replace("pep/pep.cedar", NARROW);
        eventually("the good one is taken", || rejected("pep") == 0.0);
        guarded.sources.replace("pep/pep.cedar", broken);
        eventually("it is rejected", || rejected("pep") == 1.0);
        check();
    }
    // Nor does a folder that is gone open anything.
    std::fs::rename(guarded.sources.path("pep"), guarded.sources.path("pep.away")).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    check();
    std::fs::rename(guarded.sources.path("pep.away"), guarded.sources.path("pep")).unwrap();
    guarded.sources.replace("pep/pep.cedar", OPEN);
    eventually("the next good one is taken", || guarded.server.authorize(view().explained()).is_ok());
}

const OPERATORS: &str = r#"
@id("look") permit (principal == Mandate::Pep::Caller::"spiffe://example.org/operators/dana",
  action == Mandate::Pep::Action::"get_status", resource);
@id("act") permit (principal == Mandate::Pep::Caller::"spiffe://example.org/operators/root",
  action in Mandate::Pep::Action::"control", resource);
"#;

#[test]
fn administrators_are_held_to_their_rights_and_the_token_opens_nothing() {
    let guarded = Guarded::with(OPERATORS, "[control]\ncallers = true\n");
    let connect = |id: &str| {
        let shown = guarded.papers.authority.svid(id);
        Client::secured(&guarded.server.control, &guarded.papers.authority.pem, Some(&shown)).unwrap()
    };
    let status = |client: &Client| {
        let mut admin = AdminServiceClient::new(client.channel());
        client.wait(admin.get_status(pb::GetStatusRequest {})).map(|_| ())
    };
    let rollback = |client: &Client| {
        let mut admin = AdminServiceClient::new(client.channel());
        let request = pb::RollbackRequest { generation: "sha256:abcdef0123".to_owned(), release: false };
        client.wait(admin.rollback(request)).map(|_| ())
    };
    let suspend = |client: &Client| {
        let mut admin = AdminServiceClient::new(client.channel());
        client.wait(admin.suspend(pb::SuspendRequest::default())).map(|_| ())
    };
    let (dana, root) =
        (connect("spiffe://example.org/operators/dana"), connect("spiffe://example.org/operators/root"));
    status(&dana).unwrap();
    check_not_entitled(rollback(&dana), "rollback");
    check_not_entitled(suspend(&dana), "suspend");
    status(&root).unwrap();
    assert_eq!(rollback(&root).unwrap_err().code(), Code::NotFound);
    suspend(&root).unwrap();
    check_not_entitled(status(&connect(GATEWAY)), "get_status");
    let nobody = Client::secured(&guarded.server.control, &guarded.papers.authority.pem, None).unwrap();
    assert_eq!(status(&nobody).unwrap_err().code(), Code::Unauthenticated);
    assert!(!guarded.server.folder.path().join("data/control.token").exists());
    let records = guarded.server.records(4);
    let (changed, refused): (Vec<_>, Vec<_>) = records.iter().partition(|line| line["kind"] == "change");
    let by: Vec<_> = changed.iter().map(|line| (&line["caller"], &line["change"])).collect();
    assert_eq!(by, [(&"spiffe://example.org/operators/root".into(), &"freeze".into())]);
    let refused: Vec<_> = refused.into_iter().map(refusal).collect();
    let dana = "spiffe://example.org/operators/dana".to_owned();
    assert_eq!(
        refused,
        [dana.clone(), dana, GATEWAY.to_owned()],
        "what was refused is recorded, and nothing else"
    );
}

/// Who was refused a command.
fn refusal(record: &Value) -> String {
    assert_eq!(record["kind"], "refusal", "{record}");
    assert_eq!(record["surface"], "control", "{record}");
    assert_eq!(record["reason"], "CALLER_NOT_ENTITLED", "{record}");
    record["caller"].as_str().unwrap().to_owned()
}

#[test]
fn the_command_line_shows_a_certificate() {
    let guarded = Guarded::with(OPERATORS, "[control]\ncallers = true\n");
    let (certificate, key) =
        guarded.papers.keep("root", &guarded.papers.authority.svid("spiffe://example.org/operators/root"));
    let (ca, address) =
        (guarded.papers.path("example.org.pem"), guarded.server.control.trim_start_matches("https://"));
    let run = |words: &[&str], shown: bool| {
        let mut arguments: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        arguments.extend(["--control".to_owned(), address.to_owned()]);
        if shown {
            for (flag, file) in [("--tls-ca", &ca), ("--tls-cert", &certificate), ("--tls-key", &key)] {
                arguments.extend([flag.to_owned(), file.display().to_string()]);
            }
        }
        mandate(arguments)
    };
    let finished = run(&["status", "--format", "json"], true);
    finished.check_code(0);
    assert_eq!(finished.json()["callers"]["authenticated"], true);
    let finished = run(&["rollback", "sha256:abcdef0123"], true);
    finished.check_code(1);
    assert!(finished.stderr.contains("abcdef0123"), "{finished:?}");
    let mut arguments: Vec<_> =
        ["check", "--principal", "Mandate::User::\"ana\"", "--action", "view"].map(str::to_owned).into();
    arguments.extend(
        ["--resource", "Mandate::Doc::\"plan\"", "--server", &guarded.server.data].map(str::to_owned),
    );
    for (flag, file) in [("--tls-ca", &ca), ("--tls-cert", &certificate), ("--tls-key", &key)] {
        arguments.extend([flag.to_owned(), file.display().to_string()]);
    }
    let finished = mandate(arguments);
    finished.check_code(1);
    assert!(finished.stderr.contains("not entitled"), "{finished:?}");
    let config = guarded.sources.path("mandate.toml").display().to_string();
    let finished = run(&["status", "--config", &config], false);
    finished.check_code(1);
    assert!(finished.stderr.contains("--tls-ca"), "{finished:?}");
}
